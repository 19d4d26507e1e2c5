// Max pooling that ends in an error where libtorch would write outside of a gradient.
#pragma once

#include "compat.hpp"

namespace neurotap {

// A window of a dilated kernel can lie in the padding with all its elements. libtorch's derivative
// (seen with 1.13) adds its gradient somewhere behind the operand's. An operator in front of a node
// that may pool so looks.
void check_pooling(torch::jit::Node *node);

} // namespace neurotap
