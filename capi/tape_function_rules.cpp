// The rules for functions of single elements.
#include "tape_recorder.hpp"

namespace neurotap {
namespace {

using torch::jit::Node;
using torch::jit::Value;

// The operator's arguments after the tensor.
using Numbers = std::vector<c10::IValue>;
using MakePointwise = Pointwise (*)(const Numbers &);

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

Pointwise clamp_min(const Numbers &n) {
    return [low = number(n, 0)](const at::Tensor &x) { return at::clamp_min(x, low); };
}

Pointwise clamp_max(const Numbers &n) {
    return [high = number(n, 0)](const at::Tensor &x) { return at::clamp_max(x, high); };
}

Pointwise hardshrink(const Numbers &n) {
    return [threshold = number(n, 0)](const at::Tensor &x) { return at::hardshrink(x, threshold); };
}

Pointwise softshrink(const Numbers &n) {
    return [threshold = number(n, 0)](const at::Tensor &x) { return at::softshrink(x, threshold); };
}

Pointwise power(const Numbers &n) {
    return [exponent = number(n, 0)](const at::Tensor &x) { return at::pow(x, exponent); };
}

const std::unordered_map<std::string, MakePointwise> &pointwise_functions() {
    static const std::unordered_map<std::string, MakePointwise> functions = {
        {"aten::relu6", plain<at::relu6>},
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
        {"aten::log1p", plain<at::log1p>},
        {"aten::log2", plain<at::log2>},
        {"aten::log10", plain<at::log10>},
        {"aten::expm1", plain<at::expm1>},
        {"aten::erf", plain<at::erf>},
        {"aten::erfc", plain<at::erfc>},
        {"aten::tan", plain<at::tan>},
        {"aten::asin", plain<at::asin>},
        {"aten::acos", plain<at::acos>},
        {"aten::atan", plain<at::atan>},
        {"aten::sinh", plain<at::sinh>},
        {"aten::cosh", plain<at::cosh>},
        {"aten::asinh", plain<at::asinh>},
        {"aten::acosh", plain<at::acosh>},
        {"aten::atanh", plain<at::atanh>},
        {"aten::sinc", plain<at::sinc>},
        {"aten::lgamma", plain<at::lgamma>},
        {"aten::digamma", plain<at::digamma>},
        {"aten::sign", plain<at::sign>},
        {"aten::floor", plain<at::floor>},
        {"aten::ceil", plain<at::ceil>},
        {"aten::trunc", plain<at::trunc>},
        {"aten::frac", plain<at::frac>},
        {"aten::hardtanh", hardtanh},
        {"aten::leaky_relu", leaky_relu},
        {"aten::elu", elu},
        {"aten::celu", celu},
        {"aten::softplus", softplus},
        {"aten::gelu", gelu},
        {"aten::threshold", threshold},
        {"aten::clamp", clamp},
        {"aten::clamp_min", clamp_min},
        {"aten::clamp_max", clamp_max},
        {"aten::hardshrink", hardshrink},
        {"aten::softshrink", softshrink},
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

} // namespace

bool apply_function_rule(TapeRecorder &recorder, const Node *node) {
    std::string name = node->kind().toQualString();
    if (node->outputs().size() != 1 || node->inputs().empty())
        return false;
    if (works_in_place(node))
        name.pop_back();
    const auto function = pointwise_functions().find(name);
    if (name == "aten::relu")
        put_unary(recorder, node, make_relu());
    else if (name == "aten::sigmoid")
        put_unary(recorder, node, make_sigmoid());
    else if (name == "aten::tanh")
        put_unary(recorder, node, make_tanh());
    else if (function != pointwise_functions().end())
        put_pointwise(recorder, node, function->second);
    else
        return false;
    return true;
}

} // namespace neurotap
