/* Named helpers over the operators that selector callbacks use most. */
#include "internal.h"

enum { MOST_ARGUMENTS = 5 };

/* The arguments of one operator call: made one by one; the first failure ends it. */
typedef struct call {
    ntap_value *args[MOST_ARGUMENTS];
    size_t count;
    ntap_status status;
    ntap_error *err;
} call;

static call begin(ntap_error *err) {
    const call started = {{NULL, NULL, NULL, NULL, NULL}, 0, NTAP_OK, err};
    return started;
}

static void pass_tensor(call *c, const ntap_tensor *tensor) {
    if (c->status == NTAP_OK)
        c->status = ntap_value_new_tensor(tensor, &c->args[c->count], c->err);
    c->count += c->status == NTAP_OK;
}

static void pass_int(call *c, int64_t number) {
    if (c->status == NTAP_OK)
        c->status = ntap_value_new_int(number, &c->args[c->count], c->err);
    c->count += c->status == NTAP_OK;
}

static void pass_double(call *c, double number) {
    if (c->status == NTAP_OK)
        c->status = ntap_value_new_double(number, &c->args[c->count], c->err);
    c->count += c->status == NTAP_OK;
}

enum { MOST_DIMENSIONS = 64 }; /* of libtorch's tensors */

static ntap_status make_ints(const int64_t *numbers, size_t count, ntap_value **list,
                             ntap_error *err) {
    ntap_value *items[MOST_DIMENSIONS] = {NULL};
    ntap_status status = NTAP_OK;
    for (size_t i = 0; status == NTAP_OK && i < count; ++i)
        status = ntap_value_new_int(numbers[i], &items[i], err);
    if (status == NTAP_OK)
        status = ntap_value_new_list((const ntap_value *const *)items, count, list, err);
    for (size_t i = 0; i < count; ++i)
        ntap_value_free(items[i]);
    return status;
}

static void pass_ints(call *c, const char *name, const int64_t *numbers, size_t count) {
    if (c->status != NTAP_OK)
        return;
    if (count > MOST_DIMENSIONS || (count > 0 && numbers == NULL))
        c->status = ntap_error_set(c->err, NTAP_ERROR_INVALID_ARGUMENT, "%s: %s", name,
                                   numbers == NULL ? "is NULL" : "more than 64 numbers");
    else
        c->status = make_ints(numbers, count, &c->args[c->count], c->err);
    c->count += c->status == NTAP_OK;
}

static ntap_status take_tensor(const ntap_value *result, ntap_tensor **tensor, ntap_error *err) {
    const ntap_tensor *borrowed = ntap_value_get_tensor(result);
    if (borrowed == NULL)
        return ntap_error_set(err, NTAP_ERROR_INTERNAL, "the operator gave no tensor");
    return capi_tensor_share(borrowed, tensor, err);
}

/* Calls the operator, which gives one tensor, and releases the arguments. */
static ntap_status finish(call *c, const char *name, ntap_tensor **tensor) {
    ntap_value *result = NULL;
    if (c->status == NTAP_OK && tensor == NULL)
        c->status =
            ntap_error_set(c->err, NTAP_ERROR_INVALID_ARGUMENT, "%s: the output is NULL", name);
    if (c->status == NTAP_OK)
        c->status =
            ntap_call_op(name, (const ntap_value *const *)c->args, c->count, &result, 1, c->err);
    if (c->status == NTAP_OK)
        c->status = take_tensor(result, tensor, c->err);
    ntap_value_free(result);
    for (size_t i = 0; i < c->count; ++i)
        ntap_value_free(c->args[i]);
    return c->status;
}

ntap_status ntap_tensor_select(const ntap_tensor *tensor, int64_t dim, int64_t index,
                               ntap_tensor **selected, ntap_error *err) {
    call c = begin(err);
    pass_tensor(&c, tensor);
    pass_int(&c, dim);
    pass_int(&c, index);
    return finish(&c, "aten::select.int", selected);
}

ntap_status ntap_tensor_slice(const ntap_tensor *tensor, int64_t dim, int64_t start, int64_t stop,
                              int64_t step, ntap_tensor **sliced, ntap_error *err) {
    call c = begin(err);
    pass_tensor(&c, tensor);
    pass_int(&c, dim);
    pass_int(&c, start);
    pass_int(&c, stop);
    pass_int(&c, step);
    return finish(&c, "aten::slice.Tensor", sliced);
}

ntap_status ntap_tensor_reshape(const ntap_tensor *tensor, size_t ndim, const int64_t *sizes,
                                ntap_tensor **reshaped, ntap_error *err) {
    call c = begin(err);
    pass_tensor(&c, tensor);
    pass_ints(&c, "sizes", sizes, ndim);
    return finish(&c, "aten::reshape", reshaped);
}

static ntap_status reduce(const char *all, const char *some, const ntap_tensor *tensor,
                          const int64_t *dims, size_t n_dims, ntap_tensor **result,
                          ntap_error *err) {
    call c = begin(err);
    pass_tensor(&c, tensor);
    if (n_dims > 0)
        pass_ints(&c, "dims", dims, n_dims);
    return finish(&c, n_dims > 0 ? some : all, result);
}

ntap_status ntap_tensor_sum(const ntap_tensor *tensor, const int64_t *dims, size_t n_dims,
                            ntap_tensor **sum, ntap_error *err) {
    return reduce("aten::sum", "aten::sum.dim_IntList", tensor, dims, n_dims, sum, err);
}

ntap_status ntap_tensor_mean(const ntap_tensor *tensor, const int64_t *dims, size_t n_dims,
                             ntap_tensor **mean, ntap_error *err) {
    return reduce("aten::mean", "aten::mean.dim", tensor, dims, n_dims, mean, err);
}

static ntap_status combine(const char *name, const ntap_tensor *a, const ntap_tensor *b,
                           ntap_tensor **result, ntap_error *err) {
    call c = begin(err);
    pass_tensor(&c, a);
    pass_tensor(&c, b);
    return finish(&c, name, result);
}

ntap_status ntap_tensor_add(const ntap_tensor *a, const ntap_tensor *b, ntap_tensor **sum,
                            ntap_error *err) {
    return combine("aten::add.Tensor", a, b, sum, err);
}

ntap_status ntap_tensor_sub(const ntap_tensor *a, const ntap_tensor *b, ntap_tensor **difference,
                            ntap_error *err) {
    return combine("aten::sub.Tensor", a, b, difference, err);
}

ntap_status ntap_tensor_mul(const ntap_tensor *a, const ntap_tensor *b, ntap_tensor **product,
                            ntap_error *err) {
    return combine("aten::mul.Tensor", a, b, product, err);
}

ntap_status ntap_tensor_scale(const ntap_tensor *tensor, double factor, ntap_tensor **scaled,
                              ntap_error *err) {
    call c = begin(err);
    pass_tensor(&c, tensor);
    pass_double(&c, factor);
    return finish(&c, "aten::mul.Scalar", scaled);
}
