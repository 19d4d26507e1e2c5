// Any function along whole dimensions, as of a maximum or of a norm, differentiated by autograd.
#include "tape_operators.hpp"

#include <algorithm>

namespace neurotap {
namespace {

class Along final : public TapeOperator {
  public:
    Along(const Sizes &operand, const Sizes &result, const std::vector<int64_t> &dims,
          const Pointwise &function)
        : operand_(operand), result_(result), function_(function) {
        for (size_t dim = 2; dim < result.size(); ++dim)
            is_along_.push_back(std::count(dims.begin(), dims.end(), dim) > 0);
    }

    Region needs(const Region &out, size_t /*operand*/) const override {
        return with_whole(out, operand_);
    }

    double cost(const Region &out) const override {
        const Region whole = needs(out, 0);
        return static_cast<double>(operand_[1]) * static_cast<double>(count_positions(whole));
    }

    int64_t extra_elements(const Region &out) const override {
        return operand_[1] * count_positions(needs(out, 0));
    }

    at::Tensor forward(std::vector<at::Tensor> operands, const Region &out,
                       Saved &saved) const override {
        saved = {operands[0]};
        return cut(function_(operands[0]), with_whole(out, result_), out);
    }

    // Every neuron has its own copy of the operand: to compute the function again takes less than
    // as many walks through a graph.
    std::vector<at::Tensor> reverse(at::Tensor gradient, const Reverse &how) const override {
        gradient = widened(std::move(gradient), result_, how.out, with_whole(how.out, result_));
        const at::AutoGradMode grad(true);
        at::Tensor leaf = how.saved[0];
        if (how.neurons > 1) {
            Sizes sizes = leaf.sizes().vec();
            sizes.insert(sizes.begin(), how.neurons);
            leaf = leaf.unsqueeze(0).expand(sizes).flatten(0, 1);
        }
        leaf = leaf.detach().requires_grad_();
        return torch::autograd::grad({function_(leaf)}, {leaf}, {gradient.contiguous()});
    }

  private:
    Region with_whole(Region region, const Sizes &sizes) const {
        for (size_t i = 0; i < region.size(); ++i)
            if (is_along_[i])
                region[i] = Extent{0, sizes[i + 2]};
        return region;
    }

    Sizes operand_, result_;
    Pointwise function_;
    std::vector<bool> is_along_; // for each dimension of positions
};

} // namespace

TapeOperatorPtr make_along(const Sizes &operand, const Sizes &result,
                           const std::vector<int64_t> &dims, const Pointwise &function) {
    return std::make_unique<Along>(operand, result, dims, function);
}

} // namespace neurotap
