/* Neuron gradients: what the fixtures of test_captum.c cannot show. Each test names its behaviour
 * of the design. */
#include "support.h"

#include "torch_support.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- helpers ---- */

static ntap_module *load(const char *file, int training) {
    ntap_module *module = NULL;
    ntap_load_options options = NTAP_LOAD_OPTIONS_INIT;
    options.training = training;
    assert_ok(ntap_module_load(fixture_path(file), &options, &module, &test_err));
    return module;
}

static ntap_neuron_gradient *open_side(const char *file, const char *layer, ntap_layer_side side) {
    ntap_neuron_gradient *gradient = NULL;
    ntap_neuron_gradient_options options = NTAP_NEURON_GRADIENT_OPTIONS_INIT;
    ntap_module *module = load(file, 0);
    options.side = side;
    assert_ok(ntap_neuron_gradient_new(module, layer, &options, &gradient, &test_err));
    ntap_module_free(module);
    return gradient;
}

static ntap_neuron_gradient *open_layer(const char *file, const char *layer) {
    return open_side(file, layer, NTAP_LAYER_OUTPUT);
}

static ntap_selector *parse(const char *text) {
    ntap_selector *selector = NULL;
    assert_ok(ntap_selector_parse(text, &selector, &test_err));
    return selector;
}

static ntap_tensor *attribute(const ntap_neuron_gradient *gradient, const ntap_tensor *input,
                              const ntap_selector *selector) {
    ntap_tensor *grad = NULL;
    assert_ok(
        ntap_neuron_gradient_attribute(gradient, &input, 1, selector, NULL, &grad, &test_err));
    return grad;
}

static void assert_same_bits(const ntap_tensor *a, const ntap_tensor *b) {
    const size_t size = (size_t)ntap_tensor_numel(a) * ntap_dtype_size(ntap_tensor_dtype(a));
    assert_int_equal(ntap_tensor_numel(a), ntap_tensor_numel(b));
    assert_memory_equal(ntap_tensor_data(a), ntap_tensor_data(b), size);
}

/* ---- B4: callbacks ---- */

/* value[:, 2], as index 2 selects. */
static ntap_status select_two(const ntap_value *value, void *context, ntap_tensor **neuron,
                              ntap_error *err) {
    (void)context;
    return ntap_tensor_select(ntap_value_get_tensor(value), 1, 2, neuron, err);
}

/* value[:, 2:3]: [N, 1]. */
static ntap_status slice_two(const ntap_value *value, void *context, ntap_tensor **neuron,
                             ntap_error *err) {
    (void)context;
    return ntap_tensor_slice(ntap_value_get_tensor(value), 1, 2, 3, 1, neuron, err);
}

/* value[:, 2].sum(): one element. */
static ntap_status sum_two(const ntap_value *value, void *context, ntap_tensor **neuron,
                           ntap_error *err) {
    ntap_tensor *column = NULL;
    ntap_status status = select_two(value, context, &column, err);
    if (status == NTAP_OK)
        status = ntap_tensor_sum(column, NULL, 0, neuron, err);
    ntap_tensor_free(column);
    return status;
}

/* (value * value)[:, 2]: its gradient is 2 value[:, 2] times the plain one. */
static ntap_status square_two(const ntap_value *value, void *context, ntap_tensor **neuron,
                              ntap_error *err) {
    ntap_tensor *square = NULL;
    const ntap_tensor *tensor = ntap_value_get_tensor(value);
    (void)context;
    ntap_status status = ntap_tensor_mul(tensor, tensor, &square, err);
    if (status == NTAP_OK)
        status = ntap_tensor_select(square, 1, 2, neuron, err);
    ntap_tensor_free(square);
    return status;
}

static ntap_status whole_value(const ntap_value *value, void *context, ntap_tensor **neuron,
                               ntap_error *err) {
    (void)context;
    return ntap_tensor_reshape(ntap_value_get_tensor(value), 2, (const int64_t[]){-1, 4}, neuron,
                               err);
}

static ntap_status give_nothing(const ntap_value *value, void *context, ntap_tensor **neuron,
                                ntap_error *err) {
    (void)value, (void)context, (void)neuron, (void)err;
    return NTAP_OK;
}

static ntap_status ask_to_stop(const ntap_value *value, void *context, ntap_tensor **neuron,
                               ntap_error *err) {
    (void)value, (void)context, (void)neuron;
    return ntap_error_set(err, NTAP_ERROR_STOPPED, "enough for today");
}

static ntap_status fail_silently(const ntap_value *value, void *context, ntap_tensor **neuron,
                                 ntap_error *err) {
    (void)value, (void)context, (void)neuron, (void)err;
    return NTAP_ERROR_UNSUPPORTED;
}

/* A failure after the neuron was made: it must not leak. */
static ntap_status make_then_fail(const ntap_value *value, void *context, ntap_tensor **neuron,
                                  ntap_error *err) {
    const ntap_status status = select_two(value, context, neuron, err);
    return status != NTAP_OK ? status : ntap_error_set(err, NTAP_ERROR_STOPPED, "too late");
}

