"""The benchmark's models: small ones written here, and torchvision's, all with random weights.

Nothing is downloaded. For each model this makes, and keeps until this file changes:

    MODEL.pt         the TorchScript file that neurotap loads (scripted, or else traced)
    MODEL.N.pt       the model up to its Nth layer, for the peer in C++, which has no hooks
    MODEL.json       for each layer the shape of its value and its most active neuron
"""

import json
import warnings
from pathlib import Path

import torch
import torchvision
from torch import nn

SEED = 1


class Lstm(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(16, 32)
        self.lstm = nn.LSTM(32, 64, batch_first=True)
        self.norm = nn.LayerNorm(64)
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        y, _ = self.lstm(torch.tanh(self.embed(x)))
        return self.head(self.norm(y)[:, -1])


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(128, 4, 256, batch_first=True)
        self.embed = nn.Linear(64, 128)
        self.encoder = nn.TransformerEncoder(layer, 4)
        self.head = nn.Linear(128, 10)

    def forward(self, x):
        return self.head(self.encoder(self.embed(x)).mean(1))


def dense(*sizes):
    """Dense layers with ReLUs between them."""
    layers = []
    for n_in, n_out in zip(sizes, sizes[1:]):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def from_torchvision(name):
    return lambda: getattr(torchvision.models, name)(weights=None)


def vision_transformer():
    """With weights in the last layer, which torchvision starts at zero."""
    model = torchvision.models.vit_b_32(weights=None)
    nn.init.xavier_uniform_(model.heads.head.weight)
    return model


IMAGE = (3, 224, 224)

# How to build it, the shape of one example, and its layers from early to late.
MODELS = {
    "mlp": (lambda: dense(32, 64, 64, 10), (32,), ("0", "2", "4")),
    "autoencoder": (lambda: dense(784, 512, 256, 64, 256, 512, 784), (784,), ("0", "4", "10")),
    "lstm": (Lstm, (32, 16), ("embed", "norm", "head")),
    "transformer": (Transformer, (32, 64),
                    ("encoder.layers.0.linear1", "encoder.layers.1", "head")),
    "resnet18": (from_torchvision("resnet18"), IMAGE,
                 ("conv1", "layer1.0.conv2", "layer2", "layer4", "fc")),
    "resnet50": (from_torchvision("resnet50"), IMAGE,
                 ("conv1", "layer1.0.conv2", "layer2", "layer4", "fc")),
    "vgg11": (from_torchvision("vgg11"), IMAGE,
              ("features.0", "features.8", "features.18", "classifier.6")),
    "mobilenet_v3": (from_torchvision("mobilenet_v3_large"), IMAGE,
                     ("features.2", "features.8", "features.16", "classifier.3")),
    "vit_b_32": (vision_transformer, IMAGE,
                 ("conv_proj", "encoder.layers.encoder_layer_5", "heads.head")),
}


def build(name, device="cpu"):
    """The model in Python: the same weights each time, in evaluation mode."""
    torch.manual_seed(SEED)
    model = MODELS[name][0]()
    settle_batch_norms(model, name)
    return model.eval().to(device)


def settle_batch_norms(model, name):
    """Gives batch norms the statistics of a batch, as training would. With those of a new model
    values may shrink from layer to layer until they are denormal numbers, with which CPUs are slow.
    """
    norms = [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)]
    if not norms:
        return
    for norm in norms:
        norm.momentum = 1.0  # the statistics of the last batch
    with torch.no_grad():
        model.train()(example_input(name, 4))


def example_input(name, batch, device="cpu", image_size=None):
    """The same input each time; for image models of another size where that is asked for."""
    shape = MODELS[name][1]
    if image_size is not None:
        shape = (shape[0], image_size, image_size)
    generator = torch.Generator().manual_seed(SEED)
    return torch.randn(batch, *shape, generator=generator).to(device)


def is_image_model(name):
    return MODELS[name][1] == IMAGE


class _Reached(Exception):
    """Carries the layer's value out of the model."""


def up_to(model, layer):
    """A function that runs the model up to a layer and returns the layer's value."""
    def stop(_module, _inputs, output):
        raise _Reached(output)

    def run(x):
        handle = model.get_submodule(layer).register_forward_hook(stop)
        try:
            model(x)
        except _Reached as reached:
            return reached.args[0]
        finally:
            handle.remove()
        raise RuntimeError(f"the model did not run {layer}")

    return run


def most_active(value):
    """The neuron of the first example that is largest in the middle of the image or sequence."""
    example = value[0]
    if example.dim() == 1:
        return [int(example.argmax())]
    if example.dim() == 2:  # time, features
        middle = example.size(0) // 2
        return [middle, int(example[middle].argmax())]
    row, column = example.size(1) // 2, example.size(2) // 2
    return [int(example[:, row, column].argmax()), row, column]


def _describe(value):
    return {"shape": list(value.shape[1:]), "neuron": most_active(value)}


def _save_whole(model, x, path):
    try:
        saved = torch.jit.script(model)
    except Exception:  # what cannot be scripted can be traced
        saved = torch.jit.trace(model, x, check_trace=False)
    saved.save(str(path))


def _save_up_to(model, layer, x, path):
    """The traced function holds the weights that it uses, and nothing of what comes later."""
    torch.jit.trace(up_to(model, layer), x, check_trace=False).save(str(path))


class ModelFiles:
    """The files of one model for one device, made when they are first needed."""

    def __init__(self, folder, name, device="cpu"):
        self.folder = Path(folder) / torch.device(device).type
        self.name, self.device = name, device
        self.layers = MODELS[name][2]
        self.whole = self.folder / f"{name}.pt"
        self.index = self.folder / f"{name}.json"
        if not self._is_fresh():
            self._make()
        self.about = json.loads(self.index.read_text())["layers"]

    def up_to(self, layer):
        return self.folder / f"{self.name}.{self.layers.index(layer)}.pt"

    def _is_fresh(self):
        if not self.index.exists() or self.index.stat().st_mtime < Path(__file__).stat().st_mtime:
            return False
        return json.loads(self.index.read_text())["torch"] == torch.__version__

    def _make(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        model = build(self.name, self.device)
        # PyTorch's transformers run other operators where nothing is differentiated.
        x = example_input(self.name, 2, self.device).requires_grad_()
        about = {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tracing: sizes that are constants here
            _save_whole(model, x, self.whole)
            for parameter in model.parameters():
                parameter.requires_grad_(False)
            for layer in self.layers:
                _save_up_to(model, layer, x, self.up_to(layer))
                about[layer] = _describe(up_to(model, layer)(x).detach())
        self.index.write_text(json.dumps({"torch": torch.__version__, "layers": about}))
