/** The literals of --arg, in Python's notation. */
#ifndef CLI_ARGUMENTS_H
#define CLI_ARGUMENTS_H

#include <neurotap/neurotap.h>

/** Files that were read for arguments. */
struct argument_files {
    char **paths;
    size_t count;
};

void argument_files_free(struct argument_files *files);

/**
 * Reads a literal: `3`, `2.5`, `true`, `none`, `"text"`, `[1, 2]`, `(1, 2.0)`, `{"k": 1}`, and
 * `@file.npy` or `@file.pt` for a tensor; nested as you like.
 * @param device  where tensors go
 * @param[in,out] files  gets the files that were read
 * @return NTAP_OK; NTAP_ERROR_INVALID_ARGUMENT for a wrong notation, with the position; whatever
 *         reading a file returned
 */
ntap_status argument_parse(const char *text, ntap_device device, struct argument_files *files,
                           ntap_value **value, ntap_error *err);

#endif
