/* Neuron gradients: run to the layer, select, differentiate. */
#include "internal.h"

#include <neurotap/neuron_gradient.h>

#include <stdlib.h>
#include <string.h>

struct ntap_neuron_gradient {
    capi_program *program;
    char layer[]; /* its path, for messages */
};

/* ---- making ---- */

static ntap_status require_site(const capi_program *program, const char *layer, ntap_error *err) {
    if (capi_program_site_count(program, 0) > 0)
        return NTAP_OK;
    return ntapi_layer_never_called(layer, err);
}

static ntap_status require_gradient(const capi_program *program, const char *layer,
                                    ntap_error *err) {
    const char *name = capi_program_operator_without_gradient(program);
    if (name == NULL)
        return NTAP_OK;
    return ntap_error_set(err, NTAP_ERROR_UNSUPPORTED,
                          "layer '%s' cannot be differentiated: the model computes it with the "
                          "operator '%s', which has no gradient",
                          layer, name);
}

static ntap_status make(const ntap_module *module, const char *layer, ntap_layer_side side,
                        ntap_neuron_gradient *gradient, ntap_error *err) {
    NTAPI_TRY(ntapi_require_layers(module, &layer, 1, err));
    NTAPI_TRY(capi_program_new(module, &layer, 1, side, &gradient->program, err));
    memcpy(gradient->layer, layer, strlen(layer) + 1);
    NTAPI_TRY(require_site(gradient->program, layer, err));
    return require_gradient(gradient->program, layer, err);
}

ntap_status ntap_neuron_gradient_new(const ntap_module *module, const char *layer,
                                     const ntap_neuron_gradient_options *options,
                                     ntap_neuron_gradient **gradient, ntap_error *err) {
    ntap_neuron_gradient_options read = NTAP_NEURON_GRADIENT_OPTIONS_INIT;
    NTAPI_REQUIRE(module, err);
    NTAPI_REQUIRE(layer, err);
    NTAPI_REQUIRE(gradient, err);
    NTAPI_TRY(ntapi_options_read(&read, sizeof read, options, err));
    NTAPI_TRY(ntapi_require_side(read.side, err));
    ntap_neuron_gradient *made =
        (ntap_neuron_gradient *)calloc(1, sizeof *made + strlen(layer) + 1);
    if (made == NULL)
        return ntap_error_set(err, NTAP_ERROR_OUT_OF_MEMORY, "out of memory");
    const ntap_status status = make(module, layer, read.side, made, err);
    if (status != NTAP_OK) {
        ntap_neuron_gradient_free(made);
        return status;
    }
    *gradient = made;
    return NTAP_OK;
}

void ntap_neuron_gradient_free(ntap_neuron_gradient *gradient) {
    if (gradient == NULL)
        return;
    capi_program_free(gradient->program);
    free(gradient);
}

/* ---- attributing ---- */

/* One attribute call, handed from step to step. */
typedef struct attribution {
    const ntap_neuron_gradient *gradient;
    const ntap_tensor *const *inputs;
    size_t n_inputs;
    const ntap_selector *selector;
    ntap_attribute_options options;
    ntap_error *err;
} attribution;

/* From the option's numbering (0 last, 1 first, -1 last) to an index. */
static ntap_status find_call(const attribution *a, size_t count, size_t *index) {
    const char *layer = a->gradient->layer;
    const int64_t call = a->options.call == 0 ? -1 : a->options.call;
    if (count == 0)
        return ntap_error_set(a->err, NTAP_ERROR_NOT_FOUND, "layer '%s' did not run for this input",
                              layer);
    const int64_t calls = (int64_t)count;
    if (call > calls || call < -calls)
        return ntap_error_set(a->err, NTAP_ERROR_NOT_FOUND,
                              "call %lld of layer '%s' does not exist: it was called %zu %s",
                              (long long)call, layer, count, count == 1 ? "time" : "times");
    *index = (size_t)(call > 0 ? call - 1 : calls + call);
    return NTAP_OK;
}

/* Undefined gradients are an error, or zeros. */
static ntap_status fill_unused(const attribution *a, ntap_tensor **grads) {
    for (size_t i = 0; i < a->n_inputs; ++i) {
        if (grads[i] != NULL)
            continue;
        if (a->options.unused_inputs == NTAP_UNUSED_INPUTS_ERROR)
            return ntap_error_set(a->err, NTAP_ERROR_AUTOGRAD,
                                  "the selected neuron of layer '%s' does not depend on inputs[%zu]"
                                  "; pass it as an additional argument, or ask for zeros in place "
                                  "of unused inputs",
                                  a->gradient->layer, i);
        NTAPI_TRY(capi_tensor_zeros_like(a->inputs[i], &grads[i], a->err));
    }
    return NTAP_OK;
}

/* Inputs that are only added, say, have one gradient; each caller's tensor is its own all the same.
 */
