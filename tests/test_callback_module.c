/* B15: modules whose forward is a C function, over another module or on its own. */
#include "support.h"

#include <math.h>
#include <stdlib.h>

/* ---- a model and what is done to it ---- */

static ntap_status call2(const char *op, const ntap_value *a, const ntap_value *b, ntap_value **out,
                         ntap_error *err) {
    const ntap_value *args[] = {a, b};
    return ntap_call_op(op, args, 2, out, 1, err);
}

/* Runs the model on x and on 2x, and adds what comes out. */
static ntap_status twice(ntap_view *view, const ntap_value *const *args, size_t n_args,
                         void *context, ntap_value **result, ntap_error *err) {
    ntap_value *doubled = NULL;
    ntap_value *outs[2] = {NULL, NULL};
    (void)context;
    if (n_args != 1)
        return ntap_error_set(err, NTAP_ERROR_INVALID_ARGUMENT, "got %zu arguments; expected 1",
                              n_args);
    ntap_status status = call2("aten::add.Tensor", args[0], args[0], &doubled, err);
    const ntap_value *again = doubled;
    if (status == NTAP_OK)
        status = ntap_view_forward(view, args, 1, &outs[0], err);
    if (status == NTAP_OK)
        status = ntap_view_forward(view, &again, 1, &outs[1], err);
    if (status == NTAP_OK)
        status = call2("aten::add.Tensor", outs[0], outs[1], result, err);
    ntap_value_free(doubled);
    ntap_value_free(outs[0]);
    ntap_value_free(outs[1]);
    return status;
}

/* tanh(x W'), a model of its own. */
static ntap_status dense(ntap_view *view, const ntap_value *const *args, size_t n_args,
                         void *context, ntap_value **result, ntap_error *err) {
    const ntap_value *weight = (const ntap_value *)context;
    ntap_value *x = NULL;
    ntap_value *sums = NULL;
    ntap_value *tapped = NULL;
    ntap_value *activated = NULL;
    (void)n_args;
    ntap_status status = ntap_tap(view, "dense", NTAP_LAYER_INPUT, args[0], &x, err);
    if (status == NTAP_OK)
        status = call2("aten::linear", x, weight, &sums, err);
    if (status == NTAP_OK)
        status = ntap_tap(view, "dense", NTAP_LAYER_OUTPUT, sums, &tapped, err);
    const ntap_value *before = tapped;
    if (status == NTAP_OK)
        status = ntap_call_op("aten::tanh", &before, 1, &activated, 1, err);
    if (status == NTAP_OK)
        status = ntap_tap(view, "activation", NTAP_LAYER_OUTPUT, activated, result, err);
    ntap_value_free(x);
    ntap_value_free(sums);
    ntap_value_free(tapped);
    ntap_value_free(activated);
    return status;
}

static const char *const dense_layers[] = {"dense", "activation"};

static ntap_value *dense_weight(void) {
    ntap_tensor *weight = make_tensor(NTAP_DTYPE_FLOAT64, VALUES(1, 2, 3, 4, -1, 0), SHAPE(3, 2));
    ntap_value *value = make_tensor_value(weight);
    ntap_tensor_free(weight);
    return value;
}

static ntap_tensor *dense_input(void) {
    return make_tensor(NTAP_DTYPE_FLOAT64, VALUES(0.5, -0.25, 1, 2), SHAPE(2, 2));
}

static ntap_module *wrap(const ntap_module *base, ntap_forward_function forward, void *context) {
    ntap_module *module = NULL;
    assert_ok(ntap_module_new_callback(base, forward, context, NULL, &module, &test_err));
    return module;
}

static ntap_module *make_dense(ntap_value *weight) {
    ntap_callback_module_options options = NTAP_CALLBACK_MODULE_OPTIONS_INIT;
    ntap_module *module = NULL;
    options.layers = dense_layers;
    options.n_layers = 2;
    assert_ok(ntap_module_new_callback(NULL, dense, weight, &options, &module, &test_err));
    return module;
}

typedef struct question {
    const char *layer;
    const char *neuron;
    ntap_layer_side side;
    int64_t call;
} question;

