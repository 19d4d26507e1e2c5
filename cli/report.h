/** How the program reports errors and ends: one line on standard error, and an exit code. */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include <neurotap/base.h>

enum exit_code { EXIT_CODE_OK = 0, EXIT_CODE_FAILED = 1, EXIT_CODE_USAGE = 2 };

/** Sets which command's help usage errors refer to; "" is the program itself. */
void report_set_command(const char *command);

/** Makes the functions below print `{"error": {"status": …, "message": …}}`. */
void report_set_json(void);

/** Reports that the work failed; returns EXIT_CODE_FAILED. */
int report_failure(const ntap_error *err);

/** Reports a wrong command line, with a pointer to the help; returns EXIT_CODE_USAGE. */
int report_usage(const char *format, ...) NTAP_PRINTF(1, 2);

/** Flushes standard output; a result that could not be written is a failure. Returns an exit
 *  code. */
int report_flush_output(void);

/** Fills @p err for an allocation that failed. */
ntap_status report_no_memory(ntap_error *err);

#endif
