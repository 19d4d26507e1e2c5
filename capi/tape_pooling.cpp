#include "max_pool.hpp"
#include "tape_operators.hpp"

#include <limits>

namespace neurotap {
namespace {

struct PoolArguments {
    std::vector<int64_t> kernel, stride, dilation;

    explicit PoolArguments(const SlidingWindows &windows) {
        for (const SlidingWindow &window : windows) {
            kernel.push_back(window.kernel);
            stride.push_back(window.stride);
            dilation.push_back(window.dilation);
        }
    }
};

// ---- maximum ----

class MaxPool final : public TapeOperator {
  public:
    MaxPool(const SlidingWindows &windows, bool round_up)
        : windows_(windows), arguments_(windows), round_up_(round_up) {}

    Region needs(const Region &out, size_t /*operand*/) const override {
        return look_at(windows_, out);
    }

    double cost(const Region &out) const override {
        return static_cast<double>(count_positions(out));
    }

    // Keeps where the largest elements are.
    at::Tensor forward(std::vector<at::Tensor> operands, const Region &out,
                       Saved &saved) const override {
        const WindowStep step(windows_, out, round_up_);
        const at::Tensor padded = step.pad(operands[0], -std::numeric_limits<double>::infinity());
        const auto how = windows_for(step);
        auto [result, places] = can_max_pool(padded, how)
                                    ? max_pool(padded, how, counts_of(out))
                                    : pool(padded, how, round_up_ && step.pads.empty());
        saved = {places};
        return result;
    }

    std::vector<at::Tensor> reverse(at::Tensor gradient, const Reverse &how) const override {
        const WindowStep step(windows_, how.out, round_up_);
        const at::Tensor &places = how.saved[0];
        const auto positions = padded_positions(how.out, step);
        return {step.unpad(places.scalar_type() == at::kByte
                               ? max_pool_back(gradient, places, windows_for(step), positions)
                               : pool_back(gradient, places, positions, how.neurons))};
    }

  private:
    using Positions = std::vector<int64_t>;

    MaxPoolWindows windows_for(const WindowStep &step) const {
        return {arguments_.kernel, arguments_.stride, arguments_.dilation, step.padding};
    }

    static Positions counts_of(const Region &region) {
        Positions counts;
        for (const Extent &extent : region)
            counts.push_back(extent.count);
        return counts;
    }

    // Of the operand, with what it is padded with beforehand.
    Positions padded_positions(const Region &out, const WindowStep &step) const {
        Positions positions;
        for (size_t i = 0; i < windows_.size(); ++i) {
            const auto part = windows_[i].look_at(out[i]);
            positions.push_back(part.inputs.count +
                                (step.pads.empty() ? 0 : part.before + part.after));
        }
        return positions;
    }

    // By libtorch, whose places are numbers of the operand's positions.
    static std::tuple<at::Tensor, at::Tensor> pool(const at::Tensor &padded,
                                                   const MaxPoolWindows &how, bool round_up) {
        switch (how.kernel.size()) {
        case 1:
            return at::max_pool1d_with_indices(padded, how.kernel, how.stride, how.padding,
                                               how.dilation, round_up);
        case 2:
            return at::max_pool2d_with_indices(padded, how.kernel, how.stride, how.padding,
                                               how.dilation, round_up);
        default:
            return at::max_pool3d_with_indices(padded, how.kernel, how.stride, how.padding,
                                               how.dilation, round_up);
        }
    }

    static at::Tensor pool_back(const at::Tensor &gradient, const at::Tensor &places,
                                const Positions &positions, int64_t neurons) {
        Positions sizes{gradient.size(0), gradient.size(1)};
        const at::Tensor sum =
            at::zeros({sizes[0], sizes[1], c10::multiply_integers(positions)}, gradient.options());
        auto all = places.sizes().vec();
        all.insert(all.begin(), neurons);
        sum.scatter_add_(2, places.unsqueeze(0).expand(all).flatten(3).flatten(0, 1),
                         gradient.flatten(2));
        sizes.insert(sizes.end(), positions.begin(), positions.end());
        return sum.view(sizes);
    }

