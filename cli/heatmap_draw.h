/** Puts a heatmap's panels, captions, colour bar and remarks on one page. */
#ifndef CLI_HEATMAP_DRAW_H
#define CLI_HEATMAP_DRAW_H

#include "heatmap_pixels.h"

#define HEATMAP_MAX_NOTES 8
#define HEATMAP_TEXT_SIZE 512

/** A rectangle in pixels of the panels. */
struct frame {
    double x, y, width, height;
};

struct heatmap_page {
    struct pixels panels[2]; /**< of the same size */
    char captions[2][HEATMAP_TEXT_SIZE];
    double maximum;       /**< at the end of the colour bar */
    size_t framed_panels; /**< how many of the panels have the frame drawn into */
    struct frame frame;
    char notes[HEATMAP_MAX_NOTES][HEATMAP_TEXT_SIZE];
    size_t n_notes;
};

/** Draws the page into a PNG file. */
ntap_status heatmap_draw(const struct heatmap_page *page, const char *path, ntap_error *err);

#endif
