/**
 * @file exercise_model.h
 * @brief Everything that a program does with a model file, for files that may be hostile.
 */
#ifndef NEUROTAP_TESTS_EXERCISE_MODEL_H
#define NEUROTAP_TESTS_EXERCISE_MODEL_H

#include <neurotap/neurotap.h>

/**
 * Loads a model from memory and, if that succeeds, lists its layers and values, runs it, captures
 * its layers and attributes to them. What any of it gives is of no interest, only that it ends.
 * @return what loading gave, with its message in @p err
 */
ntap_status exercise_model(const void *data, size_t size, ntap_error *err);

/** Loads a model and attributes to its result. @return what failed of that, if anything did */
ntap_status attribute_model(const void *data, size_t size, ntap_error *err);

#endif /* NEUROTAP_TESTS_EXERCISE_MODEL_H */
