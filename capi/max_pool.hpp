// Largest elements of windows over two dimensions, and where they are.
#pragma once

#include "compat.hpp"

#include <vector>

namespace neurotap {

struct MaxPoolWindows {
    std::vector<int64_t> kernel, stride, dilation, padding;
};

// Whether max_pool() takes such an operand, [examples, channels, height, width].
bool can_max_pool(const at::Tensor &operand);

// As at::max_pool2d_with_indices() of the same elements gives them, for so many rows and columns;
// on a CPU without its branches, which take several times as long.
std::tuple<at::Tensor, at::Tensor>
max_pool(const at::Tensor &operand, const MaxPoolWindows &windows, int64_t rows, int64_t columns);

} // namespace neurotap
