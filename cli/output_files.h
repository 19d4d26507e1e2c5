/**
 * Files that appear whole or not at all: each is written under a temporary name, and all get their
 * names when everything has succeeded. A signal that ends the program removes what is unfinished.
 */
#ifndef CLI_OUTPUT_FILES_H
#define CLI_OUTPUT_FILES_H

#include <neurotap/base.h>

/** How many files one run can write. */
#define OUTPUT_FILES_MAX 64

/**
 * Starts a file.
 * @param path  "-" is standard output
 * @param[out] temporary  an existing empty file to write the contents into; lent
 */
ntap_status output_files_start(const char *path, const char **temporary, ntap_error *err);

/** Gives all started files their names. */
ntap_status output_files_publish(ntap_error *err);

/** Removes what has been started and not published. */
void output_files_discard(void);

#endif