static ntap_status ask(const ntap_module *module, question q, const ntap_tensor *input,
                       ntap_tensor **grads) {
    ntap_neuron_gradient_options layer = NTAP_NEURON_GRADIENT_OPTIONS_INIT;
    ntap_attribute_options options = NTAP_ATTRIBUTE_OPTIONS_INIT;
    ntap_neuron_gradient *gradient = NULL;
    ntap_selector *selector = NULL;
    layer.side = q.side;
    options.call = q.call;
    ntap_status status = ntap_neuron_gradient_new(module, q.layer, &layer, &gradient, &test_err);
    if (status == NTAP_OK)
        status = ntap_selector_parse(q.neuron, &selector, &test_err);
    if (status == NTAP_OK)
        status = ntap_neuron_gradient_attribute(gradient, &input, 1, selector, &options, grads,
                                                &test_err);
    ntap_selector_free(selector);
    ntap_neuron_gradient_free(gradient);
    return status;
}

static void assert_gradient(const ntap_module *module, question q, const ntap_tensor *input,
                            const double *values) {
    ntap_tensor *grads[] = {NULL};
    assert_ok(ask(module, q, input, grads));
    ntap_tensor *expected = make_tensor(NTAP_DTYPE_FLOAT64, values, SHAPE(2, 2));
    assert_close(grads[0], expected, 1e-14);
    ntap_tensor_free(expected);
    ntap_tensor_free(grads[0]);
}

static ntap_value *forward(const ntap_module *module, const ntap_tensor *input) {
    ntap_value *arg = make_tensor_value(input);
    const ntap_value *args[] = {arg};
    ntap_value *result = NULL;
    assert_ok(ntap_module_forward(module, args, 1, &result, &test_err));
    ntap_value_free(arg);
    return result;
}

/* ---- over another module ---- */

static void b15_a_function_runs_the_model_as_often_as_it_likes(void **state) {
    (void)state;
    ntap_module *base = load_fixture("mlp.scripted.pt");
    ntap_module *module = wrap(base, twice, NULL);
    ntap_tensor *input = read_fixture("mlp.x.npy");
    ntap_tensor *once = read_fixture("mlp.fc1.output.4.grad.npy"); /* by captum */
    ntap_tensor *doubled = NULL;
    ntap_tensor *grads[] = {NULL};
    assert_ok(ntap_tensor_scale(once, 2, &doubled, &test_err));
    assert_ok(ask(module, (question){"fc1", "4", NTAP_LAYER_OUTPUT, 1}, input, grads));
    assert_close(grads[0], once, 1e-6); /* a dense layer: the same for x and for 2x */
    ntap_tensor_free(grads[0]);
    assert_ok(ask(module, (question){"fc1", "4", NTAP_LAYER_OUTPUT, 0}, input, grads));
    assert_close(grads[0], doubled, 1e-6); /* the last call, by the chain rule */
    ntap_tensor_free(grads[0]);
    ntap_tensor_free(doubled);
    ntap_tensor_free(once);
    ntap_tensor_free(input);
    ntap_module_free(module);
    ntap_module_free(base);
}

static void b15_its_result_is_a_layer(void **state) {
    (void)state;
    ntap_module *base = load_fixture("mlp.scripted.pt");
    ntap_module *module = wrap(base, twice, NULL);
    ntap_tensor *input = read_fixture("mlp.x.npy");
    ntap_module_free(base); /* the module keeps it */
    ntap_value *result = forward(module, input);
    double *sums = read_elements(ntap_value_get_tensor(result), &(size_t){0});
    for (int row = 0; row < 3; ++row) /* two softmaxes */
        assert_true(fabs(sums[4 * row] + sums[4 * row + 1] + sums[4 * row + 2] + sums[4 * row + 3] -
                         2) < 1e-6);
    ntap_tensor *grads[] = {NULL};
    assert_ok(ask(module, (question){"", ":", NTAP_LAYER_OUTPUT, 0}, input, grads));
    double *gradients = read_elements(grads[0], &(size_t){0});
    for (int i = 0; i < 18; ++i) /* their sum is a constant */
        assert_true(fabs(gradients[i]) < 1e-6);
    free(gradients);
    free(sums);
    ntap_tensor_free(grads[0]);
    ntap_value_free(result);
    ntap_tensor_free(input);
    ntap_module_free(module);
}

