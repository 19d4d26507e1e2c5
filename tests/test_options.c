/* Option structs: defaults, and callers that were compiled against older or newer headers. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char MODEL[] = "fashion_mnist/fashion_cnn_traced.pt";
static const char LAYER[] = "classifier";

/* ---- defaults ---- */

/* A struct with every byte zero but for its size. Padding may differ from the macro's, so that the
 * tests compare field by field. */
#define ZEROED(type, name)                                                                         \
    type name;                                                                                     \
    memset(&(name), 0, sizeof(name));                                                              \
    (name).struct_size = sizeof(name)

static void load_defaults_are_zero(void **state) {
    const ntap_load_options macro = NTAP_LOAD_OPTIONS_INIT;
    ZEROED(ntap_load_options, zeroed);
    (void)state;
    assert_int_equal(macro.struct_size, zeroed.struct_size);
    assert_int_equal(macro.device.type, zeroed.device.type);
    assert_int_equal(macro.device.index, zeroed.device.index);
    assert_int_equal(macro.training, zeroed.training);
    assert_ptr_equal(macro.method, zeroed.method);
}

static void callback_module_defaults_are_zero(void **state) {
    const ntap_callback_module_options macro = NTAP_CALLBACK_MODULE_OPTIONS_INIT;
    ZEROED(ntap_callback_module_options, zeroed);
    (void)state;
    assert_int_equal(macro.struct_size, zeroed.struct_size);
    assert_ptr_equal(macro.layers, zeroed.layers);
    assert_int_equal(macro.n_layers, zeroed.n_layers);
    assert_true(macro.finalizer == zeroed.finalizer);
}

static void data_parallel_defaults_are_zero(void **state) {
    const ntap_data_parallel_options macro = NTAP_DATA_PARALLEL_OPTIONS_INIT;
    ZEROED(ntap_data_parallel_options, zeroed);
    (void)state;
    assert_int_equal(macro.struct_size, zeroed.struct_size);
    assert_int_equal(macro.num_threads, zeroed.num_threads);
}

static void gradient_defaults_are_zero(void **state) {
    const ntap_neuron_gradient_options macro = NTAP_NEURON_GRADIENT_OPTIONS_INIT;
    ZEROED(ntap_neuron_gradient_options, zeroed);
    (void)state;
    assert_int_equal(macro.struct_size, zeroed.struct_size);
    assert_int_equal(macro.side, zeroed.side);
}

static void attribute_defaults_are_zero(void **state) {
    const ntap_attribute_options macro = NTAP_ATTRIBUTE_OPTIONS_INIT;
    ZEROED(ntap_attribute_options, zeroed);
    (void)state;
    assert_int_equal(macro.struct_size, zeroed.struct_size);
    assert_ptr_equal(macro.additional_arguments, zeroed.additional_arguments);
    assert_int_equal(macro.n_additional_arguments, zeroed.n_additional_arguments);
    assert_int_equal(macro.call, zeroed.call);
    assert_int_equal(macro.unused_inputs, zeroed.unused_inputs);
    assert_int_equal(macro.fast_paths, zeroed.fast_paths);
    assert_int_equal(macro.memory_limit, zeroed.memory_limit);
    assert_true(macro.progress == zeroed.progress);
    assert_ptr_equal(macro.progress_context, zeroed.progress_context);
    assert_ptr_equal(macro.report, zeroed.report);
}

/* ---- the functions that take options ---- */

typedef struct fixture {
    ntap_module *module;
    ntap_neuron_gradient *gradient;
    ntap_selector *selector;
    ntap_tensor *input;
} fixture;

static ntap_status use_load(const fixture *f, const void *options) {
    ntap_module *module = NULL;
    (void)f;
    const ntap_status status = ntap_module_load(example_path(MODEL), options, &module, &test_err);
    ntap_module_free(module);
    return status;
}

static ntap_status use_load_memory(const fixture *f, const void *options) {
    ntap_module *module = NULL;
    size_t size = 0;
    (void)f;
    unsigned char *bytes = read_file(example_path(MODEL), &size);
    const ntap_status status = ntap_module_load_memory(bytes, size, options, &module, &test_err);
    free(bytes);
    ntap_module_free(module);
    return status;
}

static ntap_status use_gradient_new(const fixture *f, const void *options) {
    ntap_neuron_gradient *gradient = NULL;
    const ntap_status status =
        ntap_neuron_gradient_new(f->module, LAYER, options, &gradient, &test_err);
    ntap_neuron_gradient_free(gradient);
    return status;
}

