#include "checked_operators.hpp"

#include "checked_division.hpp"
#include "checked_pooling.hpp"
#include "recurrent_gradients.hpp"

namespace neurotap {
namespace {

void check_block_operators(torch::jit::Block *block) {
    for (torch::jit::Node *node : block->nodes()) {
        for (torch::jit::Block *inner : node->blocks())
            check_block_operators(inner);
        check_division(node);
        check_pooling(node);
        let_cudnn_differentiate(node);
    }
}

} // namespace

void check_operators(torch::jit::Graph &graph) { check_block_operators(graph.block()); }

void look_first(torch::jit::Node *node, c10::Symbol look, at::ArrayRef<torch::jit::Value *> sees,
                size_t which) {
    torch::jit::Node *const looks = node->owningGraph()->create(look, sees, 1);
    looks->output()->setType(node->input(which)->type());
    looks->copyMetadata(node);
    looks->insertBefore(node);
    node->replaceInput(which, looks->output());
}

} // namespace neurotap
