#include "image.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

#include "report.h"

/** Everything that must survive libpng's longjmp lives here, behind a pointer: local variables that
 *  change after setjmp would be lost. */
struct reader {
    const unsigned char *next;
    size_t left;
    png_structp png;
    png_infop info;
    png_bytep *rows;
    struct image image;
    ntap_status status;
    ntap_error *err;
};

static void on_error(png_structp png, png_const_charp message) {
    struct reader *reader = png_get_error_ptr(png);
    reader->status = ntap_error_set(reader->err, NTAP_ERROR_FILE, "damaged PNG file: %s", message);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp message) {
    (void)png;
    (void)message;
}

static void read_bytes(png_structp png, png_bytep buffer, size_t size) {
    struct reader *reader = png_get_io_ptr(png);
    if (size > reader->left) {
        png_error(png, "it ends too early");
    }
    memcpy(buffer, reader->next, size);
    reader->next += size;
    reader->left -= size;
}

static void read_header(struct reader *reader) {
    png_structp png = reader->png;
    png_set_read_fn(png, reader, read_bytes);
    png_read_info(png, reader->info);
    png_set_expand(png); /* palettes to RGB, gray below 8 bits to 8 */
    png_set_strip_alpha(png);
    png_set_interlace_handling(png);
    png_read_update_info(png, reader->info);
    reader->image.width = png_get_image_width(png, reader->info);
    reader->image.height = png_get_image_height(png, reader->info);
    reader->image.channels = png_get_channels(png, reader->info);
    reader->image.sample_size = png_get_bit_depth(png, reader->info) == 16 ? 2 : 1;
}

static ntap_status allocate(struct reader *reader) {
    struct image *image = &reader->image;
    ntap_status status = image_allocate(image, reader->err);
    if (status != NTAP_OK) {
        return status;
    }
    reader->rows = malloc(image->height * sizeof *reader->rows);
    if (reader->rows == NULL) {
        return report_no_memory(reader->err);
    }
    size_t row_size = image->width * image->channels * image->sample_size;
    for (size_t y = 0; y < image->height; ++y) {
        reader->rows[y] = image->pixels + y * row_size;
    }
    return NTAP_OK;
}

/** The only function that libpng jumps back into. It keeps nothing in local variables. */
static void read_image(struct reader *reader) {
    if (setjmp(png_jmpbuf(reader->png)) != 0) {
        return; /* on_error() has set the status */
    }
    read_header(reader);
    reader->status = allocate(reader);
    if (reader->status == NTAP_OK) {
        png_read_image(reader->png, reader->rows);
        png_read_end(reader->png, NULL);
    }
}

ntap_status image_decode_png(const unsigned char *data, size_t size, struct image *image,
                             ntap_error *err) {
    struct reader reader = {.next = data, .left = size, .err = err};
    reader.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &reader, on_error, on_warning);
    reader.info = reader.png != NULL ? png_create_info_struct(reader.png) : NULL;
    if (reader.info != NULL) {
        read_image(&reader);
    } else {
        reader.status = report_no_memory(err);
    }
    png_destroy_read_struct(&reader.png, &reader.info, NULL);
    free(reader.rows);
    if (reader.status != NTAP_OK) {
        image_free(&reader.image);
        return reader.status;
    }
    *image = reader.image;
    return NTAP_OK;
}
