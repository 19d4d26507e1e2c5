#!/usr/bin/env python3
"""Compares neurotap with captum on real architectures. A developer's tool; not part of the tests.

    PYTHONPATH=/path/to/captum python3 compare_with_captum.py --cli path/to/neurotap

It builds torchvision's models and some sequence models with random weights, saves them as
TorchScript files, picks layers and neurons at random (but the same in every run), lets neurotap
compute the gradients from the files, and captum from the models in Python. Needs torch,
torchvision, numpy and a checkout of captum. Prints one line for each case and a summary; the exit
status is 1 if neurotap failed or disagreed.
"""

import argparse
import copy
import random
import subprocess
import sys
import tempfile
import time
import warnings
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import torch
import torchvision
from captum.attr import NeuronGradient
from torch import nn

TOLERANCES = {torch.float32: 2e-4, torch.float64: 1e-9}
DTYPES = {"float32": torch.float32, "float64": torch.float64}
KINDS = ("scripted", "traced")


# Sequence models, which torchvision does not have


class Lstm(nn.Module):
    def __init__(self):
        super().__init__()
        self.pre = nn.Linear(12, 24)
        self.lstm = nn.LSTM(24, 20, num_layers=2, batch_first=True, bidirectional=True)
        self.norm = nn.LayerNorm(40)
        self.head = nn.Linear(40, 6)

    def forward(self, x):
        y, _ = self.lstm(torch.tanh(self.pre(x)))
        return self.head(self.norm(y)[:, -1])


class Gru(nn.Module):
    def __init__(self):
        super().__init__()
        self.pre = nn.Linear(12, 24)
        self.gru = nn.GRU(24, 20, batch_first=True)
        self.mid = nn.Linear(20, 16)
        self.head = nn.Linear(16, 6)

    def forward(self, x):
        y, h = self.gru(torch.relu(self.pre(x)))
        y = torch.tanh(self.mid(y))
        return self.head(y.mean(1)) + h.mean()


