#include "record.hpp"

namespace neurotap {
namespace {

using torch::jit::Stack;

c10::IValue deep_copy(const c10::IValue &value);

c10::IValue copy_list(const c10::IValue &value) {
    const auto source = value.toList();
    c10::impl::GenericList copy(source.elementType());
    for (size_t i = 0; i < source.size(); ++i)
        copy.push_back(deep_copy(source.get(i)));
    return copy;
}

c10::IValue copy_tuple(const c10::IValue &value) {
    std::vector<c10::IValue> items;
    for (const c10::IValue &item : value.toTupleRef().elements())
        items.push_back(deep_copy(item));
    return c10::ivalue::Tuple::create(std::move(items));
}

c10::IValue copy_dict(const c10::IValue &value) {
    const auto source = value.toGenericDict();
    c10::impl::GenericDict copy(source.keyType(), source.valueType());
    for (const auto &entry : source)
        copy.insert(entry.key(), deep_copy(entry.value()));
    return copy;
}

c10::IValue deep_copy(const c10::IValue &value) {
    if (value.isTensor() && value.toTensor().defined())
        return value.toTensor().clone();
    if (value.isList())
        return copy_list(value);
    if (value.isTuple())
        return copy_tuple(value);
    if (value.isGenericDict())
        return copy_dict(value);
    return value;
}

template <bool copy> void record(Stack &stack) {
    const c10::IValue value = torch::jit::pop(stack);
    auto calls = torch::jit::pop(stack).toList();
    calls.push_back(copy ? deep_copy(value) : value);
}

} // namespace

c10::Symbol record_symbol() {
    static const auto symbol = c10::Symbol::fromQualString("neurotap::record");
    return symbol;
}

c10::Symbol record_copy_symbol() {
    static const auto symbol = c10::Symbol::fromQualString("neurotap::record_copy");
    return symbol;
}

void register_record_operators() {
    static const torch::jit::RegisterOperators registration({
        torch::jit::Operator("neurotap::record(Any[](a!) calls, Any value) -> ()", record<false>,
                             c10::AliasAnalysisKind::FROM_SCHEMA),
        torch::jit::Operator("neurotap::record_copy(Any[](a!) calls, Any value) -> ()",
                             record<true>, c10::AliasAnalysisKind::FROM_SCHEMA),
    });
}

} // namespace neurotap
