/**
 * @file capi.h
 * @brief Private interface between capi/ (C++, the only code that sees libtorch) and src/ (C11).
 *
 * Operations that src/ needs beyond the public headers. They carry no policy: what a selector means
 * and when an undefined gradient is an error is decided in src/. Conventions as in base.h.
 */
#ifndef NEUROTAP_CAPI_H
#define NEUROTAP_CAPI_H

#include <neurotap/callback_module.h>
#include <neurotap/data_parallel.h>
#include <neurotap/hook.h>
#include <neurotap/module.h>
#include <neurotap/operator.h>
#include <neurotap/tensor.h>
#include <neurotap/value.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Loads from a path, or from memory: ntap_module_load() with its options read. */
NTAP_MUST_CHECK ntap_status capi_module_load(const char *path, const ntap_load_options *options,
                                             ntap_module **module, ntap_error *err);
NTAP_MUST_CHECK ntap_status capi_module_load_memory(const void *data, size_t size,
                                                    const ntap_load_options *options,
                                                    ntap_module **module, ntap_error *err);

/** ntap_module_forward() of a module that is not data-parallel.
 *  @param keep_model  whether the model stays as it was, whatever it does to itself */
NTAP_MUST_CHECK ntap_status capi_module_forward(const ntap_module *module,
                                                const ntap_value *const *args, size_t n_args,
                                                int keep_model, ntap_value **result,
                                                ntap_error *err);

/**
 * Makes a data-parallel module: one replica for each device.
 * @param threads  what src/ runs them with, released with the module; on failure the caller's
 */
NTAP_MUST_CHECK ntap_status capi_module_new_replicated(const ntap_module *source,
                                                       const ntap_device *devices, size_t n_devices,
                                                       void *threads,
                                                       void (*release)(void *threads),
                                                       ntap_module **module, ntap_error *err);

/** A replica, a module of its own, lent. */
const ntap_module *capi_module_replica(const ntap_module *module, size_t index);

/** What src/ runs the replicas with. */
void *capi_module_threads(const ntap_module *module);

/** The replicas take over the weights of the module that they were made from. */
NTAP_MUST_CHECK ntap_status capi_module_update_replicas(const ntap_module *module, ntap_error *err);

/** From here on the callback module releases its context. */
void capi_module_finalize_with(ntap_module *module, ntap_finalizer finalizer);

/** Sets the number of libtorch's intra-op threads of the calling thread, and of no other. Does
 *  nothing where libtorch was not built with OpenMP. */
void capi_set_own_num_threads(int count);

/** Whether the calling thread is in a run that draws random numbers: others that do wait for it. */
int capi_in_random_run(void);

/** The size of dimension 0 of the first tensor in the values that has dimensions; -1 if there is
 *  none. `device` is where the first tensor is. */
int64_t capi_values_batch(const ntap_value *const *values, size_t n_values, ntap_device *device);

/** Some examples of a tensor (count < 0: all of it), on a device. Shares memory where it can;
 *  carries no graph. */
NTAP_MUST_CHECK ntap_status capi_tensor_shard(const ntap_tensor *tensor, int64_t first,
                                              int64_t count, ntap_device device,
                                              ntap_tensor **shard, ntap_error *err);

/** A value for some of `batch` examples: of every tensor in it whose dimension 0 is the batch those
 *  examples, the others whole; on a device. */
NTAP_MUST_CHECK ntap_status capi_value_shard(const ntap_value *value, int64_t batch, int64_t first,
                                             int64_t count, ntap_device device, ntap_value **shard,
                                             ntap_error *err);

/** The values of shards with these numbers of examples as one, its tensors joined along dimension 0
 *  on a device (data_parallel.h says how). */
NTAP_MUST_CHECK ntap_status capi_values_gather(const ntap_value *const *values,
                                               const int64_t *examples, size_t n_values,
                                               ntap_device device, ntap_value **gathered,
                                               ntap_error *err);

/** Whether a module has a layer or a value of that name. */
NTAP_MUST_CHECK ntap_status capi_module_has(const ntap_module *module, const char *name, int *has,
                                            ntap_error *err);

/** Whether a run of the module could reach a layer or value that it has. */
NTAP_MUST_CHECK ntap_status capi_module_reaches(const ntap_module *module, const char *name,
                                                int *reaches, ntap_error *err);

/** Adds a hook before or after a layer that the module reaches; `hook` may be NULL. */
NTAP_MUST_CHECK ntap_status capi_hook_add(const ntap_module *module, const char *layer, int before,
                                          ntap_hook_callback callback, void *context,
                                          ntap_finalizer finalizer, ntap_hook **hook,
                                          ntap_error *err);

/** A module made ready to record the values of some layers. Immutable. */
typedef struct capi_program capi_program;

/** The program for existing layers. What takes long to make is kept by the module. The result keeps
 *  alive what it needs of the module. */
