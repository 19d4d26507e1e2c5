#include "tape_operators.hpp"

namespace neurotap {
namespace {

// From here on oneDNN is faster than a BLAS that is not tuned, and not slower than one that is.
constexpr int64_t kManyRows = 8;
constexpr int64_t kManyMultiplications = int64_t{1} << 22;

class Linear final : public TapeOperator {
  public:
    Linear(const at::Tensor &weight, const MaybeTensor &bias) : weight_(weight), bias_(bias) {}

    Region needs(const Region &out, size_t /*operand*/) const override { return out; }

    double cost(const Region & /*out*/) const override {
        return static_cast<double>(weight_.numel());
    }

    at::Tensor forward(std::vector<at::Tensor> operands, const Region & /*out*/,
                       Saved & /*saved*/) const override {
        const at::Tensor &rows = operands[0];
        if (!gains_from_onednn(rows))
            return at::linear(rows, weight_, bias_);
        return at::mkldnn_convolution(as_image(rows), as_image(weight_), bias_, {0, 0}, {1, 1},
                                      {1, 1}, 1)
            .flatten(1);
    }

    std::vector<at::Tensor> reverse(at::Tensor gradient, const Reverse & /*how*/) const override {
        if (!gains_from_onednn(gradient))
            return {at::mm(gradient, weight_)};
        const at::Tensor operand =
            at::empty({gradient.size(0), weight_.size(1), 1, 1}, gradient.options());
        const at::Tensor image = std::get<0>(at::convolution_backward(
            as_image(gradient), operand, as_image(weight_), c10::nullopt, {1, 1}, {0, 0}, {2, 2},
            false, {0, 0}, 1, {true, false, false}));
        return {image.flatten(1)};
    }

  private:
    bool gains_from_onednn(const at::Tensor &rows) const {
        return rows.size(0) >= kManyRows &&
               rows.size(0) * weight_.numel() >= kManyMultiplications && has_onednn(rows);
    }

    // A matrix product is a convolution with a kernel of 1x1.
    static at::Tensor as_image(const at::Tensor &rows) { return rows.unsqueeze(2).unsqueeze(3); }

    at::Tensor weight_;
    MaybeTensor bias_;
};

} // namespace

TapeOperatorPtr make_linear(const at::Tensor &weight, const MaybeTensor &bias) {
    return std::make_unique<Linear>(weight, bias);
}

} // namespace neurotap
