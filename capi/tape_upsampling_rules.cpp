// The rules for operators that make more positions of few.
#include "tape_recorder.hpp"

namespace neurotap {
namespace {

using torch::jit::Node;

// ---- transposed convolutions ----

struct TransposedInputs {
    std::vector<int64_t> stride, padding, output_padding, dilation;
    int64_t groups;
};

void put_transposed(TapeRecorder &r, const Node *node, const TransposedInputs &how) {
    const Sizes operand = r.sizes(node->input(0));
    const at::Tensor weight = r.weight(node->input(1));
    const Sizes kernel = weight.sizes().vec();
    require(operand.size() == kernel.size() && operand.size() >= 3 && operand[1] == kernel[0]);
    require(how.groups > 0 && kernel[0] % how.groups == 0);
    SlidingWindows windows;
    Sizes result{operand[0], product_of(kernel[1], how.groups)};
    for (size_t i = 0; i + 2 < operand.size(); ++i) {
        const int64_t extra = how.output_padding[i];
        require(how.padding[i] >= 0 && extra >= 0);
        require(extra < how.stride[i] || extra < how.dilation[i]);
        windows.push_back(checked(SlidingWindow{kernel[i + 2], how.stride[i], how.dilation[i],
                                                how.padding[i], operand[i + 2]}));
        (void)product_of(operand[i + 2], 2 * how.stride[i]);
        result.push_back((operand[i + 2] - 1) * how.stride[i] - 2 * how.padding[i] +
                         how.dilation[i] * (kernel[i + 2] - 1) + extra + 1);
        require(result.back() > 0);
    }
    const TapeConvolution parts{weight, r.bias(node->input(2), result[1]), how.groups,
                                r.weight_copies()};
    r.put_rows(node, make_transposed_convolution(windows, parts), result);
}

// input, weight, bias, stride, padding, output_padding, groups, dilation
void transposed_convolution_nd(TapeRecorder &r, const Node *node) {
    const size_t n = r.sizes(node->input(0)).size() - 2;
    put_transposed(r, node,
                   {r.ints(node->input(3), n), r.ints(node->input(4), n), r.ints(node->input(5), n),
                    r.ints(node->input(7), n), r.constant(node->input(6)).toInt()});
}

// ---- resampling ----

constexpr int64_t kMostElements = int64_t{1} << 21; // of a dimension's weights

// An argument of the operator, for one of its dimensions alone: the others have one position.
c10::IValue argument_for(const TapeRecorder &r, const Node *node, size_t i, size_t dim) {
    const size_t n = r.sizes(node->input(0)).size() - 2;
    const c10::IValue value = r.constant(node->input(i));
    if (value.isIntList()) {
        std::vector<int64_t> one(n, 1);
        require(value.toIntVector().size() == n);
        one[dim] = value.toIntVector()[dim];
        return one;
    }
    if (value.isDoubleList()) {
        std::vector<double> one(n, 1.0);
        require(value.toDoubleVector().size() == n);
        one[dim] = value.toDoubleVector()[dim];
        return one;
    }
    // Of the overload that has no list of factors, the last arguments are one for each dimension.
    const bool has_list = node->maybeSchema()->overload_name() == "vec";
    const size_t first_factor = node->inputs().size() - n;
    return has_list || i < first_factor || i == first_factor + dim ? value : c10::IValue();
}

// What the operator makes of rows along one dimension.
at::Tensor ask(const TapeRecorder &r, const Node *node, size_t dim, const at::Tensor &rows) {
    Sizes sizes(r.sizes(node->input(0)).size(), 1);
    sizes[1] = rows.size(0);
    sizes[dim + 2] = rows.size(1);
    torch::jit::Stack stack{rows.view(sizes)};
    for (size_t i = 1; i < node->inputs().size(); ++i)
        stack.push_back(argument_for(r, node, i, dim));
    node->getOperation()(stack);
    return stack.at(0).toTensor().flatten(2)[0];
}

// Where a nearest position was asked for by a factor that is not the ratio of the sizes, libtorch's
// own forward and backward passes choose different ones for these sizes.
bool is_ambiguous(const Node *node, const at::Tensor &weights) {
    const int64_t from = weights.size(0);
    const int64_t to = weights.size(1);
    if (std::string(node->kind().toUnqualString()).find("nearest") == std::string::npos ||
        (to != from && to != 2 * from))
        return false;
    const at::Tensor places = at::arange(to, at::kLong).div(to / from, "floor");
    return !weights.argmax(0).equal(places);
}

// [positions, positions of the result]: the operator is asked about positions that are 1 alone.
at::Tensor weights_of(const TapeRecorder &r, const Node *node, size_t dim, int64_t size) {
    const at::TensorOptions options(r.dtype());
    require(product_of(size, size) <= kMostElements);
    const int64_t result = ask(r, node, dim, at::zeros({1, size}, options)).size(1);
    require(product_of(size, result) <= kMostElements);
    at::Tensor weights = ask(r, node, dim, at::eye(size, options));
    require(!is_ambiguous(node, weights));
    r.count_bytes(weights.nbytes());
    return weights;
}

// input, output_size, …, scale_factors; or for the last a factor for each dimension
void resampling(TapeRecorder &r, const Node *node) {
    const Sizes operand = r.sizes(node->input(0));
    require(operand.size() >= 3 && node->maybeSchema() != nullptr);
    const std::string &overload = node->maybeSchema()->overload_name();
    require(overload == "vec" || (overload.empty() && node->inputs().size() >= operand.size()));
    std::vector<ResampledDimension> dimensions;
    Sizes result{operand[0], operand[1]};
    for (size_t i = 0; i + 2 < operand.size(); ++i) {
        const at::Tensor weights = weights_of(r, node, i, operand[i + 2]);
        dimensions.push_back(read_resampling(weights));
        result.push_back(weights.size(1));
    }
    r.put_rows(node, make_resampling(std::move(dimensions)), result);
}

constexpr TapeRule kRules[] = {
    {"aten::conv_transpose1d", transposed_convolution_nd},
    {"aten::conv_transpose2d", transposed_convolution_nd},
    {"aten::conv_transpose3d", transposed_convolution_nd},
    {"aten::upsample_nearest1d", resampling},
    {"aten::upsample_nearest2d", resampling},
    {"aten::upsample_nearest3d", resampling},
    {"aten::_upsample_nearest_exact1d", resampling},
    {"aten::_upsample_nearest_exact2d", resampling},
    {"aten::_upsample_nearest_exact3d", resampling},
    {"aten::upsample_linear1d", resampling},
    {"aten::upsample_bilinear2d", resampling},
    {"aten::upsample_trilinear3d", resampling},
    {"aten::upsample_bicubic2d", resampling},
};

} // namespace

// input, weight, bias, stride, padding, dilation, transposed, output_padding, groups, …
void put_transposed_convolution(TapeRecorder &r, const Node *node) {
    const size_t n = r.sizes(node->input(0)).size() - 2;
    put_transposed(r, node,
                   {r.ints(node->input(3), n), r.ints(node->input(4), n), r.ints(node->input(7), n),
                    r.ints(node->input(5), n), r.constant(node->input(8)).toInt()});
}

TapeRules upsampling_rules() { return kRules; }

} // namespace neurotap
