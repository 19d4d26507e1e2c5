/**
 * @file module.h
 * @brief Modules: models loaded from TorchScript files, and their layers.
 *
 * A module is what Python's `torch.jit.script(model).save(path)` or `torch.jit.trace(...)` wrote.
 * No Python is needed to run it. Its layers are its submodules, named by dotted paths as in
 * Python's `named_modules()`: "layer2.0.conv1"; the empty path is the model itself. Layers are told
 * apart by instance: two layers of one class are two layers.
 */
#ifndef NEUROTAP_MODULE_H
#define NEUROTAP_MODULE_H

#include <neurotap/base.h>
#include <neurotap/value.h>

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup module Module
 *  @brief Loading, listing, running and moving models.
 *  @{ */

/** A loaded model. */
typedef struct ntap_module ntap_module;

/** How to load a module. */
typedef struct ntap_load_options {
    size_t struct_size; /**< sizeof(ntap_load_options) */
    ntap_device device; /**< where parameters, buffers and constants go; default: the CPU */
    int training;       /**< 0, the default: evaluation mode (dropout off, running batch-norm
                             statistics), whatever mode the file was saved in; 1: training mode */
    const char *method; /**< the method that runs the model; NULL: "forward". Others are those that
                             Python exported with `torch.jit.export`, such as "encode". */
} ntap_load_options;

/** All defaults. */
#define NTAP_LOAD_OPTIONS_INIT                                                                     \
    { sizeof(ntap_load_options), {NTAP_DEVICE_CPU, 0}, 0, NULL }

/**
 * Loads a TorchScript file (`torch::jit::load`).
 *
 * The file is checked before libtorch parses it: that it is a complete, consistent zip archive
 * holding a TorchScript program, that every tensor fits the record it is stored in, that nothing
 * expands without bound, and that nothing nests so deep as to exhaust the stack. libtorch trusts
 * files on these points. A model is still a program: load only models that you trust to run.
 *
 * @param path     the file
 * @param options  NULL for all defaults
 * @param[out] module  the module
 * @param err      filled on failure; may be NULL
 * @return NTAP_OK, or NTAP_ERROR_FILE (missing, truncated, malformed, or not TorchScript),
 *         NTAP_ERROR_NOT_FOUND (no such method), NTAP_ERROR_DEVICE, NTAP_ERROR_UNSUPPORTED (an
 * operator that this libtorch does not have, or a file format older than TorchScript),
 * NTAP_ERROR_OUT_OF_MEMORY, NTAP_ERROR_DEVICE_OUT_OF_MEMORY
 */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_module_load(const char *path,
                                                      const ntap_load_options *options,
                                                      ntap_module **module, ntap_error *err);

/** Loads a TorchScript file that is in memory already; @p data may be released afterwards. As
 *  ntap_module_load(). */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_module_load_memory(const void *data, size_t size,
                                                             const ntap_load_options *options,
                                                             ntap_module **module, ntap_error *err);

/** Releases the handle. What was made from the module (an ntap_neuron_gradient, for example) keeps
 *  working; handles of hooks are still to be given to ntap_hook_remove(). NULL is allowed. */
NTAP_API void ntap_module_free(ntap_module *module);

/** How many layers the module has, itself included: the paths that ntap_module_layer_name() lists.
 *  A layer that is reachable by two paths counts twice. */
NTAP_API size_t ntap_module_layer_count(const ntap_module *module);

/** The path of a layer, lent by the module: "" at index 0 (the model itself), then depth first, in
 *  the order of registration. NULL if there is no such index. */
NTAP_API const char *ntap_module_layer_name(const ntap_module *module, size_t index);

/** The Python class of a layer, lent by the module, such as "torch.nn.modules.conv.Conv2d"; "" for
 * a layer that is none of Python's (callback_module.h). NULL if there is no such index. */
NTAP_API const char *ntap_module_layer_type(const ntap_module *module, size_t index);

/**
 * How many named values the module's program computes, beside what its layers return: the results
 * of operators and functions, such as an addition or `F.relu`, wherever they hold tensors.
 *
 * What takes a layer's name takes a value's as well: neuron gradients, ntap_module_capture(),
 * hooks. They are the way into files that torch.jit.freeze made, whose layers are gone. A value's
 * name is the layer whose code computes it, a slash, and which operation of that code it is:
 * "layer1.0/add:1" is the first addition in the text of `layer1.0`, "softmax:2" the second softmax
 * in the model's own code, "encoder/attention:1/matmul:2" the second product in the function that
 * `encoder` calls first. The names depend on the file only, not on the version of libtorch.
 *
 * The word is the operator's or function's own, with the underscore of one that works in place:
 * "relu_:1". List them rather than guess.
 *
 * @param module      safe to use from several threads at once
 * @param[out] count  the number of values; those that are the result of a layer, or of the model,
 *                    are not counted
 * @param err         filled on failure; may be NULL
 * @return NTAP_OK, or NTAP_ERROR_UNSUPPORTED (the model cannot be instrumented)
 *
 * The first call looks through the whole program, which takes milliseconds (a second for a scripted
 * transformer of 24 layers).
 */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_module_value_count(const ntap_module *module,
                                                             size_t *count, ntap_error *err);

/** The name of a value, lent by the module, such as "layer1.0/add:1": layer by layer, in the order
 *  of the text.
 *  @return NTAP_OK, or as ntap_module_value_count(), and NTAP_ERROR_INVALID_ARGUMENT (no such
 *          index) */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_module_value_name(const ntap_module *module, size_t index,
                                                            const char **name, ntap_error *err);

/** The parameters of the model's `forward`, lent by the module, such as
 *  "forward(Tensor x, int n=3) -> Tensor". */
NTAP_API const char *ntap_module_signature(const ntap_module *module);

/**
 * Runs the model (`forward`) and gives its result, without recording gradients.
 *
 * It runs on the plain TorchScript interpreter; `print` statements in the model are left out. If
 * the model changes itself when it runs (batch statistics in training mode, counters), so does this
 * call, which must then not run in several threads at once; a model that draws random numbers
 * advances the process's generators.
 *
 * @param module  safe to use from several threads at once
 * @param args    @p n_args values, the model's parameters in order; defaults of its signature apply
 *                to what is left out. Their devices and dtypes are the model's business.
 * @param n_args  how many
 * @param[out] result  what the model returned; it may share memory with the arguments
 * @param err     filled on failure; may be NULL
 * @return NTAP_OK, or NTAP_ERROR_INVALID_ARGUMENT (an argument does not fit the signature; the
 *         message names the parameter), NTAP_ERROR_MODEL (the model raised an error),
 *         an out-of-memory status, or whatever a hook or forward function returned
 */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_module_forward(const ntap_module *module,
                                                         const ntap_value *const *args,
                                                         size_t n_args, ntap_value **result,
                                                         ntap_error *err);

/** Which side of a layer. */
typedef enum ntap_layer_side {
    NTAP_LAYER_OUTPUT = 0, /**< what the layer returns */
    NTAP_LAYER_INPUT = 1   /**< what the layer is called with: a tuple of all its arguments, those
                                passed by keyword and the defaults included */
} ntap_layer_side;

/**
 * Runs the model as far as needed and gives the values at some of its layers: their activations.
 *
 * Each captured value is what the layer received or returned at that moment, whatever in-place
 * operations did to it later. No gradients are recorded, and neither the module nor the arguments
 * nor any random number generator is changed.
 *
 * @param module    safe to use from several threads at once
 * @param layers    @p n_layers paths
 * @param n_layers  how many
 * @param side      which side of the layers
 * @param args      @p n_args values, as for ntap_module_forward()
 * @param n_args    how many
 * @param captured  room for @p n_layers values: for every layer a list with one item for each call,
 *                  in order; empty if the layer did not run. Each is the caller's to free, and may
 *                  share memory with the arguments and the module.
 * @param err       filled on failure; may be NULL
 * @return as ntap_module_forward(), and NTAP_ERROR_NOT_FOUND (no such layer; the message suggests
 *         near names), NTAP_ERROR_UNSUPPORTED (the model cannot be instrumented)
 *
 * The first call for a list of layers prepares a program, which the module keeps for later calls.
 */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_module_capture(
    const ntap_module *module, const char *const *layers, size_t n_layers, ntap_layer_side side,
    const ntap_value *const *args, size_t n_args, ntap_value **captured, ntap_error *err);

/**
 * Moves the parameters and buffers to a device, converts floating-point ones to a dtype, or both
 * (as Python's `module.to`). Everything made from the module follows. Not to be called while
 * another thread uses the module or anything made from it.
 *
 * Constants inside traced graphs stay where they are: PyTorch embeds devices and constants into
 * traces. ntap_load_options.device moves those too.
 *
 * @param module  not in use by another thread
 * @param device  NULL keeps the device
 * @param dtype   a floating-point type; NTAP_DTYPE_NONE keeps the types
 * @param err     filled on failure; may be NULL
 * @return NTAP_OK, or NTAP_ERROR_INVALID_ARGUMENT, NTAP_ERROR_DTYPE, NTAP_ERROR_DEVICE, or an
 *         out-of-memory status; on failure the module is as it was
 */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_module_to(ntap_module *module, const ntap_device *device,
                                                    ntap_dtype dtype, ntap_error *err);

/** @} */

#ifdef __cplusplus
}
#endif

#endif /* NEUROTAP_MODULE_H */