static ntap_status use_attribute(const fixture *f, const void *options) {
    ntap_tensor *grad = NULL;
    const ntap_tensor *input = f->input;
    const ntap_status status = ntap_neuron_gradient_attribute(f->gradient, &input, 1, f->selector,
                                                              options, &grad, &test_err);
    ntap_tensor_free(grad);
    return status;
}

static ntap_status forward_nothing(ntap_view *view, const ntap_value *const *args, size_t n_args,
                                   void *context, ntap_value **result, ntap_error *err) {
    (void)view;
    (void)args;
    (void)n_args;
    (void)context;
    return ntap_value_new_none(result, err);
}

static ntap_status use_new_callback(const fixture *f, const void *options) {
    ntap_module *module = NULL;
    const ntap_status status =
        ntap_module_new_callback(f->module, forward_nothing, NULL, options, &module, &test_err);
    ntap_module_free(module);
    return status;
}

static ntap_status use_new_data_parallel(const fixture *f, const void *options) {
    const ntap_device cpu = {NTAP_DEVICE_CPU, 0};
    ntap_module *module = NULL;
    const ntap_status status =
        ntap_module_new_data_parallel(f->module, &cpu, 1, options, &module, &test_err);
    ntap_module_free(module);
    return status;
}

typedef struct user {
    size_t size; /* of its options */
    ntap_status (*use)(const fixture *f, const void *options);
} user;

static const user USERS[] = {
    {sizeof(ntap_load_options), use_load},
    {sizeof(ntap_load_options), use_load_memory},
    {sizeof(ntap_neuron_gradient_options), use_gradient_new},
    {sizeof(ntap_attribute_options), use_attribute},
    {sizeof(ntap_callback_module_options), use_new_callback},
    {sizeof(ntap_data_parallel_options), use_new_data_parallel},
};

enum { USER_COUNT = sizeof USERS / sizeof *USERS, TAIL = 16 };

static int set_up(void **state) {
    static fixture f;
    assert_ok(ntap_module_load(example_path(MODEL), NULL, &f.module, &test_err));
    assert_ok(ntap_neuron_gradient_new(f.module, LAYER, NULL, &f.gradient, &test_err));
    assert_ok(ntap_selector_new_index(3, &f.selector, &test_err));
    const ntap_device cpu = {NTAP_DEVICE_CPU, 0};
    assert_ok(ntap_tensor_zeros(SHAPE(1, 1, 28, 28), NTAP_DTYPE_FLOAT32, cpu, &f.input, &test_err));
    *state = &f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = (fixture *)*state;
    ntap_tensor_free(f->input);
    ntap_selector_free(f->selector);
    ntap_neuron_gradient_free(f->gradient);
    ntap_module_free(f->module);
    return 0;
}

/* Options of exactly `allocated` bytes, all zero but for the size that they claim. */
static unsigned char *make_options(size_t allocated, size_t struct_size) {
    unsigned char *options = (unsigned char *)calloc(1, allocated);
    assert_non_null(options);
    assert_true(allocated >= sizeof struct_size);
    memcpy(options, &struct_size, sizeof struct_size);
    return options;
}

static void no_options_are_all_defaults(void **state) {
    for (size_t i = 0; i < USER_COUNT; ++i)
        assert_ok(USERS[i].use((const fixture *)*state, NULL));
}

static void zeroed_options_are_accepted(void **state) {
    for (size_t i = 0; i < USER_COUNT; ++i) {
        unsigned char *options = make_options(USERS[i].size, USERS[i].size);
        assert_ok(USERS[i].use((const fixture *)*state, options));
        free(options);
    }
}

/* Forgetting the macro leaves a size of 0, or whatever was on the stack. */
static void a_size_that_no_struct_has_is_refused(void **state) {
    static const size_t sizes[] = {0, 1, sizeof(size_t) - 1, sizeof(size_t) + 4, 5000, SIZE_MAX};
    for (size_t i = 0; i < USER_COUNT; ++i) {
        for (size_t j = 0; j < sizeof sizes / sizeof *sizes; ++j) {
            char text[64];
            unsigned char *options = make_options(USERS[i].size, sizes[j]);
            assert_fails(NTAP_ERROR_INVALID_ARGUMENT,
                         USERS[i].use((const fixture *)*state, options));
            (void)snprintf(text, sizeof text, "options.struct_size is %zu;", sizes[j]);
            assert_message(text);
            assert_message("_INIT");
            free(options);
        }
    }
}