NTAP_MUST_CHECK ntap_status capi_program_new(const ntap_module *module, const char *const *layers,
                                             size_t n_layers, ntap_layer_side side,
                                             capi_program **program, ntap_error *err);
void capi_program_free(capi_program *program);

/** In how many places of the program the layer's value is recorded; 0 if nothing calls it. */
size_t capi_program_site_count(const capi_program *program, size_t layer);

/** An operator in the program that has no gradient, lent by the program; NULL if there is none. */
const char *capi_program_operator_without_gradient(const capi_program *program);

/** One execution of a program: the recorded values and, if differentiable, the autograd graph from
 *  the inputs to them. */
typedef struct capi_run capi_run;

/**
 * Runs a program on `forward`'s arguments: n_inputs tensors to differentiate, then n_args values.
 * With n_inputs == 0 nothing is differentiable and no graph is recorded.
 */
NTAP_MUST_CHECK ntap_status capi_run_new(const capi_program *program,
                                         const ntap_tensor *const *inputs, size_t n_inputs,
                                         const ntap_value *const *args, size_t n_args,
                                         capi_run **run, ntap_error *err);
void capi_run_free(capi_run *run);

/** How often the layer was called in this run. */
size_t capi_run_call_count(const capi_run *run, size_t layer);

/** The layer's value at one of its calls, from 0; its tensors carry their graph. */
NTAP_MUST_CHECK ntap_status capi_run_value(const capi_run *run, size_t layer, size_t call,
                                           ntap_value **value, ntap_error *err);

/** All values of a layer as a list, one item a call; the tensors carry no graph. */
NTAP_MUST_CHECK ntap_status capi_run_calls(const capi_run *run, size_t layer, ntap_value **calls,
                                           ntap_error *err);

/** Attributions in the making: for each of some inputs, those of several neurons. */
typedef struct capi_attributions capi_attributions;

NTAP_MUST_CHECK ntap_status capi_attributions_new(const ntap_tensor *const *inputs, size_t n_inputs,
                                                  size_t n_neurons,
                                                  capi_attributions **attributions,
                                                  ntap_error *err);
void capi_attributions_free(capi_attributions *attributions);

/** The same, on the device of the first input, to be made in parts. */
NTAP_MUST_CHECK ntap_status capi_attributions_new_gathered(const ntap_tensor *const *inputs,
                                                           size_t n_inputs, size_t n_neurons,
                                                           capi_attributions **attributions,
                                                           ntap_error *err);

/** The part for some examples (n_examples < 0: for all). Parts for different examples may be filled
 * by different threads.
 *  @param clear  whether something may be there already, which is cleared */
NTAP_MUST_CHECK ntap_status capi_attributions_part(const capi_attributions *whole,
                                                   int64_t first_example, int64_t n_examples,
                                                   int clear, capi_attributions **part,
                                                   ntap_error *err);

/** Whether there was a neuron that does not depend on an input; if so, the first such input. */
int capi_attributions_lack(const capi_attributions *attributions, size_t *input);

/**
 * Takes the attributions out, one tensor for each input: of shape [leading…, …shape of the input…],
 * where the product of the leading sizes is the number of neurons. Each has its memory for itself,
 * in C order, without a graph. Where nothing was put there are zeros.
 */
NTAP_MUST_CHECK ntap_status capi_attributions_finish(capi_attributions *attributions,
                                                     size_t n_leading, const int64_t *leading,
                                                     ntap_tensor **grads, ntap_error *err);

/** Some neurons to differentiate. */
typedef struct capi_differentiation {
    const ntap_tensor *output; /* a tensor of the run */
    const ntap_tensor *seeds;  /* what is differentiated is the sum of output * seeds: of the shape
                                  of the output for one neuron, of [count, …shape…] for several; NULL
                                  for one neuron and ones */
    size_t first, count;       /* which of the attributions these are */
    int keep_graph;            /* whether the run will be differentiated again */
} capi_differentiation;

/**
 * Differentiates with respect to the run's inputs, and puts what it gets among the attributions.
 * @param passes  how many backward passes it took
 */
NTAP_MUST_CHECK ntap_status capi_run_differentiate(const capi_run *run,
                                                   const capi_differentiation *what,
                                                   capi_attributions *attributions, size_t *passes,
                                                   ntap_error *err);

/** How many neurons of a tensor of the run had best share a backward pass, which should take no
 *  more than about `memory_limit` bytes; 0 for as many as is fastest. */
size_t capi_run_neurons_at_once(const capi_run *run, const ntap_tensor *output,
                                uint64_t memory_limit);

/** A part of a dimension: start, start + step, …, count indices in all; all in range. */
typedef struct capi_range {
    int64_t start, count, step;
} capi_range;

/** The seeds that select neurons: zeros like the tensor, with ones where every dimension's index
 *  lies in its range. `ranges` holds one for each dimension, neuron after neuron. */
