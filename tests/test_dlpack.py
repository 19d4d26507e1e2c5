#!/usr/bin/env python3
"""DLPack with NumPy on the other side: both see the same memory, and each lets go of it.

    test_dlpack.py LIBRARY
"""
import ctypes
import sys
import unittest

import numpy as np

NUMPY = np.lib.NumpyVersion(np.__version__)

library = ctypes.CDLL(sys.argv.pop(1))
library.ntap_tensor_data.restype = ctypes.c_void_p
library.ntap_tensor_mutable_data.restype = ctypes.c_void_p
library.ntap_tensor_ndim.restype = ctypes.c_size_t
library.ntap_tensor_stride.restype = ctypes.c_int64
library.ntap_tensor_stride.argtypes = [ctypes.c_void_p, ctypes.c_size_t]

DTYPES = {  # ntap_dtype; NumPy has no bfloat16
    "bool": 1, "uint8": 2, "int8": 3, "int16": 4, "int32": 5, "int64": 6, "float16": 7,
    "float32": 9, "float64": 10, "complex64": 11, "complex128": 12,
}
try:
    np.zeros(1, bool).__dlpack__()
except BufferError:
    print(f"skipped: NumPy {np.__version__} exchanges no bool")
    del DTYPES["bool"]

Deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)


class Device(ctypes.Structure):  # ntap_device
    _fields_ = [("type", ctypes.c_int), ("index", ctypes.c_int32)]


class Error(ctypes.Structure):  # ntap_error
    _fields_ = [("code", ctypes.c_int), ("truncated", ctypes.c_int),
                ("message", ctypes.c_char * 1024)]


class Refused(Exception):
    pass


def call(name, *args):
    error = Error()
    if getattr(library, name)(*args, ctypes.byref(error)) != 0:
        raise Refused(error.message.decode())


# Python's capsules. Destructors get capsules that are no objects any more: hence addresses.
Destructor = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)


def python_api(name, result, *args):
    return ctypes.PYFUNCTYPE(result, *args)((name, ctypes.pythonapi))


capsule_new = python_api(
    "PyCapsule_New", ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, Destructor)
capsule_is_valid = python_api(
    "PyCapsule_IsValid", ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)
capsule_pointer = python_api(
    "PyCapsule_GetPointer", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)
capsule_set_name = python_api("PyCapsule_SetName", ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)


class Form:
    """Legacy or versioned: what capsules are called, and where the struct has its deleter."""

    def __init__(self, suffix, name, deleter_offset, numpy_arguments):
        self.from_dlpack = "ntap_tensor_from_dlpack" + suffix
        self.to_dlpack = "ntap_tensor_to_dlpack" + suffix
        self.name = name
        self.used_name = b"used_" + name
        self.deleter_offset = deleter_offset
        self.numpy_arguments = numpy_arguments
        self.destructor = Destructor(self.destroy)

    def destroy(self, capsule):
        """Who took the memory has renamed the capsule; otherwise it goes back."""
        if capsule_is_valid(capsule, self.name):
            managed = capsule_pointer(capsule, self.name)
            deleter = ctypes.c_void_p.from_address(managed + self.deleter_offset).value
            ctypes.CFUNCTYPE(None, ctypes.c_void_p)(deleter)(managed)


LEGACY = Form("", b"dltensor", 48 + 8, {})
VERSIONED = Form("_versioned", b"dltensor_versioned", 8 + 8, {"max_version": (1, 0)})


