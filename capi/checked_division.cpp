#include "checked_division.hpp"

#include "checked_operators.hpp"

#include <limits>
#include <stdexcept>

namespace neurotap {
namespace {

using torch::jit::Node;
using torch::jit::Stack;
using torch::jit::Value;
namespace aten = torch::jit::aten;

c10::Symbol divisor_symbol() {
    static const auto symbol = c10::Symbol::fromQualString("neurotap::divisor");
    return symbol;
}

// dividend, divisor
void look(Stack &stack) {
    const c10::IValue divisor = torch::jit::pop(stack);
    const c10::IValue dividend = torch::jit::pop(stack);
    if (divisor.isInt() && dividend.isInt()) {
        if (divisor.toInt() == 0)
            throw std::runtime_error("ZeroDivisionError: integer division or modulo by zero");
        if (divisor.toInt() == -1 && dividend.toInt() == std::numeric_limits<int64_t>::min())
            throw std::runtime_error("OverflowError: integer division result too large");
    }
    stack.push_back(divisor);
}

void register_operator() {
    static const torch::jit::RegisterOperators registration(
        {torch::jit::Operator("neurotap::divisor(Scalar dividend, Scalar divisor) -> Scalar", look,
                              c10::AliasAnalysisKind::FROM_SCHEMA)});
}

bool may_be_int(const Value *value) {
    const auto kind = value->type()->kind();
    return kind == c10::TypeKind::IntType || kind == c10::TypeKind::NumberType;
}

bool is_known_to_divide(const Value *divisor) {
    const auto known = torch::jit::toIValue(divisor);
    return known && known->isInt() && known->toInt() != 0 && known->toInt() != -1;
}

bool is_to_be_checked(const Node *node) {
    const bool divides = node->kind() == aten::remainder || node->kind() == aten::floordiv ||
                         node->kind() == aten::divmod;
    return divides && node->inputs().size() == 2 && may_be_int(node->input(0)) &&
           may_be_int(node->input(1)) && !is_known_to_divide(node->input(1));
}

} // namespace

void check_division(Node *node) {
    if (!is_to_be_checked(node))
        return;
    register_operator();
    look_first(node, divisor_symbol(), {node->input(0), node->input(1)}, 1);
}

} // namespace neurotap
