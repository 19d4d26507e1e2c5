/* B24 and B26: many neurons in one call, progress and cancelling. On tapes see test_fast_paths.c;
 * models that are none go through autograd, here an attention and an LSTM. */
#include "support.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_SELECTORS = 16 };

/* ---- helpers ---- */

typedef struct fixture {
    ntap_neuron_gradient *gradient;
    ntap_tensor *input;
    ntap_fast_paths fast_paths;
    ntap_selector *selectors[MOST_SELECTORS];
    size_t n_selectors;
} fixture;

static fixture open_fixture(const char *model, const char *layer, const char *input) {
    fixture f;
    memset(&f, 0, sizeof f);
    ntap_module *module = load_fixture(model);
    assert_ok(ntap_neuron_gradient_new(module, layer, NULL, &f.gradient, &test_err));
    ntap_module_free(module);
    f.input = read_fixture(input);
    return f;
}

static void close_fixture(fixture *f) {
    for (size_t i = 0; i < f->n_selectors; ++i)
        ntap_selector_free(f->selectors[i]);
    ntap_tensor_free(f->input);
    ntap_neuron_gradient_free(f->gradient);
}

static void add_neuron(fixture *f, const char *text) {
    assert_ok(ntap_selector_parse(text, &f->selectors[f->n_selectors++], &test_err));
}

static ntap_status attribute_many(const fixture *f, const ntap_attribute_options *options,
                                  ntap_tensor **grad) {
    const ntap_tensor *input = f->input;
    return ntap_neuron_gradient_attribute_many(f->gradient, &input, 1,
                                               (const ntap_selector *const *)f->selectors,
                                               f->n_selectors, options, grad, &test_err);
}

static ntap_tensor *attribute_one(const fixture *f, const ntap_selector *selector) {
    const ntap_tensor *input = f->input;
    ntap_tensor *grad = NULL;
    ntap_attribute_options options = NTAP_ATTRIBUTE_OPTIONS_INIT;
    options.fast_paths = f->fast_paths;
    assert_ok(ntap_neuron_gradient_attribute(f->gradient, &input, 1, selector, &options, &grad,
                                             &test_err));
    return grad;
}

/* Row k of the result is what a call with selector k alone gives. */
static void check_rows(const fixture *f, const ntap_tensor *many, double tolerance) {
    size_t size = 0;
    size_t row_size = 0;
    double *rows = read_elements(many, &size);
    assert_int_equal(ntap_tensor_ndim(many), ntap_tensor_ndim(f->input) + 1);
    assert_int_equal(ntap_tensor_size(many, 0), f->n_selectors);
    for (size_t k = 0; k < f->n_selectors; ++k) {
        ntap_tensor *one = attribute_one(f, f->selectors[k]);
        double *row = read_elements(one, &row_size);
        double largest = 0;
        assert_int_equal(row_size * f->n_selectors, size);
        for (size_t i = 0; i < row_size; ++i)
            largest = row[i] > largest ? row[i] : -row[i] > largest ? -row[i] : largest;
        for (size_t i = 0; i < row_size; ++i) {
            const double difference = rows[k * row_size + i] - row[i];
            assert_true(difference <= tolerance * largest && -difference <= tolerance * largest);
        }
        free(row);
        ntap_tensor_free(one);
    }
    free(rows);
}

/* ---- B24 ---- */

static void check_many(fixture *f, double tolerance, ntap_fast_paths fast_paths) {
    ntap_tensor *grad = NULL;
    ntap_attribute_report report = NTAP_ATTRIBUTE_REPORT_INIT;
    ntap_attribute_options options = NTAP_ATTRIBUTE_OPTIONS_INIT;
    options.report = &report;
    options.fast_paths = f->fast_paths = fast_paths;
    assert_ok(attribute_many(f, &options, &grad));
    assert_int_equal(report.fast_path, fast_paths == NTAP_FAST_PATHS_AUTO);
    assert_int_equal(report.forward_passes, 1);
    check_rows(f, grad, tolerance);
    ntap_tensor_free(grad);
    options.memory_limit = 1; /* one by one */
    assert_ok(attribute_many(f, &options, &grad));
    assert_int_equal(report.neurons_at_once, 1);
    check_rows(f, grad, 0); /* then to the bit */
    ntap_tensor_free(grad);
    close_fixture(f);
}

static void b24_dense_neurons(void **state) {
    fixture f = open_fixture("mlp.scripted.pt", "fc2", "mlp.x.npy");
    (void)state;
    add_neuron(&f, "0");
    add_neuron(&f, "-1");
    add_neuron(&f, "1:3");
    add_neuron(&f, "0");
    check_many(&f, 1e-5, NTAP_FAST_PATHS_AUTO);
}

static void b24_attention_by_autograd(void **state) {
    fixture f = open_fixture("attention_f64.scripted.pt", "proj", "attention_f64.x.npy");
    (void)state;
    add_neuron(&f, "2,3");
    add_neuron(&f, "0,0");
    add_neuron(&f, ":,1");
    add_neuron(&f, "-1,-1");
    add_neuron(&f, "1,1:1");
    check_many(&f, 1e-13, NTAP_FAST_PATHS_OFF);
}

