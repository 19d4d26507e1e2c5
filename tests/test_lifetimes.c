/* Objects may be freed in any order, whatever was made from what, and what is left keeps working.
 */
#include "support.h"

#include <stdlib.h>
#include <string.h>

enum { MODULE, PARALLEL, GRADIENT, REPLICATED, HOOK, OBJECTS };

typedef struct objects {
    ntap_module *module;
    ntap_module *parallel;
    ntap_neuron_gradient *gradient;
    ntap_neuron_gradient *replicated;
    ntap_hook *hook;
    int finalized;
} objects;

static ntap_status observe(const ntap_hook_call *call, void *context, ntap_value **replacement,
                           ntap_error *err) {
    (void)call;
    (void)context;
    (void)replacement;
    (void)err;
    return NTAP_OK;
}

static void count(void *context) { ++((objects *)context)->finalized; }

static void open_objects(objects *o) {
    const ntap_device cpus[] = {{NTAP_DEVICE_CPU, 0}, {NTAP_DEVICE_CPU, 0}};
    memset(o, 0, sizeof *o);
    o->module = load_fixture("mlp_f64.scripted.pt");
    assert_ok(ntap_module_new_data_parallel(o->module, cpus, 2, NULL, &o->parallel, &test_err));
    assert_ok(ntap_neuron_gradient_new(o->module, "fc2", NULL, &o->gradient, &test_err));
    assert_ok(ntap_neuron_gradient_new(o->parallel, "fc2", NULL, &o->replicated, &test_err));
    assert_ok(
        ntap_module_add_forward_hook(o->parallel, "fc1", observe, o, count, &o->hook, &test_err));
}

static void use(const ntap_neuron_gradient *gradient, const ntap_tensor *input,
                const ntap_selector *selector) {
    ntap_tensor *grad = NULL;
    if (gradient == NULL)
        return;
    assert_ok(
        ntap_neuron_gradient_attribute(gradient, &input, 1, selector, NULL, &grad, &test_err));
    ntap_tensor_free(grad);
}

static void free_one(objects *o, int which) {
    switch (which) {
    case MODULE:
        ntap_module_free(o->module);
        break;
    case PARALLEL:
        ntap_module_free(o->parallel);
        break;
    case GRADIENT:
        ntap_neuron_gradient_free(o->gradient);
        o->gradient = NULL;
        break;
    case REPLICATED:
        ntap_neuron_gradient_free(o->replicated);
        o->replicated = NULL;
        break;
    default:
        ntap_hook_remove(o->hook);
        assert_int_equal(o->finalized, 1);
        break;
    }
}

/* The order's number gives the order: at each step one of those that are left. */
static void free_in_order(objects *o, int order, const ntap_tensor *input,
                          const ntap_selector *selector) {
    int left[OBJECTS] = {MODULE, PARALLEL, GRADIENT, REPLICATED, HOOK};
    for (int n = OBJECTS; n > 0; order /= n, --n) {
        const int next = order % n;
        free_one(o, left[next]);
        left[next] = left[n - 1];
        use(o->gradient, input, selector);
        use(o->replicated, input, selector);
    }
    assert_int_equal(o->finalized, 1);
}

static void any_order_will_do(void **state) {
    ntap_tensor *input = read_fixture("mlp_f64.x.npy");
    ntap_selector *selector = NULL;
    (void)state;
    assert_ok(ntap_selector_parse("1", &selector, &test_err));
    for (int order = 0; order < 120; ++order) {
        objects o;
        open_objects(&o);
        free_in_order(&o, order, input, selector);
    }
    ntap_selector_free(selector);
    ntap_tensor_free(input);
}

/* Results own their memory; inputs and arguments may go. */
static void results_outlive_everything(void **state) {
    objects o;
    ntap_tensor *input = read_fixture("mlp_f64.x.npy");
    ntap_value *arg = make_tensor_value(input);
    const ntap_value *args[] = {arg};
    const char *layer = "fc1";
    ntap_value *result = NULL;
    ntap_value *captured = NULL;
    (void)state;
    open_objects(&o);
    assert_ok(ntap_module_forward(o.module, args, 1, &result, &test_err));
    assert_ok(
        ntap_module_capture(o.module, &layer, 1, NTAP_LAYER_INPUT, args, 1, &captured, &test_err));
    ntap_tensor_free(input);
    ntap_value_free(arg);
    for (int which = 0; which < OBJECTS; ++which)
        free_one(&o, which);
    size_t size = 0;
    free(read_elements(ntap_value_get_tensor(result), &size));
    assert_int_equal(size, 12);
    const ntap_value *call = ntap_value_item(captured, 0);
    free(read_elements(ntap_value_get_tensor(ntap_value_item(call, 0)), &size));
    assert_int_equal(size, 18);
    ntap_value_free(result);
    ntap_value_free(captured);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_order_will_do),
        cmocka_unit_test(results_outlive_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
