#include "tape_recorder.hpp"

#include "module_values.hpp"
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

bool is_plain(const c10::IValue &value) {
    return value.isScalar() || value.isString() || value.isNone();
}

// Of values that can be compared.
bool is_plain_container(const c10::IValue &value) {
    if (value.isTuple()) {
        const auto &elements = value.toTupleRef().elements();
        return std::all_of(elements.begin(), elements.end(), is_plain);
    }
    return value.isIntList() || value.isDoubleList() || value.isBoolList() ||
           (value.isGenericDict() &&
            value.toGenericDict().valueType()->kind() == c10::TypeKind::StringType);
}

bool is_about_mode(const Node *node, const char *question) {
    return node->inputs().empty() && node->kind() == c10::Symbol::fromQualString(question);
}

bool is_weight(const c10::IValue &value) {
    return value.isTensor() && value.toTensor().defined() &&
           value.toTensor().layout() == at::kStrided;
}

} // namespace

// ---- walking ----

void TapeRecorder::walk(const Block *block) {
    for (const Node *node : block->nodes())
        visit(node);
}

void TapeRecorder::count_visit() { require(++n_visited_ <= kMostVisits); }

void TapeRecorder::visit(const Node *node) {
    count_visit();
    for (const Value *output : node->outputs()) // of a loop's round before
        known_.erase(output);
    if (visit_site(node) || visit_control(node) || visit_structure(node) || fold(node) ||
        view_weight(node))
        return;
    require(!writes_elsewhere(node));
    if (apply_rule(*this, node))
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
        const Recorded *found = find(node->input(1));
        Recorded handed = found == nullptr ? Recorded() : *found;
        // What it is now, whatever is written to it later.
        if (handed.kind == Kind::kTensor)
            handed = add_cell(cells_[handed.place].seen, family_sizes_.size());
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
    std::vector<Seen> found;
    size_t items = 0;
    while (!open.empty()) {
        const Recorded item = open.back();
        open.pop_back();
        if (++items > kMostVisits) // a list that contains itself has no end
            throw NotRecordable();
        if (item.kind == Kind::kSequence || item.kind == Kind::kDictionary)
            open.insert(open.end(), item.items->begin(), item.items->end());
        else if (item.kind == Kind::kTensor)
            found.push_back(seen(item));
        else if (item.kind != Kind::kConstant || item.constant.isTensor() ||
                 item.constant.isTensorList())
            throw NotRecordable();
    }
    require(found.size() == 1);
    require(is_differentiable(found[0]));
    tape_->calls.push_back(see_by_example(found[0]).value);
}

// Where an example has several rows, a neuron is the sum of theirs.
Seen TapeRecorder::see_by_example(const Seen &seen) {
    Seen rows = see_with_examples_in(seen, 0);
    require(rows.layout.dim == 0);
    Sizes sizes = rows.layout.on_tape();
    std::vector<int64_t> parts;
    for (size_t dim = 1; dim <= rows.layout.n_parts(); ++dim)
        parts.push_back(static_cast<int64_t>(dim));
    if (parts.empty())
        return rows;
    TapeOperatorPtr sum = make_reduction(sizes, parts, /*averages=*/false);
    for (const int64_t dim : parts)
        sizes[static_cast<size_t>(dim)] = 1;
    const Seen summed = add_step(std::move(sum), {rows.value}, plain_layout(sizes));
    sizes.erase(sizes.begin() + 1, sizes.begin() + 1 + static_cast<std::ptrdiff_t>(parts.size()));
    return see(summed, plain_layout(sizes));
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
        count_visit();
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
    } else if (node->kind() == prim::unchecked_cast) {
        put_same(node, node->input());
    } else if (is_about_mode(node, "aten::is_grad_enabled")) {
        put_constant(node, true); // in an attribution, whatever it is here
    } else if (is_about_mode(node, "aten::is_autocast_enabled") ||
               is_about_mode(node, "aten::is_autocast_cpu_enabled")) {
        put_constant(node, false); // a tape's operators compute as they are
    } else {
        return apply_container_rule(*this, node);
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
        if (!is_module_type(value.type())) // modules are the program's own assumptions
            tape_->assumptions.push_back(Assumption{object, slot, value});
    } else if (is_weight(value)) {
        recorded = add_weight(object, slot, -1, value.toTensor());
    } else if (value.isTensorList()) {
        recorded = add_weights(object, slot, value.toTensorVector());
    } else if (is_plain_container(value)) {
        recorded.constant = value.deepcopy();
        tape_->assumptions.push_back(Assumption{object, slot, recorded.constant});
    } else {
        recorded = Recorded(); // it may change
    }
    known_[node->output()] = recorded;
}

