// Visiting all nodes of a graph.
#pragma once

#include "compat.hpp"

namespace neurotap {

// Calls the action with every node, those inside a node before it. The action may destroy its node.
template <typename Action> void visit(torch::jit::Block *block, const Action &action) {
    for (auto it = block->nodes().begin(); it != block->nodes().end();) {
        torch::jit::Node *node = *it++;
        for (torch::jit::Block *inner : node->blocks())
            visit(inner, action);
        action(node);
    }
}

} // namespace neurotap
