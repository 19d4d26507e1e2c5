// The rules for attention: products of values, softmax, masks; and for sums and averages.
#include "tape_recorder.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace neurotap {
namespace {

using torch::jit::Node;
using torch::jit::Value;

// ---- products of two values ----

// With the examples among the dimensions in front of the matrices.
Seen see_matrices(TapeRecorder &r, const Seen &seen) {
    const Layout &layout = seen.layout;
    require(layout.sizes.size() >= 3);
    return layout.dim + 2 < layout.sizes.size() ? seen : r.see_with_examples_in(seen, 0);
}

at::Tensor plus(const at::Tensor &x, const at::Tensor &constant) { return x.add(constant); }
at::Tensor times(const at::Tensor &x, const at::Tensor &constant) { return x.mul(constant); }
at::Tensor same(const at::Tensor &gradient, const at::Tensor & /*constant*/) { return gradient; }

// What it does to each element must not change the value's sizes.
Seen add_constant_operation(TapeRecorder &r, const Seen &seen, const ConstantOperation &operation) {
    const Sizes sizes = seen.layout.on_tape();
    return r.add_step(make_with_constant(sizes, sizes, operation), {seen.value}, seen.layout);
}

// A constant that leaves the value its sizes.
void require_fit(const at::Tensor &constant, const Layout &layout) {
    const Sizes sizes = sizes_beside(constant, layout);
    for (size_t dim = 0; dim < sizes.size(); ++dim)
        require(sizes[dim] == layout.sizes[dim] || sizes[dim] == 1);
}

// Plus what is the same for all examples.
Seen add_offset(TapeRecorder &r, const Seen &seen, const at::Tensor &offset) {
    require_fit(offset, seen.layout);
    return add_constant_operation(r, seen, {on_tape(offset, seen.layout), plus, same});
}

// offset, a, b, beta, alpha
void product_and_offset(TapeRecorder &r, const Node *node) {
    require(r.constant(node->input(3)).toScalar().equal(1) &&
            r.constant(node->input(4)).toScalar().equal(1));
    const Seen first = r.seen(node->input(1));
    require(first.layout.sizes.size() == 3);
    const Seen product = add_product(r, first, r.seen(node->input(2)));
    r.put_new(node->output(), add_offset(r, product, r.weight(node->input(0))));
}

// ---- softmax ----

Seen add_softmax(TapeRecorder &r, const Seen &operand, size_t dim, bool logarithmic) {
    const Seen seen = r.see_with_examples_beside(operand, dim);
    return r.add_step(
        make_softmax(seen.layout.on_tape(), seen.layout.dim_on_tape(dim), logarithmic),
        {seen.value}, seen.layout);
}

// input, dim, dtype
void put_softmax(TapeRecorder &r, const Node *node, bool logarithmic) {
    const Seen operand = r.seen(node->input(0));
    require(r.constant(node->input(2)).isNone() ||
            r.constant(node->input(2)).toInt() == static_cast<int64_t>(r.dtype()));
    const size_t dim = dim_of(r, node->input(1), operand.layout.sizes.size());
    r.put_new(node->output(), add_softmax(r, operand, dim, logarithmic));
}

void softmax(TapeRecorder &r, const Node *node) { put_softmax(r, node, false); }
void log_softmax(TapeRecorder &r, const Node *node) { put_softmax(r, node, true); }

// ---- masks ----

// input, mask, number
void fill_masked(TapeRecorder &r, const Node *node) {
    const Seen operand = r.seen(node->input(0));
    const at::Tensor mask = r.mask(node->input(1));
    const c10::IValue value = r.constant(node->input(2));
    require(value.isScalar() || (value.isTensor() && value.toTensor().dim() == 0));
    const at::Scalar number = value.isTensor() ? value.toTensor().item() : value.toScalar();
    require_fit(mask, operand.layout);
    const ConstantOperation operation{
        on_tape(mask, operand.layout),
        [number](const at::Tensor &x, const at::Tensor &m) { return x.masked_fill(m, number); },
        [](const at::Tensor &g, const at::Tensor &m) { return g.masked_fill(m, 0); }};
    const Sizes tape = operand.layout.on_tape();
    r.put(node, make_with_constant(tape, tape, operation), {operand.value}, operand.layout);
}

// ---- all of attention ----

Seen add_transposed(TapeRecorder &r, const Seen &seen) {
    std::vector<int64_t> order(seen.layout.sizes.size());
    std::iota(order.begin(), order.end(), 0);
    std::swap(order[order.size() - 1], order[order.size() - 2]);
    return add_permutation(r, seen, order);
}

// No row sees the columns behind its own.
at::Tensor causal_offset(const TapeRecorder &r, const Layout &scores) {
    const size_t n = scores.sizes.size();
    return at::full({scores.sizes[n - 2], scores.sizes[n - 1]},
                    -std::numeric_limits<double>::infinity(),
                    at::TensorOptions(r.device()).dtype(r.dtype()))
        .triu(1);
}

double scale_of(const TapeRecorder &r, const Node *node, int64_t features) {
    if (node->inputs().size() > 6 && !r.constant(node->input(6)).isNone())
        return r.constant(node->input(6)).toScalar().toDouble();
    return 1 / std::sqrt(static_cast<double>(features));
}

// query, key, value, attn_mask, dropout_p, is_causal, maybe scale, enable_gqa
void attention(TapeRecorder &r, const Node *node) {
    const Seen query = see_matrices(r, r.seen(node->input(0)));
    require(r.constant(node->input(4)).toScalar().toDouble() == 0);
    require(node->inputs().size() < 8 || !r.constant(node->input(7)).toBool());
    const double scale = scale_of(r, node, query.layout.sizes.back());
    const Seen scaled =
        add_constant_operation(r, query, {at::scalar_tensor(scale, at::kDouble), times, times});
    const Seen key = see_matrices(r, r.seen(node->input(1)));
    Seen scores = add_product(r, scaled, add_transposed(r, key));
    if (r.constant(node->input(5)).toBool())
        scores = add_offset(r, scores, causal_offset(r, scores.layout));
    if (const MaybeTensor mask = r.maybe_weight(node->input(3)))
        scores = add_offset(r, scores, *mask);
    const Seen weights = add_softmax(r, scores, scores.layout.sizes.size() - 1, false);
    r.put_new(node->output(), add_product(r, weights, r.seen(node->input(2))));
}

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

constexpr TapeRule kRules[] = {
    {"aten::baddbmm", product_and_offset},
    {"aten::einsum", einsum},
    {"aten::softmax", softmax},
    {"aten::log_softmax", log_softmax},
    {"aten::masked_fill", fill_masked},
    {"aten::masked_fill_", fill_masked},
    {"aten::scaled_dot_product_attention", attention},
    {"aten::mean", mean},
    {"aten::sum", sum},
};

} // namespace

Seen add_product(TapeRecorder &r, const Seen &first, const Seen &second) {
    const Seen a = see_matrices(r, first);
    const Seen b = r.see_with_examples_in(see_matrices(r, second), a.layout.dim);
    const size_t columns = a.layout.sizes.size() - 1;
    Layout expected = a.layout;
    expected.sizes[columns - 1] = a.layout.sizes[columns];
    expected.sizes[columns] = b.layout.sizes.back();
    require(b.layout == expected);
    Layout result = a.layout;
    result.sizes[columns] = b.layout.sizes[columns];
    return r.add_step(make_matrix_product(a.layout.on_tape()), {a.value, b.value}, result);
}

TapeRules attention_rules() { return kRules; }

} // namespace neurotap
