/** Fields: grids of numbers, and what it takes to show one at another size. */
#ifndef CLI_FIELD_H
#define CLI_FIELD_H

#include <stdbool.h>
#include <stddef.h>

#include <neurotap/base.h>

/** Numbers in rows from the top. */
struct field {
    size_t height, width;
    double *values;
};

ntap_status field_allocate(size_t height, size_t width, struct field *field, ntap_error *err);

void field_free(struct field *field);

/** Sets NaN and infinities to 0; returns how many there were. */
size_t field_drop_non_finite(struct field *field);

/** A rectangle of cells. */
struct box {
    size_t top, left, height, width;
};

/** The smallest rectangle around all cells that are not 0; false if there are none. */
bool field_support(const struct field *field, struct box *box);

/** Copies a rectangle. */
ntap_status field_crop(const struct field *field, const struct box *box, struct field *cropped,
                       ntap_error *err);

/** Averages over the area that each new cell covers; enlarging by a whole number repeats cells. */
ntap_status field_resample(const struct field *field, size_t height, size_t width,
                           struct field *resampled, ntap_error *err);

/** Smooths with a Gaussian. At the edges the weights inside are rescaled. */
ntap_status field_smooth(struct field *field, double sigma, ntap_error *err);

/** The 99.5th percentile of the magnitudes that are not 0; 0 if there are none. */
ntap_status field_robust_maximum(const struct field *field, double *maximum, ntap_error *err);

#endif
