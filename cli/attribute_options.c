#include "attribute_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "command_line.h"
#include "help.h"
#include "output_files.h"
#include "result_files.h"

static const struct option option_table[] = {
    ATTRIBUTION_OPTION_ROWS,
    {"output", required_argument, NULL, OPTION_OUTPUT},
    {"heatmap", required_argument, NULL, OPTION_HEATMAP},
    {NULL, 0, NULL, 0},
};

static int apply(int code, const char *value, void *attribute_options) {
    struct attribute_options *options = attribute_options;
    switch (code) {
    case OPTION_OUTPUT:
        options->outputs.items[options->outputs.count++] = value;
        return EXIT_CODE_OK;
    case OPTION_HEATMAP:
        return options_set_once("--heatmap", value, &options->heatmap);
    default:
        return attribution_options_apply(&options->attribution, code, value);
    }
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

/** The ending of a picture's format; .png only if it is asked for. */
static const char *picture_ending(const char *file, bool png) {
    static const char *const endings[] = {".png", ".jpg",  ".jpeg", ".gif", ".bmp",
                                          ".tif", ".tiff", ".webp", ".pdf", ".svg"};
    for (size_t i = png ? 0 : 1; i < sizeof endings / sizeof *endings; ++i) {
        size_t length = strlen(file), ending = strlen(endings[i]);
        if (length > ending && strcasecmp(file + length - ending, endings[i]) == 0) {
            return endings[i];
        }
    }
    return NULL;
}

/** Who names a picture wants one, and would get a file that no viewer opens. */
static int check_output_names(const struct text_list *outputs) {
    for (size_t i = 0; i < outputs->count; ++i) {
        const char *ending = picture_ending(outputs->items[i], true);
        if (ending != NULL) {
            return report_usage("--output '%s' would be numbers, .npy or .pt, not %s: a picture is "
                                "drawn by --heatmap FILE.png",
                                outputs->items[i], ending);
        }
    }
    return EXIT_CODE_OK;
}

static int check_results(const struct attribute_options *options) {
    size_t inputs = options->attribution.run.inputs.count, outputs = options->outputs.count;
    if (outputs == 0 && options->heatmap == NULL && !options->attribution.run.json) {
        return report_usage("give --output, --heatmap or --json for the result");
    }
    if (outputs != 0 && outputs != inputs) {
        return report_usage("%zu --output for %zu --input: give one for each", outputs, inputs);
    }
    if (outputs >= OUTPUT_FILES_MAX) {
        return report_usage("more than %d --output", OUTPUT_FILES_MAX - 1);
    }
    if (attribute_options_use_stdout(options)) {
        if (options->attribution.run.json) {
            return report_usage("standard output is for --json here, not for a file '-'");
        }
        if (isatty(STDOUT_FILENO)) {
            return report_usage("'-' would write binary data to the terminal");
        }
    }
    int code = check_output_names(&options->outputs);
    return code == EXIT_CODE_OK ? result_files_check_distinct(options) : code;
}

static int check_heatmap(const struct attribute_options *options) {
    const struct attribution_options *attribution = &options->attribution;
    const char *ending = options->heatmap != NULL ? picture_ending(options->heatmap, false) : NULL;
    if (ending != NULL) {
        return report_usage("--heatmap '%s' would be a PNG picture, not %s: expected FILE.png",
                            options->heatmap, ending);
    }
    if (options->heatmap == NULL || attribution_options_is_one_neuron(attribution)) {
        return EXIT_CODE_OK;
    }
    if (attribution->all_neurons) {
        return report_usage("--heatmap draws one neuron, not all: give its place in --neuron");
    }
    return report_usage("--heatmap draws one neuron, not %zu: give one --neuron",
                        attribution->neurons.count);
}

static int check(const struct attribute_options *options) {
    int code = attribution_options_check(&options->attribution);
    if (code == EXIT_CODE_OK) {
        code = check_results(options);
    }
    return code == EXIT_CODE_OK ? check_heatmap(options) : code;
}

static int init(int argc, struct attribute_options *options) {
    ntap_error err;
    memset(options, 0, sizeof *options);
    int code = attribution_options_init(&options->attribution, argc);
    if (code == EXIT_CODE_OK && text_list_init(&options->outputs, argc, &err) != NTAP_OK) {
        code = report_failure(&err);
    }
    return code;
}

int attribute_options_read(int argc, char **argv, struct attribute_options *options, bool *done) {
    static const struct command command = {"attribute", help_attribute, option_table, apply};
    *done = true;
    int code = init(argc, options);
    if (code == EXIT_CODE_OK) {
        code = command_line_read(&command, argc, argv, options, done);
    }
    if (!*done) {
        code = check(options);
        *done = code != EXIT_CODE_OK;
    }
    return code;
}

void attribute_options_free(struct attribute_options *options) {
    attribution_options_free(&options->attribution);
    free(options->outputs.items);
}
