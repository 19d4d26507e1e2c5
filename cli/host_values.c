#include "host_values.h"

#include <math.h>
#include <stdlib.h>

#include "report.h"

/** Elements from which on a tensor is summarised in parts, and of the least part worth a call. */
#define LARGE (1 << 20)
#define SMALLEST_PART 4096

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

static void extend(const double *values, size_t count, struct summary *summary) {
    if (!summary->has_extremes && count > 0) {
        summary->has_extremes = true;
        summary->min = summary->max = values[0];
    }
    for (size_t i = 0; i < count && !isnan(summary->min); ++i) {
        if (isnan(values[i])) {
            summary->min = summary->max = NAN;
        } else {
            summary->min = fmin(summary->min, values[i]);
            summary->max = fmax(summary->max, values[i]);
        }
    }
}

static ntap_status add_tensor(const ntap_tensor *tensor, struct summary *summary, ntap_error *err);

static ntap_status add_parts(const ntap_tensor *tensor, struct summary *summary, ntap_error *err) {
    ntap_status status = NTAP_OK;
    for (int64_t i = 0; i < ntap_tensor_size(tensor, 0) && status == NTAP_OK; ++i) {
        ntap_tensor *part = NULL;
        status = ntap_tensor_select(tensor, 0, i, &part, err);
        if (status == NTAP_OK) {
            status = add_tensor(part, summary, err);
        }
        ntap_tensor_free(part);
    }
    return status;
}

/** Large tensors in parts, since the doubles take several times their memory. */
static ntap_status add_tensor(const ntap_tensor *tensor, struct summary *summary, ntap_error *err) {
    int64_t total = ntap_tensor_numel(tensor);
    if (total > LARGE && total / ntap_tensor_size(tensor, 0) >= SMALLEST_PART) {
        return add_parts(tensor, summary, err);
    }
    double *values = NULL;
    size_t count;
    ntap_status status = host_values(tensor, &values, &count, err);
    if (status != NTAP_OK) {
        return status;
    }
    add_up(values, count, summary);
    if (!summary->is_complex) {
        extend(values, count, summary);
    }
    free(values);
    return NTAP_OK;
}

ntap_status summarise(const ntap_tensor *tensor, struct summary *summary, ntap_error *err) {
    *summary = (struct summary){.is_complex = is_complex(tensor)};
    return add_tensor(tensor, summary, err);
}
