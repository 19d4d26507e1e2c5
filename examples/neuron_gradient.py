"""neurotap from another language: its ABI is plain C, so that Python needs no more than ctypes.

    python3 neuron_gradient.py libneurotap.so MODEL LAYER NEURON INPUT.npy

Prints the element of the input that the neuron depends on most, and how often a hook saw the layer.
"""

import ctypes
import sys
from ctypes import POINTER, byref, c_char, c_char_p, c_double, c_int, c_int64, c_size_t, c_void_p


class Error(ctypes.Structure):
    """ntap_error of base.h."""

    _fields_ = [("code", c_int), ("truncated", c_int), ("message", c_char * 1024)]


class HookCall(ctypes.Structure):
    """ntap_hook_call of hook.h."""

    _fields_ = [("layer", c_char_p), ("call", c_int64), ("replica", c_size_t),
                ("inputs", c_void_p), ("output", c_void_p)]


HookCallback = ctypes.CFUNCTYPE(
    c_int, POINTER(HookCall), c_void_p, POINTER(c_void_p), POINTER(Error))


def load_library(path):
    """Declares the functions that are used below, as their headers do."""
    library = ctypes.CDLL(path)
    handle, out = c_void_p, POINTER(c_void_p)
    signatures = {
        "ntap_module_load": (c_int, [c_char_p, handle, out, POINTER(Error)]),
        "ntap_module_add_forward_hook": (
            c_int, [handle, c_char_p, HookCallback, handle, handle, out, POINTER(Error)]),
        "ntap_hook_remove": (None, [handle]),
        "ntap_neuron_gradient_new": (c_int, [handle, c_char_p, handle, out, POINTER(Error)]),
        "ntap_neuron_gradient_attribute": (
            c_int, [handle, out, c_size_t, handle, handle, out, POINTER(Error)]),
        "ntap_selector_parse": (c_int, [c_char_p, out, POINTER(Error)]),
        "ntap_tensor_read_npy": (c_int, [c_char_p, out, POINTER(Error)]),
        "ntap_tensor_to": (c_int, [handle, handle, c_int, out, POINTER(Error)]),
        "ntap_tensor_numel": (c_int64, [handle]),
        "ntap_tensor_copy_to_host": (c_int, [handle, handle, c_size_t, POINTER(Error)]),
    }
    for kind in ("module", "neuron_gradient", "selector", "tensor"):
        signatures[f"ntap_{kind}_free"] = (None, [handle])
    for name, (result, parameters) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, parameters
    return library


class Neurotap:
    """Calls the library; failures become exceptions."""

    FLOAT64 = 10  # NTAP_DTYPE_FLOAT64

    def __init__(self, path):
        self.library = load_library(path)

    def call(self, name, *arguments):
        error = Error()
        if getattr(self.library, name)(*arguments, byref(error)) != 0:
            raise RuntimeError(error.message.decode())

    def make(self, name, *arguments):
        """A call whose last output is a new handle."""
        made = c_void_p()
        self.call(name, *arguments, byref(made))
        return made

    def attribute(self, gradient, selector, tensor):
        """The attribution of a single input."""
        inputs, grads = (c_void_p * 1)(tensor), (c_void_p * 1)()
        self.call("ntap_neuron_gradient_attribute", gradient, inputs, 1, selector, None, grads)
        return c_void_p(grads[0])

    def elements(self, tensor):
        """All elements as Python floats."""
        doubles = self.make("ntap_tensor_to", tensor, None, self.FLOAT64)
        buffer = (c_double * self.library.ntap_tensor_numel(doubles))()
        self.call("ntap_tensor_copy_to_host", doubles, buffer, ctypes.sizeof(buffer))
        self.library.ntap_tensor_free(doubles)
        return list(buffer)


def main(path, model, layer, neuron, input_file):
    neurotap = Neurotap(path)
    module = neurotap.make("ntap_module_load", model.encode(), None)
    gradient = neurotap.make("ntap_neuron_gradient_new", module, layer.encode(), None)
    selector = neurotap.make("ntap_selector_parse", neuron.encode())
    tensor = neurotap.make("ntap_tensor_read_npy", input_file.encode())

    calls = []

    @HookCallback
    def watch(call, _context, _replacement, _error):
        calls.append(call.contents.layer.decode())
        return 0

    hook = neurotap.make("ntap_module_add_forward_hook", module, layer.encode(), watch, None, None)
    attribution = neurotap.attribute(gradient, selector, tensor)
    elements = neurotap.elements(attribution)
    strongest = max(range(len(elements)), key=lambda i: abs(elements[i]))
    print(f"{len(elements)} elements; the neuron depends most on number {strongest}: "
          f"{elements[strongest]:g}; a hook saw {', '.join(calls)}")

    neurotap.library.ntap_hook_remove(hook)
    neurotap.library.ntap_tensor_free(attribution)
    neurotap.library.ntap_tensor_free(tensor)
    neurotap.library.ntap_selector_free(selector)
    neurotap.library.ntap_neuron_gradient_free(gradient)
    neurotap.library.ntap_module_free(module)


if __name__ == "__main__":
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except RuntimeError as failure:
        sys.exit(f"{sys.argv[0]}: {failure}")
