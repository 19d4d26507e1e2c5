#include "checked_pooling.hpp"

#include "sliding_window.hpp"

#include <algorithm>
#include <limits>
#include <stdexcept>

namespace neurotap {
namespace {

using torch::jit::Block;
using torch::jit::Node;
using torch::jit::Stack;
using torch::jit::Value;
using Numbers = std::vector<int64_t>;

// A list of one number is for all dimensions. Of what makes no sense, which libtorch refuses, there
// is none.
Numbers numbers_of(const c10::IValue &value, size_t dims, int64_t least) {
    Numbers numbers = value.isIntList() ? value.toIntVector() : Numbers{};
    if (numbers.size() == 1)
        numbers.resize(dims, numbers[0]);
    const auto is_sound = [&](int64_t number) {
        return number >= least && number <= std::numeric_limits<int32_t>::max();
    };
    return std::all_of(numbers.begin(), numbers.end(), is_sound) ? numbers : Numbers{};
}

// input, kernel_size, stride, padding, dilation
bool misses(at::ArrayRef<c10::IValue> arguments, size_t dims) {
    const at::Tensor operand = arguments[0].toTensor();
    const auto kernel = numbers_of(arguments[1], dims, 1);
    const bool has_strides = !arguments[2].isIntList() || !arguments[2].toIntVector().empty();
    const auto stride = has_strides ? numbers_of(arguments[2], dims, 1) : kernel;
    const auto padding = numbers_of(arguments[3], dims, 0);
    const auto dilation = numbers_of(arguments[4], dims, 1);
    for (const Numbers &numbers : {kernel, stride, padding, dilation})
        if (numbers.size() != dims)
            return false;
    if (!operand.defined() || operand.dim() < static_cast<int64_t>(dims))
        return false;
    const auto sizes = operand.sizes().slice(static_cast<size_t>(operand.dim()) - dims);
    for (size_t i = 0; i < dims; ++i)
        if (padding[i] <= kernel[i] / 2 &&
            SlidingWindow{kernel[i], stride[i], dilation[i], padding[i], sizes[i]}.misses())
            return true;
    return false;
}

// The same, and the number of dimensions.
void look(Stack &stack) {
    const auto dims = static_cast<size_t>(torch::jit::pop(stack).toInt());
    const auto arguments = torch::jit::last(stack, 5);
    const at::Tensor &operand = arguments[0].toTensor();
    if (at::GradMode::is_enabled() && operand.defined() && operand.requires_grad() &&
        misses(arguments, dims))
        throw std::runtime_error("max pooling has a window that lies in the padding, with all its "
                                 "elements; libtorch cannot differentiate that");
    const c10::IValue dilation = arguments[4];
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
        "int[] dilation, int dims) -> int[]",
        look, c10::AliasAnalysisKind::FROM_SCHEMA)});
}

// Of the max pooling that the node is, or 0: max_pool1d, max_pool2d_with_indices, …
size_t dimensions_of(const Node *node) {
    const std::string prefix = "aten::max_pool";
    const std::string name = node->kind().toQualString();
    if (name.rfind(prefix, 0) != 0 || name.size() <= prefix.size() || node->inputs().size() != 6)
        return 0;
    const char digit = name[prefix.size()];
    return digit >= '1' && digit <= '3' ? static_cast<size_t>(digit - '0') : 0;
}

bool is_one(const Value *value) {
    const auto known = torch::jit::toIValue(value);
    return known && known->isInt() && known->toInt() == 1;
}

// A list that others have, too, may be written to.
bool is_known_not_to_dilate(const Value *dilation) {
    if (const auto known = torch::jit::toIValue(dilation))
        return numbers_of(*known, 1, 1) == Numbers(known->toListRef().size(), 1);
    const auto ones = dilation->node()->inputs();
    return dilation->node()->kind() == torch::jit::prim::ListConstruct &&
           dilation->uses().size() == 1 && std::all_of(ones.begin(), ones.end(), is_one);
}

void look_first(torch::jit::Graph &graph, Node *node, size_t dims) {
    const torch::jit::WithInsertPoint before(node);
    auto inputs = node->inputs().slice(0, 5).vec();
    inputs.push_back(graph.insertConstant(static_cast<int64_t>(dims)));
    Node *const looks = graph.insertNode(graph.create(look_symbol(), inputs, 1));
    looks->output()->setType(node->input(4)->type());
    looks->copyMetadata(node);
    node->replaceInput(4, looks->output());
}

void check_block(torch::jit::Graph &graph, Block *block) {
    for (Node *node : block->nodes()) {
        for (Block *inner : node->blocks())
            check_block(graph, inner);
        const size_t dims = dimensions_of(node);
        if (dims != 0 && !is_known_not_to_dilate(node->input(4)))
            look_first(graph, node, dims);
    }
}

} // namespace

void check_pooling(torch::jit::Graph &graph) {
    register_operator();
    check_block(graph, graph.block());
}

} // namespace neurotap
