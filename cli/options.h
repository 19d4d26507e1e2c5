/** Reading the command line: what all commands share. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <neurotap/neurotap.h>

#include "report.h"

enum option_code {
    OPTION_END = -1,
    OPTION_POSITIONAL = 1, /**< getopt's own code for an argument that is no option */
    OPTION_HELP = 'h',
    OPTION_MISTAKE = '?', /**< reported already */
    OPTION_JSON = 256,
    OPTION_INPUT,
    OPTION_ARG,
    OPTION_MEAN,
    OPTION_STD,
    OPTION_SIZE,
    OPTION_METHOD,
    OPTION_VALUES,
    OPTION_LAYER,
    OPTION_NEURON,
    OPTION_OF,
    OPTION_CALL,
    OPTION_UNUSED,
    OPTION_FAST_PATHS,
    OPTION_MEMORY_LIMIT,
    OPTION_DEVICE,
    OPTION_THREADS,
    OPTION_OUTPUT,
    OPTION_HEATMAP,
    OPTION_REPEAT
};

/** The rows of a command's option table that run_options_apply() understands. */
/* clang-format off */
#define RUN_OPTION_ROWS                                                                            \
    {"help", no_argument, NULL, OPTION_HELP},                                                      \
    {"json", no_argument, NULL, OPTION_JSON},                                                      \
    {"input", required_argument, NULL, OPTION_INPUT},                                              \
    {"arg", required_argument, NULL, OPTION_ARG},                                                  \
    {"mean", required_argument, NULL, OPTION_MEAN},                                                \
    {"std", required_argument, NULL, OPTION_STD},                                                  \
    {"size", required_argument, NULL, OPTION_SIZE},                                                \
    {"method", required_argument, NULL, OPTION_METHOD}
/* clang-format on */

/** Texts lent by argv. */
struct text_list {
    const char **items;
    size_t count;
};

#define IMAGE_MAX_CHANNELS 3

/** Numbers for the channels of an image: none, one for all, or one for each. */
struct channel_numbers {
    double items[IMAGE_MAX_CHANNELS];
    size_t count;
};

/** How an image becomes a tensor. */
struct image_options {
    struct channel_numbers mean, std;
    int64_t shorter_edge;  /**< 0 if not given */
    int64_t height, width; /**< 0 if not given */
};

/** What it takes to run a model. */
struct run_options {
    const char *model;
    const char *method; /**< NULL: forward */
    struct text_list inputs;
    struct text_list arguments;
    struct image_options image;
    bool json;
};

/** Makes room for at most @p argc texts in each list. */
ntap_status run_options_init(struct run_options *options, int argc, ntap_error *err);
void run_options_free(struct run_options *options);

/** Applies one of the shared options, or a positional argument. Returns an exit code. */
int run_options_apply(struct run_options *options, int code, const char *value);

/** Sets a text that may be given once. Returns an exit code. */
int options_set_once(const char *name, const char *text, const char **place);

/** Checks what can only be checked at the end. Returns an exit code. */
int run_options_check(const struct run_options *options);

/** Makes room for texts; free() the items. */
ntap_status text_list_init(struct text_list *list, int room, ntap_error *err);

/** Whether the image options ask for anything. */
bool image_options_are_set(const struct image_options *options);

/** Reads a whole text as an integer. */
bool parse_integer(const char *text, int64_t *number);

/** Reads a number of bytes from 1 on, with K, M or G for units of 1024 behind it. */
bool parse_bytes(const char *text, uint64_t *bytes);

/** Reads what is before @p stop as a finite decimal number. */
bool parse_decimal(const char *text, const char *stop, double *number);

#endif
