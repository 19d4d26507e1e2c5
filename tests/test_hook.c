/* Forward hooks and pre-hooks: what they see, replace and stop, and how they come and go. What they
 * do to models is compared with Python's hooks in test_hook_cases.c. */
#include "support.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* ---- a hook that counts, and does what it is told ---- */

typedef struct plan {
    atomic_int calls;
    atomic_int finalized;
    int64_t last_call;
    char layer[64];
    double scale;            /* replace by the tensor times this, if not 0 */
    ntap_tensor *put;        /* replace by this tensor */
    ntap_value *put_value;   /* replace by this value */
    ntap_status fail;        /* fail with this status */
    const char *message;     /* and this message */
    ntap_hook *remove;       /* remove this hook */
    ntap_value *seen_inputs; /* the latest, kept if `keep` */
    ntap_value *seen_output;
    int keep;
} plan;

static void finalize(void *context) { ((plan *)context)->finalized++; }

static void keep_values(const ntap_hook_call *call, plan *p) {
    ntap_value_free(p->seen_inputs);
    ntap_value_free(p->seen_output);
    p->seen_inputs = p->seen_output = NULL;
    assert_int_equal(ntap_value_clone(call->inputs, &p->seen_inputs, NULL), NTAP_OK);
    if (call->output != NULL)
        assert_int_equal(ntap_value_clone(call->output, &p->seen_output, NULL), NTAP_OK);
}

static ntap_status scale(const ntap_hook_call *call, const plan *p, ntap_value **replacement,
                         ntap_error *err) {
    ntap_tensor *scaled = NULL;
    const ntap_value *value =
        call->output != NULL ? call->output : ntap_value_item(call->inputs, 0);
    ntap_status status = ntap_tensor_scale(ntap_value_get_tensor(value), p->scale, &scaled, err);
    if (status == NTAP_OK)
        status = ntap_value_new_tensor(scaled, replacement, err);
    ntap_tensor_free(scaled);
    return status;
}

static ntap_status act(const ntap_hook_call *call, void *context, ntap_value **replacement,
                       ntap_error *err) {
    plan *p = (plan *)context;
    p->calls++;
    p->last_call = call->call;
    (void)strncpy(p->layer, call->layer, sizeof p->layer - 1);
    if (p->keep)
        keep_values(call, p);
    if (p->remove != NULL) {
        ntap_hook_remove(p->remove);
        p->remove = NULL;
    }
    if (p->fail != NTAP_OK)
        return p->message != NULL ? ntap_error_set(err, p->fail, "%s", p->message) : p->fail;
    if (p->scale != 0)
        return scale(call, p, replacement, err);
    if (p->put != NULL)
        return ntap_value_new_tensor(p->put, replacement, err);
    return p->put_value != NULL ? ntap_value_clone(p->put_value, replacement, err) : NTAP_OK;
}

static void clear(plan *p) {
    ntap_value_free(p->seen_inputs);
    ntap_value_free(p->seen_output);
    ntap_value_free(p->put_value);
    ntap_tensor_free(p->put);
}

/* ---- modules and runs ---- */

static ntap_hook *add(const ntap_module *module, const char *layer, plan *p) {
    ntap_hook *hook = NULL;
    assert_ok(ntap_module_add_forward_hook(module, layer, act, p, finalize, &hook, &test_err));
    return hook;
}

static ntap_hook *add_pre(const ntap_module *module, const char *layer, plan *p) {
    ntap_hook *hook = NULL;
    assert_ok(ntap_module_add_forward_pre_hook(module, layer, act, p, finalize, &hook, &test_err));
    return hook;
}

static ntap_status try_forward(const ntap_module *module, const ntap_tensor *input,
                               ntap_value **result) {
    ntap_value *arg = make_tensor_value(input);
    const ntap_value *args[] = {arg};
    const ntap_status status = ntap_module_forward(module, args, 1, result, &test_err);
    ntap_value_free(arg);
    return status;
}

static ntap_value *forward(const ntap_module *module, const char *input_file) {
    ntap_tensor *input = read_fixture(input_file);
    ntap_value *result = NULL;
    assert_ok(try_forward(module, input, &result));
    ntap_tensor_free(input);
    return result;
}

