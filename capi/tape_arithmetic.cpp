#include "tape_broadcast.hpp"

namespace neurotap {
namespace {

// ---- of two values ----

class Binary : public TapeOperator {
  public:
    Binary(const Sizes &a, const Sizes &b, const Sizes &result)
        : broadcasts_{Broadcast(a, result), Broadcast(b, result)}, result_(result) {}

    Region needs(const Region &out, size_t operand) const override {
        return broadcasts_[operand].needs(out);
    }

    double cost(const Region &out) const override { return cost_of(result_, out); }

  protected:
    std::array<Broadcast, 2> broadcasts_;
    Sizes result_;
};

class Sum final : public Binary {
  public:
    Sum(const Sizes &a, const Sizes &b, const Sizes &result, const at::Scalar &weight_of_b)
        : Binary(a, b, result), weight_(weight_of_b) {}

    at::Tensor forward(std::vector<at::Tensor> operands, const Region & /*out*/,
                       Saved & /*saved*/) const override {
        at::Tensor &a = operands[0];
        const bool in_place =
            is_ours_alone(a) && !operands[1].is_same(a) && a.sizes() == operands[1].sizes();
        return in_place ? a.add_(operands[1], weight_) : at::add(a, operands[1], weight_);
    }

    std::vector<at::Tensor> reverse(at::Tensor gradient, const Reverse & /*how*/) const override {
        const at::Tensor of_b = broadcasts_[1].reverse(gradient);
        return {broadcasts_[0].reverse(gradient), weight_.equal(1) ? of_b : at::mul(of_b, weight_)};
    }

  private:
    at::Scalar weight_;
};

class Product final : public Binary {
  public:
    using Binary::Binary;

    at::Tensor forward(std::vector<at::Tensor> operands, const Region & /*out*/,
                       Saved &saved) const override {
        saved = {operands[0], operands[1]};
        return at::mul(operands[0], operands[1]);
    }

    std::vector<at::Tensor> reverse(at::Tensor gradient, const Reverse &how) const override {
        const at::Tensor by_neuron = how.by_neuron(gradient);
        const auto with = [&](size_t operand) {
            const at::Tensor product = at::mul(by_neuron, how.saved[1 - operand]).flatten(0, 1);
            return broadcasts_[operand].reverse(product);
        };
        return {with(0), with(1)};
    }
};

// 1 / b * b is not computed: it leaves the range of numbers sooner than a / b does.
class Quotient final : public Binary {
  public:
    using Binary::Binary;

    at::Tensor forward(std::vector<at::Tensor> operands, const Region & /*out*/,
                       Saved &saved) const override {
        at::Tensor quotient = at::div(operands[0], operands[1]);
        saved = {operands[1], quotient};
        return quotient;
    }

    std::vector<at::Tensor> reverse(at::Tensor gradient, const Reverse &how) const override {
        const at::Tensor of_a = at::div(how.by_neuron(gradient), how.saved[0]);
        const at::Tensor of_b = at::mul(of_a, how.saved[1]).neg();
        return {broadcasts_[0].reverse(of_a.flatten(0, 1)),
                broadcasts_[1].reverse(of_b.flatten(0, 1))};
    }
};

// Keeps its derivatives.
class OfTwoElements final : public Binary {
  public:
    OfTwoElements(const Sizes &a, const Sizes &b, const Sizes &result, OfTwo function)
        : Binary(a, b, result), function_(function) {}

    at::Tensor forward(std::vector<at::Tensor> operands, const Region & /*out*/,
                       Saved &saved) const override {
        const at::AutoGradMode grad(true);
        const auto both = at::broadcast_tensors({operands[0].detach(), operands[1].detach()});
        const at::Tensor a = both[0].detach().requires_grad_();
        const at::Tensor b = both[1].detach().requires_grad_();
        const at::Tensor result = function_(a, b);
        saved = torch::autograd::grad({result}, {a, b}, {at::ones_like(result)});
        return result.detach();
    }

    std::vector<at::Tensor> reverse(at::Tensor gradient, const Reverse &how) const override {
        const at::Tensor by_neuron = how.by_neuron(gradient);
        const auto with = [&](size_t i) {
            return broadcasts_[i].reverse(at::mul(by_neuron, how.saved[i]).flatten(0, 1));
        };
        return {with(0), with(1)};
    }

  private:
    OfTwo function_;
};

// ---- of one value ----

// A value as often as a dimension of the result asks for it.
class Expansion final : public TapeOperator {
  public:
    Expansion(const Sizes &operand, const Sizes &result)
        : broadcast_(operand, result), result_(result) {}

    Region needs(const Region &out, size_t /*operand*/) const override {
        return broadcast_.needs(out);
    }

    double cost(const Region & /*out*/) const override { return 0; }

    at::Tensor forward(std::vector<at::Tensor> operands, const Region &out,
                       Saved & /*saved*/) const override {
        return operands[0].expand(sizes_of(result_, out, operands[0].size(0)));
    }

    std::vector<at::Tensor> reverse(at::Tensor gradient, const Reverse & /*how*/) const override {
        return {broadcast_.reverse(gradient)};
    }

  private:
    Broadcast broadcast_;
    Sizes result_;
};

// ---- of a value and a constant ----

class Constantly final : public TapeOperator {
  public:
    Constantly(const Sizes &operand, const Sizes &result, const ConstantOperation &operation)
        : broadcast_(operand, result), result_(result), operation_(operation) {}

    Region needs(const Region &out, size_t /*operand*/) const override {
        return broadcast_.needs(out);
    }

    double cost(const Region &out) const override { return cost_of(result_, out); }

    at::Tensor forward(std::vector<at::Tensor> operands, const Region &out,
                       Saved & /*saved*/) const override {
        return operation_.function(operands[0], part_of_constant(operation_.constant, out));
    }

    std::vector<at::Tensor> reverse(at::Tensor gradient, const Reverse &how) const override {
        return {broadcast_.reverse(
            operation_.reverse(gradient, part_of_constant(operation_.constant, how.out)))};
    }

  private:
    Broadcast broadcast_;
    Sizes result_;
    ConstantOperation operation_;
};

} // namespace

TapeOperatorPtr make_sum(const Sizes &a, const Sizes &b, const Sizes &result,
                         const at::Scalar &weight_of_b) {
    return std::make_unique<Sum>(a, b, result, weight_of_b);
}

TapeOperatorPtr make_product(const Sizes &a, const Sizes &b, const Sizes &result) {
    return std::make_unique<Product>(a, b, result);
}

TapeOperatorPtr make_quotient(const Sizes &a, const Sizes &b, const Sizes &result) {
    return std::make_unique<Quotient>(a, b, result);
}

TapeOperatorPtr make_of_two(const Sizes &a, const Sizes &b, const Sizes &result, OfTwo function) {
    return std::make_unique<OfTwoElements>(a, b, result, function);
}

TapeOperatorPtr make_expansion(const Sizes &operand, const Sizes &result) {
    return std::make_unique<Expansion>(operand, result);
}

TapeOperatorPtr make_with_constant(const Sizes &operand, const Sizes &result,
                                   const ConstantOperation &operation) {
    return std::make_unique<Constantly>(operand, result, operation);
}

} // namespace neurotap
