// What attention takes beside dense layers: products of two values, and softmax.
#include "tape_operators.hpp"

namespace neurotap {
namespace {

// [examples, heads…, rows, inner] times [examples, heads…, inner, columns].
class MatrixProduct final : public TapeOperator {
  public:
    // `operand` is the first one's sizes.
    explicit MatrixProduct(const Sizes &operand) : channels_(operand[1]), inner_(operand.back()) {}

    Region needs(const Region &out, size_t operand) const override {
        Region needed = out;
        const size_t n = out.size();
        if (operand == 0)
            needed[n - 1] = Extent{0, inner_};
        else if (n > 1) // or it is where channels are
            needed[n - 2] = Extent{0, inner_};
        return needed;
    }

    double cost(const Region &out) const override {
        return static_cast<double>(channels_ * count_positions(out)) * static_cast<double>(inner_);
    }

    at::Tensor forward(std::vector<at::Tensor> operands, const Region & /*out*/,
                       Saved &saved) const override {
        saved = {operands[0], operands[1]};
        return at::matmul(operands[0], operands[1]);
    }

    std::vector<at::Tensor> reverse(at::Tensor gradient, const Reverse &how) const override {
        const at::Tensor &a = how.saved[0];
        const at::Tensor &b = how.saved[1];
        if (how.neurons == 1)
            return {at::matmul(gradient, b.transpose(-2, -1)),
                    at::matmul(a.transpose(-2, -1), gradient)};
        const at::Tensor by_neuron = how.by_neuron(gradient);
        return {of_rows(by_neuron, b), of_columns(by_neuron, a)};
    }

  private:
    // The gradients of all neurons side by side make one product of it.
    static at::Tensor of_rows(const at::Tensor &by_neuron, const at::Tensor &b) {
        const at::Tensor rows = by_neuron.movedim(0, -3);
        const at::Tensor product =
            at::matmul(rows.flatten(-3, -2), b.transpose(-2, -1))
                .unflatten(-2, at::IntArrayRef{rows.size(-3), rows.size(-2)});
        return product.movedim(-3, 0).flatten(0, 1);
    }

    static at::Tensor of_columns(const at::Tensor &by_neuron, const at::Tensor &a) {
        const at::Tensor columns = by_neuron.movedim(0, -2);
        const at::Tensor product =
            at::matmul(a.transpose(-2, -1), columns.flatten(-2, -1))
                .unflatten(-1, at::IntArrayRef{columns.size(-2), columns.size(-1)});
        return product.movedim(-2, 0).flatten(0, 1);
    }

    int64_t channels_, inner_;
};

// Keeps the probabilities.
class Softmax final : public TapeOperator {
  public:
    Softmax(const Sizes &operand, size_t dim, bool logarithmic)
        : operand_(operand), dim_(dim), logarithmic_(logarithmic) {}

    Region needs(const Region &out, size_t /*operand*/) const override {
        Region needed = out;
        if (dim_ >= 2)
            needed[dim_ - 2] = Extent{0, operand_[dim_]};
        return needed;
    }

    double cost(const Region &out) const override {
        return static_cast<double>(operand_[1] * count_positions(needs(out, 0)));
    }

    at::Tensor forward(std::vector<at::Tensor> operands, const Region &out,
                       Saved &saved) const override {
        const auto dim = static_cast<int64_t>(dim_);
        at::Tensor result =
            logarithmic_ ? at::log_softmax(operands[0], dim) : at::softmax(operands[0], dim);
        saved = {logarithmic_ ? result.exp() : result};
        return cut(result, needs(out, 0), out);
    }

    std::vector<at::Tensor> reverse(at::Tensor gradient, const Reverse &how) const override {
        gradient = widened(std::move(gradient), operand_, how.out, needs(how.out, 0));
        const at::Tensor &probabilities = how.saved[0];
        if (!is_ours_alone(gradient))
            gradient = gradient.clone();
        at::Tensor g = how.by_neuron(gradient);
        if (!logarithmic_)
            g.mul_(probabilities);
        g.addcmul_(probabilities, g.sum(static_cast<int64_t>(dim_) + 1, /*keepdim=*/true), -1);
        return {gradient};
    }

  private:
    Sizes operand_;
    size_t dim_;
    bool logarithmic_;
};

} // namespace

TapeOperatorPtr make_matrix_product(const Sizes &a) { return std::make_unique<MatrixProduct>(a); }

TapeOperatorPtr make_softmax(const Sizes &operand, size_t dim, bool logarithmic) {
    return std::make_unique<Softmax>(operand, dim, logarithmic);
}

} // namespace neurotap
