/**
 * @file attribution.h
 * @brief One attribute call: what it is asked for, and how far it has come.
 */
#ifndef NEUROTAP_ATTRIBUTION_H
#define NEUROTAP_ATTRIBUTION_H

#include "selection.h"
#include "shards.h"

#include <neurotap/neuron_gradient.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ntapi_attribution {
    const capi_program *program;
    const char *layer;
    const ntap_tensor *const *inputs;
    size_t n_inputs;
    const ntap_selector *const *selectors; /* NULL for every neuron */
    size_t n_selectors;
    int stacked; /* whether results have dimensions for the neurons */
    ntap_attribute_options options;
    ntap_error *err;

    /* Of a part of a batch: what it is a part of, and which. NULL for a whole one. */
    struct ntapi_gather *gather;
    size_t shard;

    /* Known once the layer's value is. */
    size_t n_neurons;
    capi_attributions *results;
    int64_t done, total; /* gradients, each of one neuron for one example */
    ntap_attribute_report report;
} ntapi_attribution;

/** Does it all (attribution.c). On success `grads` has been filled. */
NTAP_MUST_CHECK ntap_status ntapi_attribute(ntapi_attribution *a, ntap_tensor **grads);

/** Does it by the replicas of a data-parallel module, with a program for each
 *  (attribution_by_replicas.c). */
NTAP_MUST_CHECK ntap_status ntapi_attribute_by_replicas(ntapi_attribution *a,
                                                        capi_program *const *programs,
                                                        ntapi_replica_threads *threads,
                                                        ntap_tensor **grads);

/** Begins with a part's results, in the memory of the whole (attribution_by_replicas.c). */
NTAP_MUST_CHECK ntap_status ntapi_gather_begin(ntapi_attribution *a,
                                               const ntapi_layer_value *value);

/** Does it by a tape, if there is one for the inputs and the neurons (attribution_by_tape.c). If
 * not, nothing has happened but that `*done` is 0; what is wrong with the arguments, if anything,
 * is for autograd's way to say. */
NTAP_MUST_CHECK ntap_status ntapi_attribute_by_tape(ntapi_attribution *a, ntap_tensor **grads,
                                                    int *done);

/** Which call is asked for, as an index below the count (attribution.c). */
NTAP_MUST_CHECK ntap_status ntapi_attribution_find_call(const ntapi_attribution *a, size_t count,
                                                        size_t *index);

/** Hands the results out (attribution.c). */
NTAP_MUST_CHECK ntap_status ntapi_attribution_finish(const ntapi_attribution *a,
                                                     const ntapi_layer_value *value,
                                                     ntap_tensor **grads);

/** How many neurons there are in all (attribution.c). */
size_t ntapi_attribution_count(const ntapi_attribution *a, const ntapi_layer_value *value);

/** Begins with the results, now that the layer's value is known (attribution.c). */
NTAP_MUST_CHECK ntap_status ntapi_attribution_begin(ntapi_attribution *a,
                                                    const ntapi_layer_value *value);

/** Reports progress: this many more gradients are there (attribution.c). */
NTAP_MUST_CHECK ntap_status ntapi_attribution_advance(ntapi_attribution *a, int64_t gradients);

/** The indices of a neuron that no callback computes (attribution.c). */
NTAP_MUST_CHECK ntap_status ntapi_attribution_ranges(const ntapi_attribution *a,
                                                     const ntapi_layer_value *value, size_t neuron,
                                                     capi_range *ranges);

#ifdef __cplusplus
}
#endif

#endif /* NEUROTAP_ATTRIBUTION_H */
