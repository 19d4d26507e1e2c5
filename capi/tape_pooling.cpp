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
        auto [result, places] = pool(padded, step, out);
        saved = {places};
        return result;
    }

    std::vector<at::Tensor> reverse(at::Tensor gradient, const Reverse &how) const override {
        const WindowStep step(windows_, how.out, round_up_);
        Sizes sizes{gradient.size(0), gradient.size(1)};
        int64_t positions = 1;
        for (size_t i = 0; i < windows_.size(); ++i) {
            const auto part = windows_[i].look_at(how.out[i]);
            sizes.push_back(part.inputs.count + (step.pads.empty() ? 0 : part.before + part.after));
            positions *= sizes.back();
        }
        const at::Tensor &places = how.saved[0];
        auto all = places.sizes().vec();
        all.insert(all.begin(), how.neurons);
        const at::Tensor padded = at::zeros({sizes[0], sizes[1], positions}, gradient.options());
        padded.scatter_add_(2, places.unsqueeze(0).expand(all).flatten(3).flatten(0, 1),
                            gradient.flatten(2));
        return {step.unpad(padded.view(sizes))};
    }

  private:
    std::tuple<at::Tensor, at::Tensor> pool(const at::Tensor &padded, const WindowStep &step,
                                            const Region &out) const {
        const bool round_up = round_up_ && step.pads.empty();
        const auto &[kernel, stride, dilation] = arguments_;
        if (can_max_pool(padded))
            return max_pool(padded, {kernel, stride, dilation, step.padding}, out[0].count,
                            out[1].count);
        switch (windows_.size()) {
        case 1:
            return at::max_pool1d_with_indices(padded, kernel, stride, step.padding, dilation,
                                               round_up);
        case 2:
            return at::max_pool2d_with_indices(padded, kernel, stride, step.padding, dilation,
                                               round_up);
        default:
            return at::max_pool3d_with_indices(padded, kernel, stride, step.padding, dilation,
                                               round_up);
        }
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
