/* B16: data-parallel modules, on CPU replicas. What they compute is what the module itself
 * computes; order, scatter and gather are seen by modules that are C functions. */
#include "support.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_REPLICAS = 4 };

static const ntap_device CPUS[MOST_REPLICAS] = {
    {NTAP_DEVICE_CPU, 0}, {NTAP_DEVICE_CPU, 0}, {NTAP_DEVICE_CPU, 0}, {NTAP_DEVICE_CPU, 0}};

/* ---- helpers ---- */

static ntap_module *replicate(const ntap_module *module, size_t count) {
    ntap_module *parallel = NULL;
    assert_ok(ntap_module_new_data_parallel(module, CPUS, count, NULL, &parallel, &test_err));
    assert_int_equal(ntap_module_replica_count(parallel), count);
    return parallel;
}

/* Some examples of float64, all different. */
static ntap_tensor *make_batch(int64_t examples, int64_t features) {
    double *values = (double *)calloc((size_t)(examples * features) + 1, sizeof *values);
    for (int64_t i = 0; i < examples * features; ++i)
        values[i] = (double)((i * 37) % 101) / 50.0 - 1.0;
    ntap_tensor *tensor = make_tensor(NTAP_DTYPE_FLOAT64, values, SHAPE(examples, features));
    free(values);
    return tensor;
}

static ntap_status run(const ntap_module *module, const ntap_tensor *input, ntap_value **result,
                       ntap_error *err) {
    ntap_value *arg = NULL;
    ntap_status status = ntap_value_new_tensor(input, &arg, err);
    const ntap_value *args[] = {arg};
    if (status == NTAP_OK)
        status = ntap_module_forward(module, args, 1, result, err);
    ntap_value_free(arg);
    return status;
}

static void assert_same_value(const ntap_value *actual, const ntap_value *expected) {
    assert_close(ntap_value_get_tensor(actual), ntap_value_get_tensor(expected), 1e-14);
}

static void assert_runs_the_same(const ntap_module *parallel, const ntap_module *module,
                                 const ntap_tensor *input) {
    ntap_value *actual = NULL;
    ntap_value *expected = NULL;
    assert_ok(run(parallel, input, &actual, &test_err));
    assert_ok(run(module, input, &expected, &test_err));
    assert_same_value(actual, expected);
    ntap_value_free(actual);
    ntap_value_free(expected);
}

static ntap_neuron_gradient *open_gradient(const ntap_module *module, const char *layer) {
    ntap_neuron_gradient *gradient = NULL;
    assert_ok(ntap_neuron_gradient_new(module, layer, NULL, &gradient, &test_err));
    return gradient;
}

/* ---- forward ---- */

static void b16_any_batch_and_any_number_of_replicas(void **state) {
    ntap_module *module = load_fixture("mlp_f64.scripted.pt");
    (void)state;
    for (size_t replicas = 1; replicas <= MOST_REPLICAS; ++replicas) {
        ntap_module *parallel = replicate(module, replicas);
        for (int64_t examples = 0; examples <= 9; ++examples) {
            ntap_tensor *input = make_batch(examples, 6);
            assert_runs_the_same(parallel, module, input);
            ntap_tensor_free(input);
        }
        ntap_module_free(parallel);
    }
    ntap_module_free(module);
}

static void b16_the_module_may_go_first(void **state) {
    ntap_module *module = load_fixture("mlp_f64.traced.pt");
    ntap_module *parallel = replicate(module, 2);
    ntap_neuron_gradient *gradient = open_gradient(parallel, "fc2");
    ntap_selector *selector = NULL;
    ntap_tensor *input = make_batch(5, 6);
    const ntap_tensor *inputs[] = {input};
    ntap_tensor *grad = NULL;
    (void)state;
    assert_int_equal(ntap_module_layer_count(parallel), ntap_module_layer_count(module));
    assert_string_equal(ntap_module_signature(parallel), ntap_module_signature(module));
    ntap_module_free(module);
    ntap_module_free(parallel);
    assert_ok(ntap_selector_parse("1", &selector, &test_err));
    assert_ok(
        ntap_neuron_gradient_attribute(gradient, inputs, 1, selector, NULL, &grad, &test_err));
    ntap_tensor_free(grad);
    ntap_tensor_free(input);
    ntap_selector_free(selector);
    ntap_neuron_gradient_free(gradient);
}

static void b16_captured_values_are_joined(void **state) {
    ntap_module *module = load_fixture("mlp_f64.scripted.pt");
    ntap_module *parallel = replicate(module, 3);
    ntap_tensor *input = make_batch(7, 6);
    ntap_value *arg = make_tensor_value(input);
    const ntap_value *args[] = {arg};
    const char *layers[] = {"fc1", "fc3"};
    ntap_value *actual[2] = {NULL, NULL};
    ntap_value *expected[2] = {NULL, NULL};
    (void)state;
    assert_ok(
        ntap_module_capture(parallel, layers, 2, NTAP_LAYER_OUTPUT, args, 1, actual, &test_err));
    assert_ok(
        ntap_module_capture(module, layers, 2, NTAP_LAYER_OUTPUT, args, 1, expected, &test_err));
    for (size_t i = 0; i < 2; ++i) {
        assert_int_equal(ntap_value_count(actual[i]), 1);
        assert_same_value(ntap_value_item(actual[i], 0), ntap_value_item(expected[i], 0));
        ntap_value_free(actual[i]);
        ntap_value_free(expected[i]);
    }
    ntap_value_free(arg);
    ntap_tensor_free(input);
    ntap_module_free(parallel);
    ntap_module_free(module);
}

