/* Pictures for the samples: 8-bit gray PGM files of 28 x 28 pixels. */
#ifndef PICTURE_H
#define PICTURE_H

#include <neurotap/neurotap.h>

#include <stdio.h>

enum { SIDE = 28 };

/* float32 [1, 1, 28, 28] (examples, channels, rows, columns), from 0 to 1. */
static inline ntap_status read_picture(const char *path, ntap_tensor **picture, ntap_error *err) {
    const int64_t sizes[] = {1, 1, SIDE, SIDE};
    const ntap_device cpu = {NTAP_DEVICE_CPU, 0};
    unsigned char bytes[SIDE * SIDE];
    FILE *file = fopen(path, "rb");
    const int complete = file != NULL && fseek(file, -(long)sizeof bytes, SEEK_END) == 0 &&
                         fread(bytes, 1, sizeof bytes, file) == sizeof bytes;
    if (file != NULL)
        fclose(file);
    if (!complete)
        return ntap_error_set(err, NTAP_ERROR_FILE, "%s: no picture of 28 x 28 pixels", path);

    ntap_status status = ntap_tensor_empty(4, sizes, NTAP_DTYPE_FLOAT32, cpu, picture, err);
    if (status == NTAP_OK) {
        float *pixels = (float *)ntap_tensor_mutable_data(*picture);
        for (size_t i = 0; i < sizeof bytes; ++i)
            pixels[i] = (float)bytes[i] / 255.0F;
    }
    return status;
}

#endif /* PICTURE_H */