NTAP_MUST_CHECK ntap_status capi_seeds_new(const ntap_tensor *like, const capi_range *ranges,
                                           size_t count, ntap_tensor **seeds, ntap_error *err);

/**
 * A program as a tape, for inputs of certain shapes: its operators one by one, each of which treats
 * the examples separately, can be computed in part, and be run backwards. Many models are, up to
 * many of their layers.
 */
typedef struct capi_tape capi_tape;

/** The tape for these inputs and further arguments, which it keeps; NULL if the program cannot be
 * one (autograd has to do then, and to say what is wrong, if anything is). */
NTAP_MUST_CHECK ntap_status capi_tape_find(const capi_program *program,
                                           const ntap_tensor *const *inputs, size_t n_inputs,
                                           const ntap_value *const *args, size_t n_args,
                                           capi_tape **tape, ntap_error *err);
void capi_tape_free(capi_tape *tape);

/** How often the layer is called. */
size_t capi_tape_call_count(const capi_tape *tape);

/** The number of dimensions of the layer's value at a call; they are [examples, channels,
 *  positions…]. The sizes are lent by the tape. */
size_t capi_tape_sizes(const capi_tape *tape, size_t call, const int64_t **sizes);

/** The memory of all weights on the way to the layer, in bytes. */
uint64_t capi_tape_weight_bytes(const capi_tape *tape);

/** A part of the layer's value at some positions, and what is computed for it. It borrows the
 *  tape. */
typedef struct capi_part capi_part;

/**
 * The part for these ranges of all positions; only where they begin and end counts.
 * @param late_bytes  its last steps, as long as their values have a single position and no more
 *                    bytes for an example, are its late ones
 */
NTAP_MUST_CHECK ntap_status capi_part_new(const capi_tape *tape, size_t call,
                                          const capi_range *positions, uint64_t late_bytes,
                                          capi_part **part, ntap_error *err);
void capi_part_free(capi_part *part);

/** What share of the multiplications for the whole value it takes, above 0 and up to 1. */
double capi_part_share(const capi_part *part);

/** The memory of all that is computed for one example, in bytes; at least 1. */
uint64_t capi_part_bytes(const capi_part *part);

/** What the largest value of the late steps takes for one example, in bytes; 0 if there are none.
 */
uint64_t capi_part_late_bytes(const capi_part *part);

/** A part, computed for some examples. It borrows the part. */
typedef struct capi_part_run capi_part_run;

/** @param n_neurons  how many go backwards then, each once; with the last ones it empties itself */
NTAP_MUST_CHECK ntap_status capi_part_run_new(const capi_part *part,
                                              const ntap_tensor *const *inputs,
                                              int64_t first_example, int64_t n_examples,
                                              size_t n_neurons, capi_part_run **run,
                                              ntap_error *err);
void capi_part_run_free(capi_part_run *run);

/** The gradients of some neurons behind the late steps. They borrow the run. */
typedef struct capi_part_gradients capi_part_gradients;

/**
 * Takes neurons inside the part backwards through its late steps, all at once.
 * @param ranges  of the layer's value, for each dimension, neuron after neuron
 */
NTAP_MUST_CHECK ntap_status capi_part_gradients_new(capi_part_run *run, const capi_range *ranges,
                                                    size_t count, capi_part_gradients **gradients,
                                                    ntap_error *err);
void capi_part_gradients_free(capi_part_gradients *gradients);

/**
 * Takes `count` of them, from `first` on, backwards through all other steps at once, and puts what
 * it gets among the attributions. May be called once for each.
 * @param neurons  which ones these are among the attributions, ascending
 */
NTAP_MUST_CHECK ntap_status capi_part_differentiate(capi_part_gradients *gradients, size_t first,
                                                    const size_t *neurons, size_t count,
                                                    capi_attributions *attributions,
                                                    ntap_error *err);

/** A tensor's sizes, lent by it. */
const int64_t *capi_tensor_sizes(const ntap_tensor *tensor);

/** A second handle to the same tensor, its autograd graph included. */
NTAP_MUST_CHECK ntap_status capi_tensor_share(const ntap_tensor *tensor, ntap_tensor **handle,
                                              ntap_error *err);

/** Makes a module of a function: ntap_module_new_callback() with its options read. */
NTAP_MUST_CHECK ntap_status capi_module_new_callback(const ntap_module *base,
                                                     ntap_forward_function forward, void *context,
                                                     const ntap_callback_module_options *options,
                                                     ntap_module **module, ntap_error *err);

/** Calls body(context) with autograd's grad mode on and inference mode off, on this thread. */
ntap_status capi_with_grad_mode(ntap_status (*body)(void *context), void *context);

#ifdef __cplusplus
}
#endif

#endif /* NEUROTAP_CAPI_H */