/* ---- scatter and gather ---- */

/* What each call of a forward function was given. */
typedef struct seen {
    pthread_mutex_t lock;
    int calls;
    int64_t rows[MOST_REPLICAS]; /* of the first argument */
    int64_t mask_rows;           /* of the third */
} seen;

/* Returns all of its arguments as a tuple. */
static ntap_status echo(ntap_view *view, const ntap_value *const *args, size_t n_args,
                        void *context, ntap_value **result, ntap_error *err) {
    seen *s = (seen *)context;
    ntap_value *copies[8] = {NULL};
    ntap_status status = NTAP_OK;
    (void)view;
    (void)pthread_mutex_lock(&s->lock);
    s->rows[s->calls++] = ntap_tensor_size(ntap_value_get_tensor(args[0]), 0);
    if (n_args > 2)
        s->mask_rows = ntap_tensor_size(ntap_value_get_tensor(args[2]), 0);
    (void)pthread_mutex_unlock(&s->lock);
    for (size_t i = 0; i < n_args && status == NTAP_OK; ++i)
        status = ntap_value_clone(args[i], &copies[i], err);
    if (status == NTAP_OK)
        status = ntap_value_new_tuple((const ntap_value *const *)copies, n_args, result, err);
    for (size_t i = 0; i < n_args; ++i)
        ntap_value_free(copies[i]);
    return status;
}

static ntap_module *make_echo(seen *s, size_t replicas) {
    ntap_module *module = NULL;
    memset(s, 0, sizeof *s);
    (void)pthread_mutex_init(&s->lock, NULL);
    assert_ok(ntap_module_new_callback(NULL, echo, s, NULL, &module, &test_err));
    ntap_module *parallel = replicate(module, replicas);
    ntap_module_free(module);
    return parallel;
}

static int64_t largest(const seen *s) {
    int64_t rows = 0;
    for (int i = 0; i < s->calls; ++i)
        rows = s->rows[i] > rows ? s->rows[i] : rows;
    return rows;
}

/* As torch.chunk: 7 in 3 are 3, 3, 1; 4 in 3 are 2, 2. */
static void b16_batches_are_divided_as_torch_chunk_does(void **state) {
    static const struct {
        int64_t examples;
        size_t replicas;
        int calls;
        int64_t rows;
    } cases[] = {{7, 3, 3, 3}, {4, 3, 2, 2}, {2, 3, 2, 1}, {1, 3, 1, 1},
                 {6, 3, 3, 2}, {0, 3, 1, 0}, {9, 4, 3, 3}, {5, 4, 3, 2}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        seen s;
        ntap_module *parallel = make_echo(&s, cases[i].replicas);
        ntap_tensor *input = make_batch(cases[i].examples, 2);
        ntap_value *result = NULL;
        assert_ok(run(parallel, input, &result, &test_err));
        assert_int_equal(s.calls, cases[i].calls);
        assert_int_equal(largest(&s), cases[i].rows);
        assert_close(ntap_value_get_tensor(ntap_value_item(result, 0)), input, 0);
        ntap_value_free(result);
        ntap_tensor_free(input);
        ntap_module_free(parallel);
    }
}

static void b16_what_has_the_batch_is_scattered_and_the_rest_whole(void **state) {
    seen s;
    int64_t three = 0;
    ntap_module *parallel = make_echo(&s, 3);
    ntap_tensor *batch = make_batch(7, 2);
    ntap_tensor *mask = make_batch(5, 5);
    ntap_value *args[] = {make_tensor_value(batch),
                          make_list(2, make_tensor_value(batch), make_int(3)),
                          make_tensor_value(mask), make_string("text"), make_none()};
    ntap_value *result = NULL;
    (void)state;
    assert_ok(
        ntap_module_forward(parallel, (const ntap_value *const *)args, 5, &result, &test_err));
    assert_int_equal(s.calls, 3);
    assert_int_equal(s.mask_rows, 5);
    assert_close(ntap_value_get_tensor(ntap_value_item(result, 0)), batch, 0);
    const ntap_value *list = ntap_value_item(result, 1);
    assert_close(ntap_value_get_tensor(ntap_value_item(list, 0)), batch, 0);
    assert_ok(ntap_value_get_int(ntap_value_item(list, 1), &three, &test_err));
    assert_int_equal(three, 3);
    assert_close(ntap_value_get_tensor(ntap_value_item(result, 2)), mask, 0);
    assert_string_equal(ntap_value_get_string(ntap_value_item(result, 3)), "text");
    assert_int_equal(ntap_value_get_kind(ntap_value_item(result, 4)), NTAP_VALUE_NONE);
    for (size_t i = 0; i < 5; ++i)
        ntap_value_free(args[i]);
    ntap_value_free(result);
    ntap_tensor_free(batch);
    ntap_tensor_free(mask);
    ntap_module_free(parallel);
}

