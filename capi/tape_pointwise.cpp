#include "gradient_mask.hpp"
#include "kept_tensor.hpp"
#include "tape_operators.hpp"

#include <ATen/Dispatch.h>

#include <algorithm>

namespace neurotap {
namespace {

class PointwiseOperator : public TapeOperator {
  public:
    Region needs(const Region &out, size_t /*operand*/) const override { return out; }
    double cost(const Region &out) const override {
        return static_cast<double>(count_positions(out));
    }
};

// From here on memory counts.
constexpr int64_t kManyElements = 1 << 16;

// Of so many elements a mask is kept.
bool is_worth_a_mask(const at::Tensor &tensor) {
    return tensor.numel() >= kManyElements && tensor.is_cpu() && tensor.is_contiguous();
}
bool is_mask(const at::Tensor &saved) { return saved.scalar_type() == at::kByte; }

at::Tensor masked(at::Tensor gradient, const Reverse &how) {
    if (!is_ours_alone(gradient) || !gradient.is_contiguous())
        gradient = gradient.clone(at::MemoryFormat::Contiguous);
    apply_mask(gradient, how.neurons, how.saved[0]);
    return gradient;
}

// The gradients of all neurons times the same factors.
at::Tensor multiplied(at::Tensor gradient, const Reverse &how, const at::Tensor &factors) {
    if (!is_ours_alone(gradient))
        return how.by_neuron(gradient).mul(factors).flatten(0, 1);
    how.by_neuron(gradient).mul_(factors);
    return gradient;
}

// A ReLU that keeps which elements it did not clear, or, of few elements, its result.
class Relu final : public PointwiseOperator {
  public:
    at::Tensor forward(std::vector<at::Tensor> operands, const Region & /*out*/,
                       Saved &saved) const override {
        at::Tensor &operand = operands[0];
        at::Tensor result = is_ours_alone(operand) ? at::relu_(operand) : at::relu(operand);
        saved = {is_worth_a_mask(result) ? make_relu_mask(result) : result};
        return result;
    }

    std::vector<at::Tensor> reverse(at::Tensor gradient, const Reverse &how) const override {
        const at::Tensor &saved = how.saved[0];
        if (is_mask(saved))
            return {masked(std::move(gradient), how)};
        if (how.neurons != 1)
            return {at::threshold_backward(how.by_neuron(gradient), saved, 0).flatten(0, 1)};
        if (is_ours_alone(gradient))
            return {at::threshold_backward_out(gradient, gradient, saved, 0)};
        return {at::threshold_backward(gradient, saved, 0)};
    }
};

// A hardtanh that keeps which elements lie between its bounds, or, of few elements, its operand.
class Hardtanh final : public PointwiseOperator {
  public:
    Hardtanh(const at::Scalar &low, const at::Scalar &high) : low_(low), high_(high) {}

    at::Tensor forward(std::vector<at::Tensor> operands, const Region & /*out*/,
                       Saved &saved) const override {
        at::Tensor &operand = operands[0];
        saved = {is_worth_a_mask(operand)
                     ? make_range_mask(operand, low_.toDouble(), high_.toDouble())
                     : operand};
        return is_ours_alone(operand) ? at::hardtanh_(operand, low_, high_)
                                      : at::hardtanh(operand, low_, high_);
    }

    std::vector<at::Tensor> reverse(at::Tensor gradient, const Reverse &how) const override {
        const at::Tensor &saved = how.saved[0];
        if (is_mask(saved))
            return {masked(std::move(gradient), how)};
        return {at::hardtanh_backward(how.by_neuron(gradient), saved, low_, high_).flatten(0, 1)};
    }

  private:
    const at::Scalar low_, high_;
};

// A function whose derivative is one of its result.
class FromResult final : public PointwiseOperator {
  public:
    using InPlace = at::Tensor &(*)(at::Tensor &);
    using Backward = at::Tensor (*)(const at::Tensor &gradient, const at::Tensor &result);

    FromResult(InPlace function, Backward backward) : function_(function), backward_(backward) {}

    at::Tensor forward(std::vector<at::Tensor> operands, const Region & /*out*/,
                       Saved &saved) const override {
        at::Tensor &operand = operands[0];
        at::Tensor result = is_ours_alone(operand) ? operand : operand.clone();
        saved = {function_(result)};
        return result;
    }

    std::vector<at::Tensor> reverse(at::Tensor gradient, const Reverse &how) const override {
        if (how.neurons == 1)
            return {backward_(gradient, how.saved[0])};
        return {backward_(how.by_neuron(gradient), how.saved[0]).flatten(0, 1)};
    }

  private:
    InPlace function_;
    Backward backward_;
};

// A function whose derivative libtorch has as an operator; keeps its operand.
class Activation final : public PointwiseOperator {
  public:
    Activation(const Pointwise &function, const PointwiseBackward &backward)
        : function_(function), backward_(backward) {}

    at::Tensor forward(std::vector<at::Tensor> operands, const Region & /*out*/,
                       Saved &saved) const override {
        saved = {operands[0]};
        return function_(operands[0]);
    }

    std::vector<at::Tensor> reverse(at::Tensor gradient, const Reverse &how) const override {
        const at::Tensor &x = how.saved[0];
        if (how.neurons == 1) {
            at::Tensor result = is_ours_alone(gradient) ? gradient : at::empty_like(gradient);
            backward_(result, gradient, x);
            return {result};
        }
        at::Tensor derivative = at::ones_like(x);
        backward_(derivative, derivative, x);
        return {multiplied(std::move(gradient), how, derivative)};
    }

