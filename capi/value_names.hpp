// Names for the values that a layer's code computes.
#pragma once

#include "compat.hpp"

#include <functional>
#include <string>

namespace neurotap {

// A module's forward, and its kin: a trace names repeated calls forward1, forward2, …; overloads
// become forward__0, forward__1, ….
bool is_forward(const std::string &method);

bool is_call(const torch::jit::Node *node);

// The values a node works on; a call's without what is called.
at::ArrayRef<torch::jit::Value *> arguments_of(torch::jit::Node *node);

// Names every operation in a piece of code, as its author wrote it: "relu:2" is the second call of
// relu in the text, be it an operator, a function or a method. Calls of a layer's forward have
// none: those are layers. The names depend on nothing but the text, so that they are the same
// whatever libtorch makes of it.
void name_operations(
    torch::jit::Graph &code,
    const std::function<void(torch::jit::Node *node, const std::string &name)> &action);

} // namespace neurotap