static ntap_selector *callback(ntap_selector_callback function, void *context) {
    ntap_selector *selector = NULL;
    assert_ok(ntap_selector_new_callback(function, context, NULL, &selector, &test_err));
    return selector;
}

static void assert_callback_equals_index(ntap_selector_callback function) {
    ntap_neuron_gradient *gradient = open_layer("mlp.traced.pt", "fc1");
    ntap_tensor *input = read_fixture("mlp.x.npy");
    ntap_selector *by_callback = callback(function, NULL);
    ntap_selector *by_index = parse("2");
    ntap_tensor *actual = attribute(gradient, input, by_callback);
    ntap_tensor *expected = attribute(gradient, input, by_index);
    assert_same_bits(actual, expected);
    ntap_tensor_free(actual);
    ntap_tensor_free(expected);
    ntap_selector_free(by_callback);
    ntap_selector_free(by_index);
    ntap_tensor_free(input);
    ntap_neuron_gradient_free(gradient);
}

static void b4_callback_may_give_one_element_per_example(void **state) {
    (void)state;
    assert_callback_equals_index(select_two);
}

static void b4_callback_may_give_a_column(void **state) {
    (void)state;
    assert_callback_equals_index(slice_two);
}

static void b4_callback_may_give_one_element(void **state) {
    (void)state;
    assert_callback_equals_index(sum_two);
}

/* d(v²)/dx = 2 v dv/dx, with v from a capture of the same layer. */
static void b4_autograd_flows_through_the_callback(void **state) {
    (void)state;
    ntap_module *module = load("mlp_f64.scripted.pt", 0);
    ntap_neuron_gradient *gradient = open_layer("mlp_f64.scripted.pt", "fc1");
    ntap_tensor *input = read_fixture("mlp_f64.x.npy");
    ntap_selector *square = callback(square_two, NULL);
    ntap_selector *plain = parse("2");
    ntap_tensor *actual = attribute(gradient, input, square);
    ntap_tensor *expected = attribute(gradient, input, plain);
    ntap_value *argument = make_tensor_value(input);
    const ntap_value *args[] = {argument};
    const char *layers[] = {"fc1"};
    ntap_value *captured = NULL;
    assert_ok(
        ntap_module_capture(module, layers, 1, NTAP_LAYER_OUTPUT, args, 1, &captured, &test_err));
    size_t count = 0;
    double *values = read_elements(ntap_value_get_tensor(ntap_value_item(captured, 0)), &count);
    double *scaled = (double *)ntap_tensor_mutable_data(expected);
    for (int64_t row = 0; row < ntap_tensor_size(input, 0); ++row)
        for (int64_t column = 0; column < 6; ++column)
            scaled[row * 6 + column] *= 2 * values[row * 8 + 2];
    assert_close(actual, expected, 1e-12);
    free(values);
    ntap_value_free(captured);
    ntap_value_free(argument);
    ntap_tensor_free(actual);
    ntap_tensor_free(expected);
    ntap_selector_free(square);
    ntap_selector_free(plain);
    ntap_tensor_free(input);
    ntap_neuron_gradient_free(gradient);
    ntap_module_free(module);
}

static void assert_callback_fails(ntap_selector_callback function, ntap_status status,
                                  const char *message) {
    ntap_neuron_gradient *gradient = open_layer("mlp.traced.pt", "fc1");
    ntap_tensor *input = read_fixture("mlp.x.npy");
    ntap_selector *selector = callback(function, NULL);
    const ntap_tensor *inputs[] = {input};
    ntap_tensor *grad = (ntap_tensor *)POISON;
    assert_fails(status, ntap_neuron_gradient_attribute(gradient, inputs, 1, selector, NULL, &grad,
                                                        &test_err));
    assert_message(message);
    assert_untouched(grad);
    ntap_selector_free(selector);
    ntap_tensor_free(input);
    ntap_neuron_gradient_free(gradient);
}

static void b4_other_shapes_are_an_error_that_shows_them(void **state) {
    (void)state;
    assert_callback_fails(whole_value, NTAP_ERROR_SHAPE,
                          "gave float32[6, 4]; expected one element");
}

static void b4_no_neuron_is_an_error(void **state) {
    (void)state;
    assert_callback_fails(give_nothing, NTAP_ERROR_INVALID_ARGUMENT, "without giving a neuron");
}

static void b4_a_failing_callback_is_quoted(void **state) {
    (void)state;
    assert_callback_fails(ask_to_stop, NTAP_ERROR_STOPPED, "enough for today");
    assert_callback_fails(make_then_fail, NTAP_ERROR_STOPPED, "too late");
    assert_callback_fails(fail_silently, NTAP_ERROR_UNSUPPORTED, "NTAP_ERROR_UNSUPPORTED");
}

