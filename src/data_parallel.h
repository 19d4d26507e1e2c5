/**
 * @file data_parallel.h
 * @brief Running data-parallel modules.
 */
#ifndef NEUROTAP_SRC_DATA_PARALLEL_H
#define NEUROTAP_SRC_DATA_PARALLEL_H

#include "shards.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What is done with each replica and its part of the arguments. Gives n_results values. */
typedef struct ntapi_parallel_call {
    ntap_status (*run)(const ntap_module *replica, const ntap_value *const *args, size_t n_args,
                       const void *context, ntap_value **results, ntap_error *err);
    const void *context;
    size_t n_results;
} ntapi_parallel_call;

/** Scatters the arguments, runs the replicas, gathers the results. */
NTAP_MUST_CHECK ntap_status ntapi_call_in_parallel(const ntap_module *module,
                                                   const ntap_value *const *args, size_t n_args,
                                                   const ntapi_parallel_call *call,
                                                   ntap_value **results, ntap_error *err);

/** Makes a module data-parallel on the devices of another. */
NTAP_MUST_CHECK ntap_status ntapi_new_data_parallel_like(const ntap_module *module,
                                                         const ntap_module *like,
                                                         ntap_module **parallel, ntap_error *err);

#ifdef __cplusplus
}
#endif

#endif /* NEUROTAP_SRC_DATA_PARALLEL_H */