static void assert_forward_fails(const ntap_module *module, ntap_status status) {
    ntap_tensor *input = read_fixture("mlp.x.npy");
    ntap_value *result = (ntap_value *)POISON;
    assert_fails(status, try_forward(module, input, &result));
    assert_untouched(result);
    ntap_tensor_free(input);
}

static void assert_forward(const ntap_module *module, const double *values) {
    ntap_value *result = forward(module, "mlp.x.npy");
    ntap_tensor *expected = make_tensor(NTAP_DTYPE_FLOAT32, values, SHAPE(3, 4));
    assert_close(ntap_value_get_tensor(result), expected, 1e-6);
    ntap_tensor_free(expected);
    ntap_value_free(result);
}

static ntap_tensor *rows(double a, double b, double c, double d) {
    return make_tensor(NTAP_DTYPE_FLOAT32, VALUES(a, b, c, d, a, b, c, d, a, b, c, d), SHAPE(3, 4));
}

/* What softmax makes of zeros, and of the logarithms of 1, 2, 1, 4. */
static const double UNIFORM[] = {.25, .25, .25, .25, .25, .25, .25, .25, .25, .25, .25, .25};
static const double POWERS[] = {.125, .25, .125, .5, .125, .25, .125, .5, .125, .25, .125, .5};
#define LOGARITHMS 0, 0.69314718055994531, 0, 1.38629436111989062

/* ---- replacing ---- */

static void a_forward_hook_replaces_what_the_layer_returns(void **state) {
    (void)state;
    ntap_module *module = load_fixture("mlp.scripted.pt");
    plan p = {.put = rows(LOGARITHMS)};
    ntap_hook *hook = add(module, "fc3", &p);
    assert_forward(module, POWERS);
    assert_int_equal(p.calls, 1);
    assert_string_equal(p.layer, "fc3");
    assert_int_equal(p.last_call, 1);
    ntap_hook_remove(hook);
    ntap_module_free(module);
    clear(&p);
}

static void a_pre_hook_replaces_the_first_argument(void **state) {
    (void)state;
    ntap_module *module = load_fixture("mlp.traced.pt");
    plan p = {.put = rows(LOGARITHMS)};
    ntap_hook *hook = add_pre(module, "head", &p);
    assert_forward(module, POWERS);
    ntap_hook_remove(hook);
    ntap_module_free(module);
    clear(&p);
}

static void a_pre_hook_replaces_arguments_by_a_tuple(void **state) {
    (void)state;
    ntap_module *module = load_fixture("mlp.scripted.pt");
    ntap_tensor *zeros = rows(0, 0, 0, 0);
    plan p = {.put_value = make_tuple(1, make_tensor_value(zeros))};
    ntap_hook *hook = add_pre(module, "head", &p);
    assert_forward(module, UNIFORM);
    ntap_hook_remove(hook);
    ntap_module_free(module);
    ntap_tensor_free(zeros);
    clear(&p);
}

static void hooks_of_a_layer_run_in_the_order_of_registration(void **state) {
    (void)state;
    ntap_module *module = load_fixture("mlp.scripted.pt");
    plan put = {.put = rows(LOGARITHMS)};
    plan clear_it = {.scale = 1e-30};
    ntap_hook *first = add(module, "fc3", &put);
    ntap_hook *second = add(module, "fc3", &clear_it);
    assert_forward(module, UNIFORM);
    ntap_hook_remove(first);
    first = add(module, "fc3", &put); /* now it is the last */
    assert_forward(module, POWERS);
    ntap_hook_remove(first);
    ntap_hook_remove(second);
    ntap_module_free(module);
    clear(&put);
}

static void the_model_itself_has_hooks_too(void **state) {
    (void)state;
    ntap_module *module = load_fixture("mlp.scripted.pt");
    ntap_tensor *input = read_fixture("mlp.x.npy");
    plan before = {.keep = 1};
    plan after = {.put = rows(1, 2, 3, 4), .keep = 1};
    ntap_hook *hooks[] = {add_pre(module, "", &before), add(module, "", &after)};
    assert_forward(module, VALUES(1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4));
    assert_close(ntap_value_get_tensor(ntap_value_item(before.seen_inputs, 0)), input, 0);
    assert_close(ntap_value_get_tensor(ntap_value_item(after.seen_inputs, 0)), input, 0);
    assert_null(before.seen_output);
    ntap_hook_remove(hooks[0]);
    ntap_hook_remove(hooks[1]);
    ntap_tensor_free(input);
    ntap_module_free(module);
    clear(&before);
    clear(&after);
}

