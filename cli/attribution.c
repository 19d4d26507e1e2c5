#include "attribution.h"

#include <stdlib.h>
#include <string.h>

/** Before inputs go there: an error about one of them would be misleading. */
static ntap_status check_devices(const struct attribution_options *options, ntap_error *err) {
    const int64_t none[] = {0};
    for (size_t i = 0; i < options->n_devices; ++i) {
        ntap_error reason;
        ntap_tensor *tensor = NULL;
        ntap_status status =
            ntap_tensor_empty(1, none, NTAP_DTYPE_FLOAT32, options->devices[i], &tensor, &reason);
        ntap_tensor_free(tensor);
        if (status != NTAP_OK) {
            return ntap_error_set(err, status, "--device: %s", reason.message);
        }
    }
    return NTAP_OK;
}

int attribution_read_inputs(const struct attribution_options *options, struct inputs *inputs) {
    ntap_error err;
    if (options->threads > 0 && ntap_set_num_threads((int)options->threads, &err) != NTAP_OK) {
        return report_failure(&err);
    }
    if (check_devices(options, &err) != NTAP_OK) {
        return report_failure(&err);
    }
    return inputs_load(&options->run, options->devices[0], inputs);
}

static ntap_status list_tensors(struct attribution *attribution, ntap_error *err) {
    const struct inputs *inputs = attribution->inputs;
    attribution->tensors = calloc(inputs->count, sizeof *attribution->tensors);
    if (attribution->tensors == NULL) {
        return report_no_memory(err);
    }
    for (size_t i = 0; i < inputs->count; ++i) {
        attribution->tensors[i] = inputs->items[i].tensor;
    }
    return NTAP_OK;
}

/** With several devices the module becomes one replica on each. */
static ntap_status load(const struct attribution_options *options, ntap_module **module,
                        ntap_error *err) {
    ntap_module *single = NULL;
    ntap_status status = model_load(&options->run, options->devices[0], &single, err);
    if (status == NTAP_OK && options->n_devices < 2) {
        *module = single;
        return NTAP_OK;
    }
    if (status == NTAP_OK) {
        status = ntap_module_new_data_parallel(single, options->devices, options->n_devices, NULL,
                                               module, err);
    }
    ntap_module_free(single);
    return status;
}

/** 'neurotap layers' shows (model) for the empty path. Where the library has no name to propose,
 * there is still the command that lists them. */
static void add_hint(const struct attribution_options *options, ntap_status status,
                     ntap_error *err) {
    if (status != NTAP_ERROR_NOT_FOUND) {
        return;
    }
    ntap_error unhinted = *err;
    const char *hint = "'neurotap layers --values MODEL' lists what there is";
    if (strcmp(options->layer, "(model)") == 0) {
        hint = "the model itself is --layer ''";
    } else if (strstr(unhinted.message, "did you mean") != NULL) {
        return;
    }
    (void)ntap_error_set(err, status, "%s; %s", unhinted.message, hint);
}

ntap_status attribution_prepare(const struct attribution_options *options,
                                const struct inputs *inputs, struct attribution *attribution,
                                ntap_error *err) {
    struct attribution made = {options, inputs, NULL, NULL, NULL};
    ntap_neuron_gradient_options which = NTAP_NEURON_GRADIENT_OPTIONS_INIT;
    which.side = options->side;
    ntap_status status = list_tensors(&made, err);
    if (status == NTAP_OK) {
        status = load(options, &made.module, err);
    }
    if (status == NTAP_OK) {
        status = ntap_neuron_gradient_new(made.module, options->layer, &which, &made.gradient, err);
        add_hint(options, status, err);
    }
    if (status != NTAP_OK) {
        attribution_free(&made);
        return status;
    }
    *attribution = made;
    return NTAP_OK;
}

/** One neuron has a function of its own, whose results have no dimension for neurons. */
static ntap_status call_library(const struct attribution *attribution,
                                const ntap_attribute_options *how, ntap_tensor **gradients,
                                ntap_error *err) {
    const struct attribution_options *options = attribution->options;
    const ntap_tensor *const *tensors = attribution->tensors;
    const ntap_selector *const *selectors = (const ntap_selector *const *)options->selectors;
    size_t n_inputs = attribution->inputs->count;
    if (options->all_neurons) {
        return ntap_neuron_gradient_attribute_all(attribution->gradient, tensors, n_inputs, how,
                                                  gradients, err);
    }
    if (attribution_options_is_one_neuron(options)) {
        return ntap_neuron_gradient_attribute(attribution->gradient, tensors, n_inputs,
                                              selectors[0], how, gradients, err);
    }
    return ntap_neuron_gradient_attribute_many(attribution->gradient, tensors, n_inputs, selectors,
                                               options->neurons.count, how, gradients, err);
}

ntap_status attribution_run(const struct attribution *attribution, ntap_progress_callback progress,
                            void *progress_context, ntap_attribute_report *report,
                            ntap_tensor **gradients, ntap_error *err) {
    const struct attribution_options *options = attribution->options;
    ntap_attribute_options how = NTAP_ATTRIBUTE_OPTIONS_INIT;
    how.additional_arguments = (const ntap_value *const *)attribution->inputs->arguments;
    how.n_additional_arguments = attribution->inputs->n_arguments;
    how.call = options->call;
    how.unused_inputs = options->unused;
    how.fast_paths = options->fast_paths;
    how.memory_limit = options->memory_limit;
    how.progress = progress;
    how.progress_context = progress_context;
    how.report = report;
    return call_library(attribution, &how, gradients, err);
}

void attribution_free(struct attribution *attribution) {
    ntap_neuron_gradient_free(attribution->gradient);
    ntap_module_free(attribution->module);
    free(attribution->tensors);
}
