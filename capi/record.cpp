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

c10::impl::GenericList pop_calls(Stack &stack) { return torch::jit::pop(stack).toList(); }

void open_call(Stack &stack) {
    pop_calls(stack).push_back(c10::impl::GenericList(c10::AnyType::get()));
}

void append(Stack &stack, const c10::IValue &value) {
    const auto calls = pop_calls(stack);
    calls.get(calls.size() - 1).toList().push_back(value);
}

void record(Stack &stack) {
    const c10::IValue value = torch::jit::pop(stack);
    append(stack, value);
}

void record_copy(Stack &stack) {
    const c10::IValue value = torch::jit::pop(stack);
    append(stack, deep_copy(value));
}

torch::jit::Operator make_operator(const char *schema, void (*operation)(Stack &)) {
    return {schema, operation, c10::AliasAnalysisKind::FROM_SCHEMA};
}

} // namespace

c10::Symbol open_call_symbol() {
    static const auto symbol = c10::Symbol::fromQualString("neurotap::open_call");
    return symbol;
}

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
        make_operator("neurotap::open_call(Any[](a!) calls) -> ()", open_call),
        make_operator("neurotap::record(Any[](a!) calls, Any value) -> ()", record),
        make_operator("neurotap::record_copy(Any[](a!) calls, Any value) -> ()", record_copy),
    });
}

} // namespace neurotap
