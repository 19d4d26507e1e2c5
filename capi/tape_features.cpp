// Operators on the features in a value's last dimension, of which they need all.
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
        const Region computed = with_all(how.out, result_);
        if (computed != how.out) {
            const at::Tensor part = std::move(gradient);
            gradient = at::zeros(sizes_of(result_, computed, part.size(0)), part.options());
            cut(gradient, computed, how.out).copy_(part);
        }
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

// From here on oneDNN is faster than a BLAS that is not tuned, and not slower than one that is.
constexpr int64_t kManyRows = 8;
constexpr int64_t kManyMultiplications = int64_t{1} << 20;
// Single images with fewer elements libtorch does not differentiate by oneDNN.
constexpr int64_t kManyElements = 20480;

// A matrix product is a convolution with a kernel of 1x1. Rows are its positions, in the order of
// channels that oneDNN then takes as it is, or images of one position each.
at::Tensor as_positions(const at::Tensor &rows) {
    return rows.view({1, 1, rows.size(0), rows.size(1)}).permute({0, 3, 1, 2});
}
at::Tensor as_images(const at::Tensor &rows) { return rows.unsqueeze(2).unsqueeze(3); }

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
        return by_rows(operand, [&](const at::Tensor &rows) { return product(rows); });
    }

    at::Tensor differentiate(const at::Tensor &gradient, const Reverse & /*how*/) const override {
        return by_rows(gradient, [&](const at::Tensor &rows) { return reverse_product(rows); });
    }

  private:
    template <typename Function>
    static at::Tensor by_rows(const at::Tensor &tensor, const Function &function) {
        if (tensor.dim() == 2)
            return function(tensor);
        Sizes sizes = tensor.sizes().vec();
        const at::Tensor rows = function(tensor.reshape({-1, sizes.back()}));
        sizes.back() = rows.size(1);
        return rows.view(sizes);
    }

    bool gains_from_onednn(const at::Tensor &rows) const {
        return rows.size(0) >= kManyRows &&
               rows.size(0) * weight_.numel() >= kManyMultiplications && has_onednn(rows);
    }

    at::Tensor product(const at::Tensor &rows) const {
        if (!gains_from_onednn(rows))
            return at::linear(rows, weight_, bias_);
        return at::mkldnn_convolution(as_positions(rows.contiguous()), as_images(weight_), bias_,
                                      {0, 0}, {1, 1}, {1, 1}, 1)
            .permute({0, 2, 3, 1})
            .reshape({rows.size(0), weight_.size(0)});
    }

    at::Tensor reverse_product(const at::Tensor &rows) const {
        if (!gains_from_onednn(rows))
            return at::mm(rows, weight_);
        const at::Tensor operand = at::empty({rows.size(0), weight_.size(1)}, rows.options());
        const bool many = operand.numel() > kManyElements;
        const auto as_image = many ? as_positions : as_images;
        const at::Tensor image = std::get<0>(at::convolution_backward(
            as_image(rows.contiguous()), as_image(operand), as_images(weight_), c10::nullopt,
            {1, 1}, {0, 0}, {2, 2}, false, {0, 0}, 1, {true, false, false}));
        return image.permute({0, 2, 3, 1}).reshape(operand.sizes());
    }

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
