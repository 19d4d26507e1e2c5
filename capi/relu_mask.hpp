// Which elements of a ReLU's result are not cleared, a bit for each: a thirty-second of what the
// result takes.
#pragma once

#include "compat.hpp"

namespace neurotap {

// Of a contiguous result on a CPU.
at::Tensor make_relu_mask(const at::Tensor &result);

// Clears the same elements of all rows, each of which is like that result.
void apply_relu_mask(const at::Tensor &rows, int64_t n_rows, const at::Tensor &mask);

} // namespace neurotap
