// A matrix product is a convolution with a kernel of 1x1. The one matrix is its image, with rows as
// positions: that order, of channels last, oneDNN takes as it is. The other matrix is the kernel,
// which it first puts in an order of its own, in memory of its own: better the smaller one.
#include "dense_product.hpp"

#include "tape_operators.hpp"

#include <dlfcn.h>

namespace neurotap {
namespace {

constexpr int64_t kManyRows = 8;
// Single images with fewer elements libtorch does not differentiate by oneDNN.
constexpr int64_t kManyElements = 20480;

// The one that Debian installs by itself is not.
bool is_blas_tuned() {
    static const bool is_tuned = at::hasMKL() ||
                                 dlsym(RTLD_DEFAULT, "openblas_get_config") != nullptr ||
                                 dlsym(RTLD_DEFAULT, "bli_info_get_version_str") != nullptr;
    return is_tuned;
}

// From here on oneDNN gains, with the rows or with the weight as the image.
bool is_much(const at::Tensor &rows, const at::Tensor &weight, bool weight_is_image) {
    const int64_t tuned = int64_t{1} << (weight_is_image ? 18 : 20);
    return rows.size(0) * weight.numel() >= (is_blas_tuned() ? tuned : int64_t{1} << 17);
}

at::Tensor as_positions(const at::Tensor &rows) {
    return rows.view({1, 1, rows.size(0), rows.size(1)}).permute({0, 3, 1, 2});
}
at::Tensor as_images(const at::Tensor &rows) { return rows.unsqueeze(2).unsqueeze(3); }

// [1, columns, 1, rows] to [rows, columns].
at::Tensor as_rows(const at::Tensor &image) {
    return image.permute({0, 2, 3, 1}).reshape({-1, image.size(1)});
}

bool is_weight_the_image(const at::Tensor &rows, const at::Tensor &weight) {
    return 2 * rows.size(0) <= weight.size(0) && is_much(rows, weight, true);
}

bool are_rows_the_image(const at::Tensor &rows, const at::Tensor &weight) {
    return rows.size(0) >= kManyRows && is_much(rows, weight, false);
}

at::Tensor convolve(const at::Tensor &image, const at::Tensor &kernel,
                    const c10::optional<at::Tensor> &bias) {
    return as_rows(at::mkldnn_convolution(as_positions(image), as_images(kernel), bias, {0, 0},
                                          {1, 1}, {1, 1}, 1));
}

// The gradient at the image or at the kernel. (libtorch leaves it to oneDNN if it is dilated, which
// a kernel of 1x1 does not notice.)
at::Tensor convolve_back(const at::Tensor &gradient, const at::Tensor &image,
                         const at::Tensor &kernel, bool at_image) {
    const auto both =
        at::convolution_backward(gradient, image, as_images(kernel), c10::nullopt, {1, 1}, {0, 0},
                                 {2, 2}, false, {0, 0}, 1, {at_image, !at_image, false});
    return at_image ? std::get<0>(both) : std::get<1>(both);
}

at::Tensor plus(const at::Tensor &rows, const c10::optional<at::Tensor> &bias) {
    if (!bias)
        return rows.contiguous();
    at::Tensor sum = at::empty(rows.sizes(), rows.options());
    return at::add_out(sum, rows, *bias);
}

at::Tensor product(const at::Tensor &rows, const at::Tensor &weight,
                   const c10::optional<at::Tensor> &bias) {
    if (has_onednn(rows) && is_weight_the_image(rows, weight))
        return plus(convolve(weight, rows, c10::nullopt).t(), bias);
    if (has_onednn(rows) && are_rows_the_image(rows, weight))
        return convolve(rows, weight, bias);
    return at::linear(rows, weight, bias);
}

at::Tensor product_back(const at::Tensor &rows, const at::Tensor &weight) {
    const int64_t features = weight.size(1);
    if (has_onednn(rows) && is_weight_the_image(rows, weight) && weight.numel() > kManyElements) {
        const at::Tensor kernel = at::empty({rows.size(0), features}, rows.options());
        return convolve_back(as_positions(rows.t().contiguous()), as_positions(weight), kernel,
                             false)
            .reshape({rows.size(0), features});
    }
    if (!has_onednn(rows) || !are_rows_the_image(rows, weight))
        return at::mm(rows, weight);
    const at::Tensor image = at::empty({rows.size(0), features}, rows.options());
    const auto as_image = image.numel() > kManyElements ? as_positions : as_images;
    return convolve_back(as_image(rows), as_image(image), weight, true)
        .permute({0, 2, 3, 1})
        .reshape({rows.size(0), features});
}

// Older versions of dense layers have it the other way round.
bool is_transposed(const at::Tensor &weight) {
    return !weight.is_contiguous() && weight.t().is_contiguous();
}

template <typename Function>
at::Tensor by_rows(const at::Tensor &values, const Function &function) {
    if (values.dim() == 2)
        return function(values.contiguous());
    auto sizes = values.sizes().vec();
    const at::Tensor rows = function(values.reshape({-1, sizes.back()}).contiguous());
    sizes.back() = rows.size(1);
    return rows.view(sizes);
}

} // namespace

at::Tensor dense_product(const at::Tensor &values, const at::Tensor &weight,
                         const c10::optional<at::Tensor> &bias) {
    return by_rows(values, [&](const at::Tensor &rows) {
        if (is_transposed(weight))
            return plus(product_back(rows, weight.t()), bias);
        return product(rows, weight.contiguous(), bias);
    });
}

at::Tensor dense_product_back(const at::Tensor &gradients, const at::Tensor &weight) {
    return by_rows(gradients, [&](const at::Tensor &rows) {
        if (is_transposed(weight))
            return product(rows, weight.t(), c10::nullopt);
        return product_back(rows, weight.contiguous());
    });
}

} // namespace neurotap
