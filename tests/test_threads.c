/* B25: one handle and many threads, mixed work. What each request has to give was computed by one
   thread; it has to be the same bits.

   Short in the test suite; NTAP_TEST_SECONDS=300 makes each of the tests run for so long. */
#include "requests.h"
#include "support.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { THREADS = 8, SHORT_SECONDS = 3 };

static double now(void) {
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static double seconds_to_run(void) {
    const char *text = getenv("NTAP_TEST_SECONDS");
    const double seconds = text == NULL ? 0 : strtod(text, NULL);
    return seconds > 0 ? seconds : SHORT_SECONDS;
}

/* Numbers that differ from thread to thread, the same in each run of the test. */
static unsigned next_number(unsigned *state) {
    *state = *state * 1664525U + 1013904223U;
    return *state >> 8;
}

/* ---- everything at once, on shared handles ---- */

typedef struct client {
    request_set *set;
    double until;
    unsigned numbers;
    long done, wrong;
    char complaint[REQUEST_COMPLAINT_SIZE]; /* the last */
} client;

/* CMocka's asserts belong to the main thread: clients count. */
static void *ask(void *context) {
    client *c = (client *)context;
    for (size_t i = 0; i < request_kinds() || now() < c->until; ++i, ++c->done) {
        const size_t kind = i < request_kinds() ? (i + c->numbers) % request_kinds()
                                                : next_number(&c->numbers) % request_kinds();
        c->wrong += request_do(c->set, kind, c->complaint);
    }
    return NULL;
}

static void b25_mixed_work_from_several_threads(void **state) {
    (void)state;
    char complaint[REQUEST_COMPLAINT_SIZE] = "";
    pthread_t threads[THREADS];
    client *clients = (client *)calloc(THREADS, sizeof *clients);
    request_set *set = request_set_open(NTAP_TEST_FIXTURES, complaint);
    assert_string_equal(complaint, "");
    assert_non_null(set);
    assert_non_null(clients);
    for (unsigned i = 0; i < THREADS; ++i) {
        clients[i].set = set;
        clients[i].until = now() + seconds_to_run();
        clients[i].numbers = i * 5;
        assert_int_equal(pthread_create(&threads[i], NULL, ask, &clients[i]), 0);
    }
    long done = 0;
    for (size_t i = 0; i < THREADS; ++i) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_string_equal(clients[i].complaint, "");
        assert_int_equal(clients[i].wrong, 0);
        done += clients[i].done;
    }
    print_message("%ld requests\n", done);
    assert_int_equal(request_set_close(set), 0);
    free(clients);
}

/* ---- the first use of a module, by all threads at once ---- */

typedef struct first_use {
    const char *file, *layer, *input, *neuron;
} first_use;

static const first_use first_uses[] = {
    {"cnn.scripted.pt", "conv2", "cnn.x.npy", "1,1,1"},
    {"cnn.scripted.pt", "fc", "cnn.x.npy", "2"},
    {"mlp.traced.pt", "fc3", "mlp.x.npy", "3"},
    {"lstm.scripted.pt", "proj", "lstm.x.npy", "3,1"},
    {"transformer.scripted.pt", "head", "transformer.x.npy", "1"},
};

/* What the threads of a round share; all but `start` and `module` belongs to it alone. */
typedef struct starter {
    pthread_barrier_t *start;
    ntap_module *module;
    const ntap_tensor *input;
    const ntap_selector *selector;
    const char *layer;
    int frees_module;
    ntap_neuron_gradient *shared;
    ntap_tensor *grad; /* NULL if anything failed */
} starter;

/* Attributes with the gradient that all share, then with one of its own, whose module one thread
   frees as soon as every thread has made its own. */
