/**
 * @file neuron_gradient.h
 * @brief Neuron gradients: how a neuron inside a model depends on the model's inputs.
 *
 * The gradient of chosen neurons of a layer with respect to the model's inputs: captum's
 * `captum.attr.NeuronGradient` (https://captum.ai/api/neuron.html), on TorchScript files.
 *
 * @code
 * ntap_error err;
 * ntap_module *module = NULL;
 * ntap_neuron_gradient *gradient = NULL;
 * ntap_selector *selector = NULL;
 * ntap_tensor *grads[1] = {NULL};
 * const ntap_tensor *inputs[] = {image};
 * if (ntap_module_load("model.pt", NULL, &module, &err) != NTAP_OK ||
 *     ntap_neuron_gradient_new(module, "layer2.0.conv1", NULL, &gradient, &err) != NTAP_OK ||
 *     ntap_selector_parse("4,1,2", &selector, &err) != NTAP_OK ||
 *     ntap_neuron_gradient_attribute(gradient, inputs, 1, selector, NULL, grads, &err) != NTAP_OK)
 *     fprintf(stderr, "%s\n", err.message);
 * @endcode
 *
 * Only what the neuron needs is computed: the model is cut behind the layer, and nothing but the
 * path to the inputs is differentiated.
 */
#ifndef NEUROTAP_NEURON_GRADIENT_H
#define NEUROTAP_NEURON_GRADIENT_H

