/* Every exported function with NULL in every pointer position, `err` included: nothing crashes,
 * what is missing is named, and outputs stay untouched. test_exports.sh checks that no function is
 * forgotten. */
#include "support.h"

#include <string.h>

static const ntap_device CPU = {NTAP_DEVICE_CPU, 0};

static const int64_t ONE[] = {1};

/* One of everything, to fill the positions that are not NULL. */
typedef struct everything {
    ntap_tensor *tensor; /* float32[1, 1, 28, 28] of zeros: an image for the module */
    ntap_value *value;   /* the same */
    ntap_value *number;
    ntap_module *module;
    ntap_neuron_gradient *gradient;
    ntap_selector *selector;
} everything;

static everything all;

static const char MODEL[] = "fashion_mnist/fashion_cnn_traced.pt";

static int set_up(void **state) {
    (void)state;
    assert_ok(
        ntap_tensor_zeros(SHAPE(1, 1, 28, 28), NTAP_DTYPE_FLOAT32, CPU, &all.tensor, &test_err));
    all.value = make_tensor_value(all.tensor);
    all.number = make_int(3);
    assert_ok(ntap_module_load(example_path(MODEL), NULL, &all.module, &test_err));
    assert_ok(ntap_neuron_gradient_new(all.module, "classifier", NULL, &all.gradient, &test_err));
    assert_ok(ntap_selector_new_index(3, &all.selector, &test_err));
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    ntap_selector_free(all.selector);
    ntap_neuron_gradient_free(all.gradient);
    ntap_module_free(all.module);
    ntap_value_free(all.number);
    ntap_value_free(all.value);
    ntap_tensor_free(all.tensor);
    return 0;
}

/* The call, without its last argument `err`, is refused with a message that contains `what`; and
 * without `err` too. */
#define refuses(what, function, ...)                                                               \
    do {                                                                                           \
        assert_fails(NTAP_ERROR_INVALID_ARGUMENT, function(__VA_ARGS__, &test_err));               \
        assert_message(what);                                                                      \
        assert_int_equal(function(__VA_ARGS__, NULL), NTAP_ERROR_INVALID_ARGUMENT);                \
    } while (0)

/* ---- base.h ---- */

static void base(void **state) {
    ntap_device device = {(ntap_device_type)77, 77};
    (void)state;
    assert_int_equal(ntap_error_set(NULL, NTAP_ERROR_SHAPE, "%d", 1), NTAP_ERROR_SHAPE);
    refuses("text is NULL", ntap_device_parse, NULL, &device);
    refuses("device is NULL", ntap_device_parse, "cpu", NULL);
    refuses("NULL", ntap_device_parse, NULL, NULL);
    assert_int_equal(device.type, 77);
    assert_int_equal(ntap_set_num_threads(0, NULL), NTAP_ERROR_INVALID_ARGUMENT);
    assert_int_equal(ntap_set_num_threads(ntap_num_threads(), NULL), NTAP_OK);
}

/* These take no pointers. */
static void base_without_pointers(void **state) {
    (void)state;
    assert_non_null(ntap_status_name(NTAP_OK));
    assert_non_null(ntap_dtype_name(NTAP_DTYPE_NONE));
    assert_int_equal(ntap_dtype_size(NTAP_DTYPE_NONE), 0);
    assert_int_equal(ntap_device_count(NTAP_DEVICE_CPU), 1);
    assert_non_null(ntap_version());
    assert_non_null(ntap_torch_version());
}

/* ---- tensor.h ---- */

static void tensor_constructors(void **state) {
    float data[1] = {0};
    ntap_tensor *tensor = (ntap_tensor *)POISON;
    (void)state;
    refuses("tensor is NULL", ntap_tensor_from_blob, data, 1, ONE, NULL, NTAP_DTYPE_FLOAT32, CPU,
            NULL, NULL, NULL);
    refuses("sizes is NULL", ntap_tensor_from_blob, data, 1, NULL, NULL, NTAP_DTYPE_FLOAT32, CPU,
            NULL, NULL, &tensor);
    refuses("data is NULL", ntap_tensor_from_blob, NULL, 1, ONE, NULL, NTAP_DTYPE_FLOAT32, CPU,
            NULL, NULL, &tensor);
    refuses("NULL", ntap_tensor_from_blob, NULL, 1, NULL, NULL, NTAP_DTYPE_FLOAT32, CPU, NULL, NULL,
            NULL);
    refuses("tensor is NULL", ntap_tensor_empty, 1, ONE, NTAP_DTYPE_FLOAT32, CPU, NULL);
    refuses("sizes is NULL", ntap_tensor_empty, 1, NULL, NTAP_DTYPE_FLOAT32, CPU, &tensor);
    refuses("tensor is NULL", ntap_tensor_zeros, 1, ONE, NTAP_DTYPE_FLOAT32, CPU, NULL);
    refuses("sizes is NULL", ntap_tensor_zeros, 1, NULL, NTAP_DTYPE_FLOAT32, CPU, &tensor);
    assert_untouched(tensor);
}

