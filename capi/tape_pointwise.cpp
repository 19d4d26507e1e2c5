#include "tape_operators.hpp"

#include <ATen/Dispatch.h>

namespace neurotap {
namespace {

class PointwiseOperator : public TapeOperator {
  public:
    Region needs(const Region &out, size_t /*operand*/) const override { return out; }
    double cost(const Region &out) const override {
        return static_cast<double>(count_positions(out));
    }
};

// From here on memory counts: a mask takes a quarter of what the result takes.
constexpr int64_t kManyElements = 1 << 16;

// Where elements are not above 0. This and what follows are vectorized, unlike libtorch's le() and
// masked_fill_(), which take several times as long.
template <typename T> void find_cleared(const T *elements, bool *mask, int64_t size) {
    at::parallel_for(0, size, kManyElements, [&](int64_t begin, int64_t end) {
#pragma omp simd
        for (int64_t i = begin; i < end; ++i)
            mask[i] = elements[i] <= 0;
    });
}

// Clears the elements of every row where the mask says so.
template <typename T> void clear(T *rows, int64_t n_rows, const bool *mask, int64_t size) {
    at::parallel_for(0, size, kManyElements, [&](int64_t begin, int64_t end) {
        for (int64_t row = 0; row < n_rows; ++row) {
            T *elements = rows + row * size;
#pragma omp simd
            for (int64_t i = begin; i < end; ++i)
                elements[i] = mask[i] ? T(0) : elements[i];
        }
    });
}

// A ReLU that keeps which elements it cleared, or, of few elements, its result.
class Relu final : public PointwiseOperator {
  public:
    at::Tensor forward(std::vector<at::Tensor> operands, const Region & /*out*/,
                       Saved &saved) const override {
        at::Tensor &operand = operands[0];
        at::Tensor result = is_ours_alone(operand) ? at::relu_(operand) : at::relu(operand);
        const bool many = result.numel() >= kManyElements && result.is_cpu();
        saved = {many && result.is_contiguous() ? cleared_in(result) : result};
        return result;
    }

    std::vector<at::Tensor> reverse(at::Tensor gradient, const Reverse &how) const override {
        const at::Tensor &saved = how.saved[0];
        if (saved.scalar_type() == at::kBool)
            return {mask(std::move(gradient), saved, how.neurons)};
        if (how.neurons != 1)
            return {at::threshold_backward(how.by_neuron(gradient), saved, 0).flatten(0, 1)};
        if (is_ours_alone(gradient))
            return {at::threshold_backward_out(gradient, gradient, saved, 0)};
        return {at::threshold_backward(gradient, saved, 0)};
    }

  private:
    static at::Tensor cleared_in(const at::Tensor &result) {
        at::Tensor cleared = at::empty(result.sizes(), result.options().dtype(at::kBool));
        AT_DISPATCH_FLOATING_TYPES(result.scalar_type(), "relu", [&] {
            find_cleared(result.data_ptr<scalar_t>(), cleared.data_ptr<bool>(), result.numel());
        });
        return cleared;
    }

    static at::Tensor mask(at::Tensor gradient, const at::Tensor &cleared, int64_t neurons) {
        if (!is_ours_alone(gradient) || !gradient.is_contiguous())
            gradient = gradient.clone(at::MemoryFormat::Contiguous);
        AT_DISPATCH_FLOATING_TYPES(gradient.scalar_type(), "relu", [&] {
            clear(gradient.data_ptr<scalar_t>(), neurons, cleared.data_ptr<bool>(),
                  cleared.numel());
        });
        return gradient;
    }
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
        if (how.neurons == 1)
            return {is_ours_alone(gradient) ? gradient.mul_(how.saved[0])
                                            : gradient.mul(how.saved[0])};
        return {how.by_neuron(gradient).mul(how.saved[0]).flatten(0, 1)};
    }

  private:
    Pointwise function_;
};

// With the statistics of training: a scale and an offset for each channel.
class Normalise final : public PointwiseOperator {
  public:
    Normalise(const BatchNorm &norm, size_t ndim) : norm_(norm) {
        scale_ = (norm.variance + norm.epsilon).rsqrt();
        if (norm.weight)
            scale_ = scale_ * *norm.weight;
        Sizes sizes(ndim, 1);
        sizes[1] = scale_.numel();
        scale_ = scale_.view(sizes);
    }

    at::Tensor forward(std::vector<at::Tensor> operands, const Region & /*out*/,
                       Saved & /*saved*/) const override {
        return at::batch_norm(operands[0], norm_.weight, norm_.bias, norm_.mean, norm_.variance,
                              false, 0.0, norm_.epsilon, true);
    }

    std::vector<at::Tensor> reverse(at::Tensor gradient, const Reverse & /*how*/) const override {
        return {is_ours_alone(gradient) ? gradient.mul_(scale_) : gradient.mul(scale_)};
    }

  private:
    BatchNorm norm_;
    at::Tensor scale_; // broadcasts over all but the channels
};

} // namespace

TapeOperatorPtr make_relu() { return std::make_unique<Relu>(); }

TapeOperatorPtr make_pointwise(const Pointwise &function) {
    return std::make_unique<Elementwise>(function);
}

TapeOperatorPtr make_batch_norm(const BatchNorm &norm, size_t ndim) {
    return std::make_unique<Normalise>(norm, ndim);
}

} // namespace neurotap
