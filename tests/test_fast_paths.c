/* The fast paths: on models that are special in what a neuron looks at, every neuron's gradient is
 * captum's, and what autograd gives for all of the cut model. See fixtures/make_fast_paths.py. */
#include "fixture_support.h"

#include <stdlib.h>
#include <string.h>

static const double TOLERANCE = 1e-12; /* of the largest element, in float64 */
static const double TOLERANCE_FLOAT32 = 1e-5;

/* A layer of a case, ready. */
typedef struct layer {
    ntap_module *module;
    ntap_neuron_gradient *gradient;
    ntap_tensor *inputs[MOST_TENSORS];
    size_t n_inputs;
    ntap_value *arguments[MOST_TENSORS];
    size_t n_arguments;
} layer;

static void open_layer(const char *model, const char *path, layer *l) {
    l->module = load_fixture(model);
    assert_ok(ntap_neuron_gradient_new(l->module, path, NULL, &l->gradient, &test_err));
}

static ntap_value *tensor_argument(const char *file) {
    ntap_value *value = NULL;
    ntap_tensor *tensor = read_fixture(file);
    assert_ok(ntap_value_new_tensor(tensor, &value, &test_err));
    ntap_tensor_free(tensor);
    return value;
}

/* A number, or the file of a tensor. */
static ntap_value *read_argument(const json_t *item) {
    ntap_value *value = NULL;
    if (!json_is_real(item))
        return tensor_argument(json_string_value(item));
    assert_ok(ntap_value_new_double(json_real_value(item), &value, &test_err));
    return value;
}

static layer open_case(const json_t *item) {
    layer l;
    const json_t *arguments = json_object_get(item, "arguments");
    memset(&l, 0, sizeof l);
    open_layer(text_of(item, "model"), text_of(item, "layer"), &l);
    l.n_inputs = read_tensors(json_object_get(item, "inputs"), l.inputs);
    for (; l.n_arguments < json_array_size(arguments); ++l.n_arguments)
        l.arguments[l.n_arguments] = read_argument(json_array_get(arguments, l.n_arguments));
    return l;
}

static ntap_attribute_options options_for(const layer *l) {
    ntap_attribute_options options = NTAP_ATTRIBUTE_OPTIONS_INIT;
    options.additional_arguments = (const ntap_value *const *)l->arguments;
    options.n_additional_arguments = l->n_arguments;
    return options;
}

static int is_by_tape(const json_t *item) { return json_is_true(json_object_get(item, "by_tape")); }

static const ntap_tensor *const *inputs_of(const layer *l) {
    return (const ntap_tensor *const *)l->inputs;
}

static void free_all(ntap_tensor **tensors, size_t count) {
    for (size_t i = 0; i < count; ++i)
        ntap_tensor_free(tensors[i]);
}

static void close_layer(layer *l) {
    free_all(l->inputs, l->n_inputs);
    for (size_t i = 0; i < l->n_arguments; ++i)
        ntap_value_free(l->arguments[i]);
    ntap_neuron_gradient_free(l->gradient);
    ntap_module_free(l->module);
}

static void check_equal(ntap_tensor *const *actual, ntap_tensor *const *expected, size_t count) {
    for (size_t i = 0; i < count; ++i)
        assert_close(actual[i], expected[i], TOLERANCE);
}

