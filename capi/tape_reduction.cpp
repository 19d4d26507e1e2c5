// Sums and averages over whole dimensions.
#include "tape_operators.hpp"

namespace neurotap {
namespace {

class Reduction final : public TapeOperator {
  public:
    Reduction(const Sizes &operand, const std::vector<int64_t> &dims, bool averages)
        : operand_(operand), dims_(dims) {
        for (const int64_t dim : averages ? dims : std::vector<int64_t>())
            count_ *= operand[static_cast<size_t>(dim)];
    }

    Region needs(const Region &out, size_t /*operand*/) const override {
        Region needed = out;
        for (const int64_t dim : dims_)
            if (dim >= 2)
                needed[static_cast<size_t>(dim) - 2] =
                    Extent{0, operand_[static_cast<size_t>(dim)]};
        return needed;
    }

    double cost(const Region &out) const override {
        return static_cast<double>(operand_[1] * count_positions(needs(out, 0)));
    }

    at::Tensor forward(std::vector<at::Tensor> operands, const Region & /*out*/,
                       Saved & /*saved*/) const override {
        const at::Tensor sum = operands[0].sum(dims_, /*keepdim=*/true);
        return count_ == 1 ? sum : sum.div_(count_);
    }

    std::vector<at::Tensor> reverse(at::Tensor gradient, const Reverse &how) const override {
        const Sizes sizes = sizes_of(operand_, needs(how.out, 0), gradient.size(0));
        return {(count_ == 1 ? gradient : gradient.div(count_)).expand(sizes)};
    }

  private:
    Sizes operand_;
    std::vector<int64_t> dims_;
    int64_t count_ = 1; // by which the sum is divided
};

} // namespace

TapeOperatorPtr make_reduction(const Sizes &operand, const std::vector<int64_t> &dims,
                               bool averages) {
    return std::make_unique<Reduction>(operand, dims, averages);
}

} // namespace neurotap
