/* Modules: loading, layers, forward, capturing, moving. What is malformed is in test_archive.c. */
#include "support.h"

#include <stdlib.h>
#include <string.h>

static ntap_value *forward(const ntap_module *module, const ntap_tensor *input) {
    ntap_value *argument = make_tensor_value(input);
    const ntap_value *args[] = {argument};
    ntap_value *result = NULL;
    assert_ok(ntap_module_forward(module, args, 1, &result, &test_err));
    ntap_value_free(argument);
    return result;
}

/* The values at one layer: a list with one item a call. */
static ntap_value *capture(const ntap_module *module, const char *layer, ntap_layer_side side,
                           const ntap_tensor *input) {
    ntap_value *argument = make_tensor_value(input);
    const ntap_value *args[] = {argument};
    ntap_value *captured = NULL;
    assert_ok(ntap_module_capture(module, &layer, 1, side, args, 1, &captured, &test_err));
    ntap_value_free(argument);
    return captured;
}

static void assert_described(const ntap_value *value, const char *expected) {
    char text[256];
    (void)ntap_value_describe(value, text, sizeof text);
    assert_string_equal(text, expected);
}

/* ---- layers ---- */

static void layers_are_listed_depth_first_with_their_classes(void **state) {
    (void)state;
    static const char *const expected[][2] = {{"", "models.Mlp"},
                                              {"fc1", "torch.nn.modules.linear.Linear"},
                                              {"act", "torch.nn.modules.activation.ReLU"},
                                              {"fc2", "torch.nn.modules.linear.Linear"},
                                              {"fc3", "torch.nn.modules.linear.Linear"},
                                              {"head", "torch.nn.modules.activation.Softmax"}};
    ntap_module *module = load_fixture("mlp.scripted.pt");
    assert_int_equal(ntap_module_layer_count(module), 6);
    for (size_t i = 0; i < 6; ++i) {
        assert_string_equal(ntap_module_layer_name(module, i), expected[i][0]);
        assert_string_equal(ntap_module_layer_type(module, i), expected[i][1]);
    }
    assert_null(ntap_module_layer_name(module, 6));
    assert_null(ntap_module_layer_type(module, 6));
    ntap_module_free(module);
}

static void b20_traced_files_list_the_same_layers(void **state) {
    (void)state;
    ntap_module *scripted = load_fixture("cnn.scripted.pt");
    ntap_module *traced = load_fixture("cnn.traced.pt");
    const size_t count = ntap_module_layer_count(scripted);
    assert_int_equal(ntap_module_layer_count(traced), count);
    for (size_t i = 0; i < count; ++i) {
        assert_string_equal(ntap_module_layer_name(traced, i), ntap_module_layer_name(scripted, i));
        assert_string_equal(ntap_module_layer_type(traced, i), ntap_module_layer_type(scripted, i));
    }
    ntap_module_free(scripted);
    ntap_module_free(traced);
}

static void the_signature_shows_types_and_defaults(void **state) {
    (void)state;
    ntap_module *module = load_fixture("arguments.scripted.pt");
    assert_contains(ntap_module_signature(module), "forward(Tensor x, Tensor y, float scale=2.0, ");
    assert_contains(ntap_module_signature(module), "str mode=\"mul\"");
    ntap_module_free(module);
}

/* ---- loading ---- */

static void memory_loads_as_a_file_does(void **state) {
    (void)state;
    size_t size = 0;
    unsigned char *bytes = read_file(fixture_path("mlp.scripted.pt"), &size);
    ntap_module *from_file = load_fixture("mlp.scripted.pt");
    ntap_module *from_memory = NULL;
    ntap_tensor *input = read_fixture("mlp.x.npy");
    assert_ok(ntap_module_load_memory(bytes, size, NULL, &from_memory, &test_err));
    memset(bytes, 0, size); /* the module keeps nothing of it */
    free(bytes);
    ntap_value *expected = forward(from_file, input);
    ntap_value *actual = forward(from_memory, input);
    assert_close(ntap_value_get_tensor(actual), ntap_value_get_tensor(expected), 0);
    ntap_value_free(actual);
    ntap_value_free(expected);
    ntap_tensor_free(input);
    ntap_module_free(from_file);
    ntap_module_free(from_memory);
}

