#include "subpixel.hpp"
#include "tape_operators.hpp"

namespace neurotap {

// libtorch computes single small examples and 1x1 kernels with plain loops or with whatever BLAS is
// there; oneDNN is up to 40 times faster.
bool has_onednn(const at::Tensor &tensor) {
    return tensor.is_cpu() && tensor.scalar_type() == at::kFloat && at::hasMKLDNN() &&
           at::globalContext().userEnabledMkldnn();
}

namespace {

// libtorch takes oneDNN for gradients if there are two examples, or this many elements.
constexpr int64_t kFewElements = 20480;

// Up to here a matrix product at a single position is faster than what oneDNN does to the weights
// first.
constexpr int64_t kFewMultiplications = int64_t{1} << 19;

// For up to so many positions of all examples, putting the weight in oneDNN's order takes as long
// as computing with it; copies of so many bytes are worth keeping.
constexpr int64_t kFewPositions = 512;
constexpr size_t kFewBytes = size_t{1} << 20;

// oneDNN computes channels by sixteens.
constexpr int64_t kFewChannels = 16;

class Convolution final : public TapeOperator {
  public:
    Convolution(const SlidingWindows &windows, const TapeConvolution &how)
        : windows_(windows), weight_(how.weight), bias_(how.bias), groups_(how.groups),
          none_(windows.size(), 0), keeps_(how.copies != nullptr),
          subpixel_(windows, how.weight, how.groups, how.copies) {
        bool pointwise = true;
        for (const SlidingWindow &window : windows) {
            strides_.push_back(window.stride);
            dilations_.push_back(window.dilation);
            pointwise = pointwise && window.kernel == 1;
        }
        // No matter what it is then, libtorch takes oneDNN for a dilated kernel.
        if (pointwise)
            dilations_.assign(windows.size(), 2);
        std::vector<int64_t> numbers{groups_};
        numbers.insert(numbers.end(), strides_.begin(), strides_.end());
        numbers.insert(numbers.end(), dilations_.begin(), dilations_.end());
        packed_ = keep_copy(how.copies, weight_, WeightCopies::Order::kPacked, numbers);
    }

    Region needs(const Region &out, size_t /*operand*/) const override {
        return look_at(windows_, out);
    }

    double cost(const Region &out) const override {
        return static_cast<double>(weight_.numel()) * static_cast<double>(count_positions(out));
    }

    at::Tensor forward(std::vector<at::Tensor> operands, const Region &out,
                       Saved & /*saved*/) const override {
        if (is_product(out, operands[0].size(0)))
            return at::linear(operands[0].flatten(1), weight_.flatten(1), bias_)
                .view(sizes_at_one_position(operands[0].size(0), weight_.size(0), false));
        const WindowStep step(windows_, out, false);
        const at::Tensor operand = step.pad(operands[0], 0);
        if (has_onednn(operand) && windows_.size() > 1)
            return at::mkldnn_convolution(operand, weight_for(out, operand.size(0)), bias_,
                                          step.padding, strides_, dilations_, groups_);
        return at::convolution(operand, weight_, bias_, strides_, step.padding, dilations_, false,
                               none_, groups_);
    }

    std::vector<at::Tensor> reverse(at::Tensor gradient, const Reverse &how) const override {
        if (is_product(how.out, gradient.size(0)))
            return {at::mm(gradient.flatten(1), weight_.flatten(1))
                        .view(sizes_at_one_position(gradient.size(0), weight_.size(1), true))};
        const WindowStep step(windows_, how.out, false);
        auto sizes = padded_sizes(gradient.size(0), how.out, step);
        if (has_onednn(gradient) && prefers_subpixel(how.out, gradient.size(0)))
            return {step.unpad(subpixel_.run(gradient, sizes, step.padding))};
        const bool twice =
            sizes[0] == 1 && has_onednn(gradient) && c10::multiply_integers(sizes) <= kFewElements;
        if (twice) {
            sizes[0] = 2;
            gradient = at::cat({gradient, gradient});
        }
        // Of the operand only its kind is looked at.
        const at::Tensor operand = at::empty(sizes, gradient.options());
        const at::Tensor padded = std::get<0>(at::convolution_backward(
            gradient, operand, weight_, c10::nullopt, strides_, step.padding, dilations_, false,
            none_, groups_, {true, false, false}));
        return {step.unpad(twice ? padded.narrow(0, 0, 1) : padded)};
    }

  private:
    bool is_few(const Region &out, int64_t rows) const {
        return rows * count_positions(out) <= kFewPositions && weight_.nbytes() <= kFewBytes;
    }

    // Where libtorch's own way is slow: it arranges the weight every time, takes oneDNN only for
    // two examples if they are small, and oneDNN wastes most of its work on few channels.
    bool prefers_subpixel(const Region &out, int64_t rows) const {
        return windows_.size() > 1 && SubpixelConvolution::can(windows_) &&
               (is_few(out, rows) || (weight_.size(1) < kFewChannels && groups_ == 1));
    }

    at::Tensor weight_for(const Region &out, int64_t rows) const {
        if (!keeps_ || !is_few(out, rows))
            return weight_;
        return packed_->get(
            [&] { return pack_weight(weight_, none_, strides_, dilations_, groups_); });
    }

    // At one position, and with nothing of the kernel outside, it is a product of matrices.
    bool is_product(const Region &out, int64_t rows) const {
        bool inside = groups_ == 1 && rows * weight_.numel() <= kFewMultiplications;
        for (size_t i = 0; i < windows_.size() && inside; ++i) {
            const auto part = windows_[i].look_at(out[i]);
            inside = out[i].count == 1 && part.before == 0 && part.after == 0 &&
                     part.inputs.count == windows_[i].kernel;
        }
        return inside;
    }

    Sizes sizes_at_one_position(int64_t rows, int64_t channels, bool operand) const {
        Sizes sizes{rows, channels};
        for (const SlidingWindow &window : windows_)
            sizes.push_back(operand ? window.kernel : 1);
        return sizes;
    }

    Sizes padded_sizes(int64_t rows, const Region &out, const WindowStep &step) const {
        Sizes sizes{rows, weight_.size(1) * groups_};
        for (size_t i = 0; i < windows_.size(); ++i) {
            const auto part = windows_[i].look_at(out[i]);
            const int64_t pads = step.pads.empty() ? 0 : part.before + part.after;
            sizes.push_back(part.inputs.count + pads);
        }
        return sizes;
    }

    SlidingWindows windows_;
    at::Tensor weight_;
    MaybeTensor bias_;
    int64_t groups_;
    std::vector<int64_t> strides_, dilations_, none_;
    const bool keeps_;
    KeptTensorPtr packed_;
    const SubpixelConvolution subpixel_;
};

} // namespace

TapeOperatorPtr make_convolution(const SlidingWindows &windows, const TapeConvolution &how) {
    return std::make_unique<Convolution>(windows, how);
}

} // namespace neurotap
