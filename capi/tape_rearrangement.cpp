// Operators that put the elements of a value elsewhere, within each example.
#include "tape_operators.hpp"

#include <algorithm>

namespace neurotap {
namespace {

// Each dimension of the result is one of the operand's, or put together from several. Positions of
// the first kind are computed in part; along the others all is, and what is asked for is cut out.
class Rearrangement : public TapeOperator {
  public:
    // The result's dimension that each of the operand's becomes, or 0.
    Rearrangement(const Sizes &operand, const Sizes &result, std::vector<size_t> becomes)
        : operand_(operand), result_(result), becomes_(std::move(becomes)) {
        for (size_t dim = 2; dim < result_.size(); ++dim) {
            const auto from = std::find(becomes_.begin() + 2, becomes_.end(), dim);
            in_part_.push_back(from != becomes_.end());
        }
    }

    Region needs(const Region &out, size_t /*operand*/) const override {
        Region needed = whole_region(operand_);
        for (size_t dim = 2; dim < operand_.size(); ++dim)
            if (becomes_[dim] >= 2)
                needed[dim - 2] = out[becomes_[dim] - 2];
        return needed;
    }

    double cost(const Region & /*out*/) const override { return 0; }

    at::Tensor forward(std::vector<at::Tensor> operands, const Region &out,
                       Saved & /*saved*/) const override {
        const Region computed = computed_for(out);
        const Sizes sizes = sizes_of(result_, computed, operands[0].size(0));
        return cut(rearrange(operands[0], sizes), computed, out);
    }

    std::vector<at::Tensor> reverse(at::Tensor gradient, const Reverse &how) const override {
        gradient = widened(std::move(gradient), result_, how.out, computed_for(how.out));
        return {restore(gradient, sizes_of(operand_, needs(how.out, 0), gradient.size(0)))};
    }

  protected:
    virtual at::Tensor rearrange(const at::Tensor &part, const Sizes &result) const = 0;
    virtual at::Tensor restore(const at::Tensor &gradient, const Sizes &operand) const = 0;

  private:
    Region computed_for(const Region &out) const {
        Region computed = whole_region(result_);
        for (size_t i = 0; i < out.size(); ++i)
            if (in_part_[i])
                computed[i] = out[i];
        return computed;
    }

    Sizes operand_, result_;
    std::vector<size_t> becomes_;
    std::vector<bool> in_part_; // for each of the result's dimensions of positions
};

class Reshape final : public Rearrangement {
  public:
    using Rearrangement::Rearrangement;

  protected:
    at::Tensor rearrange(const at::Tensor &part, const Sizes &result) const override {
        return part.reshape(result);
    }
    at::Tensor restore(const at::Tensor &gradient, const Sizes &operand) const override {
        return gradient.reshape(operand);
    }
};

class Permutation final : public Rearrangement {
  public:
    Permutation(const Sizes &operand, const Sizes &result, const std::vector<size_t> &becomes,
                const std::vector<int64_t> &order)
        : Rearrangement(operand, result, becomes), order_(order),
          back_(becomes.begin(), becomes.end()) {}

  protected:
    at::Tensor rearrange(const at::Tensor &part, const Sizes & /*result*/) const override {
        return part.permute(order_);
    }
    at::Tensor restore(const at::Tensor &gradient, const Sizes & /*operand*/) const override {
        return gradient.permute(back_);
    }

  private:
    std::vector<int64_t> order_, back_;
};

// Every step-th place of each dimension, the channels' too.
class Slice final : public TapeOperator {
  public:
    explicit Slice(std::vector<TapeSlice> dimensions) : dimensions_(std::move(dimensions)) {}

    Region needs(const Region &out, size_t /*operand*/) const override {
        Region needed;
        for (size_t i = 0; i < out.size(); ++i) {
            const TapeSlice &slice = dimensions_[i + 1];
            needed.push_back(Extent{slice.start + slice.step * out[i].first,
                                    slice.step * (out[i].count - 1) + 1});
        }
        return needed;
    }

    double cost(const Region & /*out*/) const override { return 0; }

    at::Tensor forward(std::vector<at::Tensor> operands, const Region &out,
                       Saved & /*saved*/) const override {
        return apply(operands[0], out);
    }