/* An older caller's struct ends early; what lies behind it is not read. */
static void a_shorter_struct_is_accepted(void **state) {
    for (size_t i = 0; i < USER_COUNT; ++i) {
        unsigned char *options = make_options(sizeof(size_t), sizeof(size_t));
        assert_ok(USERS[i].use((const fixture *)*state, options));
        free(options);
    }
}

static void nothing_behind_a_shorter_struct_is_used(void **state) {
    for (size_t i = 0; i < USER_COUNT; ++i) {
        unsigned char *options = make_options(USERS[i].size, sizeof(size_t));
        memset(options + sizeof(size_t), 0xFF, USERS[i].size - sizeof(size_t));
        assert_ok(USERS[i].use((const fixture *)*state, options));
        free(options);
    }
}

/* A newer caller's struct, with the new settings left alone. */
static void a_longer_struct_with_zeros_is_accepted(void **state) {
    for (size_t i = 0; i < USER_COUNT; ++i) {
        unsigned char *options = make_options(USERS[i].size + TAIL, USERS[i].size + TAIL);
        assert_ok(USERS[i].use((const fixture *)*state, options));
        free(options);
    }
}

static void a_longer_struct_with_settings_is_refused(void **state) {
    for (size_t i = 0; i < USER_COUNT; ++i) {
        for (size_t at = 0; at < TAIL; at += TAIL - 1) {
            unsigned char *options = make_options(USERS[i].size + TAIL, USERS[i].size + TAIL);
            options[USERS[i].size + at] = 1;
            assert_fails(NTAP_ERROR_INVALID_ARGUMENT,
                         USERS[i].use((const fixture *)*state, options));
            assert_message("options.struct_size is");
            assert_message(ntap_version());
            free(options);
        }
    }
}

static void the_known_part_of_a_longer_struct_is_used(void **state) {
    struct {
        ntap_neuron_gradient_options known;
        int64_t newer;
    } options;
    memset(&options, 0, sizeof options);
    options.known.struct_size = sizeof options;
    options.known.side = (ntap_layer_side)77;
    assert_fails(NTAP_ERROR_INVALID_ARGUMENT, use_gradient_new((const fixture *)*state, &options));
    assert_message("side is 77");
}

/* ---- values that no option has ---- */

static void an_unknown_side_is_refused(void **state) {
    ntap_neuron_gradient_options options = NTAP_NEURON_GRADIENT_OPTIONS_INIT;
    options.side = (ntap_layer_side)2;
    assert_fails(NTAP_ERROR_INVALID_ARGUMENT, use_gradient_new((const fixture *)*state, &options));
    assert_message("side is 2; expected NTAP_LAYER_OUTPUT or NTAP_LAYER_INPUT");
}

static void an_unknown_policy_for_unused_inputs_is_refused(void **state) {
    ntap_attribute_options options = NTAP_ATTRIBUTE_OPTIONS_INIT;
    options.unused_inputs = (ntap_unused_inputs)2;
    assert_fails(NTAP_ERROR_INVALID_ARGUMENT, use_attribute((const fixture *)*state, &options));
    assert_message("options.unused_inputs is 2");
}

static void an_unknown_device_is_refused(void **state) {
    ntap_load_options options = NTAP_LOAD_OPTIONS_INIT;
    options.device.type = (ntap_device_type)9;
    assert_fails(NTAP_ERROR_DEVICE, use_load((const fixture *)*state, &options));
    assert_message("device type 9 is unknown");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(load_defaults_are_zero),
        cmocka_unit_test(callback_module_defaults_are_zero),
        cmocka_unit_test(data_parallel_defaults_are_zero),
        cmocka_unit_test(gradient_defaults_are_zero),
        cmocka_unit_test(attribute_defaults_are_zero),
        cmocka_unit_test(no_options_are_all_defaults),
        cmocka_unit_test(zeroed_options_are_accepted),
        cmocka_unit_test(a_size_that_no_struct_has_is_refused),
        cmocka_unit_test(a_shorter_struct_is_accepted),
        cmocka_unit_test(nothing_behind_a_shorter_struct_is_used),
        cmocka_unit_test(a_longer_struct_with_zeros_is_accepted),
        cmocka_unit_test(a_longer_struct_with_settings_is_refused),
        cmocka_unit_test(the_known_part_of_a_longer_struct_is_used),
        cmocka_unit_test(an_unknown_side_is_refused),
        cmocka_unit_test(an_unknown_policy_for_unused_inputs_is_refused),
        cmocka_unit_test(an_unknown_device_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
