#include <fcntl.h>
#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <neurotap/neurotap.h>

#include "commands.h"
#include "help.h"
#include "interrupt.h"
#include "report.h"
#include "suggestion.h"

static int print_version(void) {
    printf("neurotap %s (libtorch %s)\n", ntap_version(), ntap_torch_version());
    return report_flush_output();
}

static int print_help(void) {
    fputs(help_program, stdout);
    return report_flush_output();
}

/** Takes the places of closed standard streams, lest a file that is opened later gets one and what
 *  is meant for the stream with it. Using them still fails. */
static void occupy_standard_streams(void) {
    for (int stream = 0; stream <= 2; ++stream) {
        if (fcntl(stream, F_GETFD) == -1) {
            (void)!open("/dev/null", stream == 0 ? O_WRONLY : O_RDONLY);
        }
    }
}

/** Without a command all that is known of the line is whether errors are to be JSON. */
static int report_unknown(int argc, char **argv) {
    static const char *const words[] = {"layers", "attribute", "bench", "--help", "--version"};
    const char *word = argc > 1 ? argv[1] : "";
    struct suggestion suggestion;
    for (int i = 1; i < argc; ++i) {
        if (strcmp(argv[i], "--json") == 0) {
            report_set_json();
        }
    }
    if (*word == '\0') {
        return report_usage("a command is missing: layers, attribute or bench");
    }
    bool is_option = *word == '-';
    const char *kind = is_option ? "option" : "command";
    suggestion_start(&suggestion, word, strlen(word));
    for (size_t i = 0; i < sizeof words / sizeof *words; ++i) {
        suggestion_offer(&suggestion, words[i]);
    }
    if (suggestion.nearest != NULL) {
        return report_usage("there is no %s '%s'; did you mean '%s'?", kind, word,
                            suggestion.nearest);
    }
    return report_usage("there is no %s '%s'%s", kind, word,
                        is_option ? " before the command" : "");
}

static int run_command(int argc, char **argv) {
    const char *command = argc > 1 ? argv[1] : "";
    if (strcmp(command, "layers") == 0) {
        return command_layers(argc - 1, argv + 1);
    }
    if (strcmp(command, "attribute") == 0) {
        return command_attribute(argc - 1, argv + 1);
    }
    if (strcmp(command, "bench") == 0) {
        return command_bench(argc - 1, argv + 1);
    }
    if (strcmp(command, "--version") == 0) {
        return print_version();
    }
    if (strcmp(command, "--help") == 0 || strcmp(command, "-h") == 0) {
        return print_help();
    }
    return report_unknown(argc, argv);
}

int main(int argc, char **argv) {
    occupy_standard_streams();
    setlocale(LC_CTYPE, ""); /* not all: numbers keep their point */
    int code = run_command(argc, argv);
    interrupt_pass_on();
    return code;
}
