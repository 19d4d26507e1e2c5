#include "tape_operators.hpp"

#include <algorithm>

namespace neurotap {
namespace {

// For each dimension of positions, result i is a weighted sum of a few of the operand's positions.
class Resampling final : public TapeOperator {
  public:
    explicit Resampling(std::vector<ResampledDimension> dimensions)
        : dimensions_(std::move(dimensions)) {}

    Region needs(const Region &out, size_t /*operand*/) const override {
        Region needed;
        for (size_t i = 0; i < out.size(); ++i) {
            const auto firsts = dimensions_[i].first.begin() + out[i].first;
            const auto lasts = dimensions_[i].last.begin() + out[i].first;
            const int64_t first = *std::min_element(firsts, firsts + out[i].count);
            const int64_t last = *std::max_element(lasts, lasts + out[i].count);
            needed.push_back(Extent{first, last - first + 1});
        }
        return needed;
    }

    double cost(const Region &out) const override {
        double each = 0;
        for (const ResampledDimension &dimension : dimensions_)
            each += static_cast<double>(dimension.places.size(0));
        return each * static_cast<double>(count_positions(out));
    }

    at::Tensor forward(std::vector<at::Tensor> operands, const Region &out,
                       Saved & /*saved*/) const override {
        return apply(operands[0], out, needs(out, 0));
    }

    std::vector<at::Tensor> reverse(at::Tensor gradient, const Reverse &how) const override {
        const Region needed = needs(how.out, 0);
        Sizes sizes{gradient.size(0), gradient.size(1)};
        for (const Extent &extent : needed)
            sizes.push_back(extent.count);
        return {transpose([&](const at::Tensor &x) { return apply(x, how.out, needed); }, sizes,
                          gradient)};
    }

  private:
    at::Tensor apply(at::Tensor part, const Region &out, const Region &needed) const {
        for (size_t i = 0; i < out.size(); ++i) {
            const at::Tensor &places = dimensions_[i].places;
            const at::Tensor &weights = dimensions_[i].weights;
            const auto dim = static_cast<int64_t>(i) + 2;
            Sizes spread(static_cast<size_t>(part.dim()), 1);
            spread[i + 2] = out[i].count;
            at::Tensor sum;
            for (int64_t k = 0; k < places.size(0); ++k) {
                const auto from =
                    (places[k].narrow(0, out[i].first, out[i].count) - needed[i].first)
                        .to(part.device());
                const auto by = weights[k].narrow(0, out[i].first, out[i].count).view(spread);
                const at::Tensor term = part.index_select(dim, from) * by.to(part.device());
                sum = sum.defined() ? sum + term : term;
            }
            part = sum;
        }
        return part;
    }

    const std::vector<ResampledDimension> dimensions_;
};

std::vector<int64_t> elements_of(const at::Tensor &row) {
    const at::Tensor elements = row.contiguous();
    const auto *begin = elements.data_ptr<int64_t>();
    return std::vector<int64_t>(begin, begin + elements.numel());
}

} // namespace

// The positions that are used come first, in their order; to make up the number, the first of them
// comes again, times 0.
ResampledDimension read_resampling(const at::Tensor &weights) {
    const at::Tensor used = weights != 0;
    const auto most = std::max<int64_t>(1, used.sum(0).max().item<int64_t>());
    const at::Tensor order = std::get<1>(used.to(at::kByte).sort(true, 0, true)).narrow(0, 0, most);
    const at::Tensor factors = weights.gather(0, order);
    const at::Tensor places = at::where(factors != 0, order, order[0]);
    return ResampledDimension{places, factors, elements_of(places.amin(0)),
                              elements_of(places.amax(0))};
}

TapeOperatorPtr make_resampling(std::vector<ResampledDimension> dimensions) {
    return std::make_unique<Resampling>(std::move(dimensions));
}

} // namespace neurotap
