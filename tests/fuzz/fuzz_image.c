/* PNG and JPEG files. */
#include "fuzz.h"
#include "image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct image image = {0};
    if (image_decode_png(data, size, &image, NULL) == NTAP_OK)
        image_free(&image);
    if (image_decode_jpeg(data, size, &image, NULL) == NTAP_OK)
        image_free(&image);
    return 0;
}
