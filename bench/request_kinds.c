/* What requests do. A good one gives one tensor; a bad one fails as the table below says. */
#include "request_set.h"

#include <stddef.h>

/* ---- attribution ---- */

static ntap_status attribute(const ntap_neuron_gradient *gradient, const ntap_tensor *input,
                             const ntap_selector *selector, const ntap_attribute_options *options,
                             ntap_tensor **result, ntap_error *err) {
    return ntap_neuron_gradient_attribute(gradient, &input, 1, selector, options, result, err);
}

static ntap_status one_neuron(request_set *set, ntap_tensor **result, ntap_error *err) {
    return attribute(set->convolution, set->image, set->neuron, NULL, result, err);
}

static ntap_status by_autograd(request_set *set, ntap_tensor **result, ntap_error *err) {
    ntap_attribute_options options = NTAP_ATTRIBUTE_OPTIONS_INIT;
    options.fast_paths = NTAP_FAST_PATHS_OFF;
    return attribute(set->convolution, set->image, set->neuron, &options, result, err);
}

static ntap_status of_the_input(request_set *set, ntap_tensor **result, ntap_error *err) {
    return attribute(set->convolution_input, set->image, set->neuron, NULL, result, err);
}

static ntap_status slice(request_set *set, ntap_tensor **result, ntap_error *err) {
    return attribute(set->convolution, set->image, set->slice, NULL, result, err);
}

static ntap_status on_replicas(request_set *set, ntap_tensor **result, ntap_error *err) {
    return attribute(set->replicated, set->image, set->neuron, NULL, result, err);
}

static ntap_status callback(request_set *set, ntap_tensor **result, ntap_error *err) {
    return attribute(set->convolution, set->image, set->callback, NULL, result, err);
}

static ntap_status nans(request_set *set, ntap_tensor **result, ntap_error *err) {
    return attribute(set->convolution, set->nans, set->neuron, NULL, result, err);
}

static ntap_status recurrent(request_set *set, ntap_tensor **result, ntap_error *err) {
    return attribute(set->recurrent, set->sequence, set->index, NULL, result, err);
}

static ntap_status random_numbers(request_set *set, ntap_tensor **result, ntap_error *err) {
    return attribute(set->noisy, set->noise, set->index, NULL, result, err);
}

static ntap_status hooked_neuron(request_set *set, ntap_tensor **result, ntap_error *err) {
    return attribute(set->hooked, set->vector, set->index, NULL, result, err);
}

static ntap_status all_classes(request_set *set, ntap_tensor **result, ntap_error *err) {
    const ntap_tensor *inputs[] = {set->image};
    return ntap_neuron_gradient_attribute_all(set->classes, inputs, 1, NULL, result, err);
}

/* Without a tape: in libtorch's batched backward passes. */
static ntap_status all_by_autograd(request_set *set, ntap_tensor **result, ntap_error *err) {
    const ntap_tensor *inputs[] = {set->vector};
    ntap_attribute_options options = NTAP_ATTRIBUTE_OPTIONS_INIT;
    options.fast_paths = NTAP_FAST_PATHS_OFF;
    return ntap_neuron_gradient_attribute_all(set->hooked, inputs, 1, &options, result, err);
}

static ntap_status many(request_set *set, const ntap_attribute_options *options,
                        ntap_tensor **result, ntap_error *err) {
    const ntap_tensor *inputs[] = {set->image};
    const ntap_selector *neurons[REQUEST_NEURONS];
    for (size_t i = 0; i < REQUEST_NEURONS; ++i)
        neurons[i] = set->neurons[i];
    return ntap_neuron_gradient_attribute_many(set->convolution, inputs, 1, neurons,
                                               REQUEST_NEURONS, options, result, err);
}

static ntap_status many_neurons(request_set *set, ntap_tensor **result, ntap_error *err) {
    return many(set, NULL, result, err);
}

