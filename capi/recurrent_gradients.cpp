#include "recurrent_gradients.hpp"

namespace neurotap {
namespace {

using torch::jit::Node;
using torch::jit::Value;

// The place of `dropout` among its arguments, behind which is `train`; 0 for other operators.
size_t dropout_place(const Node *node) {
    static const auto lstm = c10::Symbol::fromQualString("aten::lstm");
    static const auto gru = c10::Symbol::fromQualString("aten::gru");
    static const auto rnn_tanh = c10::Symbol::fromQualString("aten::rnn_tanh");
    static const auto rnn_relu = c10::Symbol::fromQualString("aten::rnn_relu");
    const auto kind = node->kind();
    if (kind != lstm && kind != gru && kind != rnn_tanh && kind != rnn_relu)
        return 0;
    const auto place = node->schema().argumentIndexWithName("dropout");
    return place ? static_cast<size_t>(*place) : 0;
}

} // namespace

void let_cudnn_differentiate(Node *node) {
    const size_t dropout = dropout_place(node);
    if (dropout == 0 || !torch::cuda::is_available())
        return;
    torch::jit::Graph &graph = *node->owningGraph();
    const torch::jit::WithInsertPoint here(node);
    Value *const trains = graph.insert(torch::jit::aten::Int, {node->input(dropout + 1)});
    node->replaceInput(dropout,
                       graph.insert(torch::jit::aten::mul, {node->input(dropout), trains}));
    node->replaceInput(dropout + 1, graph.insertConstant(true));
}

} // namespace neurotap