static void tensor_copies(void **state) {
    float buffer[1] = {77};
    ntap_tensor *tensor = (ntap_tensor *)POISON;
    (void)state;
    refuses("tensor is NULL", ntap_tensor_clone, NULL, &tensor);
    refuses("clone is NULL", ntap_tensor_clone, all.tensor, NULL);
    refuses("tensor is NULL", ntap_tensor_to, NULL, &CPU, NTAP_DTYPE_FLOAT64, &tensor);
    refuses("converted is NULL", ntap_tensor_to, all.tensor, &CPU, NTAP_DTYPE_FLOAT64, NULL);
    refuses("tensor is NULL", ntap_tensor_copy_to_host, NULL, buffer, sizeof buffer);
    refuses("buffer is NULL", ntap_tensor_copy_to_host, all.tensor, NULL, 4 * 28 * 28);
    assert_untouched(tensor);
    assert_true(buffer[0] == 77);
}

static void tensor_getters(void **state) {
    (void)state;
    assert_int_equal(ntap_tensor_ndim(NULL), 0);
    assert_int_equal(ntap_tensor_size(NULL, 0), -1);
    assert_int_equal(ntap_tensor_stride(NULL, 0), -1);
    assert_int_equal(ntap_tensor_numel(NULL), 0);
    assert_int_equal(ntap_tensor_dtype(NULL), NTAP_DTYPE_NONE);
    assert_int_equal(ntap_tensor_device(NULL).type, NTAP_DEVICE_CPU);
    assert_int_equal(ntap_tensor_is_contiguous(NULL), 0);
    assert_null(ntap_tensor_data(NULL));
    assert_null(ntap_tensor_mutable_data(NULL));
}

static void tensor_files(void **state) {
    ntap_tensor *tensor = (ntap_tensor *)POISON;
    (void)state;
    refuses("path is NULL", ntap_tensor_read_npy, NULL, &tensor);
    refuses("tensor is NULL", ntap_tensor_read_npy, fixture_path("array.float64.npy"), NULL);
    refuses("path is NULL", ntap_tensor_read_pt, NULL, &tensor);
    refuses("tensor is NULL", ntap_tensor_read_pt, fixture_path("tensor.view.pt"), NULL);
    refuses("tensor is NULL", ntap_tensor_write_npy, NULL, temp_path("x.npy"));
    refuses("path is NULL", ntap_tensor_write_npy, all.tensor, NULL);
    refuses("tensor is NULL", ntap_tensor_write_pt, NULL, temp_path("x.pt"));
    refuses("path is NULL", ntap_tensor_write_pt, all.tensor, NULL);
    assert_untouched(tensor);
}

/* ---- dlpack.h ---- */

/* Also a managed tensor that is all zero, which no library makes. */
static void dlpack(void **state) {
    uint64_t zeros[16] = {0};
    struct DLManagedTensor *legacy = (struct DLManagedTensor *)zeros;
    struct DLManagedTensorVersioned *versioned = (struct DLManagedTensorVersioned *)zeros;
    ntap_tensor *tensor = (ntap_tensor *)POISON;
    (void)state;
    refuses("managed is NULL", ntap_tensor_from_dlpack, NULL, &tensor);
    refuses("tensor is NULL", ntap_tensor_from_dlpack, legacy, NULL);
    refuses("managed is NULL", ntap_tensor_from_dlpack_versioned, NULL, &tensor);
    refuses("tensor is NULL", ntap_tensor_from_dlpack_versioned, versioned, NULL);
    refuses("version 0.0", ntap_tensor_from_dlpack_versioned, versioned, &tensor);
    assert_int_equal(ntap_tensor_from_dlpack(legacy, &tensor, NULL), NTAP_ERROR_DTYPE);
    refuses("tensor is NULL", ntap_tensor_to_dlpack, NULL, &legacy);
    refuses("managed is NULL", ntap_tensor_to_dlpack, all.tensor, NULL);
    refuses("tensor is NULL", ntap_tensor_to_dlpack_versioned, NULL, &versioned);
    refuses("managed is NULL", ntap_tensor_to_dlpack_versioned, all.tensor, NULL);
    assert_untouched(tensor);
    assert_ptr_equal(legacy, zeros);
    assert_ptr_equal(versioned, zeros);
}