static void b24_lstm_by_autograd(void **state) {
    (void)state;
    if (fixture_device().type != NTAP_DEVICE_CPU)
        skip(); /* the file puts its first state on the CPU */
    fixture f = open_fixture("lstm.traced.pt", "proj", "lstm.x.npy");
    add_neuron(&f, "2,2");
    add_neuron(&f, "0,:2");
    check_many(&f, 1e-5, NTAP_FAST_PATHS_OFF);
}

static ntap_status twice_the_first(const ntap_value *value, void *context, ntap_tensor **neuron,
                                   ntap_error *err) {
    ntap_tensor *first = NULL;
    ++*(int *)context;
    ntap_status status = ntap_tensor_select(ntap_value_get_tensor(value), 1, 0, &first, err);
    if (status == NTAP_OK)
        status = ntap_tensor_scale(first, 2.0, neuron, err);
    ntap_tensor_free(first);
    return status;
}

static void b24_callbacks_among_indices(void **state) {
    fixture f = open_fixture("mlp_f64.scripted.pt", "fc2", "mlp_f64.x.npy");
    int calls = 0;
    ntap_tensor *grad = NULL;
    (void)state;
    add_neuron(&f, "1");
    assert_ok(ntap_selector_new_callback(twice_the_first, &calls, NULL,
                                         &f.selectors[f.n_selectors++], &test_err));
    add_neuron(&f, "2");
    add_neuron(&f, "0:2");
    assert_ok(attribute_many(&f, NULL, &grad));
    assert_int_equal(calls, 1);
    check_rows(&f, grad, 1e-13);
    ntap_tensor_free(grad);
    close_fixture(&f);
}

/* The whole Jacobian has the layer's dimensions in front. */
static void b24_all_neurons(void **state) {
    fixture f = open_fixture("mlp_f64.traced.pt", "fc2", "mlp_f64.x.npy");
    const ntap_tensor *input = f.input;
    ntap_tensor *grad = NULL;
    (void)state;
    assert_ok(ntap_neuron_gradient_attribute_all(f.gradient, &input, 1, NULL, &grad, &test_err));
    const char *const neurons[] = {"0", "1", "2", "3", "4"};
    assert_int_equal(ntap_tensor_size(grad, 0), 5);
    for (size_t i = 0; i < 5; ++i)
        add_neuron(&f, neurons[i]);
    check_rows(&f, grad, 1e-13);
    ntap_tensor_free(grad);
    close_fixture(&f);
}

static void b24_all_neurons_of_three_dimensions(void **state) {
    fixture f = open_fixture("attention_f64.scripted.pt", "proj", "attention_f64.x.npy");
    const ntap_tensor *input = f.input;
    ntap_tensor *grad = NULL;
    (void)state;
    assert_ok(ntap_neuron_gradient_attribute_all(f.gradient, &input, 1, NULL, &grad, &test_err));
    assert_int_equal(ntap_tensor_ndim(grad), ntap_tensor_ndim(f.input) + 2);
    ntap_tensor_free(grad);
    close_fixture(&f);
}

/* ---- errors ---- */

static void the_selector_that_fails_is_named(void **state) {
    const char *const models[][3] = {{"mlp_f64.scripted.pt", "fc2", "mlp_f64.x.npy"},
                                     {"attention_f64.scripted.pt", "proj", "attention_f64.x.npy"}};
    (void)state;
    for (size_t i = 0; i < 2; ++i) {
        fixture f = open_fixture(models[i][0], models[i][1], models[i][2]);
        ntap_tensor *grad = (ntap_tensor *)POISON;
        add_neuron(&f, i == 0 ? "1" : "1,1");
        add_neuron(&f, i == 0 ? "99" : "99,1");
        assert_fails(NTAP_ERROR_SHAPE, attribute_many(&f, NULL, &grad));
        assert_message("selectors[1]: index 99 is out of range");
        assert_untouched(grad);
        close_fixture(&f);
    }
}

static ntap_status refuse(const ntap_value *value, void *context, ntap_tensor **neuron,
                          ntap_error *err) {
    (void)value;
    (void)context;
    (void)neuron;
    return ntap_error_set(err, NTAP_ERROR_STOPPED, "not today");
}

static void a_callback_that_fails_is_named(void **state) {
    fixture f = open_fixture("mlp.scripted.pt", "fc2", "mlp.x.npy");
    ntap_tensor *grad = (ntap_tensor *)POISON;
    (void)state;
    add_neuron(&f, "1");
    assert_ok(
        ntap_selector_new_callback(refuse, NULL, NULL, &f.selectors[f.n_selectors++], &test_err));
    assert_fails(NTAP_ERROR_STOPPED, attribute_many(&f, NULL, &grad));
    assert_message("selectors[1]: not today");
    assert_untouched(grad);
    close_fixture(&f);
}