class Tensor:
    """An ntap_tensor, as an object that NumPy can borrow from."""

    def __init__(self, form):
        self.form = form
        self.handle = ctypes.c_void_p()

    @classmethod
    def from_numpy(cls, array, form):
        tensor = cls(form)
        capsule = array.__dlpack__(**form.numpy_arguments)
        managed = ctypes.c_void_p(capsule_pointer(id(capsule), form.name))
        call(form.from_dlpack, managed, ctypes.byref(tensor.handle))
        capsule_set_name(id(capsule), form.used_name)
        return tensor

    @classmethod
    def over(cls, array, form, deleter=Deleter()):
        """A tensor in the memory of an array, but not through DLPack."""
        tensor = cls(form)
        sizes = (ctypes.c_int64 * array.ndim)(*array.shape)
        strides = (ctypes.c_int64 * array.ndim)(*(s // array.itemsize for s in array.strides))
        call("ntap_tensor_from_blob", ctypes.c_void_p(array.ctypes.data),
             ctypes.c_size_t(array.ndim), sizes, strides, DTYPES[array.dtype.name], Device(0, 0),
             deleter, None, ctypes.byref(tensor.handle))
        return tensor

    def __dlpack__(self, **_):
        managed = ctypes.c_void_p()
        call(self.form.to_dlpack, self.handle, ctypes.byref(managed))
        return capsule_new(managed, self.form.name, self.form.destructor)

    def __dlpack_device__(self):
        return (1, 0)

    def address(self):
        return library.ntap_tensor_data(self.handle)

    def dtype(self):
        return library.ntap_tensor_dtype(self.handle)

    def strides(self):
        ndim = library.ntap_tensor_ndim(self.handle)
        return tuple(library.ntap_tensor_stride(self.handle, dim) for dim in range(ndim))

    def elements(self, like):
        copy = np.empty(like.shape, like.dtype)
        call("ntap_tensor_copy_to_host", self.handle, copy.ctypes, ctypes.c_size_t(copy.nbytes))
        return copy

    def write_first_byte(self, byte):
        ctypes.memset(library.ntap_tensor_mutable_data(self.handle), byte, 1)

    def free(self):
        library.ntap_tensor_free(self.handle)


class Deletions:
    """Counts how often the library calls its deleter."""

    def __init__(self):
        self.count = 0
        self.deleter = Deleter(self.delete)

    def delete(self, _data, _context):
        self.count += 1


def numbers(dtype, shape=(2, 3)):
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


class BothForms:
    """The tests; a subclass says with which form."""

    # NumPy lends, neurotap borrows.

    def check_borrowed(self, array):
        tensor = Tensor.from_numpy(array, self.form)
        self.assertEqual(tensor.address(), array.ctypes.data)
        self.assertEqual(tensor.dtype(), DTYPES[array.dtype.name])
        self.assertEqual(tensor.strides(), tuple(s // array.itemsize for s in array.strides))
        np.testing.assert_array_equal(tensor.elements(array), array)
        array[...] = array[::-1].copy()
        np.testing.assert_array_equal(tensor.elements(array), array)
        tensor.write_first_byte(1)
        self.assertEqual(array.tobytes()[0], 1)
        tensor.free()

    def test_every_dtype_is_borrowed(self):
        for dtype in DTYPES:
            with self.subTest(dtype):
                self.check_borrowed(numbers(dtype))

    def test_views_are_borrowed(self):
        cube = numbers("float32", (4, 5, 6))
        for view in [cube.T, cube[1:, ::2, 3:], np.asfortranarray(cube), cube[2], cube[:, 1, 1]]:
            with self.subTest(strides=view.strides):
                self.check_borrowed(view)

    def test_scalars_and_no_elements_are_borrowed(self):
        for array in [np.array(2.5), np.zeros((0, 3))]:
            tensor = Tensor.from_numpy(array, self.form)
            np.testing.assert_array_equal(tensor.elements(array), array)
            tensor.free()

    def test_the_array_is_kept_as_long_as_the_tensor(self):
        array = numbers("float64")
        before = sys.getrefcount(array)
        tensor = Tensor.from_numpy(array, self.form)
        self.assertEqual(sys.getrefcount(array), before + 1)
        tensor.free()
        self.assertEqual(sys.getrefcount(array), before)

    def test_the_tensor_outlives_the_name_of_the_array(self):
        array = numbers("float64")
        expected = array.copy()
        tensor = Tensor.from_numpy(array, self.form)
        del array
        np.testing.assert_array_equal(tensor.elements(expected), expected)
        tensor.free()

    def test_what_is_refused_stays_with_numpy(self):
        array = numbers("float64")
        before = sys.getrefcount(array)
        with self.assertRaisesRegex(Refused, r"strides\[0\] is -3; expected at least 0"):
            Tensor.from_numpy(array[::-1], self.form)
        self.assertEqual(sys.getrefcount(array), before)

    # neurotap lends, NumPy borrows.

    def check_lent(self, memory):
        tensor = Tensor.over(memory, self.form)
        array = np.from_dlpack(tensor)
        self.assertEqual(array.ctypes.data, memory.ctypes.data)
        self.assertEqual(array.dtype, memory.dtype)
        self.assertEqual(array.strides, memory.strides)
        np.testing.assert_array_equal(array, memory)
        tensor.write_first_byte(1)
        self.assertEqual(array.tobytes()[0], 1)
        del array
        tensor.free()

    def test_every_dtype_is_lent(self):
        for dtype in DTYPES:
            with self.subTest(dtype):
                self.check_lent(numbers(dtype))

    def test_views_are_lent(self):
        cube = numbers("float32", (4, 5, 6))
        for view in [cube.T, cube[1:, ::2, 3:], np.asfortranarray(cube), cube[2], cube[:, 1, 1]]:
            with self.subTest(strides=view.strides):
                self.check_lent(view)

    def test_scalars_and_no_elements_are_lent(self):
        for memory in [np.array(2.5), np.zeros((0, 3))]:
            tensor = Tensor.over(memory, self.form)
            np.testing.assert_array_equal(np.from_dlpack(tensor), memory)
            tensor.free()

    def test_the_array_outlives_the_tensor(self):
        memory = numbers("float64")
        deletions = Deletions()
        tensor = Tensor.over(memory, self.form, deletions.deleter)
        view = np.from_dlpack(tensor)[1:]
        tensor.free()
        self.assertEqual(deletions.count, 0)
        np.testing.assert_array_equal(view, memory[1:])
        del view
        self.assertEqual(deletions.count, 1)

    def test_the_tensor_outlives_the_array(self):
        memory = numbers("float64")
        deletions = Deletions()
        tensor = Tensor.over(memory, self.form, deletions.deleter)
        array = np.from_dlpack(tensor)
        del array
        self.assertEqual(deletions.count, 0)
        np.testing.assert_array_equal(tensor.elements(memory), memory)
        tensor.free()
        self.assertEqual(deletions.count, 1)

    def test_a_capsule_that_nobody_takes_gives_the_memory_back(self):
        memory = numbers("float64")
        deletions = Deletions()
        tensor = Tensor.over(memory, self.form, deletions.deleter)
        capsule = tensor.__dlpack__()
        tensor.free()
        self.assertEqual(deletions.count, 0)
        del capsule
        self.assertEqual(deletions.count, 1)


class Legacy(BothForms, unittest.TestCase):
    form = LEGACY


@unittest.skipUnless(NUMPY >= "2.1.0", f"NumPy {np.__version__} knows only legacy capsules")
class Versioned(BothForms, unittest.TestCase):
    form = VERSIONED

    @unittest.skipUnless(NUMPY >= "2.2.5", "this NumPy borrows only to read: its issue 28599")
    def test_what_numpy_writes_is_read(self):
        memory = numbers("float64")
        tensor = Tensor.over(memory, self.form)
        np.from_dlpack(tensor)[1, 2] = 50
        self.assertEqual(tensor.elements(memory)[1, 2], 50)
        tensor.free()

    def test_read_only_arrays_are_borrowed(self):
        array = numbers("float64")
        array.flags.writeable = False
        tensor = Tensor.from_numpy(array, self.form)
        self.assertEqual(tensor.address(), array.ctypes.data)
        tensor.free()


if __name__ == "__main__":
    unittest.main(verbosity=2)
