/* Which neuron of a layer: captum's rules for ints, tuples of ints and slices, and callbacks. */
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum selector_kind { SELECT_INDICES, SELECT_CALLBACK } selector_kind;

struct ntap_selector {
    selector_kind kind;
    ntap_selector_callback callback;
    ntap_finalizer finalizer;
    void *context;
    size_t count;
    ntap_index indices[];
};

/* ---- making ---- */

static ntap_selector *allocate(selector_kind kind, size_t count) {
    if (count > (SIZE_MAX - sizeof(ntap_selector)) / sizeof(ntap_index))
        return NULL;
    ntap_selector *selector =
        (ntap_selector *)calloc(1, sizeof *selector + count * sizeof(ntap_index));
    if (selector != NULL) {
        selector->kind = kind;
        selector->count = count;
    }
    return selector;
}

static ntap_status check_index(const ntap_index *index, size_t position, ntap_error *err) {
    if (index->kind != NTAP_INDEX_INT && index->kind != NTAP_INDEX_SLICE)
        return ntap_error_set(err, NTAP_ERROR_INVALID_ARGUMENT,
                              "indices[%zu].kind is %d; expected NTAP_INDEX_INT or "
                              "NTAP_INDEX_SLICE",
                              position, (int)index->kind);
    if (index->kind == NTAP_INDEX_SLICE && index->step < 1)
        return ntap_error_set(err, NTAP_ERROR_INVALID_ARGUMENT,
                              "the step of indices[%zu] is %lld; expected at least 1", position,
                              (long long)index->step);
    return NTAP_OK;
}

ntap_status ntap_selector_new_index(int64_t index, ntap_selector **selector, ntap_error *err) {
    const ntap_index only = ntap_at(index);
    return ntap_selector_new_indices(&only, 1, selector, err);
}

ntap_status ntap_selector_new_indices(const ntap_index *indices, size_t count,
                                      ntap_selector **selector, ntap_error *err) {
    NTAPI_REQUIRE(selector, err);
    if (count > 0)
        NTAPI_REQUIRE(indices, err);
    for (size_t i = 0; i < count; ++i)
        NTAPI_TRY(check_index(&indices[i], i, err));
    ntap_selector *made = allocate(SELECT_INDICES, count);
    if (made == NULL)
        return ntap_error_set(err, NTAP_ERROR_OUT_OF_MEMORY, "out of memory");
    if (count > 0)
        memcpy(made->indices, indices, count * sizeof *indices);
    *selector = made;
    return NTAP_OK;
}

ntap_status ntap_selector_new_callback(ntap_selector_callback callback, void *context,
                                       ntap_finalizer finalizer, ntap_selector **selector,
                                       ntap_error *err) {
    NTAPI_REQUIRE(callback, err);
    NTAPI_REQUIRE(selector, err);
    ntap_selector *made = allocate(SELECT_CALLBACK, 0);
    if (made == NULL)
        return ntap_error_set(err, NTAP_ERROR_OUT_OF_MEMORY, "out of memory");
    made->callback = callback;
    made->finalizer = finalizer;
    made->context = context;
    *selector = made;
    return NTAP_OK;
}

void ntap_selector_free(ntap_selector *selector) {
    if (selector == NULL)
        return;
    if (selector->finalizer != NULL)
        selector->finalizer(selector->context);
    free(selector);
}

/* ---- from a layer's value to its tensor ---- */

static size_t count_tensors(const ntap_value *value, const ntap_tensor **last) {
    const ntap_tensor *tensor = ntap_value_get_tensor(value);
    if (tensor != NULL) {
        *last = tensor;
        return 1;
    }
    size_t count = 0;
    for (size_t i = 0; i < ntap_value_count(value); ++i)
        count += count_tensors(ntap_value_item(value, i), last);
    return count;
}

const ntap_tensor *ntapi_single_tensor(const ntap_value *value) {
    const ntap_tensor *tensor = NULL;
    return count_tensors(value, &tensor) == 1 ? tensor : NULL;
}

enum { DESCRIPTION_SIZE = 256 };

static const char *describe(const ntap_value *value, char *buffer) {
    (void)ntap_value_describe(value, buffer, DESCRIPTION_SIZE);
    return buffer;
}

static int is_real_floating(const ntap_tensor *tensor) {
    switch (ntap_tensor_dtype(tensor)) {
    case NTAP_DTYPE_FLOAT16:
    case NTAP_DTYPE_BFLOAT16:
    case NTAP_DTYPE_FLOAT32:
    case NTAP_DTYPE_FLOAT64:
        return 1;
    default:
        return 0;
    }
}

/* ---- ints and slices ---- */

/* Where errors arise: the selector, and the layer's value that it does not fit. */
typedef struct selection_site {
    const char *layer;
    const char *value; /* described */
    ntap_error *err;
} selection_site;