/* ---- value.h ---- */

static void value_constructors(void **state) {
    const ntap_value *const nulls[] = {NULL};
    const ntap_value *const numbers[] = {all.number};
    ntap_value *value = (ntap_value *)POISON;
    (void)state;
    refuses("value is NULL", ntap_value_new_none, NULL);
    refuses("tensor is NULL", ntap_value_new_tensor, NULL, &value);
    refuses("value is NULL", ntap_value_new_tensor, all.tensor, NULL);
    refuses("value is NULL", ntap_value_new_int, 1, NULL);
    refuses("value is NULL", ntap_value_new_double, 1, NULL);
    refuses("value is NULL", ntap_value_new_bool, 1, NULL);
    refuses("text is NULL", ntap_value_new_string, NULL, &value);
    refuses("value is NULL", ntap_value_new_string, "x", NULL);
    refuses("items is NULL", ntap_value_new_list, NULL, 1, &value);
    refuses("items[0] is NULL", ntap_value_new_list, nulls, 1, &value);
    refuses("value is NULL", ntap_value_new_list, numbers, 1, NULL);
    refuses("items is NULL", ntap_value_new_tuple, NULL, 1, &value);
    refuses("items[0] is NULL", ntap_value_new_tuple, nulls, 1, &value);
    refuses("value is NULL", ntap_value_new_tuple, numbers, 1, NULL);
    refuses("keys is NULL", ntap_value_new_dict, NULL, numbers, 1, &value);
    refuses("items is NULL", ntap_value_new_dict, numbers, NULL, 1, &value);
    refuses("keys[0] is NULL", ntap_value_new_dict, nulls, numbers, 1, &value);
    refuses("items[0] is NULL", ntap_value_new_dict, numbers, nulls, 1, &value);
    refuses("value is NULL", ntap_value_new_dict, numbers, numbers, 1, NULL);
    refuses("value is NULL", ntap_value_clone, NULL, &value);
    refuses("clone is NULL", ntap_value_clone, all.number, NULL);
    assert_untouched(value);
}

static void value_getters(void **state) {
    int64_t number = 77;
    double real = 77;
    int truth = 77;
    char buffer[] = "untouched";
    ntap_value *yes = make_bool(1);
    (void)state;
    refuses("value is NULL", ntap_value_get_int, NULL, &number);
    refuses("number is NULL", ntap_value_get_int, all.number, NULL);
    refuses("value is NULL", ntap_value_get_double, NULL, &real);
    refuses("number is NULL", ntap_value_get_double, all.number, NULL);
    refuses("value is NULL", ntap_value_get_bool, NULL, &truth);
    refuses("truth is NULL", ntap_value_get_bool, yes, NULL);
    assert_true(number == 77 && real == 77 && truth == 77);
    assert_int_equal(ntap_value_get_kind(NULL), NTAP_VALUE_NONE);
    assert_non_null(ntap_value_kind_name(NTAP_VALUE_NONE));
    assert_null(ntap_value_get_tensor(NULL));
    assert_null(ntap_value_get_string(NULL));
    assert_int_equal(ntap_value_count(NULL), 0);
    assert_null(ntap_value_item(NULL, 0));
    assert_null(ntap_value_key(NULL, 0));
    assert_int_equal(ntap_value_describe(NULL, NULL, 0), 0);
    assert_int_equal(ntap_value_describe(all.number, NULL, 0), 1);
    assert_int_equal(ntap_value_describe(all.number, NULL, sizeof buffer), 1);
    ntap_value_free(yes);
}

/* No value has no description: an empty one, not what was in the buffer. */
static void the_description_of_no_value_is_empty(void **state) {
    char buffer[] = "leftover";
    (void)state;
    assert_int_equal(ntap_value_describe(NULL, buffer, sizeof buffer), 0);
    assert_string_equal(buffer, "");
}

