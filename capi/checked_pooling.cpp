#include "checked_pooling.hpp"

#include "checked_operators.hpp"
#include "sliding_window.hpp"

#include <algorithm>
#include <limits>
#include <stdexcept>

namespace neurotap {
namespace {

using torch::jit::Node;
using torch::jit::Stack;
using torch::jit::Value;
using Ints = std::vector<int64_t>;

// A list of one number is for all dimensions. Of what makes no sense, which libtorch refuses, there
// is none.
Ints sound_numbers(const c10::IValue &value, size_t dims, int64_t least) {
    Ints numbers = value.isIntList() ? value.toIntVector() : Ints{};
    if (numbers.size() == 1)
        numbers.resize(dims, numbers[0]);
    const auto is_sound = [&](int64_t number) {
        return number >= least && number <= std::numeric_limits<int32_t>::max();
    };
    return std::all_of(numbers.begin(), numbers.end(), is_sound) ? numbers : Ints{};
}

// input, kernel_size, stride, padding, dilation
bool any_window_misses(at::ArrayRef<c10::IValue> arguments, size_t dims) {
    const at::Tensor &operand = arguments[0].toTensor();
    const auto kernel = sound_numbers(arguments[1], dims, 1);
    const bool has_strides = !arguments[2].isIntList() || !arguments[2].toIntVector().empty();
    const auto stride = has_strides ? sound_numbers(arguments[2], dims, 1) : kernel;
    const auto padding = sound_numbers(arguments[3], dims, 0);
    const auto dilation = sound_numbers(arguments[4], dims, 1);
    for (const Ints &numbers : {kernel, stride, padding, dilation})
        if (numbers.size() != dims)
            return false;
    if (operand.dim() < static_cast<int64_t>(dims))
        return false;
    const auto sizes = operand.sizes().slice(static_cast<size_t>(operand.dim()) - dims);
    for (size_t i = 0; i < dims; ++i)
        if (padding[i] <= kernel[i] / 2 &&
            SlidingWindow{kernel[i], stride[i], dilation[i], padding[i], sizes[i]}.misses())
            return true;
    return false;
}

// The same, and the number of dimensions.
void look_at_pooling(Stack &stack) {
    const auto dims = static_cast<size_t>(torch::jit::pop(stack).toInt());
    const auto arguments = torch::jit::last(stack, 5);
    const at::Tensor &operand = arguments[0].toTensor();
    if (at::GradMode::is_enabled() && operand.defined() && operand.requires_grad() &&
        any_window_misses(arguments, dims))
        throw std::runtime_error("max pooling has a window that lies in the padding, with all its "
                                 "elements; libtorch cannot differentiate that");
    c10::IValue dilation = torch::jit::pop(stack);
    torch::jit::drop(stack, 4);
    stack.push_back(std::move(dilation));
}

c10::Symbol dilation_symbol() {
    static const auto symbol = c10::Symbol::fromQualString("neurotap::pool_dilation");
    return symbol;
}

void register_pool_dilation() {
    static const torch::jit::RegisterOperators registration({torch::jit::Operator(
        "neurotap::pool_dilation(Tensor input, int[] kernel_size, int[] stride, int[] padding, "
        "int[] dilation, int dims) -> int[]",
        look_at_pooling, c10::AliasAnalysisKind::FROM_SCHEMA)});
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

bool is_constant_one(const Value *value) {
    const auto known = torch::jit::toIValue(value);
    return known && known->isInt() && known->toInt() == 1;
}

// A list that others have, too, may be written to.
bool is_known_not_to_dilate(const Value *dilation) {
    if (const auto known = torch::jit::toIValue(dilation))
        return sound_numbers(*known, 1, 1) == Ints(known->toListRef().size(), 1);
    const auto ones = dilation->node()->inputs();
    return dilation->node()->kind() == torch::jit::prim::ListConstruct &&
           dilation->uses().size() == 1 && std::all_of(ones.begin(), ones.end(), is_constant_one);
}

} // namespace

void check_pooling(Node *node) {
    const size_t dims = dimensions_of(node);
    if (dims == 0 || is_known_not_to_dilate(node->input(4)))
        return;
    register_pool_dilation();
    const torch::jit::WithInsertPoint here(node);
    auto sees = node->inputs().slice(0, 5).vec();
    sees.push_back(node->owningGraph()->insertConstant(static_cast<int64_t>(dims)));
    look_first(node, dilation_symbol(), sees, 4);
}

} // namespace neurotap
