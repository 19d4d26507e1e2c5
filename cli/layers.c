#include "commands.h"

#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "help.h"
#include "inputs.h"
#include "json_output.h"
#include "layer_table.h"
#include "options.h"
#include "text.h"

static const struct option option_table[] = {RUN_OPTION_ROWS, {NULL, 0, NULL, 0}};

/** Appends the inputs and then the arguments: what the model is called with. */
static ntap_status collect_values(const struct inputs *inputs, ntap_value **values,
                                  ntap_error *err) {
    for (size_t i = 0; i < inputs->count; ++i) {
        ntap_status status = ntap_value_new_tensor(inputs->items[i].tensor, &values[i], err);
        if (status != NTAP_OK) {
            return status;
        }
    }
    for (size_t i = 0; i < inputs->n_arguments; ++i) {
        ntap_status status =
            ntap_value_clone(inputs->arguments[i], &values[inputs->count + i], err);
        if (status != NTAP_OK) {
            return status;
        }
    }
    return NTAP_OK;
}

static void free_values(ntap_value **values, size_t count) {
    for (size_t i = 0; i < count && values != NULL; ++i) {
        ntap_value_free(values[i]);
    }
    free(values);
}

static ntap_status capture_all(const ntap_module *module, ntap_value *const *arguments,
                               size_t n_arguments, ntap_value **calls, ntap_error *err) {
    size_t count = ntap_module_layer_count(module);
    const char **paths = calloc(count, sizeof *paths);
    if (paths == NULL) {
        return report_no_memory(err);
    }
    for (size_t i = 0; i < count; ++i) {
        paths[i] = ntap_module_layer_name(module, i);
    }
    ntap_status status =
        ntap_module_capture(module, paths, count, NTAP_LAYER_OUTPUT,
                            (const ntap_value *const *)arguments, n_arguments, calls, err);
    free(paths);
    return status;
}

/** Runs the model; gives for each layer the list of its outputs. */
static ntap_status run_model(const ntap_module *module, const struct inputs *inputs,
                             ntap_value ***calls, ntap_error *err) {
    size_t n_arguments = inputs->count + inputs->n_arguments;
    ntap_value **arguments = calloc(n_arguments, sizeof *arguments);
    ntap_value **outputs = calloc(ntap_module_layer_count(module), sizeof *outputs);
    ntap_status status = arguments != NULL && outputs != NULL
                             ? collect_values(inputs, arguments, err)
                             : report_no_memory(err);
    if (status == NTAP_OK) {
        status = capture_all(module, arguments, n_arguments, outputs, err);
    }
    free_values(arguments, n_arguments);
    if (status != NTAP_OK) {
        free(outputs);
        return status;
    }
    *calls = outputs;
    return NTAP_OK;
}

static json_t *outputs_to_json(const ntap_value *calls) {
    json_t *outputs = json_array();
    for (size_t i = 0; i < ntap_value_count(calls); ++i) {
        char *text = describe_value(ntap_value_item(calls, i));
        json_array_append_new(outputs, text != NULL ? text_to_json(text) : NULL);
        free(text);
    }
    return outputs;
}

static json_t *layer_to_json(const ntap_module *module, size_t i, const ntap_value *calls) {
    json_t *layer = json_object();
    json_object_set_new(layer, "path", text_to_json(ntap_module_layer_name(module, i)));
    json_object_set_new(layer, "type", text_to_json(ntap_module_layer_type(module, i)));
    if (calls != NULL) {
        json_object_set_new(layer, "calls", json_integer((json_int_t)ntap_value_count(calls)));
        json_object_set_new(layer, "outputs", outputs_to_json(calls));
    }
    return layer;
}

static ntap_status print_json(const char *model, const ntap_module *module,
                              ntap_value *const *calls, ntap_error *err) {
    json_t *document = json_object(), *layers = json_array();
    for (size_t i = 0; i < ntap_module_layer_count(module); ++i) {
        json_array_append_new(layers, layer_to_json(module, i, calls != NULL ? calls[i] : NULL));
    }
    json_object_set_new(document, "model", text_to_json(model));
    json_object_set_new(document, "signature", text_to_json(ntap_module_signature(module)));
    json_object_set_new(document, "layers", layers);
    return json_output_print(document, err);
}

static ntap_status list_layers(const struct run_options *options, const struct inputs *inputs,
                               const ntap_module *module, ntap_error *err) {
    ntap_value **calls = NULL;
    ntap_status status = NTAP_OK;
    if (inputs->count + inputs->n_arguments > 0) {
        status = run_model(module, inputs, &calls, err);
    }
    if (status == NTAP_OK && options->json) {
        status = print_json(options->model, module, calls, err);
    } else if (status == NTAP_OK) {
        printf("%s\n\n", ntap_module_signature(module));
        status = layer_table_print(module, calls, err);
    }
    free_values(calls, ntap_module_layer_count(module));
    return status;
}

static int run(const struct run_options *options) {
    ntap_error err;
    ntap_device cpu = {NTAP_DEVICE_CPU, 0};
    struct inputs inputs;
    ntap_module *module = NULL;
    int code = run_options_check(options);
    if (code == EXIT_CODE_OK) {
        code = inputs_load(options, cpu, &inputs);
    }
    if (code != EXIT_CODE_OK) {
        return code;
    }
    ntap_status status = model_load(options->model, cpu, &module, &err);
    if (status == NTAP_OK) {
        status = list_layers(options, &inputs, module, &err);
    }
    ntap_module_free(module);
    inputs_free(&inputs);
    return status == NTAP_OK ? report_flush_output() : report_failure(&err);
}

static int read_options_and_run(int argc, char **argv, struct run_options *options) {
    int option;
    while ((option = options_next(argc, argv, option_table)) != OPTION_END) {
        if (option == OPTION_HELP) {
            fputs(help_layers, stdout);
            return report_flush_output();
        }
        int code = run_options_apply(options, option, optarg);
        if (code != EXIT_CODE_OK) {
            return code;
        }
    }
    return run(options);
}

int command_layers(int argc, char **argv) {
    ntap_error err;
    struct run_options options;
    report_set_command("layers");
    options_look_for_json(argc, argv, option_table);
    int code = run_options_init(&options, argc, &err) == NTAP_OK
                   ? read_options_and_run(argc, argv, &options)
                   : report_failure(&err);
    run_options_free(&options);
    return code;
}