static void assert_load_fails(const char *path, ntap_status status, const char *message) {
    ntap_module *module = (ntap_module *)POISON;
    assert_fails(status, ntap_module_load(path, NULL, &module, &test_err));
    assert_message(message);
    assert_untouched(module);
}

static void what_is_no_model_is_named(void **state) {
    (void)state;
    assert_load_fails("/no/such/file.pt", NTAP_ERROR_FILE, "cannot open '/no/such/file.pt'");
    assert_load_fails("/tmp", NTAP_ERROR_FILE, "not a regular file");
    assert_load_fails(fixture_path("mlp.x.npy"), NTAP_ERROR_FILE, "it is no zip archive");
    assert_load_fails(fixture_path("notscript.state_dict.pt"), NTAP_ERROR_FILE,
                      "an object that torch.save wrote");
}

static void a_device_that_does_not_exist_is_an_error(void **state) {
    (void)state;
    ntap_load_options options = NTAP_LOAD_OPTIONS_INIT;
    ntap_module *module = (ntap_module *)POISON;
    options.device.type = NTAP_DEVICE_CUDA;
    options.device.index = 99;
    assert_fails(NTAP_ERROR_DEVICE,
                 ntap_module_load(fixture_path("mlp.scripted.pt"), &options, &module, &test_err));
    assert_message("cuda:99");
    assert_untouched(module);
}

/* ---- forward ---- */

/* By hand: softmax rows are positive and sum to one. */
static void forward_computes_without_a_graph(void **state) {
    (void)state;
    ntap_module *module = load_fixture("mlp_f64.traced.pt");
    ntap_tensor *input = read_fixture("mlp_f64.x.npy");
    ntap_value *result = forward(module, input);
    size_t count = 0;
    double *values = read_elements(ntap_value_get_tensor(result), &count);
    assert_int_equal(count, 4 * (size_t)ntap_tensor_size(input, 0));
    for (size_t row = 0; row < count; row += 4) {
        const double sum = values[row] + values[row + 1] + values[row + 2] + values[row + 3];
        assert_true(sum > 1 - 1e-12 && sum < 1 + 1e-12);
    }
    free(values);
    ntap_value_free(result);
    ntap_tensor_free(input);
    ntap_module_free(module);
}

static void forward_gives_structures(void **state) {
    (void)state;
    ntap_module *module = load_fixture("containers.scripted.pt");
    ntap_tensor *input = read_fixture("containers.x.npy");
    ntap_value *result = forward(module, input);
    assert_int_equal(ntap_value_get_kind(result), NTAP_VALUE_DICT);
    assert_string_equal(ntap_value_get_string(ntap_value_key(result, 0)), "out");
    assert_non_null(ntap_value_get_tensor(ntap_value_item(result, 0)));
    ntap_value_free(result);
    ntap_tensor_free(input);
    ntap_module_free(module);
}

/* The counter model multiplies with the number of its runs: forward is a run, capturing is none. */
static void forward_changes_the_model_but_capture_does_not(void **state) {
    (void)state;
    ntap_module *module = load_fixture("counter.scripted.pt");
    ntap_module *fresh = load_fixture("counter.scripted.pt");
    ntap_tensor *input = read_fixture("counter.x.npy");
    ntap_value_free(capture(module, "", NTAP_LAYER_OUTPUT, input));
    ntap_value *first = forward(module, input);
    ntap_value *expected = forward(fresh, input);
    ntap_value *second = forward(module, input);
    assert_close(ntap_value_get_tensor(first), ntap_value_get_tensor(expected), 0);
    const float *once = (const float *)ntap_tensor_data(ntap_value_get_tensor(first));
    const float *twice = (const float *)ntap_tensor_data(ntap_value_get_tensor(second));
    assert_true(once[0] < twice[0] || once[0] > twice[0]);
    ntap_value_free(first);
    ntap_value_free(second);
    ntap_value_free(expected);
    ntap_tensor_free(input);
    ntap_module_free(module);
    ntap_module_free(fresh);
}

