/**
 * @file hook.h
 * @brief Forward hooks: look at, replace or stop at what goes into and comes out of a layer.
 *
 * What Python's `register_forward_pre_hook` and `register_forward_hook` do, on modules loaded from
 * files. A hook on a layer is called each time the layer runs, by whatever runs the module:
 * ntap_module_forward(), ntap_module_capture(), ntap_neuron_gradient_attribute(). This one doubles
 * what `layer1` returns:
 *
 * @code
 * #include <neurotap/neurotap.h>
 *
 * static ntap_status twice(const ntap_hook_call *call, void *context, ntap_value **replacement,
 *                          ntap_error *err) {
 *     ntap_tensor *doubled = NULL;
 *     ntap_status status;
 *     (void)context;
 *     status = ntap_tensor_scale(ntap_value_get_tensor(call->output), 2.0, &doubled, err);
 *     if (status == NTAP_OK)
 *         status = ntap_value_new_tensor(doubled, replacement, err);
 *     ntap_tensor_free(doubled);
 *     return status;
 * }
 *
 * ntap_hook *hook = NULL;
 * if (ntap_module_add_forward_hook(module, "layer1", twice, NULL, NULL, &hook, &err) != NTAP_OK)
 *     fprintf(stderr, "%s\n", err.message);
 * ... ntap_module_forward(module, args, n_args, &result, &err) ...
 * ntap_hook_remove(hook);
 * @endcode
 *
 * Several hooks on one layer run in the order in which they were added, each with what the one
 * before it left. Pre-hooks run before the layer, forward hooks after it; a layer's hooks run
 * inside those of the layers that contain it. What ntap_module_capture() and neuron gradients see
 * of a layer is what its hooks left, and gradients flow through replacements. Those two run the
 * model no further than they must: hooks of layers that come later are not called.
 *
 * A "layer" may also be a value of the program, such as "layer1.0/add:1" (see
 * ntap_module_value_name()). Its inputs are the operator's arguments, weights and options included.
 */
#ifndef NEUROTAP_HOOK_H
#define NEUROTAP_HOOK_H

#include <neurotap/base.h>
#include <neurotap/module.h>
#include <neurotap/value.h>

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup hook Hook
 *  @brief Looking at, replacing or stopping what goes through a layer.
 *  @{ */

/** One call of a layer, as a hook sees it. Everything in it is lent, until the hook returns. Newer
 *  versions may add fields at the end. */
typedef struct ntap_hook_call {
    const char *layer; /**< the path that the hook was added for */
    int64_t call;      /**< which call of the layer in this run: 1 is the first of each run */
    size_t replica;    /**< which replica of the module runs; 0 if there is only one */
    const ntap_value *inputs; /**< what the layer is called with: a tuple of all its arguments,
                                   those passed by keyword and the defaults included */
    const ntap_value *output; /**< what the layer returned; NULL in a pre-hook */
} ntap_hook_call;

/**
 * A forward hook or pre-hook.
 *
 * Runs on the thread that runs the module; with the module used by several threads, in several
 * threads at once. Any function of neurotap may be called inside, also on the same module (that is
 * a run of its own, which calls this hook again), and hooks may be added and removed, this one
 * included. In a forward no gradients are recorded; in a neuron gradient, what the hook computes
 * with operator.h is part of what is differentiated.
 *
 * @param call     the call. Its values share the memory of the running model: never write to them.
 *                 To keep a value, ntap_value_clone() is enough: what the model's own operations
 *                 overwrite later does not show in it. ntap_tensor_clone() gives memory to write
 * to.
 * @param context  as given when the hook was added
 * @param[out] replacement  NULL when the hook is called. Left so, the value stays as it is.
 *                 Otherwise the model goes on with it: a value that the hook made, or cloned, never
 *                 a lent one; neurotap frees it, also if the hook fails. It must be of the static
 *                 type that the program expects there (a tensor, a tuple of tensors), or the run
 *                 fails with NTAP_ERROR_INVALID_ARGUMENT. Shape and dtype are not checked: the
 *                 operators that come next may complain of them.
 *                 - In a forward hook it is the layer's new output.
 *                 - In a pre-hook it is a tuple of new values for the first arguments, the others
 *                   staying as they are; or, if it is no tuple, the new first argument. A first
 *                   argument that is a tuple itself has to be wrapped in a tuple of one.
 * @param err      to fill on failure, with ntap_error_set() or by passing it on to what may fail;
 *                 never NULL. Left alone, the message names the layer.
 * @return NTAP_OK to go on; any other status stops the run at once, which then fails with that
 *         status and message. NTAP_ERROR_STOPPED is for hooks that have seen what they came for.
 */
typedef ntap_status (*ntap_hook_callback)(const ntap_hook_call *call, void *context,
                                          ntap_value **replacement, ntap_error *err);

/** A hook that was added to a layer; to remove it. */
typedef struct ntap_hook ntap_hook;

/**
 * Adds a forward hook, which runs after the layer (as `register_forward_hook`).
 *
 * It takes part in every run that begins from now on, of the module and of everything made from it,
 * until it is removed or the module is gone. Runs that are under way do not get it.
 *
 * @param module     safe to use from several threads at once, also while others run it
 * @param layer      a path, such as "layer2.0.conv1"; "" for the model itself
 * @param callback   the hook
 * @param context    handed to the callback; may be NULL
 * @param finalizer  called with @p context exactly once, when the hook can no longer be called and
 * no call of it is under way (one that removes itself may use its context until it returns): with a
 * handle after ntap_hook_remove(), without one when the module and everything made from it is gone.
 * It runs on whichever thread was the last to use the hook. May be NULL. If this call fails, it is
 * not called.
 * @param[out] hook  the handle, for ntap_hook_remove(), also after the module was freed: one that
 *                   is never removed leaks. NULL if the hook shall stay as long as the module.
 * @param err        filled on failure; may be NULL
 * @return NTAP_OK, or NTAP_ERROR_NOT_FOUND (no such layer, with near names; or nothing in the
 *         program calls it), NTAP_ERROR_UNSUPPORTED (the model cannot be instrumented)
 *
 * The first hook on a module looks through its whole program, which takes milliseconds (a second
 * for a scripted transformer of 24 layers). So does the first run with a new set of hooked layers,
 * whose program the module then keeps.
 */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_module_add_forward_hook(
    const ntap_module *module, const char *layer, ntap_hook_callback callback, void *context,
    ntap_finalizer finalizer, ntap_hook **hook, ntap_error *err);

/** Adds a forward pre-hook, which runs before the layer (as `register_forward_pre_hook`). As
 *  ntap_module_add_forward_hook(). */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_module_add_forward_pre_hook(
    const ntap_module *module, const char *layer, ntap_hook_callback callback, void *context,
    ntap_finalizer finalizer, ntap_hook **hook, ntap_error *err);

/**
 * Removes a hook and releases its handle, which is gone then. NULL is allowed; so is a hook whose
 * module was freed.
 *
 * No call of the hook begins after this returns, also in runs that are under way; one that has
 * begun in another thread may still be running. When the last hook is gone, the module runs exactly
 * as it did before. Safe from any thread, and inside hooks.
 */
NTAP_API void ntap_hook_remove(ntap_hook *hook);

/** @} */

#ifdef __cplusplus
}
#endif

#endif /* NEUROTAP_HOOK_H */