    std::vector<at::Tensor> reverse(at::Tensor gradient, const Reverse &how) const override {
        Sizes sizes{gradient.size(0), dimensions_[0].operand};
        for (const Extent &extent : needs(how.out, 0))
            sizes.push_back(extent.count);
        const at::Tensor result = at::zeros(sizes, gradient.options());
        apply(result, how.out).copy_(gradient);
        return {result};
    }

    bool add_reverse(const at::Tensor &sum, const at::Tensor &gradient,
                     const Reverse &how) const override {
        apply(sum, how.out).add_(gradient);
        return true;
    }

  private:
    // Of the part that is needed, so that positions begin at its first one.
    at::Tensor apply(const at::Tensor &part, const Region &out) const {
        const TapeSlice &channels = dimensions_[0];
        at::Tensor result =
            part.slice(1, channels.start, channels.start + channels.step * (channels.count - 1) + 1,
                       channels.step);
        for (size_t i = 0; i < out.size(); ++i)
            if (dimensions_[i + 1].step > 1)
                result = result.slice(static_cast<int64_t>(i) + 2, c10::nullopt, c10::nullopt,
                                      dimensions_[i + 1].step);
        return result;
    }

    std::vector<TapeSlice> dimensions_;
};

// [examples, channels · factor², height, width] to [examples, channels, height · factor, …].
class PixelShuffle final : public TapeOperator {
  public:
    explicit PixelShuffle(int64_t factor) : factor_(factor) {}

    Region needs(const Region &out, size_t /*operand*/) const override {
        Region needed;
        for (const Extent &extent : out) {
            const int64_t first = extent.first / factor_;
            needed.push_back(Extent{first, (extent.end() - 1) / factor_ - first + 1});
        }
        return needed;
    }

    double cost(const Region & /*out*/) const override { return 0; }

    at::Tensor forward(std::vector<at::Tensor> operands, const Region &out,
                       Saved & /*saved*/) const override {
        return cut(at::pixel_shuffle(operands[0], factor_), shuffled(out), out);
    }

    std::vector<at::Tensor> reverse(at::Tensor gradient, const Reverse &how) const override {
        const Region computed = shuffled(how.out);
        Sizes sizes{gradient.size(0), gradient.size(1)};
        for (const Extent &extent : computed)
            sizes.push_back(extent.count);
        const at::Tensor whole = at::zeros(sizes, gradient.options());
        cut(whole, computed, how.out).copy_(gradient);
        return {at::pixel_unshuffle(whole, factor_)};
    }

  private:
    // What the part that is needed becomes.
    Region shuffled(const Region &out) const {
        Region region;
        for (const Extent &extent : needs(out, 0))
            region.push_back(Extent{extent.first * factor_, extent.count * factor_});
        return region;
    }

    int64_t factor_;
};

// Which of the result's dimensions are the operand's own, in the same order of elements: dimensions
// are taken from both until as many elements are passed.
std::vector<size_t> match(const Sizes &operand, const Sizes &result) {
    std::vector<size_t> becomes(operand.size(), 0);
    size_t i = 1;
    size_t j = 1;
    while (i < operand.size() && j < result.size()) {
        if (operand[i] == result[j]) {
            becomes[i++] = j++;
        } else if (operand[i] == 1) {
            ++i;
        } else if (result[j] == 1) {
            ++j;
        } else {
            int64_t passed = operand[i++];
            int64_t made = result[j++];
            while (passed != made)
                if (passed < made)
                    passed *= operand[i++];
                else
                    made *= result[j++];
        }
    }
    return becomes;
}

} // namespace

TapeOperatorPtr make_reshape(const Sizes &operand, const Sizes &result) {
    return std::make_unique<Reshape>(operand, result, match(operand, result));
}

TapeOperatorPtr make_permutation(const Sizes &operand, const std::vector<int64_t> &order) {
    Sizes result;
    std::vector<size_t> becomes(order.size());
    for (size_t dim = 0; dim < order.size(); ++dim) {
        result.push_back(operand[static_cast<size_t>(order[dim])]);
        becomes[static_cast<size_t>(order[dim])] = dim;
    }
    return std::make_unique<Permutation>(operand, result, becomes, order);
}

TapeOperatorPtr make_slice(const std::vector<TapeSlice> &dimensions) {
    return std::make_unique<Slice>(dimensions);
}

TapeOperatorPtr make_pixel_shuffle(int64_t factor) {
    return std::make_unique<PixelShuffle>(factor);
}

} // namespace neurotap
