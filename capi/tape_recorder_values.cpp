// What the walk through a program knows of its values, and how rules put steps on the tape.
#include "tape_recorder.hpp"

#include <algorithm>

namespace neurotap {

using torch::jit::Node;
using torch::jit::Value;
using Kind = Recorded::Kind;

namespace {

constexpr size_t kMostSteps = 100000;
constexpr size_t kMostItems = 1000000;

constexpr int64_t kLongest = int64_t{1} << 40;     // dimension under a window
constexpr int64_t kLargestStep = int64_t{1} << 31; // of a window

} // namespace

int64_t product_of(int64_t a, int64_t b) {
    int64_t product = 0;
    require(!__builtin_mul_overflow(a, b, &product));
    return product;
}

SlidingWindow checked(const SlidingWindow &window) {
    const auto is_step = [](int64_t step) { return step > 0 && step <= kLargestStep; };
    require(is_step(window.kernel) && is_step(window.stride) && is_step(window.dilation));
    require(window.before >= -kLargestStep && window.before <= kLargestStep);
    require(window.input <= kLongest);
    return window;
}

bool works_in_place(const Node *node) {
    const std::string name = node->kind().toUnqualString();
    return name.size() > 1 && name.back() == '_' && name[name.size() - 2] != '_';
}

Recorded Recorded::of(const c10::IValue &constant) {
    Recorded recorded;
    recorded.kind = Kind::kConstant;
    recorded.constant = constant;
    return recorded;
}

// ---- what is known ----

const Recorded &TapeRecorder::at(const Value *value) const {
    const Recorded *found = find(value);
    require(found != nullptr);
    return *found;
}

const Recorded *TapeRecorder::find(const Value *value) const {
    const auto found = known_.find(value);
    return found == known_.end() ? nullptr : &found->second;
}

bool TapeRecorder::is_tensor(const Value *value) const { return at(value).kind == Kind::kTensor; }

size_t TapeRecorder::tensor(const Value *value) const {
    if (!is_tensor(value))
        throw NotRecordable();
    return cells_[at(value).place].value;
}

namespace {

// A list of numbers that was put together, as a constant; undefined (None) if it is none.
template <typename T, typename Read>
c10::IValue list_of(const std::vector<Recorded> &items, bool (c10::IValue::*is)() const,
                    const Read &read) {
    c10::List<T> list;
    for (const Recorded &item : items) {
        if (item.kind != Kind::kConstant || !(item.constant.*is)())
            return {};
        list.push_back(read(item.constant));
    }
    return list;
}

c10::IValue list_of_numbers(const std::vector<Recorded> &items) {
    auto ints = list_of<int64_t>(items, &c10::IValue::isInt,
                                 [](const c10::IValue &item) { return item.toInt(); });
    return !ints.isNone()
               ? ints
               : list_of<double>(items, &c10::IValue::isDouble,
                                 [](const c10::IValue &item) { return item.toDouble(); });
}

} // namespace

c10::IValue TapeRecorder::constant(const Value *value) const {
    const Recorded &recorded = at(value);
    if (recorded.kind == Kind::kConstant)
        return recorded.constant;
    if (recorded.kind != Kind::kSequence || value->type()->kind() != c10::TypeKind::ListType ||
        recorded.items->empty())
        throw NotRecordable();
    c10::IValue list = list_of_numbers(*recorded.items);
    if (list.isNone())
        throw NotRecordable();
    return list;
}

std::vector<int64_t> TapeRecorder::ints(const Value *value, size_t count) const {
    const c10::IValue list = constant(value);
    auto numbers = list.isInt() ? std::vector<int64_t>{list.toInt()} : list.toIntVector();
    if (numbers.size() == 1)
        numbers.resize(count, numbers[0]);
    if (numbers.size() != count)
        throw NotRecordable();
    return numbers;
}

namespace {

// Not sparse, and not one of those that have only a shape.
bool has_elements(const at::Tensor &tensor) {
    return tensor.layout() == at::kStrided && (tensor.is_cpu() || tensor.is_cuda());
}

} // namespace

at::Tensor TapeRecorder::weight(const Value *value) const {
    const Recorded &recorded = at(value);
    const bool known = recorded.kind == Kind::kWeight || recorded.kind == Kind::kConstant;
    if (!known || !recorded.constant.isTensor())
        throw NotRecordable();
    const at::Tensor tensor = recorded.constant.toTensor();
    require(tensor.defined() && tensor.scalar_type() == dtype_ && has_elements(tensor));
    return tensor.detach();
}

MaybeTensor TapeRecorder::maybe_weight(const Value *value) const {
    const Recorded &recorded = at(value);
    if (recorded.kind == Kind::kConstant && recorded.constant.isNone())
        return c10::nullopt;
    return weight(value);
}

MaybeTensor TapeRecorder::bias(const Value *value, int64_t size) const {
    MaybeTensor bias = maybe_weight(value);
    require(!bias || (bias->dim() == 1 && bias->numel() == size));
    return bias;
}

std::vector<size_t> TapeRecorder::tensors(const Value *value) const {
    const Recorded &recorded = at(value);
    if (recorded.kind != Kind::kSequence)
        throw NotRecordable();
    std::vector<size_t> all;
    for (const Recorded &item : *recorded.items) {
        if (item.kind != Kind::kTensor)
            throw NotRecordable();
        all.push_back(cells_[item.place].value);
    }
    return all;
}

// ---- putting steps on the tape ----

size_t TapeRecorder::add_value(const Sizes &sizes) {
    require(sizes.size() >= 2);
    int64_t elements = 1;
    for (const int64_t size : sizes)
        require(size > 0 && !__builtin_mul_overflow(elements, size, &elements));
    tape_->values.push_back(sizes);
    return tape_->values.size() - 1;
}

size_t TapeRecorder::add_step(TapeOperatorPtr op, const std::vector<size_t> &operands,
                              const Sizes &result) {
    require(tape_->steps.size() < kMostSteps);
    const size_t value = add_value(result);
    tape_->steps.push_back(TapeStep{std::move(op), operands, value});
    return value;
}

Recorded TapeRecorder::add_cell(size_t value, size_t family) {
    if (family == family_sizes_.size())
        family_sizes_.push_back(0);
    ++family_sizes_[family];
    cells_.push_back(Cell{value, family});
    Recorded recorded;
    recorded.kind = Kind::kTensor;
    recorded.place = cells_.size() - 1;
    return recorded;
}

// What other tensors may be views of is not followed when it is written to.
void TapeRecorder::write(const Value *target, size_t value) {
    Cell &cell = cells_[at(target).place];
    if (family_sizes_[cell.family] > 1 || tape_->values[cell.value] != tape_->values[value])
        throw NotRecordable();
    cell.value = value;
}

void TapeRecorder::put(const Node *node, TapeOperatorPtr op, const std::vector<size_t> &operands,
                       const Sizes &result) {
    const size_t value = add_step(std::move(op), operands, result);
    if (!works_in_place(node)) {
        known_[node->output()] = add_cell(value, family_sizes_.size());
        return;
    }
    if (!is_tensor(node->input(0)))
        throw NotRecordable();
    write(node->input(0), value);
    put_same(node, node->input(0));
}

void TapeRecorder::put_same(const Node *node, const Value *operand) {
    const Recorded recorded = at(operand);
    known_[node->output()] = recorded;
}

void TapeRecorder::put_copy(const Node *node, const Value *operand) {
    known_[node->output()] = add_cell(tensor(operand), family_sizes_.size());
}

void TapeRecorder::put_view(const Node *node, const Value *operand, size_t value) {
    known_[node->output()] = add_cell(value, cells_[at(operand).place].family);
}

void TapeRecorder::put_views(const Node *node, const Value *operand,
                             const std::vector<size_t> &values) {
    const size_t family = cells_[at(operand).place].family;
    std::vector<Recorded> views;
    for (const size_t value : values)
        views.push_back(add_cell(value, family));
    put_container(node, Kind::kSequence, std::move(views));
}

void TapeRecorder::put_constant(const Node *node, const c10::IValue &constant) {
    put_recorded(node->output(), Recorded::of(constant));
}

void TapeRecorder::put_recorded(const Value *output, const Recorded &recorded) {
    known_[output] = recorded;
}

void TapeRecorder::put_container(const Node *node, Kind kind, std::vector<Recorded> items) {
    put_recorded(node->output(), make_container(kind, std::move(items)));
}

void TapeRecorder::count_items(size_t items) {
    n_items_ += items;
    require(n_items_ <= kMostItems);
}

Recorded TapeRecorder::make_container(Kind kind, std::vector<Recorded> items) {
    count_items(items.size());
    Recorded recorded;
    recorded.kind = kind;
    recorded.items = std::make_shared<std::vector<Recorded>>(std::move(items));
    containers_.push_back(recorded.items);
    return recorded;
}

} // namespace neurotap
