"""Those who compute the same neuron gradients: neurotap, the peer in C++, and captum.

Each peer is made for one model, and loads what it needs. `prepare` gives a job for one case, with

    run(count)      computes the gradients of the first `count` neurons, and drops them; returns
                    how many seconds of that do not grow with the number of neurons
    result(count)   computes them, as one tensor of shape [count, ...shape of the input...]
    report()        what there is to tell about the last result
    close()         releases what the job holds
"""

import ctypes
import sys
from ctypes import byref, c_char_p, c_double, c_int, c_int32, c_int64, c_size_t, c_uint64, c_void_p
from pathlib import Path

import torch

from models import ModelFiles, build

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "examples"))
from neuron_gradient import Error, Neurotap  # noqa: E402

try:
    import captum
    from captum.attr import NeuronGradient
except ImportError:
    captum = None

FLOAT32 = 9  # NTAP_DTYPE_FLOAT32


def synchronizer(device):
    """Waits for the GPU, where there is one."""
    return torch.cuda.synchronize if torch.device(device).type == "cuda" else lambda: None


class Job:
    def __init__(self, run, result, report=dict, close=lambda: None):
        self.run, self.result, self.report, self.close = run, result, report, close


# neurotap


class Device(ctypes.Structure):
    """ntap_device of base.h."""

    _fields_ = [("type", c_int), ("index", c_int32)]

    @classmethod
    def of(cls, device):
        device = torch.device(device)
        return cls(1 if device.type == "cuda" else 0, device.index or 0)


class LoadOptions(ctypes.Structure):
    """ntap_load_options of module.h."""

    _fields_ = [("struct_size", c_size_t), ("device", Device), ("training", c_int),
                ("method", c_char_p)]


class Report(ctypes.Structure):
    """ntap_attribute_report of neuron_gradient.h."""

    _fields_ = [("struct_size", c_size_t), ("fast_path", c_int), ("computed", c_double),
                ("forward_passes", c_int64), ("backward_passes", c_int64),
                ("examples_at_once", c_int64), ("neurons_at_once", c_int64)]

    def as_dict(self):
        return {name: getattr(self, name) for name, _ in self._fields_[1:]}


class AttributeOptions(ctypes.Structure):
    """ntap_attribute_options of neuron_gradient.h."""

    _fields_ = [("struct_size", c_size_t), ("additional_arguments", c_void_p),
                ("n_additional_arguments", c_size_t), ("call", c_int64), ("unused_inputs", c_int),
                ("fast_paths", c_int), ("memory_limit", c_uint64), ("progress", c_void_p),
                ("progress_context", c_void_p), ("report", ctypes.POINTER(Report))]


def sized(struct):
    made = struct()
    made.struct_size = ctypes.sizeof(struct)
    return made


class NeurotapLibrary(Neurotap):
    """The bindings of the example, and what the benchmark needs beyond them."""

    def __init__(self, path):
        super().__init__(str(path))
        out, error = ctypes.POINTER(c_void_p), c_void_p
        more = {
            "ntap_tensor_from_blob": [c_void_p, c_size_t, c_void_p, c_void_p, c_int, Device,
                                      c_void_p, c_void_p, out, error],
            "ntap_neuron_gradient_attribute_many": [c_void_p, c_void_p, c_size_t, c_void_p,
                                                    c_size_t, c_void_p, c_void_p, error],
        }
        for name, parameters in more.items():
            getattr(self.library, name).argtypes = parameters
        self.library.ntap_torch_version.restype = c_char_p

    def over(self, tensor):
        """A neurotap tensor over the memory of a contiguous one of PyTorch."""
        sizes = (c_int64 * tensor.dim())(*tensor.shape)
        return self.make("ntap_tensor_from_blob", tensor.data_ptr(), tensor.dim(), sizes, None,
                         FLOAT32, Device.of(tensor.device), None, None)

    def values(self, handle, shape):
        """A copy as a tensor of PyTorch, on the host; frees the handle."""
        values = torch.empty(shape)
        self.call("ntap_tensor_copy_to_host", handle, values.data_ptr(), values.nelement() * 4)
        self.library.ntap_tensor_free(handle)
        return values


