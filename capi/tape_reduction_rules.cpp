// The rules for operators that work along whole dimensions: sums, averages, maxima, norms, what is
// chosen or put in order.
#include "tape_recorder.hpp"

#include <algorithm>
#include <numeric>

namespace neurotap {
namespace {

using torch::jit::Node;
using torch::jit::Value;

// ---- sums and averages ----

// In their order, each once.
std::vector<size_t> sorted_dims(const TapeRecorder &r, const Value *value, size_t ndim) {
    std::vector<size_t> dims = dims_of(r, value, ndim);
    std::sort(dims.begin(), dims.end());
    require(!dims.empty() && std::adjacent_find(dims.begin(), dims.end()) == dims.end());
    return dims;
}

Layout without(Layout layout, const std::vector<size_t> &dims) {
    for (auto dim = dims.rbegin(); dim != dims.rend(); ++dim) {
        layout.sizes.erase(layout.sizes.begin() + static_cast<std::ptrdiff_t>(*dim));
        layout.dim -= *dim < layout.dim ? 1 : 0;
    }
    return layout;
}

// input, dim, keepdim, dtype
void reduce(TapeRecorder &r, const Node *node, bool averages) {
    const Seen operand = r.seen(node->input(0));
    require(node->inputs().size() == 4 && r.constant(node->input(3)).isNone());
    const auto dims = sorted_dims(r, node->input(1), operand.layout.sizes.size());
    Layout result = operand.layout;
    std::vector<int64_t> on_tape;
    for (const size_t dim : dims) {
        on_tape.push_back(static_cast<int64_t>(operand.layout.dim_on_tape(dim)));
        result.sizes[dim] = 1;
    }
    const Seen reduced = r.add_step(make_reduction(operand.layout.on_tape(), on_tape, averages),
                                    {operand.value}, result);
    const bool keeps = r.constant(node->input(2)).toBool();
    r.put_new(node->output(), keeps ? reduced : r.see(reduced, without(result, dims)));
}

void mean(TapeRecorder &r, const Node *node) { reduce(r, node, true); }
void sum(TapeRecorder &r, const Node *node) { reduce(r, node, false); }

// ---- whatever libtorch computes along dimensions ----

constexpr int64_t kMostRepeats = int64_t{1} << 20;

// An operator that treats all places of the other dimensions separately, and by which arguments it
// is told along which it works and whether they stay, with one place each.
struct AlongDims {
    const char *name;
    size_t dims;
    size_t keeps; // 0 if they always stay
};

// Not median and kthvalue, which are wrong where elements share memory (libtorch 1.13): on a tape
// others do than in the program.
constexpr AlongDims kAlong[] = {
    {"aten::amax", 1, 2},         {"aten::amin", 1, 2},
    {"aten::max", 1, 2},          {"aten::min", 1, 2},
    {"aten::topk", 2, 0},         {"aten::sort", 1, 0},
    {"aten::cummax", 1, 0},       {"aten::cummin", 1, 0},
    {"aten::cumsum", 1, 0},       {"aten::cumprod", 1, 0},
    {"aten::logsumexp", 1, 2},    {"aten::logcumsumexp", 1, 0},
    {"aten::prod", 1, 2},         {"aten::norm", 2, 3},
    {"aten::std", 1, 3},          {"aten::var", 1, 3},
    {"aten::flip", 1, 0},         {"aten::linalg_vector_norm", 2, 3},
    {"aten::index_select", 1, 0}, {"aten::frobenius_norm", 1, 2},
};

// The operator with its arguments; those that are tensors are the model's own, whatever they are by
// then.
struct Call {
    mutable torch::jit::Operation operation; // it has no constant call
    torch::jit::Stack arguments;             // the first is to come

