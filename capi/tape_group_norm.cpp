// Normalisation with the statistics of each example's groups of channels. It looks at all
// positions.
#include "tape_operators.hpp"

namespace neurotap {
namespace {

class GroupNorm final : public TapeOperator {
  public:
    GroupNorm(const Sizes &operand, const TapeGroupNorm &norm) : operand_(operand), norm_(norm) {}

    Region needs(const Region & /*out*/, size_t /*operand*/) const override {
        return whole_region(operand_);
    }

    double cost(const Region & /*out*/) const override {
        return static_cast<double>(operand_[1] * positions());
    }

    at::Tensor forward(std::vector<at::Tensor> operands, const Region &out,
                       Saved &saved) const override {
        const at::Tensor operand = operands[0].contiguous();
        const auto [result, mean, deviation] =
            at::native_group_norm(operand, norm_.weight, norm_.bias, operand.size(0), operand_[1],
                                  positions(), norm_.groups, norm_.epsilon);
        saved = {operand, mean, deviation};
        return cut(result, whole_region(operand_), out);
    }

    std::vector<at::Tensor> reverse(at::Tensor gradient, const Reverse &how) const override {
        gradient = widened(std::move(gradient), operand_, how.out, whole_region(operand_));
        std::vector<at::Tensor> of_neurons;
        for (const at::Tensor &one : gradient.split(how.examples))
            of_neurons.push_back(std::get<0>(at::native_group_norm_backward(
                one.contiguous(), how.saved[0], how.saved[1], how.saved[2], norm_.weight,
                how.examples, operand_[1], positions(), norm_.groups, {true, false, false})));
        return {of_neurons.size() == 1 ? of_neurons[0] : at::cat(of_neurons)};
    }

  private:
    int64_t positions() const { return count_positions(whole_region(operand_)); }

    Sizes operand_;
    TapeGroupNorm norm_;
};

} // namespace

TapeOperatorPtr make_group_norm(const Sizes &operand, const TapeGroupNorm &norm) {
    return std::make_unique<GroupNorm>(operand, norm);
}

} // namespace neurotap