/* In as many pieces as possible. */
static ntap_status in_pieces(request_set *set, ntap_progress_callback progress,
                             ntap_tensor **result, ntap_error *err) {
    ntap_attribute_options options = NTAP_ATTRIBUTE_OPTIONS_INIT;
    options.fast_paths = NTAP_FAST_PATHS_OFF;
    options.memory_limit = 1;
    options.progress = progress;
    return many(set, &options, result, err);
}

static int go_on(int64_t done, int64_t total, void *context) {
    (void)context;
    return done < 0 || done > total;
}

static ntap_status pieces(request_set *set, ntap_tensor **result, ntap_error *err) {
    return in_pieces(set, go_on, result, err);
}

/* A handle of its own, of a layer that the module may know already. */
static ntap_status own_gradient(const ntap_module *module, const char *layer,
                                const ntap_tensor *input, const ntap_selector *selector,
                                ntap_tensor **result, ntap_error *err) {
    ntap_neuron_gradient *gradient = NULL;
    ntap_status status = ntap_neuron_gradient_new(module, layer, NULL, &gradient, err);
    if (status == NTAP_OK)
        status = attribute(gradient, input, selector, NULL, result, err);
    ntap_neuron_gradient_free(gradient);
    return status;
}

static ntap_status new_gradient(request_set *set, ntap_tensor **result, ntap_error *err) {
    return own_gradient(set->images, "conv1", set->image, set->neuron, result, err);
}

/* ---- modules ---- */

/* The tensor of what a module returned. A failing call must not have touched its output. */
static ntap_status take_result(ntap_status status, ntap_value *value, ntap_tensor **result,
                               ntap_error *err) {
    if (status == NTAP_OK) {
        status = ntap_tensor_clone(ntap_value_get_tensor(value), result, err);
        ntap_value_free(value);
    } else if (value != REQUEST_UNTOUCHED) {
        status = ntap_error_set(err, NTAP_ERROR_INTERNAL, "the module's output was touched");
    }
    return status;
}

static ntap_status forward(const ntap_module *module, const ntap_value *argument,
                           ntap_tensor **result, ntap_error *err) {
    ntap_value *value = (ntap_value *)REQUEST_UNTOUCHED;
    const ntap_status status = ntap_module_forward(module, &argument, 1, &value, err);
    return take_result(status, value, result, err);
}

static ntap_status forward_images(request_set *set, ntap_tensor **result, ntap_error *err) {
    return forward(set->images, set->image_value, result, err);
}

static ntap_status forward_vectors(request_set *set, ntap_tensor **result, ntap_error *err) {
    return forward(set->vectors, set->vector_value, result, err);
}

static ntap_status capture(request_set *set, ntap_tensor **result, ntap_error *err) {
    const char *layers[] = {"relu1"};
    const ntap_value *args[] = {set->image_value};
    ntap_value *calls = NULL;
    ntap_status status =
        ntap_module_capture(set->images, layers, 1, NTAP_LAYER_OUTPUT, args, 1, &calls, err);
    if (status == NTAP_OK)
        status = ntap_tensor_clone(ntap_value_get_tensor(ntap_value_item(calls, 0)), result, err);
    ntap_value_free(calls);
    return status;
}

static ntap_status load(request_set *set, const char *file, ntap_module **module, ntap_error *err) {
    char path[600];
    return ntap_module_load(request_path(set, file, path), NULL, module, err);
}

static ntap_status load_and_attribute(request_set *set, ntap_tensor **result, ntap_error *err) {
    ntap_module *module = NULL;
    ntap_status status = load(set, "cnn.traced.pt", &module, err);
    if (status == NTAP_OK)
        status = own_gradient(module, "conv2", set->image, set->neuron, result, err);
    ntap_module_free(module);
    return status;
}

