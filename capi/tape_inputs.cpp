#include "tape_inputs.hpp"

#include "handles.hpp"

#include <algorithm>
#include <cmath>

namespace neurotap {
namespace {

// ---- inputs: of one element type, on one device, with as many examples ----

bool has_examples(const at::Tensor &tensor, const at::Tensor &first) {
    return tensor.defined() && tensor.layout() == at::kStrided && !tensor.is_neg() &&
           tensor.device() == first.device() && tensor.dim() >= 2 &&
           tensor.size(0) == first.size(0);
}

bool fit_a_tape(const std::vector<at::Tensor> &inputs) {
    const auto fits = [&](const at::Tensor &tensor) {
        const auto dtype = tensor.defined() ? tensor.scalar_type() : at::kByte;
        return (dtype == at::kFloat || dtype == at::kDouble) && has_examples(tensor, inputs[0]) &&
               dtype == inputs[0].scalar_type();
    };
    return !inputs.empty() && std::all_of(inputs.begin(), inputs.end(), fits);
}

bool take_tensors(const c10::FunctionSchema &schema, size_t count) {
    for (size_t i = 1; i <= count; ++i)
        if (i >= schema.arguments().size() ||
            !schema.arguments()[i].type()->isSubtypeOf(c10::OptionalType::ofTensor()))
            return false;
    return true;
}

// ---- arguments ----

// What can be compared, bit by bit.
bool is_plain_constant(const c10::IValue &value) {
    if (value.isDouble()) // a negative zero is equal to another number
        return value.toDouble() > 0 || value.toDouble() < 0 ||
               (value.toDouble() == 0 && !std::signbit(value.toDouble()));
    return value.isNone() || value.isBool() || value.isInt() || value.isString() ||
           value.isIntList() || value.isBoolList();
}

// Numbers and masks of each example may be other ones at every call; everything else is a constant.
bool read_argument(const c10::IValue &value, const at::Tensor &first, TapeInputs &read) {
    if (!value.isTensor() || !value.toTensor().defined()) {
        if (!is_plain_constant(value))
            return false;
        read.key.arguments.push_back({{}, false, value.deepcopy()});
        return true;
    }
    const at::Tensor &tensor = value.toTensor();
    const bool is_mask = tensor.scalar_type() == at::kBool;
    read.key.arguments.push_back({tensor.sizes().vec(), is_mask, {}});
    read.arguments.push_back(tensor.detach());
    return has_examples(tensor, first) && (is_mask || tensor.scalar_type() == read.key.dtype);
}

std::vector<c10::IValue> coerced(const c10::FunctionSchema &schema, const Arguments &arguments) {
    std::vector<c10::IValue> stack(1 + arguments.leaves.size());
    coerce_arguments(
        schema, arguments.values, arguments.n_values, [](size_t) { return same_tensor; }, stack);
    stack.erase(stack.begin(), stack.begin() + 1 + static_cast<int64_t>(arguments.leaves.size()));
    return stack;
}

} // namespace

c10::optional<TapeInputs> read_tape_inputs(const c10::FunctionSchema &schema,
                                           const Arguments &arguments) {
    if (!fit_a_tape(arguments.leaves) || !take_tensors(schema, arguments.leaves.size()))
        return c10::nullopt;
    const at::Tensor &first = arguments.leaves[0];
    TapeInputs read{{{}, {}, first.scalar_type(), first.device()}, {}};
    for (const at::Tensor &leaf : arguments.leaves)
        read.key.inputs.push_back(leaf.sizes().vec());
    for (const c10::IValue &value : coerced(schema, arguments))
        if (!read_argument(value, first, read))
            return c10::nullopt;
    return read;
}

} // namespace neurotap
