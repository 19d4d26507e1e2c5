#include "site_markers.hpp"

#include "value_names.hpp"

#include <algorithm>

namespace neurotap {
namespace {

using torch::jit::Block;
using torch::jit::Graph;
using torch::jit::Node;
using torch::jit::Value;
namespace attr = torch::jit::attr;
namespace prim = torch::jit::prim;

c10::Symbol site_symbol() {
    static const auto symbol = c10::Symbol::fromQualString("neurotap::site");
    return symbol;
}

// Until it is inlined, a call remembers the scope in which it stands, and its name there.
c10::Symbol scope_attribute() {
    static const auto symbol = c10::Symbol::attr("neurotap_scope");
    return symbol;
}

c10::Symbol name_attribute() {
    static const auto symbol = c10::Symbol::attr("neurotap_name");
    return symbol;
}

Node *create_marker(size_t target, at::ArrayRef<Value *> values, Graph &graph) {
    Node *marker = graph.create(site_symbol(), values, values.size());
    marker->i_(attr::slot, static_cast<int64_t>(target));
    for (size_t i = 0; i < values.size(); ++i)
        marker->output(i)->setType(values[i]->type());
    return marker;
}

// Everything behind the marker sees its outputs.
Node *mark_behind(size_t target, at::ArrayRef<Value *> values, Node *position) {
    Node *marker = create_marker(target, values, *position->owningGraph());
    marker->insertAfter(position);
    for (size_t i = 0; i < values.size(); ++i)
        values[i]->replaceAllUsesAfterNodeWith(marker, marker->output(i));
    return marker;
}

// The schema of what a node runs; NULL if it is not known.
const c10::FunctionSchema *schema_of(const Node *node) {
    if (!is_call(node))
        return node->maybeSchema();
    const auto type = node->input(0)->type();
    if (const auto function = type->cast<c10::FunctionType>())
        return &function->function()->getSchema();
    const auto cls = type->cast<c10::ClassType>();
    const auto *method = cls ? cls->findMethod(node->s(attr::name)) : nullptr;
    return method == nullptr ? nullptr : &method->getSchema();
}

// What may be passed in place of an argument: also a tensor where this call passes None.
void widen_to_parameter(const c10::FunctionSchema *schema, size_t index, Value *argument) {
    if (schema == nullptr || index >= schema->arguments().size())
        return;
    const auto &parameter = schema->arguments()[index].type();
    if (parameter->kind() == c10::TypeKind::OptionalType && !parameter->hasFreeVariables())
        argument->setType(parameter);
}

// The node, and only it, works on the marker's outputs.
void mark_arguments(size_t target, Node *node) {
    const auto arguments = arguments_of(node);
    const size_t offset = node->inputs().size() - arguments.size();
    const bool has_self = node->kind() == prim::CallMethod;
    const c10::FunctionSchema *schema = schema_of(node);
    Node *marker = create_marker(target, arguments, *node->owningGraph());
    marker->insertBefore(node);
    for (size_t i = 0; i < marker->outputs().size(); ++i) {
        widen_to_parameter(schema, i + (has_self ? 1 : 0), marker->output(i));
        node->replaceInput(offset + i, marker->output(i));
    }
}

// The call, compiled into the model by its author, of a hook of `module` on `result`.
bool is_hook(const Node *user, const Value *module, const Value *result) {
    const auto cls = module->type()->cast<c10::ClassType>();
    if (!cls || user->kind() != prim::CallFunction || user->inputs().size() != 4 ||
        user->input(1) != module || user->input(3) != result)
        return false;
    const auto &hooks = cls->getForwardHooks();
    const auto *function = user->input(0)->type()->expectRef<c10::FunctionType>().function();
    return std::find(hooks.begin(), hooks.end(), function) != hooks.end();
}

// The next hook on a call's result, also behind markers; NULL if there is none.
Node *next_hook(const Value *module, const Value *result) {
    for (const torch::jit::Use &use : result->uses()) {
        if (is_hook(use.user, module, result))
            return use.user;
        Node *hook =
            is_marker(use.user) ? next_hook(module, use.user->output(use.offset)) : nullptr;
        if (hook != nullptr)
            return hook;
    }
    return nullptr;
}

// Hooks that were compiled into the model run in the caller, on the result of forward: the layer's
// value is what the last of them returns.
Node *last_hook(Node *call) {
    Node *last = call;
    while (Node *next = next_hook(call->input(0), last->output()))
        last = next;
    return last;
}

bool holds_tensor(const c10::TypePtr &type) {
    if (type->kind() == c10::TypeKind::TensorType)
        return true;
    if (type->cast<c10::ClassType>()) // it contains itself by name only
        return false;
    const auto parts = type->containedTypes();
    return std::any_of(parts.begin(), parts.end(),
                       [](const c10::TypePtr &part) { return holds_tensor(part); });
}

// What is done to a list, such as append, gives no new tensors.
bool gives_tensor(const Node *node) {
    if (!node->inputs().empty() && node->input(0)->type()->kind() == c10::TypeKind::ListType &&
        node->kind().is_aten() && node->output(0)->type()->kind() == c10::TypeKind::ListType)
        return false;
    const auto outputs = node->outputs();
    return std::any_of(outputs.begin(), outputs.end(),
                       [](const Value *value) { return holds_tensor(value->type()); });
}

void collect(Block *block, std::vector<Site> &sites) {
    for (Node *node : block->nodes()) {
        if (is_marker(node))
            sites.push_back(Site{static_cast<size_t>(node->i(attr::slot)), node});
        for (Block *inner : node->blocks())
            collect(inner, sites);
    }
}

} // namespace

bool is_marker(const Node *node) { return node->kind() == site_symbol(); }

SiteMarkers::SiteMarkers(std::vector<Target> targets, bool everything)
    : targets_(std::move(targets)), everything_(everything) {
    for (size_t i = 0; i < targets_.size(); ++i)
        add_target(i);
}

void SiteMarkers::add_target(size_t index) {
    const Target &target = targets_[index];
    wanted_.insert(target.layer.get());
    if (target.value.empty())
        layers_[target.layer.get()].push_back(index);
    else
        values_[{target.layer.get(), target.value}].push_back(index);
}

void SiteMarkers::mark_model(const c10::ivalue::Object *model, Graph &graph) {
    Node *start = graph.param_node();
    for (const size_t target : layers_[model]) {
        if (targets_[target].side == NTAP_LAYER_OUTPUT) {
            mark_behind(target, graph.outputs().vec(), graph.return_node()->prev());
            continue;
        }
        const bool first = start == graph.param_node();
        start = mark_behind(target, first ? graph.inputs().slice(1) : start->outputs(), start);
    }
}

void SiteMarkers::mark_node(const std::vector<size_t> &targets, Node *node, Node *result) {
    for (const size_t target : targets) {
        if (targets_[target].side == NTAP_LAYER_INPUT)
            mark_arguments(target, node);
        else
            result = mark_behind(target, result->outputs(), result);
    }
}

void SiteMarkers::mark_call(const c10::ivalue::Object *layer, Node *call) {
    const auto found = layers_.find(layer);
    if (found != layers_.end())
        mark_node(found->second, call, last_hook(call));
}

const std::vector<size_t> &SiteMarkers::targets_at(const Scope &scope, const std::string &name,
                                                   const Node *node) {
    const std::string value = scope.calls + name;
    auto &targets = values_[{scope.layer.get(), value}];
    if (targets.empty() && everything_ && gives_tensor(node)) {
        targets.push_back(targets_.size());
        targets_.push_back(Target{scope.layer, value, NTAP_LAYER_OUTPUT});
    }
    return targets;
}

void SiteMarkers::mark_code(const Scope &scope, Graph &code) {
    if (scope.layer == nullptr)
        return;
    const auto number = static_cast<int64_t>(scopes_.size());
    scopes_.push_back(scope);
    name_operations(code, [&](Node *node, const std::string &name) {
        if (is_call(node)) {
            node->i_(scope_attribute(), number);
            node->s_(name_attribute(), name);
        }
        mark_node(targets_at(scope, name, node), node, node);
    });
}

Scope SiteMarkers::scope_behind(const Node *call) const {
    if (!call->hasAttribute(scope_attribute()))
        return Scope{};
    const Scope &caller = scopes_[static_cast<size_t>(call->i(scope_attribute()))];
    return Scope{caller.layer, caller.calls + call->s(name_attribute()) + "/"};
}

std::vector<Site> SiteMarkers::collect_sites(Graph &graph) const {
    std::vector<Site> sites;
    collect(graph.block(), sites);
    return sites;
}

} // namespace neurotap