/* The LSTM's value is (output, (h, c)): the callback sees it as it is. */
static ntap_status last_hidden(const ntap_value *value, void *context, ntap_tensor **neuron,
                               ntap_error *err) {
    ntap_tensor *layer = NULL;
    const ntap_value *states = ntap_value_item(value, 1);
    const ntap_tensor *hidden = ntap_value_get_tensor(ntap_value_item(states, 0));
    *(size_t *)context = ntap_value_count(value);
    ntap_status status = ntap_tensor_select(hidden, 0, -1, &layer, err);
    if (status == NTAP_OK)
        status = ntap_tensor_select(layer, 1, 0, neuron, err);
    ntap_tensor_free(layer);
    return status;
}

/* h[-1][:, 0] of a bidirectional LSTM is its output [:, 0, 4]: the backward direction's last step.
 */
static ntap_status backward_output(const ntap_value *value, void *context, ntap_tensor **neuron,
                                   ntap_error *err) {
    ntap_tensor *first = NULL;
    (void)context;
    ntap_status status =
        ntap_tensor_select(ntap_value_get_tensor(ntap_value_item(value, 0)), 1, 0, &first, err);
    if (status == NTAP_OK)
        status = ntap_tensor_select(first, 1, 4, neuron, err);
    ntap_tensor_free(first);
    return status;
}

static void b4_several_tensors_reach_the_callback_as_a_tuple(void **state) {
    (void)state;
    size_t items = 0;
    ntap_neuron_gradient *gradient = open_layer("lstm_f64.scripted.pt", "lstm");
    ntap_tensor *input = read_fixture("lstm_f64.x.npy");
    ntap_selector *by_state = callback(last_hidden, &items);
    ntap_selector *by_output = callback(backward_output, NULL);
    ntap_tensor *actual = attribute(gradient, input, by_state);
    ntap_tensor *expected = attribute(gradient, input, by_output);
    assert_int_equal(items, 2);
    assert_close(actual, expected, 1e-12);
    ntap_tensor_free(actual);
    ntap_tensor_free(expected);
    ntap_selector_free(by_state);
    ntap_selector_free(by_output);
    ntap_tensor_free(input);
    ntap_neuron_gradient_free(gradient);
}

static void b5_an_index_into_several_tensors_says_to_use_a_callback(void **state) {
    (void)state;
    ntap_neuron_gradient *gradient = open_layer("lstm.scripted.pt", "lstm");
    ntap_tensor *input = read_fixture("lstm.x.npy");
    ntap_selector *selector = parse("0,0");
    const ntap_tensor *inputs[] = {input};
    ntap_tensor *grad = (ntap_tensor *)POISON;
    assert_fails(NTAP_ERROR_SHAPE, ntap_neuron_gradient_attribute(gradient, inputs, 1, selector,
                                                                  NULL, &grad, &test_err));
    assert_message("use a selector callback");
    assert_untouched(grad);
    ntap_selector_free(selector);
    ntap_tensor_free(input);
    ntap_neuron_gradient_free(gradient);
}

/* ---- errors that name what was wrong ---- */

static void assert_selector_fails(const char *selector_text, const char *message) {
    ntap_neuron_gradient *gradient = open_layer("mlp.traced.pt", "fc1");
    ntap_tensor *input = read_fixture("mlp.x.npy");
    ntap_selector *selector = parse(selector_text);
    const ntap_tensor *inputs[] = {input};
    ntap_tensor *grad = (ntap_tensor *)POISON;
    assert_fails(NTAP_ERROR_SHAPE, ntap_neuron_gradient_attribute(gradient, inputs, 1, selector,
                                                                  NULL, &grad, &test_err));
    assert_message(message);
    assert_untouched(grad);
    ntap_selector_free(selector);
    ntap_tensor_free(input);
    ntap_neuron_gradient_free(gradient);
}

static void b1_out_of_range_names_the_valid_range(void **state) {
    (void)state;
    assert_selector_fails("8", "index 8 is out of range for dimension 1 of layer 'fc1'");
    assert_selector_fails("8", "expected -8 to 7");
    assert_selector_fails("-9", "index -9");
}

static void b2_too_many_indices_name_how_many_there_may_be(void **state) {
    (void)state;
    assert_selector_fails("1,1", "selector has 2 indices");
    assert_selector_fails("1,:", "expected at most 1");
}

static void b11_an_unknown_layer_suggests_near_names(void **state) {
    (void)state;
    ntap_module *module = load("mlp.traced.pt", 0);
    ntap_neuron_gradient *gradient = (ntap_neuron_gradient *)POISON;
    assert_fails(NTAP_ERROR_NOT_FOUND,
                 ntap_neuron_gradient_new(module, "fc9", NULL, &gradient, &test_err));
    assert_message("layer 'fc9' not found; did you mean 'fc1' or 'fc2' or 'fc3'?");
    assert_untouched(gradient);
    ntap_module_free(module);
}

