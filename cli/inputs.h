/** What a model is called with: the files and literals of the command line. */
#ifndef CLI_INPUTS_H
#define CLI_INPUTS_H

#include <neurotap/neurotap.h>

#include "arguments.h"
#include "options.h"
#include "picture.h"

/** One --input. */
struct input {
    const char *name;
    ntap_tensor *tensor;    /**< what the model gets */
    struct picture picture; /**< what an image looks like; no planes if the file is not one */
};

struct inputs {
    struct input *items;
    size_t count;
    ntap_value **arguments; /**< of --arg */
    size_t n_arguments;
    struct argument_files argument_files;
};

/** Reads everything. Reports what fails; returns an exit code. */
int inputs_load(const struct run_options *options, ntap_device device, struct inputs *inputs);

void inputs_free(struct inputs *inputs);

/** Loads the model from its file or standard input, with the method that runs it. */
ntap_status model_load(const struct run_options *options, ntap_device device, ntap_module **module,
                       ntap_error *err);

#endif