/* ---- operator.h ---- */

static void operators(void **state) {
    const ntap_value *const tensors[] = {all.value};
    const ntap_value *const nulls[] = {NULL};
    ntap_value *result = (ntap_value *)POISON;
    (void)state;
    refuses("name is NULL", ntap_call_op, NULL, tensors, 1, &result, 1);
    refuses("args is NULL", ntap_call_op, "aten::relu", NULL, 1, &result, 1);
    refuses("args[0] is NULL", ntap_call_op, "aten::relu", nulls, 1, &result, 1);
    refuses("outs is NULL", ntap_call_op, "aten::relu", tensors, 1, NULL, 1);
    refuses("missing", ntap_call_op, "aten::relu", NULL, 0, &result, 1);
    assert_untouched(result);
}

static void operator_helpers(void **state) {
    const ntap_tensor *t = all.tensor;
    ntap_tensor *result = (ntap_tensor *)POISON;
    (void)state;
    refuses("NULL", ntap_tensor_select, NULL, 0, 0, &result);
    refuses("NULL", ntap_tensor_select, t, 0, 0, NULL);
    refuses("NULL", ntap_tensor_slice, NULL, 0, 0, 1, 1, &result);
    refuses("NULL", ntap_tensor_slice, t, 0, 0, 1, 1, NULL);
    refuses("NULL", ntap_tensor_reshape, NULL, 1, ONE, &result);
    refuses("NULL", ntap_tensor_reshape, t, 1, NULL, &result);
    refuses("NULL", ntap_tensor_reshape, t, 1, ONE, NULL);
    refuses("NULL", ntap_tensor_sum, NULL, ONE, 1, &result);
    refuses("NULL", ntap_tensor_sum, t, NULL, 1, &result);
    refuses("NULL", ntap_tensor_sum, t, ONE, 1, NULL);
    refuses("NULL", ntap_tensor_mean, NULL, ONE, 1, &result);
    refuses("NULL", ntap_tensor_mean, t, NULL, 1, &result);
    refuses("NULL", ntap_tensor_mean, t, ONE, 1, NULL);
    refuses("NULL", ntap_tensor_add, NULL, t, &result);
    refuses("NULL", ntap_tensor_add, t, NULL, &result);
    refuses("NULL", ntap_tensor_add, t, t, NULL);
    refuses("NULL", ntap_tensor_sub, NULL, t, &result);
    refuses("NULL", ntap_tensor_sub, t, NULL, &result);
    refuses("NULL", ntap_tensor_sub, t, t, NULL);
    refuses("NULL", ntap_tensor_mul, NULL, t, &result);
    refuses("NULL", ntap_tensor_mul, t, NULL, &result);
    refuses("NULL", ntap_tensor_mul, t, t, NULL);
    refuses("NULL", ntap_tensor_scale, NULL, 2, &result);
    refuses("NULL", ntap_tensor_scale, t, 2, NULL);
    assert_untouched(result);
}

/* ---- module.h ---- */

static void module_loaders(void **state) {
    const char bytes[4] = {0};
    ntap_module *module = (ntap_module *)POISON;
    (void)state;
    refuses("path is NULL", ntap_module_load, NULL, NULL, &module);
    refuses("module is NULL", ntap_module_load, example_path(MODEL), NULL, NULL);
    refuses("data is NULL", ntap_module_load_memory, NULL, 4, NULL, &module);
    refuses("data is NULL", ntap_module_load_memory, NULL, 0, NULL, &module);
    refuses("module is NULL", ntap_module_load_memory, bytes, 4, NULL, NULL);
    assert_untouched(module);
}

static void module_getters(void **state) {
    (void)state;
    assert_int_equal(ntap_module_layer_count(NULL), 0);
    assert_null(ntap_module_layer_name(NULL, 0));
    assert_null(ntap_module_layer_type(NULL, 0));
    (void)ntap_module_signature(NULL);
    assert_null(ntap_module_layer_name(all.module, SIZE_MAX));
    assert_null(ntap_module_layer_type(all.module, SIZE_MAX));
}

