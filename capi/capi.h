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

/**
 * Differentiates `output`, a tensor of this run, with respect to the inputs. It consumes the graph.
 * @param seed   the gradient at `output`, of its shape and dtype; NULL for ones
 * @param grads  n_inputs new tensors; NULL where the output does not depend on the input
 */
NTAP_MUST_CHECK ntap_status capi_run_gradient(const capi_run *run, const ntap_tensor *output,
                                              const ntap_tensor *seed, ntap_tensor **grads,
                                              ntap_error *err);

/** A part of a dimension: start, start + step, …, count indices in all; all in range. */
typedef struct capi_range {
    int64_t start, count, step;
} capi_range;

/** Zeros like `like`, with ones where every dimension's index lies in its range; `ranges` holds one
 *  for each dimension. */
NTAP_MUST_CHECK ntap_status capi_tensor_indicator(const ntap_tensor *like, const capi_range *ranges,
                                                  ntap_tensor **indicator, ntap_error *err);

/** Zeros of the shape, dtype and device of `like`. */
NTAP_MUST_CHECK ntap_status capi_tensor_zeros_like(const ntap_tensor *like, ntap_tensor **zeros,
                                                   ntap_error *err);

/** A second handle to the same tensor, its autograd graph included. */
NTAP_MUST_CHECK ntap_status capi_tensor_share(const ntap_tensor *tensor, ntap_tensor **handle,
                                              ntap_error *err);

/** Whether two tensors share their memory. */
int capi_tensor_shares_memory(const ntap_tensor *a, const ntap_tensor *b);

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
