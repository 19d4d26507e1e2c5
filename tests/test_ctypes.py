"""The library from Python, without a compiler: its ABI is plain C.

    test_ctypes.py libneurotap.so EXAMPLES FIXTURES
"""

import sys

library, examples, fixtures = sys.argv[1:]
sys.path.insert(0, examples)
from neuron_gradient import HookCallback, Neurotap  # noqa: E402

neurotap = Neurotap(library)
NTAP_ERROR_STOPPED = 11


def fixture(name):
    return f"{fixtures}/{name}".encode()


def read(name):
    return neurotap.make("ntap_tensor_read_npy", fixture(name))


module = neurotap.make("ntap_module_load", fixture("cnn.scripted.pt"), None)
gradient = neurotap.make("ntap_neuron_gradient_new", module, b"conv2", None)
selector = neurotap.make("ntap_selector_parse", b"1,0,1")
image = read("cnn.x.npy")


def test_attribution_is_captums():
    expected = neurotap.elements(read("cnn.conv2.output.1_0_1.grad.npy"))
    actual = neurotap.elements(neurotap.attribute(gradient, selector, image))
    largest = max(map(abs, expected))
    assert largest > 0 and len(actual) == len(expected)
    assert all(abs(a - e) <= 1e-5 * largest for a, e in zip(actual, expected))


def test_errors_have_their_message():
    try:
        neurotap.make("ntap_neuron_gradient_new", module, b"conv7", None)
    except RuntimeError as error:
        assert "layer 'conv7' not found; did you mean 'conv1'" in str(error)
    else:
        raise AssertionError("no error")


def test_hooks_see_and_stop():
    seen = []

    @HookCallback
    def stop(call, _context, _replacement, error):
        seen.append((call.contents.layer, call.contents.call, bool(call.contents.output)))
        error.contents.message = b"seen enough"
        return NTAP_ERROR_STOPPED

    hook = neurotap.make("ntap_module_add_forward_hook", module, b"bn1", stop, None, None)
    try:
        neurotap.attribute(gradient, selector, image)
    except RuntimeError as error:
        assert str(error) == "seen enough"
    else:
        raise AssertionError("no error")
    neurotap.library.ntap_hook_remove(hook)
    neurotap.attribute(gradient, selector, image)
    assert seen == [(b"bn1", 1, True)]


for name, test in list(globals().items()):
    if name.startswith("test_"):
        test()
        print("passed:", name)
