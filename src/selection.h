/**
 * @file selection.h
 * @brief Selectors, as the attribution uses them.
 */
#ifndef NEUROTAP_SELECTION_H
#define NEUROTAP_SELECTION_H

#include "internal.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A layer's value to which ints and slices are applied; and what errors say of it. */
typedef struct ntapi_layer_value {
    const char *layer;
    char described[256];
    const ntap_tensor *tensor; /* its only one; NULL where the value is not there yet */
    size_t ndim;               /* at least 1 */
    const int64_t *sizes;
    ntap_error *err;
} ntapi_layer_value;

/** Finds the only tensor of a value, which ints and slices need (selection.c). */
NTAP_MUST_CHECK ntap_status ntapi_read_layer_value(const ntap_value *layer_value, const char *layer,
                                                   ntapi_layer_value *site, ntap_error *err);

/** The indices that a selector of ints and slices picks: `ranges` has room for one range for each
 *  dimension (selector.c). */
NTAP_MUST_CHECK ntap_status ntapi_selector_ranges(const ntap_selector *selector,
                                                  const ntapi_layer_value *site,
                                                  capi_range *ranges);

int ntapi_selector_is_callback(const ntap_selector *selector);

/** Just the callback's call (selector.c). */
NTAP_MUST_CHECK ntap_status ntapi_selector_call(const ntap_selector *selector,
                                                const ntap_value *layer_value, ntap_tensor **neuron,
                                                ntap_error *err);

/** The neuron that a selector callback makes of a layer's value, checked (selection.c). */
NTAP_MUST_CHECK ntap_status ntapi_select_by_callback(const ntap_selector *selector,
                                                     const ntap_value *layer_value, int64_t batch,
                                                     ntap_tensor **neuron, ntap_error *err);

#ifdef __cplusplus
}
#endif

#endif /* NEUROTAP_SELECTION_H */
