// The rules for masks: of what is compared, and of what is chosen by them.
#include "tape_recorder.hpp"

namespace neurotap {
namespace {

using torch::jit::Node;
using torch::jit::Value;

// ---- made ----

using Compare = at::Tensor (*)(const at::Tensor &, const at::Tensor &);

void put_mask(TapeRecorder &r, const Node *node, Seen mask) {
    mask.is_mask = true;
    r.put_new(node->output(), mask);
}

void put_question(TapeRecorder &r, const Node *node, const Seen &seen, const Pointwise &asked) {
    const Sizes sizes = seen.layout.on_tape();
    const Asked of_one = [asked](const std::vector<at::Tensor> &x) { return asked(x[0]); };
    put_mask(r, node, r.add_step(make_question({sizes}, sizes, of_one), {seen.value}, seen.layout));
}

void put_question(TapeRecorder &r, const Node *node, const Pair &pair, Compare compare) {
    const Sizes sizes = pair.result.on_tape();
    const Asked of_two = [compare](const std::vector<at::Tensor> &x) {
        return compare(x[0], x[1]);
    };
    put_mask(r, node,
             r.add_step(make_question({pair.sizes_of_a(), pair.sizes_of_b()}, sizes, of_two),
                        pair.values(), pair.result));
}

// Values, or a value and a number.
template <Compare compare> void put_comparison(TapeRecorder &r, const Node *node) {
    const Value *b = node->input(1);
    const Seen a = r.seen(node->input(0));
    if (r.is_tensor(b))
        return put_question(r, node, pair_of(r, a, r.seen(b)), compare);
    const at::Scalar number = real_number(r.constant(b));
    put_question(r, node, a, [number](const at::Tensor &x) {
        return compare(x, at::scalar_tensor(number, x.options()));
    });
}

at::Tensor greater(const at::Tensor &a, const at::Tensor &b) { return a.gt(b); }
at::Tensor less(const at::Tensor &a, const at::Tensor &b) { return a.lt(b); }
at::Tensor no_less(const at::Tensor &a, const at::Tensor &b) { return a.ge(b); }
at::Tensor no_greater(const at::Tensor &a, const at::Tensor &b) { return a.le(b); }
at::Tensor equal(const at::Tensor &a, const at::Tensor &b) { return a.eq(b); }
at::Tensor unequal(const at::Tensor &a, const at::Tensor &b) { return a.ne(b); }
at::Tensor both(const at::Tensor &a, const at::Tensor &b) { return a.logical_and(b); }
at::Tensor either(const at::Tensor &a, const at::Tensor &b) { return a.logical_or(b); }

Seen seen_mask(const TapeRecorder &r, const Value *value) {
    Seen seen = r.seen_or_mask(value);
    require(seen.is_mask);
    return seen;
}

void put_opposite(TapeRecorder &r, const Node *node) {
    put_question(r, node, seen_mask(r, node->input(0)),
                 [](const at::Tensor &x) { return x.logical_not(); });
}

// ---- used ----

// A value, or what is the same for all examples.
struct Option {
    c10::optional<Seen> seen;
    at::Tensor constant;
    bool may_change = false; // it is a weight

