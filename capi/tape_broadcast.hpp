// How operands of other sizes than the result's take part in it.
#pragma once

#include "tape_operators.hpp"

namespace neurotap {

// Where an operand's size is 1, it is the same for the whole dimension.
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

// Of what is computed once for each element of the result.
inline double cost_of(const Sizes &result, const Region &out) {
    return static_cast<double>(result[1] * count_positions(out));
}

// Of a constant with the tape's dimensions, or with the last of them; some are positions.
inline at::Tensor part_of_constant(at::Tensor constant, const Region &out) {
    for (size_t i = 0; i < out.size(); ++i) {
        const int64_t dim = constant.dim() - static_cast<int64_t>(out.size() - i);
        if (dim >= 0 && constant.size(dim) != 1)
            constant = constant.narrow(dim, out[i].first, out[i].count);
    }
    return constant;
}

} // namespace neurotap
