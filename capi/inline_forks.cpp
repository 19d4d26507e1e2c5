#include "inline_forks.hpp"

namespace neurotap {
namespace {

using torch::jit::Block;
using torch::jit::Graph;
using torch::jit::Node;
using torch::jit::Value;
namespace attr = torch::jit::attr;
namespace prim = torch::jit::prim;

c10::TypePtr without_futures(const c10::TypePtr &type) {
    if (const auto future = type->cast<c10::FutureType>())
        return without_futures(future->getElementType());
    // A class contains itself by name only; its attributes hold no futures of a running call.
    if (type->containedTypes().empty() || type->cast<c10::ClassType>())
        return type;
    bool changed = false;
    std::vector<c10::TypePtr> contained;
    for (const c10::TypePtr &part : type->containedTypes()) {
        contained.push_back(without_futures(part));
        changed = changed || contained.back() != part;
    }
    return changed ? type->withContained(std::move(contained)) : type;
}

void inline_fork(Node *fork) {
    const auto body = fork->g(attr::Subgraph)->copy();
    const torch::jit::WithInsertPoint here(fork);
    const auto results = torch::jit::insertGraph(*fork->owningGraph(), *body, fork->inputs());
    fork->output()->replaceAllUsesWith(results.at(0));
    fork->destroy();
}

// Returns whether there was a fork.
bool inline_block(Block *block) {
    bool found = false;
    for (auto it = block->nodes().begin(); it != block->nodes().end();) {
        Node *node = *it;
        if (node->kind() == prim::fork && node->hasAttribute(attr::Subgraph)) {
            Node *before = node->prev();
            inline_fork(node);
            found = true;
            it = torch::jit::graph_node_list_iterator(before->next(), torch::jit::kNextDirection);
            continue; // a task may start tasks
        }
        ++it;
        if (node->kind() == c10::aten::wait) {
            node->output()->replaceAllUsesWith(node->input(0));
            node->destroy();
            continue;
        }
        for (Block *inner : node->blocks())
            found = inline_block(inner) || found;
    }
    return found;
}

void retype(Value *value) { value->setType(without_futures(value->type())); }

void retype_block(Block *block) {
    for (Value *input : block->inputs())
        retype(input);
    for (Node *node : block->nodes()) {
        for (Value *output : node->outputs())
            retype(output);
        for (Block *inner : node->blocks())
            retype_block(inner);
    }
}

} // namespace

void inline_forks(Graph &graph) {
    if (inline_block(graph.block()))
        retype_block(graph.block());
}

} // namespace neurotap