    SlidingWindows windows_;
    PoolArguments arguments_;
    bool round_up_;
};

// ---- average ----

at::Tensor average(const at::Tensor &operand, const PoolArguments &arguments,
                   const std::vector<int64_t> &padding, bool round_up, bool counts_padding,
                   const c10::optional<int64_t> &divisor) {
    switch (arguments.kernel.size()) {
    case 1:
        return at::avg_pool1d(operand, arguments.kernel, arguments.stride, padding, round_up,
                              counts_padding);
    case 2:
        return at::avg_pool2d(operand, arguments.kernel, arguments.stride, padding, round_up,
                              counts_padding, divisor);
    default:
        return at::avg_pool3d(operand, arguments.kernel, arguments.stride, padding, round_up,
                              counts_padding, divisor);
    }
}

class AveragePool final : public TapeOperator {
  public:
    AveragePool(const SlidingWindows &windows, const c10::optional<int64_t> &divisor)
        : windows_(windows), arguments_(windows), divisor_(divisor) {}

    Region needs(const Region &out, size_t /*operand*/) const override {
        return look_at(windows_, out);
    }

    double cost(const Region &out) const override {
        return static_cast<double>(count_positions(out));
    }

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
    at::Tensor apply(const at::Tensor &part, const Region &out) const {
        const WindowStep step(windows_, out, false);
        return average(step.pad(part, 0), arguments_, step.padding, false, true, divisor_);
    }

    SlidingWindows windows_;
    PoolArguments arguments_;
    c10::optional<int64_t> divisor_;
};

// What looks at everything at once.
class WholePool final : public TapeOperator {
  public:
    WholePool(const Sizes &operand, const Pool &pool)
        : operand_(operand), whole_(whole_region(operand)), pool_(pool) {}

    Region needs(const Region & /*out*/, size_t /*operand*/) const override { return whole_; }

    double cost(const Region & /*out*/) const override {
        return static_cast<double>(count_positions(whole_));
    }

    at::Tensor forward(std::vector<at::Tensor> operands, const Region &out,
                       Saved & /*saved*/) const override {
        return apply(operands[0], out);
    }

    std::vector<at::Tensor> reverse(at::Tensor gradient, const Reverse &how) const override {
        const auto sizes = sizes_of(operand_, whole_, gradient.size(0));
        return {transpose([&](const at::Tensor &x) { return apply(x, how.out); }, sizes, gradient)};
    }

  private:
    at::Tensor apply(const at::Tensor &whole, const Region &out) const {
        const at::Tensor result = pool_(whole);
        return cut(result, whole_region(result.sizes().vec()), out);
    }

    Sizes operand_;
    Region whole_;
    Pool pool_;
};

} // namespace

TapeOperatorPtr make_max_pool(const SlidingWindows &windows, bool round_up) {
    return std::make_unique<MaxPool>(windows, round_up);
}

// Where the divisor depends on how much of a window is padding, parts are not computed alone.
TapeOperatorPtr make_average_pool(const SlidingWindows &windows, const Sizes &operand,
                                  const AverageOptions &options) {
    bool padded = options.round_up;
    std::vector<int64_t> padding;
    for (const SlidingWindow &window : windows) {
        padding.push_back(window.before);
        padded = padded || (window.before != 0 && !options.counts_padding);
    }
    if (!padded)
        return std::make_unique<AveragePool>(windows, options.divisor);
    const PoolArguments arguments(windows);
    return make_whole_pool(operand, [=](const at::Tensor &whole) {
        return average(whole, arguments, padding, options.round_up, options.counts_padding,
                       options.divisor);
    });
}

TapeOperatorPtr make_whole_pool(const Sizes &operand, const Pool &pool) {
    return std::make_unique<WholePool>(operand, pool);
}

} // namespace neurotap