static void b10_a_call_that_did_not_happen_says_how_many_did(void **state) {
    (void)state;
    ntap_neuron_gradient *gradient = open_layer("reused.scripted.pt", "fc1");
    ntap_tensor *input = read_fixture("reused.x.npy");
    ntap_selector *selector = parse("0");
    const ntap_tensor *inputs[] = {input};
    ntap_tensor *grad = (ntap_tensor *)POISON;
    ntap_attribute_options options = NTAP_ATTRIBUTE_OPTIONS_INIT;
    options.call = 9;
    assert_fails(NTAP_ERROR_NOT_FOUND, ntap_neuron_gradient_attribute(gradient, inputs, 1, selector,
                                                                      &options, &grad, &test_err));
    assert_message("call 9 of layer 'fc1' does not exist: it was called 3 times");
    assert_untouched(grad);
    ntap_selector_free(selector);
    ntap_tensor_free(input);
    ntap_neuron_gradient_free(gradient);
}

static void b14_an_integer_input_says_to_pass_it_as_an_additional_argument(void **state) {
    (void)state;
    ntap_neuron_gradient *gradient = open_layer("mlp.traced.pt", "fc1");
    ntap_tensor *input = read_fixture("mlp.i.npy");
    ntap_selector *selector = parse("0");
    const ntap_tensor *inputs[] = {input};
    ntap_tensor *grad = (ntap_tensor *)POISON;
    assert_fails(NTAP_ERROR_DTYPE, ntap_neuron_gradient_attribute(gradient, inputs, 1, selector,
                                                                  NULL, &grad, &test_err));
    assert_message("inputs[0] has dtype int64");
    assert_message("additional arguments");
    assert_untouched(grad);
    ntap_selector_free(selector);
    ntap_tensor_free(input);
    ntap_neuron_gradient_free(gradient);
}

static void b23_an_unused_input_is_named(void **state) {
    (void)state;
    ntap_neuron_gradient *gradient = open_layer("twoinputs.scripted.pt", "a");
    ntap_selector *selector = parse("0");
    ntap_tensor *x = make_tensor(NTAP_DTYPE_FLOAT32, VALUES(1, 2, 3, 4), SHAPE(1, 4));
    ntap_tensor *y = make_tensor(NTAP_DTYPE_FLOAT32, VALUES(1, 2), SHAPE(1, 2));
    const ntap_tensor *inputs[] = {x, y};
    ntap_tensor *grads[] = {(ntap_tensor *)POISON, (ntap_tensor *)POISON};
    assert_fails(NTAP_ERROR_AUTOGRAD, ntap_neuron_gradient_attribute(gradient, inputs, 2, selector,
                                                                     NULL, grads, &test_err));
    assert_message("layer 'a' does not depend on inputs[1]");
    assert_untouched(grads[0]);
    assert_untouched(grads[1]);
    ntap_tensor_free(x);
    ntap_tensor_free(y);
    ntap_selector_free(selector);
    ntap_neuron_gradient_free(gradient);
}

/* libtorch 1.13 gives zeros for it without a word. */
static void a_quantised_layer_is_refused(void **state) {
    (void)state;
    ntap_module *module = load("mlp.quantized.pt", 0);
    ntap_neuron_gradient *gradient = (ntap_neuron_gradient *)POISON;
    assert_fails(NTAP_ERROR_UNSUPPORTED,
                 ntap_neuron_gradient_new(module, "fc1", NULL, &gradient, &test_err));
    assert_message("layer 'fc1' cannot be differentiated");
    assert_message("'quantized::linear_dynamic'");
    assert_untouched(gradient);
    ntap_module_free(module);
}

static void a_model_that_raises_is_quoted(void **state) {
    (void)state;
    ntap_neuron_gradient *gradient = open_layer("raises.scripted.pt", "");
    ntap_tensor *input = read_fixture("raises.neg.npy");
    ntap_selector *selector = parse("0");
    const ntap_tensor *inputs[] = {input};
    ntap_tensor *grad = (ntap_tensor *)POISON;
    assert_fails(NTAP_ERROR_MODEL, ntap_neuron_gradient_attribute(gradient, inputs, 1, selector,
                                                                  NULL, &grad, &test_err));
    assert_message("negative input");
    assert_untouched(grad);
    ntap_selector_free(selector);
    ntap_tensor_free(input);
    ntap_neuron_gradient_free(gradient);
}

/* ---- B22 ---- */