static void *start(void *context) {
    starter *s = (starter *)context;
    ntap_neuron_gradient *own = NULL;
    ntap_tensor *first = NULL, *second = NULL;
    const ntap_tensor *inputs[] = {s->input};
    (void)pthread_barrier_wait(s->start);
    ntap_status status =
        ntap_neuron_gradient_attribute(s->shared, inputs, 1, s->selector, NULL, &first, NULL);
    if (status == NTAP_OK)
        status = ntap_neuron_gradient_new(s->module, s->layer, NULL, &own, NULL);
    (void)pthread_barrier_wait(s->start);
    if (s->frees_module)
        ntap_module_free(s->module);
    if (status == NTAP_OK)
        status = ntap_neuron_gradient_attribute(own, inputs, 1, s->selector, NULL, &second, NULL);
    ntap_neuron_gradient_free(own);
    if (status == NTAP_OK &&
        memcmp(ntap_tensor_data(first), ntap_tensor_data(second),
               (size_t)ntap_tensor_numel(first) * ntap_dtype_size(ntap_tensor_dtype(first))) == 0)
        s->grad = second;
    else
        ntap_tensor_free(second);
    ntap_tensor_free(first);
    return NULL;
}

static ntap_tensor *one_thread(const ntap_module *module, const first_use *use,
                               const ntap_tensor *input, const ntap_selector *selector) {
    ntap_neuron_gradient *gradient = NULL;
    ntap_tensor *grad = NULL;
    const ntap_tensor *inputs[] = {input};
    assert_ok(ntap_neuron_gradient_new(module, use->layer, NULL, &gradient, &test_err));
    assert_ok(
        ntap_neuron_gradient_attribute(gradient, inputs, 1, selector, NULL, &grad, &test_err));
    ntap_neuron_gradient_free(gradient);
    return grad;
}

static void use_first_at_once(const first_use *use, const ntap_tensor *input,
                              const ntap_selector *selector, const ntap_tensor *expected) {
    pthread_barrier_t barrier;
    pthread_t threads[THREADS];
    starter starters[THREADS];
    ntap_module *module = load_fixture(use->file);
    ntap_neuron_gradient *gradient = NULL;
    assert_ok(ntap_neuron_gradient_new(module, use->layer, NULL, &gradient, &test_err));
    assert_int_equal(pthread_barrier_init(&barrier, NULL, THREADS), 0);
    for (int i = 0; i < THREADS; ++i) {
        starters[i] =
            (starter){&barrier, module, input, selector, use->layer, i == 0, gradient, NULL};
        assert_int_equal(pthread_create(&threads[i], NULL, start, &starters[i]), 0);
    }
    for (int i = 0; i < THREADS; ++i)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < THREADS; ++i) {
        assert_non_null(starters[i].grad);
        assert_close(starters[i].grad, expected, 0);
        ntap_tensor_free(starters[i].grad);
    }
    assert_int_equal(pthread_barrier_destroy(&barrier), 0);
    ntap_neuron_gradient_free(gradient);
}

static void b25_several_threads_may_be_the_first(void **state) {
    (void)state;
    const size_t n_uses = sizeof first_uses / sizeof *first_uses;
    ntap_tensor *inputs[8], *expected[8];
    ntap_selector *selectors[8];
    for (size_t i = 0; i < n_uses; ++i) {
        ntap_module *module = load_fixture(first_uses[i].file);
        inputs[i] = read_fixture(first_uses[i].input);
        assert_ok(ntap_selector_parse(first_uses[i].neuron, &selectors[i], &test_err));
        expected[i] = one_thread(module, &first_uses[i], inputs[i], selectors[i]);
        ntap_module_free(module);
    }
    const double until = now() + seconds_to_run();
    for (size_t round = 0; round < n_uses || now() < until; ++round) {
        const size_t i = round % n_uses;
        use_first_at_once(&first_uses[i], inputs[i], selectors[i], expected[i]);
    }
    for (size_t i = 0; i < n_uses; ++i) {
        ntap_tensor_free(inputs[i]);
        ntap_tensor_free(expected[i]);
        ntap_selector_free(selectors[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(b25_mixed_work_from_several_threads),
        cmocka_unit_test(b25_several_threads_may_be_the_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
