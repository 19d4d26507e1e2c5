#include "picture.h"

#include <stdlib.h>
#include <string.h>

size_t picture_size(const struct picture *picture) {
    return picture->channels * picture->height * picture->width;
}

ntap_status picture_allocate(struct picture *picture, ntap_error *err) {
    picture->planes = malloc(picture_size(picture) * sizeof *picture->planes);
    return picture->planes != NULL ? NTAP_OK : report_no_memory(err);
}

void picture_free(struct picture *picture) {
    free(picture->planes);
    picture->planes = NULL;
}

ntap_status picture_crop(const struct picture *picture, const struct box *box,
                         struct picture *cropped, ntap_error *err) {
    struct picture part = {picture->channels, box->height, box->width, NULL};
    ntap_status status = picture_allocate(&part, err);
    if (status != NTAP_OK) {
        return status;
    }
    float *row = part.planes;
    for (size_t c = 0; c < picture->channels; ++c) {
        for (size_t y = box->top; y < box->top + box->height; ++y) {
            const float *from =
                picture->planes + (c * picture->height + y) * picture->width + box->left;
            memcpy(row, from, box->width * sizeof *row);
            row += box->width;
        }
    }
    *cropped = part;
    return NTAP_OK;
}

/** A channel's number, from 0 to 1. */
static float sample(const struct image *image, size_t i) {
    if (image->sample_size == 1) {
        return (float)image->pixels[i] / 255.0F;
    }
    const unsigned char *bytes = image->pixels + 2 * i;
    return (float)(bytes[0] << 8 | bytes[1]) / 65535.0F;
}

ntap_status picture_from_image(const struct image *image, struct picture *picture,
                               ntap_error *err) {
    struct picture converted = {image->channels, image->height, image->width, NULL};
    ntap_status status = picture_allocate(&converted, err);
    if (status != NTAP_OK) {
        return status;
    }
    size_t pixels = image->width * image->height;
    for (size_t c = 0; c < image->channels; ++c) {
        for (size_t i = 0; i < pixels; ++i) {
            converted.planes[c * pixels + i] = sample(image, i * image->channels + c);
        }
    }
    *picture = converted;
    return NTAP_OK;
}

/** As torchvision: the other edge keeps the aspect ratio, rounded down. */
static void wanted_size(const struct picture *picture, const struct image_options *options,
                        int64_t *height, int64_t *width) {
    int64_t h = (int64_t)picture->height, w = (int64_t)picture->width;
    int64_t edge = options->shorter_edge;
    *height = options->height;
    *width = options->width;
    if (edge > 0) {
        *height = h <= w ? edge : (int64_t)((double)edge * (double)h / (double)w);
        *width = w <= h ? edge : (int64_t)((double)edge * (double)w / (double)h);
    }
}

/** The operator that torchvision calls for antialiased tensors. */
static ntap_status call_resize(const ntap_tensor *tensor, int64_t height, int64_t width,
                               ntap_value **resized, ntap_error *err) {
    ntap_value *values[4] = {NULL}; /* tensor, height, width, align_corners */
    ntap_value *size = NULL;
    ntap_status status = ntap_value_new_tensor(tensor, &values[0], err);
    if (status == NTAP_OK) {
        status = ntap_value_new_int(height, &values[1], err);
    }
    if (status == NTAP_OK) {
        status = ntap_value_new_int(width, &values[2], err);
    }
    if (status == NTAP_OK) {
        status = ntap_value_new_bool(0, &values[3], err);
    }
    if (status == NTAP_OK) {
        const ntap_value *edges[] = {values[1], values[2]};
        status = ntap_value_new_list(edges, 2, &size, err);
    }
    if (status == NTAP_OK) {
        const ntap_value *arguments[] = {values[0], size, values[3]};
        status = ntap_call_op("aten::_upsample_bilinear2d_aa", arguments, 3, resized, 1, err);
    }
    ntap_value_free(size);
    for (size_t i = 0; i < 4; ++i) {
        ntap_value_free(values[i]);
    }
    return status;
}

static ntap_status resize_planes(const struct picture *picture, int64_t height, int64_t width,
                                 ntap_value **resized, ntap_error *err) {
    int64_t sizes[] = {1, (int64_t)picture->channels, (int64_t)picture->height,
                       (int64_t)picture->width};
    ntap_device cpu = {NTAP_DEVICE_CPU, 0};
    ntap_tensor *tensor = NULL;
    ntap_status status = ntap_tensor_from_blob(picture->planes, 4, sizes, NULL, NTAP_DTYPE_FLOAT32,
                                               cpu, NULL, NULL, &tensor, err);
    if (status == NTAP_OK) {
        status = call_resize(tensor, height, width, resized, err);
    }
    ntap_tensor_free(tensor);
    return status;
}

