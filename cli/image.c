#include "image.h"

#include <stdlib.h>

#include "report.h"

ntap_status image_allocate(struct image *image, ntap_error *err) {
    if (image->width == 0 || image->height == 0 ||
        image->width > IMAGE_MAX_PIXELS / image->height) {
        return ntap_error_set(err, NTAP_ERROR_FILE, "%zu×%zu pixels are too many (at most %zu)",
                              image->width, image->height, IMAGE_MAX_PIXELS);
    }
    image->pixels = malloc(image->width * image->height * image->channels * image->sample_size);
    return image->pixels != NULL ? NTAP_OK : report_no_memory(err);
}

void image_free(struct image *image) {
    free(image->pixels);
    image->pixels = NULL;
}
