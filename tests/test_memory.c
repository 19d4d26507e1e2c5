/* Memory stays flat: calls leave nothing behind, however many and by whatever path. What is kept on
 * purpose (programs, and the tapes for some shapes of inputs) is there after the first of them. */
#include "support.h"

#include <stdlib.h>
#include <unistd.h>

/* One block that is lost by one module of forty would be more than FLAT, and so by one call of a
 * hundred; what is seen is 0 to 32 bytes. */
enum { WARM_UP = 100, CALLS = 10000, FLAT = 512, MOST_INPUTS = 2 };

/* One small block that is lost by every second of the calls with other shapes, of which there are
 * 72; libtorch 2.14 keeps up to 576 bytes of an LSTM's. */
enum { FLAT_OF_SHAPES = 1024 };

typedef struct scene {
    const char *model, *layer, *neuron;
    const char *inputs[MOST_INPUTS];
    int by_tape;
} scene;

static const scene scenes[] = {
    {"cnn.scripted.pt", "conv2", "1,1,1", {"cnn.x.npy", NULL}, 1},
    {"mlp_f64.scripted.pt", "fc2", "1", {"mlp_f64.x.npy", NULL}, 1},
    {"lstm.traced.pt", "head", "0", {"lstm.x.npy", NULL}, 1},
    {"fast_paths/encoder.scripted.pt", "head", "0", {"fast_paths/encoder.x0.npy", NULL}, 1},
    {"fast_paths/translator.traced.pt",
     "head",
     "0,0",
     {"fast_paths/translator.x0.npy", "fast_paths/translator.x1.npy"},
     1},
    {"fast_paths/branches.scripted.pt", "last", "0,0,0", {"fast_paths/branches.x0.npy", NULL}, 0},
};

typedef struct stage {
    const scene *scene;
    ntap_module *module;
    ntap_neuron_gradient *gradient;
    ntap_selector *selector;
    ntap_tensor *inputs[MOST_INPUTS];
    size_t n_inputs;
} stage;

static void open_stage(stage *s, const scene *sc) {
    *s = (stage){sc, load_fixture(sc->model), NULL, NULL, {NULL}, 0};
    assert_ok(ntap_neuron_gradient_new(s->module, sc->layer, NULL, &s->gradient, &test_err));
    assert_ok(ntap_selector_parse(sc->neuron, &s->selector, &test_err));
    for (; s->n_inputs < MOST_INPUTS && sc->inputs[s->n_inputs] != NULL; ++s->n_inputs)
        s->inputs[s->n_inputs] = read_fixture(sc->inputs[s->n_inputs]);
}

static void close_stage(stage *s) {
    for (size_t i = 0; i < s->n_inputs; ++i)
        ntap_tensor_free(s->inputs[i]);
    ntap_selector_free(s->selector);
    ntap_neuron_gradient_free(s->gradient);
    ntap_module_free(s->module);
}

static void attribute(const stage *s, const ntap_neuron_gradient *gradient) {
    ntap_tensor *grads[MOST_INPUTS] = {NULL};
    ntap_attribute_report report = NTAP_ATTRIBUTE_REPORT_INIT;
    ntap_attribute_options options = NTAP_ATTRIBUTE_OPTIONS_INIT;
    options.report = &report;
    assert_ok(ntap_neuron_gradient_attribute(gradient, (const ntap_tensor *const *)s->inputs,
                                             s->n_inputs, s->selector, &options, grads, &test_err));
    assert_int_equal(report.fast_path, s->scene->by_tape);
    for (size_t i = 0; i < s->n_inputs; ++i)
        ntap_tensor_free(grads[i]);
}

static void the_same_call(const stage *s) { attribute(s, s->gradient); }

/* A handle of its own, whose program the module knows. */
static void a_new_handle(const stage *s) {
    ntap_neuron_gradient *gradient = NULL;
    assert_ok(ntap_neuron_gradient_new(s->module, s->scene->layer, NULL, &gradient, &test_err));
    attribute(s, gradient);
    ntap_neuron_gradient_free(gradient);
}