/* Returns what the context says of its argument: its number of rows as an int (which differs), its
 * sum (a scalar), or one row less. */
static ntap_status reduce(ntap_view *view, const ntap_value *const *args, size_t n_args,
                          void *context, ntap_value **result, ntap_error *err) {
    const char what = *(const char *)context;
    const ntap_tensor *input = ntap_value_get_tensor(args[0]);
    ntap_tensor *reduced = NULL;
    (void)view;
    (void)n_args;
    if (what == 'n')
        return ntap_value_new_int(ntap_tensor_size(input, 0), result, err);
    ntap_status status = what == 's' ? ntap_tensor_sum(input, NULL, 0, &reduced, err)
                                     : ntap_tensor_slice(input, 0, 0, 1, 1, &reduced, err);
    if (status == NTAP_OK)
        status = ntap_value_new_tensor(reduced, result, err);
    ntap_tensor_free(reduced);
    return status;
}

static ntap_module *make_reduce(const char *what, size_t replicas) {
    ntap_module *module = NULL;
    assert_ok(
        ntap_module_new_callback(NULL, reduce, (void *)(uintptr_t)what, NULL, &module, &test_err));
    ntap_module *parallel = replicate(module, replicas);
    ntap_module_free(module);
    return parallel;
}

static void b16_scalars_become_one_for_each_replica(void **state) {
    ntap_module *parallel = make_reduce("s", 2);
    ntap_tensor *input = make_tensor(NTAP_DTYPE_FLOAT64, VALUES(1, 2, 3, 4, 5, 6), SHAPE(3, 2));
    ntap_value *result = NULL;
    (void)state;
    assert_ok(run(parallel, input, &result, &test_err));
    assert_tensor(ntap_value_get_tensor(result), NTAP_DTYPE_FLOAT64, VALUES(10, 11), SHAPE(2));
    ntap_value_free(result);
    ntap_tensor_free(input);
    ntap_module_free(parallel);
}

static void b16_what_cannot_be_joined_is_an_error(void **state) {
    ntap_tensor *input = make_batch(5, 2); /* 3 and 2 */
    ntap_value *result = (ntap_value *)POISON;
    ntap_module *differs = make_reduce("n", 2);
    ntap_module *no_batch = make_reduce("1", 2);
    (void)state;
    assert_fails(NTAP_ERROR_UNSUPPORTED, run(differs, input, &result, &test_err));
    assert_message("cannot be joined");
    assert_fails(NTAP_ERROR_SHAPE, run(no_batch, input, &result, &test_err));
    assert_message("1 rows for 3 examples");
    assert_untouched(result);
    ntap_tensor_free(input);
    ntap_module_free(differs);
    ntap_module_free(no_batch);
}

/* ---- hooks ---- */

typedef struct watch {
    pthread_mutex_t lock;
    int calls[MOST_REPLICAS];
    int num_threads[MOST_REPLICAS];
    int fail_in; /* a replica, or -1 */
    ntap_status fail_with;
    int finalized;
} watch;

static watch make_watch(void) {
    watch w;
    memset(&w, 0, sizeof w);
    (void)pthread_mutex_init(&w.lock, NULL);
    w.fail_in = -1;
    return w;
}

/* Puts 10 times the number of the replica in place of all that the layer returned. */
static ntap_status put_replica(const ntap_hook_call *call, void *context, ntap_value **replacement,
                               ntap_error *err) {
    watch *w = (watch *)context;
    ntap_tensor *zeros = NULL;
    ntap_tensor *put = NULL;
    const double number = 10.0 * (double)call->replica;
    (void)pthread_mutex_lock(&w->lock);
    ++w->calls[call->replica];
    w->num_threads[call->replica] = ntap_num_threads();
    (void)pthread_mutex_unlock(&w->lock);
    if (w->fail_in == (int)call->replica)
        return w->fail_with;
    ntap_tensor *tens = NULL;
    ntap_status status = ntap_tensor_zeros(SCALAR, NTAP_DTYPE_FLOAT64, CPUS[0], &tens, err);
    if (status == NTAP_OK)
        memcpy(ntap_tensor_mutable_data(tens), &number, sizeof number);
    if (status == NTAP_OK)
        status = ntap_tensor_scale(ntap_value_get_tensor(call->output), 0.0, &zeros, err);
    if (status == NTAP_OK)
        status = ntap_tensor_add(zeros, tens, &put, err);
    if (status == NTAP_OK)
        status = ntap_value_new_tensor(put, replacement, err);
    ntap_tensor_free(tens);
    ntap_tensor_free(zeros);
    ntap_tensor_free(put);
    return status;
}

static void count_finalized(void *context) { ++((watch *)context)->finalized; }

