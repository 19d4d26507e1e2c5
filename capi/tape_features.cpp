// Operators on the features in a value's last dimension, of which they need all.
#include "dense_product.hpp"
#include "tape_operators.hpp"

namespace neurotap {
namespace {

class FeatureOperator : public TapeOperator {
  public:
    FeatureOperator(const Sizes &operand, const Sizes &result)
        : operand_(operand), result_(result) {}

    Region needs(const Region &out, size_t /*operand*/) const override {
        return with_all(out, operand_);
    }

    double cost(const Region &out) const override {
        return count_rows(out) * static_cast<double>(result_.back());
    }

    at::Tensor forward(std::vector<at::Tensor> operands, const Region &out,
                       Saved &saved) const override {
        return cut(apply(operands[0], saved), with_all(out, result_), out);
    }

    std::vector<at::Tensor> reverse(at::Tensor gradient, const Reverse &how) const override {
        gradient = widened(std::move(gradient), result_, how.out, with_all(how.out, result_));
        return {differentiate(gradient, how)};
    }

  protected:
    virtual at::Tensor apply(const at::Tensor &operand, Saved &saved) const = 0;
    virtual at::Tensor differentiate(const at::Tensor &gradient, const Reverse &how) const = 0;

    double count_rows(const Region &out) const {
        double rows = 1;
        for (size_t dim = 1; dim + 1 < result_.size(); ++dim)
            rows *= static_cast<double>(dim == 1 ? result_[1] : out[dim - 2].count);
        return rows;
    }

  private:
    // Features are channels where there are no positions.
    static Region with_all(Region region, const Sizes &sizes) {
        if (!region.empty())
            region.back() = Extent{0, sizes.back()};
        return region;
    }

    Sizes operand_, result_;
};

// ---- dense layers ----

class Linear final : public FeatureOperator {
  public:
    Linear(const Sizes &operand, const Sizes &result, const at::Tensor &weight,
           const MaybeTensor &bias)
        : FeatureOperator(operand, result), weight_(weight), bias_(bias) {}

    double cost(const Region &out) const override {
        return count_rows(out) * static_cast<double>(weight_.numel());
    }

  protected:
    at::Tensor apply(const at::Tensor &operand, Saved & /*saved*/) const override {
        return dense_product(operand, weight_, bias_);
    }

    at::Tensor differentiate(const at::Tensor &gradient, const Reverse & /*how*/) const override {
        return dense_product_back(gradient, weight_);
    }

  private:
    at::Tensor weight_;
    MaybeTensor bias_;
};

// ---- layer normalisation ----

class LayerNorm final : public FeatureOperator {
  public:
    LayerNorm(const Sizes &operand, const TapeLayerNorm &norm)
        : FeatureOperator(operand, operand), norm_(norm), features_(operand.back()) {}

  protected:
    at::Tensor apply(const at::Tensor &operand, Saved &saved) const override {
        const auto [result, mean, deviation] =
            at::native_layer_norm(operand, features_, norm_.weight, norm_.bias, norm_.epsilon);
        saved = {operand, mean, deviation};
        return result;
    }

    at::Tensor differentiate(const at::Tensor &gradient, const Reverse &how) const override {
        std::vector<at::Tensor> of_neurons;
        for (const at::Tensor &one : gradient.split(how.examples))
            of_neurons.push_back(std::get<0>(at::native_layer_norm_backward(
                one.contiguous(), how.saved[0], features_, how.saved[1], how.saved[2], norm_.weight,
                norm_.bias, {true, false, false})));
        return of_neurons.size() == 1 ? of_neurons[0] : at::cat(of_neurons);
    }

  private:
    TapeLayerNorm norm_;
    int64_t features_;
};

} // namespace

TapeOperatorPtr make_linear(const Sizes &operand, const at::Tensor &weight,
                            const MaybeTensor &bias) {
    Sizes result = operand;
    result.back() = weight.size(0);
    return std::make_unique<Linear>(operand, result, weight, bias);
}

TapeOperatorPtr make_layer_norm(const Sizes &operand, const TapeLayerNorm &norm) {
    return std::make_unique<LayerNorm>(operand, norm);
}

} // namespace neurotap
