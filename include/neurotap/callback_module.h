/**
 * @file callback_module.h
 * @brief Modules whose forward is a C function: any modification of a model, or none at all.
 *
 * A forward function is handed a view of the run. Through it, it runs the module that it modifies,
 * as often as it likes and with whatever it computes before, between and after:
 *
 * @code
 * #include <neurotap/neurotap.h>
 *
 * static ntap_status normalized(ntap_view *view, const ntap_value *const *args, size_t n_args,
 *                               void *context, ntap_value **result, ntap_error *err) {
 *     ntap_value *x = NULL;
 *     (void)n_args;
 *     ntap_status status = subtract_mean(context, args[0], &x, err); // with operator.h
 *     const ntap_value *model_args[] = {x};
 *     if (status == NTAP_OK)
 *         status = ntap_view_forward(view, model_args, 1, result, err);
 *     ntap_value_free(x);
 *     return status;
 * }
 *
 * ntap_module_new_callback(model, normalized, &mean, NULL, &module, &err);
 * ntap_neuron_gradient_new(module, "layer1", NULL, &gradient, &err); // a layer of `model`
 * @endcode
 *
 * Or it is a model itself, written over operator.h, a simulation or another library, that reports
 * its layers by name with ntap_tap(). Either way the module is one like any other: it is attributed
 * to, captured from and hooked.
 */
#ifndef NEUROTAP_CALLBACK_MODULE_H
#define NEUROTAP_CALLBACK_MODULE_H

#include <neurotap/base.h>
#include <neurotap/module.h>
#include <neurotap/value.h>

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup callback_module Callback module
 *  @brief Models whose forward is a C function.
 *  @{ */

/** One run of a callback module, as its forward function sees it: valid until that returns, on the
 *  thread on which it was called. */
typedef struct ntap_view ntap_view;

/**
 * A forward function.
 *
 * Runs on the thread that runs the module; with the module used by several threads, in several
 * threads at once. In a neuron gradient autograd records what it computes with operator.h; it must
 * then come from its arguments by such operators alone, or no gradient flows. Any function of
 * neurotap may be called inside.
 *
 * @param view     the run
 * @param args     @p n_args values, lent, as they were given to whatever runs the module: the
 *                 inputs, then the additional arguments. There is no signature to check them
 *                 against (ntap_module_signature() gives the base's, to read): their number and
 *                 types are the function's business. Never write to them.
 * @param n_args   how many there are
 * @param context  as given to ntap_module_new_callback()
 * @param[out] result  NULL when the function is called; on NTAP_OK what the module returns: a value
 *                 that the function made, or cloned, never a lent one. neurotap frees it, also if
 *                 the function fails.
 * @param err      to fill on failure, with ntap_error_set(), or by passing it on to what may fail;
 *                 never NULL
 * @return NTAP_OK, or any other status to fail the run with that status and message. When
 *         ntap_view_forward() or ntap_tap() fails, return what it returned: a hook may have stopped
 *         the run.
 */
typedef ntap_status (*ntap_forward_function)(ntap_view *view, const ntap_value *const *args,
                                             size_t n_args, void *context, ntap_value **result,
                                             ntap_error *err);

/** What else to say of a callback module. */
typedef struct ntap_callback_module_options {
    size_t struct_size;        /**< sizeof(ntap_callback_module_options) */
    const char *const *layers; /**< the names that the function reports with ntap_tap() */
    size_t n_layers;           /**< how many */
    ntap_finalizer finalizer;  /**< called with the context when the module and everything made from
                                    it is gone; may be NULL */
} ntap_callback_module_options;

/** All defaults. */
#define NTAP_CALLBACK_MODULE_OPTIONS_INIT                                                          \
    { sizeof(ntap_callback_module_options), NULL, 0, NULL }

/**
 * Makes a module of a forward function.
 *
 * Its layers are "" (the module itself: the function's arguments and its result), those in the
 * options, and those of @p base but for its own "". A hook that is added through this module to a
 * layer of @p base is one of @p base: it runs when @p base runs by itself, too.
 *
 * @param base     the module that ntap_view_forward() runs, which may be freed before the result;
 *                 NULL for a module that is nothing but the function
 * @param forward  the function
 * @param context  handed to the function; may be NULL
 * @param options  NULL for all defaults
 * @param[out] module  the result
 * @param err      filled on failure; may be NULL
 * @return NTAP_OK, or NTAP_ERROR_INVALID_ARGUMENT (NULLs; a layer that is named twice, or that
 *         @p base has already). On failure the finalizer is not called.
 */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_module_new_callback(
    const ntap_module *base, ntap_forward_function forward, void *context,
    const ntap_callback_module_options *options, ntap_module **module, ntap_error *err);

/**
 * Runs the module that the callback module was made from, from its beginning to its end. May be
 * called any number of times; the layers' calls are counted through. A neuron gradient is that of
 * the last call, unless ntap_attribute_options.call says otherwise.
 *
 * @param view    the run
 * @param args    @p n_args values, as for ntap_module_forward(); their autograd graph is kept
 * @param n_args  how many
 * @param[out] result  what it returned; the caller's to free
 * @param err     filled on failure; may be NULL
 * @return as ntap_module_forward(); NTAP_ERROR_INVALID_ARGUMENT if there is no such module
 */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_view_forward(ntap_view *view,
                                                       const ntap_value *const *args, size_t n_args,
                                                       ntap_value **result, ntap_error *err);

/**
 * Reports what a layer of the function's own is called with, or what it returns.
 *
 * @param view    the run
 * @param layer   one of ntap_callback_module_options.layers
 * @param side    NTAP_LAYER_INPUT before the layer computes (to be left out where nobody needs it),
 *                NTAP_LAYER_OUTPUT after it
 * @param value   for an output any value; for an input the layer's only argument, or a tuple of
 *                all of them. What it holds must not be written to afterwards.
 * @param[out] tapped  what to go on with: @p value, or what hooks put in its place; the caller's to
 *                     free
 * @param err     filled on failure; may be NULL
 * @return NTAP_OK, or NTAP_ERROR_INVALID_ARGUMENT (no such layer), or whatever a hook returned
 */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_tap(ntap_view *view, const char *layer,
                                              ntap_layer_side side, const ntap_value *value,
                                              ntap_value **tapped, ntap_error *err);

/** @} */

#ifdef __cplusplus
}
#endif

#endif /* NEUROTAP_CALLBACK_MODULE_H */
