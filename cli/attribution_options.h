/** Reading the command line: what is attributed, and how; for all commands that attribute. */
#ifndef CLI_ATTRIBUTION_OPTIONS_H
#define CLI_ATTRIBUTION_OPTIONS_H

#include <jansson.h>

#include "options.h"

/** The rows of a command's option table that attribution_options_apply() understands. */
/* clang-format off */
#define ATTRIBUTION_OPTION_ROWS                                                                    \
    RUN_OPTION_ROWS,                                                                               \
    {"layer", required_argument, NULL, OPTION_LAYER},                                              \
    {"neuron", required_argument, NULL, OPTION_NEURON},                                            \
    {"of", required_argument, NULL, OPTION_OF},                                                    \
    {"call", required_argument, NULL, OPTION_CALL},                                                \
    {"unused", required_argument, NULL, OPTION_UNUSED},                                            \
    {"fast-paths", required_argument, NULL, OPTION_FAST_PATHS},                                    \
    {"memory-limit", required_argument, NULL, OPTION_MEMORY_LIMIT},                                \
    {"device", required_argument, NULL, OPTION_DEVICE},                                            \
    {"threads", required_argument, NULL, OPTION_THREADS}
/* clang-format on */

enum { MAX_DEVICES = 64 };

struct attribution_options {
    struct run_options run;
    const char *layer;
    struct text_list neurons;  /**< as given */
    ntap_selector **selectors; /**< one for each of them, unless all neurons are wanted */
    bool all_neurons;          /**< '--neuron all', which is alone */
    ntap_layer_side side;
    int64_t call; /**< 0: the last */
    ntap_unused_inputs unused;
    ntap_fast_paths fast_paths;
    uint64_t memory_limit;            /**< 0: as the library likes */
    ntap_device devices[MAX_DEVICES]; /**< the first is where inputs go */
    size_t n_devices;                 /**< 0: the CPU */
    int64_t threads;                  /**< 0: as libtorch likes */
};

/** Makes room for at most @p argc texts in each list. Reports what fails; returns an exit code. */
int attribution_options_init(struct attribution_options *options, int argc);
void attribution_options_free(struct attribution_options *options);

/** Applies one of the shared options, or a positional argument. Returns an exit code. */
int attribution_options_apply(struct attribution_options *options, int code, const char *value);

/** Checks what can only be checked at the end. Returns an exit code. */
int attribution_options_check(const struct attribution_options *options);

/** The layer, in words. */
const char *attribution_options_layer_name(const struct attribution_options *options);

/** Whether one neuron is wanted, the result then having no dimensions for neurons. */
bool attribution_options_is_one_neuron(const struct attribution_options *options);

/** Adds what is attributed to a JSON object. */
void attribution_options_to_json(const struct attribution_options *options, json_t *object);

#endif
