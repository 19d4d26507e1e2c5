/**
 * @file torch_bridge.h
 * @brief Objects of libtorch as neurotap's and back, for programs that hold both. No copies.
 *
 * For C++ there is torch.hpp, which wraps these functions in the types that they are about. They
 * are for other languages' bindings, and for what has only a C interface: the shim under
 * AOTInductor, for example.
 *
 * The objects are passed as pointers, which nothing can check. They must be of the very libtorch
 * that neurotap uses, of the version that ntap_torch_version() names: the same shared library, and
 * compiled against its headers.
 */
#ifndef NEUROTAP_TORCH_BRIDGE_H
#define NEUROTAP_TORCH_BRIDGE_H

#include <neurotap/base.h>
#include <neurotap/module.h>
#include <neurotap/tensor.h>
#include <neurotap/value.h>

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup torch_bridge Bridge to libtorch
 *  @brief libtorch's objects, for bindings to C++ and other languages.
 *  @{ */

/** A tensor of libtorch. A pointer to it is what libtorch's own C interface calls an
 *  AtenTensorHandle, and in C++ the address of an `at::Tensor`. */
struct AtenTensorOpaque;

/**
 * Makes a tensor of one of libtorch's. It shares the memory, and the autograd graph if there is
 * one.
 * @param handle  stays the caller's, who may release it afterwards
 * @param[out] tensor  a handle to the same tensor
 * @param err     filled on failure; may be NULL
 * @return NTAP_OK, or NTAP_ERROR_INVALID_ARGUMENT (NULLs; an undefined tensor),
 * NTAP_ERROR_UNSUPPORTED (a nested tensor, which has no sizes)
 */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_tensor_from_aten(const struct AtenTensorOpaque *handle,
                                                           ntap_tensor **tensor, ntap_error *err);

/** The tensor as libtorch's, lent for as long as @p tensor lives: to be copied or passed on,
 * neither released nor made another tensor. NULL for NULL. */
NTAP_API struct AtenTensorOpaque *ntap_tensor_as_aten(const ntap_tensor *tensor);

/**
 * Makes a value of a `c10::IValue`. Its tensors are shared; lists and dictionaries are copied, so
 * that neither sees what the other is changed to.
 * @param ivalue  stays the caller's
 * @param[out] value  the value
 * @param err     filled on failure; may be NULL
 */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_value_from_ivalue(const void *ivalue, ntap_value **value,
                                                            ntap_error *err);

/**
 * Assigns a value to a `c10::IValue`. The type of a list or dictionary is that which all its items
 * have in common, otherwise Any; an empty list is one of tensors.
 * @param value   stays the caller's
 * @param ivalue  an existing `c10::IValue`, None for example
 * @param err     filled on failure; may be NULL
 * @return NTAP_OK, or NTAP_ERROR_INVALID_ARGUMENT (NULLs)
 */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_value_to_ivalue(const ntap_value *value, void *ivalue,
                                                          ntap_error *err);

/**
 * Makes a module of a `torch::jit::Module`.
 *
 * It is the caller's own model: parameters and buffers are shared, and nothing of it is changed,
 * neither `requires_grad` nor `.grad` nor whether it is in training mode. What the caller does to
 * it later is followed: train() and eval(), to(), weights that are written to or replaced,
 * attributes. Its layers are those that it has now. ntap_module_to() moves the caller's model too.
 *
 * Not to be changed while another thread uses the module, or anything made from it.
 *
 * A model that was loaded in c10::InferenceMode runs, but libtorch cannot differentiate it.
 *
 * @param jit_module  a `torch::jit::Module`, which may be destroyed before the result
 * @param method      as ntap_load_options.method; NULL: "forward"
 * @param[out] module  the module
 * @param err         filled on failure; may be NULL
 * @return NTAP_OK, or NTAP_ERROR_INVALID_ARGUMENT (NULLs), NTAP_ERROR_NOT_FOUND (no such method)
 */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_module_from_jit(const void *jit_module,
                                                          const char *method, ntap_module **module,
                                                          ntap_error *err);

/** @} */

#ifdef __cplusplus
}
#endif

#endif /* NEUROTAP_TORCH_BRIDGE_H */
