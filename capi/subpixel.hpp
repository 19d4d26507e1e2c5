// The reverse of a convolution, for its operand, as a convolution over the gradient. With a stride
// of s it is one of stride 1 that computes s positions at once, as so many channels (the sub-pixel
// convolution of Shi et al. 2016, arXiv:1609.05158, whose appendix shows that they are the same).
#pragma once

#include "kept_tensor.hpp"
#include "sliding_window.hpp"

namespace neurotap {

class SubpixelConvolution {
  public:
    // Of the convolution with that weight; without `copies` nothing is kept of it.
    SubpixelConvolution(const SlidingWindows &windows, const at::Tensor &weight, int64_t groups,
                        WeightCopies *copies);

    // Not of kernels that are both dilated and strided.
    static bool can(const SlidingWindows &windows);

    // The gradient at an operand of these sizes, which the convolution padded so much at both ends.
    at::Tensor run(const at::Tensor &gradient, const Sizes &operand,
                   const std::vector<int64_t> &padding) const;

  private:
    struct Dimension {
        int64_t stride, dilation;
        int64_t phases; // how many of the stride's positions any element of the kernel reaches
        int64_t taps;   // of each phase's kernel
    };

    at::Tensor arrange() const;
    at::Tensor interleave(const at::Tensor &phases, int64_t channels) const;

    std::vector<Dimension> dimensions_;
    std::vector<int64_t> dilations_, ones_;
    at::Tensor weight_;
    int64_t groups_;
    KeptTensorPtr arranged_;
};

// A convolution's weight of two dimensions in oneDNN's own format.
at::Tensor pack_weight(const at::Tensor &weight, const std::vector<int64_t> &padding,
                       const std::vector<int64_t> &strides, const std::vector<int64_t> &dilations,
                       int64_t groups);

} // namespace neurotap