static void its_layers_are_its_own_and_those_of_the_model(void **state) {
    (void)state;
    ntap_module *base = load_fixture("mlp.scripted.pt");
    ntap_callback_module_options options = NTAP_CALLBACK_MODULE_OPTIONS_INIT;
    ntap_module *module = NULL;
    size_t count = 0;
    options.layers = dense_layers;
    options.n_layers = 2;
    assert_ok(ntap_module_new_callback(base, twice, NULL, &options, &module, &test_err));
    assert_int_equal(ntap_module_layer_count(module), ntap_module_layer_count(base) + 2);
    assert_string_equal(ntap_module_layer_name(module, 0), "");
    assert_string_equal(ntap_module_layer_name(module, 1), "dense");
    assert_string_equal(ntap_module_layer_name(module, 3), "fc1");
    assert_string_equal(ntap_module_signature(module), ntap_module_signature(base));
    assert_ok(ntap_module_value_count(module, &count, &test_err));
    assert_int_equal(count, 1); /* the tanh of the model's own code */
    ntap_module_free(module);
    ntap_module_free(base);
}

/* ---- hooks ---- */

static ntap_status count_calls(const ntap_hook_call *call, void *context, ntap_value **replacement,
                               ntap_error *err) {
    (void)replacement;
    (void)err;
    *(int64_t *)context = call->call;
    return NTAP_OK;
}

static void hooks_of_the_model_count_its_calls_through(void **state) {
    (void)state;
    ntap_module *base = load_fixture("mlp.scripted.pt");
    ntap_module *module = wrap(base, twice, NULL);
    ntap_tensor *input = read_fixture("mlp.x.npy");
    int64_t last = 0;
    ntap_hook *hook = NULL;
    assert_ok(
        ntap_module_add_forward_hook(module, "fc1", count_calls, &last, NULL, &hook, &test_err));
    ntap_value_free(forward(module, input));
    assert_int_equal(last, 2);
    ntap_value_free(forward(base, input)); /* the same layer */
    assert_int_equal(last, 1);
    ntap_hook_remove(hook);
    ntap_tensor_free(input);
    ntap_module_free(module);
    ntap_module_free(base);
}

static ntap_status stop_here(const ntap_hook_call *call, void *context, ntap_value **replacement,
                             ntap_error *err) {
    (void)context;
    (void)replacement;
    return ntap_error_set(err, NTAP_ERROR_STOPPED, "stopped at %s", call->layer);
}

static ntap_status swallow(ntap_view *view, const ntap_value *const *args, size_t n_args,
                           void *context, ntap_value **result, ntap_error *err) {
    ntap_value *ignored = NULL;
    (void)context;
    if (ntap_view_forward(view, args, n_args, &ignored, NULL) == NTAP_OK)
        ntap_value_free(ignored);
    return ntap_value_clone(args[0], result, err);
}

static void a_hook_stops_the_run_whatever_the_function_makes_of_it(void **state) {
    (void)state;
    ntap_module *base = load_fixture("mlp.scripted.pt");
    ntap_module *modules[] = {wrap(base, twice, NULL), wrap(base, swallow, NULL)};
    ntap_tensor *input = read_fixture("mlp.x.npy");
    ntap_value *arg = make_tensor_value(input);
    const ntap_value *args[] = {arg};
    ntap_hook *hook = NULL;
    assert_ok(ntap_module_add_forward_hook(base, "fc2", stop_here, NULL, NULL, &hook, &test_err));
    for (int i = 0; i < 2; ++i) {
        ntap_value *result = (ntap_value *)POISON;
        assert_fails(NTAP_ERROR_STOPPED,
                     ntap_module_forward(modules[i], args, 1, &result, &test_err));
        assert_string_equal(test_err.message, "stopped at fc2");
        assert_untouched(result);
        ntap_module_free(modules[i]);
    }
    ntap_hook_remove(hook);
    ntap_value_free(arg);
    ntap_tensor_free(input);
    ntap_module_free(base);
}

/* ---- on its own ---- */

static void b15_a_model_in_c_reports_its_layers(void **state) {
    (void)state;
    ntap_value *weight = dense_weight();
    ntap_module *module = make_dense(weight);
    ntap_tensor *input = dense_input();
    const double a = 1 - tanh(0.5 * 3 - 0.25 * 4) * tanh(0.5 * 3 - 0.25 * 4);
    const double b = 1 - tanh(1. * 3 + 2 * 4) * tanh(1. * 3 + 2 * 4);
    assert_gradient(module, (question){"dense", "1", NTAP_LAYER_OUTPUT, 0}, input,
                    VALUES(3, 4, 3, 4));
    assert_gradient(module, (question){"dense", "0:2", NTAP_LAYER_OUTPUT, 0}, input,
                    VALUES(4, 6, 4, 6));
    assert_gradient(module, (question){"activation", "1", NTAP_LAYER_OUTPUT, 0}, input,
                    VALUES(3 * a, 4 * a, 3 * b, 4 * b));
    assert_gradient(module, (question){"", "1", NTAP_LAYER_OUTPUT, 0}, input,
                    VALUES(3 * a, 4 * a, 3 * b, 4 * b));
    assert_gradient(module, (question){"dense", "1", NTAP_LAYER_INPUT, 0}, input,
                    VALUES(0, 1, 0, 1));
    assert_gradient(module, (question){"", "0", NTAP_LAYER_INPUT, 0}, input, VALUES(1, 0, 1, 0));
    ntap_tensor_free(input);
    ntap_module_free(module);
    ntap_value_free(weight);
}