/* The model raises behind the layer: with the program cut there, it never gets that far. */
static void b22_nothing_behind_the_layer_runs(void **state) {
    (void)state;
    ntap_neuron_gradient *whole = open_layer("raisesatend.scripted.pt", "");
    ntap_neuron_gradient *early = open_layer("raisesatend.scripted.pt", "fc1");
    ntap_tensor *input = read_fixture("raisesatend.x.npy");
    ntap_selector *selector = parse("0");
    const ntap_tensor *inputs[] = {input};
    ntap_tensor *grad = NULL;
    assert_fails(NTAP_ERROR_MODEL, ntap_neuron_gradient_attribute(whole, inputs, 1, selector, NULL,
                                                                  &grad, &test_err));
    assert_ok(ntap_neuron_gradient_attribute(early, inputs, 1, selector, NULL, &grad, &test_err));
    ntap_tensor_free(grad);
    ntap_selector_free(selector);
    ntap_tensor_free(input);
    ntap_neuron_gradient_free(whole);
    ntap_neuron_gradient_free(early);
}

/* ---- B12: the caller's modes ---- */

typedef struct mode_case {
    const ntap_tensor *expected;
    torch_mode mode;
} mode_case;

/* A copy made in inference mode is an inference tensor. */
static ntap_tensor *copy_in_this_mode(const ntap_tensor *tensor) {
    ntap_value *argument = make_tensor_value(tensor);
    const ntap_value *args[] = {argument};
    ntap_value *copy = NULL;
    ntap_tensor *result = NULL;
    assert_ok(ntap_call_op("aten::clone", args, 1, &copy, 1, &test_err));
    assert_ok(
        ntap_tensor_to(ntap_value_get_tensor(copy), NULL, NTAP_DTYPE_NONE, &result, &test_err));
    ntap_value_free(copy);
    ntap_value_free(argument);
    return result;
}

/* Everything happens in the mode: loading, reading, attributing. */
static void attribute_in_mode(void *context) {
    const mode_case *c = (const mode_case *)context;
    ntap_neuron_gradient *gradient = open_layer("cnn.scripted.pt", "conv2");
    ntap_tensor *read = read_fixture("cnn.x.npy");
    ntap_tensor *input = copy_in_this_mode(read);
    ntap_selector *selector = parse("1,1,1");
    ntap_tensor *grad = attribute(gradient, input, selector);
    assert_same_bits(grad, c->expected);
    assert_int_equal(support_current_mode(), c->mode);
    ntap_tensor_free(grad);
    ntap_selector_free(selector);
    ntap_tensor_free(input);
    ntap_tensor_free(read);
    ntap_neuron_gradient_free(gradient);
}

static void b12_works_in_every_mode_with_inference_tensors_too(void **state) {
    (void)state;
    ntap_neuron_gradient *gradient = open_layer("cnn.scripted.pt", "conv2");
    ntap_tensor *input = read_fixture("cnn.x.npy");
    ntap_selector *selector = parse("1,1,1");
    ntap_tensor *expected = attribute(gradient, input, selector);
    for (int mode = MODE_GRAD; mode <= MODE_INFERENCE; ++mode) {
        mode_case c = {expected, (torch_mode)mode};
        support_in_mode((torch_mode)mode, attribute_in_mode, &c);
    }
    ntap_tensor_free(expected);
    ntap_selector_free(selector);
    ntap_tensor_free(input);
    ntap_neuron_gradient_free(gradient);
}

static int requires_grad(const ntap_tensor *tensor) {
    ntap_value *argument = make_tensor_value(tensor);
    const ntap_value *args[] = {argument};
    ntap_value *answer = NULL;
    int truth = 0;
    assert_ok(ntap_call_op("prim::requires_grad", args, 1, &answer, 1, &test_err));
    assert_ok(ntap_value_get_bool(answer, &truth, &test_err));
    ntap_value_free(answer);
    ntap_value_free(argument);
    return truth;
}

static void b12_results_carry_no_graph(void **state) {
    (void)state;
    ntap_neuron_gradient *gradient = open_layer("mlp.traced.pt", "fc2");
    ntap_tensor *input = read_fixture("mlp.x.npy");
    ntap_selector *selector = parse("0");
    ntap_tensor *grad = attribute(gradient, input, selector);
    assert_false(requires_grad(grad));
    ntap_tensor_free(grad);
    ntap_selector_free(selector);
    ntap_tensor_free(input);
    ntap_neuron_gradient_free(gradient);
}

/* ---- B13: nothing of the caller's changes ---- */

static void b13_the_input_is_untouched_even_if_the_model_writes_into_it(void **state) {
    (void)state;
    ntap_neuron_gradient *gradient = open_layer("writesinput.scripted.pt", "fc");
    ntap_tensor *input = read_fixture("writesinput.x.npy");
    ntap_tensor *before = NULL;
    ntap_selector *selector = parse("0");
    assert_ok(ntap_tensor_clone(input, &before, &test_err));
    ntap_tensor *grad = attribute(gradient, input, selector);
    assert_same_bits(input, before);
    assert_false(requires_grad(input));
    ntap_tensor_free(grad);
    ntap_tensor_free(before);
    ntap_selector_free(selector);
    ntap_tensor_free(input);
    ntap_neuron_gradient_free(gradient);
}