static void module_runs(void **state) {
    const char *const layers[] = {"classifier"};
    const char *const no_layers[] = {NULL};
    const ntap_value *const args[] = {all.value};
    const ntap_value *const nulls[] = {NULL};
    ntap_value *result = (ntap_value *)POISON;
    (void)state;
    refuses("module is NULL", ntap_module_forward, NULL, args, 1, &result);
    refuses("args is NULL", ntap_module_forward, all.module, NULL, 1, &result);
    refuses("args[0] is NULL", ntap_module_forward, all.module, nulls, 1, &result);
    refuses("result is NULL", ntap_module_forward, all.module, args, 1, NULL);
    refuses("missing", ntap_module_forward, all.module, NULL, 0, &result);
    refuses("module is NULL", ntap_module_capture, NULL, layers, 1, NTAP_LAYER_OUTPUT, args, 1,
            &result);
    refuses("layers is NULL", ntap_module_capture, all.module, NULL, 1, NTAP_LAYER_OUTPUT, args, 1,
            &result);
    refuses("layers[0] is NULL", ntap_module_capture, all.module, no_layers, 1, NTAP_LAYER_OUTPUT,
            args, 1, &result);
    refuses("args is NULL", ntap_module_capture, all.module, layers, 1, NTAP_LAYER_OUTPUT, NULL, 1,
            &result);
    refuses("args[0] is NULL", ntap_module_capture, all.module, layers, 1, NTAP_LAYER_OUTPUT, nulls,
            1, &result);
    refuses("captured is NULL", ntap_module_capture, all.module, layers, 1, NTAP_LAYER_OUTPUT, args,
            1, NULL);
    assert_untouched(result);
}

static void module_values(void **state) {
    size_t count = 77;
    const char *name = (const char *)POISON;
    (void)state;
    refuses("module is NULL", ntap_module_value_count, NULL, &count);
    refuses("count is NULL", ntap_module_value_count, all.module, NULL);
    refuses("module is NULL", ntap_module_value_name, NULL, 0, &name);
    refuses("name is NULL", ntap_module_value_name, all.module, 0, NULL);
    refuses("index is", ntap_module_value_name, all.module, SIZE_MAX, &name);
    assert_int_equal(count, 77);
    assert_untouched(name);
}

/* ---- hook.h ---- */

static ntap_status observe(const ntap_hook_call *call, void *context, ntap_value **replacement,
                           ntap_error *err) {
    (void)call;
    (void)context;
    (void)replacement;
    (void)err;
    return NTAP_OK;
}

static void hooks(void **state) {
    ntap_hook *hook = (ntap_hook *)POISON;
    (void)state;
    refuses("module is NULL", ntap_module_add_forward_hook, NULL, "", observe, NULL, NULL, &hook);
    refuses("layer is NULL", ntap_module_add_forward_hook, all.module, NULL, observe, NULL, NULL,
            &hook);
    refuses("callback is NULL", ntap_module_add_forward_hook, all.module, "", NULL, NULL, NULL,
            &hook);
    refuses("module is NULL", ntap_module_add_forward_pre_hook, NULL, "", observe, NULL, NULL,
            &hook);
    refuses("layer is NULL", ntap_module_add_forward_pre_hook, all.module, NULL, observe, NULL,
            NULL, &hook);
    refuses("callback is NULL", ntap_module_add_forward_pre_hook, all.module, "", NULL, NULL, NULL,
            &hook);
    assert_untouched(hook);
}

/* ---- callback_module.h ---- */

static ntap_status look_at_nulls(ntap_view *view, const ntap_value *const *args, size_t n_args,
                                 void *context, ntap_value **result, ntap_error *err) {
    ntap_value *tapped = (ntap_value *)POISON;
    (void)n_args;
    (void)context;
    refuses("view is NULL", ntap_view_forward, NULL, args, 1, &tapped);
    refuses("result is NULL", ntap_view_forward, view, args, 1, NULL);
    refuses("args is NULL", ntap_view_forward, view, NULL, 1, &tapped);
    refuses("view is NULL", ntap_tap, NULL, "a", NTAP_LAYER_OUTPUT, args[0], &tapped);
    refuses("layer is NULL", ntap_tap, view, NULL, NTAP_LAYER_OUTPUT, args[0], &tapped);
    refuses("value is NULL", ntap_tap, view, "a", NTAP_LAYER_OUTPUT, NULL, &tapped);
    refuses("tapped is NULL", ntap_tap, view, "a", NTAP_LAYER_OUTPUT, args[0], NULL);
    refuses("side is 7", ntap_tap, view, "a", (ntap_layer_side)7, args[0], &tapped);
    assert_untouched(tapped);
    return ntap_value_clone(args[0], result, err);
}

