/** From the tensors of an attribution to its heatmap. */
#ifndef CLI_HEATMAP_TENSOR_H
#define CLI_HEATMAP_TENSOR_H

#include "inputs.h"

/** Whether an input can be drawn: [N, C, H, W] or [N, H, W] of real numbers. */
ntap_status heatmap_check_input(const struct input *input, ntap_error *err);

/** Draws the first example of a checked input and of its attribution into a PNG file. */
ntap_status heatmap_write_tensors(const struct input *input, const ntap_tensor *attribution,
                                  const char *layer, const char *neuron, const char *path,
                                  ntap_error *err);

#endif