static void b16_hooks_know_the_replica_and_results_keep_its_order(void **state) {
    ntap_module *module = load_fixture("mlp_f64.scripted.pt");
    ntap_module *parallel = replicate(module, 3);
    watch w = make_watch();
    ntap_hook *hook = NULL;
    ntap_tensor *input = make_batch(5, 6); /* 2, 2, 1 */
    ntap_value *result = NULL;
    (void)state;
    for (int through = 0; through < 2; ++through) {
        assert_ok(ntap_module_add_forward_hook(through ? module : parallel, "", put_replica, &w,
                                               count_finalized, &hook, &test_err));
        assert_ok(run(parallel, input, &result, &test_err));
        assert_tensor(
            ntap_value_get_tensor(result), NTAP_DTYPE_FLOAT64,
            VALUES(0, 0, 0, 0, 0, 0, 0, 0, 10, 10, 10, 10, 10, 10, 10, 10, 20, 20, 20, 20),
            SHAPE(5, 4));
        ntap_value_free(result);
        ntap_hook_remove(hook);
        assert_int_equal(w.finalized, through + 1);
        for (int i = 0; i < 3; ++i)
            assert_int_equal(w.calls[i], through + 1);
    }
    assert_runs_the_same(parallel, module, input);
    ntap_tensor_free(input);
    ntap_module_free(parallel);
    ntap_module_free(module);
}

static void b16_a_failing_replica_is_named_and_all_goes_on_afterwards(void **state) {
    ntap_module *module = load_fixture("mlp_f64.scripted.pt");
    ntap_module *parallel = replicate(module, 4);
    ntap_neuron_gradient *gradient = open_gradient(parallel, "fc2");
    ntap_tensor *input = make_batch(8, 6);
    const ntap_tensor *inputs[] = {input};
    ntap_tensor *grad = (ntap_tensor *)POISON;
    ntap_value *result = (ntap_value *)POISON;
    (void)state;
    for (int replica = 0; replica < 4; ++replica) {
        watch w = make_watch();
        ntap_hook *hook = NULL;
        char expected[32];
        (void)snprintf(expected, sizeof expected, "replica %d (cpu): ", replica);
        w.fail_in = replica;
        w.fail_with = NTAP_ERROR_OUT_OF_MEMORY;
        assert_ok(ntap_module_add_forward_hook(parallel, "fc1", put_replica, &w, count_finalized,
                                               &hook, &test_err));
        assert_fails(NTAP_ERROR_OUT_OF_MEMORY, run(parallel, input, &result, &test_err));
        assert_memory_equal(test_err.message, expected, strlen(expected));
        assert_message("forward hook of layer 'fc1'");
        assert_untouched(result);
        assert_fails(NTAP_ERROR_OUT_OF_MEMORY, ntap_neuron_gradient_attribute_all(
                                                   gradient, inputs, 1, NULL, &grad, &test_err));
        assert_memory_equal(test_err.message, expected, strlen(expected));
        assert_untouched(grad);
        ntap_hook_remove(hook);
        assert_int_equal(w.finalized, 1);
        assert_runs_the_same(parallel, module, input);
    }
    ntap_tensor_free(input);
    ntap_neuron_gradient_free(gradient);
    ntap_module_free(parallel);
    ntap_module_free(module);
}

static void b16_threads_are_divided_and_the_callers_stay(void **state) {
    ntap_module *module = load_fixture("mlp_f64.scripted.pt");
    ntap_data_parallel_options options = NTAP_DATA_PARALLEL_OPTIONS_INIT;
    ntap_module *parallel = NULL;
    watch w = make_watch();
    ntap_hook *hook = NULL;
    ntap_tensor *input = make_batch(4, 6);
    ntap_value *result = NULL;
    const int before = ntap_num_threads();
    (void)state;
    options.num_threads = 6;
    assert_ok(ntap_module_new_data_parallel(module, CPUS, 2, &options, &parallel, &test_err));
    assert_ok(
        ntap_module_add_forward_hook(parallel, "fc1", put_replica, &w, NULL, &hook, &test_err));
    assert_ok(run(parallel, input, &result, &test_err));
    assert_int_equal(w.num_threads[0], 3);
    assert_int_equal(w.num_threads[1], 3);
    assert_int_equal(ntap_num_threads(), before);
    ntap_value_free(result);
    assert_ok(run(module, input, &result, &test_err));
    assert_int_equal(w.num_threads[0], before);
    ntap_value_free(result);
    ntap_hook_remove(hook);
    ntap_tensor_free(input);
    ntap_module_free(parallel);
    ntap_module_free(module);
}

/* ---- neuron gradients ---- */

static ntap_status first_of_each(const ntap_value *layer_value, void *context, ntap_tensor **neuron,
                                 ntap_error *err) {
    (void)context;
    return ntap_tensor_select(ntap_value_get_tensor(layer_value), 1, 0, neuron, err);
}

