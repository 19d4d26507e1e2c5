#include "report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "text.h"

static const char *current_command = "";
static bool as_json = false;

void report_set_command(const char *command) { current_command = command; }

void report_set_json(void) { as_json = true; }

static bool print_json_line(ntap_status status, const char *message) {
    json_t *object = json_pack("{s:{s:s, s:o*}}", "error", "status", ntap_status_name(status),
                               "message", text_to_json(message));
    char *line = object != NULL ? json_dumps(object, JSON_COMPACT) : NULL;
    if (line != NULL) {
        fprintf(stderr, "%s\n", line);
    }
    free(line);
    json_decref(object);
    return line != NULL;
}

/** Messages may quote file names and model errors; neither may break the one line. */
static void print_text_line(const char *message) {
    char line[NTAP_ERROR_MESSAGE_SIZE + 64];
    snprintf(line, sizeof line, "%s", message);
    for (char *c = line; *c != '\0'; ++c) {
        if (text_is_control(*c)) {
            *c = ' ';
        }
    }
    fprintf(stderr, "neurotap: %s\n", line);
}

static void print_line(ntap_status status, const char *message) {
    if (!as_json || !print_json_line(status, message)) {
        print_text_line(message);
    }
}

int report_failure(const ntap_error *err) {
    print_line(err->code, err->message);
    return EXIT_CODE_FAILED;
}

int report_usage(const char *format, ...) {
    ntap_error reason;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason.message, sizeof reason.message, format, arguments);
    va_end(arguments);

    char message[NTAP_ERROR_MESSAGE_SIZE + 64];
    const char *space = *current_command != '\0' ? " " : "";
    snprintf(message, sizeof message, "%s (see 'neurotap%s%s --help')", reason.message, space,
             current_command);
    print_line(NTAP_ERROR_INVALID_ARGUMENT, message);
    return EXIT_CODE_USAGE;
}

int report_flush_output(void) {
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout)) {
        return EXIT_CODE_OK;
    }
    ntap_error err;
    ntap_error_set(&err, NTAP_ERROR_FILE, "cannot write standard output: %s",
                   errno != 0 ? strerror(errno) : "write error");
    return report_failure(&err);
}

ntap_status report_no_memory(ntap_error *err) {
    return ntap_error_set(err, NTAP_ERROR_OUT_OF_MEMORY, "out of memory");
}
