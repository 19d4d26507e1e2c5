/** The files that 'neurotap attribute' writes, as opposed to those that it reads. */
#ifndef CLI_RESULT_FILES_H
#define CLI_RESULT_FILES_H

#include <stddef.h>

#include "attribute_options.h"
#include "inputs.h"

/** The outputs, then the heatmap; NULL behind the last. */
const char *result_file(const struct attribute_options *options, size_t i);

/** Refuses to write one file twice. Returns an exit code. */
int result_files_check_distinct(const struct attribute_options *options);

/** Refuses to write over what was read. Returns an exit code. */
int result_files_check_sources(const struct attribute_options *options,
                               const struct inputs *inputs);

#endif
