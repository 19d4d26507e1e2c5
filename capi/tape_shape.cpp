#include "tape_operators.hpp"

#include <algorithm>

namespace neurotap {
namespace {

class Concatenation final : public TapeOperator {
  public:
    explicit Concatenation(const std::vector<Sizes> &operands) {
        for (const Sizes &operand : operands)
            channels_.push_back(operand[1]);
    }

    Region needs(const Region &out, size_t /*operand*/) const override { return out; }
    double cost(const Region & /*out*/) const override { return 0; }

    at::Tensor forward(std::vector<at::Tensor> operands, const Region & /*out*/,
                       Saved & /*saved*/) const override {
        return at::cat(operands, 1);
    }

    std::vector<at::Tensor> reverse(at::Tensor gradient, const Reverse & /*how*/) const override {
        return gradient.split_with_sizes(channels_, 1);
    }

  private:
    std::vector<int64_t> channels_;
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

TapeOperatorPtr make_concatenation(const std::vector<Sizes> &operands) {
    return std::make_unique<Concatenation>(operands);
}

TapeOperatorPtr make_constant_pad(const SlidingWindows &windows, double value) {
    return std::make_unique<ConstantPad>(windows, value);
}

TapeOperatorPtr make_gather(const std::vector<std::vector<int64_t>> &sources) {
    return std::make_unique<Gather>(sources);
}

} // namespace neurotap
