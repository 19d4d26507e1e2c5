// The rules for operators that work on each element alone.
#include "tape_recorder.hpp"

#include <algorithm>

namespace neurotap {
namespace {

using torch::jit::Node;
using torch::jit::Value;

// ---- of one tensor ----

// The operator's arguments after the tensor.
using Numbers = std::vector<c10::IValue>;
using MakePointwise = Pointwise (*)(const Numbers &);

at::Scalar real_number(const c10::IValue &value) {
    require(value.isScalar() && !value.isComplexDouble());
    return value.toScalar();
}

at::Scalar number(const Numbers &numbers, size_t i) { return real_number(numbers.at(i)); }

c10::optional<at::Scalar> maybe_number(const Numbers &numbers, size_t i) {
    const c10::IValue &value = numbers.at(i);
    return value.isNone() ? c10::nullopt : c10::make_optional(real_number(value));
}

template <at::Tensor (*function)(const at::Tensor &)> Pointwise plain(const Numbers & /*none*/) {
    return function;
}

Pointwise hardtanh(const Numbers &n) {
    return [low = number(n, 0), high = number(n, 1)](const at::Tensor &x) {
        return at::hardtanh(x, low, high);
    };
}

Pointwise leaky_relu(const Numbers &n) {
    return [slope = number(n, 0)](const at::Tensor &x) { return at::leaky_relu(x, slope); };
}

Pointwise elu(const Numbers &n) {
    return [alpha = number(n, 0), scale = number(n, 1), input_scale = number(n, 2)](
               const at::Tensor &x) { return at::elu(x, alpha, scale, input_scale); };
}

Pointwise celu(const Numbers &n) {
    return [alpha = number(n, 0)](const at::Tensor &x) { return at::celu(x, alpha); };
}

Pointwise softplus(const Numbers &n) {
    return [beta = number(n, 0), threshold = number(n, 1)](const at::Tensor &x) {
        return at::softplus(x, beta, threshold);
    };
}

Pointwise gelu(const Numbers &n) {
    return [approximate = n.empty() ? "none" : n[0].toStringRef()](const at::Tensor &x) {
        return at::gelu(x, approximate);
    };
}

Pointwise threshold(const Numbers &n) {
    return [below = number(n, 0), value = number(n, 1)](const at::Tensor &x) {
        return at::threshold(x, below, value);
    };
}

Pointwise clamp(const Numbers &n) {
    require(!n.at(0).isTensor() && !n.at(1).isTensor());
    return [low = maybe_number(n, 0), high = maybe_number(n, 1)](const at::Tensor &x) {
        return at::clamp(x, low, high);
    };
}

Pointwise power(const Numbers &n) {
    return [exponent = number(n, 0)](const at::Tensor &x) { return at::pow(x, exponent); };
}

const std::unordered_map<std::string, MakePointwise> &pointwise_functions() {
    static const std::unordered_map<std::string, MakePointwise> functions = {
        {"aten::relu6", plain<at::relu6>},
        {"aten::sigmoid", plain<at::sigmoid>},
        {"aten::tanh", plain<at::tanh>},
        {"aten::silu", plain<at::silu>},
        {"aten::mish", plain<at::mish>},
        {"aten::hardswish", plain<at::hardswish>},
        {"aten::hardsigmoid", plain<at::hardsigmoid>},
        {"aten::selu", plain<at::selu>},
        {"aten::log_sigmoid", plain<at::log_sigmoid>},
        {"aten::exp", plain<at::exp>},
        {"aten::abs", plain<at::abs>},
        {"aten::neg", plain<at::neg>},
        {"aten::sin", plain<at::sin>},
        {"aten::cos", plain<at::cos>},
        {"aten::square", plain<at::square>},
        {"aten::sqrt", plain<at::sqrt>},
        {"aten::rsqrt", plain<at::rsqrt>},
        {"aten::reciprocal", plain<at::reciprocal>},
        {"aten::log", plain<at::log>},
        {"aten::hardtanh", hardtanh},
        {"aten::leaky_relu", leaky_relu},
        {"aten::elu", elu},
        {"aten::celu", celu},
        {"aten::softplus", softplus},
        {"aten::gelu", gelu},
        {"aten::threshold", threshold},
        {"aten::clamp", clamp},
        {"aten::pow", power},
    };
    return functions;
}

void put_unary(TapeRecorder &r, const Node *node, TapeOperatorPtr op) {
    const Seen operand = r.seen(node->input(0));
    r.put(node, std::move(op), {operand.value}, operand.layout);
}

void put_pointwise(TapeRecorder &r, const Node *node, MakePointwise make) {
    Numbers numbers;
    for (const Value *input : node->inputs().slice(1))
        numbers.push_back(r.constant(input));
    put_unary(r, node, make_pointwise(make(numbers)));
}

// ---- of two operands ----

Sizes broadcast(const Sizes &a, const Sizes &b) {
    Sizes result = a;
    for (size_t dim = 0; dim < a.size(); ++dim) {
        require(a[dim] == b[dim] || a[dim] == 1 || b[dim] == 1);
        result[dim] = std::max(a[dim], b[dim]);
    }
    return result;
}

Seen with_dimensions(TapeRecorder &r, const Seen &seen, size_t ndim) {
    Layout layout = seen.layout;
    const size_t missing = ndim - layout.sizes.size();
    layout.sizes.insert(layout.sizes.begin(), missing, 1);
    layout.dim += missing;
    return r.see(seen, layout);
}

struct Pair {
    Seen a, b;
    Layout result;