static void a_hook_on_a_value_of_a_frozen_file(void **state) {
    (void)state;
    ntap_module *module = load_fixture("mlp.frozen.pt");
    plan p = {.put = rows(LOGARITHMS)};
    ntap_hook *hook = add(module, "linear:3", &p);
    assert_forward(module, POWERS);
    ntap_hook_remove(hook);
    ntap_module_free(module);
    clear(&p);
}

static void a_replacement_of_the_wrong_type_fails_the_forward(void **state) {
    (void)state;
    ntap_module *module = load_fixture("mlp.scripted.pt");
    plan p = {.put_value = make_int(3)};
    ntap_hook *hook = add(module, "fc3", &p);
    assert_forward_fails(module, NTAP_ERROR_INVALID_ARGUMENT);
    assert_message("forward hook of layer 'fc3': its replacement: expected Tensor, got int 3");
    ntap_hook_remove(hook);
    ntap_tensor *zeros = rows(0, 0, 0, 0);
    ntap_value_free(p.put_value);
    p.put_value = make_tuple(2, make_tensor_value(zeros), make_int(1));
    hook = add_pre(module, "head", &p);
    assert_forward_fails(module, NTAP_ERROR_INVALID_ARGUMENT);
    assert_message(
        "forward pre-hook of layer 'head': its replacement has 2 items, but there are 1");
    ntap_hook_remove(hook);
    ntap_tensor_free(zeros);
    ntap_module_free(module);
    clear(&p);
}

static ntap_status give_back_what_was_lent(const ntap_hook_call *call, void *context,
                                           ntap_value **replacement, ntap_error *err) {
    (void)context;
    (void)err;
    *replacement = (ntap_value *)ntap_value_item(call->inputs, 0);
    return NTAP_OK;
}

static void a_lent_value_is_no_replacement(void **state) {
    (void)state;
    ntap_module *module = load_fixture("mlp.scripted.pt");
    ntap_hook *hook = NULL;
    assert_ok(ntap_module_add_forward_hook(module, "fc1", give_back_what_was_lent, NULL, NULL,
                                           &hook, &test_err));
    assert_forward_fails(module, NTAP_ERROR_INVALID_ARGUMENT);
    assert_message("was only lent to it");
    ntap_hook_remove(hook);
    ntap_module_free(module);
}

/* ---- stopping ---- */

static void a_hook_stops_the_run(void **state) {
    (void)state;
    ntap_module *module = load_fixture("mlp.scripted.pt");
    plan stops = {.fail = NTAP_ERROR_STOPPED};
    plan later = {.calls = 0};
    ntap_hook *hooks[] = {add(module, "fc1", &stops), add(module, "fc2", &later)};
    assert_forward_fails(module, NTAP_ERROR_STOPPED);
    assert_message("forward hook of layer 'fc1' stopped the run");
    assert_int_equal(later.calls, 0);
    ntap_hook_remove(hooks[0]);
    ntap_hook_remove(hooks[1]);
    ntap_module_free(module);
}

static void a_failing_hook_fails_the_forward_with_its_own_message(void **state) {
    (void)state;
    ntap_module *module = load_fixture("mlp.scripted.pt");
    plan p = {.fail = NTAP_ERROR_SHAPE, .message = "that is no image of mine"};
    ntap_hook *hook = add_pre(module, "fc2", &p);
    assert_forward_fails(module, NTAP_ERROR_SHAPE);
    assert_string_equal(test_err.message, "that is no image of mine");
    p.message = NULL;
    assert_forward_fails(module, NTAP_ERROR_SHAPE);
    assert_message("forward pre-hook of layer 'fc2' failed with NTAP_ERROR_SHAPE");
    ntap_hook_remove(hook);
    ntap_module_free(module);
}