#include <neurotap/base.h>
#include <neurotap/module.h>
#include <neurotap/selector.h>
#include <neurotap/tensor.h>
#include <neurotap/value.h>

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup neuron_gradient Neuron gradient
 *  @brief How neurons depend on the inputs: the main job.
 *  @{ */

/** The neuron gradients of one layer of one module. */
typedef struct ntap_neuron_gradient ntap_neuron_gradient;

/** Which value of the layer. */
typedef struct ntap_neuron_gradient_options {
    size_t struct_size;   /**< sizeof(ntap_neuron_gradient_options) */
    ntap_layer_side side; /**< the layer's output (default) or its input */
} ntap_neuron_gradient_options;

/** All defaults. */
#define NTAP_NEURON_GRADIENT_OPTIONS_INIT                                                          \
    { sizeof(ntap_neuron_gradient_options), NTAP_LAYER_OUTPUT }

/**
 * Prepares the gradients of a layer: finds where the model calls it and cuts the model behind that.
 * This takes milliseconds (tenths of a second for very large models); the module keeps the result,
 * so that a second ntap_neuron_gradient for the same layer costs nothing.
 *
 * @param module   may be freed before the result
 * @param layer    a path, such as "layer2.0.conv1"; "" for the model itself
 * @param options  NULL for all defaults
 * @param[out] gradient  the result
 * @param err      filled on failure; may be NULL
 * @return NTAP_OK, or NTAP_ERROR_NOT_FOUND (no such layer, with near names; or nothing in the model
 *         calls it), NTAP_ERROR_UNSUPPORTED (the layer cannot be reached, or not differentiated)
 */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_neuron_gradient_new(
    const ntap_module *module, const char *layer, const ntap_neuron_gradient_options *options,
    ntap_neuron_gradient **gradient, ntap_error *err);

/** Releases it. NULL is allowed. */
NTAP_API void ntap_neuron_gradient_free(ntap_neuron_gradient *gradient);

/** What to do about an input that the neuron does not depend on. */
typedef enum ntap_unused_inputs {
    NTAP_UNUSED_INPUTS_ERROR = 0, /**< fail with NTAP_ERROR_AUTOGRAD, as captum does */
    NTAP_UNUSED_INPUTS_ZERO = 1   /**< its attribution is zeros */
} ntap_unused_inputs;

/** Whether a call may take shortcuts. */
typedef enum ntap_fast_paths {
    NTAP_FAST_PATHS_AUTO = 0, /**< where the model's operators are known to allow it */
    NTAP_FAST_PATHS_OFF = 1   /**< never: libtorch's autograd over all of the cut model */
} ntap_fast_paths;

/**
 * Watches a call. It is called on the calling thread, before the first and after each piece of the
 * work, and must not call the library with the objects of this call.
 * @param done     how many gradients are there; a gradient is that of one neuron for one example
 * @param total    how many there will be
 * @param context  ntap_attribute_options.progress_context
 * @return 0 to go on; anything else cancels the call, which then fails with NTAP_ERROR_STOPPED
 */
typedef int (*ntap_progress_callback)(int64_t done, int64_t total, void *context);

/** What a call did. */
typedef struct ntap_attribute_report {
    size_t struct_size; /**< sizeof(ntap_attribute_report) */
    int fast_path;      /**< 1 if the model's operators were run backwards one by one, on what the
                             neurons need of each; 0 for libtorch's autograd */
    double computed;    /**< which part of the cut model's multiplications a neuron took, on
                             average: below 1 if only a window of the input mattered */
    int64_t forward_passes;   /**< how often (a part of) the model ran */
    int64_t backward_passes;  /**< how often it was differentiated */
    int64_t examples_at_once; /**< the most examples of the batch in one pass */
    int64_t neurons_at_once;  /**< the most neurons in one backward pass */
} ntap_attribute_report;

/** An empty report. */
#define NTAP_ATTRIBUTE_REPORT_INIT                                                                 \
    { sizeof(ntap_attribute_report), 0, 0.0, 0, 0, 0, 0 }

/** How to attribute. */
typedef struct ntap_attribute_options {
    size_t struct_size;                            /**< sizeof(ntap_attribute_options) */
    const ntap_value *const *additional_arguments; /**< passed to the model after the inputs, in
                                                        order; never differentiated, never changed.
                                                        Defaults of the model's signature apply to
                                                        what is left out. */
    size_t n_additional_arguments;                 /**< how many */
    int64_t call; /**< which call, for a layer that runs several times: 0, the default, is the last
                       one; 1 the first, 2 the second, …; -1 the last, -2 the one before, … */
    ntap_unused_inputs unused_inputs; /**< what to do about an input without influence */
    ntap_fast_paths fast_paths;       /**< whether shortcuts are allowed */
    uint64_t memory_limit; /**< about how many bytes a backward pass over several neurons or a pass
                                over several examples may take; fewer go at once then. One neuron
                                of one example always goes, whatever it takes. 0, the default, is
                                what was found to be fastest. The results do not count. */
    ntap_progress_callback progress; /**< watches and cancels; NULL for none */
    void *progress_context;          /**< handed to it */
    ntap_attribute_report *report;   /**< filled when the call succeeds; NULL for none */
} ntap_attribute_options;

/** All defaults. */
#define NTAP_ATTRIBUTE_OPTIONS_INIT                                                                \
    {                                                                                              \
        sizeof(ntap_attribute_options), NULL, 0, 0, NTAP_UNUSED_INPUTS_ERROR,                      \
            NTAP_FAST_PATHS_AUTO, 0, NULL, NULL, NULL                                              \
    }

/**
 * Computes the gradient of the selected neuron, summed over the examples of the batch, with respect
 * to each input. Since examples do not influence each other in most models, row i of an attribution
 * is the gradient of example i's neuron with respect to example i's input.
 *
 * @param gradient  safe to use from several threads at once, with identical results
 * @param inputs    @p n_inputs tensors of floating-point or complex type, dimension 0 the batch;
 *                  they are the first arguments of the model's `forward`. Integer tensors (token
 *                  numbers, masks) cannot be differentiated: pass them as additional arguments.
 * @param n_inputs  at least 1
 * @param selector  which neuron
 * @param options   NULL for all defaults
 * @param grads     room for @p n_inputs tensors: for each input its attribution, of the same
 *                  shape, dtype and device, in C order, with no autograd graph. Each is the
 *                  caller's to free. For a complex input it is PyTorch's conjugate gradient.
 * @param err       filled on failure; may be NULL
 * @return NTAP_OK, or
 *         - NTAP_ERROR_INVALID_ARGUMENT: NULLs; an argument that does not fit the signature;
 *         - NTAP_ERROR_DTYPE: an integer input; a layer value that is not floating-point;
 *         - NTAP_ERROR_SHAPE: the selector does not fit the layer's value, or the callback's
 *           result is neither one element nor one for each example;
 *         - NTAP_ERROR_NOT_FOUND: the layer did not run for this input, or not as often as
 *           ntap_attribute_options.call asks;
 *         - NTAP_ERROR_MODEL: the model raised an error;
 *         - NTAP_ERROR_AUTOGRAD: the neuron does not depend on an input
 *           (ntap_attribute_options.unused_inputs), or libtorch cannot differentiate the model;
 *         - NTAP_ERROR_OUT_OF_MEMORY, NTAP_ERROR_DEVICE_OUT_OF_MEMORY;
 *         - whatever a selector callback, a hook or a forward function returned.
 *
 * Works in whatever grad or inference mode the calling thread is in. A model that changes itself
 * when it runs (batch statistics in training mode) is run on a copy, so that it stays as it was; a
 * model that draws random numbers draws them from the generators' current state, which is restored.
 */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_neuron_gradient_attribute(
    const ntap_neuron_gradient *gradient, const ntap_tensor *const *inputs, size_t n_inputs,
    const ntap_selector *selector, const ntap_attribute_options *options, ntap_tensor **grads,
    ntap_error *err);

/**
 * The gradients of many neurons of the layer, for which the model runs forward once, and which
 * share backward passes where that is faster: what a loop over ntap_neuron_gradient_attribute()
 * gives, many times faster.
 *
 * @param gradient     as for ntap_neuron_gradient_attribute()
 * @param inputs       as there
 * @param n_inputs     as there
 * @param selectors    @p n_selectors selectors, of any kinds; the same one may be there repeatedly
 * @param n_selectors  at least 1
 * @param options      as there
 * @param grads        room for @p n_inputs tensors: for each input its attributions, of shape
 *                     [n_selectors, …shape of the input…]; otherwise as there
 * @param err          filled on failure; may be NULL
 * @return as ntap_neuron_gradient_attribute(). If one selector fails, all do; the message tells
 *         which.
 *
 * Row k equals what a call with selector k alone gives, but for rounding: gradients that are
 * computed together may be summed in another order. Relative to the largest element the difference
 * is below 1e-5 in float32 and 1e-13 in float64.
 */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_neuron_gradient_attribute_many(
    const ntap_neuron_gradient *gradient, const ntap_tensor *const *inputs, size_t n_inputs,
    const ntap_selector *const *selectors, size_t n_selectors,
    const ntap_attribute_options *options, ntap_tensor **grads, ntap_error *err);

/**
 * The gradients of all neurons of the layer: the whole Jacobian of its value, in one call.
 *
 * @param gradient  as for ntap_neuron_gradient_attribute()
 * @param inputs    as there
 * @param n_inputs  as there
 * @param options   as there
 * @param grads     room for @p n_inputs tensors: for each input its attributions, of shape
 *                  [neurons…, …shape of the input…], where the neurons are the dimensions of the
 *                  layer's value after the first, the batch. For a layer of [N, 10] and an input of
 *                  [N, 3] it is [10, N, 3]. Mind the size: layers early in an image model have
 *                  100,000s of neurons.
 * @param err       filled on failure; may be NULL
 * @return as ntap_neuron_gradient_attribute(); NTAP_ERROR_SHAPE if the layer's value is not a
 *         single tensor with a dimension for the examples
 */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_neuron_gradient_attribute_all(
    const ntap_neuron_gradient *gradient, const ntap_tensor *const *inputs, size_t n_inputs,
    const ntap_attribute_options *options, ntap_tensor **grads, ntap_error *err);

/** @} */

#ifdef __cplusplus
}
#endif

#endif /* NEUROTAP_NEURON_GRADIENT_H */
