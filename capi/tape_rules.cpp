// For each ATen operator that a tape can have: what it becomes. Here those that are in none of the
// other files of rules.
#include "tape_recorder.hpp"

#include <algorithm>

namespace neurotap {
namespace {

using torch::jit::Node;
using torch::jit::Value;

// ---- dense layers ----

// [features of the result, features]
void put_linear(TapeRecorder &r, const Node *node, const Value *value, const at::Tensor &weight,
                const MaybeTensor &bias) {
    const Sizes operand = r.sizes(value);
    require(weight.dim() == 2 && weight.size(1) == operand.back());
    Sizes result = operand;
    result.back() = weight.size(0);
    r.put(node, make_linear(operand, weight, bias), {r.tensor(value)}, result);
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

// rows, matrix
void matrix_product(TapeRecorder &r, const Node *node) {
    require(node->kind() != torch::jit::aten::mm || r.sizes(node->input(0)).size() == 2);
    put_linear(r, node, node->input(0), matrix(r, node->input(1)), c10::nullopt);
}

// bias, rows, matrix, beta, alpha
void product_and_bias(TapeRecorder &r, const Node *node) {
    const at::Tensor weight = matrix(r, node->input(2));
    const MaybeTensor bias = r.bias(node->input(0), weight.size(0));
    require(bias && r.sizes(node->input(1)).size() == 2 &&
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
    const Sizes operand = r.sizes(node->input(0));
    require(r.constant(node->input(1)).toIntVector() == Sizes{operand.back()});
    const TapeLayerNorm norm{r.maybe_weight(node->input(2)), r.maybe_weight(node->input(3)),
                             r.constant(node->input(4)).toDouble()};
    for (const MaybeTensor &weight : {norm.weight, norm.bias})
        require(!weight || (weight->dim() == 1 && weight->numel() == operand.back()));
    r.put(node, make_layer_norm(operand, norm), {r.tensor(node->input(0))}, operand);
}

// input, p, train
void dropout(TapeRecorder &r, const Node *node) {
    require(!r.constant(node->input(2)).toBool());
    r.put_same(node, node->input(0));
}

void same_memory(TapeRecorder &r, const Node *node) {
    require(r.is_tensor(node->input(0)));
    r.put_view(node, node->input(0), r.tensor(node->input(0)));
}

void copy(TapeRecorder &r, const Node *node) { r.put_copy(node, node->input(0)); }

// ---- over channels ----

// input, dim, dtype
void put_softmax(TapeRecorder &r, const Node *node, bool logarithmic) {
    const Sizes operand = r.sizes(node->input(0));
    const int64_t dim = r.constant(node->input(1)).toInt();
    require(r.constant(node->input(2)).isNone());
    require(dim == 1 || dim + static_cast<int64_t>(operand.size()) == 1);
    r.put(node, make_softmax(logarithmic), {r.tensor(node->input(0))}, operand);
}

void softmax(TapeRecorder &r, const Node *node) { put_softmax(r, node, false); }
void log_softmax(TapeRecorder &r, const Node *node) { put_softmax(r, node, true); }

// input, slopes
void prelu(TapeRecorder &r, const Node *node) {
    const Sizes operand = r.sizes(node->input(0));
    const at::Tensor slopes = r.weight(node->input(1));
    require(slopes.dim() <= 1 && (slopes.numel() == 1 || slopes.numel() == operand[1]));
    r.put(node, make_pointwise([slopes](const at::Tensor &x) { return at::prelu(x, slopes); }),
          {r.tensor(node->input(0))}, operand);
}

// ---- joining ----

// tensors, dim
void concatenate(TapeRecorder &r, const Node *node) {
    const auto operands = r.tensors(node->input(0));
    require(!operands.empty());
    std::vector<Sizes> sizes;
    Sizes result = r.sizes_of_value(operands[0]);
    result[1] = 0;
    for (const size_t operand : operands) {
        sizes.push_back(r.sizes_of_value(operand));
        Sizes expected = result;
        result[1] += sizes.back()[1];
        expected[1] = sizes.back()[1];
        require(sizes.back() == expected);
    }
    const int64_t dim = r.constant(node->input(1)).toInt();
    require(dim == 1 || dim + static_cast<int64_t>(result.size()) == 1);
    r.put(node, make_concatenation(sizes), operands, result);
}

// ---- questions about shapes ----

void size(TapeRecorder &r, const Node *node) {
    const Sizes sizes = r.sizes(node->input(0));
    if (node->inputs().size() == 1)
        return r.put_constant(node, c10::List<int64_t>(sizes));
    const int64_t dim = r.constant(node->input(1)).toInt();
    const auto ndim = static_cast<int64_t>(sizes.size());
    require(dim >= -ndim && dim < ndim);
    r.put_constant(node, sizes[static_cast<size_t>(dim < 0 ? dim + ndim : dim)]);
}

void numel(TapeRecorder &r, const Node *node) {
    r.put_constant(node, c10::multiply_integers(r.sizes(node->input(0))));
}

void length(TapeRecorder &r, const Node *node) { r.put_constant(node, r.sizes(node->input(0))[0]); }

void dtype(TapeRecorder &r, const Node *node) {
    require(r.is_tensor(node->input()));
    r.put_constant(node, static_cast<int64_t>(r.dtype()));
}

// input, dtype, non_blocking, copy, …: to what it is already
void convert(TapeRecorder &r, const Node *node) {
    const std::string &overload = node->maybeSchema()->overload_name();
    require(r.is_tensor(node->input(0)) && (overload == "dtype" || overload == "prim_dtype"));
    require(r.constant(node->input(1)).toInt() == static_cast<int64_t>(r.dtype()));
    require(!r.constant(node->input(3)).toBool());
    r.put_same(node, node->input(0));
}

// input, other
void convert_like(TapeRecorder &r, const Node *node) {
    require(r.is_tensor(node->input(0)) && r.is_tensor(node->input(1)));
    r.put_same(node, node->input(0));
}

void dim(TapeRecorder &r, const Node *node) {
    r.put_constant(node, static_cast<int64_t>(r.sizes(node->input(0)).size()));
}

void is_none(TapeRecorder &r, const Node *node) {
    require(r.is_tensor(node->input(0)) && r.constant(node->input(1)).isNone());
    r.put_constant(node, node->kind() == torch::jit::aten::__isnot__);
}

constexpr TapeRule kRules[] = {
    {"aten::linear", linear},
    {"aten::mm", matrix_product},
    {"aten::matmul", matrix_product},
    {"aten::addmm", product_and_bias},
    {"aten::batch_norm", batch_norm},
    {"aten::layer_norm", layer_norm},
    {"aten::dropout", dropout},
    {"aten::dropout_", dropout},
    {"aten::feature_dropout", dropout},
    {"aten::feature_dropout_", dropout},
    {"aten::alpha_dropout", dropout},
    {"aten::alpha_dropout_", dropout},
    {"aten::feature_alpha_dropout", dropout},
    {"aten::contiguous", same_memory},
    {"aten::clone", copy},
    {"aten::softmax", softmax},
    {"aten::log_softmax", log_softmax},
    {"aten::prelu", prelu},
    {"aten::cat", concatenate},
    {"aten::concat", concatenate},
    {"aten::size", size},
    {"aten::dim", dim},
    {"aten::numel", numel},
    {"aten::len", length},
    {"prim::dtype", dtype},
    {"aten::to", convert},
    {"aten::type_as", convert_like},
    {"aten::__is__", is_none},
    {"aten::__isnot__", is_none},
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
    for (const TapeRules &rules :
         {TapeRules(kRules), window_rules(), upsampling_rules(), shape_rules()})
        if (const TapeRule *rule = find_rule(rules, node)) {
            require(node->outputs().size() == 1);
            check_dimensions(recorder, node);
            rule->apply(recorder, node);
            return true;
        }
    return apply_elementwise_rule(recorder, node);
}

} // namespace neurotap
