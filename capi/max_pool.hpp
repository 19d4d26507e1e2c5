// Largest elements of windows over one dimension or two.
#pragma once

#include "compat.hpp"

#include <vector>

namespace neurotap {

struct MaxPoolWindows {
    std::vector<int64_t> kernel, stride, dilation, padding;
};

// Whether max_pool() takes such an operand, [examples, channels, positions…].
bool can_max_pool(const at::Tensor &operand, const MaxPoolWindows &windows);

// None of the windows may lie in the padding with all its elements.
//
// As libtorch's max_pool1d() and max_pool2d() of the same elements gives them, for so many
// positions; on a CPU without its branches, which take several times as long. Then the places: a
// byte each, which of its window's elements it is.
std::tuple<at::Tensor, at::Tensor> max_pool(const at::Tensor &operand,
                                            const MaxPoolWindows &windows,
                                            const std::vector<int64_t> &positions);

// The gradient at an operand that has so many positions. There may be several gradients for the
// places, one after the other.
at::Tensor max_pool_back(const at::Tensor &gradient, const at::Tensor &places,
                         const MaxPoolWindows &windows, const std::vector<int64_t> &positions);

} // namespace neurotap