static ntap_status separate(const attribution *a, ntap_tensor **grads) {
    for (size_t i = 1; i < a->n_inputs; ++i) {
        for (size_t j = 0; j < i; ++j) {
            if (!capi_tensor_shares_memory(grads[i], grads[j]))
                continue;
            ntap_tensor *own = NULL;
            NTAPI_TRY(ntap_tensor_clone(grads[i], &own, a->err));
            ntap_tensor_free(grads[i]);
            grads[i] = own;
            break;
        }
    }
    return NTAP_OK;
}

static ntap_status differentiate(const attribution *a, const capi_run *run,
                                 const ntapi_selection *selection, ntap_tensor **grads) {
    NTAPI_TRY(capi_run_gradient(run, selection->output, selection->seed, grads, a->err));
    NTAPI_TRY(fill_unused(a, grads));
    return separate(a, grads);
}

static ntap_status select_and_differentiate(const attribution *a, const capi_run *run,
                                            const ntap_value *layer_value, ntap_tensor **grads) {
    ntapi_selection selection = {NULL, NULL, NULL};
    const int64_t batch = ntap_tensor_size(a->inputs[0], 0);
    NTAPI_TRY(
        ntapi_select(a->selector, layer_value, a->gradient->layer, batch, &selection, a->err));
    const ntap_status status = differentiate(a, run, &selection, grads);
    ntapi_selection_clear(&selection);
    return status;
}

static ntap_status attribute_run(const attribution *a, const capi_run *run, ntap_tensor **grads) {
    size_t call = 0;
    ntap_value *layer_value = NULL;
    NTAPI_TRY(find_call(a, capi_run_call_count(run, 0), &call));
    NTAPI_TRY(capi_run_value(run, 0, call, &layer_value, a->err));
    const ntap_status status = select_and_differentiate(a, run, layer_value, grads);
    ntap_value_free(layer_value);
    return status;
}

static ntap_status attribute(const attribution *a, ntap_tensor **grads) {
    capi_run *run = NULL;
    NTAPI_TRY(capi_run_new(a->gradient->program, a->inputs, a->n_inputs,
                           a->options.additional_arguments, a->options.n_additional_arguments, &run,
                           a->err));
    const ntap_status status = attribute_run(a, run, grads);
    capi_run_free(run);
    return status;
}

static ntap_status check_additional_arguments(const attribution *a) {
    const ntap_value *const *arguments = a->options.additional_arguments;
    for (size_t i = 0; i < a->options.n_additional_arguments; ++i) {
        if (arguments == NULL)
            return ntap_error_set(a->err, NTAP_ERROR_INVALID_ARGUMENT,
                                  "options.additional_arguments is NULL, but "
                                  "n_additional_arguments is %zu",
                                  a->options.n_additional_arguments);
        if (arguments[i] == NULL)
            return ntap_error_set(a->err, NTAP_ERROR_INVALID_ARGUMENT,
                                  "options.additional_arguments[%zu] is NULL", i);
    }
    return NTAP_OK;
}

static ntap_status check(const attribution *a) {
    const int unused = (int)a->options.unused_inputs;
    if (a->n_inputs == 0)
        return ntap_error_set(a->err, NTAP_ERROR_INVALID_ARGUMENT,
                              "n_inputs is 0; expected at least 1");
    if (unused != NTAP_UNUSED_INPUTS_ERROR && unused != NTAP_UNUSED_INPUTS_ZERO)
        return ntap_error_set(a->err, NTAP_ERROR_INVALID_ARGUMENT,
                              "options.unused_inputs is %d; expected NTAP_UNUSED_INPUTS_ERROR or "
                              "NTAP_UNUSED_INPUTS_ZERO",
                              unused);
    return check_additional_arguments(a);
}

/* The caller's array is written when nothing can fail any more. */
static ntap_status attribute_all_or_nothing(const attribution *a, ntap_tensor **grads) {
    ntap_tensor **made = (ntap_tensor **)calloc(a->n_inputs, sizeof(ntap_tensor *));
    if (made == NULL)
        return ntap_error_set(a->err, NTAP_ERROR_OUT_OF_MEMORY, "out of memory");
    const ntap_status status = attribute(a, made);
    if (status == NTAP_OK)
        memcpy(grads, made, a->n_inputs * sizeof(ntap_tensor *));
    for (size_t i = 0; status != NTAP_OK && i < a->n_inputs; ++i)
        ntap_tensor_free(made[i]);
    free(made);
    return status;
}

ntap_status ntap_neuron_gradient_attribute(const ntap_neuron_gradient *gradient,
                                           const ntap_tensor *const *inputs, size_t n_inputs,
                                           const ntap_selector *selector,
                                           const ntap_attribute_options *options,
                                           ntap_tensor **grads, ntap_error *err) {
    ntap_attribute_options read = NTAP_ATTRIBUTE_OPTIONS_INIT;
    NTAPI_REQUIRE(gradient, err);
    NTAPI_REQUIRE(inputs, err);
    NTAPI_REQUIRE(selector, err);
    NTAPI_REQUIRE(grads, err);
    NTAPI_TRY(ntapi_options_read(&read, sizeof read, options, err));
    const attribution a = {gradient, inputs, n_inputs, selector, read, err};
    NTAPI_TRY(check(&a));
    return attribute_all_or_nothing(&a, grads);
}
