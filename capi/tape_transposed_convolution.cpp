#include "subpixel.hpp"
#include "tape_operators.hpp"

#include <algorithm>

namespace neurotap {
namespace {

// Of weights up to here a copy in another order is worth its memory.
constexpr size_t kFewBytes = size_t{1} << 20;

int64_t divide_down(int64_t a, int64_t b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }

// The reverse of a convolution, as an operator: input i adds to the outputs i * stride - before +
// {0, 1, …, kernel - 1} * dilation. Here a window's `input` is the size of what comes in.
class TransposedConvolution final : public TapeOperator {
  public:
    TransposedConvolution(const SlidingWindows &windows, const TapeConvolution &how)
        : windows_(windows), weight_(how.weight), bias_(how.bias), groups_(how.groups),
          none_(windows.size(), 0), subpixel_(windows, how.weight, how.groups, how.copies) {
        for (const SlidingWindow &window : windows) {
            strides_.push_back(window.stride);
            dilations_.push_back(window.dilation);
        }
    }

    // Outputs that no input reaches still get one, which does not matter to them.
    Region needs(const Region &out, size_t /*operand*/) const override {
        Region needed;
        for (size_t i = 0; i < windows_.size(); ++i) {
            const SlidingWindow &w = windows_[i];
            const int64_t reach = (w.kernel - 1) * w.dilation;
            const int64_t low =
                divide_down(out[i].first + w.before - reach + w.stride - 1, w.stride);
            const int64_t high = divide_down(out[i].end() - 1 + w.before, w.stride);
            const int64_t first = std::clamp<int64_t>(low, 0, w.input - 1);
            const int64_t last = std::clamp<int64_t>(high, first, w.input - 1);
            needed.push_back(Extent{first, last - first + 1});
        }
        return needed;
    }

    double cost(const Region &out) const override {
        return static_cast<double>(weight_.numel()) *
               static_cast<double>(count_positions(needs(out, 0)));
    }

    at::Tensor forward(std::vector<at::Tensor> operands, const Region &out,
                       Saved & /*saved*/) const override {
        const at::Tensor reached = spread(operands[0], needs(out, 0));
        at::Tensor result = at::constant_pad_nd(reached, pads(out, 1), 0);
        if (!bias_)
            return result;
        Sizes sizes(windows_.size() + 2, 1);
        sizes[1] = bias_->numel();
        return result.add(bias_->view(sizes));
    }

    std::vector<at::Tensor> reverse(at::Tensor gradient, const Reverse &how) const override {
        gradient = at::constant_pad_nd(gradient, pads(how.out, -1), 0);
        if (has_onednn(gradient) && windows_.size() > 1)
            return {at::mkldnn_convolution(gradient, weight_, at::Tensor(), none_, strides_,
                                           dilations_, groups_)};
        return {at::convolution(gradient, weight_, at::Tensor(), strides_, none_, dilations_, false,
                                none_, groups_)};
    }

  private:
    // All outputs that these inputs reach.
    at::Tensor spread(const at::Tensor &part, const Region &inputs) const {
        if (!has_onednn(part) || windows_.size() < 2 || !SubpixelConvolution::can(windows_) ||
            weight_.nbytes() > kFewBytes)
            return at::convolution(part, weight_, at::Tensor(), strides_, none_, dilations_, true,
                                   none_, groups_);
        Sizes sizes{part.size(0), weight_.size(1) * groups_};
        for (size_t i = 0; i < windows_.size(); ++i)
            sizes.push_back(reached(i, inputs[i]).count);
        return subpixel_.run(part, sizes, none_);
    }

    Extent reached(size_t dim, const Extent &inputs) const {
        const SlidingWindow &w = windows_[dim];
        return Extent{inputs.first * w.stride - w.before,
                      (inputs.count - 1) * w.stride + (w.kernel - 1) * w.dilation + 1};
    }

    // From what is reached to these outputs, as constant_pad_nd takes it.
    std::vector<int64_t> pads(const Region &out, int64_t sign) const {
        const Region inputs = needs(out, 0);
        std::vector<int64_t> all;
        for (size_t i = windows_.size(); i-- > 0;) {
            const Extent there = reached(i, inputs[i]);
            all.push_back(sign * (there.first - out[i].first));
            all.push_back(sign * (out[i].end() - there.end()));
        }
        return all;
    }

    const SlidingWindows windows_;
    const at::Tensor weight_; // [inputs, outputs / groups, …]
    const MaybeTensor bias_;
    const int64_t groups_;
    std::vector<int64_t> strides_, dilations_, none_;
    const SubpixelConvolution subpixel_;
};

} // namespace

TapeOperatorPtr make_transposed_convolution(const SlidingWindows &windows,
                                            const TapeConvolution &how) {
    return std::make_unique<TransposedConvolution>(windows, how);
}

} // namespace neurotap
