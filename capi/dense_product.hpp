// Products with the weight of a dense layer, [features of the result, features]. Rows are
// contiguous. In float32 on CPUs oneDNN computes them where that is faster than the BLAS.
#pragma once

#include "compat.hpp"

namespace neurotap {

// rows · weightᵀ + bias
at::Tensor dense_product(const at::Tensor &rows, const at::Tensor &weight,
                         const c10::optional<at::Tensor> &bias);

// rows · weight: from gradients at the results to those at the rows.
at::Tensor dense_product_back(const at::Tensor &rows, const at::Tensor &weight);

} // namespace neurotap
