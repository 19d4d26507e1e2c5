// What the walk through a program knows of its values, and how rules put steps on the tape.
#include "tape_recorder.hpp"

#include <ATen/MemoryOverlap.h>
#include <algorithm>

namespace neurotap {

using torch::jit::Node;
using torch::jit::Value;
using Kind = Recorded::Kind;

namespace {

constexpr size_t kMostSteps = 100000;
constexpr size_t kMostItems = 1000000;
constexpr size_t kMostBytes = size_t{512} << 20;    // of constants that are made
constexpr int64_t kMostElements = int64_t{1} << 40; // of a value, which need not be in memory

constexpr int64_t kLongest = int64_t{1} << 40;     // dimension under a window
constexpr int64_t kLargestStep = int64_t{1} << 31; // of a window

} // namespace

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

std::string name_of(const Node *node) {
    std::string name = node->kind().toQualString();
    if (works_in_place(node))
        name.pop_back();
    return name;
}

bool gives_separate_parts(const Node *node) {
    return std::string(node->kind().toUnqualString()).rfind("unsafe_", 0) == 0;
}

bool writes_elsewhere(const Node *node) {
    const c10::FunctionSchema *schema = node->maybeSchema();
    if (schema == nullptr)
        return false;
    const auto &arguments = schema->arguments();
    for (size_t i = works_in_place(node) ? 1 : 0; i < arguments.size(); ++i)
        if (arguments[i].alias_info() != nullptr && arguments[i].alias_info()->isWrite())
            return true;
    return false;
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

Seen TapeRecorder::seen(const Recorded &tensor) const {
    require(tensor.kind == Kind::kTensor && !cells_[tensor.place].seen.is_mask);
    return cells_[tensor.place].seen;
}

Seen TapeRecorder::seen_or_mask(const Value *value) const {
    require(is_tensor(value));
    return cells_[at(value).place].seen;
}

Seen TapeRecorder::seen(const Value *value) const { return seen(at(value)); }

const Sizes &TapeRecorder::sizes(const Value *value) const {
    require(is_tensor(value));
    const Seen &seen = cells_[at(value).place].seen;
    require(!seen.is_mask && (seen.layout.dim == 0 || seen.layout.examples() == 1));
    require(seen.layout.sizes.size() >= 2); // a row has channels
    return seen.layout.sizes;
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
    if (!ints.isNone())
        return ints;
    auto bools = list_of<bool>(items, &c10::IValue::isBool,
                               [](const c10::IValue &item) { return item.toBool(); });
    if (!bools.isNone())
        return bools;
    return list_of<double>(items, &c10::IValue::isDouble,
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

at::Tensor TapeRecorder::weight(const Recorded &recorded) const {
    require(recorded.is_known() && recorded.constant.isTensor());
    const at::Tensor tensor = recorded.constant.toTensor();
    require(tensor.defined() && tensor.scalar_type() == dtype_ && has_elements(tensor));
    return lasting(tensor.detach());
}

at::Tensor TapeRecorder::mask(const Value *value) const {
    const Recorded &recorded = at(value);
    require(recorded.is_known());
    const at::Tensor tensor = recorded.constant.toTensor();
    require(tensor.scalar_type() == at::kBool && has_elements(tensor));
    return lasting(tensor);
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

namespace {

size_t from_front(int64_t dim, size_t ndim) {
    const auto n = static_cast<int64_t>(ndim);
    require(dim >= -n && dim < n);
    return static_cast<size_t>(dim < 0 ? dim + n : dim);
}

} // namespace

size_t dim_of(const TapeRecorder &recorder, const Value *value, size_t ndim) {
    return from_front(recorder.constant(value).toInt(), ndim);
}

std::vector<size_t> dims_of(const TapeRecorder &recorder, const Value *value, size_t ndim) {
    std::vector<size_t> dims;
    const c10::IValue given = recorder.constant(value);
    for (const int64_t dim : given.isInt() ? Sizes{given.toInt()} : given.toIntVector())
        dims.push_back(from_front(dim, ndim));
    return dims;
}

std::vector<Recorded> TapeRecorder::items(const Value *value) const {
    const Recorded &list = at(value);
    if (list.kind == Kind::kSequence)
        return *list.items;
    require(list.kind == Kind::kConstant && list.constant.isList());
    std::vector<Recorded> items;
    for (const c10::IValue &item : list.constant.toListRef())
        items.push_back(Recorded::of(item));
    return items;
}

// ---- putting steps on the tape ----

size_t TapeRecorder::add_value(const Sizes &sizes, bool differentiable) {
    require(sizes.size() >= 2);
    int64_t elements = 1;
    for (const int64_t size : sizes)
        require(size > 0 && !__builtin_mul_overflow(elements, size, &elements));
    require(elements <= kMostElements); // what is counted of them must not overflow
    tape_->values.push_back(sizes);
    tape_->differentiable.push_back(differentiable);
    return tape_->values.size() - 1;
}

Seen TapeRecorder::add_step(TapeOperatorPtr op, const std::vector<size_t> &operands,
                            const Layout &result) {
    require(tape_->steps.size() < kMostSteps);
    const bool differentiable =
        op->has_gradient() && std::any_of(operands.begin(), operands.end(), [&](size_t operand) {
            return tape_->differentiable[operand];
        });
    const size_t value = add_value(result.on_tape(), differentiable);
    tape_->steps.push_back(TapeStep{std::move(op), operands, value});
    return {value, result};
}

Seen TapeRecorder::see(const Seen &seen, const Layout &layout) {
    const Sizes from = seen.layout.on_tape();
    const Sizes to = layout.on_tape();
    return from == to ? Seen{seen.value, layout}
                      : add_step(make_reshape(from, to), {seen.value}, layout);
}

Seen TapeRecorder::see_with_examples_in(const Seen &seen, size_t dim) {
    const Layout &layout = seen.layout;
    if (layout.dim == dim)
        return seen;
    require(layout.examples() == 1);
    return see(seen, Layout{layout.sizes, dim, 1, layout.sizes[dim]});
}

Seen TapeRecorder::see_with_examples_beside(const Seen &seen, size_t dim) {
    const Layout &layout = seen.layout;
    if (layout.dim != dim)
        return seen;
    require(layout.sizes.size() > 1);
    size_t other = dim == 0 ? 1 : 0;
    for (size_t i = 0; i < layout.sizes.size(); ++i)
        if (i != dim && layout.sizes[i] == 1)
            other = i;
    return see_with_examples_in(seen, other);
}

Recorded TapeRecorder::add_cell(const Seen &seen, size_t family) {
    if (family == family_sizes_.size())
        family_sizes_.push_back(0);
    ++family_sizes_[family];
    cells_.push_back(Cell{seen, family});
    Recorded recorded;
    recorded.kind = Kind::kTensor;
    recorded.place = cells_.size() - 1;
    return recorded;
}

// What other tensors may be views of is not followed when it is written to.
void TapeRecorder::write(const Value *target, const Seen &seen) {
    Cell &cell = cells_[at(target).place];
    require(family_sizes_[cell.family] == 1 && cell.seen.layout == seen.layout &&
            cell.seen.is_mask == seen.is_mask);
    cell.seen = seen;
}

void TapeRecorder::put(const Node *node, TapeOperatorPtr op, const std::vector<size_t> &operands,
                       const Layout &result) {
    put_made(node, add_step(std::move(op), operands, result));
}

void TapeRecorder::put_made(const Node *node, const Seen &made) {
    if (!works_in_place(node))
        return put_new(node->output(), made);
    const Value *target = node->input(0);
    if (is_own(at(target))) { // a constant becomes a value
        const at::Tensor constant = at(target).constant.toTensor();
        require(constant.sizes() == made.layout.sizes &&
                at::has_internal_overlap(constant) != at::MemOverlap::Yes);
        forget_memory_of(constant);
        put_new(target, made);
    } else {
        require(is_tensor(target));
        write(target, made);
    }
    put_same(node, target);
}

Seen TapeRecorder::add_rows(TapeOperatorPtr op, const Seen &operand, const Sizes &result) {
    const Seen rows = see_with_examples_in(operand, 0);
    const Layout layout{result, 0, rows.layout.before, rows.layout.after};
    require(result[0] == rows.layout.sizes[0]);
    if (const size_t n_parts = rows.layout.n_parts())
        op = make_folded(std::move(op), n_parts, rows.layout.on_tape(), layout.on_tape());
    return add_step(std::move(op), {rows.value}, layout);
}

void TapeRecorder::put_rows(const Node *node, TapeOperatorPtr op, const Sizes &result) {
    put_made(node, add_rows(std::move(op), seen(node->input(0)), result));
}

void TapeRecorder::put_new(const Value *output, const Seen &result) {
    known_[output] = add_cell(result, family_sizes_.size());
}

void TapeRecorder::put_same(const Node *node, const Value *operand) {
    const Recorded recorded = at(operand);
    known_[node->output()] = recorded;
}

void TapeRecorder::put_copy(const Node *node, const Value *operand) {
    put_new(node->output(), seen(operand));
}

void TapeRecorder::put_view(const Node *node, const Value *operand, const Seen &view) {
    Seen same_kind = view;
    same_kind.is_mask = cells_[at(operand).place].seen.is_mask;
    known_[node->output()] = add_cell(same_kind, cells_[at(operand).place].family);
}

void TapeRecorder::put_views(const Node *node, const Value *operand,
                             const std::vector<Seen> &views) {
    const Cell of = cells_[at(operand).place];
    std::vector<Recorded> cells;
    for (Seen view : views) {
        view.is_mask = of.seen.is_mask;
        cells.push_back(add_cell(view, of.family));
    }
    put_container(node, Kind::kSequence, std::move(cells));
}

void TapeRecorder::put_separate(const Node *node, const std::vector<Seen> &values) {
    std::vector<Recorded> cells;
    for (const Seen &value : values)
        cells.push_back(add_cell(value, family_sizes_.size()));
    forget_family(cells_[at(node->input(0)).place].family);
    put_container(node, Kind::kSequence, std::move(cells));
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

void TapeRecorder::count_bytes(size_t bytes) const {
    require(bytes <= kMostBytes && n_bytes_ + bytes <= kMostBytes);
    n_bytes_ += bytes;
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