    at::Tensor operator()(const at::Tensor &operand) const {
        torch::jit::Stack stack = arguments;
        stack[0] = operand;
        operation(stack);
        return stack.at(0).toTensor();
    }
};

c10::IValue argument(const TapeRecorder &r, const Value *value) {
    const Recorded *recorded = r.find(value);
    if (recorded != nullptr && recorded->is_known() && recorded->constant.isTensor())
        return r.lasting(recorded->constant.toTensor());
    return r.constant(value);
}

Call call_of(const TapeRecorder &r, const Node *node) {
    Call call{node->getOperation(), {c10::IValue()}};
    for (const Value *input : node->inputs().slice(1))
        call.arguments.push_back(argument(r, input));
    return call;
}

// The sizes that it makes of these along the dimensions, which do not depend on the others.
Sizes sizes_after(const TapeRecorder &r, const Call &call, const Sizes &operand,
                  const std::vector<int64_t> &dims) {
    Sizes sizes(operand.size(), 1);
    for (const int64_t dim : dims)
        sizes[static_cast<size_t>(dim)] = operand[static_cast<size_t>(dim)];
    const auto options = at::TensorOptions(r.device()).dtype(r.dtype());
    const at::Tensor result = call(at::zeros(sizes, options));
    require(result.scalar_type() == r.dtype() &&
            result.dim() == static_cast<int64_t>(sizes.size()));
    Sizes after = operand;
    for (const int64_t dim : dims)
        after[static_cast<size_t>(dim)] = result.size(dim);
    return after;
}

// Along dimensions of what the program sees, which stay.
Seen add_along(TapeRecorder &r, const Seen &operand, const std::vector<size_t> &dims, Call call,
               c10::optional<size_t> dims_argument) {
    std::vector<int64_t> on_tape;
    for (const size_t dim : dims)
        on_tape.push_back(static_cast<int64_t>(operand.layout.dim_on_tape(dim)));
    if (dims_argument) {
        c10::IValue &given = call.arguments.at(*dims_argument);
        given = given.isInt() ? c10::IValue(on_tape.at(0)) : c10::IValue(on_tape);
    }
    const Sizes sizes = operand.layout.on_tape();
    const Sizes after = sizes_after(r, call, sizes, on_tape);
    Layout result = operand.layout;
    for (size_t i = 0; i < dims.size(); ++i)
        result.sizes[dims[i]] = after[static_cast<size_t>(on_tape[i])];
    return r.add_step(make_along(sizes, after, on_tape, call), {operand.value}, result);
}

void put_along(TapeRecorder &r, const Node *node, const AlongDims &how) {
    Seen operand = r.seen(node->input(0));
    const auto dims = sorted_dims(r, node->input(how.dims), operand.layout.sizes.size());
    operand = r.see_with_examples_beside(operand, dims[0]);
    Call call = call_of(r, node);
    const bool stay = how.keeps == 0 || call.arguments[how.keeps].toBool();
    if (how.keeps != 0)
        call.arguments[how.keeps] = true;
    const Seen result = add_along(r, operand, dims, call, how.dims);
    r.put_new(node->output(0), stay ? result : r.see(result, without(result.layout, dims)));
}

// Along the last two dimensions.
void put_triangle(TapeRecorder &r, const Node *node) {
    const Seen operand = r.seen(node->input(0));
    const size_t n = operand.layout.sizes.size();
    require(n >= 3);
    r.put_new(node->output(),
              add_along(r, operand, {n - 2, n - 1}, call_of(r, node), c10::nullopt));
}

// Many rows are multiplied instead of subtracted, which is less exact. A tape has other numbers of
// rows than the program.
constexpr int64_t kFewRows = 25;
enum : int64_t { kByNumber = 0, kMultiplied = 1, kSubtracted = 2 };

int64_t mode_of_distances(const c10::IValue &given, int64_t rows, int64_t others) {
    if (!given.isNone() && given.toInt() != kByNumber)
        return given.toInt();
    return rows > kFewRows || others > kFewRows ? kMultiplied : kSubtracted;
}

// input, others, p, compute_mode: how far each row is from each of the others
void put_distances(TapeRecorder &r, const Node *node) {
    Seen operand = r.seen(node->input(0));
    const size_t last = operand.layout.sizes.size() - 1;
    operand = r.see_with_examples_beside(operand, last);
    const at::Tensor others = r.weight(node->input(1));
    require(others.dim() == 2 && last > 0);
    Call call = call_of(r, node);
    call.arguments.at(3) =
        mode_of_distances(call.arguments.at(3), operand.layout.sizes[last - 1], others.size(0));
    r.put_new(node->output(), add_along(r, operand, {last}, call, c10::nullopt));
}

// input, repeats
void put_repeated(TapeRecorder &r, const Node *node) {
    const Seen operand = r.seen(node->input(0));
    const auto repeats = r.constant(node->input(1)).toIntVector();
    const Layout &layout = operand.layout;
    require(repeats.size() == layout.sizes.size() && repeats[layout.dim] == 1);
    Call call = call_of(r, node);
    std::vector<int64_t> on_tape(layout.on_tape().size(), 1);
    std::vector<size_t> dims;
    for (size_t dim = 0; dim < repeats.size(); ++dim)
        if (repeats[dim] != 1) {
            require(repeats[dim] > 0 && repeats[dim] <= kMostRepeats);
            on_tape[layout.dim_on_tape(dim)] = repeats[dim];
            dims.push_back(dim);
        }
    call.arguments[1] = on_tape;
    r.put_new(node->output(), add_along(r, operand, dims, call, c10::nullopt));
}

// ---- places that a tensor names ----

// The dimension of which an index chooses places; it is the only one.
size_t chosen_dim(const TapeRecorder &r, const Node *node, at::Tensor &index) {
    const std::vector<Recorded> &items = r.items(node->input(1));
    size_t chosen = items.size();
    for (size_t dim = 0; dim < items.size(); ++dim) {
        const c10::IValue &item = items[dim].constant;
        require(items[dim].is_known() &&
                (item.isNone() || (item.isTensor() && chosen == items.size())));
        if (item.isNone())
            continue;
        chosen = dim;
        index = r.lasting(item.toTensor());
    }
    require(chosen < items.size() && index.scalar_type() == at::kLong && index.dim() > 0);
    return chosen;
}

// input, a list with one index
void put_indexed(TapeRecorder &r, const Node *node) {
    at::Tensor index;
    const size_t dim = chosen_dim(r, node, index);
    const Seen operand = r.see_with_examples_beside(r.seen(node->input(0)), dim);
    c10::List<c10::optional<at::Tensor>> places;
    for (size_t i = 0; i < operand.layout.dim_on_tape(dim); ++i)
        places.push_back(c10::nullopt);
    require(index.is_contiguous());
    places.push_back(index.view({-1}));
    const Call call{node->getOperation(), {c10::IValue(), places}};
    const Seen chosen = add_along(r, operand, {dim}, call, c10::nullopt);
    Layout layout = chosen.layout;
    const auto place = layout.sizes.begin() + static_cast<std::ptrdiff_t>(dim);
    const auto before = layout.sizes.erase(place);
    layout.sizes.insert(before, index.sizes().begin(), index.sizes().end());
    layout.dim += dim < layout.dim ? static_cast<size_t>(index.dim()) - 1 : 0;
    r.put_new(node->output(), r.see(chosen, layout));
}

// ---- positions ----

// input, output_size
void adaptive_max_pool(TapeRecorder &r, const Node *node) {
    const Sizes operand = r.sizes(node->input(0));
    require(operand.size() >= 3);
    const auto size = r.ints(node->input(1), operand.size() - 2);
    Sizes result{operand[0], operand[1]};
    result.insert(result.end(), size.begin(), size.end());
    std::vector<int64_t> dims(size.size());
    std::iota(dims.begin(), dims.end(), 2);
    const Seen rows = r.add_rows(make_along(operand, result, dims, call_of(r, node)),
                                 r.seen(node->input(0)), result);
    r.put_new(node->output(0), rows);
}

constexpr TapeRule kRules[] = {
    {"aten::mean", mean},
    {"aten::sum", sum},
    {"aten::tril", put_triangle},
    {"aten::triu", put_triangle},
    {"aten::cdist", put_distances},
    {"aten::repeat", put_repeated},
    {"aten::index", put_indexed},
    {"aten::adaptive_max_pool1d", adaptive_max_pool},
    {"aten::adaptive_max_pool2d", adaptive_max_pool},
    {"aten::adaptive_max_pool3d", adaptive_max_pool},
};

} // namespace

bool apply_along_rule(TapeRecorder &recorder, const Node *node) {
    const std::string name = node->kind().toQualString();
    const auto *how = std::find_if(std::begin(kAlong), std::end(kAlong),
                                   [&](const AlongDims &known) { return name == known.name; });
    if (how == std::end(kAlong) || node->inputs().size() <= std::max(how->dims, how->keeps))
        return false; // max() and min() of two tensors, or of all elements
    put_along(recorder, node, *how);
    return true;
}

TapeRules reduction_rules() { return kRules; }

} // namespace neurotap