    Sizes sizes_of_a() const { return a.layout.on_tape(); }
    Sizes sizes_of_b() const { return b.layout.on_tape(); }
    std::vector<size_t> values() const { return {a.value, b.value}; }
};

// Two values that broadcast, with the examples in the same place.
Pair pair_of(TapeRecorder &r, const Node *node) {
    Seen a = r.seen(node->input(0));
    Seen b = r.seen(node->input(1));
    const size_t ndim = std::max(a.layout.sizes.size(), b.layout.sizes.size());
    a = with_dimensions(r, a, ndim);
    b = r.see_with_examples_in(with_dimensions(r, b, ndim), a.layout.dim);
    require(a.layout.before == b.layout.before && a.layout.after == b.layout.after &&
            a.layout.examples() == b.layout.examples());
    return {a, b, resized(a.layout, broadcast(a.layout.sizes, b.layout.sizes))};
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
    const at::Tensor given = constant_operand(r, constant);
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
    if (r.is_tensor(a) && r.is_tensor(b)) {
        const Pair pair = pair_of(r, node);
        return put_pair(
            r, node, pair,
            make_sum(pair.sizes_of_a(), pair.sizes_of_b(), pair.result.on_tape(), weight));
    }
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
        const Pair pair = pair_of(r, node);
        return put_pair(r, node, pair,
                        make_product(pair.sizes_of_a(), pair.sizes_of_b(), pair.result.on_tape()));
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

// input, dim: one half times what the other lets through
void put_gated_half(TapeRecorder &r, const Node *node) {
    const Seen operand = r.seen(node->input(0));
    const size_t dim = dim_of(r, node->input(1), operand.layout.sizes.size());
    const int64_t half = operand.layout.sizes[dim] / 2;
    require(2 * half == operand.layout.sizes[dim] && half > 0);
    const Seen first = add_slice(r, operand, dim, {0, half, 1});
    const Seen second = add_slice(r, operand, dim, {half, half, 1});
    const Seen gate = r.add_step(make_pointwise([](const at::Tensor &x) { return at::sigmoid(x); }),
                                 {second.value}, second.layout);
    const Sizes sizes = gate.layout.on_tape();
    r.put(node, make_product(sizes, sizes, sizes), {first.value, gate.value}, gate.layout);
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
    else
        return false;
    return true;
}

} // namespace

bool apply_elementwise_rule(TapeRecorder &recorder, const Node *node) {
    std::string name = node->kind().toQualString();
    if (node->outputs().size() != 1 || node->inputs().empty())
        return false;
    if (works_in_place(node))
        name.pop_back();
    if (name == "aten::relu") {
        put_unary(recorder, node, make_relu());
        return true;
    }
    const auto function = pointwise_functions().find(name);
    if (function == pointwise_functions().end())
        return apply_arithmetic(recorder, node, name);
    put_pointwise(recorder, node, function->second);
    return true;
}

} // namespace neurotap