static ntap_status double_it(const ntap_hook_call *call, void *context, ntap_value **replacement,
                             ntap_error *err) {
    const ntap_value *value =
        call->output != NULL ? call->output : ntap_value_item(call->inputs, 0);
    ++*(int *)context;
    return call2("aten::add.Tensor", value, value, replacement, err);
}

static void its_own_layers_are_hooked(void **state) {
    (void)state;
    ntap_value *weight = dense_weight();
    ntap_module *module = make_dense(weight);
    ntap_tensor *input = dense_input();
    int calls = 0;
    ntap_hook *hooks[3] = {NULL};
    assert_ok(ntap_module_add_forward_hook(module, "dense", double_it, &calls, NULL, &hooks[0],
                                           &test_err));
    assert_gradient(module, (question){"dense", "1", NTAP_LAYER_OUTPUT, 0}, input,
                    VALUES(6, 8, 6, 8));
    assert_ok(ntap_module_add_forward_pre_hook(module, "dense", double_it, &calls, NULL, &hooks[1],
                                               &test_err));
    assert_gradient(module, (question){"dense", "1", NTAP_LAYER_OUTPUT, 0}, input,
                    VALUES(12, 16, 12, 16));
    assert_ok(ntap_module_add_forward_pre_hook(module, "", double_it, &calls, NULL, &hooks[2],
                                               &test_err));
    assert_gradient(module, (question){"dense", "1", NTAP_LAYER_OUTPUT, 0}, input,
                    VALUES(24, 32, 24, 32));
    assert_int_equal(calls, 1 + 2 + 3);
    for (int i = 0; i < 3; ++i)
        ntap_hook_remove(hooks[i]);
    assert_gradient(module, (question){"dense", "1", NTAP_LAYER_OUTPUT, 0}, input,
                    VALUES(3, 4, 3, 4));
    ntap_tensor_free(input);
    ntap_module_free(module);
    ntap_value_free(weight);
}

static void a_callback_module_over_a_callback_module(void **state) {
    (void)state;
    ntap_value *weight = dense_weight();
    ntap_module *inner = make_dense(weight);
    ntap_module *module = wrap(inner, twice, NULL);
    ntap_tensor *input = dense_input();
    assert_gradient(module, (question){"dense", "1", NTAP_LAYER_OUTPUT, 0}, input,
                    VALUES(6, 8, 6, 8));
    assert_gradient(module, (question){"dense", "1", NTAP_LAYER_OUTPUT, -2}, input,
                    VALUES(3, 4, 3, 4));
    ntap_tensor_free(input);
    ntap_module_free(module);
    ntap_module_free(inner);
    ntap_value_free(weight);
}

/* ---- B13 ---- */

static void b13_a_model_that_counts_is_left_as_it_was(void **state) {
    (void)state;
    ntap_module *base = load_fixture("counter.scripted.pt");
    ntap_module *module = wrap(base, twice, NULL);
    ntap_tensor *input = read_fixture("counter.x.npy");
    ntap_tensor *grads[2] = {NULL};
    assert_ok(ask(module, (question){"", "0", NTAP_LAYER_OUTPUT, 0}, input, &grads[0]));
    assert_ok(ask(module, (question){"", "0", NTAP_LAYER_OUTPUT, 0}, input, &grads[1]));
    assert_close(grads[0], grads[1], 0);
    ntap_tensor_free(grads[0]);
    ntap_tensor_free(grads[1]);
    ntap_tensor_free(input);
    ntap_module_free(module);
    ntap_module_free(base);
}

/* ---- errors ---- */

