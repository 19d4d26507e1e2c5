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

/** How to attribute. */
typedef struct ntap_attribute_options {
    size_t struct_size;                            /**< sizeof(ntap_attribute_options) */
    const ntap_value *const *additional_arguments; /**< passed to the model after the inputs, in
                                                        order; never differentiated, never changed.
                                                        Defaults of the model's signature apply to
                                                        what is left out. */
    size_t n_additional_arguments;
    int64_t call; /**< which call, for a layer that runs several times: 0, the default, is the last
                       one; 1 the first, 2 the second, …; -1 the last, -2 the one before, … */
    ntap_unused_inputs unused_inputs;
} ntap_attribute_options;

/** All defaults. */
#define NTAP_ATTRIBUTE_OPTIONS_INIT                                                                \
    { sizeof(ntap_attribute_options), NULL, 0, 0, NTAP_UNUSED_INPUTS_ERROR }

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

/** @} */

#ifdef __cplusplus
}
#endif

#endif /* NEUROTAP_NEURON_GRADIENT_H */