static void a_failing_hook_fails_a_neuron_gradient(void **state) {
    (void)state;
    ntap_module *module = load_fixture("mlp.scripted.pt");
    ntap_tensor *input = read_fixture("mlp.x.npy");
    const ntap_tensor *inputs[] = {input};
    ntap_tensor *grads[] = {(ntap_tensor *)POISON};
    ntap_neuron_gradient *gradient = NULL;
    ntap_selector *selector = NULL;
    plan p = {.fail = NTAP_ERROR_STOPPED, .message = "enough"};
    ntap_hook *hook = add(module, "fc1", &p);
    assert_ok(ntap_neuron_gradient_new(module, "fc2", NULL, &gradient, &test_err));
    assert_ok(ntap_selector_new_index(1, &selector, &test_err));
    assert_fails(NTAP_ERROR_STOPPED, ntap_neuron_gradient_attribute(gradient, inputs, 1, selector,
                                                                    NULL, grads, &test_err));
    assert_string_equal(test_err.message, "enough");
    assert_untouched(grads[0]);
    ntap_hook_remove(hook);
    ntap_selector_free(selector);
    ntap_neuron_gradient_free(gradient);
    ntap_tensor_free(input);
    ntap_module_free(module);
}

/* ---- gradients ---- */

static ntap_status attribute(const ntap_module *module, const char *layer, ntap_tensor **grads) {
    ntap_tensor *input = read_fixture("mlp.x.npy");
    const ntap_tensor *inputs[] = {input};
    ntap_neuron_gradient *gradient = NULL;
    ntap_selector *selector = NULL;
    assert_ok(ntap_neuron_gradient_new(module, layer, NULL, &gradient, &test_err));
    assert_ok(ntap_selector_new_index(4, &selector, &test_err));
    const ntap_status status =
        ntap_neuron_gradient_attribute(gradient, inputs, 1, selector, NULL, grads, &test_err);
    ntap_selector_free(selector);
    ntap_neuron_gradient_free(gradient);
    ntap_tensor_free(input);
    return status;
}

static void the_gradient_flows_through_a_replacement(void **state) {
    (void)state;
    ntap_module *module = load_fixture("mlp.scripted.pt");
    ntap_tensor *plain = read_fixture("mlp.fc1.output.4.grad.npy"); /* by captum */
    ntap_tensor *twice = NULL;
    ntap_tensor *grads[] = {NULL};
    plan p = {.scale = 2};
    assert_ok(ntap_tensor_scale(plain, 2, &twice, &test_err));
    ntap_hook *hook = add(module, "fc1", &p);
    assert_ok(attribute(module, "fc1", grads));
    assert_close(grads[0], twice, 1e-6);
    ntap_tensor_free(grads[0]);
    ntap_hook_remove(hook);
    assert_ok(attribute(module, "fc1", grads));
    assert_close(grads[0], plain, 1e-6);
    ntap_tensor_free(grads[0]);
    ntap_tensor_free(twice);
    ntap_tensor_free(plain);
    ntap_module_free(module);
}

static void no_gradient_flows_through_a_constant(void **state) {
    (void)state;
    ntap_module *module = load_fixture("mlp.scripted.pt");
    ntap_tensor *grads[] = {(ntap_tensor *)POISON};
    plan p = {.put = rows(0, 0, 0, 0)};
    ntap_hook *hook = add(module, "fc3", &p);
    assert_fails(NTAP_ERROR_SHAPE, attribute(module, "fc3", grads)); /* it has 4 neurons */
    ntap_tensor_free(p.put);
    p.put = make_tensor(NTAP_DTYPE_FLOAT32, VALUES(1, 1, 1, 1, 1), SHAPE(1, 5));
    assert_fails(NTAP_ERROR_AUTOGRAD, attribute(module, "fc3", grads));
    assert_message("does not depend on inputs[0]");
    assert_untouched(grads[0]);
    ntap_hook_remove(hook);
    ntap_module_free(module);
    clear(&p);
}

