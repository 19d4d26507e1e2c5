/**
 * @file operator.h
 * @brief Computing with tensors: any ATen operator by name, and helpers over the common ones.
 *
 * These are what callbacks compute with: selectors, hooks, forward functions. In a neuron gradient
 * autograd records what they do; elsewhere they simply compute. Each gives a new handle and leaves
 * its arguments alone (unless the operator itself is an in-place one, such as "aten::add_.Tensor").
 * Views share their argument's memory, as in libtorch: ntap_tensor_select(), ntap_tensor_slice(),
 * mostly ntap_tensor_reshape(), and operators such as "aten::transpose.int". ntap_tensor_clone()
 * what shall be written to.
 *
 * The helpers work on every device, in any dtype that libtorch's operator takes, and from several
 * threads at once. They return NTAP_OK, NTAP_ERROR_INVALID_ARGUMENT (an argument is NULL),
 * NTAP_ERROR_MODEL (libtorch refuses: a dimension out of range, shapes or dtypes that do not go
 * together; the message says which), or an out-of-memory status. Results are the caller's to free.
 */
#ifndef NEUROTAP_OPERATOR_H
#define NEUROTAP_OPERATOR_H

#include <neurotap/base.h>
#include <neurotap/tensor.h>
#include <neurotap/value.h>

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup operator Operator
 *  @brief Computing with tensors, in callbacks and elsewhere.
 *  @{ */

/**
 * Calls an operator by its name and overload, such as "aten::relu" or "aten::sum.dim_IntList".
 *
 * The names and parameters are those of PyTorch's native_functions.yaml. Arguments are positional,
 * in the order of the operator's schema, its keyword-only parameters included; what is left out at
 * the end takes its default. A `ScalarType` parameter takes a string such as "float64"; a `Device`
 * parameter takes a string such as "cpu".
 *
 * @param name    namespace, name and overload. Without an overload, the one without a name is meant
 *                ("aten::max"), or else the first in libtorch's order that the arguments fit:
 *                "aten::add" of two tensors is "aten::add.Tensor". Overloads that write into an
 *                argument ("aten::add.out") have to be named. Naming it is faster, too.
 * @param args    @p n_args values; NULL if there are none
 * @param n_args  how many
 * @param outs    room for @p n_outs results; each is the caller's to free
 * @param n_outs  exactly the number of the operator's results
 * @param err     filled on failure; may be NULL
 * @return NTAP_OK, or NTAP_ERROR_NOT_FOUND (no such operator; the message lists near ones),
 *         NTAP_ERROR_INVALID_ARGUMENT (an argument does not fit, or the count of results is
 *         wrong; without an overload's name, nothing fits, and the message lists them),
 * NTAP_ERROR_MODEL (the operator raised an error), or an out-of-memory status
 *
 * Safe from several threads at once.
 *
 * libtorch checks most arguments, but not all: a few operators trust their callers and read out of
 * bounds when, for example, an index tensor is wrong. Pass what the operator's documentation
 * allows.
 *
 * Operators run under the caller's grad mode. Some have effects beyond their results, such as
 * drawing random numbers; that is then the caller's doing.
 */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_call_op(const char *name, const ntap_value *const *args,
                                                  size_t n_args, ntap_value **outs, size_t n_outs,
                                                  ntap_error *err);

/** One index of a dimension, which disappears (`aten::select`): [2, 3, 4] at dim 1 gives [2, 4].
 *  Negative @p dim and @p index count from the end. It shares @p tensor's memory. */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_tensor_select(const ntap_tensor *tensor, int64_t dim,
                                                        int64_t index, ntap_tensor **selected,
                                                        ntap_error *err);

/** A range of a dimension (`aten::slice`): elements start, start + step, … below @p stop. Negative
 *  @p dim, @p start and @p stop count from the end; ends are clipped; @p step is at least 1.
 *  It shares @p tensor's memory. */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_tensor_slice(const ntap_tensor *tensor, int64_t dim,
                                                       int64_t start, int64_t stop, int64_t step,
                                                       ntap_tensor **sliced, ntap_error *err);

/** The same elements in another shape (`aten::reshape`); one size may be -1. It shares @p tensor's
 *  memory where strides allow, and is a copy elsewhere. */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_tensor_reshape(const ntap_tensor *tensor, size_t ndim,
                                                         const int64_t *sizes,
                                                         ntap_tensor **reshaped, ntap_error *err);

/** The sum over the given dimensions, which disappear (`aten::sum`); over all of them if
 *  @p n_dims is 0 (@p dims may be NULL then), giving a scalar. Integers sum to int64. */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_tensor_sum(const ntap_tensor *tensor, const int64_t *dims,
                                                     size_t n_dims, ntap_tensor **sum,
                                                     ntap_error *err);

/** The mean over the given dimensions (`aten::mean`); as ntap_tensor_sum(), but of floating-point
 *  or complex tensors only. */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_tensor_mean(const ntap_tensor *tensor,
                                                      const int64_t *dims, size_t n_dims,
                                                      ntap_tensor **mean, ntap_error *err);

/** Element by element, with broadcasting: a + b (`aten::add`). */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_tensor_add(const ntap_tensor *a, const ntap_tensor *b,
                                                     ntap_tensor **sum, ntap_error *err);

/** Element by element, with broadcasting: a − b (`aten::sub`). */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_tensor_sub(const ntap_tensor *a, const ntap_tensor *b,
                                                     ntap_tensor **difference, ntap_error *err);

/** Element by element, with broadcasting: a × b (`aten::mul`). */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_tensor_mul(const ntap_tensor *a, const ntap_tensor *b,
                                                     ntap_tensor **product, ntap_error *err);

/** Every element times a number (`aten::mul`); of integers, a float32. */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_tensor_scale(const ntap_tensor *tensor, double factor,
                                                       ntap_tensor **scaled, ntap_error *err);

/** @} */

#ifdef __cplusplus
}
#endif

#endif /* NEUROTAP_OPERATOR_H */
