#include "heatmap_tensor.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "heatmap.h"
#include "host_values.h"

/** One example: a plane of height × width numbers for each channel. */
struct example {
    size_t channels, height, width;
    double *values;
};

static ntap_status wrong_input(const struct input *input, ntap_status code, const char *what,
                               ntap_error *err) {
    ntap_value *value = NULL;
    char description[128] = "another shape";
    if (ntap_value_new_tensor(input->tensor, &value, NULL) == NTAP_OK) {
        ntap_value_describe(value, description, sizeof description);
    }
    ntap_value_free(value);
    return ntap_error_set(err, code, "--heatmap draws %s; the first input, '%s', is %s", what,
                          input->name, description);
}

ntap_status heatmap_check_input(const struct input *input, ntap_error *err) {
    size_t ndim = ntap_tensor_ndim(input->tensor);
    ntap_dtype dtype = ntap_tensor_dtype(input->tensor);
    if ((ndim != 3 && ndim != 4) || ntap_tensor_numel(input->tensor) == 0) {
        return wrong_input(input, NTAP_ERROR_SHAPE, "inputs of shape [N, C, H, W] or [N, H, W]",
                           err);
    }
    if (dtype == NTAP_DTYPE_COMPLEX64 || dtype == NTAP_DTYPE_COMPLEX128) {
        return wrong_input(input, NTAP_ERROR_DTYPE, "real numbers", err);
    }
    return NTAP_OK;
}

static ntap_status first_example(const ntap_tensor *tensor, struct example *example,
                                 ntap_error *err) {
    ntap_tensor *first = NULL;
    size_t count;
    ntap_status status = ntap_tensor_select(tensor, 0, 0, &first, err);
    if (status != NTAP_OK) {
        return status;
    }
    size_t ndim = ntap_tensor_ndim(first);
    example->channels = ndim == 3 ? (size_t)ntap_tensor_size(first, 0) : 1;
    example->height = (size_t)ntap_tensor_size(first, ndim - 2);
    example->width = (size_t)ntap_tensor_size(first, ndim - 1);
    status = host_values(first, &example->values, &count, err);
    ntap_tensor_free(first);
    return status;
}

/** Stretches finite values to [0, 1]; what is constant or not finite becomes a medium gray. */
static void stretch(double *values, size_t count) {
    double smallest = INFINITY, largest = -INFINITY;
    for (size_t i = 0; i < count; ++i) {
        if (isfinite(values[i])) {
            smallest = fmin(smallest, values[i]);
            largest = fmax(largest, values[i]);
        }
    }
    for (size_t i = 0; i < count; ++i) {
        bool usable = isfinite(values[i]) && largest > smallest;
        /* Halves, so that no difference overflows. */
        values[i] = usable ? (values[i] / 2 - smallest / 2) / (largest / 2 - smallest / 2) : 0.5;
    }
}

/** Replaces the channels by their mean. */
static void average_channels(struct example *example) {
    size_t cells = example->height * example->width;
    for (size_t i = 0; i < cells; ++i) {
        double sum = 0;
        for (size_t c = 0; c < example->channels; ++c) {
            sum += example->values[c * cells + i];
        }
        example->values[i] = sum / (double)example->channels;
    }
    example->channels = 1;
    stretch(example->values, cells);
}

/** A picture of numbers that need not be an image's. */
static ntap_status draw_values(const ntap_tensor *tensor, struct picture *picture,
                               ntap_error *err) {
    struct example example = {0};
    ntap_status status = first_example(tensor, &example, err);
    if (status != NTAP_OK) {
        return status;
    }
    size_t cells = example.height * example.width;
    for (size_t c = 0; c < example.channels; ++c) {
        stretch(example.values + c * cells, cells);
    }
    if (example.channels != 1 && example.channels != 3) {
        average_channels(&example);
    }
    *picture = (struct picture){example.channels, example.height, example.width, NULL};
    status = picture_allocate(picture, err);
    for (size_t i = 0; i < example.channels * cells && status == NTAP_OK; ++i) {
        picture->planes[i] = (float)example.values[i];
    }
    free(example.values);
    return status;
}

/** The sum over channels, which is what all of a pixel's numbers do together. */
static ntap_status sum_channels(const ntap_tensor *attribution, struct field *gradient,
                                ntap_error *err) {
    struct example example = {0};
    ntap_status status = first_example(attribution, &example, err);
    if (status != NTAP_OK) {
        return status;
    }
    status = field_allocate(example.height, example.width, gradient, err);
    size_t cells = example.height * example.width;
    for (size_t i = 0; i < example.channels * cells && status == NTAP_OK; ++i) {
        gradient->values[i % cells] += example.values[i];
    }
    free(example.values);
    return status;
}

static void write_note(const ntap_tensor *tensor, char *note, size_t size) {
    int64_t channels = ntap_tensor_ndim(tensor) == 4 ? ntap_tensor_size(tensor, 1) : 1;
    int64_t examples = ntap_tensor_size(tensor, 0);
    int length = 0;
    if (channels > 1) {
        length = snprintf(note, size, "summed over %lld channels", (long long)channels);
    }
    if (examples > 1) {
        snprintf(note + length, size - (size_t)length, "%sexample 0 of %lld",
                 length > 0 ? "; " : "", (long long)examples);
    }
}

ntap_status heatmap_write_tensors(const struct input *input, const ntap_tensor *attribution,
                                  const char *layer, const char *neuron, const char *path,
                                  ntap_error *err) {
    struct picture drawn = {0};
    struct field gradient = {0};
    char note[128] = "";
    bool is_image = input->picture.planes != NULL;
    ntap_status status = is_image ? NTAP_OK : draw_values(input->tensor, &drawn, err);
    if (status == NTAP_OK) {
        status = sum_channels(attribution, &gradient, err);
    }
    if (status == NTAP_OK) {
        write_note(attribution, note, sizeof note);
        struct heatmap heatmap = {is_image ? &input->picture : &drawn, &gradient, layer, neuron,
                                  note[0] != '\0' ? note : NULL};
        status = heatmap_write(&heatmap, path, err);
    }
    picture_free(&drawn);
    field_free(&gradient);
    return status;
}
