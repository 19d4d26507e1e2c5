/** The pixels of a heatmap's two panels and of its colour bar. */
#ifndef CLI_HEATMAP_PIXELS_H
#define CLI_HEATMAP_PIXELS_H

#include <stdint.h>

#include "field.h"
#include "picture.h"

/** Colours of 0xRRGGBB, in rows from the top. */
struct pixels {
    size_t height, width;
    uint32_t *colours;
};

void pixels_free(struct pixels *pixels);

/** Draws the picture as it is into @p pixels, whose height and width are set. */
ntap_status pixels_from_picture(const struct picture *picture, struct pixels *pixels,
                                ntap_error *err);

/**
 * Draws the gradient in colour over a pale gray version of the picture.
 * @param gradient  of the size that is set in @p pixels; from -1 to 1, what is beyond is clipped
 */
ntap_status pixels_from_overlay(const struct picture *picture, const struct field *gradient,
                                struct pixels *pixels, ntap_error *err);

/** How the overlay shows a gradient from -1 to 1 over a medium gray. */
uint32_t pixels_legend_colour(double gradient);

#endif
