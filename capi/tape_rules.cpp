// For each ATen operator that a tape can have: what it becomes.
#include "tape_recorder.hpp"

#include <algorithm>

namespace neurotap {
namespace {

using torch::jit::Node;
using torch::jit::Value;
using Rule = void (*)(TapeRecorder &, const Node *);

void require(bool condition) {
    if (!condition)
        throw NotRecordable();
}

// ---- convolutions ----

struct ConvolutionInputs {
    std::vector<int64_t> stride, dilation;
    std::vector<int64_t> before, after; // padding
    int64_t groups;
};

void put_convolution(TapeRecorder &r, const Node *node, const ConvolutionInputs &how) {
    const Sizes operand = r.sizes(node->input(0));
    const at::Tensor weight = r.weight(node->input(1));
    const Sizes kernel = weight.sizes().vec();
    require(operand.size() == kernel.size() && operand.size() >= 3);
    require(operand[1] == kernel[1] * how.groups && kernel[0] % how.groups == 0);
    SlidingWindows windows;
    Sizes result{operand[0], kernel[0]};
    for (size_t i = 0; i + 2 < operand.size(); ++i) {
        windows.push_back(SlidingWindow{kernel[i + 2], how.stride[i], how.dilation[i],
                                        how.before[i], operand[i + 2]});
        const int64_t padded = operand[i + 2] + how.before[i] + how.after[i];
        require(how.stride[i] > 0 && how.before[i] >= 0);
        result.push_back(windows.back().outputs(0, padded, false));
    }
    const TapeConvolution parts{weight, r.maybe_weight(node->input(2)), how.groups,
                                r.keeps_weights()};
    r.put(node, make_convolution(windows, parts), {r.tensor(node->input(0))}, result);
}

// conv1d, conv2d, conv3d: input, weight, bias, stride, padding, dilation, groups
void convolution_nd(TapeRecorder &r, const Node *node) {
    const size_t n = r.sizes(node->input(0)).size() - 2;
    ConvolutionInputs how;
    how.stride = r.ints(node->input(3), n);
    how.dilation = r.ints(node->input(5), n);
    how.groups = r.constant(node->input(6)).toInt();
    const c10::IValue padding = r.constant(node->input(4));
    how.before.assign(n, 0);
    how.after = how.before;
    if (!padding.isString())
        how.after = how.before = r.ints(node->input(4), n);
    else if (padding.toStringRef() == "same")
        for (size_t i = 0; i < n; ++i) {
            const int64_t kernel = r.weight(node->input(1)).size(static_cast<int64_t>(i) + 2);
            how.before[i] = how.dilation[i] * (kernel - 1) / 2;
            how.after[i] = how.dilation[i] * (kernel - 1) - how.before[i];
        }
    put_convolution(r, node, how);
}

// input, weight, bias, stride, padding, dilation, transposed, output_padding, groups, …
void convolution(TapeRecorder &r, const Node *node) {
    const size_t n = r.sizes(node->input(0)).size() - 2;
    require(!r.constant(node->input(6)).toBool());
    ConvolutionInputs how;
    how.stride = r.ints(node->input(3), n);
    how.after = how.before = r.ints(node->input(4), n);
    how.dilation = r.ints(node->input(5), n);
    how.groups = r.constant(node->input(8)).toInt();
    put_convolution(r, node, how);
}

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
    put_linear(r, node, node->input(0), r.weight(node->input(1)), r.maybe_weight(node->input(2)));
}

// A dense layer as older versions write it, with the weight transposed by another node.
at::Tensor matrix(const TapeRecorder &r, const Value *value) {
    const at::Tensor matrix = r.weight(value);
    require(matrix.dim() == 2);
    return matrix.t();
}

// rows, matrix
void matrix_product(TapeRecorder &r, const Node *node) {
    put_linear(r, node, node->input(0), matrix(r, node->input(1)), c10::nullopt);
}

// bias, rows, matrix, beta, alpha
void product_and_bias(TapeRecorder &r, const Node *node) {
    const at::Tensor bias = r.weight(node->input(0));
    require(bias.dim() == 1 && r.constant(node->input(3)).toScalar().equal(1) &&
            r.constant(node->input(4)).toScalar().equal(1));
    put_linear(r, node, node->input(1), matrix(r, node->input(2)), bias);
}

// ---- pooling ----

struct PoolWindows {
    SlidingWindows windows;
    Sizes result;
};

PoolWindows pool_windows(const TapeRecorder &r, const Node *node, const Value *dilation,
                         bool round_up) {
    const Sizes &operand = r.sizes(node->input(0));
    require(operand.size() >= 3);
    const size_t n = operand.size() - 2;
    const auto kernel = r.ints(node->input(1), n);
    const c10::IValue strides = r.constant(node->input(2));
    const bool default_stride = strides.isList() && strides.toListRef().empty();
    const auto stride = default_stride ? kernel : r.ints(node->input(2), n);
    const auto padding = r.ints(node->input(3), n);
    const auto dilations = dilation != nullptr ? r.ints(dilation, n) : std::vector<int64_t>(n, 1);
    PoolWindows pool{{}, {operand[0], operand[1]}};
    for (size_t i = 0; i < n; ++i) {
        require(stride[i] > 0 && padding[i] >= 0 && padding[i] <= kernel[i] / 2);
        pool.windows.push_back(
            SlidingWindow{kernel[i], stride[i], dilations[i], padding[i], operand[i + 2]});
        pool.result.push_back(pool.windows.back().outputs(padding[i], operand[i + 2], round_up));
    }
    return pool;
}

// input, kernel_size, stride, padding, dilation, ceil_mode
void max_pool(TapeRecorder &r, const Node *node) {
    const bool round_up = r.constant(node->input(5)).toBool();
    const PoolWindows pool = pool_windows(r, node, node->input(4), round_up);
    r.put(node, make_max_pool(pool.windows, round_up), {r.tensor(node->input(0))}, pool.result);
}

// input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
void average_pool(TapeRecorder &r, const Node *node) {
    AverageOptions options{r.constant(node->input(5)).toBool(), r.constant(node->input(4)).toBool(),
                           c10::nullopt};
    if (node->inputs().size() > 6 && !r.constant(node->input(6)).isNone())
        options.divisor = r.constant(node->input(6)).toInt();
    const PoolWindows pool = pool_windows(r, node, nullptr, options.round_up);
    const Sizes operand = r.sizes(node->input(0));
    r.put(node, make_average_pool(pool.windows, operand, options), {r.tensor(node->input(0))},
          pool.result);
}

// input, output_size
void adaptive_average_pool(TapeRecorder &r, const Node *node) {
    const Sizes operand = r.sizes(node->input(0));
    require(operand.size() >= 3);
    const auto size = r.ints(node->input(1), operand.size() - 2);
    Sizes result{operand[0], operand[1]};
    result.insert(result.end(), size.begin(), size.end());
    const Pool pool = [size](const at::Tensor &whole) {
        switch (size.size()) {
        case 1:
            return at::adaptive_avg_pool1d(whole, size);
        case 2:
            return at::adaptive_avg_pool2d(whole, size);
        default:
            return at::adaptive_avg_pool3d(whole, size);
        }
    };
    r.put(node, make_whole_pool(operand, pool), {r.tensor(node->input(0))}, result);
}

// input, dim, keepdim, dtype: over all positions
void mean(TapeRecorder &r, const Node *node) {
    const Sizes operand = r.sizes(node->input(0));
    require(node->inputs().size() == 4 && r.constant(node->input(3)).isNone());
    auto dims = r.constant(node->input(1)).toIntVector();
    const auto ndim = static_cast<int64_t>(operand.size());
    for (int64_t &dim : dims)
        dim += dim < 0 ? ndim : 0;
    std::sort(dims.begin(), dims.end());
    require(dims.size() + 2 == operand.size() && !dims.empty());
    for (size_t i = 0; i < dims.size(); ++i)
        require(dims[i] == static_cast<int64_t>(i) + 2);
    const bool keeps = r.constant(node->input(2)).toBool();
    Sizes result(keeps ? operand.size() : 2, 1);
    std::copy(operand.begin(), operand.begin() + 2, result.begin());
    const Pool pool = [dims, keeps](const at::Tensor &whole) { return whole.mean(dims, keeps); };
    r.put(node, make_whole_pool(operand, pool), {r.tensor(node->input(0))}, result);
}

// ---- normalisation ----

// input, weight, bias, running_mean, running_var, training, momentum, eps, cudnn_enabled
void batch_norm(TapeRecorder &r, const Node *node) {
    const Sizes operand = r.sizes(node->input(0));
    require(!r.constant(node->input(5)).toBool());
    const TapeBatchNorm norm{r.maybe_weight(node->input(1)),
                             r.maybe_weight(node->input(2)),
                             r.weight(node->input(3)),
                             r.weight(node->input(4)),
                             r.constant(node->input(7)).toDouble(),
                             r.keeps_weights()};
    require(norm.mean.numel() == operand[1]);
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

// ---- padding ----

struct Pads {
    std::vector<int64_t> before, after; // for each dimension of positions
};

// As libtorch takes them: from the last dimension on.
Pads read_pads(const TapeRecorder &r, const Value *value, size_t n) {
    const auto list = r.constant(value).toIntVector();
    Pads pads{std::vector<int64_t>(n, 0), std::vector<int64_t>(n, 0)};
    require(list.size() % 2 == 0 && list.size() / 2 <= n);
    for (size_t i = 0; i < list.size() / 2; ++i) {
        pads.before[n - 1 - i] = list[2 * i];
        pads.after[n - 1 - i] = list[2 * i + 1];
    }
    return pads;
}

void put_constant_pad(TapeRecorder &r, const Node *node, const Pads &pads, double value) {
    Sizes result = r.sizes(node->input(0));
    SlidingWindows windows;
    for (size_t i = 0; i + 2 < result.size(); ++i) {
        windows.push_back(SlidingWindow{1, 1, 1, pads.before[i], result[i + 2]});
        result[i + 2] += pads.before[i] + pads.after[i];
    }
    r.put(node, make_constant_pad(windows, value), {r.tensor(node->input(0))}, result);
}

// Where position i of a dimension of this size lies, seen from outside.
int64_t mirrored(int64_t i, int64_t size) {
    if (i < 0)
        i = -i;
    return i < size ? i : 2 * (size - 1) - i;
}
int64_t nearest(int64_t i, int64_t size) { return std::clamp<int64_t>(i, 0, size - 1); }
int64_t wrapped(int64_t i, int64_t size) { return (i + size) % size; }

void put_gather_pad(TapeRecorder &r, const Node *node, const Pads &pads,
                    int64_t (*source)(int64_t, int64_t), int64_t spare) {
    Sizes result = r.sizes(node->input(0));
    std::vector<std::vector<int64_t>> sources;
    for (size_t i = 0; i + 2 < result.size(); ++i) {
        const int64_t size = result[i + 2];
        require(std::max(pads.before[i], pads.after[i]) <= size - spare);
        sources.emplace_back();
        for (int64_t place = -pads.before[i]; place < size + pads.after[i]; ++place)
            sources.back().push_back(source(place, size));
        result[i + 2] = static_cast<int64_t>(sources.back().size());
    }
    r.put(node, make_gather(sources), {r.tensor(node->input(0))}, result);
}

void put_pad(TapeRecorder &r, const Node *node, const std::string &mode, double value) {
    const Pads pads = read_pads(r, node->input(1), r.sizes(node->input(0)).size() - 2);
    if (mode == "constant")
        put_constant_pad(r, node, pads, value);
    else if (mode == "reflect")
        put_gather_pad(r, node, pads, mirrored, 1);
    else if (mode == "replicate")
        put_gather_pad(r, node, pads, nearest, std::numeric_limits<int32_t>::min());
    else if (mode == "circular")
        put_gather_pad(r, node, pads, wrapped, 0);
    else
        throw NotRecordable();
}

double number_or_zero(const TapeRecorder &r, const Value *value) {
    const c10::IValue number = r.constant(value);
    return number.isNone() ? 0 : number.toScalar().toDouble();
}

// input, pad, mode, value
void pad(TapeRecorder &r, const Node *node) {
    put_pad(r, node, r.constant(node->input(2)).toStringRef(), number_or_zero(r, node->input(3)));
}

// input, pad, value
void constant_pad(TapeRecorder &r, const Node *node) {
    put_pad(r, node, "constant", number_or_zero(r, node->input(2)));
}

void reflection_pad(TapeRecorder &r, const Node *node) { put_pad(r, node, "reflect", 0); }
void replication_pad(TapeRecorder &r, const Node *node) { put_pad(r, node, "replicate", 0); }

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

void dim(TapeRecorder &r, const Node *node) {
    r.put_constant(node, static_cast<int64_t>(r.sizes(node->input(0)).size()));
}

void is_none(TapeRecorder &r, const Node *node) {
    require(r.is_tensor(node->input(0)) && r.constant(node->input(1)).isNone());
    r.put_constant(node, node->kind() == torch::jit::aten::__isnot__);
}

struct NamedRule {
    const char *name;
    Rule rule;
};

constexpr NamedRule kRules[] = {
    {"aten::conv1d", convolution_nd},
    {"aten::conv2d", convolution_nd},
    {"aten::conv3d", convolution_nd},
    {"aten::_convolution_mode", convolution_nd},
    {"aten::convolution", convolution},
    {"aten::_convolution", convolution},
    {"aten::linear", linear},
    {"aten::mm", matrix_product},
    {"aten::matmul", matrix_product},
    {"aten::addmm", product_and_bias},
    {"aten::max_pool1d", max_pool},
    {"aten::max_pool2d", max_pool},
    {"aten::max_pool3d", max_pool},
    {"aten::avg_pool1d", average_pool},
    {"aten::avg_pool2d", average_pool},
    {"aten::avg_pool3d", average_pool},
    {"aten::adaptive_avg_pool1d", adaptive_average_pool},
    {"aten::adaptive_avg_pool2d", adaptive_average_pool},
    {"aten::adaptive_avg_pool3d", adaptive_average_pool},
    {"aten::mean", mean},
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
    {"aten::pad", pad},
    {"aten::constant_pad_nd", constant_pad},
    {"aten::reflection_pad1d", reflection_pad},
    {"aten::reflection_pad2d", reflection_pad},
    {"aten::reflection_pad3d", reflection_pad},
    {"aten::replication_pad1d", replication_pad},
    {"aten::replication_pad2d", replication_pad},
    {"aten::replication_pad3d", replication_pad},
    {"aten::size", size},
    {"aten::dim", dim},
    {"aten::__is__", is_none},
    {"aten::__isnot__", is_none},
};

} // namespace

bool apply_rule(TapeRecorder &recorder, const Node *node) {
    if (apply_upsampling_rule(recorder, node) || apply_shape_rule(recorder, node))
        return true;
    const std::string name = node->kind().toQualString();
    const auto *rule = std::find_if(std::begin(kRules), std::end(kRules),
                                    [&](const NamedRule &known) { return name == known.name; });
    if (rule == std::end(kRules) || node->outputs().size() != 1)
        return apply_elementwise_rule(recorder, node);
    rule->rule(recorder, node);
    return true;
}

} // namespace neurotap