/* A model that counts its runs would give another gradient each time, did it count ours. */
static void b13_a_model_that_changes_itself_stays_as_it_was(void **state) {
    (void)state;
    ntap_neuron_gradient *gradient = open_layer("counter.scripted.pt", "");
    ntap_tensor *input = read_fixture("counter.x.npy");
    ntap_selector *selector = parse("0");
    ntap_tensor *first = attribute(gradient, input, selector);
    ntap_tensor *second = attribute(gradient, input, selector);
    assert_same_bits(first, second);
    ntap_tensor_free(first);
    ntap_tensor_free(second);
    ntap_selector_free(selector);
    ntap_tensor_free(input);
    ntap_neuron_gradient_free(gradient);
}

static ntap_tensor *draw(void) {
    ntap_value *shape = make_list(1, make_int(4));
    const ntap_value *args[] = {shape};
    ntap_value *numbers = NULL;
    ntap_tensor *tensor = NULL;
    assert_ok(ntap_call_op("aten::rand", args, 1, &numbers, 1, &test_err));
    assert_ok(ntap_tensor_clone(ntap_value_get_tensor(numbers), &tensor, &test_err));
    ntap_value_free(numbers);
    ntap_value_free(shape);
    return tensor;
}

static void assert_generator_kept(const char *file, int training, const char *layer,
                                  const char *input_file) {
    ntap_module *module = load(file, training);
    ntap_neuron_gradient *gradient = NULL;
    ntap_tensor *input = read_fixture(input_file);
    ntap_selector *selector = parse("0");
    assert_ok(ntap_neuron_gradient_new(module, layer, NULL, &gradient, &test_err));
    support_seed(7);
    ntap_tensor *expected = draw();
    support_seed(7);
    ntap_tensor *first = attribute(gradient, input, selector);
    ntap_tensor *second = attribute(gradient, input, selector);
    ntap_tensor *actual = draw();
    assert_same_bits(actual, expected);
    assert_same_bits(first, second);
    ntap_tensor_free(actual);
    ntap_tensor_free(expected);
    ntap_tensor_free(first);
    ntap_tensor_free(second);
    ntap_selector_free(selector);
    ntap_tensor_free(input);
    ntap_neuron_gradient_free(gradient);
    ntap_module_free(module);
}

static void b13_random_number_generators_are_restored(void **state) {
    (void)state;
    assert_generator_kept("noise.scripted.pt", 0, "last", "noise.x.npy");
    assert_generator_kept("training.scripted.pt", 1, "fc2", "training.x.npy");
}

static void b13_the_thread_count_stays(void **state) {
    (void)state;
    const int before = ntap_num_threads();
    ntap_neuron_gradient *gradient = open_layer("cnn.traced.pt", "conv2");
    ntap_tensor *input = read_fixture("cnn.x.npy");
    ntap_selector *selector = parse("1,1,1");
    ntap_tensor *grad = attribute(gradient, input, selector);
    assert_int_equal(ntap_num_threads(), before);
    ntap_tensor_free(grad);
    ntap_selector_free(selector);
    ntap_tensor_free(input);
    ntap_neuron_gradient_free(gradient);
}

/* ---- B8, and whose memory results are ---- */

static void b8_the_models_arguments_are_a_tuple(void **state) {
    (void)state;
    ntap_neuron_gradient *gradient = open_side("twoinputs.scripted.pt", "", NTAP_LAYER_INPUT);
    ntap_selector *selector = parse("0");
    ntap_tensor *x = make_tensor(NTAP_DTYPE_FLOAT32, VALUES(1, 2, 3, 4), SHAPE(1, 4));
    ntap_tensor *y = make_tensor(NTAP_DTYPE_FLOAT32, VALUES(1, 2), SHAPE(1, 2));
    const ntap_tensor *inputs[] = {x, y};
    ntap_tensor *grads[] = {(ntap_tensor *)POISON, (ntap_tensor *)POISON};
    assert_fails(NTAP_ERROR_SHAPE, ntap_neuron_gradient_attribute(gradient, inputs, 2, selector,
                                                                  NULL, grads, &test_err));
    assert_message("(float32[1, 4], float32[1, 2])");
    ntap_tensor_free(x);
    ntap_tensor_free(y);
    ntap_selector_free(selector);
    ntap_neuron_gradient_free(gradient);
}

/* (x + y)[:, 0] of the model's arguments. */
static ntap_status add_arguments(const ntap_value *value, void *context, ntap_tensor **neuron,
                                 ntap_error *err) {
    ntap_tensor *sum = NULL;
    (void)context;
    ntap_status status =
        ntap_tensor_add(ntap_value_get_tensor(ntap_value_item(value, 0)),
                        ntap_value_get_tensor(ntap_value_item(value, 1)), &sum, err);
    if (status == NTAP_OK)
        status = ntap_tensor_select(sum, 1, 0, neuron, err);
    ntap_tensor_free(sum);
    return status;
}

