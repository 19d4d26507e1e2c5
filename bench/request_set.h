/**
 * @file request_set.h
 * @brief What requests.c, which runs requests, and request_kinds.c, which has them, share.
 */
#ifndef NEUROTAP_BENCH_REQUEST_SET_H
#define NEUROTAP_BENCH_REQUEST_SET_H

#include "requests.h"

#include <stdatomic.h>

enum { REQUEST_MOST_KINDS = 48, REQUEST_NEURONS = 12 };

/** What an output holds before a call, and still has to hold after a failing one. */
#define REQUEST_UNTOUCHED ((void *)request_no_object)

extern char request_no_object[1];

struct request_set {
    char folder[512];

    ntap_module *images;  /**< a CNN that is never hooked */
    ntap_module *vectors; /**< an MLP whose hooks come and go */
    ntap_neuron_gradient *convolution;
    ntap_neuron_gradient *convolution_input;
    ntap_neuron_gradient *classes;
    ntap_neuron_gradient *hooked;
    ntap_neuron_gradient *recurrent;
    ntap_neuron_gradient *noisy;
    ntap_neuron_gradient *two_inputs;
    ntap_neuron_gradient *replicated; /**< as `convolution`, on two replicas */

    ntap_tensor *image, *nans, *wide, *integers;
    ntap_tensor *vector, *sequence, *noise, *left, *right;
    ntap_value *image_value, *vector_value, *text_value;

    ntap_selector *neuron, *slice, *outside, *index, *callback, *failing;
    ntap_selector *neurons[REQUEST_NEURONS];

    void *file; /**< a whole model file */
    size_t file_size;
    atomic_uint turn; /**< varies what damaged files miss */

    atomic_long hooks_added, hooks_released;

    /** Of each kind: without a hook on `vectors`, and with one that looks on. */
    ntap_tensor *expected[REQUEST_MOST_KINDS][2];
};

/** One kind of request. */
typedef struct request_kind {
    const char *name;
    ntap_status expected;
    ntap_status (*run)(request_set *set, ntap_tensor **result, ntap_error *err);
    int hooked; /**< its result may depend on whether `vectors` is hooked */
} request_kind;

extern const request_kind request_table[];
extern const size_t request_table_size;

/** Fills the set's handles. */
ntap_status request_set_fill(request_set *set, ntap_error *err);

/** Releases them. */
void request_set_clear(request_set *set);

/** The path of a fixture. */
const char *request_path(const request_set *set, const char *name, char buffer[600]);

/** Hooks `vectors` with a hook that only looks. */
ntap_status request_look_on(request_set *set, ntap_hook **hook, atomic_long **calls,
                            ntap_error *err);

#endif /* NEUROTAP_BENCH_REQUEST_SET_H */