static void assert_attributes_the_same(const ntap_neuron_gradient *parallel,
                                       const ntap_neuron_gradient *plain, const ntap_tensor *input,
                                       const ntap_attribute_options *options) {
    ntap_selector *selectors[3] = {NULL, NULL, NULL};
    ntap_tensor *actual = NULL;
    ntap_tensor *expected = NULL;
    assert_ok(ntap_selector_parse("2", &selectors[0], &test_err));
    assert_ok(ntap_selector_parse("1:4", &selectors[1], &test_err));
    assert_ok(ntap_selector_new_callback(first_of_each, NULL, NULL, &selectors[2], &test_err));
    const ntap_selector *const *given = (const ntap_selector *const *)selectors;
    for (size_t count = 2; count <= 3; ++count) {
        assert_ok(ntap_neuron_gradient_attribute_many(parallel, &input, 1, given, count, options,
                                                      &actual, &test_err));
        assert_ok(ntap_neuron_gradient_attribute_many(plain, &input, 1, given, count, options,
                                                      &expected, &test_err));
        assert_close(actual, expected, 1e-14);
        ntap_tensor_free(actual);
        ntap_tensor_free(expected);
    }
    assert_ok(ntap_neuron_gradient_attribute_all(parallel, &input, 1, options, &actual, &test_err));
    assert_ok(ntap_neuron_gradient_attribute_all(plain, &input, 1, options, &expected, &test_err));
    assert_close(actual, expected, 1e-14);
    ntap_tensor_free(actual);
    ntap_tensor_free(expected);
    for (size_t i = 0; i < 3; ++i)
        ntap_selector_free(selectors[i]);
}

static void b16_many_neurons_of_every_kind(void **state) {
    ntap_module *module = load_fixture("mlp_f64.scripted.pt");
    ntap_module *parallel = replicate(module, 3);
    ntap_neuron_gradient *plain = open_gradient(module, "fc2");
    ntap_neuron_gradient *replicated = open_gradient(parallel, "fc2");
    ntap_attribute_report report = NTAP_ATTRIBUTE_REPORT_INIT;
    ntap_attribute_options options = NTAP_ATTRIBUTE_OPTIONS_INIT;
    (void)state;
    options.report = &report;
    for (int64_t examples = 0; examples <= 7; ++examples) {
        ntap_tensor *input = make_batch(examples, 6);
        for (int off = 0; off < 2; ++off) {
            options.fast_paths = off ? NTAP_FAST_PATHS_OFF : NTAP_FAST_PATHS_AUTO;
            options.memory_limit = 0;
            assert_attributes_the_same(replicated, plain, input, &options);
            options.memory_limit = 2;
            assert_attributes_the_same(replicated, plain, input, &options);
        }
        ntap_tensor_free(input);
    }
    ntap_neuron_gradient_free(plain);
    ntap_neuron_gradient_free(replicated);
    ntap_module_free(parallel);
    ntap_module_free(module);
}

static void b16_reports_are_added_up(void **state) {
    ntap_module *module = load_fixture("mlp_f64.scripted.pt");
    ntap_module *parallel = replicate(module, 2);
    ntap_neuron_gradient *gradient = open_gradient(parallel, "fc2");
    ntap_attribute_report report = NTAP_ATTRIBUTE_REPORT_INIT;
    ntap_attribute_options options = NTAP_ATTRIBUTE_OPTIONS_INIT;
    ntap_tensor *input = make_batch(5, 6);
    const ntap_tensor *inputs[] = {input};
    ntap_tensor *grad = NULL;
    (void)state;
    options.report = &report;
    assert_ok(ntap_neuron_gradient_attribute_all(gradient, inputs, 1, &options, &grad, &test_err));
    assert_int_equal(report.fast_path, 1);
    assert_true(report.computed > 0.9 && report.computed <= 1.0);
    assert_int_equal(report.forward_passes, 2);
    assert_int_equal(report.backward_passes, 2);
    assert_int_equal(report.examples_at_once, 3);
    assert_int_equal(report.neurons_at_once, 5);
    ntap_tensor_free(grad);
    ntap_tensor_free(input);
    ntap_neuron_gradient_free(gradient);
    ntap_module_free(parallel);
    ntap_module_free(module);
}

/* twoinputs: an input that is no batch of the first one's size goes to one replica. */
static void b16_inputs_that_do_not_share_the_batch_stay_together(void **state) {
    seen s;
    ntap_module *parallel = make_echo(&s, 3);
    ntap_neuron_gradient *gradient = open_gradient(parallel, "");
    ntap_selector *selector = NULL;
    ntap_tensor *inputs[] = {make_batch(4, 2), make_batch(1, 2)};
    ntap_tensor *grads[] = {(ntap_tensor *)POISON, (ntap_tensor *)POISON};
    (void)state;
    assert_ok(ntap_selector_parse("0", &selector, &test_err));
    /* What it returns is a tuple, which an index does not select from: after one call. */
    assert_fails(NTAP_ERROR_SHAPE,
                 ntap_neuron_gradient_attribute(gradient, (const ntap_tensor *const *)inputs, 2,
                                                selector, NULL, grads, &test_err));
    assert_message("replica 0 (cpu): ");
    assert_int_equal(s.calls, 1);
    assert_int_equal(s.rows[0], 4);
    assert_untouched(grads[0]);
    assert_untouched(grads[1]);
    ntap_tensor_free(inputs[0]);
    ntap_tensor_free(inputs[1]);
    ntap_selector_free(selector);
    ntap_neuron_gradient_free(gradient);
    ntap_module_free(parallel);
}

/* ---- progress ---- */

typedef struct progress {
    pthread_t thread;
    int calls;
    int cancel_at;
    int64_t done, total;
} progress;