    size_t ndim() const {
        return seen ? seen->layout.sizes.size() : static_cast<size_t>(constant.dim());
    }
};

Option read_mask(const TapeRecorder &r, const Value *value) {
    if (r.is_tensor(value))
        return {seen_mask(r, value), {}, false};
    return {c10::nullopt, r.mask(value), r.at(value).kind == Recorded::Kind::kWeight};
}

// Numbers do not make a result of another type, but tensors of another type would.
Option read_option(const TapeRecorder &r, const Value *value) {
    if (r.is_tensor(value))
        return {r.seen(value), {}, false};
    const Recorded &recorded = r.at(value);
    if (!recorded.constant.isScalar())
        return {c10::nullopt, r.weight(value), recorded.kind == Recorded::Kind::kWeight};
    const auto options = at::TensorOptions(r.device()).dtype(r.dtype());
    return {c10::nullopt, at::scalar_tensor(real_number(recorded.constant), options), false};
}

// The layout of all of them together: of those that are values, and then of the constants.
Layout joint_layout(TapeRecorder &r, std::array<Option, 3> &options) {
    size_t ndim = 0;
    for (const Option &option : options)
        ndim = std::max(ndim, option.ndim());
    c10::optional<Seen> all;
    for (Option &option : options)
        if (option.seen) {
            option.seen = see_with_dimensions(r, *option.seen, ndim);
            const Pair pair = pair_of(r, all ? *all : *option.seen, *option.seen);
            option.seen = pair.b;
            all = Seen{pair.b.value, pair.result};
        }
    require(all.has_value());
    Layout layout = all->layout;
    for (Option &option : options)
        if (!option.seen) {
            if (!option.may_change)
                option.constant = one_of_same(option.constant, layout);
            layout =
                resized(layout, broadcast(layout.sizes, sizes_beside(option.constant, layout)));
        }
    return layout;
}

Seen add_choice(TapeRecorder &r, std::array<Option, 3> options) {
    const Layout layout = joint_layout(r, options);
    std::array<ChoicePart, 3> parts;
    std::vector<size_t> values;
    for (size_t i = 0; i < options.size(); ++i)
        if (options[i].seen) {
            parts[i].sizes = options[i].seen->layout.on_tape();
            values.push_back(options[i].seen->value);
        } else {
            parts[i].constant = on_tape(options[i].constant, layout);
        }
    return r.add_step(make_choice(parts, layout.on_tape()), values, layout);
}

bool is_number(const TapeRecorder &r, const Value *value) {
    return !r.is_tensor(value) && r.at(value).constant.isScalar();
}

// mask, where it is set, where it is not
void choose(TapeRecorder &r, const Node *node) {
    require(node->inputs().size() == 3);
    if (is_number(r, node->input(1)) && is_number(r, node->input(2))) // they have their own type
        require(at::result_type(r.constant(node->input(1)).toScalar(),
                                r.constant(node->input(2)).toScalar()) == r.dtype());
    r.put_new(node->output(),
              add_choice(r, {read_mask(r, node->input(0)), read_option(r, node->input(1)),
                             read_option(r, node->input(2))}));
}

// A number also where it is a tensor.
at::Scalar number(const TapeRecorder &r, const Value *value) {
    const c10::IValue given = r.constant(value);
    require(given.isScalar() || (given.isTensor() && given.toTensor().dim() == 0));
    at::Scalar number = given.isTensor() ? given.toTensor().item() : given.toScalar();
    require(!number.isComplex());
    return number;
}

// input, mask, number
void fill_masked(TapeRecorder &r, const Node *node) {
    const Option operand = read_option(r, node->input(0));
    const auto options = at::TensorOptions(r.device()).dtype(r.dtype());
    const Option filling{c10::nullopt, at::scalar_tensor(number(r, node->input(2)), options),
                         false};
    r.put_made(node, add_choice(r, {read_mask(r, node->input(1)), filling, operand}));
}

// Of a mask of the examples' and one that is the same for all.
void combine_with_constant(TapeRecorder &r, const Node *node, bool either_will_do) {
    const size_t constant = r.is_tensor(node->input(0)) ? 1 : 0;
    const Option fixed = read_mask(r, node->input(constant));
    const Option mask{seen_mask(r, node->input(1 - constant)), {}, false};
    const auto options = at::TensorOptions(r.device()).dtype(r.dtype());
    const Option known{c10::nullopt, at::scalar_tensor(either_will_do ? 1 : 0, options), false};
    put_mask(r, node,
             either_will_do ? add_choice(r, {fixed, known, mask})
                            : add_choice(r, {fixed, mask, known}));
}

template <Compare compare, bool either_will_do>
void put_combination(TapeRecorder &r, const Node *node) {
    if (!r.is_tensor(node->input(0)) || !r.is_tensor(node->input(1)))
        return combine_with_constant(r, node, either_will_do);
    put_question(r, node, pair_of(r, seen_mask(r, node->input(0)), seen_mask(r, node->input(1))),
                 compare);
}

constexpr TapeRule kRules[] = {
    {"aten::gt", put_comparison<greater>},
    {"aten::lt", put_comparison<less>},
    {"aten::ge", put_comparison<no_less>},
    {"aten::le", put_comparison<no_greater>},
    {"aten::eq", put_comparison<equal>},
    {"aten::ne", put_comparison<unequal>},
    {"aten::logical_not", put_opposite},
    {"aten::bitwise_not", put_opposite},
    {"aten::logical_and", put_combination<both, false>},
    {"aten::bitwise_and", put_combination<both, false>},
    {"aten::__and__", put_combination<both, false>},
    {"aten::logical_or", put_combination<either, true>},
    {"aten::bitwise_or", put_combination<either, true>},
    {"aten::__or__", put_combination<either, true>},
    {"aten::where", choose},
    {"aten::masked_fill", fill_masked},
    {"aten::masked_fill_", fill_masked},
};

} // namespace

TapeRules mask_rules() { return kRules; }

} // namespace neurotap
