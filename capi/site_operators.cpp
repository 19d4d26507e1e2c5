#include "site_operators.hpp"

#include "tree_limits.hpp"

namespace neurotap {
namespace {

using torch::jit::Stack;

class Copier {
  public:
    c10::IValue copy(const c10::IValue &value) {
        limits_.enter();
        c10::IValue copied = copy_kind(value);
        limits_.leave();
        return copied;
    }

  private:
    c10::IValue copy_kind(const c10::IValue &value) {
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

    c10::IValue copy_list(const c10::IValue &value) {
        const auto source = value.toList();
        c10::impl::GenericList copied(source.elementType());
        for (size_t i = 0; i < source.size(); ++i)
            copied.push_back(copy(source.get(i)));
        return copied;
    }

    c10::IValue copy_tuple(const c10::IValue &value) {
        std::vector<c10::IValue> items;
        for (const c10::IValue &item : value.toTupleRef().elements())
            items.push_back(copy(item));
        return c10::ivalue::Tuple::create(std::move(items));
    }

    c10::IValue copy_dict(const c10::IValue &value) {
        const auto source = value.toGenericDict();
        c10::impl::GenericDict copied(source.keyType(), source.valueType());
        for (const auto &entry : source)
            copied.insert(entry.key(), copy(entry.value()));
        return copied;
    }

    TreeLimits limits_;
};

c10::intrusive_ptr<SiteObserver> pop_observer(Stack &stack) {
    const auto run = torch::jit::pop(stack).toList();
    return c10::static_intrusive_pointer_cast<SiteObserver>(run.get(0).toCapsule());
}

void begin(Stack &stack) {
    c10::impl::GenericList run(c10::AnyType::get());
    run.push_back(torch::jit::pop(stack));
    stack.emplace_back(std::move(run));
}

void hand(Stack &stack) {
    c10::IValue value = torch::jit::pop(stack);
    pop_observer(stack)->hand(std::move(value));
}

void hand_copy(Stack &stack) {
    const c10::IValue value = torch::jit::pop(stack);
    pop_observer(stack)->hand(deep_copy(value));
}

void reach(Stack &stack) {
    const auto site = static_cast<size_t>(torch::jit::pop(stack).toInt());
    pop_observer(stack)->reach(site);
}

void take(Stack &stack) {
    c10::IValue value = torch::jit::pop(stack);
    const auto index = static_cast<size_t>(torch::jit::pop(stack).toInt());
    stack.push_back(pop_observer(stack)->take(index, std::move(value)));
}

torch::jit::Operator make_operator(const char *schema, void (*operation)(Stack &)) {
    return {schema, operation, c10::AliasAnalysisKind::FROM_SCHEMA};
}

} // namespace

c10::IValue deep_copy(const c10::IValue &value) { return Copier().copy(value); }

c10::Symbol begin_symbol() {
    static const auto symbol = c10::Symbol::fromQualString("neurotap::begin");
    return symbol;
}

c10::Symbol hand_symbol() {
    static const auto symbol = c10::Symbol::fromQualString("neurotap::hand");
    return symbol;
}

c10::Symbol hand_copy_symbol() {
    static const auto symbol = c10::Symbol::fromQualString("neurotap::hand_copy");
    return symbol;
}

c10::Symbol reach_symbol() {
    static const auto symbol = c10::Symbol::fromQualString("neurotap::reach");
    return symbol;
}

c10::Symbol take_symbol() {
    static const auto symbol = c10::Symbol::fromQualString("neurotap::take");
    return symbol;
}

void register_site_operators() {
    static const torch::jit::RegisterOperators registration({
        make_operator("neurotap::begin(Any observer) -> Any[]", begin),
        make_operator("neurotap::hand(Any[](a!) run, Any value) -> ()", hand),
        make_operator("neurotap::hand_copy(Any[](a!) run, Any value) -> ()", hand_copy),
        make_operator("neurotap::reach(Any[](a!) run, int site) -> ()", reach),
        make_operator("neurotap::take(Any[](a!) run, int index, t(b) value) -> t(b)", take),
    });
}

} // namespace neurotap
