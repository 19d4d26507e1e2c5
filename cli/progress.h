/** A line on the terminal that shows how far long work is. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct progress {
    const char *things;    /**< what is counted */
    bool visible;          /**< standard error is a terminal that this program has to itself */
    double started, drawn; /**< in seconds */
    size_t width;          /**< of the line on the terminal; 0 if there is none */
};

/** Before the work. */
void progress_start(struct progress *progress, const char *things);

/**
 * Shows that @p done of @p total things are there, once the work has taken a while. It is an
 * ntap_progress_callback.
 * @param context  the struct progress
 * @return whether Ctrl-C was pressed: the work is to stop
 */
int progress_update(int64_t done, int64_t total, void *context);

/** After the work: the line disappears. */
void progress_stop(struct progress *progress);

#endif
