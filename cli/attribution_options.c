#include "attribution_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

#define MAX_THREADS 256 /* more only slow each other down */

static int apply_neuron(const char *text, struct attribution_options *options) {
    ntap_error err;
    size_t i = options->neurons.count;
    bool all = strcmp(text, "all") == 0;
    if (i > 0 && (all || options->all_neurons)) {
        return report_usage("--neuron all is every neuron there is; give no other --neuron");
    }
    options->neurons.items[options->neurons.count++] = text;
    options->all_neurons = all;
    ntap_status status = all ? NTAP_OK : ntap_selector_parse(text, &options->selectors[i], &err);
    if (status == NTAP_ERROR_INVALID_ARGUMENT) {
        return report_usage("--neuron: %s", err.message);
    }
    return status == NTAP_OK ? EXIT_CODE_OK : report_failure(&err);
}

/** Chooses between two words; @p chosen becomes 0 or 1. */
static int apply_choice(const char *name, const char *text, const char *zero, const char *one,
                        int *chosen) {
    *chosen = strcmp(text, one) == 0;
    if (*chosen == 0 && strcmp(text, zero) != 0) {
        return report_usage("%s is %s or %s, not '%s'", name, zero, one, text);
    }
    return EXIT_CODE_OK;
}

static int apply_of(const char *text, struct attribution_options *options) {
    int input;
    int code = apply_choice("--of", text, "output", "input", &input);
    options->side = input ? NTAP_LAYER_INPUT : NTAP_LAYER_OUTPUT;
    return code;
}

static int apply_unused(const char *text, struct attribution_options *options) {
    int zero;
    int code = apply_choice("--unused", text, "error", "zero", &zero);
    options->unused = zero ? NTAP_UNUSED_INPUTS_ZERO : NTAP_UNUSED_INPUTS_ERROR;
    return code;
}

static int apply_fast_paths(const char *text, struct attribution_options *options) {
    int off;
    int code = apply_choice("--fast-paths", text, "auto", "off", &off);
    options->fast_paths = off ? NTAP_FAST_PATHS_OFF : NTAP_FAST_PATHS_AUTO;
    return code;
}

static int apply_call(const char *text, struct attribution_options *options) {
    if (!parse_integer(text, &options->call) || options->call == 0) {
        return report_usage("--call '%s' is not a number from 1 on, or from -1 backwards", text);
    }
    return EXIT_CODE_OK;
}

static int apply_memory_limit(const char *text, struct attribution_options *options) {
    if (!parse_bytes(text, &options->memory_limit)) {
        return report_usage("--memory-limit '%s' is not a number of bytes from 1 on, such as "
                            "500000, 64K, 512M or 2G",
                            text);
    }
    return EXIT_CODE_OK;
}

static int apply_one_device(const char *name, size_t length, struct attribution_options *options) {
    char text[32];
    ntap_error err;
    (void)snprintf(text, sizeof text, "%.*s", (int)(length < sizeof text ? length : sizeof text),
                   name);
    if (ntap_device_parse(text, &options->devices[options->n_devices], &err) != NTAP_OK) {
        return report_usage("--device: %s", err.message);
    }
    ++options->n_devices;
    return EXIT_CODE_OK;
}

static int apply_device(const char *text, struct attribution_options *options) {
    if (options->n_devices > 0) {
        return report_usage("--device given twice; several devices are a list, such as cpu,cpu");
    }
    for (const char *name = text;; ++name) {
        size_t length = strcspn(name, ",");
        if (options->n_devices == MAX_DEVICES) {
            return report_usage("--device names more than %d devices", MAX_DEVICES);
        }
        int code = apply_one_device(name, length, options);
        name += length;
        if (code != EXIT_CODE_OK || *name == '\0') {
            return code;
        }
    }
}

static int apply_threads(const char *text, struct attribution_options *options) {
    if (!parse_integer(text, &options->threads) || options->threads < 1 ||
        options->threads > MAX_THREADS) {
        return report_usage("--threads '%s' is not a number from 1 to %d", text, MAX_THREADS);
    }
    return EXIT_CODE_OK;
}

int attribution_options_apply(struct attribution_options *options, int code, const char *value) {
    switch (code) {
    case OPTION_LAYER:
        return options_set_once("--layer", value, &options->layer);
    case OPTION_NEURON:
        return apply_neuron(value, options);
    case OPTION_OF:
        return apply_of(value, options);
    case OPTION_CALL:
        return apply_call(value, options);
    case OPTION_UNUSED:
        return apply_unused(value, options);
    case OPTION_FAST_PATHS:
        return apply_fast_paths(value, options);
    case OPTION_MEMORY_LIMIT:
        return apply_memory_limit(value, options);
    case OPTION_DEVICE:
        return apply_device(value, options);
    case OPTION_THREADS:
        return apply_threads(value, options);
    default:
        return run_options_apply(&options->run, code, value);
    }
}

int attribution_options_check(const struct attribution_options *options) {
    int code = run_options_check(&options->run);
    if (code != EXIT_CODE_OK) {
        return code;
    }
    if (options->layer == NULL) {
        return report_usage("--layer is missing; 'neurotap layers MODEL' lists the layers");
    }
    if (options->neurons.count == 0) {
        return report_usage("--neuron is missing");
    }
    if (options->run.inputs.count == 0) {
        return report_usage("--input is missing");
    }
    return EXIT_CODE_OK;
}

int attribution_options_init(struct attribution_options *options, int argc) {
    ntap_error err;
    memset(options, 0, sizeof *options);
    ntap_status status = run_options_init(&options->run, argc, &err);
    if (status == NTAP_OK) {
        status = text_list_init(&options->neurons, argc, &err);
    }
    options->selectors = calloc((size_t)argc, sizeof(ntap_selector *));
    if (status == NTAP_OK && options->selectors == NULL) {
        status = report_no_memory(&err);
    }
    return status == NTAP_OK ? EXIT_CODE_OK : report_failure(&err);
}

void attribution_options_free(struct attribution_options *options) {
    for (size_t i = 0; i < options->neurons.count && options->selectors != NULL; ++i) {
        ntap_selector_free(options->selectors[i]);
    }
    free(options->selectors);
    free(options->neurons.items);
    run_options_free(&options->run);
}

const char *attribution_options_layer_name(const struct attribution_options *options) {
    return *options->layer != '\0' ? options->layer : "(model)";
}

bool attribution_options_is_one_neuron(const struct attribution_options *options) {
    return options->neurons.count == 1 && !options->all_neurons;
}

void attribution_options_to_json(const struct attribution_options *options, json_t *object) {
    json_t *neurons = json_array();
    for (size_t i = 0; i < options->neurons.count; ++i) {
        json_array_append_new(neurons, text_to_json(options->neurons.items[i]));
    }
    json_object_set_new(object, "model", text_to_json(options->run.model));
    json_object_set_new(object, "layer", text_to_json(options->layer));
    if (options->neurons.count == 1) {
        json_object_set_new(object, "neuron", text_to_json(options->neurons.items[0]));
    }
    json_object_set_new(object, "neurons", neurons);
    json_object_set_new(object, "of",
                        json_string(options->side == NTAP_LAYER_INPUT ? "input" : "output"));
}
