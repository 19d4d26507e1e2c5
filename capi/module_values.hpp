// Which values of a graph are which modules.
#pragma once

#include "planner.hpp"

#include <set>
#include <unordered_map>

namespace neurotap {

bool is_module_type(const c10::TypePtr &type);

// Follows modules through a graph as concrete objects, so that two instances of one class stay two.
class ModuleValues {
  public:
    void track(torch::jit::Value *value, const ObjectPtr &object);
    const ObjectPtr *object_of(const torch::jit::Value *value) const; // NULL if it is not known

    void track_attribute(torch::jit::Node *get);
    void track_branches(torch::jit::Node *branch); // a module that both branches give
    void track_through(torch::jit::Node *marker);  // a marker hands on modules too

    // Attributes that are constants in all but name, such as `training`, become constants.
    void fold_attributes(torch::jit::Graph &graph);

    std::vector<Assumption> take_assumptions() { return std::move(assumptions_); }

  private:
    c10::IValue assume_attribute(const ObjectPtr &owner, const std::string &name);
    void collect_assignments(torch::jit::Block *block);
    void fold_block(torch::jit::Block *block);
    void fold(torch::jit::Node *get, const c10::IValue &value);

    std::unordered_map<const torch::jit::Value *, ObjectPtr> objects_;
    std::set<std::string> assigned_;
    std::vector<Assumption> assumptions_;
};

} // namespace neurotap
