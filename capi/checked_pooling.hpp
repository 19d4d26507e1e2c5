// Max pooling that ends in an error where libtorch would write outside of a gradient.
#pragma once

#include "compat.hpp"

namespace neurotap {

// Windows of a dilated kernel can lie in the padding with all their elements. libtorch's derivative
// adds their gradients somewhere behind the operand's. An operator in front of each pooling that
// may be dilated looks.
void check_pooling(torch::jit::Graph &graph);

} // namespace neurotap
