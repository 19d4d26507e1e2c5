// What a program computes from constants and weights alone is computed while it is recorded: sizes,
// masks, initial states, tables of places.
#include "tape_recorder.hpp"

#include <algorithm>

namespace neurotap {

using torch::jit::Node;
using torch::jit::Value;
using Kind = Recorded::Kind;

namespace {

// Every tape has its own.
constexpr size_t kLargestFolded = 16 << 20;

bool returns_views(const c10::FunctionSchema &schema) {
    const auto &returns = schema.returns();
    return std::any_of(returns.begin(), returns.end(), [](const c10::Argument &returned) {
        return returned.alias_info() != nullptr;
    });
}

bool is_alias_of_any(const at::Tensor &tensor, const std::vector<c10::IValue> &inputs) {
    return std::any_of(inputs.begin(), inputs.end(), [&](const c10::IValue &input) {
        return input.isTensor() ? input.toTensor().defined() && tensor.is_alias_of(input.toTensor())
                                : input.isList() && !input.toListRef().empty() &&
                                      is_alias_of_any(tensor, input.toListRef().vec());
    });
}

} // namespace

// ---- what is known of a node's inputs ----

// A list that was put together counts if all in it is known.
bool TapeRecorder::read_known(const Value *value, c10::IValue &constant, bool &of_weights) const {
    const Recorded *found = find(value);
    if (found == nullptr)
        return false;
    if (found->is_known()) {
        of_weights = of_weights || found->kind == Kind::kWeight;
        constant = found->constant;
        return true;
    }
    if (found->kind != Kind::kSequence || value->type()->kind() != c10::TypeKind::ListType)
        return false;
    c10::impl::GenericList list(value->type()->expectRef<c10::ListType>().getElementType());
    for (const Recorded &item : *found->items) {
        if (!item.is_known())
            return false;
        of_weights = of_weights || item.kind == Kind::kWeight;
        list.push_back(item.constant);
    }
    constant = list;
    return true;
}

bool TapeRecorder::is_own(const at::Tensor &tensor) const {
    return tensor.has_storage() && own_.count(tensor.storage().unsafeGetStorageImpl()) > 0;
}

bool TapeRecorder::is_own(const Recorded &recorded) const {
    return recorded.kind == Kind::kConstant && recorded.constant.isTensor() &&
           is_own(recorded.constant.toTensor());
}

// Whatever shows memory that is not what it was.
template <typename IsAlias> void TapeRecorder::forget(const IsAlias &is_alias) {
    const auto forget_alias = [&](Recorded &recorded) {
        if (is_alias(recorded))
            recorded = Recorded();
    };
    for (auto &known : known_)
        forget_alias(known.second);
    for (const auto &items : containers_)
        std::for_each(items->begin(), items->end(), forget_alias);
}

void TapeRecorder::forget_memory_of(const at::Tensor &tensor) {
    forget([&](const Recorded &recorded) {
        return recorded.kind == Kind::kConstant && is_alias_of_any(tensor, {recorded.constant});
    });
}

void TapeRecorder::forget_family(size_t family) {
    forget([&](const Recorded &recorded) {
        return recorded.kind == Kind::kTensor && cells_[recorded.place].family == family;
    });
}

at::Tensor TapeRecorder::lasting(const at::Tensor &tensor) const {
    if (!is_own(tensor))
        return tensor;
    count_bytes(tensor.nbytes());
    return tensor.clone();
}

// Into a tensor that was made while recording, and into nothing else.
bool TapeRecorder::writes_to_own(const Node *node) const {
    const Recorded *target = node->inputs().empty() ? nullptr : find(node->input(0));
    return works_in_place(node) && target != nullptr && is_own(*target) && !writes_elsewhere(node);
}

// ---- computing it ----

// Whether the node can be computed, and its inputs. What is made of weights has to be something of
// its own, which may be kept.
bool TapeRecorder::can_fold(const Node *node, std::vector<c10::IValue> &inputs) const {
    const c10::FunctionSchema *schema = node->maybeSchema();
    if (schema == nullptr || node->isNondeterministic() || node->hasSideEffects() ||
        !node->blocks().empty() || (schema->is_mutable() && !writes_to_own(node)))
        return false;
    bool of_weights = false;
    for (const Value *input : node->inputs()) {
        inputs.emplace_back();
        if (!read_known(input, inputs.back(), of_weights))
            return false;
    }
    return !of_weights ||
           (weight_copies_ != nullptr && (schema->is_mutable() || !returns_views(*schema)));
}

std::vector<at::Tensor> TapeRecorder::own_copies(std::vector<at::Tensor> tensors) {
    for (at::Tensor &tensor : tensors) {
        tensor = tensor.clone();
        own_.insert(tensor.storage().unsafeGetStorageImpl());
    }
    return tensors;
}

bool TapeRecorder::fold(const Node *node) {
    std::vector<c10::IValue> inputs;
    if (!can_fold(node, inputs))
        return false;
    torch::jit::Stack stack = inputs;
    if (node->schema().is_vararg()) // such want to be told
        stack.emplace_back(static_cast<int64_t>(inputs.size()));
    node->getOperation()(stack);
    if (gives_separate_parts(node) && stack.at(0).isTensorList()) {
        stack.at(0) = own_copies(stack.at(0).toTensorVector());
        if (is_own(*find(node->input(0))))
            forget_memory_of(inputs[0].toTensor());
    }
    for (const c10::IValue &result : stack) {
        if (!result.isTensor() || !result.toTensor().has_storage())
            continue;
        require(result.toTensor().nbytes() <= kLargestFolded);
        if (is_alias_of_any(result.toTensor(), inputs))
            continue;
        count_bytes(result.toTensor().nbytes());
        own_.insert(result.toTensor().storage().unsafeGetStorageImpl());
    }
    for (size_t i = 0; i < node->outputs().size(); ++i)
        put_recorded(node->output(i), Recorded::of(stack.at(i)));
    return true;
}

void TapeRecorder::put_own(const Node *node, const at::Tensor &made) {
    require(made.nbytes() <= kLargestFolded);
    count_bytes(made.nbytes());
    own_.insert(made.storage().unsafeGetStorageImpl());
    put_constant(node, made);
}

// Views of a weight are weights, for they show the same memory.
bool TapeRecorder::view_weight(const Node *node) {
    const c10::FunctionSchema *schema = node->maybeSchema();
    if (schema == nullptr || schema->is_mutable() || schema->returns().size() != 1 ||
        !returns_views(*schema) || node->inputs().empty())
        return false;
    const Recorded *weight = find(node->input(0));
    if (weight == nullptr || weight->kind != Kind::kWeight)
        return false;
    const at::Tensor whole = weight->constant.toTensor();
    torch::jit::Stack stack{whole};
    for (const Value *input : node->inputs().slice(1))
        stack.push_back(constant(input));
    node->getOperation()(stack);
    const auto as_view = [&](const at::Tensor &view) {
        require(view.is_alias_of(whole));
        Recorded recorded = Recorded::of(view);
        recorded.kind = Kind::kWeight;
        return recorded;
    };
    if (stack.at(0).isTensor()) {
        put_recorded(node->output(), as_view(stack[0].toTensor()));
        return true;
    }
    std::vector<Recorded> views;
    for (const at::Tensor &view : stack[0].toTensorVector())
        views.push_back(as_view(view));
    put_container(node, Kind::kSequence, std::move(views));
    return true;
}

} // namespace neurotap