class NeurotapPeer:
    name = "neurotap"

    def __init__(self, library, files: ModelFiles):
        self.neurotap, self.synchronize = library, synchronizer(files.device)
        options = sized(LoadOptions)
        options.device = Device.of(files.device)
        self.module = library.make("ntap_module_load", str(files.whole).encode(), byref(options))
        self.gradients = {}

    def close(self):
        for gradient in self.gradients.values():
            self.neurotap.library.ntap_neuron_gradient_free(gradient)
        self.neurotap.library.ntap_module_free(self.module)

    def _gradient_of(self, layer):
        if layer not in self.gradients:
            self.gradients[layer] = self.neurotap.make(
                "ntap_neuron_gradient_new", self.module, layer.encode(), None)
        return self.gradients[layer]

    def prepare(self, layer, neurons, x):
        library, gradient = self.neurotap.library, self._gradient_of(layer)
        handle = self.neurotap.over(x)
        selectors = [self.neurotap.make("ntap_selector_parse", as_text(neuron).encode())
                     for neuron in neurons]
        attribute = self._attribution(gradient, handle, selectors)
        free, synchronize, report = library.ntap_tensor_free, self.synchronize, sized(Report)

        def run(count):
            free(attribute(count, None))
            synchronize()
            return 0.0

        def result(count):
            options = sized(AttributeOptions)
            options.report = ctypes.pointer(report)
            return self.neurotap.values(attribute(count, byref(options)), (count, *x.shape))

        def close():
            free(handle)
            for selector in selectors:
                library.ntap_selector_free(selector)

        return Job(run, result, report.as_dict, close)

    def _attribution(self, gradient, handle, selectors):
        """One neuron by the one function, several by the other; little Python around them."""
        inputs, grads, error = (c_void_p * 1)(handle.value), (c_void_p * 1)(), Error()
        rows = (c_void_p * len(selectors))(*(selector.value for selector in selectors))
        one = self.neurotap.library.ntap_neuron_gradient_attribute
        many = self.neurotap.library.ntap_neuron_gradient_attribute_many
        first, failure = selectors[0], byref(error)

        def attribute(count, options):
            if count == 1:
                failed = one(gradient, inputs, 1, first, options, grads, failure)
            else:
                failed = many(gradient, inputs, 1, rows, count, options, grads, failure)
            if failed:
                raise RuntimeError(error.message.decode())
            return c_void_p(grads[0])

        return attribute


def as_text(neuron):
    return ",".join(map(str, neuron))


# The same by hand in C++


class LibtorchLibrary:
    def __init__(self, path):
        self.library = ctypes.CDLL(str(path))
        out = ctypes.POINTER(c_void_p)
        signatures = {
            "peer_model_load": [c_char_p, c_char_p, out],
            "peer_job_new": [c_void_p, c_void_p, c_size_t, c_void_p, c_char_p, c_void_p, c_size_t,
                             c_size_t, out],
            "peer_job_run": [c_void_p, c_size_t, ctypes.POINTER(c_double)],
            "peer_job_take": [c_void_p, c_void_p],
        }
        for name, parameters in signatures.items():
            getattr(self.library, name).argtypes = parameters
        for name in ("peer_model_free", "peer_job_free", "peer_job_clear"):
            function = getattr(self.library, name)
            function.restype, function.argtypes = None, [c_void_p]
        self.library.peer_error.restype = c_char_p

    def call(self, name, *arguments):
        if getattr(self.library, name)(*arguments) != 0:
            raise RuntimeError(self.library.peer_error().decode())


