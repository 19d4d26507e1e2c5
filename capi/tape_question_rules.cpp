// The rules for what a program asks about tensors, and for conversions to what they are already.
#include "tape_recorder.hpp"

namespace neurotap {
namespace {

using torch::jit::Node;
using torch::jit::Value;

// What can be known of a tensor without its elements.
struct About {
    Sizes sizes;
    at::ScalarType dtype;
    at::Device device;
    bool requires_grad;
};

About about(const TapeRecorder &r, const Value *value) {
    const Recorded &recorded = r.at(value);
    if (recorded.kind == Recorded::Kind::kTensor) {
        const Seen seen = r.seen_or_mask(value);
        return {seen.layout.sizes, seen.is_mask ? at::kBool : r.dtype(), r.device(),
                r.is_differentiable(seen)};
    }
    require(recorded.is_known() && recorded.constant.isTensor() &&
            recorded.constant.toTensor().defined());
    const at::Tensor &tensor = recorded.constant.toTensor();
    return {tensor.sizes().vec(), tensor.scalar_type(), tensor.device(), tensor.requires_grad()};
}

About about_first(const TapeRecorder &r, const Node *node) { return about(r, node->input(0)); }

// ---- shapes ----

// input, maybe dim
void size(TapeRecorder &r, const Node *node) {
    const Sizes sizes = about_first(r, node).sizes;
    if (node->inputs().size() == 1)
        return r.put_constant(node, c10::List<int64_t>(sizes));
    r.put_constant(node, sizes[dim_of(r, node->input(1), sizes.size())]);
}

void numel(TapeRecorder &r, const Node *node) {
    r.put_constant(node, product_of(about_first(r, node).sizes));
}

void length(TapeRecorder &r, const Node *node) {
    r.put_constant(node, about_first(r, node).sizes.at(0));
}

void dim(TapeRecorder &r, const Node *node) {
    r.put_constant(node, static_cast<int64_t>(about_first(r, node).sizes.size()));
}

// ---- kinds ----

void dtype(TapeRecorder &r, const Node *node) {
    r.put_constant(node, static_cast<int64_t>(about_first(r, node).dtype));
}

void device(TapeRecorder &r, const Node *node) {
    r.put_constant(node, about_first(r, node).device);
}

void is_cuda(TapeRecorder &r, const Node *node) {
    r.put_constant(node, about_first(r, node).device.is_cuda());
}

void is_cpu(TapeRecorder &r, const Node *node) {
    r.put_constant(node, about_first(r, node).device.is_cpu());
}

void is_floating_point(TapeRecorder &r, const Node *node) {
    r.put_constant(node, c10::isFloatingType(about_first(r, node).dtype));
}

// What depends on the inputs does.
void requires_grad(TapeRecorder &r, const Node *node) {
    r.put_constant(node, about_first(r, node).requires_grad);
}

void never(TapeRecorder &r, const Node *node) {
    require(r.is_tensor(node->input(0)));
    r.put_constant(node, false);
}

// Whether two are one and the same. Of two with the same elements that cannot always be told: some
// operators may return their operand, or something new.
bool are_same(const TapeRecorder &r, const Recorded &a, const Recorded &b) {
    require(a.kind != Recorded::Kind::kUnknown && b.kind != Recorded::Kind::kUnknown);
    if (a.kind == Recorded::Kind::kTensor && b.kind == Recorded::Kind::kTensor) {
        require(a.place == b.place || r.seen(a).value != r.seen(b).value);
        return a.place == b.place;
    }
    return a.constant.isTensor() && b.constant.isTensor() && a.constant.is(b.constant);
}

// a, b, one of which is a tensor
void is(TapeRecorder &r, const Node *node) {
    const Recorded &a = r.at(node->input(0));
    require(a.kind == Recorded::Kind::kTensor || a.kind == Recorded::Kind::kWeight);
    const bool same = are_same(r, a, r.at(node->input(1)));
    r.put_constant(node, same == (node->kind() == torch::jit::aten::__is__));
}

// ---- constants like it ----

at::TensorOptions options_of(const TapeRecorder &r, const Value *dtype, const Value *device) {
    const c10::IValue type = r.constant(dtype);
    require(r.constant(device).isNone() || r.constant(device).toDevice() == r.device());
    return at::TensorOptions(r.device())
        .dtype(type.isNone() ? r.dtype() : static_cast<at::ScalarType>(type.toInt()));
}

constexpr int64_t kMostElements = 1 << 24;

void put_full(TapeRecorder &r, const Node *node, const Sizes &sizes, int number,
              const at::TensorOptions &options) {
    require(product_of(sizes) <= kMostElements);
    r.put_own(node, at::full(sizes, number, options));
}

// input, size, dtype, layout, device, pin_memory
template <int number> void new_full(TapeRecorder &r, const Node *node) {
    require(!r.seen_or_mask(node->input(0)).is_mask);
    put_full(r, node, r.constant(node->input(1)).toIntVector(), number,
             options_of(r, node->input(2), node->input(4)));
}

// input, dtype, layout, device, pin_memory, memory_format
template <int number> void like(TapeRecorder &r, const Node *node) {
    const Seen seen = r.seen_or_mask(node->input(0));
    auto options = options_of(r, node->input(1), node->input(3));
    if (seen.is_mask && r.constant(node->input(1)).isNone())
        options = options.dtype(at::kBool);
    put_full(r, node, seen.layout.sizes, number, options);
}

// ---- conversions ----

// A mask becomes the numbers that it is on the tape.
void put_converted(TapeRecorder &r, const Node *node) {
    Seen seen = r.seen_or_mask(node->input(0));
    if (!seen.is_mask)
        return r.put_same(node, node->input(0));
    seen.is_mask = false;
    r.put_new(node->output(), seen);
}

// input, dtype, non_blocking, copy, maybe memory_format
void convert(TapeRecorder &r, const Node *node) {
    const std::string &overload = node->maybeSchema()->overload_name();
    require(r.is_tensor(node->input(0)) && (overload == "dtype" || overload == "prim_dtype"));
    require(r.constant(node->input(1)).toInt() == static_cast<int64_t>(r.dtype()));
    require(!r.constant(node->input(3)).toBool());
    require(node->inputs().size() < 5 || r.constant(node->input(4)).isNone());
    put_converted(r, node);
}

// input, other
void convert_like(TapeRecorder &r, const Node *node) {
    require(r.is_tensor(node->input(0)) && about(r, node->input(1)).dtype == r.dtype() &&
            about(r, node->input(1)).device == r.device());
    put_converted(r, node);
}

constexpr TapeRule kRules[] = {
    {"aten::size", size},
    {"aten::numel", numel},
    {"aten::len", length},
    {"aten::dim", dim},
    {"prim::dtype", dtype},
    {"prim::device", device},
    {"prim::is_cuda", is_cuda},
    {"prim::is_cpu", is_cpu},
    {"aten::is_floating_point", is_floating_point},
    {"prim::requires_grad", requires_grad},
    {"prim::is_nested", never},
    {"prim::is_sparse", never},
    {"prim::is_quantized", never},
    {"aten::is_complex", never},
    {"aten::__is__", is},
    {"aten::__isnot__", is},
    {"aten::new_zeros", new_full<0>},
    {"aten::new_ones", new_full<1>},
    {"aten::zeros_like", like<0>},
    {"aten::ones_like", like<1>},
    {"aten::to", convert},
    {"aten::type_as", convert_like},
};

} // namespace

TapeRules question_rules() { return kRules; }

} // namespace neurotap
