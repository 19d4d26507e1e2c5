/**
 * @file fixture_support.h
 * @brief What the tests that replay the fixtures' manifests share: JSON to values, cases, attempts.
 */
#ifndef NEUROTAP_TESTS_FIXTURE_SUPPORT_H
#define NEUROTAP_TESTS_FIXTURE_SUPPORT_H

#include "support.h"

#include <jansson.h>

enum { MOST_TENSORS = 8 };

/* ---- JSON to arguments ---- */

/** Reads the named .npy files, at most MOST_TENSORS; returns how many. */
size_t read_tensors(const json_t *names, ntap_tensor **tensors);

/** Makes what fixtures/make_fixtures.py writes for an argument. */
ntap_value *to_value(const json_t *json);

/** A text that has to be there. */
const char *text_of(const json_t *object, const char *key);

/** The `side` of a case. */
ntap_layer_side side_of(const json_t *item);

/* ---- a case ---- */

/** Everything that a case passes; the same for those that succeed and those that fail. */
typedef struct attempt {
    ntap_module *module;
    ntap_neuron_gradient *gradient;
    ntap_selector *selector;
    ntap_tensor *inputs[MOST_TENSORS];
    ntap_value *args[MOST_TENSORS];
    size_t n_inputs;
    size_t n_args;
} attempt;

/** Reads the case's `inputs` and `args`. */
void attempt_prepare(const json_t *item, attempt *a);

/** Loads its `model`. */
ntap_status attempt_load(const json_t *item, int training, attempt *a);

/** Prepares the gradients of its `layer` and `side`, and parses its `selector`. */
ntap_status attempt_open(const json_t *item, attempt *a);

/** Attributes, with its `call` and `unused`. */
ntap_status attempt_attribute(const json_t *item, const attempt *a, ntap_tensor **grads);

/** Releases what attempt_open() made, so that another layer can be opened. */
void attempt_close(attempt *a);

/** Releases everything. */
void attempt_clear(attempt *a);

/* ---- all cases ---- */

/** Reads a manifest; NULL, with a message, if that fails or there is no case in it. */
json_t *load_cases(const char *file);

/** Runs one test for every case that can be run on fixture_device(), with the case as its state;
 *  returns how many failed, 1 if @p cases is NULL. Releases @p cases. */
int run_cases(const char *group, json_t *cases, CMUnitTestFunction test);

#endif /* NEUROTAP_TESTS_FIXTURE_SUPPORT_H */
