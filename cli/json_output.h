/** JSON on standard output. */
#ifndef CLI_JSON_OUTPUT_H
#define CLI_JSON_OUTPUT_H

#include <jansson.h>

#include <neurotap/base.h>

/** Prints a document in one line and releases it. */
ntap_status json_output_print(json_t *document, ntap_error *err);

#endif