static void a_failing_call(const stage *s) {
    ntap_tensor *grads[MOST_INPUTS] = {NULL};
    ntap_selector *outside = NULL;
    assert_ok(ntap_selector_parse("99,:", &outside, &test_err));
    assert_int_not_equal(
        ntap_neuron_gradient_attribute(s->gradient, (const ntap_tensor *const *)s->inputs,
                                       s->n_inputs, outside, NULL, grads, &test_err),
        NTAP_OK);
    ntap_selector_free(outside);
}

static void check_flat(const scene *sc, void (*call)(const stage *s), int calls) {
    stage s;
    open_stage(&s, sc);
    for (int i = 0; i < WARM_UP; ++i)
        call(&s);
    const size_t before = allocated_bytes();
    for (int i = 0; i < calls; ++i)
        call(&s);
    const size_t after = allocated_bytes();
    if (after > before + FLAT)
        fail_msg("%s: %zu bytes more after %d calls", sc->model, after - before, calls);
    close_stage(&s);
}

static void calls_leave_nothing(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof scenes / sizeof *scenes; ++i)
        check_flat(&scenes[i], the_same_call, CALLS);
}

static void handles_leave_nothing(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof scenes / sizeof *scenes; ++i)
        check_flat(&scenes[i], a_new_handle, CALLS / 20);
}

static void failures_leave_nothing(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof scenes / sizeof *scenes; ++i)
        check_flat(&scenes[i], a_failing_call, CALLS / 20);
}

/* ---- shapes that change ---- */

/* So many examples in place of the input's. */
static void attribute_examples(stage *s, int64_t examples) {
    ntap_tensor *usual = s->inputs[0];
    const size_t ndim = ntap_tensor_ndim(usual);
    int64_t changed[8];
    assert_true(ndim <= sizeof changed / sizeof *changed);
    for (size_t i = 0; i < ndim; ++i)
        changed[i] = i == 0 ? examples : ntap_tensor_size(usual, i);
    assert_ok(ntap_tensor_zeros(ndim, changed, ntap_tensor_dtype(usual), ntap_tensor_device(usual),
                                &s->inputs[0], &test_err));
    attribute(s, s->gradient);
    ntap_tensor_free(s->inputs[0]);
    s->inputs[0] = usual;
}

/* More shapes than tapes are kept for: each comes, goes, and comes again. */
static void shapes_leave_no_more_than_their_tapes(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof scenes / sizeof *scenes; ++i) {
        stage s;
        size_t before = 0;
        if (scenes[i].inputs[1] != NULL)
            continue;
        open_stage(&s, &scenes[i]);
        for (int round = 0; round < 6; ++round) {
            if (round == 3)
                before = allocated_bytes();
            for (int64_t examples = 1; examples <= 24; ++examples)
                attribute_examples(&s, examples);
        }
        const size_t after = allocated_bytes();
        if (after > before + FLAT_OF_SHAPES)
            fail_msg("%s: %zu bytes more after other shapes", scenes[i].model, after - before);
        close_stage(&s);
    }
}

/* A module that is freed takes everything with it. */
static void modules_leave_nothing(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof scenes / sizeof *scenes; ++i) {
        size_t before = 0;
        for (int round = 0; round < 60; ++round) {
            stage s;
            if (round == 20)
                before = allocated_bytes();
            open_stage(&s, &scenes[i]);
            the_same_call(&s);
            close_stage(&s);
        }
        const size_t after = allocated_bytes();
        if (after > before + FLAT)
            fail_msg("%s: %zu bytes more after 40 modules", scenes[i].model, after - before);
    }
}

/* The caches of freed blocks that the allocator gives to threads count as in use, and fill up. It
 * reads this before main(), hence a second start. */
static void start_without_thread_caches(char **argv) {
    static const char name[] = "GLIBC_TUNABLES";
    if (getenv(name) == NULL && setenv(name, "glibc.malloc.tcache_count=0", 0) == 0)
        (void)execv("/proc/self/exe", argv);
}

int main(int argc, char **argv) {
    (void)argc;
    start_without_thread_caches(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_leave_nothing),
        cmocka_unit_test(handles_leave_nothing),
        cmocka_unit_test(failures_leave_nothing),
        cmocka_unit_test(shapes_leave_no_more_than_their_tapes),
        cmocka_unit_test(modules_leave_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