/* B24: several neurons in one call. */
static void b24_many_neurons_are_captums(void **state) {
    const json_t *item = (const json_t *)*state;
    const json_t *neurons = json_object_get(item, "neurons");
    layer l = open_case(item);
    const size_t n = json_array_size(neurons);
    ntap_selector **selectors = (ntap_selector **)calloc(n, sizeof(ntap_selector *));
    ntap_tensor *expected[MOST_TENSORS];
    ntap_tensor *grads[MOST_TENSORS];
    ntap_attribute_report report = NTAP_ATTRIBUTE_REPORT_INIT;
    ntap_attribute_options options = options_for(&l);
    options.report = &report;
    for (size_t i = 0; i < n; ++i)
        assert_ok(ntap_selector_parse(json_string_value(json_array_get(neurons, i)), &selectors[i],
                                      &test_err));
    assert_ok(ntap_neuron_gradient_attribute_many(l.gradient, inputs_of(&l), l.n_inputs,
                                                  (const ntap_selector *const *)selectors, n,
                                                  &options, grads, &test_err));
    assert_int_equal(report.fast_path, is_by_tape(item));
    assert_int_equal(read_tensors(json_object_get(item, "expected"), expected), l.n_inputs);
    check_equal(grads, expected, l.n_inputs);
    for (size_t i = 0; i < n; ++i)
        ntap_selector_free(selectors[i]);
    free(selectors);
    free_all(expected, l.n_inputs);
    free_all(grads, l.n_inputs);
    close_layer(&l);
}

static void attribute_all(const layer *l, const ntap_attribute_options *options,
                          ntap_tensor **grads) {
    assert_ok(ntap_neuron_gradient_attribute_all(l->gradient, inputs_of(l), l->n_inputs, options,
                                                 grads, &test_err));
}

/* Every single neuron of the layer, in passes as large as they get and as small as they get, and in
 * others: dense layers behind convolutions take more neurons at once than these. */
static void all_neurons_equal_those_by_autograd(void **state) {
    const json_t *item = (const json_t *)*state;
    layer l = open_case(item);
    ntap_tensor *plain[MOST_TENSORS];
    ntap_tensor *fast[MOST_TENSORS];
    ntap_attribute_report report = NTAP_ATTRIBUTE_REPORT_INIT;
    ntap_attribute_options options = options_for(&l);
    options.report = &report;
    options.fast_paths = NTAP_FAST_PATHS_OFF;
    attribute_all(&l, &options, plain);
    assert_int_equal(report.fast_path, 0);
    options.fast_paths = NTAP_FAST_PATHS_AUTO;
    attribute_all(&l, &options, fast);
    assert_int_equal(report.fast_path, is_by_tape(item));
    check_equal(fast, plain, l.n_inputs);
    free_all(fast, l.n_inputs);
    for (options.memory_limit = 1 << 20; options.memory_limit > 0; options.memory_limit >>= 10) {
        attribute_all(&l, &options, fast);
        check_equal(fast, plain, l.n_inputs);
        free_all(fast, l.n_inputs);
    }
    if (is_by_tape(item)) /* the last limit was a byte */
        assert_int_equal(report.examples_at_once, 1);
    assert_int_equal(report.neurons_at_once, 1);
    free_all(plain, l.n_inputs);
    close_layer(&l);
}

static void convert_argument(ntap_value **argument, ntap_dtype dtype) {
    const ntap_tensor *tensor = ntap_value_get_tensor(*argument);
    ntap_tensor *converted = NULL;
    if (tensor == NULL || ntap_tensor_dtype(tensor) == NTAP_DTYPE_BOOL)
        return;
    assert_ok(ntap_tensor_to(tensor, NULL, dtype, &converted, &test_err));
    ntap_value_free(*argument);
    assert_ok(ntap_value_new_tensor(converted, argument, &test_err));
    ntap_tensor_free(converted);
}

static void convert(layer *l, ntap_dtype dtype) {
    assert_ok(ntap_module_to(l->module, NULL, dtype, &test_err));
    for (size_t i = 0; i < l->n_inputs; ++i) {
        ntap_tensor *converted = NULL;
        assert_ok(ntap_tensor_to(l->inputs[i], NULL, dtype, &converted, &test_err));
        ntap_tensor_free(l->inputs[i]);
        l->inputs[i] = converted;
    }
    for (size_t i = 0; i < l->n_arguments; ++i)
        convert_argument(&l->arguments[i], dtype);
}

/* Traces keep constants of the element type that they were made with, which some operators refuse
 * beside others. What autograd's way refuses, fast paths do. */
