/** What 'neurotap bench' found. */
#ifndef CLI_BENCH_REPORT_H
#define CLI_BENCH_REPORT_H

#include "attribution_options.h"

struct bench_result {
    double prepare_ms;
    double median_ms, min_ms, max_ms;
    size_t repeat;
    ntap_attribute_report means; /**< what the last run did */
};

/** Prints it for people, or as JSON if the options ask for it. */
ntap_status bench_report_print(const struct attribution_options *options,
                               const struct bench_result *result, ntap_error *err);

#endif