static ntap_status load_memory(request_set *set, ntap_tensor **result, ntap_error *err) {
    ntap_module *module = NULL;
    ntap_status status = ntap_module_load_memory(set->file, set->file_size, NULL, &module, err);
    if (status == NTAP_OK)
        status = forward(module, set->vector_value, result, err);
    ntap_module_free(module);
    return status;
}

/* ---- hooks ---- */

static ntap_status hook_comes_and_goes(request_set *set, ntap_tensor **result, ntap_error *err) {
    ntap_hook *hook = NULL;
    atomic_long *calls = NULL;
    ntap_status status = request_look_on(set, &hook, &calls, err);
    if (status != NTAP_OK)
        return status;
    status = forward(set->vectors, set->vector_value, result, err);
    if (status == NTAP_OK && atomic_load(calls) == 0) {
        ntap_tensor_free(*result);
        status = ntap_error_set(err, NTAP_ERROR_INTERNAL, "the hook was not called");
    }
    ntap_hook_remove(hook);
    return status;
}

static ntap_status twice(const ntap_hook_call *call, void *context, ntap_value **replacement,
                         ntap_error *err) {
    ntap_tensor *doubled = NULL;
    (void)context;
    ntap_status status = ntap_tensor_scale(ntap_value_get_tensor(call->output), 2.0, &doubled, err);
    if (status == NTAP_OK)
        status = ntap_value_new_tensor(doubled, replacement, err);
    ntap_tensor_free(doubled);
    return status;
}

static ntap_status refuse(const ntap_hook_call *call, void *context, ntap_value **replacement,
                          ntap_error *err) {
    const ntap_status status = ntap_value_clone(call->output, replacement, err);
    (void)context;
    return status != NTAP_OK ? status : ntap_error_set(err, NTAP_ERROR_DEVICE, "the hook refuses");
}

/* With a hook on a module that nobody else has; the hook is never removed by its handle. */
static ntap_status own_hook(request_set *set, ntap_hook_callback hook, ntap_tensor **result,
                            ntap_error *err) {
    ntap_module *module = NULL;
    ntap_status status = ntap_module_load_memory(set->file, set->file_size, NULL, &module, err);
    if (status == NTAP_OK)
        status = ntap_module_add_forward_hook(module, "fc1", hook, NULL, NULL, NULL, err);
    if (status == NTAP_OK)
        status = own_gradient(module, "fc3", set->vector, set->index, result, err);
    ntap_module_free(module);
    return status;
}

static ntap_status replacing_hook(request_set *set, ntap_tensor **result, ntap_error *err) {
    return own_hook(set, twice, result, err);
}

static ntap_status failing_hook(request_set *set, ntap_tensor **result, ntap_error *err) {
    return own_hook(set, refuse, result, err);
}

/* ---- forward functions ---- */

static ntap_status run_scaled(ntap_view *view, const ntap_value *const *args, size_t n_args,
                              void *context, ntap_value **result, ntap_error *err) {
    ntap_tensor *half = NULL;
    ntap_value *value = NULL;
    (void)context, (void)n_args;
    ntap_status status = ntap_tensor_scale(ntap_value_get_tensor(args[0]), 0.5, &half, err);
    if (status == NTAP_OK)
        status = ntap_value_new_tensor(half, &value, err);
    const ntap_value *model_args[] = {value};
    if (status == NTAP_OK)
        status = ntap_view_forward(view, model_args, 1, result, err);
    ntap_value_free(value);
    ntap_tensor_free(half);
    return status;
}

static ntap_status run_and_refuse(ntap_view *view, const ntap_value *const *args, size_t n_args,
                                  void *context, ntap_value **result, ntap_error *err) {
    const ntap_status status = run_scaled(view, args, n_args, context, result, err);
    return status != NTAP_OK
               ? status
               : ntap_error_set(err, NTAP_ERROR_DEVICE, "the forward function refuses");
}