static void callback_modules(void **state) {
    const ntap_value *const args[] = {all.value};
    ntap_module *module = (ntap_module *)POISON;
    ntap_value *result = NULL;
    (void)state;
    refuses("forward is NULL", ntap_module_new_callback, all.module, NULL, NULL, NULL, &module);
    refuses("module is NULL", ntap_module_new_callback, all.module, look_at_nulls, NULL, NULL,
            NULL);
    assert_untouched(module);
    assert_ok(ntap_module_new_callback(all.module, look_at_nulls, NULL, NULL, &module, &test_err));
    assert_int_equal(ntap_module_forward(module, args, 1, &result, NULL), NTAP_OK);
    ntap_value_free(result);
    ntap_module_free(module);
}

/* ---- data_parallel.h ---- */

static void data_parallel_modules(void **state) {
    ntap_module *module = (ntap_module *)POISON;
    ntap_value *result = (ntap_value *)POISON;
    const ntap_value *const nothing[] = {NULL};
    const ntap_tensor *const no_input[] = {NULL};
    const ntap_device cpus[] = {CPU, CPU};
    ntap_neuron_gradient *gradient = NULL;
    ntap_tensor *grad = (ntap_tensor *)POISON;
    (void)state;
    refuses("module is NULL", ntap_module_new_data_parallel, NULL, cpus, 2, NULL, &module);
    refuses("devices is NULL", ntap_module_new_data_parallel, all.module, NULL, 2, NULL, &module);
    refuses("parallel is NULL", ntap_module_new_data_parallel, all.module, cpus, 2, NULL, NULL);
    assert_untouched(module);
    refuses("parallel is NULL", ntap_module_update_replicas, NULL);
    assert_int_equal(ntap_module_replica_count(NULL), 0);
    assert_ok(ntap_module_new_data_parallel(all.module, cpus, 2, NULL, &module, &test_err));
    refuses("args is NULL", ntap_module_forward, module, NULL, 1, &result);
    refuses("args[0] is NULL", ntap_module_forward, module, nothing, 1, &result);
    assert_untouched(result);
    assert_ok(ntap_neuron_gradient_new(module, "", NULL, &gradient, &test_err));
    refuses("inputs[0] is NULL", ntap_neuron_gradient_attribute_all, gradient, no_input, 1, NULL,
            &grad);
    assert_untouched(grad);
    ntap_neuron_gradient_free(gradient);
    ntap_module_free(module);
}

static void module_to(void **state) {
    (void)state;
    refuses("module is NULL", ntap_module_to, NULL, &CPU, NTAP_DTYPE_FLOAT32);
    assert_ok(ntap_module_to(all.module, NULL, NTAP_DTYPE_NONE, &test_err)); /* keeps both */
}

/* ---- selector.h ---- */

static ntap_status callback(const ntap_value *layer_value, void *context, ntap_tensor **neuron,
                            ntap_error *err) {
    (void)layer_value;
    (void)context;
    (void)neuron;
    return ntap_error_set(err, NTAP_ERROR_STOPPED, "stopped");
}

static void selectors(void **state) {
    const ntap_index index = ntap_at(1);
    ntap_selector *selector = (ntap_selector *)POISON;
    (void)state;
    refuses("selector is NULL", ntap_selector_new_index, 1, NULL);
    refuses("indices is NULL", ntap_selector_new_indices, NULL, 1, &selector);
    refuses("selector is NULL", ntap_selector_new_indices, &index, 1, NULL);
    refuses("callback is NULL", ntap_selector_new_callback, NULL, NULL, NULL, &selector);
    refuses("selector is NULL", ntap_selector_new_callback, callback, NULL, NULL, NULL);
    refuses("text is NULL", ntap_selector_parse, NULL, &selector);
    refuses("selector is NULL", ntap_selector_parse, "4", NULL);
    assert_untouched(selector);
}

/* ---- neuron_gradient.h ---- */