static void forward_leaves_its_arguments_alone(void **state) {
    (void)state;
    ntap_module *module = load_fixture("writesinput.scripted.pt");
    ntap_tensor *input = read_fixture("writesinput.x.npy");
    ntap_tensor *before = NULL;
    assert_ok(ntap_tensor_clone(input, &before, &test_err));
    ntap_value_free(forward(module, input));
    assert_close(input, before, 0);
    ntap_tensor_free(before);
    ntap_tensor_free(input);
    ntap_module_free(module);
}

static void assert_forward_fails(const char *file, const ntap_value *const *args, size_t n_args,
                                 ntap_status status, const char *message) {
    ntap_module *module = load_fixture(file);
    ntap_value *result = (ntap_value *)POISON;
    assert_fails(status, ntap_module_forward(module, args, n_args, &result, &test_err));
    assert_message(message);
    assert_untouched(result);
    ntap_module_free(module);
}

static void b7_arguments_that_do_not_fit_name_the_parameter(void **state) {
    (void)state;
    ntap_tensor *x = make_tensor(NTAP_DTYPE_FLOAT32, VALUES(1, 2, 3, 4), SHAPE(1, 4));
    ntap_tensor *y = make_tensor(NTAP_DTYPE_FLOAT32, VALUES(1, 2, 3), SHAPE(1, 3));
    ntap_value *a = make_tensor_value(x);
    ntap_value *b = make_tensor_value(y);
    ntap_value *word = make_string("two");
    ntap_value *pair = make_list(2, make_int(1), make_string("x"));
    const ntap_value *missing[] = {a};
    const ntap_value *wrong[] = {a, b, word};
    const ntap_value *nested[] = {a, b, word, word};
    const ntap_value *surplus[] = {a, b};
    nested[2] = pair;
    assert_forward_fails("arguments.scripted.pt", missing, 1, NTAP_ERROR_INVALID_ARGUMENT,
                         "argument 'y' (Tensor) is missing");
    assert_forward_fails("arguments.scripted.pt", wrong, 3, NTAP_ERROR_INVALID_ARGUMENT,
                         "argument 'scale': expected float, got string \"two\"");
    assert_forward_fails("arguments.scripted.pt", nested, 3, NTAP_ERROR_INVALID_ARGUMENT,
                         "argument 'scale': expected float, got list [1, \"x\"]");
    assert_forward_fails("mlp.scripted.pt", surplus, 2, NTAP_ERROR_INVALID_ARGUMENT,
                         "too many arguments");
    ntap_value_free(a);
    ntap_value_free(b);
    ntap_value_free(word);
    ntap_value_free(pair);
    ntap_tensor_free(x);
    ntap_tensor_free(y);
}

static void a_model_that_raises_is_quoted_in_one_line(void **state) {
    (void)state;
    ntap_tensor *x = read_fixture("raises.neg.npy");
    ntap_value *argument = make_tensor_value(x);
    const ntap_value *args[] = {argument};
    assert_forward_fails("raises.scripted.pt", args, 1, NTAP_ERROR_MODEL, "negative input");
    assert_null(strchr(test_err.message, '\n'));
    ntap_value_free(argument);
    ntap_tensor_free(x);
}

/* ---- capturing ---- */

static void b10_capture_lists_every_call(void **state) {
    (void)state;
    ntap_module *module = load_fixture("reused.traced.pt");
    ntap_tensor *input = read_fixture("reused.x.npy");
    ntap_value *captured = capture(module, "fc1", NTAP_LAYER_OUTPUT, input);
    assert_described(captured, "[float32[3, 4], float32[3, 4], float32[3, 4]]");
    ntap_value_free(captured);
    ntap_tensor_free(input);
    ntap_module_free(module);
}

static void b11_capture_of_a_layer_that_does_not_run_is_empty(void **state) {
    (void)state;
    ntap_module *module = load_fixture("nevercalled.scripted.pt");
    ntap_tensor *input = read_fixture("nevercalled.x.npy");
    ntap_value *orphan = capture(module, "orphan", NTAP_LAYER_OUTPUT, input);
    ntap_value *rare = capture(module, "rare", NTAP_LAYER_OUTPUT, input);
    assert_described(orphan, "[]");
    assert_described(rare, "[]");
    ntap_value_free(orphan);
    ntap_value_free(rare);
    ntap_tensor_free(input);
    ntap_module_free(module);
}

