// The reverse of a convolution, for its operand, as a convolution over the gradient. With a stride
// of s it is one of stride 1 that computes s positions at once, as so many channels (the sub-pixel
// convolution of Shi et al. 2016, arXiv:1609.05158, whose appendix shows that they are the same).
#pragma once

#include "sliding_window.hpp"

namespace neurotap {

class SubpixelConvolution {
  public:
    SubpixelConvolution(const SlidingWindows &windows, int64_t groups);

    // Not of kernels that are both dilated and strided.
    static bool can(const SlidingWindows &windows);

    // What it takes of the convolution's weight: a copy in another order.
    at::Tensor arrange(const at::Tensor &weight) const;
    // Of an arranged weight: in the format that oneDNN computes with, if it is of two dimensions.
    at::Tensor pack(const at::Tensor &arranged) const;

    // The gradient at an operand of these sizes, which the convolution padded so much at both ends.
    // `weight` is arranged, and may be packed.
    at::Tensor run(const at::Tensor &gradient, const at::Tensor &weight, const Sizes &operand,
                   const std::vector<int64_t> &padding) const;

  private:
    struct Dimension {
        int64_t stride, dilation;
        int64_t phases; // how many of the stride's positions any element of the kernel reaches
        int64_t taps;   // of each phase's kernel
    };

    at::Tensor interleave(const at::Tensor &phases, int64_t channels) const;

    std::vector<Dimension> dimensions_;
    std::vector<int64_t> dilations_, ones_;
    int64_t groups_;
};

// A convolution's weight of two dimensions in oneDNN's own format.
at::Tensor pack_weight(const at::Tensor &weight, const std::vector<int64_t> &padding,
                       const std::vector<int64_t> &strides, const std::vector<int64_t> &dilations,
                       int64_t groups);

} // namespace neurotap
