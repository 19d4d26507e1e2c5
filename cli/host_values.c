#include "host_values.h"

#include <math.h>
#include <stdlib.h>

#include "report.h"

static bool is_complex(const ntap_tensor *tensor) {
    ntap_dtype dtype = ntap_tensor_dtype(tensor);
    return dtype == NTAP_DTYPE_COMPLEX64 || dtype == NTAP_DTYPE_COMPLEX128;
}

ntap_status host_values(const ntap_tensor *tensor, double **values, size_t *count,
                        ntap_error *err) {
    ntap_tensor *doubles = NULL;
    ntap_device cpu = {NTAP_DEVICE_CPU, 0};
    ntap_dtype dtype = is_complex(tensor) ? NTAP_DTYPE_COMPLEX128 : NTAP_DTYPE_FLOAT64;
    ntap_status status = ntap_tensor_to(tensor, &cpu, dtype, &doubles, err);
    if (status != NTAP_OK) {
        return status;
    }
    size_t size = (size_t)ntap_tensor_numel(doubles) * ntap_dtype_size(dtype);
    double *copy = malloc(size > 0 ? size : 1);
    status =
        copy != NULL ? ntap_tensor_copy_to_host(doubles, copy, size, err) : report_no_memory(err);
    ntap_tensor_free(doubles);
    if (status != NTAP_OK) {
        free(copy);
        return status;
    }
    *values = copy;
    *count = size / sizeof *copy;
    return NTAP_OK;
}

static void add_up(const double *values, size_t count, struct summary *summary) {
    size_t step = summary->is_complex ? 2 : 1;
    for (size_t i = 0; i < count; i += step) {
        summary->sum += values[i];
        summary->sum_imaginary += summary->is_complex ? values[i + 1] : 0;
    }
}

static void find_extremes(const double *values, size_t count, struct summary *summary) {
    summary->has_extremes = count > 0 && !summary->is_complex;
    if (!summary->has_extremes) {
        return;
    }
    summary->min = summary->max = values[0];
    for (size_t i = 1; i < count && !isnan(summary->min); ++i) {
        if (isnan(values[i])) {
            summary->min = summary->max = NAN;
        } else {
            summary->min = fmin(summary->min, values[i]);
            summary->max = fmax(summary->max, values[i]);
        }
    }
}

ntap_status summarise(const ntap_tensor *tensor, struct summary *summary, ntap_error *err) {
    double *values = NULL;
    size_t count;
    ntap_status status = host_values(tensor, &values, &count, err);
    if (status != NTAP_OK) {
        return status;
    }
    *summary = (struct summary){.is_complex = is_complex(tensor)};
    add_up(values, count, summary);
    find_extremes(values, count, summary);
    free(values);
    return NTAP_OK;
}
