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
Seen features(TapeRecorder &r, const Value *value) {
    const Seen seen = r.seen(value);
    return r.see_with_examples_beside(seen, seen.layout.sizes.size() - 1);
}

// [features of the result, features]
void put_linear(TapeRecorder &r, const Node *node, const Value *value, const at::Tensor &weight,
                const MaybeTensor &bias) {
    const Seen operand = features(r, value);
    require(weight.dim() == 2 && weight.size(1) == operand.layout.sizes.back());
    Layout result = operand.layout;
    result.sizes.back() = weight.size(0);
    r.put(node, make_linear(operand.layout.on_tape(), weight, bias), {operand.value}, result);
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

// rows, matrix
void matrix_product(TapeRecorder &r, const Node *node) {
    if (r.is_tensor(node->input(0)) && r.is_tensor(node->input(1)))
        return put_product_of_values(r, node);
    require(node->kind() != torch::jit::aten::mm || is_matrix(r, node->input(0)));
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
    r.put(node, make_batch_norm(norm), {r.tensor(node->input(0))}, operand);
}

// input, normalized_shape, weight, bias, eps, cudnn_enable
void layer_norm(TapeRecorder &r, const Node *node) {
    const Seen operand = features(r, node->input(0));
    const int64_t size = operand.layout.sizes.back();
    require(r.constant(node->input(1)).toIntVector() == Sizes{size});
    const TapeLayerNorm norm{r.bias(node->input(2), size), r.bias(node->input(3), size),
                             r.constant(node->input(4)).toDouble()};
    r.put(node, make_layer_norm(operand.layout.on_tape(), norm), {operand.value}, operand.layout);
}

// Statistics of the positions take at least one of them.
void put_group_norm(TapeRecorder &r, const Node *node, const TapeGroupNorm &norm) {
    const Sizes operand = r.sizes(node->input(0));
    require(operand.size() >= 3 && norm.groups > 0 && operand[1] % norm.groups == 0);
    r.put(node, make_group_norm(operand, norm), {r.tensor(node->input(0))}, operand);
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
    require(!r.constant(node->input(2)).toBool());
    r.put_same(node, node->input(0));
}

void same_memory(TapeRecorder &r, const Node *node) {
    r.put_view(node, node->input(0), r.seen(node->input(0)));
}

void copy(TapeRecorder &r, const Node *node) { r.put_copy(node, node->input(0)); }

// input, slopes
void prelu(TapeRecorder &r, const Node *node) {
    const Sizes operand = r.sizes(node->input(0));
    const at::Tensor slopes = r.weight(node->input(1));
    require(slopes.dim() <= 1 && (slopes.numel() == 1 || slopes.numel() == operand[1]));
    r.put(node, make_pointwise([slopes](const at::Tensor &x) { return at::prelu(x, slopes); }),
          {r.tensor(node->input(0))}, operand);
}

// ---- joining ----

// What joins values: a value, or what is the same for all examples.
struct Joined {
    c10::optional<Seen> seen;
    at::Tensor constant;
};

Joined read_joined(const TapeRecorder &r, const Recorded &item) {
    if (item.kind == Recorded::Kind::kTensor)
        return {r.seen(item), {}};
    return {c10::nullopt, r.weight(item)};
}

// Expanded weights have what they have for one example.
at::Tensor of_one_example(const at::Tensor &constant, const Layout &like) {
    const auto dim = static_cast<int64_t>(like.dim);
    require(constant.dim() == static_cast<int64_t>(like.sizes.size()));
    require(constant.size(dim) == like.sizes[like.dim]);
    require(constant.size(dim) == 1 || constant.stride(dim) == 0);
    return on_tape(constant.narrow(dim, 0, 1), like);
}

// The sizes must be those of the others but for the dimension that grows.
void join(Layout &result, const Sizes &sizes, size_t dim) {
    require(sizes.size() == result.sizes.size());
    const int64_t size = sizes[dim];
    Sizes expected = result.sizes;
    expected[dim] = size;
    require(sizes == expected);
    result.sizes[dim] += size;
}

struct Joint {
    std::vector<Joined> all;
    Layout like; // of the first value
};

Joint read_joint(const TapeRecorder &r, const Value *list) {
    Joint joint;
    bool found = false;
    for (const Recorded &item : r.items(list)) {
        joint.all.push_back(read_joined(r, item));
        if (joint.all.back().seen && !found)
            joint.like = joint.all.back().seen->layout;
        found = found || joint.all.back().seen.has_value();
    }
    require(found);
    return joint;
}

void put_joint(TapeRecorder &r, const Node *node, const Joint &joint, size_t dim) {
    const Layout &like = joint.like;
    Layout result = like;
    result.sizes[dim] = 0;
    std::vector<TapeJoined> parts;
    std::vector<size_t> operands;
    for (const Joined &joined : joint.all) {
        join(result, joined.seen ? joined.seen->layout.sizes : joined.constant.sizes().vec(), dim);
        if (!joined.seen) {
            parts.push_back({joined.constant.size(static_cast<int64_t>(dim)),
                             of_one_example(joined.constant, like)});
            continue;
        }
        const Seen seen = r.see_with_examples_in(*joined.seen, like.dim);
        require(seen.layout.before == like.before && seen.layout.after == like.after);
        parts.push_back({seen.layout.sizes[dim], {}});
        operands.push_back(seen.value);
    }
    r.put(node, make_concatenation(result.on_tape(), parts, like.dim_on_tape(dim)), operands,
          result);
}

// tensors, dim
void concatenate(TapeRecorder &r, const Node *node) {
    const Joint joint = read_joint(r, node->input(0));
    put_joint(r, node, joint, dim_of(r, node->input(1), joint.like.sizes.size()));
}

Layout with_dimension(Layout layout, size_t dim) {
    layout.sizes.insert(layout.sizes.begin() + static_cast<std::ptrdiff_t>(dim), 1);
    layout.dim += dim <= layout.dim ? 1 : 0;
    return layout;
}

// tensors, dim: one that is new
void stack(TapeRecorder &r, const Node *node) {
    Joint joint = read_joint(r, node->input(0));
    const size_t dim = dim_of(r, node->input(1), joint.like.sizes.size() + 1);
    joint.like = with_dimension(joint.like, dim);
    for (Joined &joined : joint.all)
        if (joined.seen)
            joined.seen = r.see(*joined.seen, with_dimension(joined.seen->layout, dim));
        else
            joined.constant = joined.constant.unsqueeze(static_cast<int64_t>(dim));
    put_joint(r, node, joint, dim);
}

constexpr TapeRule kRules[] = {
    {"aten::linear", linear},
    {"aten::mm", matrix_product},
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
    {"aten::cat", concatenate},
    {"aten::concat", concatenate},
    {"aten::stack", stack},
};

} // namespace

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

} // namespace

bool apply_rule(TapeRecorder &recorder, const Node *node) {
    if (const TapeRule *rule = find_rule(recurrent_rules(), node)) {
        rule->apply(recorder, node);
        return true;
    }
    for (const TapeRules &rules : {TapeRules(kRules), window_rules(), upsampling_rules(),
                                   shape_rules(), attention_rules(), question_rules()})
        if (const TapeRule *rule = find_rule(rules, node)) {
            require(node->outputs().size() == 1);
            check_dimensions(recorder, node);
            rule->apply(recorder, node);
            return true;
        }
    return apply_elementwise_rule(recorder, node);
}

} // namespace neurotap