/* Index 0 is the model itself, so this also runs it whole. */
static void b21_capture_takes_all_layers_at_once(void **state) {
    (void)state;
    ntap_module *module = load_fixture("mlp.traced.pt");
    ntap_tensor *input = read_fixture("mlp.x.npy");
    ntap_value *argument = make_tensor_value(input);
    const ntap_value *args[] = {argument};
    const char *layers[6];
    ntap_value *captured[6] = {NULL};
    for (size_t i = 0; i < 6; ++i)
        layers[i] = ntap_module_layer_name(module, i);
    assert_ok(
        ntap_module_capture(module, layers, 6, NTAP_LAYER_OUTPUT, args, 1, captured, &test_err));
    for (size_t i = 0; i < 6; ++i) {
        ntap_value *alone = capture(module, layers[i], NTAP_LAYER_OUTPUT, input);
        assert_int_equal(ntap_value_count(captured[i]), 1);
        assert_close(ntap_value_get_tensor(ntap_value_item(captured[i], 0)),
                     ntap_value_get_tensor(ntap_value_item(alone, 0)), 0);
        ntap_value_free(alone);
        ntap_value_free(captured[i]);
    }
    ntap_value_free(argument);
    ntap_tensor_free(input);
    ntap_module_free(module);
}

static void b8_capture_of_inputs_gives_tuples(void **state) {
    (void)state;
    ntap_module *module = load_fixture("containers.scripted.pt");
    ntap_tensor *input = read_fixture("containers.x.npy");
    ntap_value *captured = capture(module, "takes", NTAP_LAYER_INPUT, input);
    const ntap_value *call = ntap_value_item(captured, 0);
    assert_int_equal(ntap_value_get_kind(call), NTAP_VALUE_TUPLE);
    assert_int_equal(ntap_value_get_kind(ntap_value_item(call, 0)), NTAP_VALUE_LIST);
    assert_int_equal(ntap_value_get_kind(ntap_value_item(call, 1)), NTAP_VALUE_INT);
    ntap_value_free(captured);
    ntap_tensor_free(input);
    ntap_module_free(module);
}

static void b11_capture_of_an_unknown_layer_suggests_and_touches_nothing(void **state) {
    (void)state;
    ntap_module *module = load_fixture("mlp.traced.pt");
    const char *layers[] = {"fc1", "hed"};
    ntap_value *captured[] = {(ntap_value *)POISON, (ntap_value *)POISON};
    assert_fails(NTAP_ERROR_NOT_FOUND, ntap_module_capture(module, layers, 2, NTAP_LAYER_OUTPUT,
                                                           NULL, 0, captured, &test_err));
    assert_message("layer 'hed' not found; did you mean 'head'?");
    assert_untouched(captured[0]);
    assert_untouched(captured[1]);
    assert_fails(
        NTAP_ERROR_INVALID_ARGUMENT,
        ntap_module_capture(module, layers, 1, (ntap_layer_side)7, NULL, 0, captured, &test_err));
    assert_message("side is 7");
    ntap_module_free(module);
}

/* ---- moving ---- */

/* The float64 file holds other weights: only the dtype is looked at, and that results agree with
 * the float32 ones. */
static void a_module_converts_to_double_and_what_was_made_from_it_follows(void **state) {
    (void)state;
    ntap_module *module = load_fixture("cnn.scripted.pt");
    ntap_tensor *input = read_fixture("cnn.x.npy");
    ntap_tensor *wide = NULL;
    ntap_tensor *narrow = NULL;
    ntap_value *before = forward(module, input);
    assert_ok(ntap_module_to(module, NULL, NTAP_DTYPE_FLOAT64, &test_err));
    assert_ok(ntap_tensor_to(input, NULL, NTAP_DTYPE_FLOAT64, &wide, &test_err));
    ntap_value *after = forward(module, wide);
    assert_int_equal(ntap_tensor_dtype(ntap_value_get_tensor(after)), NTAP_DTYPE_FLOAT64);
    assert_ok(
        ntap_tensor_to(ntap_value_get_tensor(after), NULL, NTAP_DTYPE_FLOAT32, &narrow, &test_err));
    assert_close(narrow, ntap_value_get_tensor(before), 1e-5);
    ntap_tensor_free(narrow);
    ntap_tensor_free(wide);
    ntap_value_free(before);
    ntap_value_free(after);
    ntap_tensor_free(input);
    ntap_module_free(module);
}

