#include "module_values.hpp"

namespace neurotap {
namespace {

using torch::jit::Block;
using torch::jit::Node;
using torch::jit::Value;
namespace attr = torch::jit::attr;
namespace prim = torch::jit::prim;

// Attribute values that cannot change but by SetAttr, so that they may become constants.
bool is_immutable(const c10::IValue &value) {
    return value.isBool() || value.isInt() || value.isDouble() || value.isString() ||
           value.isNone() || value.isDevice();
}

} // namespace

bool is_module_type(const c10::TypePtr &type) {
    const auto cls = type->cast<c10::ClassType>();
    return cls && cls->is_module();
}

bool Assumption::holds() const {
    const c10::IValue &now = owner->getSlot(slot);
    return value.isObject() ? now.isObject() && now.toObject() == value.toObject() : now == value;
}

const ObjectPtr *ModuleValues::object_of(const Value *value) const {
    const auto found = objects_.find(value);
    return found == objects_.end() ? nullptr : &found->second;
}

void ModuleValues::track(Value *value, const ObjectPtr &object) {
    objects_[value] = object;
    // A method may be declared on an interface; the object knows the class.
    value->setType(object->type());
}

void ModuleValues::track_attribute(Node *get) {
    const ObjectPtr *owner = object_of(get->input(0));
    if (owner == nullptr || !is_module_type(get->output()->type()))
        return;
    const auto value = assume_attribute(*owner, get->s(attr::name));
    if (value.isObject())
        track(get->output(), value.toObject());
}

void ModuleValues::track_branches(Node *branch) {
    for (size_t i = 0; i < branch->outputs().size(); ++i) {
        const ObjectPtr *yes = object_of(branch->blocks()[0]->outputs()[i]);
        const ObjectPtr *no = object_of(branch->blocks()[1]->outputs()[i]);
        if (yes != nullptr && no != nullptr && *yes == *no)
            track(branch->outputs()[i], ObjectPtr(*yes));
    }
}

void ModuleValues::track_through(Node *marker) {
    for (size_t i = 0; i < marker->inputs().size(); ++i)
        if (const ObjectPtr *object = object_of(marker->input(i)))
            track(marker->output(i), ObjectPtr(*object)); // a copy: the table may move
}

c10::IValue ModuleValues::assume_attribute(const ObjectPtr &owner, const std::string &name) {
    const size_t slot = owner->type()->getAttributeSlot(name);
    assumptions_.push_back(Assumption{owner, slot, owner->getSlot(slot)});
    return assumptions_.back().value;
}

void ModuleValues::fold_attributes(torch::jit::Graph &graph) {
    collect_assignments(graph.block());
    fold_block(graph.block());
}

void ModuleValues::collect_assignments(Block *block) {
    for (Node *node : block->nodes()) {
        if (node->kind() == prim::SetAttr)
            assigned_.insert(node->s(attr::name));
        for (Block *inner : node->blocks())
            collect_assignments(inner);
    }
}

void ModuleValues::fold_block(Block *block) {
    for (auto it = block->nodes().begin(); it != block->nodes().end();) {
        Node *node = *it++;
        for (Block *inner : node->blocks())
            fold_block(inner);
        const ObjectPtr *owner =
            node->kind() == prim::GetAttr ? object_of(node->input(0)) : nullptr;
        if (owner == nullptr || assigned_.count(node->s(attr::name)) != 0)
            continue;
        const std::string name = node->s(attr::name);
        if (is_immutable((*owner)->getAttr(name)))
            fold(node, assume_attribute(*owner, name));
    }
}

void ModuleValues::fold(Node *get, const c10::IValue &value) {
    const torch::jit::WithInsertPoint here(get);
    Value *constant = get->owningGraph()->insertConstant(value);
    get->output()->replaceAllUsesWith(constant);
    objects_.erase(get->output());
    get->destroy();
}

} // namespace neurotap
