/** Images from PNG and JPEG files, as 8-bit or 16-bit pixels. */
#ifndef CLI_IMAGE_H
#define CLI_IMAGE_H

#include <stddef.h>

#include <neurotap/base.h>

/** Pixels in rows from the top, the channels of a pixel side by side. */
struct image {
    size_t width, height;
    size_t channels;    /**< 1: gray, 3: red, green, blue */
    size_t sample_size; /**< bytes of a channel's number: 1, or 2, the high one first */
    unsigned char *pixels;
};

/** Pixels that an image may have: a small file can claim to be enormous. */
#define IMAGE_MAX_PIXELS ((size_t)1 << 27)

/** Decodes a PNG file that is in memory: palettes and narrow grays expanded,
 *  transparency dropped. The messages do not name the file. */
ntap_status image_decode_png(const unsigned char *data, size_t size, struct image *image,
                             ntap_error *err);

/** Decodes a JPEG file that is in memory. The messages do not name the file. */
ntap_status image_decode_jpeg(const unsigned char *data, size_t size, struct image *image,
                              ntap_error *err);

/** Allocates the pixels of an image whose other fields are set. */
ntap_status image_allocate(struct image *image, ntap_error *err);

/** Releases the pixels. */
void image_free(struct image *image);

#endif
