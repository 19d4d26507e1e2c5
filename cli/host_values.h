/** A tensor's elements as plain numbers, and a summary of them. */
#ifndef CLI_HOST_VALUES_H
#define CLI_HOST_VALUES_H

#include <stdbool.h>

#include <neurotap/neurotap.h>

/** Copies the elements, in C order and from any device, as doubles: two for a complex one. free()
 *  them. */
ntap_status host_values(const ntap_tensor *tensor, double **values, size_t *count, ntap_error *err);

struct summary {
    bool is_complex;   /**< no order, so no extremes */
    bool has_extremes; /**< false as well if there are no elements */
    double min, max;
    double sum, sum_imaginary;
};

/** NaN anywhere makes everything NaN, as in NumPy. */
ntap_status summarise(const ntap_tensor *tensor, struct summary *summary, ntap_error *err);

#endif
