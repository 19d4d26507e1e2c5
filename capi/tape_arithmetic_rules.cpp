// The rules for sums, products and what else is computed of two elements.
#include "tape_recorder.hpp"

#include <algorithm>

namespace neurotap {
namespace {

using torch::jit::Node;
using torch::jit::Value;

Pair pair_of(TapeRecorder &r, const Node *node) {
    return pair_of(r, r.seen(node->input(0)), r.seen(node->input(1)));
}

void put_pair(TapeRecorder &r, const Node *node, const Pair &pair, TapeOperatorPtr op) {
    r.put(node, std::move(op), pair.values(), pair.result);
}

// A number, or a weight.
at::Tensor constant_operand(const TapeRecorder &r, const Value *value) {
    const Recorded &recorded = r.at(value);
    if (recorded.kind == Recorded::Kind::kConstant && recorded.constant.isScalar())
        return at::scalar_tensor(real_number(recorded.constant), at::kDouble);
    if (recorded.kind == Recorded::Kind::kConstant && recorded.constant.isTensor() &&
        recorded.constant.toTensor().dim() == 0) { // a number in a trace
        at::Tensor number = recorded.constant.toTensor();
        require(!number.is_complex() && number.scalar_type() != at::kBool &&
                (number.is_cpu() || number.is_cuda()));
        return r.lasting(number);
    }
    return r.weight(value);
}

at::Scalar weight_of_second(const TapeRecorder &r, const Node *node) {
    return node->inputs().size() > 2 ? real_number(r.constant(node->input(2))) : at::Scalar(1);
}

at::Tensor same(const at::Tensor &gradient, const at::Tensor & /*constant*/) { return gradient; }
at::Tensor times(const at::Tensor &x, const at::Tensor &constant) { return x.mul(constant); }
at::Tensor by(const at::Tensor &x, const at::Tensor &constant) { return x.div(constant); }

void put_with_constant(TapeRecorder &r, const Node *node, const Value *value, const Value *constant,
                       const WithConstant &function, const WithConstant &reverse) {
    const Seen operand = r.seen(value);
    at::Tensor given = constant_operand(r, constant);
    if (r.at(constant).kind == Recorded::Kind::kConstant)
        given = one_of_same(given, operand.layout);
    const Sizes sizes = sizes_beside(given, operand.layout);
    const ConstantOperation operation{on_tape(given, operand.layout), function, reverse};
    const Layout result = resized(operand.layout, broadcast(operand.layout.sizes, sizes));
    r.put(node, make_with_constant(operand.layout.on_tape(), result.on_tape(), operation),
          {operand.value}, result);
}

void put_sum(TapeRecorder &r, const Node *node, bool minus) {
    const Value *a = node->input(0);
    const Value *b = node->input(1);
    const at::Scalar given = weight_of_second(r, node);
    const at::Scalar weight = minus ? -given : given;
    if (r.is_tensor(a) && r.is_tensor(b))
        return r.put_made(node, add_sum(r, r.seen(a), r.seen(b), weight));
    if (r.is_tensor(a))
        return put_with_constant(
            r, node, a, b,
            [weight](const at::Tensor &x, const at::Tensor &c) { return at::add(x, c, weight); },
            same);
    put_with_constant(
        r, node, b, a,
        [weight](const at::Tensor &x, const at::Tensor &c) { return at::add(c, x, weight); },
        [weight](const at::Tensor &g, const at::Tensor & /*c*/) { return g.mul(weight); });
}

// other - weight * value
void put_reversed_difference(TapeRecorder &r, const Node *node) {
    const at::Scalar weight = -weight_of_second(r, node);
    require(!r.is_tensor(node->input(1)));
    put_with_constant(
        r, node, node->input(0), node->input(1),
        [weight](const at::Tensor &x, const at::Tensor &c) { return at::add(c, x, weight); },
        [weight](const at::Tensor &g, const at::Tensor & /*c*/) { return g.mul(weight); });
}

void put_product(TapeRecorder &r, const Node *node) {
    const Value *a = node->input(0);
    const Value *b = node->input(1);
    if (r.is_tensor(a) && r.is_tensor(b)) {
        const Seen first_value = r.seen_or_mask(a); // a mask counts as ones and zeros
        const Seen second_value = r.seen_or_mask(b);
        require(!first_value.is_mask || !second_value.is_mask);
        return r.put_made(node, add_elementwise_product(r, first_value, second_value));
    }
    const bool first = r.is_tensor(a);
    put_with_constant(r, node, first ? a : b, first ? b : a, times, times);
}

void put_quotient(TapeRecorder &r, const Node *node) {
    const Value *b = node->input(1);
    require(node->inputs().size() == 2 && r.is_tensor(node->input(0)));
    if (r.is_tensor(b)) {
        const Pair pair = pair_of(r, node);
        return put_pair(r, node, pair,
                        make_quotient(pair.sizes_of_a(), pair.sizes_of_b(), pair.result.on_tape()));
    }
    put_with_constant(r, node, node->input(0), node->input(1), by, by);
}

OfTwo function_of_two(const std::string &name) {
    if (name == "aten::maximum" || name == "aten::max")
        return at::maximum;
    if (name == "aten::minimum" || name == "aten::min")
        return at::minimum;
    return name == "aten::atan2" ? at::atan2 : nullptr;
}

void put_function_of_two(TapeRecorder &r, const Node *node, OfTwo function) {
    require(node->inputs().size() == 2 && r.is_tensor(node->input(1)));
    const Pair pair = pair_of(r, node);
    put_pair(r, node, pair,
             make_of_two(pair.sizes_of_a(), pair.sizes_of_b(), pair.result.on_tape(), function));
}

// input, dim: one half times what the other lets through
void put_gated_half(TapeRecorder &r, const Node *node) {
    const Seen operand = r.seen(node->input(0));
    const size_t dim = dim_of(r, node->input(1), operand.layout.sizes.size());
    const int64_t half = operand.layout.sizes[dim] / 2;
    require(2 * half == operand.layout.sizes[dim] && half > 0);
    const Seen first = add_slice(r, operand, dim, {0, half, 1});
    const Seen second = add_slice(r, operand, dim, {half, half, 1});
    const Seen gate = add_pointwise(r, second, make_sigmoid());
    r.put_new(node->output(), add_elementwise_product(r, first, gate));
}

bool apply_arithmetic(TapeRecorder &r, const Node *node, const std::string &name) {
    if (name == "aten::add" || name == "aten::sub")
        put_sum(r, node, name == "aten::sub");
    else if (name == "aten::rsub")
        put_reversed_difference(r, node);
    else if (name == "aten::mul")
        put_product(r, node);
    else if (name == "aten::div")
        put_quotient(r, node);
    else if (name == "aten::glu")
        put_gated_half(r, node);
    else if (const OfTwo function = function_of_two(name))
        put_function_of_two(r, node, function);
    else
        return false;
    return true;
}

// What it does to each element must not change the value's sizes.
Seen add_with_constant(TapeRecorder &r, const Seen &seen, const at::Tensor &constant,
                       const WithConstant &function, const WithConstant &reverse) {
    require_fit(constant, seen.layout);
    const Sizes sizes = seen.layout.on_tape();
    const ConstantOperation operation{on_tape(constant, seen.layout), function, reverse};
    return r.add_step(make_with_constant(sizes, sizes, operation), {seen.value}, seen.layout);
}

at::Tensor plus(const at::Tensor &x, const at::Tensor &constant) { return x.add(constant); }

} // namespace

Seen see_with_dimensions(TapeRecorder &r, const Seen &seen, size_t ndim) {
    Layout layout = seen.layout;
    const size_t missing = ndim - layout.sizes.size();
    layout.sizes.insert(layout.sizes.begin(), missing, 1);
    layout.dim += missing;
    return r.see(seen, layout);
}

// With the examples in the same place.
Pair pair_of(TapeRecorder &r, const Seen &first, const Seen &second) {
    const size_t ndim = std::max(first.layout.sizes.size(), second.layout.sizes.size());
    Seen a = see_with_dimensions(r, first, ndim);
    Seen b = r.see_with_examples_in(see_with_dimensions(r, second, ndim), a.layout.dim);
    require(a.layout.before == b.layout.before && a.layout.after == b.layout.after &&
            a.layout.examples() == b.layout.examples());
    return {a, b, resized(a.layout, broadcast(a.layout.sizes, b.layout.sizes))};
}

Seen add_pointwise(TapeRecorder &r, const Seen &seen, TapeOperatorPtr op) {
    return r.add_step(std::move(op), {seen.value}, seen.layout);
}

Seen add_sum(TapeRecorder &r, const Seen &a, const Seen &b, const at::Scalar &weight_of_b) {
    const Pair pair = pair_of(r, a, b);
    return r.add_step(
        make_sum(pair.sizes_of_a(), pair.sizes_of_b(), pair.result.on_tape(), weight_of_b),
        pair.values(), pair.result);
}

Seen add_elementwise_product(TapeRecorder &r, const Seen &a, const Seen &b) {
    const Pair pair = pair_of(r, a, b);
    return r.add_step(make_product(pair.sizes_of_a(), pair.sizes_of_b(), pair.result.on_tape()),
                      pair.values(), pair.result);
}

Seen add_offset(TapeRecorder &r, const Seen &seen, const at::Tensor &offset) {
    return add_with_constant(r, seen, offset, plus, same);
}

Seen add_factor(TapeRecorder &r, const Seen &seen, const at::Tensor &factor) {
    return add_with_constant(r, seen, factor, times, times);
}

at::Scalar real_number(const c10::IValue &value) {
    require(value.isScalar() && !value.isComplexDouble());
    return value.toScalar();
}

bool apply_arithmetic_rule(TapeRecorder &recorder, const Node *node) {
    return node->outputs().size() == 1 && !node->inputs().empty() &&
           apply_arithmetic(recorder, node, name_of(node));
}

} // namespace neurotap