static int runs(const layer *l) {
    ntap_tensor *grads[MOST_TENSORS];
    ntap_attribute_options options = NTAP_ATTRIBUTE_OPTIONS_INIT;
    options.fast_paths = NTAP_FAST_PATHS_OFF;
    const ntap_status status = ntap_neuron_gradient_attribute_all(
        l->gradient, inputs_of(l), l->n_inputs, &options, grads, &test_err);
    if (status == NTAP_OK) {
        free_all(grads, l->n_inputs);
        return 1;
    }
    assert_int_equal(status, ntap_neuron_gradient_attribute_all(l->gradient, inputs_of(l),
                                                                l->n_inputs, NULL, grads, NULL));
    return 0;
}

/* In float32 convolutions go other ways than in float64; no ReLU of these models is near its kink.
 * Once with all neurons in large passes, once with one at a time. */
static void float32_is_near_float64(void **state) {
    if (!is_by_tape((const json_t *)*state) || /* then libtorch's own arithmetic is all there is */
        json_is_true(json_object_get((const json_t *)*state, "only_float64")))
        return;
    layer l = open_case((const json_t *)*state);
    ntap_tensor *exact[MOST_TENSORS];
    ntap_tensor *fast[MOST_TENSORS];
    ntap_attribute_report report = NTAP_ATTRIBUTE_REPORT_INIT;
    ntap_attribute_options options = options_for(&l);
    options.fast_paths = NTAP_FAST_PATHS_OFF;
    attribute_all(&l, &options, exact);
    convert(&l, NTAP_DTYPE_FLOAT32);
    options.fast_paths = NTAP_FAST_PATHS_AUTO;
    options.report = &report;
    for (options.memory_limit = runs(&l) ? 0 : 2; options.memory_limit < 2;
         ++options.memory_limit) {
        attribute_all(&l, &options, fast);
        assert_int_equal(report.fast_path, 1);
        for (size_t i = 0; i < l.n_inputs; ++i) {
            ntap_tensor *doubled = NULL;
            assert_ok(ntap_tensor_to(fast[i], NULL, NTAP_DTYPE_FLOAT64, &doubled, &test_err));
            assert_close(doubled, exact[i], TOLERANCE_FLOAT32);
            ntap_tensor_free(doubled);
        }
        free_all(fast, l.n_inputs);
    }
    free_all(exact, l.n_inputs);
    close_layer(&l);
}

/* A group of neurons that slices pick: one window for all of them. */
static void slices_equal_those_by_autograd(void **state) {
    static const char *const texts[] = {"0", ":,1:", "0,::2,-1", "1:,1:3,:2", ":1", "0,1:1"};
    layer l = open_case((const json_t *)*state);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; ++i) {
        ntap_selector *selector = NULL;
        ntap_tensor *plain[MOST_TENSORS];
        ntap_tensor *fast[MOST_TENSORS];
        ntap_attribute_options options = options_for(&l);
        options.fast_paths = NTAP_FAST_PATHS_OFF;
        assert_ok(ntap_selector_parse(texts[i], &selector, &test_err));
        const ntap_status status = ntap_neuron_gradient_attribute(
            l.gradient, inputs_of(&l), l.n_inputs, selector, &options, plain, &test_err);
        options.fast_paths = NTAP_FAST_PATHS_AUTO;
        assert_int_equal(status,
                         ntap_neuron_gradient_attribute(l.gradient, inputs_of(&l), l.n_inputs,
                                                        selector, &options, fast, NULL));
        if (status == NTAP_OK) { /* not every one fits every layer */
            check_equal(fast, plain, l.n_inputs);
            free_all(plain, l.n_inputs);
            free_all(fast, l.n_inputs);
        }
        ntap_selector_free(selector);
    }
    close_layer(&l);
}

/* ---- arguments ---- */

static void check_with(const layer *l) {
    ntap_tensor *plain[MOST_TENSORS];
    ntap_tensor *fast[MOST_TENSORS];
    ntap_attribute_report report = NTAP_ATTRIBUTE_REPORT_INIT;
    ntap_attribute_options options = options_for(l);
    options.report = &report;
    attribute_all(l, &options, fast);
    assert_int_equal(report.fast_path, 1);
    options.fast_paths = NTAP_FAST_PATHS_OFF;
    attribute_all(l, &options, plain);
    check_equal(fast, plain, 1);
    free_all(fast, 1);
    free_all(plain, 1);
}