class AttentionBlock(nn.Module):
    def __init__(self, n: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(n)
        self.qkv = nn.Linear(n, 3 * n)
        self.weights = nn.Softmax(dim=-1)
        self.proj = nn.Linear(n, n)
        self.norm2 = nn.LayerNorm(n)
        self.mlp = nn.Sequential(nn.Linear(n, 2 * n), nn.GELU(), nn.Linear(2 * n, n))

    def forward(self, x):
        n, t, c = x.size(0), x.size(1), x.size(2)
        q, k, v = self.qkv(self.norm1(x)).chunk(3, dim=-1)
        q = q.view(n, t, self.heads, c // self.heads).transpose(1, 2)
        k = k.view(n, t, self.heads, c // self.heads).transpose(1, 2)
        v = v.view(n, t, self.heads, c // self.heads).transpose(1, 2)
        y = self.weights(q @ k.transpose(-2, -1) * (c // self.heads) ** -0.5) @ v
        x = x + self.proj(y.transpose(1, 2).reshape(n, t, c))
        return x + self.mlp(self.norm2(x))


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(12, 32)
        self.blocks = nn.ModuleList([AttentionBlock(32, 4) for _ in range(3)])
        self.head = nn.Linear(32, 6)

    def forward(self, x):
        x = self.embed(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean(1))


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(32, 4, 48, batch_first=True)
        self.embed = nn.Linear(12, 32)
        self.encoder = nn.TransformerEncoder(layer, 3)
        self.head = nn.Linear(32, 6)

    def forward(self, x):
        return self.head(self.encoder(self.embed(x)).mean(1))


class Loop(nn.Module):
    """Cells in a loop over time, and a layer that the loop calls again and again."""

    def __init__(self):
        super().__init__()
        self.pre = nn.Sequential(nn.Linear(12, 16), nn.ReLU(inplace=True))
        self.cell = nn.GRUCell(16, 20)
        self.gate = nn.Linear(20, 20)
        self.head = nn.Linear(20, 6)

    def forward(self, x):
        h = torch.zeros(x.size(0), 20, dtype=x.dtype)
        for t in range(x.size(1)):
            h = self.cell(self.pre(x[:, t]), h)
            h = h * torch.sigmoid(self.gate(h))
        return self.head(h)


# The models


def narrow(model, features):
    """A smaller classifier: the original makes files of hundreds of megabytes."""
    linear = [i for i, layer in enumerate(model.classifier) if isinstance(layer, nn.Linear)]
    sizes = [features, 128, 96, 10]
    for i, n_in, n_out in zip(linear, sizes, sizes[1:]):
        model.classifier[i] = nn.Linear(n_in, n_out)
    return model


def vision(name, **options):
    return getattr(torchvision.models, name)(weights=None, num_classes=10, **options)


def small_vit():
    return torchvision.models.VisionTransformer(
        image_size=48, patch_size=8, num_layers=4, num_heads=4, hidden_dim=48, mlp_dim=96,
        num_classes=10)


IMAGE, SEQUENCE = (2, 3, 64, 64), (2, 7, 12)
MODELS = {
    "resnet18": (lambda: vision("resnet18"), IMAGE),
    "resnet50": (lambda: vision("resnet50"), IMAGE),
    "mobilenet_v2": (lambda: vision("mobilenet_v2"), IMAGE),
    "mobilenet_v3_small": (lambda: vision("mobilenet_v3_small"), IMAGE),
    "densenet121": (lambda: vision("densenet121"), IMAGE),
    "vgg11_bn": (lambda: narrow(vision("vgg11_bn"), 512 * 7 * 7), IMAGE),
    "squeezenet1_1": (lambda: vision("squeezenet1_1"), IMAGE),
    "shufflenet_v2_x0_5": (lambda: vision("shufflenet_v2_x0_5"), IMAGE),
    "googlenet": (lambda: vision("googlenet", aux_logits=False, init_weights=False), IMAGE),
    "efficientnet_b0": (lambda: vision("efficientnet_b0"), IMAGE),
    "vit": (small_vit, (2, 3, 48, 48)),
    "convnext_tiny": (lambda: vision("convnext_tiny"), IMAGE),
    "swin_t": (lambda: vision("swin_t"), IMAGE),
    "regnet_y_400mf": (lambda: vision("regnet_y_400mf"), IMAGE),
    "mnasnet0_5": (lambda: vision("mnasnet0_5"), IMAGE),
    "alexnet": (lambda: narrow(vision("alexnet"), 256 * 6 * 6), IMAGE),
    "inception_v3": (
        lambda: vision("inception_v3", aux_logits=False, init_weights=False), (2, 3, 80, 80)),
    "lstm": (Lstm, SEQUENCE),
    "gru": (Gru, SEQUENCE),
    "attention": (Attention, SEQUENCE),
    "encoder": (Encoder, SEQUENCE),
    "loop": (Loop, SEQUENCE),
}


def build(name):
    """The model in float64 and its input, always with the same numbers."""
    torch.manual_seed(zlib.crc32(name.encode()))
    make, shape = MODELS[name]
    model = make().eval()
    norms = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)
    for path, module in model.named_modules():
        if getattr(module, "running_mean", None) is not None:
            # Fresh statistics do nothing, so that a mistake would not show.
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2)
        if isinstance(module, norms) and module.weight is not None:
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.3)
        if path.endswith("stochastic_depth"):
            continue
        scale = getattr(module, "layer_scale", None)
        if scale is not None:
            # ConvNeXt starts with 1e-6, which makes its blocks invisible.
            scale.data.uniform_(0.2, 0.6)
    # Round to float32 once, so that the models of both types have the same weights.
    x = torch.randn(shape)
    return model.double(), x.double()


# Layers and neurons


class Layer:
    """What one layer received and returned in its last call."""

    def __init__(self, path):
        self.path = path
        self.received = self.returned = None

    def record(self, received, returned):
        self.received, self.returned = describe(received), describe((returned,))


def describe(values):
    """The shape, if it is a single floating-point tensor with a batch, else what it is."""
    if len(values) == 1 and isinstance(values[0], torch.Tensor):
        tensor = values[0]
        if tensor.is_floating_point() and tensor.dim() > 0 and tensor.numel():
            return tuple(tensor.shape)
        return f"a tensor of {tensor.dtype} with {tensor.dim()} dimensions"
    if len(values) == 1:
        return f"a {type(values[0]).__name__}"
    return f"{len(values)} values"


def survey(model, x):
    """The layers that run, in the order in which they do."""
    layers, hooks = {}, []
    for path, module in model.named_modules():
        def hook(_, received, returned, path=path):
            layers.setdefault(path, Layer(path)).record(received, returned)

        hooks.append(module.register_forward_hook(hook))
    # With gradients: nn.TransformerEncoder takes another path without.
    model(x.clone().requires_grad_())
    for hook in hooks:
        hook.remove()
    return list(layers.values())


def choose_layers(layers, count, rng):
    """Random layers, as many early as middle and late ones."""
    third = max(1, (len(layers) + 2) // 3)
    parts = [layers[i:i + third] for i in range(0, len(layers), third)]
    for part in parts:
        rng.shuffle(part)
    chosen = []
    while len(chosen) < count and any(parts):
        for part in parts:
            if part and len(chosen) < count:
                chosen.append(part.pop())
    return chosen


def random_index(size, rng):
    index = rng.randrange(size)
    return index - size if rng.random() < 0.25 else index


def random_slice(size, rng):
    start, stop = sorted((rng.randrange(size), rng.randrange(1, size + 3)))
    choices = [slice(None), slice(start, None), slice(None, max(stop, 1)), slice(-2, None),
               slice(start, max(stop, start + 1)), slice(start, None, 2)]
    return rng.choice(choices)


def random_selector(shape, rng, with_slice):
    """A selector for a value of this shape: a tuple of ints, perhaps of slices too."""
    sizes = shape[1:]
    selector = [random_index(size, rng) for size in sizes]
    if with_slice and sizes:
        for i in rng.sample(range(len(sizes)), rng.randint(1, len(sizes))):
            selector[i] = random_slice(sizes[i], rng)
        last = max(i for i, item in enumerate(selector) if isinstance(item, slice))
        selector = selector[:rng.randint(last + 1, len(sizes))]
    return tuple(selector)


def notation(selector):
    """Python's notation."""
    def item(index):
        if not isinstance(index, slice):
            return str(index)
        parts = ["" if part is None else str(part) for part in (index.start, index.stop)]
        return ":".join(parts + ([str(index.step)] if index.step else []))

    return ",".join(item(index) for index in selector) or "()"


# The reference


def captum_gradient(model, x, layer, side, selector):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Modules write in place now and then, but the input is a leaf.
        return NeuronGradient(model, model.get_submodule(layer)).attribute(
            x.clone(), selector, attribute_to_neuron_input=side == "input")


def difference(a, b):
    """The largest difference, relative to the largest value of the second."""
    scale = b.abs().max().item()
    return (a.double() - b.double()).abs().max().item() / (scale or 1.0)


class Reference:
    """What captum computes for one neuron, and how much rounding matters there."""

    def __init__(self, models, inputs, dtype, layer, side, selector):
        self.args = (layer, side, selector)
        self.exact_model, self.exact_input = models[torch.float64], inputs[torch.float64]
        self.value = captum_gradient(models[dtype], inputs[dtype], *self.args)
        self.dtype = dtype

    def judge(self, result, drift):
        """(agrees, text) for neurotap's result; `drift` is how far the file itself is off."""
        if result.shape != self.value.shape or result.dtype != self.value.dtype:
            return False, f"{result.dtype} {tuple(result.shape)}"
        error = difference(result, self.value)
        if error <= TOLERANCES[self.dtype]:
            return True, f"{error:.1e}"
        rounding = self.rounding()
        text = f"{error:.1e} (rounding may change it by {rounding:.1e}"
        text += f", the file's output differs by {drift:.1e})" if drift else ")"
        return error <= max(rounding * 2, drift * 100), text

    def rounding(self):
        """How far apart results are that differ by rounding only.

        Where a ReLU or a maximum changes sides, the gradient jumps. Compares this reference with
        one in double precision, and those of inputs that differ in their last digits.
        """
        exact = captum_gradient(self.exact_model, self.exact_input, *self.args)
        errors = [difference(self.value, exact)]
        torch.manual_seed(0)
        epsilon = torch.finfo(self.dtype).eps
        for _ in range(3):
            x = self.exact_input * (1 + 8 * epsilon * torch.randn_like(self.exact_input))
            errors.append(difference(captum_gradient(self.exact_model, x, *self.args), exact))
        return max(errors)


# One model


class Run:
    """The cases of one model, for all dtypes and kinds."""

    def __init__(self, name, options, folder, tally):
        self.name, self.options, self.folder, self.tally = name, options, folder, tally
        model, x = build(name)
        self.models = {torch.float64: model, torch.float32: copy.deepcopy(model).float()}
        self.inputs = {torch.float64: x, torch.float32: x.float()}
        self.rng = random.Random(f"{options.seed} {name}")

    def report(self, verdict, *words):
        self.tally[verdict] += 1
        print(f"{verdict:8}", self.name, *words, flush=True)

    def cases(self):
        """(layer, side, selector) for random neurons; layers without any are reported."""
        layers = survey(self.models[torch.float64], self.inputs[torch.float64])
        for layer in choose_layers(layers, self.options.layers_per_model, self.rng):
            for side, shape in (("output", layer.returned), ("input", layer.received)):
                if isinstance(shape, str):
                    self.report("skipped", f"{layer.path}:", f"its {side} is {shape}")
                    continue
                for with_slice in (False, True):
                    selector = self.alive(layer, side, shape, with_slice)
                    if selector is not None:
                        yield layer, side, selector

    def alive(self, layer, side, shape, with_slice):
        """A selector whose gradient is not zero, as a dead ReLU's is, nor a sum that cancels out,
        as over a softmax."""
        model, x = self.models[torch.float64], self.inputs[torch.float64]
        for _ in range(6):
            selector = random_selector(shape, self.rng, with_slice)
            try:
                if captum_gradient(model, x, layer.path, side, selector).abs().max() > 1e-11:
                    return selector
            except RuntimeError as error:
                self.report("skipped", f"{layer.path}:", f"captum: {first_line(error)}")
                return None
        self.report("skipped", f"{layer.path}:", f"all gradients of its {side} are zero")
        return None

    def run(self):
        cases = list(self.cases())
        for dtype_name in self.options.dtype:
            dtype = DTYPES[dtype_name]
            references = {}
            for layer, side, selector in cases:
                key = (layer.path, side, notation(selector))
                references[key] = Reference(self.models, self.inputs, dtype, layer.path, side,
                                            selector)
                if self.options.reference_only:
                    rounding = f"rounding {references[key].rounding():.1e}"
                    self.report("ok", dtype_name, *key, rounding)
            if self.options.reference_only:
                continue
            np.save(self.folder / "x.npy", self.inputs[dtype].numpy())
            for kind in self.options.kind:
                self.run_file(kind, dtype, dtype_name, cases, references)

    def run_file(self, kind, dtype, dtype_name, cases, references):
        path = self.folder / f"{self.name}.pt"
        try:
            script = self.save(kind, dtype, path)
        except Exception as error:
            self.report("skipped", kind, dtype_name, f"cannot be {kind}: {first_line(error)}")
            return
        drift = self.drift(script, dtype)
        for layer, side, selector in cases:
            key = (layer.path, side, notation(selector))
            words = (kind, dtype_name, *key)
            reason = kind == "traced" and lost_in_trace(script, layer, side)
            if reason:
                self.report("skipped", *words, reason)
                continue
            started = time.perf_counter()
            result = self.attribute(path, *key)
            seconds = f"{time.perf_counter() - started:.2f}s"
            if isinstance(result, str):
                self.report("ERROR", *words, result)
                continue
            agrees, text = references[key].judge(result, drift)
            self.report("ok" if agrees else "FAIL", *words, text, seconds)
        path.unlink()

    def save(self, kind, dtype, path):
        model, x = copy.deepcopy(self.models[dtype]), self.inputs[dtype]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if kind == "scripted":
                script = torch.jit.script(model)
            else:
                script = torch.jit.trace(model, x, check_trace=False)
        script.save(str(path))
        return script

    def drift(self, script, dtype):
        """How much the file's output differs from the model's, if more than by rounding.

        Traces hold numbers that Python computed in double precision in single precision.
        """
        x = self.inputs[dtype]
        outputs = []
        for model in (script, self.models[dtype]):
            output = model(x.clone().requires_grad_())
            # Scripted, the models with auxiliary outputs return them all.
            outputs.append(output[0] if isinstance(output, tuple) else output)
        drift = difference(*outputs)
        return drift if drift > 100 * torch.finfo(dtype).eps else 0.0

    def attribute(self, path, layer, side, selector):
        """neurotap's result, or the text of its error."""
        output = self.folder / "grad.npy"
        output.unlink(missing_ok=True)
        command = [self.options.cli, "attribute", path, "--layer", layer, "--neuron", selector,
                   "--input", self.folder / "x.npy", "--output", output, "--threads",
                   str(self.options.threads)]
        if side == "input":
            command += ["--of", "input"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        except (OSError, subprocess.TimeoutExpired) as error:
            return first_line(error)
        if done.returncode:
            return f"exit status {done.returncode}: {done.stderr.strip()[:1000]}"
        if not output.exists():
            return "no output"
        return torch.from_numpy(np.load(output))


def first_line(error):
    lines = str(error).strip().splitlines()
    return lines[0][:150] if lines else type(error).__name__


def lost_in_trace(script, layer, side):
    """Why a trace does not hold a layer's value as Python has it; None if it does.

    A trace drops what a layer returns unchanged, and lifts what it shares with other layers into
    further inputs and outputs.
    """
    module = script
    for name in layer.path.split(".") if layer.path else []:
        module = getattr(module, name)
    graph = getattr(module, "inlined_graph", None)
    if graph is None:
        return "the trace has no call of it"
    if side == "output":
        types = [str(value.type()) for value in graph.outputs()]
    else:
        types = [str(value.type()) for value in list(graph.inputs())[1:]]
    if types != ["Tensor"]:
        return f"in the trace its {side} is ({', '.join(types)})"
    return None


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cli", help="the neurotap program")
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS),
                        metavar="MODEL", help=f"of {', '.join(MODELS)}")
    parser.add_argument("--layers-per-model", type=int, default=4)
    parser.add_argument("--dtype", nargs="+", default=list(DTYPES), choices=list(DTYPES))
    parser.add_argument("--kind", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--seed", type=int, default=0, help="chooses the layers and neurons")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--reference-only", action="store_true",
                        help="compute captum's side only, and how much rounding matters")
    options = parser.parse_args()
    if not options.cli and not options.reference_only:
        parser.error("--cli is needed, or --reference-only")
    return options


def main():
    options = parse_options()
    torch.set_num_threads(options.threads)
    tally = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for name in options.models:
            Run(name, options, Path(folder), tally).run()
    print(", ".join(f"{count} {verdict}" for verdict, count in sorted(tally.items())))
    return 1 if tally["FAIL"] or tally["ERROR"] else 0


if __name__ == "__main__":
    sys.exit(main())
