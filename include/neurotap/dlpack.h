/**
 * @file dlpack.h
 * @brief Tensors from and to other array libraries, through DLPack, without copying.
 *
 * [DLPack](https://dmlc.github.io/dlpack/latest/) is the struct in which array libraries (NumPy,
 * CuPy, JAX, PyTorch, TVM, ...) lend each other memory. Its header is not needed here: bring the
 * one that your program uses, or none if you only pass pointers on. Two structs exist:
 * `DLManagedTensorVersioned` (DLPack 1.x) and, before it, `DLManagedTensor`. Use the first where
 * the other side knows it.
 *
 * @code
 * DLManagedTensorVersioned *managed = simulation_field(...);
 * if (ntap_tensor_from_dlpack_versioned(managed, &field, &err) != NTAP_OK)
 *     managed->deleter(managed);        // a failure leaves it with the caller
 * ...
 * ntap_tensor_free(field);              // calls managed->deleter, if this was the last reference
 * @endcode
 *
 * Both sides see the same memory, and what one writes the other reads. Neither waits for the other:
 * work on a CUDA device has to be complete, or ordered by its streams, before memory changes hands.
 */
#ifndef NEUROTAP_DLPACK_H
#define NEUROTAP_DLPACK_H

#include <neurotap/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup dlpack DLPack
 *  @brief Tensors shared with other array libraries.
 *  @{ */

struct DLManagedTensor;
struct DLManagedTensorVersioned;

/**
 * Makes a tensor over the memory of a versioned DLPack tensor.
 *
 * Memory on the host (`kDLCPU`, and `kDLCUDAHost`, which is pinned) becomes a tensor on the CPU,
 * memory on `kDLCUDA` (in libtorch's ROCm builds: `kDLROCM`) one on that GPU. Each ntap_dtype has
 * its DLPack type, in one lane. `byte_offset` and strides are honoured; NULL strides mean C order.
 *
 * Of the flags, `READ_ONLY` is accepted, but libtorch cannot express it: neurotap never writes to
 * a tensor by itself, and the caller must not either, through ntap_tensor_mutable_data(), an
 * operator that works in place, or an export of the tensor. `IS_SUBBYTE_TYPE_PADDED` is refused,
 * as are all types of less than a byte.
 *
 * @param managed  on success it belongs to the tensor: its deleter, unless that is NULL, is called
 *                 exactly once, on whichever thread drops the last reference to the memory; it
 *                 must not call into neurotap. On failure it stays the caller's, untouched.
 * @param[out] tensor  the tensor
 * @param err      filled on failure; may be NULL
 * @return NTAP_OK, or NTAP_ERROR_DTYPE (no ntap_dtype for these elements), NTAP_ERROR_DEVICE (a
 *         kind of memory other than these, or a GPU that this machine does not have),
 *         NTAP_ERROR_INVALID_ARGUMENT (a major version other than 1, or fields that make no sense,
 *         such as a negative size or stride)
 */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_tensor_from_dlpack_versioned(
    struct DLManagedTensorVersioned *managed, ntap_tensor **tensor, ntap_error *err);

/** As ntap_tensor_from_dlpack_versioned(), for the legacy struct, which has no version and no
 *  flags. */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_tensor_from_dlpack(struct DLManagedTensor *managed,
                                                             ntap_tensor **tensor, ntap_error *err);

/**
 * Lends a tensor's memory as a versioned DLPack tensor, of version 1.0 and with no flags set.
 *
 * Shape and strides are always written; `data` is the first element, NULL if there are none, and
 * `byte_offset` is 0. A tensor with an autograd graph is lent without it.
 *
 * @param tensor  strided, and with its values in memory: a tensor that PyTorch conjugated or
 *                negated lazily is refused; ntap_tensor_clone() makes a plain one of it
 * @param[out] managed  the DLPack tensor. It keeps the memory alive, also after @p tensor is
 *                 freed, until `managed->deleter(managed)` is called: exactly once, on any thread.
 * @param err     filled on failure; may be NULL
 * @return NTAP_OK, or NTAP_ERROR_DTYPE (the elements are of no ntap_dtype), NTAP_ERROR_DEVICE
 *         (neither on the CPU nor on a GPU), NTAP_ERROR_INVALID_ARGUMENT
 */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_tensor_to_dlpack_versioned(
    const ntap_tensor *tensor, struct DLManagedTensorVersioned **managed, ntap_error *err);

/** As ntap_tensor_to_dlpack_versioned(), with the legacy struct. */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_tensor_to_dlpack(const ntap_tensor *tensor,
                                                           struct DLManagedTensor **managed,
                                                           ntap_error *err);

/** @} */

#ifdef __cplusplus
}
#endif

#endif /* NEUROTAP_DLPACK_H */