static void gradients(void **state) {
    ntap_neuron_gradient *gradient = (ntap_neuron_gradient *)POISON;
    (void)state;
    refuses("module is NULL", ntap_neuron_gradient_new, NULL, "classifier", NULL, &gradient);
    refuses("layer is NULL", ntap_neuron_gradient_new, all.module, NULL, NULL, &gradient);
    refuses("gradient is NULL", ntap_neuron_gradient_new, all.module, "classifier", NULL, NULL);
    assert_untouched(gradient);
}

static void attributions(void **state) {
    const ntap_tensor *const inputs[] = {all.tensor};
    const ntap_tensor *const nulls[] = {NULL};
    ntap_tensor *grad = (ntap_tensor *)POISON;
    (void)state;
    refuses("gradient is NULL", ntap_neuron_gradient_attribute, NULL, inputs, 1, all.selector, NULL,
            &grad);
    refuses("inputs is NULL", ntap_neuron_gradient_attribute, all.gradient, NULL, 1, all.selector,
            NULL, &grad);
    refuses("inputs[0] is NULL", ntap_neuron_gradient_attribute, all.gradient, nulls, 1,
            all.selector, NULL, &grad);
    refuses("selector is NULL", ntap_neuron_gradient_attribute, all.gradient, inputs, 1, NULL, NULL,
            &grad);
    refuses("grads is NULL", ntap_neuron_gradient_attribute, all.gradient, inputs, 1, all.selector,
            NULL, NULL);
    refuses("n_inputs is 0", ntap_neuron_gradient_attribute, all.gradient, inputs, 0, all.selector,
            NULL, &grad);
    assert_untouched(grad);
}

static void attributions_of_many(void **state) {
    const ntap_tensor *const inputs[] = {all.tensor};
    const ntap_selector *const selectors[] = {all.selector};
    ntap_tensor *grad = (ntap_tensor *)POISON;
    (void)state;
    refuses("gradient is NULL", ntap_neuron_gradient_attribute_many, NULL, inputs, 1, selectors, 1,
            NULL, &grad);
    refuses("inputs is NULL", ntap_neuron_gradient_attribute_many, all.gradient, NULL, 1, selectors,
            1, NULL, &grad);
    refuses("selectors is NULL", ntap_neuron_gradient_attribute_many, all.gradient, inputs, 1, NULL,
            1, NULL, &grad);
    refuses("grads is NULL", ntap_neuron_gradient_attribute_many, all.gradient, inputs, 1,
            selectors, 1, NULL, NULL);
    refuses("gradient is NULL", ntap_neuron_gradient_attribute_all, NULL, inputs, 1, NULL, &grad);
    refuses("inputs is NULL", ntap_neuron_gradient_attribute_all, all.gradient, NULL, 1, NULL,
            &grad);
    refuses("grads is NULL", ntap_neuron_gradient_attribute_all, all.gradient, inputs, 1, NULL,
            NULL);
    assert_untouched(grad);
}

static void additional_arguments(void **state) {
    const ntap_tensor *const inputs[] = {all.tensor};
    const ntap_value *const nulls[] = {NULL};
    ntap_tensor *grad = (ntap_tensor *)POISON;
    ntap_attribute_options options = NTAP_ATTRIBUTE_OPTIONS_INIT;
    (void)state;
    options.n_additional_arguments = 1;
    refuses("is NULL", ntap_neuron_gradient_attribute, all.gradient, inputs, 1, all.selector,
            &options, &grad);
    assert_message("additional_arguments");
    options.additional_arguments = nulls;
    refuses("is NULL", ntap_neuron_gradient_attribute, all.gradient, inputs, 1, all.selector,
            &options, &grad);
    assert_message("additional_arguments[0]");
    assert_untouched(grad);
}

/* ---- torch_bridge.h ---- */

/* Objects of libtorch are not looked at before all pointers are there. */
static void torch_bridge(void **state) {
    ntap_tensor *tensor = (ntap_tensor *)POISON;
    ntap_value *value = (ntap_value *)POISON;
    ntap_module *module = (ntap_module *)POISON;
    (void)state;
    refuses("handle is NULL", ntap_tensor_from_aten, NULL, &tensor);
    refuses("tensor is NULL", ntap_tensor_from_aten, ntap_tensor_as_aten(all.tensor), NULL);
    assert_null(ntap_tensor_as_aten(NULL));
    refuses("ivalue is NULL", ntap_value_from_ivalue, NULL, &value);
    refuses("value is NULL", ntap_value_from_ivalue, POISON, NULL);
    refuses("value is NULL", ntap_value_to_ivalue, NULL, POISON);
    refuses("ivalue is NULL", ntap_value_to_ivalue, all.value, NULL);
    refuses("jit_module is NULL", ntap_module_from_jit, NULL, "forward", &module);
    refuses("module is NULL", ntap_module_from_jit, POISON, NULL, NULL);
    assert_untouched(tensor);
    assert_untouched(value);
    assert_untouched(module);
}

