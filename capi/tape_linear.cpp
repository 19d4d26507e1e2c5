#include "tape_operators.hpp"

namespace neurotap {
namespace {

class Linear final : public TapeOperator {
  public:
    Linear(const at::Tensor &weight, const MaybeTensor &bias) : weight_(weight), bias_(bias) {}

    Region needs(const Region &out, size_t /*operand*/) const override { return out; }

    double cost(const Region & /*out*/) const override {
        return static_cast<double>(weight_.numel());
    }

    at::Tensor forward(std::vector<at::Tensor> operands, const Region & /*out*/,
                       Saved & /*saved*/) const override {
        return at::linear(operands[0], weight_, bias_);
    }

    std::vector<at::Tensor> reverse(at::Tensor gradient, const Reverse & /*how*/) const override {
        return {at::mm(gradient, weight_)};
    }

  private:
    at::Tensor weight_;
    MaybeTensor bias_;
};

} // namespace

TapeOperatorPtr make_linear(const at::Tensor &weight, const MaybeTensor &bias) {
    return std::make_unique<Linear>(weight, bias);
}

} // namespace neurotap
