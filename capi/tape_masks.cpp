// Operators with masks. On a tape a mask is a value of ones and zeros, and has no gradient.
#include "tape_broadcast.hpp"

namespace neurotap {
namespace {

// What is true of the elements of one value, or of two.
class Question final : public TapeOperator {
  public:
    Question(const std::vector<Sizes> &operands, const Sizes &result, Asked asked)
        : result_(result), asked_(std::move(asked)) {
        for (const Sizes &operand : operands)
            broadcasts_.emplace_back(operand, result);
    }

    Region needs(const Region &out, size_t operand) const override {
        return broadcasts_[operand].needs(out);
    }

    bool has_gradient() const override { return false; }

    double cost(const Region &out) const override { return cost_of(result_, out); }

    at::Tensor forward(std::vector<at::Tensor> operands, const Region & /*out*/,
                       Saved & /*saved*/) const override {
        return asked_(operands).to(operands[0].scalar_type());
    }

    std::vector<at::Tensor> reverse(at::Tensor /*gradient*/,
                                    const Reverse & /*how*/) const override {
        return std::vector<at::Tensor>(broadcasts_.size());
    }

  private:
    std::vector<Broadcast> broadcasts_;
    Sizes result_;
    Asked asked_;
};

// Where the mask says so the first of two, elsewhere the second.
class Choice final : public TapeOperator {
  public:
    Choice(const std::array<ChoicePart, 3> &parts, const Sizes &result)
        : parts_(parts), result_(result) {
        for (size_t part = 0; part < parts.size(); ++part)
            if (!parts[part].constant.defined()) {
                operands_.push_back(part);
                broadcasts_.emplace_back(parts[part].sizes, result);
            }
    }

    Region needs(const Region &out, size_t operand) const override {
        return broadcasts_[operand].needs(out);
    }

    double cost(const Region &out) const override { return cost_of(result_, out); }

    at::Tensor forward(std::vector<at::Tensor> operands, const Region &out,
                       Saved &saved) const override {
        std::array<at::Tensor, 3> parts;
        for (size_t part = 0; part < parts.size(); ++part)
            if (parts_[part].constant.defined())
                parts[part] = part_of_constant(parts_[part].constant, out);
        for (size_t i = 0; i < operands.size(); ++i)
            parts[operands_[i]] = std::move(operands[i]);
        const at::Tensor mask = parts[0].to(at::kBool);
        saved = {mask};
        return at::where(mask, parts[1], parts[2]);
    }

    std::vector<at::Tensor> reverse(at::Tensor gradient, const Reverse &how) const override {
        const bool by_example = !parts_[0].constant.defined();
        const at::Tensor each = by_example ? how.by_neuron(gradient) : gradient;
        const at::Tensor zero = at::zeros({}, gradient.options());
        std::vector<at::Tensor> gradients;
        for (size_t i = 0; i < operands_.size(); ++i) {
            if (operands_[i] == 0) {
                gradients.emplace_back();
                continue;
            }
            const bool first = operands_[i] == 1;
            const at::Tensor one =
                at::where(how.saved[0], first ? each : zero, first ? zero : each);
            gradients.push_back(broadcasts_[i].reverse(by_example ? one.flatten(0, 1) : one));
        }
        return gradients;
    }

  private:
    std::array<ChoicePart, 3> parts_;
    Sizes result_;
    std::vector<size_t> operands_; // which of the parts they are
    std::vector<Broadcast> broadcasts_;
};

} // namespace

TapeOperatorPtr make_question(const std::vector<Sizes> &operands, const Sizes &result,
                              const Asked &asked) {
    return std::make_unique<Question>(operands, result, asked);
}

TapeOperatorPtr make_choice(const std::array<ChoicePart, 3> &parts, const Sizes &result) {
    return std::make_unique<Choice>(parts, result);
}

} // namespace neurotap
