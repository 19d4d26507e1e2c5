#include "commands.h"

#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "command_line.h"
#include "help.h"
#include "inputs.h"
#include "json_output.h"
#include "layer_table.h"
#include "listing.h"
#include "options.h"
#include "text.h"

static const struct option option_table[] = {
    RUN_OPTION_ROWS, {"values", no_argument, NULL, OPTION_VALUES}, {NULL, 0, NULL, 0}};

struct layers_options {
    struct run_options run;
    bool values;
};

static json_t *outputs_to_json(const ntap_value *calls) {
    json_t *outputs = json_array();
    for (size_t i = 0; i < ntap_value_count(calls); ++i) {
        char *text = describe_value(ntap_value_item(calls, i));
        json_array_append_new(outputs, text != NULL ? text_to_json(text) : NULL);
        free(text);
    }
    return outputs;
}

static json_t *listed_to_json(const struct listed *item) {
    json_t *object = json_object();
    if (item->type != NULL) {
        json_object_set_new(object, "path", text_to_json(item->name));
        json_object_set_new(object, "type", text_to_json(item->type));
    } else {
        json_object_set_new(object, "name", text_to_json(item->name));
    }
    if (item->calls != NULL) {
        json_int_t n_calls = (json_int_t)ntap_value_count(item->calls);
        json_object_set_new(object, "calls", json_integer(n_calls));
        json_object_set_new(object, "outputs", outputs_to_json(item->calls));
    }
    return object;
}

static ntap_status print_json(const struct layers_options *options, const ntap_module *module,
                              const struct listing *listing, ntap_error *err) {
    json_t *document = json_object(), *layers = json_array(), *values = json_array();
    for (size_t i = 0; i < listing->count; ++i) {
        const struct listed *item = &listing->items[i];
        json_array_append_new(item->type != NULL ? layers : values, listed_to_json(item));
    }
    json_object_set_new(document, "model", text_to_json(options->run.model));
    json_object_set_new(document, "signature", text_to_json(ntap_module_signature(module)));
    json_object_set_new(document, "layers", layers);
    if (options->values) {
        json_object_set(document, "values", values);
    }
    json_decref(values);
    return json_output_print(document, err);
}

/** Whoever meets an empty tree has to learn that there is something behind it. */
static void print_hint(const ntap_module *module) {
    size_t n_values = 0;
    if (ntap_module_layer_count(module) == 1 &&
        ntap_module_value_count(module, &n_values, NULL) == NTAP_OK && n_values > 0) {
        puts("\nThis file has no layers (frozen?); its values: neurotap layers --values MODEL");
    }
}

static ntap_status print_text(const struct layers_options *options, const ntap_module *module,
                              const struct listing *listing, ntap_error *err) {
    printf("%s\n\n", ntap_module_signature(module));
    ntap_status status = layer_table_print(listing, err);
    if (status == NTAP_OK && !options->values) {
        print_hint(module);
    }
    return status;
}

static ntap_status list_layers(const struct layers_options *options, const struct inputs *inputs,
                               const ntap_module *module, ntap_error *err) {
    struct listing listing = {NULL, 0};
    ntap_status status = listing_fill(module, options->values, &listing, err);
    if (status == NTAP_OK && inputs->count + inputs->n_arguments > 0) {
        status = listing_run(module, inputs, &listing, err);
    }
    if (status == NTAP_OK) {
        status = options->run.json ? print_json(options, module, &listing, err)
                                   : print_text(options, module, &listing, err);
    }
    listing_free(&listing);
    return status;
}

static int run(const struct layers_options *options) {
    ntap_error err;
    ntap_device cpu = {NTAP_DEVICE_CPU, 0};
    struct inputs inputs;
    ntap_module *module = NULL;
    int code = run_options_check(&options->run);
    if (code == EXIT_CODE_OK) {
        code = inputs_load(&options->run, cpu, &inputs);
    }
    if (code != EXIT_CODE_OK) {
        return code;
    }
    ntap_status status = model_load(&options->run, cpu, &module, &err);
    if (status == NTAP_OK) {
        status = list_layers(options, &inputs, module, &err);
    }
    ntap_module_free(module);
    inputs_free(&inputs);
    return status == NTAP_OK ? report_flush_output() : report_failure(&err);
}

static int apply(int option, const char *value, void *layers_options) {
    struct layers_options *options = layers_options;
    if (option == OPTION_VALUES) {
        options->values = true;
        return EXIT_CODE_OK;
    }
    return run_options_apply(&options->run, option, value);
}

int command_layers(int argc, char **argv) {
    static const struct command command = {"layers", help_layers, option_table, apply};
    ntap_error err;
    struct layers_options options = {.values = false};
    bool done = true;
    int code = run_options_init(&options.run, argc, &err) == NTAP_OK
                   ? command_line_read(&command, argc, argv, &options, &done)
                   : report_failure(&err);
    if (!done) {
        code = run(&options);
    }
    run_options_free(&options.run);
    return code;
}
