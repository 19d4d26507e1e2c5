// What selects neurons of a layer's value.
#pragma once

#include "capi.h"
#include "compat.hpp"

namespace neurotap {

// Zeros of these sizes, with ones where every dimension's index lies in its range; for several
// neurons stacked, [count, …sizes…]. `ranges` holds one for each dimension, neuron after neuron.
at::Tensor make_seeds(at::IntArrayRef sizes, const at::TensorOptions &options,
                      const capi_range *ranges, size_t count);

} // namespace neurotap
