#include "heatmap_pixels.h"

#include <math.h>
#include <stdlib.h>

/** The pale gray version of a picture goes from one to the other. */
#define PALE_BLACK 0.66
#define PALE_WHITE 1.0

struct colour {
    double red, green, blue;
};

/** Shades from weak to strong, of ColorBrewer's RdBu (https://colorbrewer2.org), which people with
 *  colour vision deficiencies can tell apart. Zero needs no colour: it is transparent. */
static const struct colour reds[] = {
    {0.957, 0.647, 0.510}, {0.839, 0.376, 0.302}, {0.698, 0.094, 0.169}};
static const struct colour blues[] = {
    {0.573, 0.773, 0.871}, {0.263, 0.576, 0.765}, {0.129, 0.400, 0.675}};
#define LAST_SHADE 2

static double mix(double a, double b, double part) { return a + (b - a) * part; }

static struct colour mix_colours(struct colour a, struct colour b, double part) {
    return (struct colour){mix(a.red, b.red, part), mix(a.green, b.green, part),
                           mix(a.blue, b.blue, part)};
}

static uint32_t to_byte(double value) { return (uint32_t)lround(fmin(fmax(value, 0), 1) * 255); }

static uint32_t to_pixel(struct colour colour) {
    return to_byte(colour.red) << 16 | to_byte(colour.green) << 8 | to_byte(colour.blue);
}

/** Weak gradients leave the picture visible, strong ones cover it. */
static struct colour overlay(double gradient, double gray) {
    const struct colour *shades = gradient > 0 ? reds : blues;
    double magnitude = fmin(fabs(gradient), 1);
    double place = magnitude * LAST_SHADE;
    size_t shade = place < LAST_SHADE ? (size_t)place : LAST_SHADE - 1;
    struct colour colour = mix_colours(shades[shade], shades[shade + 1], place - (double)shade);
    double opacity = 1 - (1 - magnitude) * (1 - magnitude);
    return mix_colours((struct colour){gray, gray, gray}, colour, opacity);
}

uint32_t pixels_legend_colour(double gradient) {
    return to_pixel(overlay(gradient, (PALE_BLACK + PALE_WHITE) / 2));
}

void pixels_free(struct pixels *pixels) {
    free(pixels->colours);
    pixels->colours = NULL;
}

static ntap_status resample_channel(const struct picture *picture, size_t channel,
                                    const struct pixels *pixels, struct field *resampled,
                                    ntap_error *err) {
    struct field plane = {0};
    size_t cells = picture->height * picture->width;
    ntap_status status = field_allocate(picture->height, picture->width, &plane, err);
    if (status != NTAP_OK) {
        return status;
    }
    for (size_t i = 0; i < cells; ++i) {
        plane.values[i] = (double)picture->planes[channel * cells + i];
    }
    status = field_resample(&plane, pixels->height, pixels->width, resampled, err);
    field_free(&plane);
    return status;
}

/** Luma as in Rec. 601, like most conversions of pictures to gray. */
static double pale_gray(struct colour colour) {
    double luma = 0.299 * colour.red + 0.587 * colour.green + 0.114 * colour.blue;
    return mix(PALE_BLACK, PALE_WHITE, fmin(fmax(luma, 0), 1));
}

static ntap_status make_pixels(const struct picture *picture, const struct field *gradient,
                               struct pixels *pixels, ntap_error *err) {
    struct field channels[3] = {{0, 0, NULL}, {0, 0, NULL}, {0, 0, NULL}};
    size_t count = pixels->height * pixels->width;
    pixels->colours = malloc(count * sizeof *pixels->colours);
    ntap_status status = pixels->colours != NULL ? NTAP_OK : report_no_memory(err);
    for (size_t c = 0; c < 3 && status == NTAP_OK; ++c) { /* gray stands for all three */
        size_t channel = picture->channels == 3 ? c : 0;
        status = resample_channel(picture, channel, pixels, &channels[c], err);
    }
    for (size_t i = 0; i < count && status == NTAP_OK; ++i) {
        struct colour colour = {channels[0].values[i], channels[1].values[i],
                                channels[2].values[i]};
        if (gradient != NULL) {
            colour = overlay(gradient->values[i], pale_gray(colour));
        }
        pixels->colours[i] = to_pixel(colour);
    }
    for (size_t c = 0; c < 3; ++c) {
        field_free(&channels[c]);
    }
    return status;
}

ntap_status pixels_from_picture(const struct picture *picture, struct pixels *pixels,
                                ntap_error *err) {
    return make_pixels(picture, NULL, pixels, err);
}

ntap_status pixels_from_overlay(const struct picture *picture, const struct field *gradient,
                                struct pixels *pixels, ntap_error *err) {
    return make_pixels(picture, gradient, pixels, err);
}