/* Autograd gives inputs that are only added one gradient in one memory; callers get two. */
static void attributions_do_not_share_memory(void **state) {
    (void)state;
    ntap_neuron_gradient *gradient = open_side("twoinputs.scripted.pt", "", NTAP_LAYER_INPUT);
    ntap_selector *selector = callback(add_arguments, NULL);
    ntap_tensor *x = make_tensor(NTAP_DTYPE_FLOAT32, VALUES(1, 2, 3), SHAPE(1, 3));
    ntap_tensor *y = make_tensor(NTAP_DTYPE_FLOAT32, VALUES(4, 5, 6), SHAPE(1, 3));
    const ntap_tensor *inputs[] = {x, y};
    ntap_tensor *grads[] = {NULL, NULL};
    assert_ok(
        ntap_neuron_gradient_attribute(gradient, inputs, 2, selector, NULL, grads, &test_err));
    assert_tensor(grads[0], NTAP_DTYPE_FLOAT32, VALUES(1, 0, 0), SHAPE(1, 3));
    ((float *)ntap_tensor_mutable_data(grads[0]))[1] = 5;
    assert_tensor(grads[1], NTAP_DTYPE_FLOAT32, VALUES(1, 0, 0), SHAPE(1, 3));
    for (int i = 0; i < 2; ++i)
        ntap_tensor_free(grads[i]);
    ntap_tensor_free(x);
    ntap_tensor_free(y);
    ntap_selector_free(selector);
    ntap_neuron_gradient_free(gradient);
}

/* ---- B25: deterministic, also from several threads ---- */

enum { THREADS = 4, ROUNDS = 25 };

typedef struct worker {
    const ntap_neuron_gradient *gradient;
    const ntap_tensor *input;
    const ntap_selector *selector;
    const ntap_tensor *expected;
    int wrong;
} worker;

/* CMocka's asserts belong to the main thread: workers count. */
static void *work(void *context) {
    worker *w = (worker *)context;
    const size_t size = (size_t)ntap_tensor_numel(w->expected) * sizeof(float);
    for (int round = 0; round < ROUNDS; ++round) {
        ntap_error err;
        ntap_tensor *grad = NULL;
        const ntap_tensor *inputs[] = {w->input};
        if (ntap_neuron_gradient_attribute(w->gradient, inputs, 1, w->selector, NULL, &grad,
                                           &err) != NTAP_OK ||
            memcmp(ntap_tensor_data(grad), ntap_tensor_data(w->expected), size) != 0)
            ++w->wrong;
        ntap_tensor_free(grad);
    }
    return NULL;
}

static void assert_same_from_threads(const char *file, const char *layer, const char *input_file,
                                     const char *neuron) {
    ntap_neuron_gradient *gradient = open_layer(file, layer);
    ntap_tensor *input = read_fixture(input_file);
    ntap_selector *selector = parse(neuron);
    ntap_tensor *expected = attribute(gradient, input, selector);
    pthread_t threads[THREADS];
    worker workers[THREADS];
    for (int i = 0; i < THREADS; ++i) {
        workers[i] = (worker){gradient, input, selector, expected, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; ++i) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(workers[i].wrong, 0);
    }
    ntap_tensor_free(expected);
    ntap_selector_free(selector);
    ntap_tensor_free(input);
    ntap_neuron_gradient_free(gradient);
}

static void b25_same_bits_from_several_threads(void **state) {
    (void)state;
    assert_same_from_threads("cnn.scripted.pt", "conv2", "cnn.x.npy", "1,1,1");
    assert_same_from_threads("lstm.traced.pt", "proj", "lstm.x.npy", "-1,1");
}

static void b25_same_bits_from_threads_with_a_model_that_counts_or_draws(void **state) {
    (void)state;
    support_seed(3);
    assert_same_from_threads("counter.scripted.pt", "", "counter.x.npy", "0");
    assert_same_from_threads("noise.scripted.pt", "last", "noise.x.npy", "0");
}

/* ---- B6, finite differences in double ---- */

static double neuron_sum(const ntap_module *module, const char *layer, const ntap_tensor *input) {
    ntap_value *argument = make_tensor_value(input);
    const ntap_value *args[] = {argument};
    ntap_value *captured = NULL;
    ntap_tensor *column = NULL;
    size_t count = 0;
    assert_ok(
        ntap_module_capture(module, &layer, 1, NTAP_LAYER_OUTPUT, args, 1, &captured, &test_err));
    const size_t calls = ntap_value_count(captured);
    assert_ok(ntap_tensor_select(ntap_value_get_tensor(ntap_value_item(captured, calls - 1)), 1, 1,
                                 &column, &test_err));
    double *values = read_elements(column, &count);
    double sum = 0;
    for (size_t i = 0; i < count; ++i)
        sum += values[i];
    free(values);
    ntap_tensor_free(column);
    ntap_value_free(captured);
    ntap_value_free(argument);
    return sum;
}

