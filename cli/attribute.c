#include "commands.h"

#include <stdlib.h>

#include "attribute_options.h"
#include "attribute_report.h"
#include "attribution.h"
#include "heatmap_tensor.h"
#include "interrupt.h"
#include "output_files.h"
#include "progress.h"
#include "result_files.h"
#include "tensor_file.h"

static ntap_status attribute(const struct attribution_options *options, const struct inputs *inputs,
                             ntap_tensor **gradients, ntap_error *err) {
    struct attribution attribution;
    struct progress progress;
    ntap_status status = attribution_prepare(options, inputs, &attribution, err);
    if (status != NTAP_OK) {
        return status;
    }
    interrupt_catch();
    progress_start(&progress, "gradients");
    status = attribution_run(&attribution, progress_update, &progress, NULL, gradients, err);
    progress_stop(&progress);
    interrupt_release();
    attribution_free(&attribution);
    return interrupt_check(status, err);
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
    const struct attribution_options *attribution = &options->attribution;
    return heatmap_write_tensors(&inputs->items[0], gradient,
                                 attribution_options_layer_name(attribution),
                                 attribution->neurons.items[0], temporary, err);
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
        status = attribute(&options->attribution, inputs, gradients, err);
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
    int code = attribution_read_inputs(&options->attribution, &inputs);
    if (code != EXIT_CODE_OK) {
        return code;
    }
    code = result_files_check_sources(options, &inputs);
    if (code == EXIT_CODE_OK) {
        ntap_status status = work(options, &inputs, &err);
        code = status == NTAP_OK ? report_flush_output() : report_failure(&err);
    }
    inputs_free(&inputs);
    return code;
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