  private:
    Pointwise function_;
    PointwiseBackward backward_;
};

// Any function of single elements; keeps its derivative, which autograd finds.
class Elementwise final : public PointwiseOperator {
  public:
    explicit Elementwise(const Pointwise &function) : function_(function) {}

    at::Tensor forward(std::vector<at::Tensor> operands, const Region & /*out*/,
                       Saved &saved) const override {
        const at::AutoGradMode grad(true);
        const at::Tensor leaf = operands[0].detach().requires_grad_();
        const at::Tensor result = function_(leaf);
        saved = {torch::autograd::grad({result}, {leaf}, {at::ones_like(result)})[0]};
        return result.detach();
    }

    std::vector<at::Tensor> reverse(at::Tensor gradient, const Reverse &how) const override {
        return {multiplied(std::move(gradient), how, how.saved[0])};
    }

  private:
    Pointwise function_;
};

// Every element times its channel's factor, plus its channel's offset.
template <typename T>
void scale_channels(const T *operand, T *result, const T *factors, const T *offsets,
                    int64_t n_planes, int64_t n_channels, int64_t size) {
    const int64_t grain = std::max<int64_t>(1, kManyElements / std::max<int64_t>(1, size));
    at::parallel_for(0, n_planes, grain, [&](int64_t begin, int64_t end) {
        for (int64_t plane = begin; plane < end; ++plane) {
            const T factor = factors[plane % n_channels];
            const T offset = offsets == nullptr ? T(0) : offsets[plane % n_channels];
            const T *from = operand + plane * size;
            T *to = result + plane * size;
#pragma omp simd
            for (int64_t i = 0; i < size; ++i)
                to[i] = from[i] * factor + offset;
        }
    });
}

// With the statistics of training: a factor and an offset for each channel.
class Normalise final : public PointwiseOperator {
  public:
    explicit Normalise(const TapeBatchNorm &norm)
        : norm_(norm), coefficients_(norm.keeps_weights) {}

    at::Tensor forward(std::vector<at::Tensor> operands, const Region & /*out*/,
                       Saved & /*saved*/) const override {
        return scale(std::move(operands[0]), true);
    }

    std::vector<at::Tensor> reverse(at::Tensor gradient, const Reverse & /*how*/) const override {
        return {scale(std::move(gradient), false)};
    }

  private:
    // As libtorch computes them: [factor, offset] by channel.
    at::Tensor coefficients() const {
        return coefficients_.get([&] {
            at::Tensor factors = (norm_.variance + norm_.epsilon).sqrt().reciprocal();
            if (norm_.weight)
                factors = factors * *norm_.weight;
            const at::Tensor offsets = -(norm_.mean * factors);
            return at::stack({factors, norm_.bias ? *norm_.bias + offsets : offsets});
        });
    }

    at::Tensor scale(at::Tensor tensor, bool shifts) const {
        const at::Tensor both = coefficients();
        if (!tensor.is_cpu() || !both.is_cpu() || both.scalar_type() != tensor.scalar_type())
            return scale_anywhere(tensor, both, shifts);
        tensor = tensor.contiguous();
        at::Tensor result = is_ours_alone(tensor) ? tensor : at::empty_like(tensor);
        const int64_t channels = tensor.size(1);
        AT_DISPATCH_FLOATING_TYPES(tensor.scalar_type(), "batch_norm", [&] {
            const auto *factors = both.data_ptr<scalar_t>();
            const int64_t planes = tensor.size(0) * channels;
            scale_channels(tensor.data_ptr<scalar_t>(), result.data_ptr<scalar_t>(), factors,
                           shifts ? factors + channels : nullptr, planes, channels,
                           planes == 0 ? 0 : tensor.numel() / planes);
        });
        return result;
    }

    static at::Tensor scale_anywhere(const at::Tensor &tensor, const at::Tensor &both,
                                     bool shifts) {
        Sizes sizes(static_cast<size_t>(tensor.dim()), 1);
        sizes[1] = tensor.size(1);
        const at::Tensor scaled = tensor * both[0].view(sizes);
        return shifts ? scaled + both[1].view(sizes) : scaled;
    }

    const TapeBatchNorm norm_;
    const KeptTensor coefficients_;
};

} // namespace

TapeOperatorPtr make_relu() { return std::make_unique<Relu>(); }

TapeOperatorPtr make_hardtanh(const at::Scalar &low, const at::Scalar &high) {
    return std::make_unique<Hardtanh>(low, high);
}

TapeOperatorPtr make_sigmoid() {
    return std::make_unique<FromResult>(at::sigmoid_, at::sigmoid_backward);
}

TapeOperatorPtr make_tanh() { return std::make_unique<FromResult>(at::tanh_, at::tanh_backward); }

TapeOperatorPtr make_pointwise(const Pointwise &function) {
    return std::make_unique<Elementwise>(function);
}

TapeOperatorPtr make_activation(const Pointwise &function, const PointwiseBackward &backward) {
    return std::make_unique<Activation>(function, backward);
}

TapeOperatorPtr make_batch_norm(const TapeBatchNorm &norm) {
    return std::make_unique<Normalise>(norm);
}

} // namespace neurotap