Recorded TapeRecorder::add_weight(const c10::intrusive_ptr<c10::ivalue::Object> &owner, size_t slot,
                                  int64_t item, const at::Tensor &tensor) {
    tape_->weights.push_back(TapeWeight{owner, slot, item, tensor,
                                        tensor.has_storage() ? tensor.data_ptr() : nullptr,
                                        tensor.is_inference() ? 0 : tensor._version()});
    Recorded recorded = Recorded::of(tensor);
    recorded.kind = Kind::kWeight;
    return recorded;
}

// Recurrent layers have their weights in a list.
Recorded TapeRecorder::add_weights(const c10::intrusive_ptr<c10::ivalue::Object> &owner,
                                   size_t slot, const std::vector<at::Tensor> &tensors) {
    std::vector<Recorded> items;
    for (size_t i = 0; i < tensors.size(); ++i) {
        require(is_weight(tensors[i]));
        items.push_back(add_weight(owner, slot, static_cast<int64_t>(i), tensors[i]));
    }
    Recorded recorded = make_container(Kind::kSequence, std::move(items));
    recorded.is_attribute = true;
    return recorded;
}

// ---- the whole ----

TapeRecorder::TapeRecorder(const Program &program, const TapeCache::Key &inputs,
                           WeightCopies *copies)
    : dtype_(inputs.dtype), device_(inputs.device), weight_copies_(copies) {
    Recorded self = Recorded::of(program.self);
    self.kind = Kind::kObject;
    known_[program.graph->inputs().at(0)] = self;
    size_t place = 1;
    for (const Sizes &sizes : inputs.inputs)
        known_[program.graph->inputs().at(place++)] = add_input(sizes, false, true);
    for (const auto &argument : inputs.arguments)
        known_[program.graph->inputs().at(place++)] =
            argument.sizes.empty() ? Recorded::of(argument.constant)
                                   : add_input(argument.sizes, argument.is_mask, false);
    tape_->n_inputs = inputs.inputs.size();
    tape_->element_size = c10::elementSize(dtype_);
}

Recorded TapeRecorder::add_input(const Sizes &sizes, bool is_mask, bool differentiable) {
    return add_cell(Seen{add_value(sizes, differentiable), plain_layout(sizes), is_mask},
                    family_sizes_.size());
}

// A container that contains itself would keep itself.
TapeRecorder::~TapeRecorder() {
    for (const auto &items : containers_)
        items->clear();
}

std::shared_ptr<const Tape> TapeRecorder::finish() {
    for (const size_t value : tape_->calls)
        tape_->costs.push_back(1 +
                               plan_part(*tape_, value, whole_region(tape_->values[value])).cost);
    for (const TapeWeight &weight : tape_->weights)
        tape_->weight_bytes += weight.tensor.nbytes();
    return tape_->calls.empty() ? nullptr : tape_;
}

std::shared_ptr<const Tape>
TapeRecorder::record(const Program &program, const TapeCache::Key &inputs, WeightCopies *copies) {
    const at::NoGradGuard no_grad;
    try {
        TapeRecorder recorder(program, inputs, copies);
        recorder.walk(program.graph->block());
        return recorder.finish();
    } catch (const NotRecordable &) {
        return nullptr;
    } catch (const std::bad_alloc &) {
        throw;
    } catch (const std::exception &) { // of an operator that was folded
        return nullptr;
    }
}

} // namespace neurotap