static void no_selector_and_null_selectors_are_refused(void **state) {
    fixture f = open_fixture("mlp.scripted.pt", "fc2", "mlp.x.npy");
    ntap_tensor *grad = (ntap_tensor *)POISON;
    (void)state;
    assert_fails(NTAP_ERROR_INVALID_ARGUMENT, attribute_many(&f, NULL, &grad));
    assert_message("n_selectors is 0");
    f.n_selectors = 1;
    assert_fails(NTAP_ERROR_INVALID_ARGUMENT, attribute_many(&f, NULL, &grad));
    assert_message("selectors[0] is NULL");
    assert_untouched(grad);
    close_fixture(&f);
}

static void unknown_fast_paths_are_refused(void **state) {
    fixture f = open_fixture("mlp.scripted.pt", "fc2", "mlp.x.npy");
    ntap_tensor *grad = (ntap_tensor *)POISON;
    ntap_attribute_options options = NTAP_ATTRIBUTE_OPTIONS_INIT;
    (void)state;
    add_neuron(&f, "1");
    options.fast_paths = (ntap_fast_paths)7;
    assert_fails(NTAP_ERROR_INVALID_ARGUMENT, attribute_many(&f, &options, &grad));
    assert_message("options.fast_paths is 7");
    assert_untouched(grad);
    close_fixture(&f);
}

static void a_report_without_its_size_is_refused(void **state) {
    fixture f = open_fixture("mlp.scripted.pt", "fc2", "mlp.x.npy");
    ntap_tensor *grad = (ntap_tensor *)POISON;
    ntap_attribute_report report;
    ntap_attribute_options options = NTAP_ATTRIBUTE_OPTIONS_INIT;
    (void)state;
    memset(&report, 0, sizeof report);
    options.report = &report;
    add_neuron(&f, "1");
    assert_fails(NTAP_ERROR_INVALID_ARGUMENT, attribute_many(&f, &options, &grad));
    assert_message("options.report->struct_size is 0");
    assert_untouched(grad);
    close_fixture(&f);
}

/* ---- B26 ---- */

typedef struct progress {
    int64_t done, total;
    int calls;
    int cancel_at; /* which call; 0 for never */
} progress;

static int watch(int64_t done, int64_t total, void *context) {
    progress *p = (progress *)context;
    assert_true(p->calls == 0 ? done == 0 : done > p->done);
    assert_true(p->calls == 0 || total == p->total);
    p->done = done;
    p->total = total;
    return ++p->calls == p->cancel_at;
}

static void watch_and_cancel(const char *model, const char *layer, const char *input,
                             const char *const *neurons) {
    fixture f = open_fixture(model, layer, input);
    progress p = {0, 0, 0, 0};
    ntap_tensor *grad = (ntap_tensor *)POISON;
    ntap_attribute_options options = NTAP_ATTRIBUTE_OPTIONS_INIT;
    options.progress = watch;
    options.progress_context = &p;
    options.memory_limit = 1;
    for (size_t i = 0; i < 4; ++i)
        add_neuron(&f, neurons[i]);
    for (int cancel_at = 1; cancel_at <= 3; ++cancel_at) {
        p = (progress){0, 0, 0, cancel_at};
        assert_fails(NTAP_ERROR_STOPPED, attribute_many(&f, &options, &grad));
        assert_message("cancelled");
        assert_int_equal(p.calls, cancel_at);
        assert_untouched(grad);
    }
    p = (progress){0, 0, 0, 0};
    assert_ok(attribute_many(&f, &options, &grad));
    assert_int_equal(p.total, 4 * ntap_tensor_size(f.input, 0));
    assert_int_equal(p.done, p.total);
    assert_true(p.calls > 4);
    check_rows(&f, grad, 0);
    ntap_tensor_free(grad);
    close_fixture(&f);
}

static void b26_a_tape_is_watched_and_cancelled(void **state) {
    static const char *const neurons[] = {"0", "1", "2", "3"};
    (void)state;
    watch_and_cancel("mlp_f64.scripted.pt", "fc2", "mlp_f64.x.npy", neurons);
}

static void b26_autograd_is_watched_and_cancelled(void **state) {
    static const char *const neurons[] = {"0,0", "1,1", "2,2", "0,3"};
    (void)state;
    watch_and_cancel("attention_f64.traced.pt", "proj", "attention_f64.x.npy", neurons);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(b24_dense_neurons),
        cmocka_unit_test(b24_attention_by_autograd),
        cmocka_unit_test(b24_lstm_by_autograd),
        cmocka_unit_test(b24_callbacks_among_indices),
        cmocka_unit_test(b24_all_neurons),
        cmocka_unit_test(b24_all_neurons_of_three_dimensions),
        cmocka_unit_test(the_selector_that_fails_is_named),
        cmocka_unit_test(a_callback_that_fails_is_named),
        cmocka_unit_test(no_selector_and_null_selectors_are_refused),
        cmocka_unit_test(unknown_fast_paths_are_refused),
        cmocka_unit_test(a_report_without_its_size_is_refused),
        cmocka_unit_test(b26_a_tape_is_watched_and_cancelled),
        cmocka_unit_test(b26_autograd_is_watched_and_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