static ntap_status misspell(ntap_view *view, const ntap_value *const *args, size_t n_args,
                            void *context, ntap_value **result, ntap_error *err) {
    (void)n_args;
    return ntap_tap(view, (const char *)context, NTAP_LAYER_OUTPUT, args[0], result, err);
}

static ntap_status give_nothing(ntap_view *view, const ntap_value *const *args, size_t n_args,
                                void *context, ntap_value **result, ntap_error *err) {
    (void)view;
    (void)args;
    (void)n_args;
    (void)result;
    (void)err;
    return *(const ntap_status *)context;
}

static ntap_status give_back_what_was_lent(ntap_view *view, const ntap_value *const *args,
                                           size_t n_args, void *context, ntap_value **result,
                                           ntap_error *err) {
    (void)view;
    (void)n_args;
    (void)context;
    (void)err;
    *result = (ntap_value *)args[0];
    return NTAP_OK;
}

static void assert_forward_fails(ntap_module *module, ntap_status status, const char *message) {
    ntap_tensor *input = dense_input();
    ntap_value *arg = make_tensor_value(input);
    const ntap_value *args[] = {arg};
    ntap_value *result = (ntap_value *)POISON;
    assert_fails(status, ntap_module_forward(module, args, 1, &result, &test_err));
    assert_message(message);
    assert_untouched(result);
    ntap_value_free(arg);
    ntap_tensor_free(input);
    ntap_module_free(module);
}

static void failures_of_the_function_are_those_of_the_run(void **state) {
    (void)state;
    ntap_status nothing = NTAP_OK;
    ntap_status failing = NTAP_ERROR_DEVICE;
    char unknown[] = "activatoin";
    char itself[] = "";
    assert_forward_fails(wrap(NULL, give_nothing, &nothing), NTAP_ERROR_INVALID_ARGUMENT,
                         "succeeded without giving a result");
    assert_forward_fails(wrap(NULL, give_nothing, &failing), NTAP_ERROR_DEVICE,
                         "forward function failed with NTAP_ERROR_DEVICE");
    assert_forward_fails(wrap(NULL, give_back_what_was_lent, NULL), NTAP_ERROR_INVALID_ARGUMENT,
                         "was only lent to it");
    assert_forward_fails(wrap(NULL, misspell, unknown), NTAP_ERROR_INVALID_ARGUMENT,
                         "layer 'activatoin' is not one of those");
    assert_forward_fails(wrap(NULL, misspell, itself), NTAP_ERROR_INVALID_ARGUMENT,
                         "layer '' is not one of those");
    assert_forward_fails(wrap(NULL, twice, NULL), NTAP_ERROR_INVALID_ARGUMENT,
                         "was made without a module");
}

static void an_unknown_layer_is_not_found(void **state) {
    (void)state;
    ntap_value *weight = dense_weight();
    ntap_module *module = make_dense(weight);
    ntap_tensor *input = dense_input();
    ntap_tensor *grads[] = {(ntap_tensor *)POISON};
    assert_fails(NTAP_ERROR_NOT_FOUND,
                 ask(module, (question){"dens", "1", NTAP_LAYER_OUTPUT, 0}, input, grads));
    assert_message("layer 'dens' not found; did you mean 'dense'?");
    assert_fails(NTAP_ERROR_NOT_FOUND,
                 ask(module, (question){"activation", "1", NTAP_LAYER_INPUT, 0}, input, grads));
    assert_message("layer 'activation' did not run for this input");
    assert_untouched(grads[0]);
    ntap_tensor_free(input);
    ntap_module_free(module);
    ntap_value_free(weight);
}

static void layers_are_named_once(void **state) {
    (void)state;
    ntap_module *base = load_fixture("mlp.scripted.pt");
    const char *const twice_named[] = {"a", "a"};
    const char *const taken[] = {"fc1"};
    const char *const missing[] = {NULL};
    ntap_callback_module_options options = NTAP_CALLBACK_MODULE_OPTIONS_INIT;
    ntap_module *module = (ntap_module *)POISON;
    options.n_layers = 2;
    assert_fails(NTAP_ERROR_INVALID_ARGUMENT,
                 ntap_module_new_callback(base, twice, NULL, &options, &module, &test_err));
    assert_message("options.layers is NULL");
    options.layers = twice_named;
    assert_fails(NTAP_ERROR_INVALID_ARGUMENT,
                 ntap_module_new_callback(base, twice, NULL, &options, &module, &test_err));
    assert_message("there is a layer 'a' already");
    options.layers = taken;
    options.n_layers = 1;
    assert_fails(NTAP_ERROR_INVALID_ARGUMENT,
                 ntap_module_new_callback(base, twice, NULL, &options, &module, &test_err));
    assert_message("there is a layer 'fc1' already");
    options.layers = missing;
    assert_fails(NTAP_ERROR_INVALID_ARGUMENT,
                 ntap_module_new_callback(base, twice, NULL, &options, &module, &test_err));
    assert_message("options.layers[0] is NULL");
    assert_untouched(module);
    ntap_module_free(base);
}

