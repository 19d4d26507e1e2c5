#include "subpixel.hpp"

#include <algorithm>

namespace neurotap {

SubpixelConvolution::SubpixelConvolution(const SlidingWindows &windows, const at::Tensor &weight,
                                         int64_t groups, WeightCopies *copies)
    : ones_(windows.size(), 1), weight_(weight), groups_(groups) {
    std::vector<int64_t> numbers{groups};
    for (const SlidingWindow &window : windows) {
        dimensions_.push_back(Dimension{window.stride, window.dilation,
                                        std::min(window.stride, window.kernel),
                                        (window.kernel + window.stride - 1) / window.stride});
        dilations_.push_back(window.dilation);
        numbers.insert(numbers.end(), {window.stride, window.dilation});
    }
    arranged_ = keep_copy(copies, weight, WeightCopies::Order::kSubpixel, numbers);
}

bool SubpixelConvolution::can(const SlidingWindows &windows) {
    return std::all_of(windows.begin(), windows.end(), [](const SlidingWindow &window) {
        return window.stride == 1 || window.dilation == 1;
    });
}

// The weight as it computes with it. Operand position q * stride + phase is reached from outputs q
// - t by the kernel's elements phase + stride * t: so each phase has a kernel of its own, turned
// round.
at::Tensor SubpixelConvolution::arrange() const {
    const int64_t outputs = weight_.size(0) / groups_;
    const int64_t inputs = weight_.size(1);
    std::vector<int64_t> pads, split{groups_, outputs, inputs}, turned, order{0, 2};
    for (size_t i = 0; i < dimensions_.size(); ++i) {
        const Dimension &d = dimensions_[i];
        const int64_t kernel = weight_.size(static_cast<int64_t>(i) + 2);
        pads.insert(pads.begin(), {0, d.taps * d.stride - kernel});
        split.insert(split.end(), {d.taps, d.stride});
        turned.push_back(static_cast<int64_t>(3 + 2 * i));
    }
    at::Tensor parts = at::constant_pad_nd(weight_, pads).view(split);
    for (size_t i = 0; i < dimensions_.size(); ++i)
        parts = parts.narrow(turned[i] + 1, 0, dimensions_[i].phases);
    for (const int64_t taps : turned)
        order.push_back(taps + 1);
    order.push_back(1);
    order.insert(order.end(), turned.begin(), turned.end());
    std::vector<int64_t> sizes{groups_ * inputs, outputs};
    for (const Dimension &d : dimensions_) {
        sizes[0] *= d.phases;
        sizes.push_back(d.taps);
    }
    const std::vector<int64_t> none(ones_.size(), 0);
    return pack_weight(parts.flip(turned).permute(order).reshape(sizes), none, ones_, dilations_,
                       groups_);
}

// From [examples, channels * phases, …] to [examples, channels, … * stride].
at::Tensor SubpixelConvolution::interleave(const at::Tensor &phases, int64_t channels) const {
    const auto n = static_cast<int64_t>(dimensions_.size());
    std::vector<int64_t> split{phases.size(0), channels}, order{0, 1}, spread = split,
                                                                       sizes = split;
    for (const Dimension &d : dimensions_)
        split.push_back(d.phases);
    bool all = true;
    for (int64_t i = 0; i < n; ++i) {
        const Dimension &d = dimensions_[static_cast<size_t>(i)];
        const int64_t count = phases.size(i + 2);
        split.push_back(count);
        order.insert(order.end(), {2 + n + i, 2 + i});
        spread.insert(spread.end(), {count, d.stride});
        sizes.push_back(count * d.stride);
        all = all && d.phases == d.stride;
    }
    at::Tensor result = phases.view(split).permute(order);
    if (!all) { // positions that no element of the kernel reaches
        const at::Tensor reached = result;
        at::Tensor some = result = at::zeros(spread, phases.options());
        for (int64_t i = 0; i < n; ++i)
            some = some.narrow(3 + 2 * i, 0, dimensions_[static_cast<size_t>(i)].phases);
        some.copy_(reached);
    }
    return result.reshape(sizes);
}

at::Tensor SubpixelConvolution::run(const at::Tensor &gradient, const Sizes &operand,
                                    const std::vector<int64_t> &padding) const {
    std::vector<int64_t> pads, first; // of the convolution; the first position of what it computes
    bool strided = false;
    for (size_t i = 0; i < dimensions_.size(); ++i) {
        const Dimension &d = dimensions_[i];
        const int64_t reach = d.dilation * (d.taps - 1);
        // What is left out in front is left out behind, too, where it may be needed.
        const int64_t all = gradient.size(static_cast<int64_t>(i) + 2) + reach;
        const int64_t needed = (padding[i] + operand[i + 2] + d.stride - 1) / d.stride;
        const int64_t spare = std::max<int64_t>(0, all - needed);
        const int64_t skipped = std::min({padding[i] / d.stride, reach, spare});
        pads.push_back(reach - skipped);
        first.push_back(padding[i] - skipped * d.stride);
        strided = strided || d.stride > 1;
    }
    const at::Tensor weight = arranged_->get([&] { return arrange(); });
    at::Tensor result =
        at::mkldnn_convolution(gradient, weight, at::Tensor(), pads, ones_, dilations_, groups_);
    if (strided)
        result = interleave(result, operand[1]);
    std::vector<int64_t> beyond; // as constant_pad_nd takes it
    for (size_t i = 0; i < dimensions_.size(); ++i) {
        const auto dim = static_cast<int64_t>(i) + 2;
        const int64_t there = std::min(operand[i + 2], result.size(dim) - first[i]);
        beyond.insert(beyond.begin(), {0, operand[i + 2] - there});
        if (there != result.size(dim))
            result = result.narrow(dim, first[i], there);
    }
    const bool complete = result.sizes() == at::IntArrayRef(operand);
    return complete ? result : at::constant_pad_nd(result, beyond);
}

at::Tensor pack_weight(const at::Tensor &weight, const std::vector<int64_t> &padding,
                       const std::vector<int64_t> &strides, const std::vector<int64_t> &dilations,
                       int64_t groups) {
    if (weight.dim() != 4)
        return weight;
    return at::mkldnn_reorder_conv2d_weight(weight.to_mkldnn(), padding, strides, dilations,
                                            groups);
}

} // namespace neurotap
