/** A model's layers and values as a tree for people. */
#ifndef CLI_LAYER_TABLE_H
#define CLI_LAYER_TABLE_H

#include <neurotap/neurotap.h>

#include "listing.h"

/** Describes a value in a new string, to be released with free(); NULL if there is no memory. */
char *describe_value(const ntap_value *value);

/** Prints the tree to standard output, with calls and outputs if the model was run. A dot leads to
 *  values. */
ntap_status layer_table_print(const struct listing *listing, ntap_error *err);

#endif
