// Through which elements a gradient passes, a bit for each: a thirty-second of what they take.
#pragma once

#include "compat.hpp"

namespace neurotap {

// Of contiguous elements on a CPU: those that are not 0 or less, as of a ReLU's result.
at::Tensor make_relu_mask(const at::Tensor &result);
// Those between two bounds, as of what goes into a hardtanh; NaN is not.
at::Tensor make_range_mask(const at::Tensor &elements, double low, double high);

// Clears the other elements of all rows, each of which is like those.
void apply_mask(const at::Tensor &rows, int64_t n_rows, const at::Tensor &mask);

} // namespace neurotap