static ntap_status forward_function(request_set *set, ntap_forward_function function,
                                    const char *layer, const ntap_selector *selector,
                                    ntap_tensor **result, ntap_error *err) {
    ntap_module *module = NULL;
    ntap_status status = ntap_module_new_callback(set->images, function, NULL, NULL, &module, err);
    if (status == NTAP_OK)
        status = own_gradient(module, layer, set->image, selector, result, err);
    ntap_module_free(module);
    return status;
}

static ntap_status scaled_model(request_set *set, ntap_tensor **result, ntap_error *err) {
    return forward_function(set, run_scaled, "conv2", set->neuron, result, err);
}

static ntap_status failing_function(request_set *set, ntap_tensor **result, ntap_error *err) {
    return forward_function(set, run_and_refuse, "", set->index, result, err);
}

/* ---- faults ---- */

static ntap_status wrong_shape(request_set *set, ntap_tensor **result, ntap_error *err) {
    return attribute(set->convolution, set->wide, set->neuron, NULL, result, err);
}

static ntap_status integer_input(request_set *set, ntap_tensor **result, ntap_error *err) {
    return attribute(set->hooked, set->integers, set->index, NULL, result, err);
}

static int at_once(int64_t done, int64_t total, void *context) {
    (void)done, (void)total, (void)context;
    return 1;
}

static int midway(int64_t done, int64_t total, void *context) {
    (void)context;
    return done > total / 2;
}

static ntap_status cancelled_at_once(request_set *set, ntap_tensor **result, ntap_error *err) {
    return in_pieces(set, at_once, result, err);
}

static ntap_status cancelled_midway(request_set *set, ntap_tensor **result, ntap_error *err) {
    return in_pieces(set, midway, result, err);
}

static ntap_status failing_selector(request_set *set, ntap_tensor **result, ntap_error *err) {
    return attribute(set->convolution, set->image, set->failing, NULL, result, err);
}

static ntap_status failing_replicas(request_set *set, ntap_tensor **result, ntap_error *err) {
    return attribute(set->replicated, set->image, set->failing, NULL, result, err);
}

static ntap_status outside_neuron(request_set *set, ntap_tensor **result, ntap_error *err) {
    return attribute(set->convolution, set->image, set->outside, NULL, result, err);
}

static ntap_status unknown_layer(request_set *set, ntap_tensor **result, ntap_error *err) {
    return own_gradient(set->images, "conv3", set->image, set->neuron, result, err);
}

static ntap_status unknown_call(request_set *set, ntap_tensor **result, ntap_error *err) {
    ntap_attribute_options options = NTAP_ATTRIBUTE_OPTIONS_INIT;
    options.call = 5;
    return attribute(set->convolution, set->image, set->neuron, &options, result, err);
}

static ntap_status unused_input(request_set *set, ntap_tensor **result, ntap_error *err) {
    const ntap_tensor *inputs[] = {set->left, set->right};
    ntap_tensor *results[] = {*result, *result};
    const ntap_status status =
        ntap_neuron_gradient_attribute(set->two_inputs, inputs, 2, set->index, NULL, results, err);
    if (results[1] != REQUEST_UNTOUCHED)
        return ntap_error_set(err, NTAP_ERROR_INTERNAL, "the second output was touched");
    *result = results[0];
    return status;
}

static ntap_status wrong_argument(request_set *set, ntap_tensor **result, ntap_error *err) {
    return forward(set->images, set->text_value, result, err);
}

/* A load that must fail: no result, and the module untouched. */
static ntap_status refused(ntap_status status, const ntap_module *module, ntap_error *err) {
    if (module == REQUEST_UNTOUCHED)
        return status;
    return ntap_error_set(err, NTAP_ERROR_INTERNAL, "the module was touched");
}

static ntap_status missing_file(request_set *set, ntap_tensor **result, ntap_error *err) {
    ntap_module *module = (ntap_module *)REQUEST_UNTOUCHED;
    (void)result;
    return refused(load(set, "missing.pt", &module, err), module, err);
}

