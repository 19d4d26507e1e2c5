/** What 'neurotap attribute' says about its results. */
#ifndef CLI_ATTRIBUTE_REPORT_H
#define CLI_ATTRIBUTE_REPORT_H

#include "attribute_options.h"
#include "inputs.h"

/** Prints a summary for people, or JSON if the options ask for it. */
ntap_status attribute_report_print(const struct attribute_options *options,
                                   const struct inputs *inputs, ntap_tensor *const *gradients,
                                   ntap_error *err);

#endif
