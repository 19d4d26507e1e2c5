// For each ATen operator that a tape can have: what it becomes. Here those that are in none of the
// other files of rules.
#include "tape_recorder.hpp"

#include <algorithm>

namespace neurotap {
namespace {

using torch::jit::Node;
using torch::jit::Value;

// ---- dense layers ----

// A value whose last dimension has no examples.
Seen features(TapeRecorder &r, const Seen &seen) {
    return r.see_with_examples_beside(seen, seen.layout.sizes.size() - 1);
}

void put_linear(TapeRecorder &r, const Node *node, const Value *value, const at::Tensor &weight,
                const MaybeTensor &bias) {
    r.put_new(node->output(), add_linear(r, r.seen(value), weight, bias));
}

// input, weight, bias
void linear(TapeRecorder &r, const Node *node) {
    const at::Tensor weight = r.weight(node->input(1));
    require(weight.dim() == 2);
    put_linear(r, node, node->input(0), weight, r.bias(node->input(2), weight.size(0)));
}

// A dense layer as older versions write it, with the weight transposed by another node.
at::Tensor matrix(const TapeRecorder &r, const Value *value) {
    const at::Tensor matrix = r.weight(value);
    require(matrix.dim() == 2);
    return matrix.t();
}

bool is_matrix(const TapeRecorder &r, const Value *value) {
    return r.seen(value).layout.sizes.size() == 2;
}

// Of a matrix, as of a graph's neighbours, and a value's columns.
void put_product_of_columns(TapeRecorder &r, const Node *node) {
    const Seen seen = r.seen(node->input(1));
    const at::Tensor matrix = r.weight(node->input(0));
    require(matrix.dim() == 2 && seen.layout.sizes.size() >= 3);
    const Seen rows = add_linear(r, add_transposed(r, seen), matrix, c10::nullopt);
    r.put_new(node->output(), add_transposed(r, rows));
}

// As many as the operator takes; "aten::matmul" takes any.
void require_dimensions(const TapeRecorder &r, const Node *node) {
    const size_t needed = node->kind() == torch::jit::aten::mm    ? 2
                          : node->kind() == torch::jit::aten::bmm ? 3
                                                                  : 0;
    for (const Value *operand : node->inputs().slice(0, 2))
        require(needed == 0 ||
                needed == (r.is_tensor(operand) ? r.seen(operand).layout.sizes.size()
                                                : static_cast<size_t>(r.weight(operand).dim())));
}

// rows, matrix; or matrix, columns; or two values
void matrix_product(TapeRecorder &r, const Node *node) {
    require_dimensions(r, node);
    if (r.is_tensor(node->input(0)) && r.is_tensor(node->input(1)))
        return r.put_new(node->output(),
                         add_product(r, r.seen(node->input(0)), r.seen(node->input(1))));
    if (r.is_tensor(node->input(1)))
        return put_product_of_columns(r, node);
    put_linear(r, node, node->input(0), matrix(r, node->input(1)), c10::nullopt);
}

// bias, rows, matrix, beta, alpha
void product_and_bias(TapeRecorder &r, const Node *node) {
    const at::Tensor weight = matrix(r, node->input(2));
    const MaybeTensor bias = r.bias(node->input(0), weight.size(0));
    require(bias && is_matrix(r, node->input(1)) &&
            r.constant(node->input(3)).toScalar().equal(1) &&
            r.constant(node->input(4)).toScalar().equal(1));
    put_linear(r, node, node->input(1), weight, bias);
}

// ---- normalisation ----

// input, weight, bias, running_mean, running_var, training, momentum, eps, cudnn_enabled
void batch_norm(TapeRecorder &r, const Node *node) {
    const Sizes operand = r.sizes(node->input(0));
    require(!r.constant(node->input(5)).toBool());
    const MaybeTensor mean = r.bias(node->input(3), operand[1]);
    const MaybeTensor variance = r.bias(node->input(4), operand[1]);
    require(mean && variance && mean->device() == variance->device());
    const TapeBatchNorm norm{
        r.bias(node->input(1), operand[1]),    r.bias(node->input(2), operand[1]), *mean, *variance,
        r.constant(node->input(7)).toDouble(), r.weight_copies() != nullptr};
    r.put_rows(node, make_batch_norm(norm), operand);
}

// A weight for each of these, as one of a single dimension.
MaybeTensor flat_weight(const TapeRecorder &r, const Value *value, const Sizes &sizes) {
    const MaybeTensor weight = r.maybe_weight(value);
    if (!weight)
        return c10::nullopt;
    require(weight->sizes() == sizes && weight->is_contiguous());
    return weight->view({-1});
}

// input, normalized_shape, weight, bias, eps, cudnn_enable
void layer_norm(TapeRecorder &r, const Node *node) {
    const Seen operand = r.seen(node->input(0));
    const Sizes sizes = operand.layout.sizes;
    const Sizes last = r.constant(node->input(1)).toIntVector();
    const size_t first = sizes.size() - last.size();
    require(!last.empty() && last.size() <= sizes.size() &&
            std::equal(last.begin(), last.end(), sizes.begin() + static_cast<int64_t>(first)));
    const TapeLayerNorm norm{flat_weight(r, node->input(2), last),
                             flat_weight(r, node->input(3), last),
                             r.constant(node->input(4)).toDouble()};
    Sizes flat(sizes.begin(), sizes.begin() + static_cast<int64_t>(first));
    flat.push_back(product_of(last));
    const Seen rows = features(r, r.see(operand, reshaped(operand.layout, flat)));
    const Seen normed =
        r.add_step(make_layer_norm(rows.layout.on_tape(), norm), {rows.value}, rows.layout);
    r.put_new(node->output(), r.see(normed, reshaped(normed.layout, sizes)));
}

// Statistics of the positions take at least one of them.
void put_group_norm(TapeRecorder &r, const Node *node, const TapeGroupNorm &norm) {
    const Sizes operand = r.sizes(node->input(0));
    require(operand.size() >= 3 && norm.groups > 0 && operand[1] % norm.groups == 0);
    r.put_rows(node, make_group_norm(operand, norm), operand);
}

// input, groups, weight, bias, eps, cudnn_enabled
void group_norm(TapeRecorder &r, const Node *node) {
    const int64_t channels = r.sizes(node->input(0))[1];
    put_group_norm(r, node,
                   {r.constant(node->input(1)).toInt(), r.bias(node->input(2), channels),
                    r.bias(node->input(3), channels), r.constant(node->input(4)).toDouble()});
}

// input, weight, bias, running_mean, running_var, use_input_stats, momentum, eps, cudnn_enabled
void instance_norm(TapeRecorder &r, const Node *node) {
    const int64_t channels = r.sizes(node->input(0))[1];
    require(r.constant(node->input(5)).toBool() && r.constant(node->input(3)).isNone());
    put_group_norm(r, node,
                   {channels, r.bias(node->input(1), channels), r.bias(node->input(2), channels),
                    r.constant(node->input(7)).toDouble()});
}

// input, p, train
void dropout(TapeRecorder &r, const Node *node) {
    const double share = r.constant(node->input(1)).toScalar().toDouble();
    require(share >= 0 && share <= 1 && (share == 0 || !r.constant(node->input(2)).toBool()));
    r.put_same(node, node->input(0));
}

// The order of elements in memory makes no difference here, but not every value can have each.
void require_order(const TapeRecorder &r, const Value *value, const Value *order) {
    const c10::IValue given = r.constant(order);
    const auto format = given.isNone() ? at::MemoryFormat::Contiguous
                                       : static_cast<at::MemoryFormat>(given.toInt());
    const size_t ndim = r.seen(value).layout.sizes.size();
    require(format == at::MemoryFormat::Contiguous ||
            (format == at::MemoryFormat::ChannelsLast && ndim == 4) ||
            (format == at::MemoryFormat::ChannelsLast3d && ndim == 5));
}

// input, memory_format
void same_memory(TapeRecorder &r, const Node *node) {
    require_order(r, node->input(0), node->input(1));
    r.put_view(node, node->input(0), r.seen(node->input(0)));
}

// input, memory_format
void copy(TapeRecorder &r, const Node *node) {
    if (r.constant(node->input(1)) != static_cast<int64_t>(at::MemoryFormat::Preserve))
        require_order(r, node->input(0), node->input(1));
    r.put_copy(node, node->input(0));
}

// input, slopes
void prelu(TapeRecorder &r, const Node *node) {
    const Sizes operand = r.sizes(node->input(0));
    const at::Tensor slopes = r.weight(node->input(1));
    require(slopes.dim() <= 1 && (slopes.numel() == 1 || slopes.numel() == operand[1]));
    r.put_rows(node, make_pointwise([slopes](const at::Tensor &x) { return at::prelu(x, slopes); }),
               operand);
}

constexpr TapeRule kRules[] = {
    {"aten::linear", linear},
    {"aten::mm", matrix_product},
    {"aten::bmm", matrix_product},
    {"aten::matmul", matrix_product},
    {"aten::addmm", product_and_bias},
    {"aten::batch_norm", batch_norm},
    {"aten::layer_norm", layer_norm},
    {"aten::group_norm", group_norm},
    {"aten::instance_norm", instance_norm},
    {"aten::dropout", dropout},
    {"aten::dropout_", dropout},
    {"aten::feature_dropout", dropout},
    {"aten::feature_dropout_", dropout},
    {"aten::alpha_dropout", dropout},
    {"aten::alpha_dropout_", dropout},
    {"aten::feature_alpha_dropout", dropout},
    {"aten::contiguous", same_memory},
    {"aten::clone", copy},
    {"aten::prelu", prelu},
};

} // namespace

Seen add_linear(TapeRecorder &r, const Seen &seen, const at::Tensor &weight,
                const MaybeTensor &bias) {
    const Seen operand = features(r, seen);
    require(weight.dim() == 2 && weight.size(1) == operand.layout.sizes.back());
    Layout result = operand.layout;
    result.sizes.back() = weight.size(0);
    return r.add_step(make_linear(operand.layout.on_tape(), weight, bias), {operand.value}, result);
}

const TapeRule *find_rule(TapeRules rules, const Node *node) {
    const std::string name = node->kind().toQualString();
    const auto *rule = std::find_if(rules.begin(), rules.end(),
                                    [&](const TapeRule &known) { return name == known.name; });
    return rule == rules.end() ? nullptr : rule;
}

namespace {

// The "2" of "aten::max_pool2d": it has that many dimensions of positions.
void check_dimensions(const TapeRecorder &r, const Node *node) {
    const std::string name = node->kind().toUnqualString();
    if (name.size() < 2 || name.back() != 'd')
        return;
    const char digit = name[name.size() - 2];
    if (digit >= '1' && digit <= '3')
        require(r.sizes(node->input(0)).size() == static_cast<size_t>(digit - '0') + 2);
}

bool apply_one(TapeRecorder &recorder, TapeRules rules, const Node *node) {
    const TapeRule *rule = find_rule(rules, node);
    if (rule == nullptr)
        return false;
    check_dimensions(recorder, node);
    rule->apply(recorder, node);
    return true;
}

} // namespace

bool apply_rule(TapeRecorder &recorder, const Node *node) {
    // The results behind the first may be unknown.
    for (const TapeRules &rules : {recurrent_rules(), cell_rules(), reduction_rules()})
        if (apply_one(recorder, rules, node))
            return true;
    if (apply_along_rule(recorder, node))
        return true;
    require(node->outputs().size() <= 1);
    for (const TapeRules &rules :
         {TapeRules(kRules), window_rules(), upsampling_rules(), shape_rules(), joining_rules(),
          attention_rules(), question_rules(), mask_rules()})
        if (apply_one(recorder, rules, node))
            return true;
    return apply_function_rule(recorder, node) || apply_arithmetic_rule(recorder, node);
}

} // namespace neurotap
