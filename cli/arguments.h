/** The literals of --arg, in Python's notation. */
#ifndef CLI_ARGUMENTS_H
#define CLI_ARGUMENTS_H

#include <neurotap/neurotap.h>

/**
 * Reads a literal: `3`, `2.5`, `true`, `none`, `"text"`, `[1, 2]`, `(1, 2.0)`, `{"k": 1}`, and
 * `@file.npy` or `@file.pt` for a tensor; nested as you like.
 * @param device  where tensors go
 * @return NTAP_OK; NTAP_ERROR_INVALID_ARGUMENT for a wrong notation, with the position; whatever
 *         reading a file returned
 */
ntap_status argument_parse(const char *text, ntap_device device, ntap_value **value,
                           ntap_error *err);

#endif
