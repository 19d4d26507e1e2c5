/* From a layer's value to what is differentiated: its tensor, or what a callback makes of it. */
#include "selection.h"

#include <string.h>

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

static const ntap_tensor *single_tensor(const ntap_value *value) {
    const ntap_tensor *tensor = NULL;
    return count_tensors(value, &tensor) == 1 ? tensor : NULL;
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

static ntap_status no_single_tensor(const ntap_value *layer_value, const ntapi_layer_value *site) {
    if (ntap_value_get_kind(layer_value) == NTAP_VALUE_NONE)
        return ntap_error_set(site->err, NTAP_ERROR_NOT_FOUND,
                              "layer '%s' has no value: a trace keeps none for a layer that hands "
                              "on its input, or whose result is not used",
                              site->layer);
    return ntap_error_set(site->err, NTAP_ERROR_SHAPE,
                          "the value of layer '%s' is %s, not a single tensor; use a selector "
                          "callback",
                          site->layer, site->described);
}

ntap_status ntapi_read_layer_value(const ntap_value *layer_value, const char *layer,
                                   ntapi_layer_value *site, ntap_error *err) {
    *site = (ntapi_layer_value){layer, "", NULL, 0, NULL, err};
    (void)ntap_value_describe(layer_value, site->described, sizeof site->described);
    site->tensor = single_tensor(layer_value);
    if (site->tensor == NULL)
        return no_single_tensor(layer_value, site);
    if (!is_real_floating(site->tensor))
        return ntap_error_set(err, NTAP_ERROR_DTYPE,
                              "the value of layer '%s' is %s, which has no gradient of its own; "
                              "expected a real floating-point type (a callback may compute one)",
                              layer, site->described);
    site->ndim = ntap_tensor_ndim(site->tensor);
    site->sizes = capi_tensor_sizes(site->tensor);
    if (site->ndim == 0)
        return ntap_error_set(err, NTAP_ERROR_SHAPE,
                              "selector: the value of layer '%s' is a scalar, without a dimension "
                              "for the examples; use a callback",
                              layer);
    return NTAP_OK;
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
    return ntapi_selector_call(call->selector, call->layer_value, &call->neuron, &call->err);
}

/* A callback that has a single tensor to look at gets just that. */
static ntap_status call_callback(callback_call *call) {
    ntap_value *alone = NULL;
    const ntap_tensor *tensor = single_tensor(call->layer_value);
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
    char described[256] = "";
    ntap_value *value = NULL;
    if (call->neuron == NULL)
        return ntap_error_set(err, NTAP_ERROR_INVALID_ARGUMENT,
                              "the selector callback succeeded without giving a neuron");
    NTAPI_TRY(ntap_value_new_tensor(call->neuron, &value, err));
    (void)ntap_value_describe(value, described, sizeof described);
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
        return ntap_error_set(err, status, "the selector callback failed with %s (%d)",
                              ntap_status_name(status), (int)status);
    return ntap_error_set(err, status, "%s", call->err.message);
}

ntap_status ntapi_select_by_callback(const ntap_selector *selector, const ntap_value *layer_value,
                                     int64_t batch, ntap_tensor **neuron, ntap_error *err) {
    callback_call call;
    memset(&call, 0, sizeof call);
    call.selector = selector;
    call.layer_value = layer_value;
    ntap_status status = call_callback(&call);
    if (status != NTAP_OK)
        status = callback_failed(&call, status, err);
    else
        status = check_neuron(&call, batch, single_tensor(layer_value), err);
    if (status == NTAP_OK)
        *neuron = call.neuron;
    else
        ntap_tensor_free(call.neuron);
    return status;
}