static ntap_status truncated_file(request_set *set, ntap_tensor **result, ntap_error *err) {
    const size_t size = atomic_fetch_add(&set->turn, 1) * (size_t)7919 % set->file_size;
    ntap_module *module = (ntap_module *)REQUEST_UNTOUCHED;
    (void)result;
    return refused(ntap_module_load_memory(set->file, size, NULL, &module, err), module, err);
}

static ntap_status unknown_operator(request_set *set, ntap_tensor **result, ntap_error *err) {
    const ntap_value *args[] = {set->image_value};
    ntap_value *value = (ntap_value *)REQUEST_UNTOUCHED;
    const ntap_status status = ntap_call_op("aten::nothing", args, 1, &value, 1, err);
    return take_result(status, value, result, err);
}

const request_kind request_table[] = {
    {"one neuron", NTAP_OK, one_neuron, 0},
    {"one neuron, autograd only", NTAP_OK, by_autograd, 0},
    {"of a layer's input", NTAP_OK, of_the_input, 0},
    {"slice", NTAP_OK, slice, 0},
    {"one neuron, on replicas", NTAP_OK, on_replicas, 0},
    {"selector callback", NTAP_OK, callback, 0},
    {"NaNs in the input", NTAP_OK, nans, 0},
    {"recurrent model", NTAP_OK, recurrent, 0},
    {"model that draws numbers", NTAP_OK, random_numbers, 0},
    {"all neurons", NTAP_OK, all_classes, 0},
    {"all neurons, autograd only", NTAP_OK, all_by_autograd, 1},
    {"many neurons", NTAP_OK, many_neurons, 0},
    {"many neurons, one by one", NTAP_OK, pieces, 0},
    {"gradient of its own", NTAP_OK, new_gradient, 0},
    {"forward", NTAP_OK, forward_images, 0},
    {"capture", NTAP_OK, capture, 0},
    {"load, attribute, free", NTAP_OK, load_and_attribute, 0},
    {"load from memory, forward", NTAP_OK, load_memory, 0},
    {"module with hooks", NTAP_OK, hooked_neuron, 1},
    {"forward with hooks", NTAP_OK, forward_vectors, 1},
    {"hook comes and goes", NTAP_OK, hook_comes_and_goes, 1},
    {"replacing hook", NTAP_OK, replacing_hook, 0},
    {"forward function", NTAP_OK, scaled_model, 0},
    {"wrong shape", NTAP_ERROR_MODEL, wrong_shape, 0},
    {"integer input", NTAP_ERROR_DTYPE, integer_input, 0},
    {"wrong argument", NTAP_ERROR_INVALID_ARGUMENT, wrong_argument, 0},
    {"cancelled at once", NTAP_ERROR_STOPPED, cancelled_at_once, 0},
    {"cancelled midway", NTAP_ERROR_STOPPED, cancelled_midway, 0},
    {"failing selector callback", NTAP_ERROR_DEVICE, failing_selector, 0},
    {"failing replicas", NTAP_ERROR_DEVICE, failing_replicas, 0},
    {"failing hook", NTAP_ERROR_DEVICE, failing_hook, 0},
    {"failing forward function", NTAP_ERROR_DEVICE, failing_function, 0},
    {"unknown layer", NTAP_ERROR_NOT_FOUND, unknown_layer, 0},
    {"unknown call", NTAP_ERROR_NOT_FOUND, unknown_call, 0},
    {"unknown operator", NTAP_ERROR_NOT_FOUND, unknown_operator, 0},
    {"neuron out of range", NTAP_ERROR_SHAPE, outside_neuron, 0},
    {"unused input", NTAP_ERROR_AUTOGRAD, unused_input, 0},
    {"missing file", NTAP_ERROR_FILE, missing_file, 0},
    {"truncated file", NTAP_ERROR_FILE, truncated_file, 0},
};

const size_t request_table_size = sizeof request_table / sizeof *request_table;