static ntap_status resolve_int(int64_t index, size_t dim, int64_t size, const selection_site *site,
                               capi_range *range) {
    if (index < -size || index >= size)
        return ntap_error_set(site->err, NTAP_ERROR_SHAPE,
                              "selector: index %lld is out of range for dimension %zu of layer "
                              "'%s', whose value is %s; expected %lld to %lld",
                              (long long)index, dim, site->layer, site->value, (long long)-size,
                              (long long)(size - 1));
    *range = (capi_range){index < 0 ? index + size : index, 1, 1};
    return NTAP_OK;
}

static int64_t clip(int64_t bound, int64_t size) {
    if (bound < 0)
        bound = bound < -size ? 0 : bound + size;
    return bound > size ? size : bound;
}

/* Python's slice.indices() for positive steps. */
static capi_range resolve_slice(const ntap_index *slice, int64_t size) {
    const int64_t start = slice->start == NTAP_OMITTED ? 0 : clip(slice->start, size);
    const int64_t stop = slice->stop == NTAP_OMITTED ? size : clip(slice->stop, size);
    const int64_t count = stop > start ? 1 + (stop - start - 1) / slice->step : 0;
    return (capi_range){start, count, count > 1 ? slice->step : 1};
}

static int has_slice(const ntap_selector *selector) {
    for (size_t i = 0; i < selector->count; ++i)
        if (selector->indices[i].kind == NTAP_INDEX_SLICE)
            return 1;
    return 0;
}

/* Without a slice every dimension needs an index, but for those that have nothing to choose. */
static ntap_status check_count(const ntap_selector *selector, const ntap_tensor *tensor,
                               const selection_site *site) {
    const size_t ndim = ntap_tensor_ndim(tensor);
    if (ndim == 0)
        return ntap_error_set(site->err, NTAP_ERROR_SHAPE,
                              "selector: the value of layer '%s' is a scalar, without a dimension "
                              "for the examples; use a callback",
                              site->layer);
    int fits = selector->count <= ndim - 1;
    for (size_t dim = selector->count + 1; fits && dim < ndim && !has_slice(selector); ++dim)
        fits = ntap_tensor_size(tensor, dim) == 1;
    if (fits)
        return NTAP_OK;
    return ntap_error_set(site->err, NTAP_ERROR_SHAPE,
                          "selector has %zu %s, but the value of layer '%s' is %s; expected %zu "
                          "(one for each dimension after the first), or a slice",
                          selector->count, selector->count == 1 ? "index" : "indices", site->layer,
                          site->value, ndim - 1);
}

static ntap_status resolve(const ntap_selector *selector, const ntap_tensor *tensor,
                           const selection_site *site, capi_range *ranges) {
    const size_t ndim = ntap_tensor_ndim(tensor);
    for (size_t dim = 0; dim < ndim; ++dim) {
        const int64_t size = ntap_tensor_size(tensor, dim);
        ranges[dim] = (capi_range){0, size, 1};
        if (dim == 0 || dim > selector->count)
            continue;
        const ntap_index *index = &selector->indices[dim - 1];
        if (index->kind == NTAP_INDEX_SLICE)
            ranges[dim] = resolve_slice(index, size);
        else
            NTAPI_TRY(resolve_int(index->start, dim, size, site, &ranges[dim]));
    }
    return NTAP_OK;
}

static ntap_status select_from_tensor(const ntap_selector *selector, const ntap_tensor *tensor,
                                      const selection_site *site, ntapi_selection *selection) {
    if (!is_real_floating(tensor))
        return ntap_error_set(site->err, NTAP_ERROR_DTYPE,
                              "the value of layer '%s' is %s, which has no gradient of its own; "
                              "expected a real floating-point type (a callback may compute one)",
                              site->layer, site->value);
    NTAPI_TRY(check_count(selector, tensor, site));
    capi_range *ranges = (capi_range *)calloc(ntap_tensor_ndim(tensor), sizeof *ranges);
    if (ranges == NULL)
        return ntap_error_set(site->err, NTAP_ERROR_OUT_OF_MEMORY, "out of memory");
    ntap_tensor *seed = NULL;
    ntap_status status = resolve(selector, tensor, site, ranges);
    if (status == NTAP_OK)
        status = capi_tensor_indicator(tensor, ranges, &seed, site->err);
    free(ranges);
    if (status == NTAP_OK)
        *selection = (ntapi_selection){tensor, NULL, seed};
    return status;
}

