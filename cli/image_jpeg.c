#include "image.h"

#include <turbojpeg.h>

#include "report.h"

/** Files may ask for endless refinement scans; newer versions can refuse them. */
#ifdef TJFLAG_LIMITSCANS
#define FLAGS (TJFLAG_ACCURATEDCT | TJFLAG_LIMITSCANS)
#else
#define FLAGS TJFLAG_ACCURATEDCT
#endif

static ntap_status damaged(tjhandle handle, ntap_error *err) {
    return ntap_error_set(err, NTAP_ERROR_FILE, "damaged JPEG file: %s", tjGetErrorStr2(handle));
}

static ntap_status read_header(tjhandle handle, const unsigned char *data, size_t size,
                               struct image *image, ntap_error *err) {
    int width, height, subsampling, colours;
    if (tjDecompressHeader3(handle, data, (unsigned long)size, &width, &height, &subsampling,
                            &colours) != 0) {
        return damaged(handle, err);
    }
    if (colours == TJCS_CMYK || colours == TJCS_YCCK) {
        return ntap_error_set(err, NTAP_ERROR_UNSUPPORTED,
                              "JPEG files in CMYK are not supported, only gray and RGB");
    }
    image->width = (size_t)width;
    image->height = (size_t)height;
    image->channels = colours == TJCS_GRAY ? 1 : 3;
    image->sample_size = 1;
    return NTAP_OK;
}

/** A warning (-1 too) means missing or wrong pixels: an attribution of those would mislead. */
static ntap_status decompress(tjhandle handle, const unsigned char *data, size_t size,
                              struct image *image, ntap_error *err) {
    struct image decoded = {0};
    ntap_status status = read_header(handle, data, size, &decoded, err);
    if (status == NTAP_OK) {
        status = image_allocate(&decoded, err);
    }
    int format = decoded.channels == 1 ? TJPF_GRAY : TJPF_RGB;
    if (status == NTAP_OK &&
        tjDecompress2(handle, data, (unsigned long)size, decoded.pixels, (int)decoded.width, 0,
                      (int)decoded.height, format, FLAGS) != 0) {
        status = damaged(handle, err);
    }
    if (status != NTAP_OK) {
        image_free(&decoded);
        return status;
    }
    *image = decoded;
    return NTAP_OK;
}

ntap_status image_decode_jpeg(const unsigned char *data, size_t size, struct image *image,
                              ntap_error *err) {
    tjhandle handle = tjInitDecompress();
    if (handle == NULL) {
        return report_no_memory(err);
    }
    ntap_status status = decompress(handle, data, size, image, err);
    tjDestroy(handle);
    return status;
}