class LibtorchPeer:
    name = "libtorch"

    def __init__(self, library, files: ModelFiles):
        self.peer, self.files, self.models = library, files, {}
        self.device = str(files.device).encode()
        self.synchronize = synchronizer(files.device)

    def close(self):
        for model in self.models.values():
            self.peer.library.peer_model_free(model)

    def _model_up_to(self, layer):
        if layer not in self.models:
            model = c_void_p()
            path = str(self.files.up_to(layer)).encode()
            self.peer.call("peer_model_load", path, self.device, byref(model))
            self.models[layer] = model
        return self.models[layer]

    def prepare(self, layer, neurons, x):
        indices = (c_int64 * (len(neurons) * len(neurons[0])))(*sum(neurons, []))
        sizes, job, forward = (c_int64 * x.dim())(*x.shape), c_void_p(), c_double()
        self.peer.call("peer_job_new", self._model_up_to(layer), x.data_ptr(), x.dim(), sizes,
                       self.device, indices, len(neurons), len(neurons[0]), byref(job))
        compute, clear = self.peer.library.peer_job_run, self.peer.library.peer_job_clear
        synchronize, forward_seconds = self.synchronize, byref(forward)

        def run(count):
            if compute(job, count, forward_seconds):
                raise RuntimeError(self.peer.library.peer_error().decode())
            clear(job)
            synchronize()
            return forward.value

        def result(count):
            self.peer.call("peer_job_run", job, count, forward_seconds)
            values = torch.empty(count, *x.shape)
            self.peer.call("peer_job_take", job, values.data_ptr())
            return values

        return Job(run, result, close=lambda: self.peer.library.peer_job_free(job))


# captum


class CaptumPeer:
    """Through captum's public interface, on the model in Python; several neurons in a loop."""

    name = "captum"

    def __init__(self, files: ModelFiles):
        self.model, self.synchronize = build(files.name, files.device), synchronizer(files.device)

    def close(self):
        self.model = None

    def prepare(self, layer, neurons, x):
        attribution = NeuronGradient(self.model, self.model.get_submodule(layer))
        selectors = [neuron[0] if len(neuron) == 1 else tuple(neuron) for neuron in neurons]
        x = x.detach().requires_grad_()  # or captum warns, which takes time

        def gradients(count):
            return [attribution.attribute(x, neuron_selector=selector)
                    for selector in selectors[:count]]

        def run(count):
            gradients(count)
            self.synchronize()
            return 0.0

        def result(count):
            return torch.stack(gradients(count)).detach().cpu()

        return Job(run, result)


def captum_version():
    return captum.__version__ if captum else None


def loaded_files(word):
    """The libraries in this process whose file names contain the word."""
    maps = Path("/proc/self/maps")
    if not maps.exists():
        return []
    paths = {Path(line.split()[-1]) for line in maps.read_text().splitlines() if "/" in line}
    return sorted(str(path) for path in paths if word in path.name)


def blas():
    """What multiplies matrices: the difference is tenfold."""
    if torch.backends.mkl.is_available():
        return "MKL"
    if loaded_files("openblas"):
        return "OpenBLAS"
    return "reference BLAS" if loaded_files("libblas.") else None


def set_threads(count):
    """Inside an operator. An OpenBLAS with threads of its own does not listen to PyTorch."""
    torch.set_num_threads(count)
    for path in loaded_files("openblas"):
        setter = getattr(ctypes.CDLL(path), "openblas_set_num_threads", None)
        if setter is not None:
            setter(count)


class Workshop:
    """Loads the libraries once and makes peers for models."""

    def __init__(self, build_folder):
        build_folder = Path(build_folder)
        self.neurotap = NeurotapLibrary(build_folder / "libneurotap.so")
        self.libtorch = LibtorchLibrary(build_folder / "bench" / "libneurotap_bench_peer.so")
        copies = loaded_files("libtorch_cpu")
        if len(copies) > 1:  # no comparison would be fair
            raise RuntimeError("Python's torch and neurotap use different copies of libtorch: "
                               + ", ".join(copies))

    def peer_names(self):
        return ["neurotap", "libtorch"] + (["captum"] if captum else [])

    def make(self, name, files):
        if name == "neurotap":
            return NeurotapPeer(self.neurotap, files)
        if name == "libtorch":
            return LibtorchPeer(self.libtorch, files)
        return CaptumPeer(files)

    def libtorch_version(self):
        return self.neurotap.library.ntap_torch_version().decode()