static int look(int64_t done, int64_t total, void *context) {
    progress *p = (progress *)context;
    assert_true(pthread_equal(p->thread, pthread_self()));
    assert_true(done >= p->done && done <= total);
    p->done = done;
    p->total = total;
    return ++p->calls == p->cancel_at;
}

static void b26_progress_comes_to_the_calling_thread_and_cancels(void **state) {
    ntap_module *module = load_fixture("mlp_f64.scripted.pt");
    ntap_module *parallel = replicate(module, 2);
    ntap_neuron_gradient *gradient = open_gradient(parallel, "fc2");
    ntap_attribute_options options = NTAP_ATTRIBUTE_OPTIONS_INIT;
    ntap_tensor *input = make_batch(6, 6);
    const ntap_tensor *inputs[] = {input};
    ntap_tensor *grad = (ntap_tensor *)POISON;
    progress p = {pthread_self(), 0, 1, 0, 0};
    (void)state;
    options.progress = look;
    options.progress_context = &p;
    options.memory_limit = 1;
    assert_fails(NTAP_ERROR_STOPPED, ntap_neuron_gradient_attribute_all(
                                         gradient, inputs, 1, &options, &grad, &test_err));
    assert_message("the progress callback cancelled the attribution");
    assert_untouched(grad);
    assert_int_equal(p.calls, 1);
    p = (progress){pthread_self(), 0, 0, 0, 0};
    assert_ok(ntap_neuron_gradient_attribute_all(gradient, inputs, 1, &options, &grad, &test_err));
    assert_int_equal(p.done, 5 * 6);
    assert_int_equal(p.total, 5 * 6);
    ntap_tensor_free(grad);
    ntap_tensor_free(input);
    ntap_neuron_gradient_free(gradient);
    ntap_module_free(parallel);
    ntap_module_free(module);
}

/* ---- callback modules ---- */

static ntap_status twice(ntap_view *view, const ntap_value *const *args, size_t n_args,
                         void *context, ntap_value **result, ntap_error *err) {
    ntap_value *inner = NULL;
    ntap_tensor *doubled = NULL;
    seen *s = (seen *)context;
    (void)pthread_mutex_lock(&s->lock);
    ++s->calls;
    (void)pthread_mutex_unlock(&s->lock);
    ntap_status status = ntap_view_forward(view, args, n_args, &inner, err);
    if (status == NTAP_OK)
        status = ntap_tensor_scale(ntap_value_get_tensor(inner), 2.0, &doubled, err);
    if (status == NTAP_OK)
        status = ntap_value_new_tensor(doubled, result, err);
    ntap_value_free(inner);
    ntap_tensor_free(doubled);
    return status;
}

static void mark_finalized(void *context) { ((seen *)context)->mask_rows = -1; }

/* A callback module of a data-parallel module, and the reverse: both run the function for each
 * part. */
static void b16_forward_functions_run_for_each_part(void **state) {
    ntap_module *module = load_fixture("mlp_f64.scripted.pt");
    ntap_module *parallel = replicate(module, 2);
    ntap_callback_module_options options = NTAP_CALLBACK_MODULE_OPTIONS_INIT;
    ntap_tensor *input = make_batch(5, 6);
    (void)state;
    options.finalizer = mark_finalized;
    for (int parallel_first = 0; parallel_first < 2; ++parallel_first) {
        seen s;
        memset(&s, 0, sizeof s);
        (void)pthread_mutex_init(&s.lock, NULL);
        ntap_module *plain = NULL;
        ntap_module *made = NULL;
        assert_ok(ntap_module_new_callback(parallel_first ? parallel : module, twice, &s, &options,
                                           &made, &test_err));
        if (!parallel_first) {
            plain = made;
            made = replicate(plain, 2);
        }
        assert_int_equal(ntap_module_replica_count(made), 2);
        ntap_value *result = NULL;
        assert_ok(run(made, input, &result, &test_err));
        assert_int_equal(s.calls, 2);
        ntap_value_free(result);
        ntap_neuron_gradient *doubled = open_gradient(made, "fc2");
        ntap_neuron_gradient *reference = open_gradient(module, "fc2");
        assert_attributes_the_same(doubled, reference, input, NULL);
        ntap_neuron_gradient_free(doubled);
        ntap_neuron_gradient_free(reference);
        ntap_module_free(plain);
        assert_int_equal(s.mask_rows, 0);
        ntap_module_free(made);
        assert_int_equal(s.mask_rows, -1);
    }
    ntap_tensor_free(input);
    ntap_module_free(parallel);
    ntap_module_free(module);
}

/* ---- weights ---- */