/* Central differences: their error is of order step², here 1e-10. */
static void assert_finite_differences(const char *file, const char *layer, const char *input_file) {
    const double step = 1e-5;
    ntap_module *module = load(file, 0);
    ntap_neuron_gradient *gradient = open_layer(file, layer);
    ntap_tensor *input = read_fixture(input_file);
    ntap_selector *selector = parse("1");
    ntap_tensor *grad = attribute(gradient, input, selector);
    double *x = (double *)ntap_tensor_mutable_data(input);
    const double *g = (const double *)ntap_tensor_data(grad);
    for (int64_t i = 0; i < ntap_tensor_numel(input); ++i) {
        const double kept = x[i];
        x[i] = kept + step;
        const double above = neuron_sum(module, layer, input);
        x[i] = kept - step;
        const double below = neuron_sum(module, layer, input);
        x[i] = kept;
        assert_true(g[i] - (above - below) / (2 * step) < 1e-7);
        assert_true(g[i] - (above - below) / (2 * step) > -1e-7);
    }
    ntap_tensor_free(grad);
    ntap_selector_free(selector);
    ntap_tensor_free(input);
    ntap_neuron_gradient_free(gradient);
    ntap_module_free(module);
}

static void b6_equals_finite_differences(void **state) {
    (void)state;
    assert_finite_differences("mlp_f64.scripted.pt", "fc2", "mlp_f64.x.npy");
    assert_finite_differences("mlp_f64.traced.pt", "head", "mlp_f64.x.npy");
    assert_finite_differences("lstm_f64.scripted.pt", "head", "lstm_f64.x.npy");
    assert_finite_differences("reused_f64.traced.pt", "fc1", "reused_f64.x.npy");
}

/* ---- lifetimes ---- */

static void a_gradient_outlives_its_module(void **state) {
    (void)state;
    assert_same_from_threads("mlp.scripted.pt", "fc2", "mlp.x.npy",
                             "1"); /* frees the module first */
}

static void a_batch_without_examples_has_an_empty_gradient(void **state) {
    (void)state;
    ntap_neuron_gradient *gradient = open_layer("mlp.traced.pt", "fc2");
    ntap_tensor *input = make_tensor(NTAP_DTYPE_FLOAT32, NULL, SHAPE(0, 6));
    ntap_selector *selector = parse("1");
    ntap_tensor *grad = attribute(gradient, input, selector);
    assert_int_equal(ntap_tensor_size(grad, 0), 0);
    assert_int_equal(ntap_tensor_size(grad, 1), 6);
    ntap_tensor_free(grad);
    ntap_selector_free(selector);
    ntap_tensor_free(input);
    ntap_neuron_gradient_free(gradient);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(b1_out_of_range_names_the_valid_range),
        cmocka_unit_test(b2_too_many_indices_name_how_many_there_may_be),
        cmocka_unit_test(b4_callback_may_give_one_element_per_example),
        cmocka_unit_test(b4_callback_may_give_a_column),
        cmocka_unit_test(b4_callback_may_give_one_element),
        cmocka_unit_test(b4_autograd_flows_through_the_callback),
        cmocka_unit_test(b4_other_shapes_are_an_error_that_shows_them),
        cmocka_unit_test(b4_no_neuron_is_an_error),
        cmocka_unit_test(b4_a_failing_callback_is_quoted),
        cmocka_unit_test(b4_several_tensors_reach_the_callback_as_a_tuple),
        cmocka_unit_test(b5_an_index_into_several_tensors_says_to_use_a_callback),
        cmocka_unit_test(b6_equals_finite_differences),
        cmocka_unit_test(b10_a_call_that_did_not_happen_says_how_many_did),
        cmocka_unit_test(b11_an_unknown_layer_suggests_near_names),
        cmocka_unit_test(b12_works_in_every_mode_with_inference_tensors_too),
        cmocka_unit_test(b12_results_carry_no_graph),
        cmocka_unit_test(b13_the_input_is_untouched_even_if_the_model_writes_into_it),
        cmocka_unit_test(b13_a_model_that_changes_itself_stays_as_it_was),
        cmocka_unit_test(b13_random_number_generators_are_restored),
        cmocka_unit_test(b13_the_thread_count_stays),
        cmocka_unit_test(b14_an_integer_input_says_to_pass_it_as_an_additional_argument),
        cmocka_unit_test(b22_nothing_behind_the_layer_runs),
        cmocka_unit_test(b23_an_unused_input_is_named),
        cmocka_unit_test(b25_same_bits_from_several_threads),
        cmocka_unit_test(b25_same_bits_from_threads_with_a_model_that_counts_or_draws),
        cmocka_unit_test(a_model_that_raises_is_quoted),
        cmocka_unit_test(a_quantised_layer_is_refused),
        cmocka_unit_test(b8_the_models_arguments_are_a_tuple),
        cmocka_unit_test(attributions_do_not_share_memory),
        cmocka_unit_test(a_gradient_outlives_its_module),
        cmocka_unit_test(a_batch_without_examples_has_an_empty_gradient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