static void b9_a_hook_keeps_what_later_operations_overwrite(void **state) {
    (void)state;
    ntap_module *module = load_fixture("cnn.scripted.pt");
    plan p = {.keep = 1};
    ntap_hook *hook = add(module, "bn1", &p); /* an in-place ReLU follows */
    ntap_value_free(forward(module, "cnn.x.npy"));
    size_t count = 0;
    double *elements = read_elements(ntap_value_get_tensor(p.seen_output), &count);
    int negative = 0;
    for (size_t i = 0; i < count; ++i)
        negative += elements[i] < 0;
    assert_true(negative > 0);
    free(elements);
    ntap_hook_remove(hook);
    ntap_module_free(module);
    clear(&p);
}

static void b13_the_model_does_not_write_to_a_replacement(void **state) {
    (void)state;
    ntap_module *module = load_fixture("cnn.scripted.pt");
    ntap_tensor *ones = NULL;
    plan p = {.calls = 0};
    assert_ok(ntap_tensor_zeros(SHAPE(2, 5, 8, 9), NTAP_DTYPE_FLOAT32, (ntap_device){0}, &ones,
                                &test_err));
    const int64_t numel = ntap_tensor_numel(ones);
    for (int64_t i = 0; i < numel; ++i)
        ((float *)ntap_tensor_mutable_data(ones))[i] = -1;
    p.put = ones;
    ntap_hook *hook = add(module, "bn1", &p); /* an in-place ReLU follows */
    ntap_value_free(forward(module, "cnn.x.npy"));
    assert_int_equal(p.calls, 1);
    for (int64_t i = 0; i < numel; ++i)
        assert_true(((const float *)ntap_tensor_data(ones))[i] == -1);
    ntap_hook_remove(hook);
    ntap_module_free(module);
    clear(&p);
}

static void captures_see_what_hooks_left(void **state) {
    (void)state;
    ntap_module *module = load_fixture("mlp.scripted.pt");
    ntap_tensor *input = read_fixture("mlp.x.npy");
    ntap_value *arg = make_tensor_value(input);
    const ntap_value *args[] = {arg};
    const char *layers[] = {"fc3", "head"};
    ntap_value *captured[2] = {NULL};
    plan p = {.put = rows(LOGARITHMS)};
    ntap_hook *hook = add(module, "fc3", &p);
    assert_ok(
        ntap_module_capture(module, layers, 2, NTAP_LAYER_OUTPUT, args, 1, captured, &test_err));
    assert_close(ntap_value_get_tensor(ntap_value_item(captured[0], 0)), p.put, 0);
    ntap_tensor *powers = make_tensor(NTAP_DTYPE_FLOAT32, POWERS, SHAPE(3, 4));
    assert_close(ntap_value_get_tensor(ntap_value_item(captured[1], 0)), powers, 1e-6);
    ntap_tensor_free(powers);
    ntap_value_free(captured[0]);
    ntap_value_free(captured[1]);
    ntap_value_free(arg);
    ntap_tensor_free(input);
    ntap_hook_remove(hook);
    ntap_module_free(module);
    clear(&p);
}

/* ---- coming and going ---- */

static void removal_restores_the_former_behaviour(void **state) {
    (void)state;
    ntap_module *module = load_fixture("mlp.scripted.pt");
    ntap_value *before = forward(module, "mlp.x.npy");
    plan p = {.scale = 3};
    ntap_hook *hook = add(module, "fc2", &p);
    ntap_value_free(forward(module, "mlp.x.npy"));
    ntap_hook_remove(hook);
    assert_int_equal(p.finalized, 1);
    ntap_value *after = forward(module, "mlp.x.npy");
    assert_int_equal(p.calls, 1);
    assert_close(ntap_value_get_tensor(after), ntap_value_get_tensor(before), 0);
    ntap_value_free(before);
    ntap_value_free(after);
    ntap_module_free(module);
}

static void b10_calls_are_counted_in_each_run(void **state) {
    (void)state;
    ntap_module *module = load_fixture("reused.scripted.pt");
    plan p = {.calls = 0};
    ntap_hook *hook = add(module, "fc1", &p);
    ntap_value_free(forward(module, "reused.x.npy"));
    assert_int_equal(p.calls, 3);
    assert_int_equal(p.last_call, 3);
    ntap_value_free(forward(module, "reused.x.npy"));
    assert_int_equal(p.calls, 6);
    assert_int_equal(p.last_call, 3);
    ntap_hook_remove(hook);
    ntap_module_free(module);
}

