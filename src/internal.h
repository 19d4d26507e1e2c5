/**
 * @file internal.h
 * @brief What the C files of src/ share.
 */
#ifndef NEUROTAP_INTERNAL_H
#define NEUROTAP_INTERNAL_H

#include "capi.h"

#include <neurotap/selector.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Copies the caller's options over the defaults in `options` (options.c). Callers compiled against
 * an older header have a shorter struct, against a newer one a longer one: what is missing keeps
 * its default, what is unknown must be zero.
 * @param given  NULL for all defaults; else a struct that starts with its size
 */
NTAP_MUST_CHECK ntap_status ntapi_options_read(void *options, size_t size, const void *given,
                                               ntap_error *err);

/** Fails with a message that names the parameter if `pointer` is NULL (error.c). */
#define NTAPI_REQUIRE(pointer, err)                                                                \
    do {                                                                                           \
        if ((pointer) == NULL)                                                                     \
            return ntap_error_set((err), NTAP_ERROR_INVALID_ARGUMENT, #pointer " is NULL");        \
    } while (0)

/** Returns from the calling function if a step failed. */
#define NTAPI_TRY(step)                                                                            \
    do {                                                                                           \
        const ntap_status ntapi_status_ = (step);                                                  \
        if (ntapi_status_ != NTAP_OK)                                                              \
            return ntapi_status_;                                                                  \
    } while (0)

/**
 * Writes "; did you mean 'a' or 'b'?" with the names nearest to `name`, or "" if none is near
 * (similar_names.c). `name_at` gives the candidates.
 */
void ntapi_suggest(const char *name, size_t count,
                   const char *(*name_at)(const void *context, size_t index), const void *context,
                   char *buffer, size_t size);

/** Checks that the number is one of ntap_layer_side (layer_capture.c). */
NTAP_MUST_CHECK ntap_status ntapi_require_side(ntap_layer_side side, ntap_error *err);

/** Checks that the module has these layers or values; the error suggests near names
 *  (layer_capture.c). */
NTAP_MUST_CHECK ntap_status ntapi_require_layers(const ntap_module *module,
                                                 const char *const *layers, size_t n_layers,
                                                 ntap_error *err);

/** The error for a layer that the module has, but never calls (layer_capture.c). */
ntap_status ntapi_layer_never_called(const char *layer, ntap_error *err);

#ifdef __cplusplus
}
#endif

#endif /* NEUROTAP_INTERNAL_H */
