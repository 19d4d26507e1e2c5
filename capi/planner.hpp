// Finds where a model's program calls its layers.
#pragma once

#include "compat.hpp"

#include <neurotap/module.h>

#include <memory>
#include <vector>

namespace neurotap {

using ObjectPtr = c10::intrusive_ptr<c10::ivalue::Object>;

// A place where a layer is called. The marker is a node without outputs whose inputs are the
// layer's value there: what it returns, or all it is called with. It must be replaced before any of
// libtorch's passes sees the graph.
struct Site {
    size_t layer; // which of the wanted layers
    torch::jit::Node *marker;
};

// A copy of `forward` with all calls inlined, and the sites in it.
struct Plan {
    std::shared_ptr<torch::jit::Graph> graph;
    torch::jit::Module model;
    std::vector<Site> sites;
};

Plan plan_sites(const torch::jit::Module &model, const std::vector<ObjectPtr> &layers,
                ntap_layer_side side);

} // namespace neurotap
