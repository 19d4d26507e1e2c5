#include "tape_recorder.hpp"

#include "site_operators.hpp"

#include <algorithm>

namespace neurotap {

using torch::jit::Block;
using torch::jit::Node;
using torch::jit::Value;
namespace attr = torch::jit::attr;
namespace aten = torch::jit::aten;
namespace prim = torch::jit::prim;
using Kind = Recorded::Kind;

namespace {

// Loops are walked round by round.
constexpr size_t kMostVisits = 100000;

std::vector<Recorded> items_of(c10::ArrayRef<c10::IValue> constants) {
    std::vector<Recorded> items;
    for (const c10::IValue &item : constants)
        items.push_back(Recorded::of(item));
    return items;
}

} // namespace

// ---- walking ----

void TapeRecorder::walk(const Block *block) {
    for (const Node *node : block->nodes())
        visit(node);
}

void TapeRecorder::visit(const Node *node) {
    if (++n_visited_ > kMostVisits)
        throw NotRecordable();
    if (visit_site(node) || visit_control(node) || visit_structure(node) || fold(node) ||
        view_weight(node) || apply_rule(*this, node))
        return;
    // Who uses what it gives will find nothing there.
    if (node->hasSideEffects() || node->kind() == prim::SetAttr ||
        (node->maybeSchema() != nullptr && node->maybeSchema()->is_mutable()) ||
        !node->blocks().empty())
        throw NotRecordable();
}

bool TapeRecorder::visit_site(const Node *node) {
    if (node->kind() == begin_symbol())
        return true;
    if (node->kind() == hand_symbol() || node->kind() == hand_copy_symbol()) {
        const auto found = known_.find(node->input(1));
        Recorded handed = found == known_.end() ? Recorded() : found->second;
        // What it is now, whatever is written to it later.
        if (handed.kind == Kind::kTensor)
            handed = add_cell(cells_[handed.place].value, family_sizes_.size());
        handed_.push_back(handed);
        return true;
    }
    if (node->kind() != reach_symbol())
        return false;
    record_call();
    return true;
}

// The value of a call must be, or hold, a single tensor.
void TapeRecorder::record_call() {
    std::vector<Recorded> open = std::move(handed_);
    handed_.clear();
    std::vector<size_t> found;
    size_t items = 0;
    while (!open.empty()) {
        const Recorded item = open.back();
        open.pop_back();
        if (++items > kMostVisits) // a list that contains itself has no end
            throw NotRecordable();
        if (item.kind == Kind::kSequence)
            open.insert(open.end(), item.items->begin(), item.items->end());
        else if (item.kind == Kind::kTensor)
            found.push_back(cells_[item.place].value);
        else if (item.kind != Kind::kConstant || item.constant.isTensor() ||
                 item.constant.isTensorList())
            throw NotRecordable();
    }
    if (found.size() != 1)
        throw NotRecordable();
    tape_->calls.push_back(found[0]);
}

bool TapeRecorder::visit_control(const Node *node) {
    if (node->kind() == prim::If)
        visit_branch(node);
    else if (node->kind() == prim::Loop)
        visit_loop(node);
    else if (node->kind() == prim::RaiseException)
        throw NotRecordable(); // the plain way says it
    else
        return false;
    return true;
}

void TapeRecorder::visit_branch(const Node *node) {
    const bool taken = constant(node->input()).toBool();
    const Block *block = node->blocks().at(taken ? 0 : 1);
    walk(block);
    for (size_t i = 0; i < node->outputs().size(); ++i)
        known_[node->output(i)] = at(block->outputs()[i]);
}

void TapeRecorder::visit_loop(const Node *node) {
    const int64_t rounds = constant(node->input(0)).toInt();
    bool goes_on = constant(node->input(1)).toBool();
    const Block *body = node->blocks().at(0);
    std::vector<Recorded> carried;
    for (const Value *value : node->inputs().slice(2))
        carried.push_back(at(value));
    for (int64_t round = 0; round < rounds && goes_on; ++round) {
        known_[body->inputs()[0]] = Recorded::of(round);
        for (size_t i = 0; i < carried.size(); ++i)
            known_[body->inputs()[i + 1]] = carried[i];
        walk(body);
        goes_on = constant(body->outputs()[0]).toBool();
        for (size_t i = 0; i < carried.size(); ++i)
            carried[i] = at(body->outputs()[i + 1]);
    }
    for (size_t i = 0; i < carried.size(); ++i)
        known_[node->output(i)] = carried[i];
}

bool TapeRecorder::visit_structure(const Node *node) {
    if (node->kind() == prim::Constant) {
        const auto value = torch::jit::toIValue(node->output());
        known_[node->output()] = value ? Recorded::of(*value) : Recorded();
    } else if (node->kind() == prim::GetAttr) {
        visit_attribute(node);
    } else if (node->kind() == prim::ListConstruct || node->kind() == prim::TupleConstruct) {
        visit_sequence(node);
    } else if (node->kind() == prim::TupleUnpack || node->kind() == prim::ListUnpack ||
               node->kind() == prim::TupleIndex || node->kind() == aten::append ||
               node->kind() == aten::__getitem__) {
        visit_item(node);
    } else if (node->kind() == prim::unchecked_cast) {
        put_same(node, node->input());
    } else {
        return false;
    }
    return true;
}

void TapeRecorder::visit_attribute(const Node *node) {
    const Recorded owner = at(node->input());
    if (owner.kind != Kind::kObject)
        throw NotRecordable();
    const auto object = owner.constant.toObject();
    const size_t slot = object->type()->getAttributeSlot(node->s(attr::name));
    const c10::IValue &value = object->getSlot(slot);
    Recorded recorded = Recorded::of(value);
    if (value.isObject()) {
        recorded.kind = Kind::kObject;
    } else if (value.isTensor() && value.toTensor().defined()) {
        const at::Tensor tensor = value.toTensor();
        recorded.kind = Kind::kWeight;
        tape_->weights.push_back(TapeWeight{object, slot, tensor,
                                            tensor.has_storage() ? tensor.data_ptr() : nullptr,
                                            tensor.is_inference() ? 0 : tensor._version()});
    } else if (value.isIntList()) {
        recorded.constant = value.deepcopy();
        tape_->assumptions.push_back(Assumption{object, slot, recorded.constant});
    } else {
        recorded = Recorded(); // it may change
    }
    known_[node->output()] = recorded;
}

// A list of numbers is a constant; lists and tuples of anything else are followed.
void TapeRecorder::visit_sequence(const Node *node) {
    Recorded recorded;
    recorded.kind = Kind::kSequence;
    recorded.items = std::make_shared<std::vector<Recorded>>();
    bool numbers = node->kind() == prim::ListConstruct;
    for (const Value *input : node->inputs()) {
        recorded.items->push_back(at(input));
        numbers = numbers && recorded.items->back().kind == Kind::kConstant &&
                  recorded.items->back().constant.isInt();
    }
    if (numbers && !node->inputs().empty()) {
        c10::List<int64_t> list;
        for (const Recorded &item : *recorded.items)
            list.push_back(item.constant.toInt());
        recorded = Recorded::of(list);
    }
    known_[node->output()] = recorded;
}

void TapeRecorder::visit_item(const Node *node) {
    const Recorded sequence = at(node->input(0));
    if (node->kind() == prim::ListUnpack && sequence.constant.isList())
        return unpack(node, items_of(sequence.constant.toListRef()));
    if (sequence.kind != Kind::kSequence) {
        if (node->kind() != aten::append && fold(node))
            return;
        throw NotRecordable();
    }
    auto &items = *sequence.items;
    if (node->kind() == aten::append) {
        items.push_back(at(node->input(1)));
        known_[node->output()] = sequence;
    } else if (node->outputs().size() != 1 || node->inputs().size() == 1) {
        unpack(node, items);
    } else {
        const int64_t index = constant(node->input(1)).toInt();
        const int64_t count = static_cast<int64_t>(items.size());
        if (index < -count || index >= count)
            throw NotRecordable();
        known_[node->output()] = items[static_cast<size_t>(index < 0 ? index + count : index)];
    }
}

void TapeRecorder::unpack(const Node *node, const std::vector<Recorded> &items) {
    if (items.size() != node->outputs().size())
        throw NotRecordable();
    for (size_t i = 0; i < items.size(); ++i)
        known_[node->output(i)] = items[i];
}

// What depends on constants alone is computed now.
bool TapeRecorder::fold(const Node *node) {
    const c10::FunctionSchema *schema = node->maybeSchema();
    if (schema == nullptr || schema->is_mutable() || node->isNondeterministic() ||
        node->hasSideEffects() || !node->blocks().empty())
        return false;
    torch::jit::Stack stack;
    for (const Value *input : node->inputs()) {
        const auto found = known_.find(input);
        if (found == known_.end() || found->second.kind != Kind::kConstant)
            return false;
        stack.push_back(found->second.constant);
    }
    node->getOperation()(stack);
    for (size_t i = 0; i < node->outputs().size(); ++i)
        known_[node->output(i)] = Recorded::of(stack.at(i));
    return true;
}

// A view of a weight is one, for it shows the same memory.
bool TapeRecorder::view_weight(const Node *node) {
    const c10::FunctionSchema *schema = node->maybeSchema();
    if (schema == nullptr || schema->is_mutable() || schema->returns().size() != 1 ||
        schema->returns()[0].alias_info() == nullptr || node->inputs().empty())
        return false;
    const auto weight = known_.find(node->input(0));
    if (weight == known_.end() || weight->second.kind != Kind::kWeight)
        return false;
    Recorded recorded = weight->second;
    torch::jit::Stack stack{recorded.constant};
    for (const Value *input : node->inputs().slice(1))
        stack.push_back(constant(input));
    node->getOperation()(stack);
    if (!stack.at(0).isTensor() || !stack[0].toTensor().is_alias_of(recorded.constant.toTensor()))
        throw NotRecordable();
    recorded.constant = stack[0];
    known_[node->output()] = recorded;
    return true;
}

// ---- the whole ----

TapeRecorder::TapeRecorder(const Program &program, const TapeCache::Key &inputs, bool keeps_weights)
    : dtype_(inputs.dtype), keeps_weights_(keeps_weights) {
    Recorded self = Recorded::of(program.self);
    self.kind = Kind::kObject;
    known_[program.graph->inputs().at(0)] = self;
    for (size_t i = 0; i < inputs.inputs.size(); ++i)
        known_[program.graph->inputs().at(1 + i)] = add_cell(add_value(inputs.inputs[i]), i);
    tape_->n_inputs = inputs.inputs.size();
    tape_->element_size = c10::elementSize(dtype_);
}

std::shared_ptr<const Tape> TapeRecorder::finish() {
    for (const size_t value : tape_->calls)
        tape_->costs.push_back(1 +
                               plan_part(*tape_, value, whole_region(tape_->values[value])).cost);
    return tape_->calls.empty() ? nullptr : tape_;
}

std::shared_ptr<const Tape> TapeRecorder::record(const Program &program,
                                                 const TapeCache::Key &inputs, bool keeps_weights) {
    const at::NoGradGuard no_grad;
    try {
        TapeRecorder recorder(program, inputs, keeps_weights);
        recorder.walk(program.graph->block());
        return recorder.finish();
    } catch (const NotRecordable &) {
        return nullptr;
    } catch (const c10::Error &) { // of an operator that was folded
        return nullptr;
    }
}

} // namespace neurotap
