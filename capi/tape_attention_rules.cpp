// The rules for attention: products of values, softmax.
#include "tape_recorder.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace neurotap {
namespace {

using torch::jit::Node;

// ---- products of two values ----

// With the examples among the dimensions in front of the matrices.
Seen see_matrices(TapeRecorder &r, const Seen &seen) {
    const Layout &layout = seen.layout;
    require(layout.sizes.size() >= 3);
    return layout.dim + 2 < layout.sizes.size() ? seen : r.see_with_examples_in(seen, 0);
}

// offset, a, b, beta, alpha
void product_and_offset(TapeRecorder &r, const Node *node) {
    require(r.constant(node->input(3)).toScalar().equal(1) &&
            r.constant(node->input(4)).toScalar().equal(1));
    const Seen first = r.seen(node->input(1));
    require(first.layout.sizes.size() == 3);
    const Seen product = add_product(r, first, r.seen(node->input(2)));
    if (!r.is_tensor(node->input(0)))
        return r.put_new(node->output(), add_offset(r, product, r.weight(node->input(0))));
    const Seen sum = add_sum(r, product, r.seen(node->input(0)));
    require(sum.layout == product.layout);
    r.put_made(node, sum);
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

// ---- all of attention ----

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
    const Seen scaled = add_factor(r, query, at::scalar_tensor(scale, at::kDouble));
    const Seen key = see_matrices(r, r.seen(node->input(1)));
    Seen scores = add_product(r, scaled, add_transposed(r, key));
    if (r.constant(node->input(5)).toBool())
        scores = add_offset(r, scores, causal_offset(r, scores.layout));
    if (const MaybeTensor mask = r.maybe_weight(node->input(3)))
        scores = add_offset(r, scores, *mask);
    const Seen weights = add_softmax(r, scores, scores.layout.sizes.size() - 1, false);
    r.put_new(node->output(), add_product(r, weights, r.seen(node->input(2))));
}

constexpr TapeRule kRules[] = {
    {"aten::baddbmm", product_and_offset},
    {"aten::einsum", einsum},
    {"aten::softmax", softmax},
    {"aten::log_softmax", log_softmax},
    {"aten::scaled_dot_product_attention", attention},
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
