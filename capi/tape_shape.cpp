#include "tape_operators.hpp"

#include <algorithm>

namespace neurotap {
namespace {

// Along one dimension. Where that has positions, all of them are put together.
class Concatenation final : public TapeOperator {
  public:
    Concatenation(const Sizes &result, const std::vector<TapeJoined> &parts, size_t dim)
        : result_(result), parts_(parts), dim_(dim) {
        for (const TapeJoined &part : parts_) {
            counts_.push_back(part.count);
            if (!part.constant.defined())
                of_operands_.push_back(part.count);
        }
    }

    Region needs(const Region &out, size_t operand) const override {
        return with_count(out, of_operands_[operand]);
    }
    double cost(const Region & /*out*/) const override { return 0; }

    at::Tensor forward(std::vector<at::Tensor> operands, const Region &out,
                       Saved & /*saved*/) const override {
        std::vector<at::Tensor> all;
        auto operand = operands.begin();
        for (const TapeJoined &part : parts_)
            all.push_back(part.constant.defined() ? constant_at(part, out, operands[0].size(0))
                                                  : *operand++);
        return cut(at::cat(all, static_cast<int64_t>(dim_)), with_count(out, result_[dim_]), out);
    }

    std::vector<at::Tensor> reverse(at::Tensor gradient, const Reverse &how) const override {
        gradient =
            widened(std::move(gradient), result_, how.out, with_count(how.out, result_[dim_]));
        const auto all = gradient.split_with_sizes(counts_, static_cast<int64_t>(dim_));
        std::vector<at::Tensor> of_operands;
        for (size_t i = 0; i < parts_.size(); ++i)
            if (!parts_[i].constant.defined())
                of_operands.push_back(all[i]);
        return of_operands;
    }

  private:
    Region with_count(Region region, int64_t count) const {
        if (dim_ >= 2)
            region[dim_ - 2] = Extent{0, count};
        return region;
    }

    at::Tensor constant_at(const TapeJoined &part, const Region &out, int64_t examples) const {
        const Sizes sizes = part.constant.sizes().vec();
        const Region needed = with_count(out, part.count);
        const at::Tensor there = cut(part.constant, whole_region(sizes), needed);
        return there.expand(sizes_of(sizes, needed, examples));
    }

    Sizes result_;
    std::vector<TapeJoined> parts_;
    size_t dim_;
    std::vector<int64_t> counts_, of_operands_;
};

class ConstantPad final : public TapeOperator {
  public:
    ConstantPad(const SlidingWindows &windows, double value) : windows_(windows), value_(value) {}

    Region needs(const Region &out, size_t /*operand*/) const override {
        return look_at(windows_, out);
    }
    double cost(const Region & /*out*/) const override { return 0; }

    at::Tensor forward(std::vector<at::Tensor> operands, const Region &out,
                       Saved & /*saved*/) const override {
        return at::constant_pad_nd(operands[0], pads(out, 1), value_);
    }

    std::vector<at::Tensor> reverse(at::Tensor gradient, const Reverse &how) const override {
        return {at::constant_pad_nd(gradient, pads(how.out, -1), 0)};
    }

  private:
    std::vector<int64_t> pads(const Region &out, int64_t sign) const {
        std::vector<int64_t> all;
        for (size_t i = windows_.size(); i-- > 0;) {
            const auto part = windows_[i].look_at(out[i]);
            all.push_back(sign * part.before);
            all.push_back(sign * part.after);
        }
        return all;
    }

    SlidingWindows windows_;
    double value_;
};

class Gather final : public TapeOperator {
  public:
    explicit Gather(const std::vector<std::vector<int64_t>> &sources) : sources_(sources) {}

    Region needs(const Region &out, size_t /*operand*/) const override {
        Region needed;
        for (size_t i = 0; i < out.size(); ++i) {
            const auto begin = sources_[i].begin() + out[i].first;
            const auto range = std::minmax_element(begin, begin + out[i].count);
            needed.push_back(Extent{*range.first, *range.second - *range.first + 1});
        }
        return needed;
    }

    double cost(const Region & /*out*/) const override { return 0; }

    at::Tensor forward(std::vector<at::Tensor> operands, const Region &out,
                       Saved & /*saved*/) const override {
        return apply(operands[0], out);
    }

    std::vector<at::Tensor> reverse(at::Tensor gradient, const Reverse &how) const override {
        Sizes sizes{gradient.size(0), gradient.size(1)};
        for (const Extent &extent : needs(how.out, 0))
            sizes.push_back(extent.count);
        return {transpose([&](const at::Tensor &x) { return apply(x, how.out); }, sizes, gradient)};
    }

  private:
    at::Tensor apply(at::Tensor part, const Region &out) const {
        const Region needed = needs(out, 0);
        for (size_t i = 0; i < out.size(); ++i) {
            const auto begin = sources_[i].begin() + out[i].first;
            std::vector<int64_t> places(begin, begin + out[i].count);
            for (int64_t &place : places)
                place -= needed[i].first;
            const auto index =
                at::tensor(places, at::TensorOptions(part.device()).dtype(at::kLong));
            part = part.index_select(static_cast<int64_t>(i) + 2, index);
        }
        return part;
    }

    std::vector<std::vector<int64_t>> sources_;
};

} // namespace

at::Tensor transpose(const Pointwise &linear, const Sizes &operand, const at::Tensor &gradient) {
    const at::AutoGradMode grad(true);
    const at::Tensor leaf = at::zeros(operand, gradient.options()).requires_grad_();
    return torch::autograd::grad({linear(leaf)}, {leaf}, {gradient})[0];
}

TapeOperatorPtr make_concatenation(const Sizes &result, const std::vector<TapeJoined> &parts,
                                   size_t dim) {
    return std::make_unique<Concatenation>(result, parts, dim);
}

TapeOperatorPtr make_constant_pad(const SlidingWindows &windows, double value) {
    return std::make_unique<ConstantPad>(windows, value);
}

TapeOperatorPtr make_gather(const std::vector<std::vector<int64_t>> &sources) {
    return std::make_unique<Gather>(sources);
}

} // namespace neurotap
