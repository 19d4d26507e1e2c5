/* Neuron gradients: making them, and checking what they are asked for. */
#include "attribution.h"

#include <stdlib.h>
#include <string.h>

struct ntap_neuron_gradient {
    capi_program **programs; /* one for each replica */
    size_t n_programs;
    ntapi_replica_threads *threads; /* of a data-parallel module, else NULL */
    char layer[];                   /* its path, for messages */
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

static ntap_status make_programs(const ntap_module *module, const char *layer, ntap_layer_side side,
                                 ntap_neuron_gradient *gradient, ntap_error *err) {
    const size_t n_replicas = ntap_module_replica_count(module);
    const size_t count = n_replicas == 0 ? 1 : n_replicas;
    gradient->programs = (capi_program **)calloc(count, sizeof(capi_program *));
    if (gradient->programs == NULL)
        return ntap_error_set(err, NTAP_ERROR_OUT_OF_MEMORY, "out of memory");
    for (; gradient->n_programs < count; ++gradient->n_programs)
        NTAPI_TRY(capi_program_new(
            n_replicas == 0 ? module : capi_module_replica(module, gradient->n_programs), &layer, 1,
            side, &gradient->programs[gradient->n_programs], err));
    if (n_replicas > 0)
        gradient->threads =
            ntapi_replica_threads_hold((ntapi_replica_threads *)capi_module_threads(module));
    return NTAP_OK;
}

static ntap_status make(const ntap_module *module, const char *layer, ntap_layer_side side,
                        ntap_neuron_gradient *gradient, ntap_error *err) {
    NTAPI_TRY(ntapi_require_layers(module, &layer, 1, err));
    memcpy(gradient->layer, layer, strlen(layer) + 1);
    NTAPI_TRY(make_programs(module, layer, side, gradient, err));
    NTAPI_TRY(require_site(gradient->programs[0], layer, err));
    return require_gradient(gradient->programs[0], layer, err);
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
    for (size_t i = 0; i < gradient->n_programs; ++i)
        capi_program_free(gradient->programs[i]);
    free(gradient->programs);
    if (gradient->threads != NULL)
        ntapi_replica_threads_release(gradient->threads);
    free(gradient);
}

/* ---- attributing ---- */

static ntap_status check_additional_arguments(const ntapi_attribution *a) {
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

static ntap_status check(const ntapi_attribution *a) {
    const int unused = (int)a->options.unused_inputs;
    const int fast_paths = (int)a->options.fast_paths;
    if (a->n_inputs == 0)
        return ntap_error_set(a->err, NTAP_ERROR_INVALID_ARGUMENT,
                              "n_inputs is 0; expected at least 1");
    if (unused != NTAP_UNUSED_INPUTS_ERROR && unused != NTAP_UNUSED_INPUTS_ZERO)
        return ntap_error_set(a->err, NTAP_ERROR_INVALID_ARGUMENT,
                              "options.unused_inputs is %d; expected NTAP_UNUSED_INPUTS_ERROR or "
                              "NTAP_UNUSED_INPUTS_ZERO",
                              unused);
    if (fast_paths != NTAP_FAST_PATHS_AUTO && fast_paths != NTAP_FAST_PATHS_OFF)
        return ntap_error_set(a->err, NTAP_ERROR_INVALID_ARGUMENT,
                              "options.fast_paths is %d; expected NTAP_FAST_PATHS_AUTO or "
                              "NTAP_FAST_PATHS_OFF",
                              fast_paths);
    return check_additional_arguments(a);
}

static ntap_status check_report(const ntapi_attribution *a) {
    const ntap_attribute_report *report = a->options.report;
    if (report != NULL && report->struct_size < sizeof report->struct_size)
        return ntap_error_set(a->err, NTAP_ERROR_INVALID_ARGUMENT,
                              "options.report->struct_size is %zu; start with "
                              "NTAP_ATTRIBUTE_REPORT_INIT",
                              report->struct_size);
    return NTAP_OK;
}

/* Callers that were compiled against an older header have room for less. */
static void write_report(const ntapi_attribution *a) {
    ntap_attribute_report *report = a->options.report;
    if (report == NULL)
        return;
    const size_t size = report->struct_size;
    memcpy(report, &a->report, size < sizeof *report ? size : sizeof *report);
    report->struct_size = size;
}

/* The caller's array is written when nothing can fail any more. */
static ntap_status attribute(const ntap_neuron_gradient *gradient, ntapi_attribution *a,
                             const ntap_attribute_options *options, ntap_tensor **grads) {
    a->options = (ntap_attribute_options)NTAP_ATTRIBUTE_OPTIONS_INIT;
    a->report = (ntap_attribute_report)NTAP_ATTRIBUTE_REPORT_INIT;
    NTAPI_REQUIRE(grads, a->err);
    NTAPI_TRY(ntapi_options_read(&a->options, sizeof a->options, options, a->err));
    NTAPI_TRY(check(a));
    NTAPI_TRY(check_report(a));
    if (gradient->threads != NULL)
        NTAPI_TRY(ntapi_attribute_by_replicas(a, gradient->programs, gradient->threads, grads));
    else
        NTAPI_TRY(ntapi_attribute(a, grads));
    write_report(a);
    return NTAP_OK;
}

ntap_status ntap_neuron_gradient_attribute(const ntap_neuron_gradient *gradient,
                                           const ntap_tensor *const *inputs, size_t n_inputs,
                                           const ntap_selector *selector,
                                           const ntap_attribute_options *options,
                                           ntap_tensor **grads, ntap_error *err) {
    NTAPI_REQUIRE(gradient, err);
    NTAPI_REQUIRE(inputs, err);
    NTAPI_REQUIRE(selector, err);
    ntapi_attribution a = {
        gradient->programs[0], gradient->layer, inputs, n_inputs, &selector, 1, 0, .err = err};
    return attribute(gradient, &a, options, grads);
}

ntap_status ntap_neuron_gradient_attribute_many(const ntap_neuron_gradient *gradient,
                                                const ntap_tensor *const *inputs, size_t n_inputs,
                                                const ntap_selector *const *selectors,
                                                size_t n_selectors,
                                                const ntap_attribute_options *options,
                                                ntap_tensor **grads, ntap_error *err) {
    NTAPI_REQUIRE(gradient, err);
    NTAPI_REQUIRE(inputs, err);
    NTAPI_REQUIRE(selectors, err);
    if (n_selectors == 0)
        return ntap_error_set(err, NTAP_ERROR_INVALID_ARGUMENT,
                              "n_selectors is 0; expected at least 1");
    for (size_t i = 0; i < n_selectors; ++i)
        if (selectors[i] == NULL)
            return ntap_error_set(err, NTAP_ERROR_INVALID_ARGUMENT, "selectors[%zu] is NULL", i);
    ntapi_attribution a = {gradient->programs[0],
                           gradient->layer,
                           inputs,
                           n_inputs,
                           selectors,
                           n_selectors,
                           1,
                           .err = err};
    return attribute(gradient, &a, options, grads);
}

ntap_status ntap_neuron_gradient_attribute_all(const ntap_neuron_gradient *gradient,
                                               const ntap_tensor *const *inputs, size_t n_inputs,
                                               const ntap_attribute_options *options,
                                               ntap_tensor **grads, ntap_error *err) {
    NTAPI_REQUIRE(gradient, err);
    NTAPI_REQUIRE(inputs, err);
    ntapi_attribution a = {
        gradient->programs[0], gradient->layer, inputs, n_inputs, NULL, 0, 1, .err = err};
    return attribute(gradient, &a, options, grads);
}
