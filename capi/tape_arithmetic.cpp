#include "tape_operators.hpp"

namespace neurotap {
namespace {

// How an operand of some sizes takes part in a result of others: where its size is 1, it is the
// same for the whole dimension.
class Broadcast {
  public:
    Broadcast(const Sizes &operand, const Sizes &result) {
        for (size_t dim = 1; dim < result.size(); ++dim) {
            same_.push_back(operand[dim] == result[dim]);
            if (!same_.back())
                summed_.push_back(static_cast<int64_t>(dim));
        }
    }

    Region needs(const Region &out) const {
        Region needed = out;
        for (size_t i = 0; i < out.size(); ++i)
            if (!same_[i + 1])
                needed[i] = Extent{0, 1};
        return needed;
    }

    at::Tensor reverse(const at::Tensor &gradient) const {
        return summed_.empty() ? gradient : gradient.sum(summed_, /*keepdim=*/true);
    }

  private:
    std::vector<bool> same_; // for each dimension after the batch
    std::vector<int64_t> summed_;
};

double cost_of(const Sizes &result, const Region &out) {
    return static_cast<double>(result[1] * count_positions(out));
}

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
        return operation_.function(operands[0], part_of_constant(out));
    }

    std::vector<at::Tensor> reverse(at::Tensor gradient, const Reverse &how) const override {
        return {broadcast_.reverse(operation_.reverse(gradient, part_of_constant(how.out)))};
    }

  private:
    // Its last dimensions are positions too.
    at::Tensor part_of_constant(const Region &out) const {
        at::Tensor part = operation_.constant;
        for (size_t i = 0; i < out.size(); ++i) {
            const int64_t dim = part.dim() - static_cast<int64_t>(out.size() - i);
            if (dim >= 0 && part.size(dim) != 1)
                part = part.narrow(dim, out[i].first, out[i].count);
        }
        return part;
    }

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

TapeOperatorPtr make_expansion(const Sizes &operand, const Sizes &result) {
    return std::make_unique<Expansion>(operand, result);
}

TapeOperatorPtr make_with_constant(const Sizes &operand, const Sizes &result,
                                   const ConstantOperation &operation) {
    return std::make_unique<Constantly>(operand, result, operation);
}

} // namespace neurotap
