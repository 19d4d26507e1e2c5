/** A model's layers as a tree for people. */
#ifndef CLI_LAYER_TABLE_H
#define CLI_LAYER_TABLE_H

#include <neurotap/neurotap.h>

/** Describes a value in a new string, to be released with free(); NULL if there is no memory. */
char *describe_value(const ntap_value *value);

/**
 * Prints the tree to standard output.
 * @param calls  for each layer the list of its calls' outputs; NULL if the model was not run
 */
ntap_status layer_table_print(const ntap_module *module, ntap_value *const *calls, ntap_error *err);

#endif