static void b16_replicas_follow_on_request(void **state) {
    ntap_module *module = load_fixture("mlp_f64.scripted.pt");
    ntap_module *parallel = replicate(module, 2);
    ntap_neuron_gradient *gradient = open_gradient(parallel, "fc2");
    ntap_tensor *wide = make_batch(4, 6);
    ntap_tensor *narrow = NULL;
    ntap_value *result = (ntap_value *)POISON;
    ntap_tensor *grad = NULL;
    (void)state;
    assert_ok(ntap_tensor_to(wide, NULL, NTAP_DTYPE_FLOAT32, &narrow, &test_err));
    assert_ok(ntap_module_to(module, NULL, NTAP_DTYPE_FLOAT32, &test_err));
    assert_fails(NTAP_ERROR_MODEL, run(parallel, narrow, &result, &test_err));
    assert_untouched(result);
    assert_ok(ntap_module_update_replicas(parallel, &test_err));
    assert_runs_the_same(parallel, module, narrow);
    const ntap_tensor *inputs[] = {narrow};
    assert_ok(ntap_neuron_gradient_attribute_all(gradient, inputs, 1, NULL, &grad, &test_err));
    assert_int_equal(ntap_tensor_dtype(grad), NTAP_DTYPE_FLOAT32);
    ntap_tensor_free(grad);
    ntap_tensor_free(wide);
    ntap_tensor_free(narrow);
    ntap_neuron_gradient_free(gradient);
    ntap_module_free(parallel);
    ntap_module_free(module);
}

/* counter: counts its runs in a buffer and in an attribute, and multiplies with both. */
static void b16_a_run_leaves_the_model_as_it_was(void **state) {
    ntap_module *module = load_fixture("counter_f64.scripted.pt");
    ntap_module *parallel = replicate(module, 2);
    ntap_tensor *input = make_batch(3, 4);
    ntap_value *first = NULL;
    ntap_value *again = NULL;
    (void)state;
    assert_ok(run(parallel, input, &first, &test_err));
    assert_ok(run(parallel, input, &again, &test_err));
    assert_same_value(again, first);
    ntap_value_free(again);
    assert_ok(run(module, input, &again, &test_err)); /* its first run */
    assert_same_value(again, first);
    ntap_value_free(again);
    ntap_value_free(first);
    ntap_tensor_free(input);
    ntap_module_free(parallel);
    ntap_module_free(module);
}

/* ---- threads ---- */

typedef struct load {
    const ntap_module *parallel;
    const ntap_neuron_gradient *gradient;
    const ntap_tensor *input;
    const ntap_tensor *expected;
    int failures;
} load;

static void *attribute_often(void *context) {
    load *l = (load *)context;
    ntap_selector *selector = NULL;
    ntap_error err;
    if (ntap_selector_parse("1", &selector, &err) != NTAP_OK)
        ++l->failures;
    for (int i = 0; i < 40; ++i) {
        ntap_tensor *grad = NULL;
        if (ntap_neuron_gradient_attribute(l->gradient, &l->input, 1, selector, NULL, &grad,
                                           &err) != NTAP_OK ||
            memcmp(ntap_tensor_data(grad), ntap_tensor_data(l->expected),
                   (size_t)ntap_tensor_numel(grad) * sizeof(double)) != 0)
            ++l->failures;
        ntap_tensor_free(grad);
    }
    ntap_selector_free(selector);
    return NULL;
}

static void b25_several_threads_share_the_replicas(void **state) {
    ntap_module *module = load_fixture("mlp_f64.scripted.pt");
    ntap_module *parallel = replicate(module, 3);
    ntap_neuron_gradient *gradient = open_gradient(parallel, "fc2");
    ntap_tensor *input = make_batch(7, 6);
    ntap_selector *selector = NULL;
    ntap_tensor *expected = NULL;
    pthread_t threads[4];
    load loads[4];
    const ntap_tensor *inputs[] = {input};
    (void)state;
    assert_ok(ntap_selector_parse("1", &selector, &test_err));
    assert_ok(
        ntap_neuron_gradient_attribute(gradient, inputs, 1, selector, NULL, &expected, &test_err));
    for (size_t i = 0; i < 4; ++i) {
        loads[i] = (load){parallel, gradient, input, expected, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, attribute_often, &loads[i]), 0);
    }
    for (size_t i = 0; i < 4; ++i) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(loads[i].failures, 0);
    }
    ntap_tensor_free(expected);
    ntap_tensor_free(input);
    ntap_selector_free(selector);
    ntap_neuron_gradient_free(gradient);
    ntap_module_free(parallel);
    ntap_module_free(module);
}

/* Runs the data-parallel module again from within, without hooks of its own. */
static ntap_status run_again(const ntap_hook_call *call, void *context, ntap_value **replacement,
                             ntap_error *err) {
    const load *l = (const load *)context;
    ntap_value *result = NULL;
    (void)call;
    (void)replacement;
    const ntap_status status = run(l->parallel, l->input, &result, err);
    ntap_value_free(result);
    return status;
}

static void b16_replicas_may_run_data_parallel_modules(void **state) {
    ntap_module *module = load_fixture("mlp_f64.scripted.pt");
    ntap_module *other = load_fixture("mlp_f64.traced.pt");
    ntap_module *parallel = replicate(module, 3);
    ntap_module *inner = replicate(other, 3);
    ntap_tensor *input = make_batch(6, 6);
    load l = {inner, NULL, input, NULL, 0};
    ntap_hook *hook = NULL;
    ntap_value *result = NULL;
    (void)state;
    assert_ok(ntap_module_add_forward_hook(parallel, "fc1", run_again, &l, NULL, &hook, &test_err));
    assert_ok(run(parallel, input, &result, &test_err));
    ntap_value_free(result);
    ntap_hook_remove(hook);
    ntap_tensor_free(input);
    ntap_module_free(inner);
    ntap_module_free(parallel);
    ntap_module_free(other);
    ntap_module_free(module);
}