/* ---- frees, and successes without `err` ---- */

static void frees(void **state) {
    (void)state;
    ntap_tensor_free(NULL);
    ntap_value_free(NULL);
    ntap_module_free(NULL);
    ntap_neuron_gradient_free(NULL);
    ntap_selector_free(NULL);
    ntap_hook_remove(NULL);
}

static void success_needs_no_error_to_fill(void **state) {
    const ntap_tensor *const inputs[] = {all.tensor};
    const ntap_value *const args[] = {all.value};
    ntap_tensor *grad = NULL;
    ntap_tensor *clone = NULL;
    ntap_value *result = NULL;
    ntap_selector *selector = NULL;
    (void)state;
    assert_int_equal(ntap_tensor_clone(all.tensor, &clone, NULL), NTAP_OK);
    assert_int_equal(ntap_module_forward(all.module, args, 1, &result, NULL), NTAP_OK);
    assert_int_equal(ntap_selector_parse("1", &selector, NULL), NTAP_OK);
    assert_int_equal(
        ntap_neuron_gradient_attribute(all.gradient, inputs, 1, selector, NULL, &grad, NULL),
        NTAP_OK);
    ntap_tensor_free(clone);
    ntap_value_free(result);
    ntap_selector_free(selector);
    ntap_tensor_free(grad);
}

/* Failures of other kinds than a NULL, deep inside libtorch and at every layer above it. */
static void failure_needs_no_error_to_fill(void **state) {
    const ntap_value *const args[] = {all.value, all.value};
    ntap_tensor *tensor = (ntap_tensor *)POISON;
    ntap_value *result = (ntap_value *)POISON;
    ntap_module *module = (ntap_module *)POISON;
    (void)state;
    assert_int_equal(ntap_call_op("aten::mm", args, 2, &result, 1, NULL), NTAP_ERROR_MODEL);
    assert_int_equal(ntap_tensor_select(all.tensor, 0, 5, &tensor, NULL), NTAP_ERROR_MODEL);
    assert_int_equal(ntap_tensor_read_npy("/nonexistent", &tensor, NULL), NTAP_ERROR_FILE);
    assert_int_equal(ntap_tensor_read_pt("/nonexistent", &tensor, NULL), NTAP_ERROR_FILE);
    assert_int_equal(ntap_module_load("/nonexistent", NULL, &module, NULL), NTAP_ERROR_FILE);
    assert_int_equal(ntap_module_load_memory("x", 1, NULL, &module, NULL), NTAP_ERROR_FILE);
    assert_untouched(tensor);
    assert_untouched(result);
    assert_untouched(module);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base),
        cmocka_unit_test(base_without_pointers),
        cmocka_unit_test(tensor_constructors),
        cmocka_unit_test(tensor_copies),
        cmocka_unit_test(tensor_getters),
        cmocka_unit_test(tensor_files),
        cmocka_unit_test(dlpack),
        cmocka_unit_test(value_constructors),
        cmocka_unit_test(value_getters),
        cmocka_unit_test(the_description_of_no_value_is_empty),
        cmocka_unit_test(operators),
        cmocka_unit_test(operator_helpers),
        cmocka_unit_test(module_loaders),
        cmocka_unit_test(module_getters),
        cmocka_unit_test(module_runs),
        cmocka_unit_test(module_values),
        cmocka_unit_test(hooks),
        cmocka_unit_test(callback_modules),
        cmocka_unit_test(data_parallel_modules),
        cmocka_unit_test(module_to),
        cmocka_unit_test(selectors),
        cmocka_unit_test(gradients),
        cmocka_unit_test(attributions),
        cmocka_unit_test(attributions_of_many),
        cmocka_unit_test(additional_arguments),
        cmocka_unit_test(torch_bridge),
        cmocka_unit_test(frees),
        cmocka_unit_test(success_needs_no_error_to_fill),
        cmocka_unit_test(failure_needs_no_error_to_fill),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
