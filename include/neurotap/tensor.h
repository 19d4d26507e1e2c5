/**
 * @file tensor.h
 * @brief Tensors: n-dimensional arrays of one element type on one device.
 *
 * An ntap_tensor is a handle to a libtorch tensor (`at::Tensor`). Several handles may share the
 * same memory; freeing one never affects the others. Sizes and strides count **elements**, never
 * bytes, and dimension 0 comes first.
 *
 * Simple use: ntap_tensor_from_blob() or ntap_tensor_read_npy() to get one, ntap_tensor_data() or
 * ntap_tensor_copy_to_host() to look inside, ntap_tensor_free() to be done with it.
 * To compute with tensors, see operator.h; to share them with other array libraries, dlpack.h.
 */
#ifndef NEUROTAP_TENSOR_H
#define NEUROTAP_TENSOR_H

#include <neurotap/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup tensor Tensor
 *  @brief Arrays of one element type on one device; files.
 *  @{ */

/** A tensor. */
typedef struct ntap_tensor ntap_tensor;

/** Releases the memory behind ntap_tensor_from_blob(). Called exactly once, on whichever thread
 *  drops the last reference; it must not call into neurotap. */
typedef void (*ntap_deleter)(void *data, void *context);

/**
 * Makes a tensor over existing memory, without copying (as `torch::from_blob`).
 *
 * @param data     the element at index 0 of every dimension; NULL only if the tensor has no
 *                 elements. It must be a multiple of an element's size, and stay valid, and large
 *                 enough for the sizes and strides, until the deleter runs (or, without one, until
 *                 no tensor refers to it any more).
 * @param ndim     the number of dimensions; 0 for a scalar
 * @param sizes    @p ndim sizes, none negative; may be NULL if @p ndim is 0
 * @param strides  @p ndim strides in elements, none negative; NULL for C order
 * @param dtype    any but NTAP_DTYPE_NONE
 * @param device   where @p data lives
 * @param deleter  called when the last reference is gone; NULL if there is nothing to release
 * @param context  handed to the deleter
 * @param[out] tensor  the tensor
 * @param err      filled on failure; may be NULL
 * @return NTAP_OK, or NTAP_ERROR_INVALID_ARGUMENT, NTAP_ERROR_DTYPE, NTAP_ERROR_DEVICE; on failure
 *         the deleter is not called and @p data stays the caller's
 */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_tensor_from_blob(
    void *data, size_t ndim, const int64_t *sizes, const int64_t *strides, ntap_dtype dtype,
    ntap_device device, ntap_deleter deleter, void *context, ntap_tensor **tensor, ntap_error *err);

/** Makes a tensor with undefined contents, in C order. Parameters as for ntap_tensor_from_blob().
 */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_tensor_empty(size_t ndim, const int64_t *sizes,
                                                       ntap_dtype dtype, ntap_device device,
                                                       ntap_tensor **tensor, ntap_error *err);

/** Makes a tensor of zeros, in C order. Parameters as for ntap_tensor_from_blob(). */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_tensor_zeros(size_t ndim, const int64_t *sizes,
                                                       ntap_dtype dtype, ntap_device device,
                                                       ntap_tensor **tensor, ntap_error *err);

/** Copies a tensor into memory of its own, in C order, with the same dtype, device and values.
 *  The clone carries no autograd graph. */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_tensor_clone(const ntap_tensor *tensor,
                                                       ntap_tensor **clone, ntap_error *err);

/**
 * Converts a tensor to another device, another dtype, or both (as `at::Tensor::to`).
 * @param tensor  any; it stays as it is
 * @param device  NULL keeps the device
 * @param dtype   NTAP_DTYPE_NONE keeps the dtype
 * @param[out] converted  a new handle; it shares memory with @p tensor if nothing had to change
 * @param err     filled on failure; may be NULL
 * @return NTAP_OK, or NTAP_ERROR_INVALID_ARGUMENT, NTAP_ERROR_DTYPE, NTAP_ERROR_DEVICE (the
 *         machine has no such device), NTAP_ERROR_OUT_OF_MEMORY, NTAP_ERROR_DEVICE_OUT_OF_MEMORY
 */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_tensor_to(const ntap_tensor *tensor,
                                                    const ntap_device *device, ntap_dtype dtype,
                                                    ntap_tensor **converted, ntap_error *err);

/** Releases the handle, and the memory if this was the last reference to it. NULL is allowed. */
NTAP_API void ntap_tensor_free(ntap_tensor *tensor);

/** The number of dimensions; 0 for a scalar and for NULL. */
NTAP_API size_t ntap_tensor_ndim(const ntap_tensor *tensor);

/** The size of a dimension in elements; -1 if there is no such dimension. */
NTAP_API int64_t ntap_tensor_size(const ntap_tensor *tensor, size_t dim);

/** The distance in memory between neighbours along a dimension, in elements; -1 if there is no such
 *  dimension or the tensor is not strided (a sparse one, for example). */
NTAP_API int64_t ntap_tensor_stride(const ntap_tensor *tensor, size_t dim);

/** The number of elements: the product of the sizes; 0 for NULL. */
NTAP_API int64_t ntap_tensor_numel(const ntap_tensor *tensor);

/** The element type; NTAP_DTYPE_NONE for NULL and for types that ntap_dtype does not name
 *  (quantised ones, for example). */
NTAP_API ntap_dtype ntap_tensor_dtype(const ntap_tensor *tensor);

/** The device; the CPU for NULL. */
NTAP_API ntap_device ntap_tensor_device(const ntap_tensor *tensor);

/** 1 if the elements lie in C order without gaps, else 0. */
NTAP_API int ntap_tensor_is_contiguous(const ntap_tensor *tensor);

/**
 * The address of the first element in host memory, to read through. Step with
 * ntap_tensor_stride(). NULL if the tensor is not on the CPU, has no elements, or is not strided;
 * ntap_tensor_copy_to_host() reads any tensor. It lives as long as the tensor's memory.
 */
NTAP_API const void *ntap_tensor_data(const ntap_tensor *tensor);

/** As ntap_tensor_data(), to write through. Every handle that shares the memory sees the change: a
 *  module too, if a value that it returned shows its parameters. It keeps rearranged copies of
 * them, and asking for this address is what tells it to make new ones: ask anew for every round of
 *  writing, between runs. */
NTAP_API void *ntap_tensor_mutable_data(ntap_tensor *tensor);

/**
 * Copies all elements, in C order, from any device into the caller's buffer.
 * @param tensor  any but a quantised one
 * @param buffer  at least @p size bytes
 * @param size    exactly ntap_tensor_numel() × ntap_dtype_size() bytes, as a check
 * @param err     filled on failure; may be NULL
 * @return NTAP_OK, or NTAP_ERROR_INVALID_ARGUMENT, NTAP_ERROR_SHAPE (wrong size),
 *         NTAP_ERROR_DTYPE (a type that ntap_dtype does not name)
 */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_tensor_copy_to_host(const ntap_tensor *tensor,
                                                              void *buffer, size_t size,
                                                              ntap_error *err);

/**
 * Reads a NumPy array file (`.npy`, format versions 1 to 3, C or Fortran order, either byte order)
 * into a new CPU tensor in C order. The path may name a pipe.
 * Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 * @return NTAP_OK, or NTAP_ERROR_FILE (missing, truncated, malformed), NTAP_ERROR_DTYPE (an
 *         element type without an ntap_dtype: strings, records, objects, unsigned 16 to 64 bits)
 */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_tensor_read_npy(const char *path, ntap_tensor **tensor,
                                                          ntap_error *err);

/** Writes a tensor, from any device, as a NumPy array file (version 1.0, C order, little-endian).
 *  An existing file is replaced. bfloat16 has no NumPy type: NTAP_ERROR_DTYPE. On failure the file
 *  may be left incomplete; NTAP_ERROR_FILE says why. */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_tensor_write_npy(const ntap_tensor *tensor,
                                                           const char *path, ntap_error *err);

/**
 * Reads a tensor that Python's `torch.save(tensor, path)` or C++'s `torch::save` wrote (the zip
 * format, which has been the default since PyTorch 1.6), onto the CPU. Plain tensors only: save an
 * `nn.Parameter` as `parameter.detach()`, since libtorch before 2.14 cannot read it otherwise. The
 * archive is checked before libtorch parses it; see ntap_module_load().
 * @return NTAP_OK, or NTAP_ERROR_FILE (missing, malformed, or not holding exactly one tensor)
 */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_tensor_read_pt(const char *path, ntap_tensor **tensor,
                                                         ntap_error *err);

/** Writes a tensor so that Python's `torch.load(path)` returns it. The elements are stored from the
 *  CPU, in C order. An existing file is replaced. */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_tensor_write_pt(const ntap_tensor *tensor,
                                                          const char *path, ntap_error *err);

/** @} */

#ifdef __cplusplus
}
#endif

#endif /* NEUROTAP_TENSOR_H */
