/** Quoted text with Python's escapes. */
#ifndef CLI_ARGUMENT_STRING_H
#define CLI_ARGUMENT_STRING_H

#include <neurotap/base.h>

/**
 * Reads quoted text, "…" or '…'.
 * @param[in,out] at  points at the opening quote; on success behind the closing one, on failure at
 *                    what is wrong
 * @param[out] text   to be released with free()
 * @param[out] wrong  on failure: what is wrong; NULL if there is no memory
 * @return whether it succeeded
 */
int argument_string_parse(const char **at, char **text, const char **wrong);

#endif
