/** Pictures: images as numbers between 0 and 1, before they are normalised for a model. */
#ifndef CLI_PICTURE_H
#define CLI_PICTURE_H

#include <stddef.h>

#include <neurotap/neurotap.h>

#include "field.h"
#include "image.h"
#include "options.h"

/** One plane of height × width numbers for each channel. */
struct picture {
    size_t channels, height, width;
    float *planes;
};

/** The number of elements. */
size_t picture_size(const struct picture *picture);

/** Allocates the planes of a picture whose other fields are set. */
ntap_status picture_allocate(struct picture *picture, ntap_error *err);

void picture_free(struct picture *picture);

/** Copies a part. */
ntap_status picture_crop(const struct picture *picture, const struct box *box,
                         struct picture *cropped, ntap_error *err);

/** Pixels divided by the largest number that they can have, as torchvision's ToTensor does with
 *  255. */
ntap_status picture_from_image(const struct image *image, struct picture *picture, ntap_error *err);

/** Resizes, if the options ask for it (torchvision's Resize, with antialiasing). */
ntap_status picture_resize(struct picture *picture, const struct image_options *options,
                           ntap_error *err);

/** Makes float32 [1, C, H, W], normalised if the options ask for it (torchvision's Normalize). */
ntap_status picture_to_tensor(const struct picture *picture, const struct image_options *options,
                              ntap_device device, ntap_tensor **tensor, ntap_error *err);

#endif
