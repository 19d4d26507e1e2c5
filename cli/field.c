#include "field.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

static size_t count_cells(const struct field *field) { return field->height * field->width; }

ntap_status field_allocate(size_t height, size_t width, struct field *field, ntap_error *err) {
    double *values = calloc(height * width, sizeof *values);
    if (values == NULL) {
        return report_no_memory(err);
    }
    *field = (struct field){height, width, values};
    return NTAP_OK;
}

void field_free(struct field *field) {
    free(field->values);
    field->values = NULL;
}

size_t field_drop_non_finite(struct field *field) {
    size_t dropped = 0;
    for (size_t i = 0; i < count_cells(field); ++i) {
        if (!isfinite(field->values[i])) {
            field->values[i] = 0;
            ++dropped;
        }
    }
    return dropped;
}

/** A row or column of a field. */
struct line {
    double *values;
    size_t count, step;
};

static void resample_line(struct line from, struct line to) {
    double ratio = (double)from.count / (double)to.count;
    for (size_t i = 0; i < to.count; ++i) {
        /* Whole numbers up to the division, so that exact multiples stay exact. */
        double start = (double)(i * from.count) / (double)to.count;
        double stop = (double)((i + 1) * from.count) / (double)to.count;
        double sum = 0;
        for (size_t j = (size_t)start; j < from.count && (double)j < stop; ++j) {
            double covered = fmin(stop, (double)(j + 1)) - fmax(start, (double)j);
            sum += covered * from.values[j * from.step];
        }
        to.values[i * to.step] = sum / ratio;
    }
}

ntap_status field_resample(const struct field *field, size_t height, size_t width,
                           struct field *resampled, ntap_error *err) {
    struct field rows = {0}; /* the new width, the old height */
    ntap_status status = field_allocate(field->height, width, &rows, err);
    if (status == NTAP_OK) {
        status = field_allocate(height, width, resampled, err);
    }
    if (status != NTAP_OK) {
        field_free(&rows);
        return status;
    }
    for (size_t y = 0; y < field->height; ++y) {
        resample_line((struct line){field->values + y * field->width, field->width, 1},
                      (struct line){rows.values + y * width, width, 1});
    }
    for (size_t x = 0; x < width; ++x) {
        resample_line((struct line){rows.values + x, field->height, width},
                      (struct line){resampled->values + x, height, width});
    }
    field_free(&rows);
    return NTAP_OK;
}

static void smooth_line(struct line line, const double *weights, size_t reach, double *copy) {
    for (size_t i = 0; i < line.count; ++i) {
        copy[i] = line.values[i * line.step];
    }
    for (size_t i = 0; i < line.count; ++i) {
        size_t first = i > reach ? i - reach : 0;
        size_t last = i + reach < line.count ? i + reach : line.count - 1;
        double sum = 0, total = 0;
        for (size_t j = first; j <= last; ++j) {
            double weight = weights[j > i ? j - i : i - j];
            sum += weight * copy[j];
            total += weight;
        }
        line.values[i * line.step] = sum / total;
    }
}

ntap_status field_smooth(struct field *field, double sigma, ntap_error *err) {
    size_t reach = (size_t)ceil(3 * sigma);
    size_t longest = field->height > field->width ? field->height : field->width;
    double *weights = malloc((reach + 1) * sizeof *weights);
    double *copy = malloc(longest * sizeof *copy);
    if (weights == NULL || copy == NULL) {
        free(weights);
        free(copy);
        return report_no_memory(err);
    }
    for (size_t i = 0; i <= reach; ++i) {
        weights[i] = exp(-0.5 * (double)(i * i) / (sigma * sigma));
    }
    for (size_t y = 0; y < field->height; ++y) {
        struct line row = {field->values + y * field->width, field->width, 1};
        smooth_line(row, weights, reach, copy);
    }
    for (size_t x = 0; x < field->width; ++x) {
        struct line column = {field->values + x, field->height, field->width};
        smooth_line(column, weights, reach, copy);
    }
    free(weights);
    free(copy);
    return NTAP_OK;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

ntap_status field_robust_maximum(const struct field *field, double *maximum, ntap_error *err) {
    double *magnitudes = malloc(count_cells(field) * sizeof *magnitudes);
    if (magnitudes == NULL) {
        return report_no_memory(err);
    }
    size_t count = 0;
    for (size_t i = 0; i < count_cells(field); ++i) {
        if (field->values[i] != 0) {
            magnitudes[count++] = fabs(field->values[i]);
        }
    }
    qsort(magnitudes, count, sizeof *magnitudes, compare);
    *maximum = count > 0 ? magnitudes[(size_t)ceil(0.995 * (double)count) - 1] : 0;
    free(magnitudes);
    return NTAP_OK;
}

bool field_support(const struct field *field, struct box *box) {
    size_t top = SIZE_MAX, left = SIZE_MAX, bottom = 0, right = 0;
    for (size_t y = 0; y < field->height; ++y) {
        for (size_t x = 0; x < field->width; ++x) {
            if (field->values[y * field->width + x] != 0) {
                top = y < top ? y : top;
                left = x < left ? x : left;
                bottom = y + 1;
                right = x + 1 > right ? x + 1 : right;
            }
        }
    }
    if (bottom == 0) {
        return false;
    }
    *box = (struct box){top, left, bottom - top, right - left};
    return true;
}

ntap_status field_crop(const struct field *field, const struct box *box, struct field *cropped,
                       ntap_error *err) {
    ntap_status status = field_allocate(box->height, box->width, cropped, err);
    if (status != NTAP_OK) {
        return status;
    }
    for (size_t y = 0; y < box->height; ++y) {
        memcpy(cropped->values + y * box->width,
               field->values + (box->top + y) * field->width + box->left,
               box->width * sizeof *cropped->values);
    }
    return NTAP_OK;
}