static void a_module_converts_to_floating_point_types_only(void **state) {
    (void)state;
    ntap_module *module = load_fixture("mlp.scripted.pt");
    const ntap_device nowhere = {NTAP_DEVICE_CUDA, 99};
    assert_fails(NTAP_ERROR_DTYPE, ntap_module_to(module, NULL, NTAP_DTYPE_INT64, &test_err));
    assert_message("dtype is int64");
    assert_fails(NTAP_ERROR_DEVICE, ntap_module_to(module, &nowhere, NTAP_DTYPE_NONE, &test_err));
    assert_message("cuda:99");
    ntap_module_free(module);
}

/* ---- what is out of reach ---- */

static void b21_a_model_that_replaces_a_layer_runs_but_cannot_be_instrumented(void **state) {
    (void)state;
    ntap_module *module = load_fixture("reassigned.pt");
    ntap_tensor *input = read_fixture("reassigned.x.npy");
    ntap_tensor *expected = read_fixture("reassigned.out.npy"); /* by the eager model */
    ntap_value *args[] = {make_tensor_value(input), make_bool(1)};
    const ntap_value *const lent[] = {args[0], args[1]};
    const char *layer = "b";
    size_t count = 77;
    ntap_value *result = (ntap_value *)POISON;
    assert_fails(NTAP_ERROR_UNSUPPORTED, ntap_module_capture(module, &layer, 1, NTAP_LAYER_OUTPUT,
                                                             lent, 2, &result, &test_err));
    assert_message("the model's forward replaces its submodule 'a' while it runs");
    assert_untouched(result);
    assert_fails(NTAP_ERROR_UNSUPPORTED, ntap_module_value_count(module, &count, &test_err));
    assert_int_equal(count, 77);
    assert_ok(ntap_module_forward(module, lent, 2, &result, &test_err));
    assert_close(ntap_value_get_tensor(result), expected, 1e-6);
    ntap_value_free(result);
    ntap_value_free(args[0]);
    ntap_value_free(args[1]);
    ntap_tensor_free(expected);
    ntap_tensor_free(input);
    ntap_module_free(module);
}

static void b21_an_optimized_file_is_refused_with_the_reason(void **state) {
    (void)state;
    ntap_module *module = (ntap_module *)POISON;
    assert_fails(NTAP_ERROR_UNSUPPORTED,
                 ntap_module_load(fixture_path("cnn.optimized.pt"), NULL, &module, &test_err));
    assert_message("torch.jit.optimize_for_inference");
    assert_untouched(module);
}

static void b21_an_index_beyond_a_list_of_layers_is_the_models_error(void **state) {
    (void)state;
    ntap_module *module = load_fixture("interface.scripted.pt");
    ntap_tensor *input = read_fixture("interface.x.npy");
    ntap_value *args[] = {make_tensor_value(input), make_list(1, make_int(9))};
    const ntap_value *const lent[] = {args[0], args[1]};
    const char *layer = "blocks.0";
    ntap_value *result = (ntap_value *)POISON;
    assert_fails(NTAP_ERROR_MODEL, ntap_module_forward(module, lent, 2, &result, &test_err));
    assert_fails(NTAP_ERROR_MODEL, ntap_module_capture(module, &layer, 1, NTAP_LAYER_OUTPUT, lent,
                                                       2, &result, &test_err));
    assert_untouched(result);
    ntap_value_free(args[0]);
    ntap_value_free(args[1]);
    ntap_tensor_free(input);
    ntap_module_free(module);
}

/* ---- another method than forward ---- */

