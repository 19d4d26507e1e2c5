#include "checked_pooling.hpp"

#include <algorithm>
#include <stdexcept>

namespace neurotap {
namespace {

using torch::jit::Block;
using torch::jit::Node;
using torch::jit::Stack;
using torch::jit::Value;
using Numbers = std::vector<int64_t>;

// The operand, and what the pooling makes of it. A list of one number is for all dimensions.
struct Pooling {
    at::Tensor operand;
    Numbers kernel, stride, padding, dilation;

    // What is no pooling is for libtorch to refuse.
    bool is_sound() const {
        const auto positive = [](int64_t number) { return number > 0; };
        return operand.defined() && !kernel.empty() &&
               operand.dim() > static_cast<int64_t>(kernel.size()) &&
               stride.size() == kernel.size() && padding.size() == kernel.size() &&
               dilation.size() == kernel.size() &&
               std::all_of(stride.begin(), stride.end(), positive) &&
               std::all_of(dilation.begin(), dilation.end(), positive);
    }

    // Only windows that begin before the operand can miss it.
    bool misses(size_t dim) const {
        const int64_t size =
            operand.size(operand.dim() - static_cast<int64_t>(kernel.size() - dim));
        for (int64_t start = -padding[dim]; start < 0; start += stride[dim]) {
            const int64_t first = (-start + dilation[dim] - 1) / dilation[dim];
            if (first >= kernel[dim] || start + first * dilation[dim] >= size)
                return true;
        }
        return false;
    }

    bool misses() const {
        for (size_t dim = 0; dim < kernel.size(); ++dim)
            if (padding[dim] <= kernel[dim] / 2 && misses(dim))
                return true;
        return false;
    }
};

Numbers numbers_of(const c10::IValue &value) {
    return value.isIntList() ? value.toIntVector() : Numbers{};
}

// input, kernel_size, stride, padding, dilation
void look(Stack &stack) {
    const auto at = [&](size_t i) { return torch::jit::peek(stack, i, 5); };
    Pooling pooling{at(0).toTensor(), numbers_of(at(1)), numbers_of(at(2)), numbers_of(at(3)),
                    numbers_of(at(4))};
    const c10::IValue dilation = at(4);
    if (pooling.stride.empty())
        pooling.stride = pooling.kernel;
    const bool is_differentiated = at::GradMode::is_enabled() && pooling.operand.requires_grad();
    if (is_differentiated && pooling.is_sound() && pooling.misses())
        throw std::runtime_error("max pooling has a window that lies in the padding, with all its "
                                 "elements; libtorch cannot differentiate that");
    torch::jit::drop(stack, 5);
    stack.push_back(dilation);
}

c10::Symbol look_symbol() {
    static const auto symbol = c10::Symbol::fromQualString("neurotap::pool_dilation");
    return symbol;
}

void register_operator() {
    static const torch::jit::RegisterOperators registration({torch::jit::Operator(
        "neurotap::pool_dilation(Tensor input, int[] kernel_size, int[] stride, int[] padding, "
        "int[] dilation) -> int[]",
        look, c10::AliasAnalysisKind::FROM_SCHEMA)});
}

bool is_max_pooling(const Node *node) {
    const std::string name = node->kind().toQualString();
    return name.rfind("aten::max_pool", 0) == 0 && node->inputs().size() == 6;
}

bool is_known_not_to_dilate(const Value *dilation) {
    const auto known = torch::jit::toIValue(dilation);
    const auto is_one = [](int64_t number) { return number == 1; };
    if (!known || !known->isIntList())
        return false;
    const auto numbers = known->toIntVector();
    return std::all_of(numbers.begin(), numbers.end(), is_one);
}

void check_block(torch::jit::Graph &graph, Block *block) {
    for (Node *node : block->nodes()) {
        for (Block *inner : node->blocks())
            check_block(graph, inner);
        if (!is_max_pooling(node) || is_known_not_to_dilate(node->input(4)))
            continue;
        Node *const looks = graph.create(look_symbol(), node->inputs().slice(0, 5), 1);
        looks->output()->setType(node->input(4)->type());
        looks->copyMetadata(node);
        looks->insertBefore(node);
        node->replaceInput(4, looks->output());
    }
}

} // namespace

void check_pooling(torch::jit::Graph &graph) {
    register_operator();
    check_block(graph, graph.block());
}

} // namespace neurotap
