// What running a graph may do to others.
#pragma once

#include "compat.hpp"

#include <string>
#include <vector>

namespace neurotap {

struct Effects {
    std::vector<bool> writes_argument; // whether a run may write into the n-th argument
    bool writes_module = false;        // whether a run may change the model
    bool draws_random = false;         // whether a run may draw random numbers
};

Effects find_effects(const torch::jit::AliasDb &aliases, torch::jit::Graph &graph,
                     size_t n_arguments);

// Whether anything writes to the value, as far as the analysis can tell; what it cannot look into
// counts as written.
bool may_be_written(const torch::jit::AliasDb &aliases, const torch::jit::Value *value);

// An operator in the graph that has no gradient; "" if there is none.
std::string find_operator_without_gradient(torch::jit::Graph &graph);

} // namespace neurotap
