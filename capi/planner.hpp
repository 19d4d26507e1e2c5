// Finds where a model's program calls its layers and computes its values.
#pragma once

#include "compat.hpp"

#include <neurotap/module.h>

#include <memory>
#include <string>
#include <vector>

namespace neurotap {

using ObjectPtr = c10::intrusive_ptr<c10::ivalue::Object>;

// The method of a model that is run.
struct Entry {
    torch::jit::Module model;
    std::string method;
    c10::optional<at::Device> device; // where the code's constants go; none: they stay

    const torch::jit::Function &function() const { return model.get_method(method).function(); }
};

// What is looked for: a layer, or a value that a layer's own code computes.
struct Target {
    ObjectPtr layer;   // the layer, or the one in whose code the value is
    std::string value; // "" for the layer itself, otherwise its name there: "add:1", "relu:2/add:1"
    ntap_layer_side side = NTAP_LAYER_OUTPUT;
};

// A place where a target is reached. The marker is a node that takes the target's values there
// (what it returns, or all it is called with) and hands them on. It must be replaced before any of
// libtorch's passes sees the graph.
struct Site {
    size_t target;
    torch::jit::Node *marker;
};

// Something about the model that the plan relies on: an attribute's value.
struct Assumption {
    ObjectPtr owner;
    size_t slot;
    c10::IValue value;

    bool holds() const;
};

// A copy of the method's graph with all calls inlined, and the sites in it.
struct Plan {
    std::shared_ptr<torch::jit::Graph> graph;
    std::vector<Target> targets;
    std::vector<Site> sites; // in the order of the program's text
    std::vector<Assumption> assumptions;
};

// Of several targets at one place, the first comes first.
Plan plan_sites(const Entry &entry, std::vector<Target> targets);

// Beside the given targets, all values of tensors in the program; they follow as targets.
Plan plan_everything(const Entry &entry, std::vector<Target> targets);

} // namespace neurotap