static void replace_number(layer *l, double number) {
    ntap_value_free(l->arguments[1]);
    assert_ok(ntap_value_new_double(number, &l->arguments[1], &test_err));
}

static void replace_tensor(layer *l, double factor) {
    ntap_tensor *scaled = NULL;
    assert_ok(
        ntap_tensor_scale(ntap_value_get_tensor(l->arguments[0]), factor, &scaled, &test_err));
    ntap_value_free(l->arguments[0]);
    assert_ok(ntap_value_new_tensor(scaled, &l->arguments[0], &test_err));
    ntap_tensor_free(scaled);
}

/* Those of the call count, whatever the calls before had. */
static void arguments_are_those_of_the_call(void **state) {
    layer l;
    (void)state;
    memset(&l, 0, sizeof l);
    open_layer("fast_paths/guided.scripted.pt", "last", &l);
    l.inputs[0] = read_fixture("fast_paths/guided.x0.npy");
    l.arguments[0] = tensor_argument("fast_paths/guided.argument0.npy");
    l.n_inputs = l.n_arguments = 1;
    check_with(&l); /* with the default of the other */
    l.n_arguments = 2;
    for (double number = -0.5; number < 1; number += 0.5) {
        replace_number(&l, number);
        check_with(&l);
        replace_tensor(&l, -2);
        check_with(&l);
    }
    close_layer(&l);
}

/* ---- what looks like something else ---- */

/* Whether there is a gradient. */
static int check_like_autograd(const layer *l) {
    ntap_tensor *plain[MOST_TENSORS];
    ntap_tensor *fast[MOST_TENSORS];
    ntap_attribute_options options = options_for(l);
    options.fast_paths = NTAP_FAST_PATHS_OFF;
    const ntap_status status = ntap_neuron_gradient_attribute_all(
        l->gradient, inputs_of(l), l->n_inputs, &options, plain, &test_err);
    options.fast_paths = NTAP_FAST_PATHS_AUTO;
    assert_int_equal(status, ntap_neuron_gradient_attribute_all(l->gradient, inputs_of(l),
                                                                l->n_inputs, &options, fast, NULL));
    if (status != NTAP_OK)
        return 0;
    check_equal(fast, plain, l->n_inputs);
    free_all(plain, l->n_inputs);
    free_all(fast, l->n_inputs);
    return 1;
}

static void awkward_programs_do_as_by_autograd(void **state) {
    enum { FIRST_REFUSED = 5, PROGRAMS = 11 };
    layer l;
    (void)state;
    memset(&l, 0, sizeof l);
    open_layer("fast_paths/awkward.scripted.pt", "last", &l);
    l.inputs[0] = read_fixture("fast_paths/dense.x0.npy");
    l.n_inputs = l.n_arguments = 1;
    for (int64_t which = 0; which < PROGRAMS; ++which) {
        ntap_value_free(l.arguments[0]);
        assert_ok(ntap_value_new_int(which, &l.arguments[0], &test_err));
        assert_int_equal(check_like_autograd(&l), which < FIRST_REFUSED);
    }
    close_layer(&l);
}

int main(void) {
    static const struct {
        const char *group;
        CMUnitTestFunction test;
    } tests[] = {
        {"many neurons", b24_many_neurons_are_captums},
        {"all neurons", all_neurons_equal_those_by_autograd},
        {"float32", float32_is_near_float64},
        {"slices", slices_equal_those_by_autograd},
    };
    const struct CMUnitTest others[] = {
        cmocka_unit_test(arguments_are_those_of_the_call),
        cmocka_unit_test(awkward_programs_do_as_by_autograd),
    };
    int failed = cmocka_run_group_tests_name("calls", others, NULL, NULL);
    for (size_t i = 0; i < sizeof tests / sizeof *tests; ++i)
        failed += run_cases(tests[i].group, load_cases("fast_paths/cases.json"), tests[i].test);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
