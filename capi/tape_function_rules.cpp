// The rules for functions of single elements.
#include "tape_recorder.hpp"

#include <algorithm>

namespace neurotap {
namespace {

using torch::jit::Node;
using torch::jit::Value;

// The operator's arguments after the tensor.
using Numbers = std::vector<c10::IValue>;
using MakeOperator = TapeOperatorPtr (*)(const Numbers &);

at::Scalar number(const Numbers &numbers, size_t i) { return real_number(numbers.at(i)); }

c10::optional<at::Scalar> maybe_number(const Numbers &numbers, size_t i) {
    const c10::IValue &value = numbers.at(i);
    return value.isNone() ? c10::nullopt : c10::make_optional(real_number(value));
}

template <at::Tensor (*function)(const at::Tensor &)>
TapeOperatorPtr plain(const Numbers & /*none*/) {
    return make_pointwise(function);
}

using OfNumber = at::Tensor (*)(const at::Tensor &, const at::Scalar &);

template <OfNumber function> TapeOperatorPtr with_number(const Numbers &n) {
    return make_pointwise([x = number(n, 0)](const at::Tensor &of) { return function(of, x); });
}

template <TapeOperatorPtr (*make)()> TapeOperatorPtr made(const Numbers & /*none*/) {
    return make();
}

// ---- whose derivatives libtorch has as operators ----

using BackwardOut = at::Tensor &(*)(at::Tensor &result, const at::Tensor &gradient,
                                    const at::Tensor &x);

template <at::Tensor (*function)(const at::Tensor &), BackwardOut backward>
TapeOperatorPtr activation(const Numbers & /*none*/) {
    return make_activation(function, backward);
}

using Backward = at::Tensor (*)(const at::Tensor &gradient, const at::Tensor &x);

template <Backward backward>
at::Tensor &write(at::Tensor &result, const at::Tensor &gradient, const at::Tensor &x) {
    return result = backward(gradient, x);
}

TapeOperatorPtr hardtanh(const Numbers &n) { return make_hardtanh(number(n, 0), number(n, 1)); }

TapeOperatorPtr relu6(const Numbers & /*none*/) { return make_hardtanh(0, 6); }

TapeOperatorPtr leaky_relu(const Numbers &n) {
    const at::Scalar slope = number(n, 0);
    return make_activation([=](const at::Tensor &x) { return at::leaky_relu(x, slope); },
                           [=](at::Tensor &to, const at::Tensor &g, const at::Tensor &x) {
                               at::leaky_relu_backward_out(to, g, x, slope,
                                                           /*self_is_result=*/false);
                           });
}

TapeOperatorPtr elu(const Numbers &n) {
    const at::Scalar alpha = number(n, 0);
    const at::Scalar scale = number(n, 1);
    const at::Scalar of_input = number(n, 2);
    return make_activation([=](const at::Tensor &x) { return at::elu(x, alpha, scale, of_input); },
                           [=](at::Tensor &to, const at::Tensor &g, const at::Tensor &x) {
                               at::elu_backward_out(to, g, alpha, scale, of_input,
                                                    /*is_result=*/false, x);
                           });
}

TapeOperatorPtr softplus(const Numbers &n) {
    const at::Scalar beta = number(n, 0);
    const at::Scalar threshold = number(n, 1);
    return make_activation([=](const at::Tensor &x) { return at::softplus(x, beta, threshold); },
                           [=](at::Tensor &to, const at::Tensor &g, const at::Tensor &x) {
                               at::softplus_backward_out(to, g, x, beta, threshold);
                           });
}

TapeOperatorPtr gelu(const Numbers &n) {
    const std::string approximate = n.empty() ? "none" : n[0].toStringRef();
    return make_activation([=](const at::Tensor &x) { return at::gelu(x, approximate); },
                           [=](at::Tensor &to, const at::Tensor &g, const at::Tensor &x) {
                               at::gelu_backward_out(to, g, x, approximate);
                           });
}

TapeOperatorPtr threshold(const Numbers &n) {
    const at::Scalar below = number(n, 0);
    const at::Scalar value = number(n, 1);
    return make_activation([=](const at::Tensor &x) { return at::threshold(x, below, value); },
                           [=](at::Tensor &to, const at::Tensor &g, const at::Tensor &x) {
                               at::threshold_backward_out(to, g, x, below);
                           });
}

// ---- others ----

TapeOperatorPtr clamp(const Numbers &n) {
    require(!n.at(0).isTensor() && !n.at(1).isTensor());
    return make_pointwise([low = maybe_number(n, 0), high = maybe_number(n, 1)](
                              const at::Tensor &x) { return at::clamp(x, low, high); });
}

struct Function {
    const char *name;
    MakeOperator make;
};

constexpr Function kFunctions[] = {
    {"aten::relu", made<make_relu>},
    {"aten::sigmoid", made<make_sigmoid>},
    {"aten::tanh", made<make_tanh>},
    {"aten::relu6", relu6},
    {"aten::silu", activation<at::silu, at::silu_backward_out>},
    {"aten::mish", activation<at::mish, write<at::mish_backward>>},
    {"aten::hardswish", activation<at::hardswish, write<at::hardswish_backward>>},
    {"aten::hardsigmoid", activation<at::hardsigmoid, at::hardsigmoid_backward_out>},
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
    {"aten::celu", with_number<at::celu>},
    {"aten::softplus", softplus},
    {"aten::gelu", gelu},
    {"aten::threshold", threshold},
    {"aten::clamp", clamp},
    {"aten::clamp_min", with_number<at::clamp_min>},
    {"aten::clamp_max", with_number<at::clamp_max>},
    {"aten::hardshrink", with_number<at::hardshrink>},
    {"aten::softshrink", with_number<at::softshrink>},
    {"aten::pow", with_number<at::pow>},
};

} // namespace

bool apply_function_rule(TapeRecorder &r, const Node *node) {
    if (node->outputs().size() != 1 || node->inputs().empty())
        return false;
    const std::string name = name_of(node);
    const auto *function = std::find_if(std::begin(kFunctions), std::end(kFunctions),
                                        [&](const Function &known) { return name == known.name; });
    if (function == std::end(kFunctions))
        return false;
    Numbers numbers;
    for (const Value *input : node->inputs().slice(1))
        numbers.push_back(r.constant(input));
    const Seen operand = r.seen(node->input(0));
    r.put(node, function->make(numbers), {operand.value}, operand.layout);
    return true;
}

} // namespace neurotap
