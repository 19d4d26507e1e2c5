// Divisions of integers that end in an error where the processor would end the program.
#pragma once

#include "compat.hpp"

namespace neurotap {

// libtorch divides without a look at the divisor: by zero, or the least integer by -1, which has no
// result, the process is killed. An operator in front of a node that may divide so looks.
void check_division(torch::jit::Node *node);

} // namespace neurotap
