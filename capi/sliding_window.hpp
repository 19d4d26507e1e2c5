// The arithmetic of windows that slide over a dimension: convolutions, pooling, padding.
#pragma once

#include "region.hpp"

namespace neurotap {

// One dimension. Output i looks at the inputs i * stride - before + {0, 1, …, kernel - 1} *
// dilation.
struct SlidingWindow {
    int64_t kernel, stride, dilation, before;
    int64_t input; // size

    // The inputs that some outputs look at, and the padding that they need at both ends; a negative
    // one takes something away.
    struct Part {
        Extent inputs;
        int64_t before, after;
    };
    Part look_at(const Extent &outputs) const;

    // The number of outputs with as much padding at either end; rounded up for pooling's ceil_mode.
    int64_t outputs(int64_t padding, int64_t inputs, bool round_up) const;

    // Where an output's window starts, in the padding or in the inputs; and the first of its
    // elements that is not before the inputs.
    int64_t start(int64_t output) const { return output * stride - before; }
    int64_t first_inside(int64_t output) const;

    // Whether an output looks at padding only, as it may if it is dilated.
    bool misses() const;
};

using SlidingWindows = c10::SmallVector<SlidingWindow, 3>;

Region look_at(const SlidingWindows &windows, const Region &out);

// How to compute a part of the outputs from the inputs it needs. What libtorch's operators can pad
// themselves, the same at both ends, they do; otherwise everything is padded beforehand.
struct WindowStep {
    std::vector<int64_t> padding; // for the operator, one for each dimension
    std::vector<int64_t> pads;    // beforehand, as constant_pad_nd takes them; empty for none

    WindowStep(const SlidingWindows &windows, const Region &out, bool round_up);
    at::Tensor pad(const at::Tensor &part, double value) const;
    at::Tensor unpad(const at::Tensor &padded) const;
};

} // namespace neurotap
