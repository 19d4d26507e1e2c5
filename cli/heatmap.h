/** The picture of an attribution: the input beside an overlay of the gradient. */
#ifndef CLI_HEATMAP_H
#define CLI_HEATMAP_H

#include <neurotap/base.h>

#include "field.h"
#include "picture.h"

/** What to draw. Everything is lent. */
struct heatmap {
    const struct picture *picture; /**< 1 channel (gray) or 3 (red, green, blue) */
    const struct field *gradient;  /**< summed over channels; of the picture's height and width */
    const char *layer, *neuron;    /**< for the caption */
    const char *note;              /**< one more remark below; may be NULL */
};

/** Writes a PNG file. NaN and infinities are drawn as 0, and said to be. */
ntap_status heatmap_write(const struct heatmap *heatmap, const char *path, ntap_error *err);

#endif
