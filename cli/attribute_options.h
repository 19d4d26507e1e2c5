/** The command line of 'neurotap attribute'. */
#ifndef CLI_ATTRIBUTE_OPTIONS_H
#define CLI_ATTRIBUTE_OPTIONS_H

#include "attribution_options.h"

struct attribute_options {
    struct attribution_options attribution;
    struct text_list outputs;
    const char *heatmap; /**< NULL: none */
};

/**
 * Reads and checks the options; reports what is wrong.
 * @param[out] done  whether that was all: a mistake, or the help was asked for and printed
 * @return an exit code
 */
int attribute_options_read(int argc, char **argv, struct attribute_options *options, bool *done);

void attribute_options_free(struct attribute_options *options);

/** Whether standard output carries a result's bytes, which leaves no room for words. */
bool attribute_options_use_stdout(const struct attribute_options *options);

#endif
