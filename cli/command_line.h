/** Reading a command's line, option by option. */
#ifndef CLI_COMMAND_LINE_H
#define CLI_COMMAND_LINE_H

#include <getopt.h>
#include <stdbool.h>

/** What a command makes of its command line. */
struct command {
    const char *name;
    const char *help;
    const struct option *table;
    int (*apply)(int code, const char *value, void *options); /**< returns an exit code */
};

/**
 * Applies each option and positional argument to the command's own @p options; reports what is
 * wrong.
 * @param[out] done  whether that was all: a mistake, or the help was asked for and printed
 * @return an exit code
 */
int command_line_read(const struct command *command, int argc, char **argv, void *options,
                      bool *done);

#endif
