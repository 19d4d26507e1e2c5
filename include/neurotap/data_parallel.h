/**
 * @file data_parallel.h
 * @brief Data-parallel modules: the same model on several devices, each with a part of the batch.
 *
 * What `torch.nn.DataParallel` does, for whatever takes a module. A data-parallel module has a
 * replica of the model on each device. ntap_module_forward(), ntap_module_capture() and the
 * functions of neuron_gradient.h scatter what they are given along dimension 0, run the replicas at
 * the same time, and gather the results in order, on the device of the first input.
 *
 * @code
 * const ntap_device devices[] = {{NTAP_DEVICE_CUDA, 0}, {NTAP_DEVICE_CUDA, 1}};
 * ntap_module *parallel = NULL;
 * if (ntap_module_new_data_parallel(module, devices, 2, NULL, &parallel, &err) != NTAP_OK)
 *     fprintf(stderr, "%s\n", err.message);
 * ... ntap_neuron_gradient_new(parallel, "layer4", NULL, &gradient, &err) ...
 * @endcode
 *
 * - **Scatter.** The batch is divided as `torch.chunk` does: into parts of equal size, but for the
 *   last; a small batch leaves replicas out. Its size is that of dimension 0 of the first tensor
 *   that has dimensions. Tensors of that size in dimension 0 are scattered, also inside lists,
 *   tuples and dicts; every replica gets all others, and all other values, whole. If an input to
 *   attribute to is of another size, the first replica does it all.
 * - **Order.** Part i goes to devices[i]; captum's `device_ids` mean the same. A device may be
 * named repeatedly, which captum refuses.
 * - **Gather.** Attributions are joined along the batch. Results and captured values are joined
 *   along dimension 0, part by part of lists, tuples and dicts; that is right for what has the
 * batch in front, but not for an LSTM's states of [layers, N, features]. Tensors without dimensions
 *   become one of [replicas]. What is no batch (not a multiple of the part's size in dimension 0),
 *   and what is no tensor, must be the same from every replica, or the call fails.
 * - **Equal.** Results are those of the module itself where examples do not influence each other.
 *   Where they do (batch statistics, a selector callback that looks at other examples), each part
 *   is a batch of its own.
 * - **Callbacks** (hooks, selector callbacks, forward functions) are called for each part, with its
 *   examples, on the replica's thread, several at the same time; hooks are told which replica it
 * is. Only a progress callback runs on the calling thread. A data-parallel call inside a callback
 * runs its parts one after the other.
 * - **Failure.** If a replica fails, so does the call, with that replica's status and a message
 * that begins with "replica 1 (cuda:1): ". The others stop at their next piece of work. The module
 * can be used afterwards.
 * - **State.** A data-parallel run leaves the model as it was, whatever it does to itself (batch
 *   statistics, counters). Random numbers are drawn as ever, but in no certain order.
 */
#ifndef NEUROTAP_DATA_PARALLEL_H
#define NEUROTAP_DATA_PARALLEL_H

#include <neurotap/base.h>
#include <neurotap/module.h>

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup data_parallel Data-parallel module
 *  @brief One model on several devices.
 *  @{ */

/** What else to say of a data-parallel module. */
typedef struct ntap_data_parallel_options {
    size_t struct_size; /**< sizeof(ntap_data_parallel_options) */
    int num_threads; /**< how many threads replicas on the CPU share for libtorch's parallel loops;
                          0, the default: as many as the calling thread has (ntap_num_threads()) at
                          each call. Each replica gets its part, at least 1. No setting of the
                          process or of the caller's threads is changed. */
} ntap_data_parallel_options;

/** All defaults. */
#define NTAP_DATA_PARALLEL_OPTIONS_INIT                                                            \
    { sizeof(ntap_data_parallel_options), 0 }

/**
 * Makes a data-parallel module.
 *
 * Replicas on the device where the module is share its weights: what is written to them shows in
 * both. On other devices there is one copy of the weights for each device, however often that is
 * named. The module's hooks are the replicas' as well, whichever of the two modules they are added
 * to. Each replica has a thread, which lives as long as the module and what was made from it.
 *
 * Of a callback module (callback_module.h) the forward function runs once for each part, over a
 * replica of the module that it was made from. A callback module that is made from a data-parallel
 * module is one that is made from the module itself, and then is data-parallel on the same devices.
 *
 * @param module    what to replicate, which may be freed before the result; not a data-parallel one
 * @param devices   @p n_devices devices, in the order of the parts
 * @param n_devices from 1 to 1024
 * @param options   NULL for all defaults
 * @param[out] parallel  a module like any other, for all functions but ntap_module_to()
 * @param err       filled on failure; may be NULL
 * @return NTAP_OK, or NTAP_ERROR_INVALID_ARGUMENT, NTAP_ERROR_DEVICE (no such device; the message
 *         says which), or an out-of-memory status
 *
 * Constants inside the code of traced models are copied, but a device that it names stays as it is
 * (see ntap_module_to()).
 */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_module_new_data_parallel(
    const ntap_module *module, const ntap_device *devices, size_t n_devices,
    const ntap_data_parallel_options *options, ntap_module **parallel, ntap_error *err);

/**
 * Lets the replicas take over the weights, and all other attributes, that the module has now from
 * which they were made: after ntap_module_to(), after `set_data` or `load_state_dict` on a bridged
 * module (torch.hpp), and for replicas on other devices after any change. Not to be called while
 * another thread uses the data-parallel module or anything made from it.
 *
 * @return NTAP_OK, or NTAP_ERROR_INVALID_ARGUMENT (not a data-parallel module), or an out-of-memory
 *         status, after which some replicas may have the new weights and others the old ones
 */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_module_update_replicas(ntap_module *parallel,
                                                                 ntap_error *err);

/** How many replicas a module has; 0 for one that is not data-parallel, and for NULL. */
NTAP_API size_t ntap_module_replica_count(const ntap_module *module);

/** @} */

#ifdef __cplusplus
}
#endif

#endif /* NEUROTAP_DATA_PARALLEL_H */