/* ---- refusals ---- */

static void refused(const ntap_module *module, const ntap_device *devices, size_t count,
                    const ntap_data_parallel_options *options, ntap_status status,
                    const char *message) {
    ntap_module *parallel = (ntap_module *)POISON;
    assert_fails(status, ntap_module_new_data_parallel(module, devices, count, options, &parallel,
                                                       &test_err));
    assert_message(message);
    assert_untouched(parallel);
}

static void b16_what_makes_no_sense_is_refused(void **state) {
    ntap_module *module = load_fixture("mlp_f64.scripted.pt");
    ntap_module *parallel = replicate(module, 2);
    ntap_data_parallel_options options = NTAP_DATA_PARALLEL_OPTIONS_INIT;
    const ntap_device missing[] = {{NTAP_DEVICE_CPU, 0}, {NTAP_DEVICE_CUDA, 99}};
    (void)state;
    options.num_threads = -1;
    refused(module, CPUS, 0, NULL, NTAP_ERROR_INVALID_ARGUMENT, "n_devices is 0");
    refused(module, CPUS, 1025, NULL, NTAP_ERROR_INVALID_ARGUMENT, "n_devices is 1025");
    refused(module, CPUS, 1, &options, NTAP_ERROR_INVALID_ARGUMENT, "options.num_threads is -1");
    refused(module, missing, 2, NULL, NTAP_ERROR_DEVICE, "devices[1]: ");
    refused(parallel, CPUS, 2, NULL, NTAP_ERROR_INVALID_ARGUMENT, "already");
    assert_fails(NTAP_ERROR_UNSUPPORTED,
                 ntap_module_to(parallel, NULL, NTAP_DTYPE_FLOAT32, &test_err));
    assert_message("cannot be moved");
    assert_fails(NTAP_ERROR_INVALID_ARGUMENT, ntap_module_update_replicas(module, &test_err));
    assert_message("not a data-parallel module");
    assert_int_equal(ntap_module_replica_count(module), 0);
    ntap_module_free(parallel);
    ntap_module_free(module);
}

/* ---- CUDA ---- */

static void b16_cuda_replicas_beside_the_cpu(void **state) {
    const ntap_device devices[] = {
        {NTAP_DEVICE_CUDA, 0}, {NTAP_DEVICE_CPU, 0}, {NTAP_DEVICE_CUDA, 0}};
    (void)state;
    if (ntap_device_count(NTAP_DEVICE_CUDA) == 0) {
        print_message("skipped: there is no CUDA device\n");
        skip();
    }
    ntap_module *module = load_fixture("mlp_f64.scripted.pt");
    ntap_module *parallel = NULL;
    ntap_tensor *input = make_batch(8, 6);
    assert_ok(ntap_module_new_data_parallel(module, devices, 3, NULL, &parallel, &test_err));
    assert_runs_the_same(parallel, module, input);
    ntap_neuron_gradient *replicated = open_gradient(parallel, "fc2");
    ntap_neuron_gradient *plain = open_gradient(module, "fc2");
    assert_attributes_the_same(replicated, plain, input, NULL);
    ntap_neuron_gradient_free(replicated);
    ntap_neuron_gradient_free(plain);
    ntap_tensor_free(input);
    ntap_module_free(parallel);
    ntap_module_free(module);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(b16_any_batch_and_any_number_of_replicas),
        cmocka_unit_test(b16_the_module_may_go_first),
        cmocka_unit_test(b16_captured_values_are_joined),
        cmocka_unit_test(b16_batches_are_divided_as_torch_chunk_does),
        cmocka_unit_test(b16_what_has_the_batch_is_scattered_and_the_rest_whole),
        cmocka_unit_test(b16_scalars_become_one_for_each_replica),
        cmocka_unit_test(b16_what_cannot_be_joined_is_an_error),
        cmocka_unit_test(b16_hooks_know_the_replica_and_results_keep_its_order),
        cmocka_unit_test(b16_a_failing_replica_is_named_and_all_goes_on_afterwards),
        cmocka_unit_test(b16_threads_are_divided_and_the_callers_stay),
        cmocka_unit_test(b16_many_neurons_of_every_kind),
        cmocka_unit_test(b16_reports_are_added_up),
        cmocka_unit_test(b16_inputs_that_do_not_share_the_batch_stay_together),
        cmocka_unit_test(b26_progress_comes_to_the_calling_thread_and_cancels),
        cmocka_unit_test(b16_forward_functions_run_for_each_part),
        cmocka_unit_test(b16_replicas_follow_on_request),
        cmocka_unit_test(b16_a_run_leaves_the_model_as_it_was),
        cmocka_unit_test(b25_several_threads_share_the_replicas),
        cmocka_unit_test(b16_replicas_may_run_data_parallel_modules),
        cmocka_unit_test(b16_what_makes_no_sense_is_refused),
        cmocka_unit_test(b16_cuda_replicas_beside_the_cpu),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