static void a_hook_removes_itself_at_once(void **state) {
    (void)state;
    ntap_module *module = load_fixture("reused.scripted.pt");
    plan p = {.calls = 0};
    p.remove = add(module, "fc1", &p);
    ntap_value_free(forward(module, "reused.x.npy"));
    assert_int_equal(p.calls, 1); /* of three calls of the layer */
    assert_int_equal(p.finalized, 1);
    ntap_module_free(module);
}

static void a_hook_removes_another_that_would_run_later(void **state) {
    (void)state;
    ntap_module *module = load_fixture("mlp.scripted.pt");
    plan removed = {.calls = 0};
    plan removes = {.calls = 0};
    ntap_hook *hook = add(module, "fc1", &removes);
    removes.remove = add(module, "fc3", &removed);
    ntap_value_free(forward(module, "mlp.x.npy"));
    assert_int_equal(removed.calls, 0);
    assert_int_equal(removed.finalized, 1);
    ntap_hook_remove(hook);
    ntap_module_free(module);
}

static void the_finalizer_runs_once_when_the_module_goes(void **state) {
    (void)state;
    ntap_module *module = load_fixture("mlp.scripted.pt");
    plan p = {.calls = 0};
    assert_ok(ntap_module_add_forward_hook(module, "fc1", act, &p, finalize, NULL, &test_err));
    ntap_value_free(forward(module, "mlp.x.npy"));
    assert_int_equal(p.finalized, 0);
    ntap_module_free(module);
    assert_int_equal(p.calls, 1);
    assert_int_equal(p.finalized, 1);
}

static void a_hook_outlives_its_module(void **state) {
    (void)state;
    ntap_module *module = load_fixture("mlp.scripted.pt");
    plan p = {.calls = 0};
    ntap_hook *hook = add(module, "fc1", &p);
    ntap_module_free(module);
    assert_int_equal(p.finalized, 0); /* its handle holds it */
    ntap_hook_remove(hook);
    assert_int_equal(p.finalized, 1);
}

static void hooks_act_on_what_was_made_from_the_module(void **state) {
    (void)state;
    ntap_module *module = load_fixture("mlp.scripted.pt");
    ntap_tensor *input = read_fixture("mlp.x.npy");
    const ntap_tensor *inputs[] = {input};
    ntap_tensor *grads[] = {NULL};
    ntap_neuron_gradient *gradient = NULL;
    ntap_selector *selector = NULL;
    plan p = {.calls = 0};
    assert_ok(ntap_neuron_gradient_new(module, "fc2", NULL, &gradient, &test_err));
    assert_ok(ntap_selector_new_index(1, &selector, &test_err));
    ntap_hook *hook = add(module, "fc1", &p);
    ntap_module_free(module); /* the gradient keeps the model */
    assert_ok(
        ntap_neuron_gradient_attribute(gradient, inputs, 1, selector, NULL, grads, &test_err));
    assert_int_equal(p.calls, 1);
    ntap_hook_remove(hook);
    ntap_tensor_free(grads[0]);
    assert_ok(
        ntap_neuron_gradient_attribute(gradient, inputs, 1, selector, NULL, grads, &test_err));
    assert_int_equal(p.calls, 1);
    ntap_tensor_free(grads[0]);
    ntap_selector_free(selector);
    ntap_neuron_gradient_free(gradient);
    ntap_tensor_free(input);
}

/* ---- calling back in ---- */

typedef struct reentry {
    const ntap_module *module;
    int depth;
    int calls;
} reentry;

static ntap_status call_back_in(const ntap_hook_call *call, void *context, ntap_value **replacement,
                                ntap_error *err) {
    reentry *r = (reentry *)context;
    ntap_value *inner = NULL;
    (void)replacement;
    ++r->calls;
    if (r->depth == 2)
        return NTAP_OK;
    ++r->depth;
    const ntap_value *args[] = {ntap_value_item(call->inputs, 0)};
    const ntap_status status = ntap_module_forward(r->module, args, 1, &inner, err);
    ntap_value_free(inner);
    --r->depth;
    return status;
}

