#define _XOPEN_SOURCE 700 /* realpath */

#include "attribute_options.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "help.h"
#include "output_files.h"

#define MAX_THREADS 256 /* more only slow each other down */

static const struct option option_table[] = {
    RUN_OPTION_ROWS,
    {"layer", required_argument, NULL, OPTION_LAYER},
    {"neuron", required_argument, NULL, OPTION_NEURON},
    {"of", required_argument, NULL, OPTION_OF},
    {"call", required_argument, NULL, OPTION_CALL},
    {"unused", required_argument, NULL, OPTION_UNUSED},
    {"device", required_argument, NULL, OPTION_DEVICE},
    {"threads", required_argument, NULL, OPTION_THREADS},
    {"output", required_argument, NULL, OPTION_OUTPUT},
    {"heatmap", required_argument, NULL, OPTION_HEATMAP},
    {NULL, 0, NULL, 0},
};

static int apply_neuron(const char *text, struct attribute_options *options) {
    ntap_error err;
    if (options->neuron != NULL) {
        return report_usage("one --neuron for now; run again for another");
    }
    options->neuron = text;
    ntap_status status = ntap_selector_parse(text, &options->selector, &err);
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

static int apply_of(const char *text, struct attribute_options *options) {
    int input;
    int code = apply_choice("--of", text, "output", "input", &input);
    options->side = input ? NTAP_LAYER_INPUT : NTAP_LAYER_OUTPUT;
    return code;
}

static int apply_unused(const char *text, struct attribute_options *options) {
    int zero;
    int code = apply_choice("--unused", text, "error", "zero", &zero);
    options->unused = zero ? NTAP_UNUSED_INPUTS_ZERO : NTAP_UNUSED_INPUTS_ERROR;
    return code;
}

static int apply_call(const char *text, struct attribute_options *options) {
    if (!parse_integer(text, &options->call) || options->call == 0) {
        return report_usage("--call '%s' is not a number from 1 on, or from -1 backwards", text);
    }
    return EXIT_CODE_OK;
}

static int apply_device(const char *text, struct attribute_options *options) {
    ntap_error err;
    if (strchr(text, ',') != NULL || options->device_given) {
        return report_usage("one --device for now, not '%s' too", text);
    }
    options->device_given = true;
    if (ntap_device_parse(text, &options->device, &err) != NTAP_OK) {
        return report_usage("--device: %s", err.message);
    }
    return EXIT_CODE_OK;
}

static int apply_threads(const char *text, struct attribute_options *options) {
    if (!parse_integer(text, &options->threads) || options->threads < 1 ||
        options->threads > MAX_THREADS) {
        return report_usage("--threads '%s' is not a number from 1 to %d", text, MAX_THREADS);
    }
    return EXIT_CODE_OK;
}

static int apply(int code, const char *value, struct attribute_options *options) {
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
    case OPTION_DEVICE:
        return apply_device(value, options);
    case OPTION_THREADS:
        return apply_threads(value, options);
    case OPTION_OUTPUT:
        options->outputs.items[options->outputs.count++] = value;
        return EXIT_CODE_OK;
    case OPTION_HEATMAP:
        return options_set_once("--heatmap", value, &options->heatmap);
    default:
        return run_options_apply(&options->run, code, value);
    }
}

/** The files to write: the outputs, then the heatmap; NULL behind the last. */
static const char *result_file(const struct attribute_options *options, size_t i) {
    if (i < options->outputs.count) {
        return options->outputs.items[i];
    }
    return i == options->outputs.count ? options->heatmap : NULL;
}

bool attribute_options_use_stdout(const struct attribute_options *options) {
    const char *file;
    for (size_t i = 0; (file = result_file(options, i)) != NULL; ++i) {
        if (strcmp(file, "-") == 0) {
            return true;
        }
    }
    return false;
}

