// Products with the weight of a dense layer, [features of the result, features], of values with
// features in their last dimension. In float32 on CPUs oneDNN computes them where that is faster
// than the BLAS.
#pragma once

#include "compat.hpp"

namespace neurotap {

// values · weightᵀ + bias
at::Tensor dense_product(const at::Tensor &values, const at::Tensor &weight,
                         const c10::optional<at::Tensor> &bias);

// gradients · weight: from those at the results to those at the values.
at::Tensor dense_product_back(const at::Tensor &gradients, const at::Tensor &weight);

} // namespace neurotap
