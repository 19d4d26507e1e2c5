// Marks in a graph the places where what is looked for is reached.
#pragma once

#include "planner.hpp"

#include <map>
#include <unordered_map>
#include <unordered_set>

namespace neurotap {

// Whose code a piece of a graph is: a layer's, or that of a function or method that it calls.
struct Scope {
    ObjectPtr layer;   // NULL if it is not known
    std::string calls; // the calls that lead there from the layer's forward, such as "encode:1/"
};

bool is_marker(const torch::jit::Node *node);

class SiteMarkers {
  public:
    // With `everything`, every value of tensors becomes a target as well.
    SiteMarkers(std::vector<Target> targets, bool everything);

    bool wants(const c10::ivalue::Object *layer) const { return wanted_.count(layer) != 0; }

    // The model itself as a layer: its arguments and its result.
    void mark_model(const c10::ivalue::Object *model, torch::jit::Graph &graph);
    // A call of the layer's forward.
    void mark_call(const c10::ivalue::Object *layer, torch::jit::Node *call);
    // What is wanted in a scope's code. The calls in it remember where they stand.
    void mark_code(const Scope &scope, torch::jit::Graph &code);
    // The scope of the code that a function or method call leads to.
    Scope scope_behind(const torch::jit::Node *call) const;

    std::vector<Site> collect_sites(torch::jit::Graph &graph) const;
    std::vector<Target> take_targets() { return std::move(targets_); }

  private:
    void add_target(size_t index);
    void mark_node(const std::vector<size_t> &targets, torch::jit::Node *node,
                   torch::jit::Node *result);
    const std::vector<size_t> &targets_at(const Scope &scope, const std::string &name,
                                          const torch::jit::Node *node);

    std::vector<Target> targets_;
    bool everything_;
    std::unordered_set<const c10::ivalue::Object *> wanted_; // layers, and layers of values
    std::unordered_map<const c10::ivalue::Object *, std::vector<size_t>> layers_;
    std::map<std::pair<const c10::ivalue::Object *, std::string>, std::vector<size_t>> values_;
    std::vector<Scope> scopes_;
};

} // namespace neurotap