/** The folder of a path as the system knows it; false if there is none. */
static bool canonical_folder(const char *path, char *folder) {
    char text[PATH_MAX] = ".";
    const char *slash = strrchr(path, '/');
    size_t length = slash == NULL ? 0 : (size_t)(slash - path) + 1;
    if (length >= sizeof text) {
        return false;
    }
    if (length > 0) {
        memcpy(text, path, length);
        text[length] = '\0';
    }
    return realpath(text, folder) != NULL;
}

/** Whether two paths name one file, which may not exist yet. */
static bool is_same_file(const char *a, const char *b) {
    char folder_a[PATH_MAX], folder_b[PATH_MAX];
    const char *name_a = strrchr(a, '/') != NULL ? strrchr(a, '/') + 1 : a;
    const char *name_b = strrchr(b, '/') != NULL ? strrchr(b, '/') + 1 : b;
    return strcmp(a, b) == 0 || (strcmp(name_a, name_b) == 0 && canonical_folder(a, folder_a) &&
                                 canonical_folder(b, folder_b) && strcmp(folder_a, folder_b) == 0);
}

static int check_distinct(const struct attribute_options *options) {
    const char *file, *other;
    for (size_t i = 0; (file = result_file(options, i)) != NULL; ++i) {
        for (size_t j = 0; j < i; ++j) {
            other = result_file(options, j);
            if (is_same_file(file, other)) {
                return report_usage("'%s' is to be written twice", file);
            }
        }
    }
    return EXIT_CODE_OK;
}

static int check_results(const struct attribute_options *options) {
    size_t inputs = options->run.inputs.count, outputs = options->outputs.count;
    if (outputs == 0 && options->heatmap == NULL && !options->run.json) {
        return report_usage("give --output, --heatmap or --json for the result");
    }
    if (outputs != 0 && outputs != inputs) {
        return report_usage("%zu --output for %zu --input: give one for each", outputs, inputs);
    }
    if (outputs >= OUTPUT_FILES_MAX) {
        return report_usage("more than %d --output", OUTPUT_FILES_MAX - 1);
    }
    if (attribute_options_use_stdout(options)) {
        if (options->run.json) {
            return report_usage("standard output is for --json here, not for a file '-'");
        }
        if (isatty(STDOUT_FILENO)) {
            return report_usage("'-' would write binary data to the terminal");
        }
    }
    return check_distinct(options);
}

static int check(const struct attribute_options *options) {
    int code = run_options_check(&options->run);
    if (code != EXIT_CODE_OK) {
        return code;
    }
    if (options->layer == NULL) {
        return report_usage("--layer is missing; 'neurotap layers MODEL' lists the layers");
    }
    if (options->neuron == NULL) {
        return report_usage("--neuron is missing");
    }
    if (options->run.inputs.count == 0) {
        return report_usage("--input is missing");
    }
    return check_results(options);
}

static int init(int argc, struct attribute_options *options) {
    ntap_error err;
    ntap_status status = run_options_init(&options->run, argc, &err);
    if (status == NTAP_OK) {
        status = text_list_init(&options->outputs, argc, &err);
    }
    return status == NTAP_OK ? EXIT_CODE_OK : report_failure(&err);
}

int attribute_options_read(int argc, char **argv, struct attribute_options *options, bool *done) {
    int option;
    memset(options, 0, sizeof *options);
    *done = true;
    report_set_command("attribute");
    options_look_for_json(argc, argv, option_table);
    int code = init(argc, options);
    while (code == EXIT_CODE_OK &&
           (option = options_next(argc, argv, option_table)) != OPTION_END) {
        if (option == OPTION_HELP) {
            fputs(help_attribute, stdout);
            return report_flush_output();
        }
        code = apply(option, optarg, options);
    }
    if (code == EXIT_CODE_OK) {
        code = check(options);
        *done = code != EXIT_CODE_OK;
    }
    return code;
}

void attribute_options_free(struct attribute_options *options) {
    ntap_selector_free(options->selector);
    run_options_free(&options->run);
    free(options->outputs.items);
}
