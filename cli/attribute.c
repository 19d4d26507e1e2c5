#include "commands.h"

#include <stdlib.h>

#include "attribute_options.h"
#include "attribute_report.h"
#include "heatmap_tensor.h"
#include "inputs.h"
#include "output_files.h"
#include "tensor_file.h"

static ntap_status call_library(const struct attribute_options *options,
                                const struct inputs *inputs, const ntap_neuron_gradient *gradient,
                                ntap_tensor **gradients, ntap_error *err) {
    const ntap_tensor **tensors = calloc(inputs->count, sizeof *tensors);
    if (tensors == NULL) {
        return report_no_memory(err);
    }
    for (size_t i = 0; i < inputs->count; ++i) {
        tensors[i] = inputs->items[i].tensor;
    }
    ntap_attribute_options how = NTAP_ATTRIBUTE_OPTIONS_INIT;
    how.additional_arguments = (const ntap_value *const *)inputs->arguments;
    how.n_additional_arguments = inputs->n_arguments;
    how.call = options->call;
    how.unused_inputs = options->unused;
    ntap_status status = ntap_neuron_gradient_attribute(gradient, tensors, inputs->count,
                                                        options->selector, &how, gradients, err);
    free(tensors);
    return status;
}

static ntap_status attribute(const struct attribute_options *options, const struct inputs *inputs,
                             ntap_tensor **gradients, ntap_error *err) {
    ntap_module *module = NULL;
    ntap_neuron_gradient *gradient = NULL;
    ntap_neuron_gradient_options which = NTAP_NEURON_GRADIENT_OPTIONS_INIT;
    which.side = options->side;
    ntap_status status = model_load(&options->run, options->device, &module, err);
    if (status == NTAP_OK) {
        status = ntap_neuron_gradient_new(module, options->layer, &which, &gradient, err);
    }
    if (status == NTAP_OK) {
        status = call_library(options, inputs, gradient, gradients, err);
    }
    ntap_neuron_gradient_free(gradient);
    ntap_module_free(module);
    return status;
}

static ntap_status write_tensor(const ntap_tensor *tensor, const char *path, ntap_error *err) {
    const char *temporary;
    ntap_status status = output_files_start(path, &temporary, err);
    if (status != NTAP_OK) {
        return status;
    }
    return tensor_file_name_is_pt(path) ? ntap_tensor_write_pt(tensor, temporary, err)
                                        : ntap_tensor_write_npy(tensor, temporary, err);
}

static ntap_status write_heatmap(const struct attribute_options *options,
                                 const struct inputs *inputs, const ntap_tensor *gradient,
                                 ntap_error *err) {
    const char *temporary;
    ntap_status status = output_files_start(options->heatmap, &temporary, err);
    if (status != NTAP_OK) {
        return status;
    }
    const char *layer = *options->layer != '\0' ? options->layer : "(model)";
    return heatmap_write_tensors(&inputs->items[0], gradient, layer, options->neuron, temporary,
                                 err);
}

static ntap_status write_results(const struct attribute_options *options,
                                 const struct inputs *inputs, ntap_tensor *const *gradients,
                                 ntap_error *err) {
    ntap_status status = NTAP_OK;
    for (size_t i = 0; i < options->outputs.count && status == NTAP_OK; ++i) {
        status = write_tensor(gradients[i], options->outputs.items[i], err);
    }
    if (status == NTAP_OK && options->heatmap != NULL) {
        status = write_heatmap(options, inputs, gradients[0], err);
    }
    if (status == NTAP_OK) {
        status = output_files_publish(err);
    }
    output_files_discard();
    return status;
}

static ntap_status work(const struct attribute_options *options, const struct inputs *inputs,
                        ntap_error *err) {
    ntap_tensor **gradients = calloc(inputs->count, sizeof(ntap_tensor *));
    ntap_status status = gradients != NULL ? NTAP_OK : report_no_memory(err);
    if (status == NTAP_OK && options->heatmap != NULL) { /* before the long work, not after it */
        status = heatmap_check_input(&inputs->items[0], err);
    }
    if (status == NTAP_OK) {
        status = attribute(options, inputs, gradients, err);
    }
    if (status == NTAP_OK) {
        status = write_results(options, inputs, gradients, err);
    }
    if (status == NTAP_OK) {
        status = attribute_report_print(options, inputs, gradients, err);
    }
    for (size_t i = 0; i < inputs->count && gradients != NULL; ++i) {
        ntap_tensor_free(gradients[i]);
    }
    free(gradients);
    return status;
}

static int run(const struct attribute_options *options) {
    ntap_error err;
    struct inputs inputs;
    if (options->threads > 0 && ntap_set_num_threads((int)options->threads, &err) != NTAP_OK) {
        return report_failure(&err);
    }
    int code = inputs_load(&options->run, options->device, &inputs);
    if (code != EXIT_CODE_OK) {
        return code;
    }
    ntap_status status = work(options, &inputs, &err);
    inputs_free(&inputs);
    return status == NTAP_OK ? report_flush_output() : report_failure(&err);
}

int command_attribute(int argc, char **argv) {
    struct attribute_options options;
    bool done;
    int code = attribute_options_read(argc, argv, &options, &done);
    if (!done) {
        code = run(&options);
    }
    attribute_options_free(&options);
    return code;
}
