// The operators that a tape can have.
#pragma once

#include "kept_tensor.hpp"
#include "sliding_window.hpp"
#include "tape.hpp"

#include <array>
#include <functional>

namespace neurotap {

using TapeOperatorPtr = std::unique_ptr<const TapeOperator>;
using MaybeTensor = c10::optional<at::Tensor>;

// tape_convolution.cpp: of one to three dimensions, not transposed.
struct TapeConvolution {
    at::Tensor weight;
    MaybeTensor bias;
    int64_t groups;
    WeightCopies *copies; // NULL if none may be kept
};
TapeOperatorPtr make_convolution(const SlidingWindows &windows, const TapeConvolution &how);

// tape_transposed_convolution.cpp: each window's `before` and `input` are those of the operator.
TapeOperatorPtr make_transposed_convolution(const SlidingWindows &windows,
                                            const TapeConvolution &how);

bool has_onednn(const at::Tensor &tensor); // whether oneDNN can compute with it

// tape_features.cpp: over the last dimension.
TapeOperatorPtr make_linear(const Sizes &operand, const at::Tensor &weight,
                            const MaybeTensor &bias);
struct TapeLayerNorm {
    MaybeTensor weight, bias;
    double epsilon;
};
TapeOperatorPtr make_layer_norm(const Sizes &operand, const TapeLayerNorm &norm);

// tape_group_norm.cpp: with the statistics of the positions of each group of channels.
struct TapeGroupNorm {
    int64_t groups;
    MaybeTensor weight, bias;
    double epsilon;
};
TapeOperatorPtr make_group_norm(const Sizes &operand, const TapeGroupNorm &norm);

// tape_attention.cpp: of matrices in the last two dimensions; over one dimension.
TapeOperatorPtr make_matrix_product(const Sizes &a); // the first one's sizes
TapeOperatorPtr make_softmax(const Sizes &operand, size_t dim, bool logarithmic);

// tape_recurrent.cpp: [examples, times, features] to the states after each time, which are zeros at
// first; of an LSTM the hidden ones and the cells, side by side.
enum class TapeCell { kLstm, kGru, kTanh, kRelu };
struct TapeRecurrence {
    at::Tensor of_input, of_state; // [gates · states, features or states]
    MaybeTensor bias_of_input, bias_of_state;
    bool backwards; // from the last time to the first
};
TapeOperatorPtr make_recurrent(const Sizes &operand, TapeCell cell, const TapeRecurrence &how);

// tape_reduction.cpp: the dimensions stay, with one place each.
TapeOperatorPtr make_reduction(const Sizes &operand, const std::vector<int64_t> &dims,
                               bool averages);

// tape_along.cpp: a function along dimensions of the tape, of which only they may change their
// size.
using Pointwise = std::function<at::Tensor(const at::Tensor &)>;
TapeOperatorPtr make_along(const Sizes &operand, const Sizes &result,
                           const std::vector<int64_t> &dims, const Pointwise &function);

// tape_folded.cpp: the operator on each of an example's parts, of one or two dimensions.
TapeOperatorPtr make_folded(TapeOperatorPtr op, size_t n_parts, const Sizes &operand,
                            const Sizes &result);

// tape_pooling.cpp
TapeOperatorPtr make_max_pool(const SlidingWindows &windows, bool round_up);
struct AverageOptions {
    bool counts_padding, round_up;
    c10::optional<int64_t> divisor;
};
TapeOperatorPtr make_average_pool(const SlidingWindows &windows, const Sizes &operand,
                                  const AverageOptions &options);
// A linear operator that looks at all positions.
using Pool = std::function<at::Tensor(const at::Tensor &whole)>;
TapeOperatorPtr make_whole_pool(const Sizes &operand, const Pool &pool);

// tape_resampling.cpp: what the k-th summand of each result is taken from, and times what.
struct ResampledDimension {
    at::Tensor places, weights;       // [summands, results]
    std::vector<int64_t> first, last; // of each result's places
};
// Of what each position adds to each result: [positions, results].
ResampledDimension read_resampling(const at::Tensor &weights);
TapeOperatorPtr make_resampling(std::vector<ResampledDimension> dimensions);

// tape_pointwise.cpp
TapeOperatorPtr make_relu();
TapeOperatorPtr make_hardtanh(const at::Scalar &low, const at::Scalar &high);
TapeOperatorPtr make_sigmoid();
TapeOperatorPtr make_tanh();
TapeOperatorPtr make_pointwise(const Pointwise &function);
// The gradient times the derivative at x; result and gradient may be the same.
using PointwiseBackward =
    std::function<void(at::Tensor &result, const at::Tensor &gradient, const at::Tensor &x)>;
TapeOperatorPtr make_activation(const Pointwise &function, const PointwiseBackward &backward);
struct TapeBatchNorm {
    MaybeTensor weight, bias;
    at::Tensor mean, variance;
    double epsilon;
    bool keeps_weights; // whether copies of them may be kept
};
TapeOperatorPtr make_batch_norm(const TapeBatchNorm &norm);

// tape_arithmetic.cpp: a value and a value, or a value and a constant; of such sizes that they
// broadcast.
TapeOperatorPtr make_sum(const Sizes &a, const Sizes &b, const Sizes &result,
                         const at::Scalar &weight_of_b);
TapeOperatorPtr make_product(const Sizes &a, const Sizes &b, const Sizes &result);
TapeOperatorPtr make_quotient(const Sizes &a, const Sizes &b, const Sizes &result);
// Any function of two elements, differentiated by autograd.
using OfTwo = at::Tensor (*)(const at::Tensor &, const at::Tensor &);
TapeOperatorPtr make_of_two(const Sizes &a, const Sizes &b, const Sizes &result, OfTwo function);
TapeOperatorPtr make_expansion(const Sizes &operand, const Sizes &result);
// `function` of a value and a constant, which is linear in the value but for an offset; `reverse`
// is what it makes of a gradient.
using WithConstant = std::function<at::Tensor(const at::Tensor &, const at::Tensor &constant)>;
struct ConstantOperation {
    at::Tensor constant; // a number, or a tensor
    WithConstant function, reverse;
};
TapeOperatorPtr make_with_constant(const Sizes &operand, const Sizes &result,
                                   const ConstantOperation &operation);

// tape_masks.cpp
using Asked = std::function<at::Tensor(const std::vector<at::Tensor> &)>;
TapeOperatorPtr make_question(const std::vector<Sizes> &operands, const Sizes &result,
                              const Asked &asked);
// A value of these sizes, or a constant with the tape's dimensions.
struct ChoicePart {
    Sizes sizes;
    at::Tensor constant;
};
// Of a mask, what is taken where it is set, and elsewhere.
TapeOperatorPtr make_choice(const std::array<ChoicePart, 3> &parts, const Sizes &result);

// tape_shape.cpp
struct TapeJoined {
    int64_t count;       // of places in the dimension that grows
    at::Tensor constant; // undefined for an operand
};
TapeOperatorPtr make_concatenation(const Sizes &result, const std::vector<TapeJoined> &parts,
                                   size_t dim);
TapeOperatorPtr make_constant_pad(const SlidingWindows &windows, double value);
// Result position i of dimension d is operand position sources[d][i].
TapeOperatorPtr make_gather(const std::vector<std::vector<int64_t>> &sources);

// tape_rearrangement.cpp: all keep the examples apart.
TapeOperatorPtr make_reshape(const Sizes &operand, const Sizes &result);
TapeOperatorPtr make_permutation(const Sizes &operand, const std::vector<int64_t> &order);
struct TapeSlice {
    int64_t operand, start, step, count; // of a dimension that has `operand` places
};
TapeOperatorPtr make_slice(const std::vector<TapeSlice> &dimensions); // without the examples'
TapeOperatorPtr make_pixel_shuffle(int64_t factor);

// tape_shape.cpp: the reverse of an operator that is linear, found by autograd.
at::Tensor transpose(const Pointwise &linear, const Sizes &operand, const at::Tensor &gradient);

// tape_run.cpp: whether nobody else holds the tensor's memory, so that it may be overwritten.
bool is_ours_alone(const at::Tensor &tensor);
// The same tensor. libtorch lets a view hold on to what it is a view of, which looks as if somebody
// else had it.
at::Tensor without_base(at::Tensor tensor);

} // namespace neurotap