static void it_has_nothing_to_move(void **state) {
    (void)state;
    ntap_module *module = wrap(NULL, twice, NULL);
    assert_fails(NTAP_ERROR_UNSUPPORTED,
                 ntap_module_to(module, NULL, NTAP_DTYPE_FLOAT64, &test_err));
    assert_message("move the module that it was made from");
    ntap_module_free(module);
}

/* ---- values that are not there ---- */

static ntap_status leave_out(ntap_view *view, const ntap_value *const *args, size_t n_args,
                             void *context, ntap_value **result, ntap_error *err) {
    ntap_value *nothing = NULL;
    ntap_value *tapped = NULL;
    (void)n_args;
    (void)context;
    ntap_status status = ntap_value_new_none(&nothing, err);
    if (status == NTAP_OK)
        status = ntap_tap(view, "a", NTAP_LAYER_OUTPUT, nothing, &tapped, err);
    if (status == NTAP_OK && ntap_value_get_kind(tapped) != NTAP_VALUE_NONE)
        status = ntap_error_set(err, NTAP_ERROR_INTERNAL, "None became something");
    if (status == NTAP_OK)
        status = ntap_value_clone(args[0], result, err);
    ntap_value_free(nothing);
    ntap_value_free(tapped);
    return status;
}

static void a_tap_hands_on_none(void **state) {
    (void)state;
    const char *const layers[] = {"a"};
    ntap_callback_module_options options = NTAP_CALLBACK_MODULE_OPTIONS_INIT;
    ntap_module *module = NULL;
    options.layers = layers;
    options.n_layers = 1;
    assert_ok(ntap_module_new_callback(NULL, leave_out, NULL, &options, &module, &test_err));
    ntap_tensor *input = dense_input();
    ntap_value *result = forward(module, input);
    assert_close(ntap_value_get_tensor(result), input, 0);
    ntap_value_free(result);
    ntap_tensor_free(input);
    ntap_module_free(module);
}

/* ---- its context ---- */

static void count_finalizers(void *context) { ++*(int *)context; }

static void the_finalizer_runs_once_when_all_is_gone(void **state) {
    (void)state;
    int finalized = 0;
    ntap_callback_module_options options = NTAP_CALLBACK_MODULE_OPTIONS_INIT;
    ntap_module *module = NULL;
    ntap_neuron_gradient *gradient = NULL;
    options.finalizer = count_finalizers;
    assert_ok(
        ntap_module_new_callback(NULL, give_nothing, &finalized, &options, &module, &test_err));
    assert_ok(ntap_neuron_gradient_new(module, "", NULL, &gradient, &test_err));
    ntap_module_free(module);
    assert_int_equal(finalized, 0);
    ntap_neuron_gradient_free(gradient);
    assert_int_equal(finalized, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(b15_a_function_runs_the_model_as_often_as_it_likes),
        cmocka_unit_test(b15_its_result_is_a_layer),
        cmocka_unit_test(its_layers_are_its_own_and_those_of_the_model),
        cmocka_unit_test(hooks_of_the_model_count_its_calls_through),
        cmocka_unit_test(a_hook_stops_the_run_whatever_the_function_makes_of_it),
        cmocka_unit_test(b15_a_model_in_c_reports_its_layers),
        cmocka_unit_test(its_own_layers_are_hooked),
        cmocka_unit_test(a_callback_module_over_a_callback_module),
        cmocka_unit_test(b13_a_model_that_counts_is_left_as_it_was),
        cmocka_unit_test(failures_of_the_function_are_those_of_the_run),
        cmocka_unit_test(an_unknown_layer_is_not_found),
        cmocka_unit_test(layers_are_named_once),
        cmocka_unit_test(it_has_nothing_to_move),
        cmocka_unit_test(a_tap_hands_on_none),
        cmocka_unit_test(the_finalizer_runs_once_when_all_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