static void a_hook_runs_the_module_that_it_is_called_from(void **state) {
    (void)state;
    ntap_module *module = load_fixture("mlp.scripted.pt");
    reentry r = {module, 0, 0};
    ntap_hook *hook = NULL;
    assert_ok(
        ntap_module_add_forward_pre_hook(module, "fc1", call_back_in, &r, NULL, &hook, &test_err));
    ntap_value_free(forward(module, "mlp.x.npy"));
    assert_int_equal(r.calls, 3);
    ntap_hook_remove(hook);
    ntap_module_free(module);
}

typedef struct grower {
    const ntap_module *module;
    plan added;
    ntap_hook *hook;
} grower;

static ntap_status add_another(const ntap_hook_call *call, void *context, ntap_value **replacement,
                               ntap_error *err) {
    grower *g = (grower *)context;
    (void)call;
    (void)replacement;
    if (g->hook != NULL)
        return NTAP_OK;
    return ntap_module_add_forward_hook(g->module, "fc3", act, &g->added, NULL, &g->hook, err);
}

static void a_hook_that_a_hook_adds_begins_with_the_next_run(void **state) {
    (void)state;
    ntap_module *module = load_fixture("mlp.scripted.pt");
    grower g = {module, {.calls = 0}, NULL};
    ntap_hook *hook = NULL;
    assert_ok(ntap_module_add_forward_hook(module, "fc1", add_another, &g, NULL, &hook, &test_err));
    ntap_value_free(forward(module, "mlp.x.npy"));
    assert_int_equal(g.added.calls, 0);
    ntap_value_free(forward(module, "mlp.x.npy"));
    assert_int_equal(g.added.calls, 1);
    ntap_hook_remove(hook);
    ntap_hook_remove(g.hook);
    ntap_module_free(module);
}

/* ---- from several threads ---- */

enum { RUNNERS = 4, RUNS = 200 };

typedef struct runner {
    const ntap_module *module;
    const ntap_value *input;
    const ntap_tensor *results[2]; /* without the hook, and with it */
    int failures;
} runner;

/* As `put` of a plan, but touches nothing that other threads do. */
static ntap_status put_tensor(const ntap_hook_call *call, void *context, ntap_value **replacement,
                              ntap_error *err) {
    plan *p = (plan *)context;
    (void)call;
    p->calls++;
    return ntap_value_new_tensor(p->put, replacement, err);
}

/* What fc3 returns is what head receives. */
static ntap_hook *add_either(const ntap_module *module, int which, plan *p) {
    ntap_hook *hook = NULL;
    assert_ok(which == 0 ? ntap_module_add_forward_hook(module, "fc3", put_tensor, p, finalize,
                                                        &hook, &test_err)
                         : ntap_module_add_forward_pre_hook(module, "head", put_tensor, p, finalize,
                                                            &hook, &test_err));
    return hook;
}

static int equals(const ntap_value *result, const ntap_tensor *expected) {
    const ntap_tensor *tensor = ntap_value_get_tensor(result);
    return memcmp(ntap_tensor_data(tensor), ntap_tensor_data(expected),
                  (size_t)ntap_tensor_numel(tensor) * sizeof(float)) == 0;
}

static void *run_all(void *context) {
    runner *r = (runner *)context;
    for (int i = 0; i < RUNS; ++i) {
        ntap_value *result = NULL;
        if (ntap_module_forward(r->module, &r->input, 1, &result, NULL) != NTAP_OK ||
            (!equals(result, r->results[0]) && !equals(result, r->results[1])))
            ++r->failures;
        ntap_value_free(result);
    }
    return NULL;
}