static ntap_status select_indices(const ntap_selector *selector, const ntap_value *layer_value,
                                  const selection_site *site, ntapi_selection *selection) {
    const ntap_tensor *tensor = ntapi_single_tensor(layer_value);
    if (ntap_value_get_kind(layer_value) == NTAP_VALUE_NONE)
        return ntap_error_set(site->err, NTAP_ERROR_NOT_FOUND,
                              "layer '%s' has no value: a trace keeps none for a layer that hands "
                              "on its input, or whose result is not used",
                              site->layer);
    if (tensor == NULL)
        return ntap_error_set(site->err, NTAP_ERROR_SHAPE,
                              "the value of layer '%s' is %s, not a single tensor; use a selector "
                              "callback",
                              site->layer, site->value);
    return select_from_tensor(selector, tensor, site, selection);
}

/* ---- callbacks ---- */

typedef struct callback_call {
    const ntap_selector *selector;
    const ntap_value *layer_value;
    ntap_tensor *neuron;
    ntap_error err;
} callback_call;

static ntap_status run_callback(void *context) {
    callback_call *call = (callback_call *)context;
    return call->selector->callback(call->layer_value, call->selector->context, &call->neuron,
                                    &call->err);
}

/* A callback that has a single tensor to look at gets just that. */
static ntap_status call_callback(callback_call *call) {
    ntap_value *alone = NULL;
    const ntap_tensor *tensor = ntapi_single_tensor(call->layer_value);
    if (tensor != NULL && ntap_value_get_tensor(call->layer_value) == NULL) {
        NTAPI_TRY(ntap_value_new_tensor(tensor, &alone, &call->err));
        call->layer_value = alone;
    }
    const ntap_status status = capi_with_grad_mode(run_callback, call);
    ntap_value_free(alone);
    return status;
}

/* One element, or one for each example: [N], [N, 1], …. */
static int is_neuron_shape(const ntap_tensor *neuron, int64_t batch, const ntap_tensor *tensor) {
    const int64_t numel = ntap_tensor_numel(neuron);
    if (numel == 1)
        return 1;
    const int64_t rows = tensor != NULL ? ntap_tensor_size(tensor, 0) : batch;
    return ntap_tensor_ndim(neuron) > 0 && ntap_tensor_size(neuron, 0) == numel &&
           (numel == batch || numel == rows);
}

static ntap_status check_neuron(const callback_call *call, int64_t batch,
                                const ntap_tensor *layer_tensor, ntap_error *err) {
    char described[DESCRIPTION_SIZE] = "";
    ntap_value *value = NULL;
    if (call->neuron == NULL)
        return ntap_error_set(err, NTAP_ERROR_INVALID_ARGUMENT,
                              "the selector callback succeeded without giving a neuron");
    NTAPI_TRY(ntap_value_new_tensor(call->neuron, &value, err));
    describe(value, described);
    ntap_value_free(value);
    if (!is_neuron_shape(call->neuron, batch, layer_tensor))
        return ntap_error_set(err, NTAP_ERROR_SHAPE,
                              "the selector callback gave %s; expected one element, or one for "
                              "each of %lld examples",
                              described, (long long)batch);
    if (!is_real_floating(call->neuron))
        return ntap_error_set(err, NTAP_ERROR_DTYPE,
                              "the selector callback gave %s; expected a real floating-point type",
                              described);
    return NTAP_OK;
}

/* What the callback says of its failure, or at least that it failed. */
static ntap_status callback_failed(const callback_call *call, ntap_status status, ntap_error *err) {
    if (call->err.message[0] == '\0')
        return ntap_error_set(err, status, "the selector callback failed with %s",
                              ntap_status_name(status));
    return ntap_error_set(err, status, "%s", call->err.message);
}

static ntap_status select_by_callback(const ntap_selector *selector, const ntap_value *layer_value,
                                      int64_t batch, ntapi_selection *selection, ntap_error *err) {
    callback_call call;
    memset(&call, 0, sizeof call);
    call.selector = selector;
    call.layer_value = layer_value;
    ntap_status status = call_callback(&call);
    if (status != NTAP_OK)
        status = callback_failed(&call, status, err);
    else
        status = check_neuron(&call, batch, ntapi_single_tensor(layer_value), err);
    if (status != NTAP_OK) {
        ntap_tensor_free(call.neuron);
        return status;
    }
    *selection = (ntapi_selection){call.neuron, call.neuron, NULL};
    return NTAP_OK;
}

/* ---- both ---- */

ntap_status ntapi_select(const ntap_selector *selector, const ntap_value *layer_value,
                         const char *layer, int64_t batch, ntapi_selection *selection,
                         ntap_error *err) {
    if (selector->kind == SELECT_CALLBACK)
        return select_by_callback(selector, layer_value, batch, selection, err);
    char described[DESCRIPTION_SIZE] = "";
    const selection_site site = {layer, describe(layer_value, described), err};
    return select_indices(selector, layer_value, &site, selection);
}

void ntapi_selection_clear(ntapi_selection *selection) {
    ntap_tensor_free(selection->computed);
    ntap_tensor_free(selection->seed);
}
