#include "command_line.h"

#include <stdio.h>
#include <string.h>

#include "options.h"
#include "report.h"
#include "suggestion.h"

/** '-': arguments that are no options come in order; ':': mistakes are told apart, not printed. */
static const char SHORT_OPTIONS[] = "-:h";

/** Where reading has come to. */
struct line {
    int argc;
    char **argv;
    const struct option *table;
    bool only_arguments; /**< behind "--" */
};

/** Turns on JSON errors if `--json` is anywhere on the command line, so that mistakes before it are
 *  reported in JSON too. */
static void look_for_json(const struct line *line) {
    int code;
    opterr = 0;
    optind = 0;
    while ((code = getopt_long(line->argc, line->argv, SHORT_OPTIONS, line->table, NULL)) !=
           OPTION_END) {
        if (code == OPTION_JSON) {
            report_set_json();
        }
    }
    optind = 0;
}

static int mistaken(const char *text) {
    if (optopt == OPTION_HELP || optopt >= OPTION_JSON) {
        report_usage("option '%.*s' takes no value", (int)strcspn(text, "="), text);
    } else {
        report_usage("there is no option '-%c'", optopt);
    }
    return OPTION_MISTAKE;
}

static int unknown(const char *text, const struct option *table) {
    struct suggestion suggestion;
    suggestion_start(&suggestion, text + 2, strcspn(text + 2, "="));
    for (; table->name != NULL; ++table) {
        suggestion_offer(&suggestion, table->name);
    }
    if (suggestion.nearest != NULL) {
        report_usage("there is no option '%s'; did you mean '--%s'?", text, suggestion.nearest);
    } else {
        report_usage("there is no option '%s'", text);
    }
    return OPTION_MISTAKE;
}

/** Whether a text is a long option that is not in the table. getopt takes abbreviations, which
 * would become ambiguous with the next option that is added. */
static bool is_unknown(const char *text, const struct option *table) {
    const char *name = text + 2;
    if (strncmp(text, "--", 2) != 0 || *name == '\0') {
        return false;
    }
    size_t length = strcspn(name, "=");
    for (; table->name != NULL; ++table) {
        if (strncmp(name, table->name, length) == 0 && table->name[length] == '\0') {
            return false;
        }
    }
    return true;
}

/** The next option, its value in optarg; reports what is wrong with it. */
static int next_option(struct line *line) {
    int next = optind > 0 ? optind : 1;
    if (!line->only_arguments && next < line->argc && is_unknown(line->argv[next], line->table)) {
        return unknown(line->argv[next], line->table);
    }
    int code = OPTION_END;
    if (!line->only_arguments) { /* getopt would forget that there was "--" */
        code = getopt_long(line->argc, line->argv, SHORT_OPTIONS, line->table, NULL);
        line->only_arguments = code == OPTION_END;
    }
    if (code == OPTION_END && optind < line->argc) {
        optarg = line->argv[optind++];
        return OPTION_POSITIONAL;
    }
    if (code == ':') {
        report_usage("option '%s' needs a value", line->argv[optind - 1]);
        return OPTION_MISTAKE;
    }
    return code == '?' ? mistaken(line->argv[optind - 1]) : code;
}

int command_line_read(const struct command *command, int argc, char **argv, void *options,
                      bool *done) {
    int option, code = EXIT_CODE_OK;
    struct line line = {argc, argv, command->table, false};
    *done = true;
    report_set_command(command->name);
    look_for_json(&line);
    while (code == EXIT_CODE_OK && (option = next_option(&line)) != OPTION_END) {
        if (option == OPTION_HELP) {
            fputs(command->help, stdout);
            return report_flush_output();
        }
        code = command->apply(option, optarg, options);
    }
    *done = code != EXIT_CODE_OK;
    return code;
}
