// A model's graph made ready to run: cut behind the wanted layers, recording their values.
#pragma once

#include "compat.hpp"
#include "planner.hpp"

#include <memory>
#include <string>
#include <vector>

namespace neurotap {

struct Program {
    torch::jit::Code code;
    ObjectPtr self;                    // the model; the graph's first input
    c10::FunctionSchema schema;        // of forward
    std::vector<size_t> site_counts;   // for each layer, in how many places it is recorded
    std::vector<bool> writes_argument; // whether a run may write into the n-th argument
    bool writes_module = false;        // whether a run may change the model
    bool draws_random = false;         // whether a run may draw random numbers
    std::string no_gradient;           // an operator in it that has no gradient, if any

    Program(const std::shared_ptr<torch::jit::Graph> &graph, ObjectPtr model,
            const c10::FunctionSchema &forward)
        : code(graph, "neurotap"), self(std::move(model)), schema(forward) {}
};

// Taps the plan's sites: the program returns, for each of n_layers layers, the list of its calls,
// each a list of the values recorded there. It ends behind the last site.
std::shared_ptr<const Program> compile_taps(Plan plan, size_t n_layers);

// The whole forward, as it is.
std::shared_ptr<const Program> compile_forward(Plan plan);

} // namespace neurotap