static void b21_another_method_is_the_entry(void **state) {
    (void)state;
    ntap_load_options options = NTAP_LOAD_OPTIONS_INIT;
    ntap_module *module = (ntap_module *)POISON;
    options.method = "encoed";
    assert_fails(NTAP_ERROR_NOT_FOUND, ntap_module_load(fixture_path("methods.scripted.pt"),
                                                        &options, &module, &test_err));
    assert_message("the model has no method 'encoed'; it has 'forward', 'finish'");
    assert_untouched(module);
    options.method = "finish";
    assert_ok(ntap_module_load(fixture_path("methods.scripted.pt"), &options, &module, &test_err));
    assert_string_equal(ntap_module_signature(module), "finish(Tensor x) -> Tensor");
    /* What forward hands to it gives what it gives to forward. */
    ntap_module *whole = load_fixture("methods.scripted.pt");
    ntap_tensor *input = read_fixture("methods.x.npy");
    ntap_value *received = capture(whole, "finish:1", NTAP_LAYER_INPUT, input);
    ntap_value *returned = capture(whole, "finish:1", NTAP_LAYER_OUTPUT, input);
    const ntap_value *arguments = ntap_value_item(received, 0);
    ntap_value *result = forward(module, ntap_value_get_tensor(ntap_value_item(arguments, 0)));
    assert_close(ntap_value_get_tensor(result), ntap_value_get_tensor(ntap_value_item(returned, 0)),
                 0);
    ntap_value_free(result);
    ntap_value_free(received);
    ntap_value_free(returned);
    ntap_tensor_free(input);
    ntap_module_free(whole);
    ntap_module_free(module);
}

/* ---- values ---- */

static void b21_values_have_names_from_the_text(void **state) {
    static const char *const expected[] = {"conv2d:1", "relu_:1", "max_pool2d:1",
                                           "conv2d:2", "relu_:2", "adaptive_avg_pool2d:1",
                                           "flatten:1"};
    (void)state;
    ntap_module *module = load_fixture("cnn.frozen.pt");
    size_t count = 0;
    const char *name = NULL;
    assert_ok(ntap_module_value_count(module, &count, &test_err));
    assert_int_equal(count, sizeof expected / sizeof *expected);
    for (size_t i = 0; i < count; ++i) {
        assert_ok(ntap_module_value_name(module, i, &name, &test_err));
        assert_string_equal(name, expected[i]);
    }
    ntap_module_free(module);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(b21_a_model_that_replaces_a_layer_runs_but_cannot_be_instrumented),
        cmocka_unit_test(b21_an_optimized_file_is_refused_with_the_reason),
        cmocka_unit_test(b21_an_index_beyond_a_list_of_layers_is_the_models_error),
        cmocka_unit_test(b21_another_method_is_the_entry),
        cmocka_unit_test(b21_values_have_names_from_the_text),
        cmocka_unit_test(layers_are_listed_depth_first_with_their_classes),
        cmocka_unit_test(b20_traced_files_list_the_same_layers),
        cmocka_unit_test(the_signature_shows_types_and_defaults),
        cmocka_unit_test(memory_loads_as_a_file_does),
        cmocka_unit_test(what_is_no_model_is_named),
        cmocka_unit_test(a_device_that_does_not_exist_is_an_error),
        cmocka_unit_test(forward_computes_without_a_graph),
        cmocka_unit_test(forward_gives_structures),
        cmocka_unit_test(forward_changes_the_model_but_capture_does_not),
        cmocka_unit_test(forward_leaves_its_arguments_alone),
        cmocka_unit_test(b7_arguments_that_do_not_fit_name_the_parameter),
        cmocka_unit_test(a_model_that_raises_is_quoted_in_one_line),
        cmocka_unit_test(b10_capture_lists_every_call),
        cmocka_unit_test(b11_capture_of_a_layer_that_does_not_run_is_empty),
        cmocka_unit_test(b21_capture_takes_all_layers_at_once),
        cmocka_unit_test(b8_capture_of_inputs_gives_tuples),
        cmocka_unit_test(b11_capture_of_an_unknown_layer_suggests_and_touches_nothing),
        cmocka_unit_test(a_module_converts_to_double_and_what_was_made_from_it_follows),
        cmocka_unit_test(a_module_converts_to_floating_point_types_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