/** Interpolation stays within [0, 1] but for rounding. */
static void clamp(struct picture *picture) {
    size_t size = picture_size(picture);
    for (size_t i = 0; i < size; ++i) {
        float value = picture->planes[i];
        picture->planes[i] = value < 0.0F ? 0.0F : value > 1.0F ? 1.0F : value;
    }
}

ntap_status picture_resize(struct picture *picture, const struct image_options *options,
                           ntap_error *err) {
    int64_t height, width;
    wanted_size(picture, options, &height, &width);
    if (height == 0 || ((size_t)height == picture->height && (size_t)width == picture->width)) {
        return NTAP_OK;
    }
    if ((size_t)width > IMAGE_MAX_PIXELS / (size_t)height) {
        return ntap_error_set(err, NTAP_ERROR_INVALID_ARGUMENT,
                              "--size makes %lld×%lld pixels of it, more than %zu",
                              (long long)width, (long long)height, IMAGE_MAX_PIXELS);
    }
    struct picture scaled = {picture->channels, (size_t)height, (size_t)width, NULL};
    ntap_value *resized = NULL;
    ntap_status status = resize_planes(picture, height, width, &resized, err);
    if (status == NTAP_OK) {
        status = picture_allocate(&scaled, err);
    }
    if (status == NTAP_OK) {
        status = ntap_tensor_copy_to_host(ntap_value_get_tensor(resized), scaled.planes,
                                          picture_size(&scaled) * sizeof *scaled.planes, err);
    }
    ntap_value_free(resized);
    if (status != NTAP_OK) {
        picture_free(&scaled);
        return status;
    }
    clamp(&scaled);
    picture_free(picture);
    *picture = scaled;
    return NTAP_OK;
}

static double channel_number(const struct channel_numbers *numbers, size_t channel,
                             double otherwise) {
    if (numbers->count == 0) {
        return otherwise;
    }
    return numbers->items[numbers->count == 1 ? 0 : channel];
}

/** A gray picture becomes as many equal channels as there are means. */
static ntap_status count_channels(const struct picture *picture,
                                  const struct image_options *options, size_t *channels,
                                  ntap_error *err) {
    const struct channel_numbers *both[] = {&options->mean, &options->std};
    static const char *const names[] = {"--mean", "--std"};
    *channels = picture->channels;
    for (size_t i = 0; i < 2; ++i) {
        size_t count = both[i]->count;
        if (count == 3 && picture->channels == 1) {
            *channels = 3;
        } else if (count > 1 && count != picture->channels) {
            return ntap_error_set(err, NTAP_ERROR_SHAPE,
                                  "%s has %zu numbers, but the image has %zu channel%s", names[i],
                                  count, picture->channels, picture->channels == 1 ? "" : "s");
        }
    }
    return NTAP_OK;
}

static void normalise(const struct picture *picture, const struct image_options *options,
                      size_t channels, float *out) {
    size_t pixels = picture->height * picture->width;
    for (size_t c = 0; c < channels; ++c) {
        const float *plane = picture->planes + (picture->channels == 1 ? 0 : c * pixels);
        float mean = (float)channel_number(&options->mean, c, 0.0);
        float std = (float)channel_number(&options->std, c, 1.0);
        for (size_t i = 0; i < pixels; ++i) {
            *out++ = (plane[i] - mean) / std;
        }
    }
}

ntap_status picture_to_tensor(const struct picture *picture, const struct image_options *options,
                              ntap_device device, ntap_tensor **tensor, ntap_error *err) {
    size_t channels;
    ntap_tensor *host = NULL;
    ntap_device cpu = {NTAP_DEVICE_CPU, 0};
    ntap_status status = count_channels(picture, options, &channels, err);
    if (status == NTAP_OK) {
        int64_t sizes[] = {1, (int64_t)channels, (int64_t)picture->height, (int64_t)picture->width};
        status = ntap_tensor_empty(4, sizes, NTAP_DTYPE_FLOAT32, cpu, &host, err);
    }
    if (status == NTAP_OK) {
        normalise(picture, options, channels, ntap_tensor_mutable_data(host));
        status = ntap_tensor_to(host, &device, NTAP_DTYPE_NONE, tensor, err);
    }
    ntap_tensor_free(host);
    return status;
}
