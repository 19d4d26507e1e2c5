#include "effects.hpp"

#include "graph_visit.hpp"

namespace neurotap {
namespace {

using torch::jit::Graph;
using torch::jit::Node;
using torch::jit::Value;
namespace prim = torch::jit::prim;

bool is_scalar(const Value *value) {
    switch (value->type()->kind()) {
    case c10::TypeKind::IntType:
    case c10::TypeKind::FloatType:
    case c10::TypeKind::BoolType:
    case c10::TypeKind::StringType:
    case c10::TypeKind::NoneType:
        return true;
    default:
        return false;
    }
}

bool leaves_graph(const Node *node) {
    return node->kind() == prim::CallMethod || node->kind() == prim::CallFunction ||
           node->kind() == prim::fork;
}

// Dropout and its kin draw only in training; libtorch's own test knows just the plain one.
bool draws_random(const Node *node) {
    if (!node->isNondeterministic())
        return false;
    const c10::FunctionSchema *schema = node->maybeSchema();
    for (size_t i = 0; schema != nullptr && i < schema->arguments().size(); ++i) {
        const std::string &name = schema->arguments()[i].name();
        if (name != "train" && name != "training")
            continue;
        const auto training = torch::jit::toIValue(node->input(i));
        if (training && training->isBool() && !training->toBool())
            return false;
    }
    return true;
}

// Quantised and MKL-DNN operators give results without a gradient; some libtorch versions do not
// even say so.
bool lacks_gradient(const std::string &name) {
    return name.compare(0, 11, "quantized::") == 0 || name.find("::quantize_per") != name.npos ||
           name.find("mkldnn") != name.npos || name.find("MKLDNN") != name.npos;
}

} // namespace

bool may_be_written(const torch::jit::AliasDb &aliases, const Value *value) {
    if (is_scalar(value))
        return false;
    if (value->type()->isSubtypeOf(*c10::TensorType::get()))
        return aliases.hasWriters(value);
    return true;
}

std::string find_operator_without_gradient(Graph &graph) {
    std::string found;
    visit(graph.block(), [&](const Node *node) {
        const std::string name = node->kind().toQualString();
        if (found.empty() && lacks_gradient(name))
            found = name;
    });
    return found;
}

Effects find_effects(const torch::jit::AliasDb &aliases, Graph &graph, size_t n_arguments) {
    Effects effects;
    bool opaque = false; // whether something is called that could do anything
    visit(graph.block(), [&](Node *node) {
        opaque |= leaves_graph(node);
        const bool written = node->kind() == prim::GetAttr && !is_scalar(node->output()) &&
                             !node->output()->type()->cast<c10::ClassType>() &&
                             aliases.hasWriters(node->output());
        effects.writes_module |= written || node->kind() == prim::SetAttr;
        effects.draws_random |= draws_random(node);
    });
    effects.writes_module |= opaque;
    effects.draws_random |= opaque;
    for (const Value *argument : graph.inputs().slice(1, n_arguments))
        effects.writes_argument.push_back(opaque || aliases.hasWriters(argument));
    return effects;
}

} // namespace neurotap
