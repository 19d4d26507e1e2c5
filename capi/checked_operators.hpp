// Operators that end in an error where libtorch's would end the process, or write somewhere; and
// those that would fail although they need not.
#pragma once

#include "compat.hpp"

namespace neurotap {

// Puts checks in front of all operators of the graph that need one, and right what else is wrong.
void check_operators(torch::jit::Graph &graph);

// Puts the operator `look` in front of a node. It sees these values, and hands on what it was given
// as the node's input `which`.
void look_first(torch::jit::Node *node, c10::Symbol look, at::ArrayRef<torch::jit::Value *> sees,
                size_t which);

} // namespace neurotap