static void hooks_come_and_go_while_others_run(void **state) {
    (void)state;
    ntap_module *module = load_fixture("mlp.scripted.pt");
    ntap_tensor *input = read_fixture("mlp.x.npy");
    ntap_value *value = make_tensor_value(input);
    plan p = {.put = rows(LOGARITHMS)};
    pthread_t threads[RUNNERS];
    runner runners[RUNNERS];
    ntap_value *plain = forward(module, "mlp.x.npy");
    ntap_hook *hook = add_either(module, 0, &p);
    ntap_value *hooked = forward(module, "mlp.x.npy");
    ntap_hook_remove(hook);
    for (int i = 0; i < RUNNERS; ++i) {
        runners[i] = (runner){
            module, value, {ntap_value_get_tensor(plain), ntap_value_get_tensor(hooked)}, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, run_all, &runners[i]), 0);
    }
    int added = 1;
    for (int i = 0; i < RUNS; ++i, ++added)
        ntap_hook_remove(add_either(module, i % 2, &p));
    for (int i = 0; i < RUNNERS; ++i) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(runners[i].failures, 0);
    }
    assert_int_equal(p.finalized, added);
    ntap_value_free(plain);
    ntap_value_free(hooked);
    ntap_value_free(value);
    ntap_tensor_free(input);
    ntap_module_free(module);
    clear(&p);
}

/* ---- what cannot be hooked ---- */

static void a_layer_that_nobody_calls_cannot_be_hooked(void **state) {
    (void)state;
    ntap_module *module = load_fixture("nevercalled.scripted.pt");
    plan p = {.calls = 0};
    ntap_hook *hook = (ntap_hook *)POISON;
    assert_fails(NTAP_ERROR_NOT_FOUND, ntap_module_add_forward_hook(module, "orphan", act, &p,
                                                                    finalize, &hook, &test_err));
    assert_message("layer 'orphan' exists, but nothing in the model's forward calls it");
    assert_untouched(hook);
    assert_int_equal(p.finalized, 0);
    ntap_module_free(module);
}

static void an_unknown_layer_cannot_be_hooked(void **state) {
    (void)state;
    ntap_module *module = load_fixture("mlp.frozen.pt");
    plan p = {.calls = 0};
    ntap_hook *hook = (ntap_hook *)POISON;
    assert_fails(
        NTAP_ERROR_NOT_FOUND,
        ntap_module_add_forward_pre_hook(module, "linear:4", act, &p, finalize, &hook, &test_err));
    assert_message("value 'linear:4' not found; did you mean 'linear:1'");
    assert_untouched(hook);
    assert_int_equal(p.finalized, 0);
    ntap_module_free(module);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_forward_hook_replaces_what_the_layer_returns),
        cmocka_unit_test(a_pre_hook_replaces_the_first_argument),
        cmocka_unit_test(a_pre_hook_replaces_arguments_by_a_tuple),
        cmocka_unit_test(hooks_of_a_layer_run_in_the_order_of_registration),
        cmocka_unit_test(the_model_itself_has_hooks_too),
        cmocka_unit_test(a_hook_on_a_value_of_a_frozen_file),
        cmocka_unit_test(a_replacement_of_the_wrong_type_fails_the_forward),
        cmocka_unit_test(a_lent_value_is_no_replacement),
        cmocka_unit_test(a_hook_stops_the_run),
        cmocka_unit_test(a_failing_hook_fails_the_forward_with_its_own_message),
        cmocka_unit_test(a_failing_hook_fails_a_neuron_gradient),
        cmocka_unit_test(the_gradient_flows_through_a_replacement),
        cmocka_unit_test(no_gradient_flows_through_a_constant),
        cmocka_unit_test(b9_a_hook_keeps_what_later_operations_overwrite),
        cmocka_unit_test(b13_the_model_does_not_write_to_a_replacement),
        cmocka_unit_test(captures_see_what_hooks_left),
        cmocka_unit_test(removal_restores_the_former_behaviour),
        cmocka_unit_test(b10_calls_are_counted_in_each_run),
        cmocka_unit_test(a_hook_removes_itself_at_once),
        cmocka_unit_test(a_hook_removes_another_that_would_run_later),
        cmocka_unit_test(the_finalizer_runs_once_when_the_module_goes),
        cmocka_unit_test(a_hook_outlives_its_module),
        cmocka_unit_test(hooks_act_on_what_was_made_from_the_module),
        cmocka_unit_test(a_hook_runs_the_module_that_it_is_called_from),
        cmocka_unit_test(a_hook_that_a_hook_adds_begins_with_the_next_run),
        cmocka_unit_test(hooks_come_and_go_while_others_run),
        cmocka_unit_test(a_layer_that_nobody_calls_cannot_be_hooked),
        cmocka_unit_test(an_unknown_layer_cannot_be_hooked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
