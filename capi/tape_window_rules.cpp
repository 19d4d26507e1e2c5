// The rules for operators that slide a window over positions: convolutions, pooling, padding.
#include "tape_recorder.hpp"

#include <algorithm>

namespace neurotap {
namespace {

using torch::jit::Node;
using torch::jit::Value;

constexpr double kFewPadded = 1 << 16; // positions
constexpr double kMostPadded = 64;     // for each that is there

// Of a value that is mostly padding windows would take memory that libtorch does without.
void require_little_padding(const SlidingWindows &windows) {
    double there = 1;
    double padded = 1;
    for (const SlidingWindow &window : windows) {
        there *= static_cast<double>(window.input);
        padded *= static_cast<double>(window.input + 2 * window.before);
    }
    require(padded <= kFewPadded || padded <= kMostPadded * there);
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
    require(how.groups > 0 && operand[1] == product_of(kernel[1], how.groups) &&
            kernel[0] % how.groups == 0);
    SlidingWindows windows;
    Sizes result{operand[0], kernel[0]};
    for (size_t i = 0; i + 2 < operand.size(); ++i) {
        require(how.before[i] >= 0 && how.after[i] >= 0);
        windows.push_back(checked(SlidingWindow{kernel[i + 2], how.stride[i], how.dilation[i],
                                                how.before[i], operand[i + 2]}));
        const int64_t padded = operand[i + 2] + how.before[i] + how.after[i];
        result.push_back(windows.back().outputs(0, padded, false));
    }
    require_little_padding(windows);
    const TapeConvolution parts{weight, r.bias(node->input(2), kernel[0]), how.groups,
                                r.weight_copies()};
    r.put_rows(node, make_convolution(windows, parts), result);
}

void pad_to_same(const Sizes &kernel, ConvolutionInputs &how) {
    require(kernel.size() == how.stride.size() + 2);
    for (size_t i = 0; i < how.stride.size(); ++i) {
        const int64_t reach = product_of(how.dilation[i], kernel[i + 2] - 1);
        require(how.stride[i] == 1);
        how.before[i] = reach / 2;
        how.after[i] = reach - how.before[i];
    }
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
        pad_to_same(r.weight(node->input(1)).sizes().vec(), how);
    else
        require(padding.toStringRef() == "valid");
    put_convolution(r, node, how);
}

// input, weight, bias, stride, padding, dilation, transposed, output_padding, groups, …
void convolution(TapeRecorder &r, const Node *node) {
    const size_t n = r.sizes(node->input(0)).size() - 2;
    if (r.constant(node->input(6)).toBool())
        return put_transposed_convolution(r, node);
    ConvolutionInputs how;
    how.stride = r.ints(node->input(3), n);
    how.after = how.before = r.ints(node->input(4), n);
    how.dilation = r.ints(node->input(5), n);
    how.groups = r.constant(node->input(8)).toInt();
    put_convolution(r, node, how);
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
        require(padding[i] >= 0 && padding[i] <= kernel[i] / 2);
        pool.windows.push_back(
            checked(SlidingWindow{kernel[i], stride[i], dilations[i], padding[i], operand[i + 2]}));
        pool.result.push_back(pool.windows.back().outputs(padding[i], operand[i + 2], round_up));
    }
    require_little_padding(pool.windows);
    return pool;
}

// max_pool() looks itself.
void pool_dilation(TapeRecorder &r, const Node *node) {
    r.put_constant(node, r.constant(node->input(4)));
}

// input, kernel_size, stride, padding, dilation, ceil_mode
void max_pool(TapeRecorder &r, const Node *node) {
    const bool round_up = r.constant(node->input(5)).toBool();
    const PoolWindows pool = pool_windows(r, node, node->input(4), round_up);
    for (const SlidingWindow &window : pool.windows)
        require(!window.misses());
    r.put_rows(node, make_max_pool(pool.windows, round_up), pool.result);
}

// input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
void average_pool(TapeRecorder &r, const Node *node) {
    AverageOptions options{r.constant(node->input(5)).toBool(), r.constant(node->input(4)).toBool(),
                           c10::nullopt};
    if (node->inputs().size() > 6 && !r.constant(node->input(6)).isNone())
        options.divisor = r.constant(node->input(6)).toInt();
    const PoolWindows pool = pool_windows(r, node, nullptr, options.round_up);
    const Sizes operand = r.sizes(node->input(0));
    r.put_rows(node, make_average_pool(pool.windows, operand, options), pool.result);
}

// input, output_size
void adaptive_average_pool(TapeRecorder &r, const Node *node) {
    const Sizes operand = r.sizes(node->input(0));
    require(operand.size() >= 3);
    const Sizes size = r.constant(node->input(1)).toIntVector();
    require(size.size() == operand.size() - 2);
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
    r.put_rows(node, make_whole_pool(operand, pool), result);
}

// ---- padding ----

struct Pads {
    std::vector<int64_t> before, after; // for each dimension of positions
};

// As libtorch takes them: from the last dimension on.
Pads read_pads(const std::vector<int64_t> &list, size_t n) {
    Pads pads{std::vector<int64_t>(n, 0), std::vector<int64_t>(n, 0)};
    require(list.size() <= 2 * n);
    for (size_t i = 0; i < list.size() / 2; ++i) {
        pads.before[n - 1 - i] = list[2 * i];
        pads.after[n - 1 - i] = list[2 * i + 1];
    }
    return pads;
}

constexpr int64_t kMostPadding = int64_t{1} << 20;

void put_constant_pad(TapeRecorder &r, const Node *node, const Seen &operand, const Pads &pads,
                      double value) {
    Sizes result = operand.layout.sizes;
    SlidingWindows windows;
    for (size_t i = 0; i + 2 < result.size(); ++i) {
        require(pads.after[i] >= -result[i + 2] && pads.after[i] <= kMostPadding);
        windows.push_back(checked(SlidingWindow{1, 1, 1, pads.before[i], result[i + 2]}));
        result[i + 2] += pads.before[i] + pads.after[i];
    }
    r.put_made(node, r.add_rows(make_constant_pad(windows, value), operand, result));
}

constexpr int64_t kMostPositions = int64_t{1} << 24; // whose sources are written down

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
        const int64_t most = std::min(size - spare, kMostPadding);
        require(pads.before[i] > -size && pads.before[i] <= most);
        require(pads.after[i] > -size && pads.after[i] <= most && size <= kMostPositions);
        r.count_bytes(static_cast<size_t>(size + 2 * kMostPadding) * sizeof(int64_t));
        sources.emplace_back();
        for (int64_t place = -pads.before[i]; place < size + pads.after[i]; ++place)
            sources.back().push_back(source(place, size));
        result[i + 2] = static_cast<int64_t>(sources.back().size());
    }
    r.put_rows(node, make_gather(sources), result);
}

bool none_is_cropped(const Pads &pads) {
    const auto is_kept = [](int64_t pad) { return pad >= 0; };
    return std::all_of(pads.before.begin(), pads.before.end(), is_kept) &&
           std::all_of(pads.after.begin(), pads.after.end(), is_kept);
}

bool are_all(const std::vector<int64_t> &pads, int64_t value) {
    return std::all_of(pads.begin(), pads.end(), [=](int64_t pad) { return pad == value; });
}

// Channels are no positions: constants are put in front of them and behind.
Seen add_channel_pad(TapeRecorder &r, const Seen &seen, int64_t before, int64_t after,
                     double value) {
    const auto constant = [&](int64_t channels) {
        Sizes sizes = seen.layout.sizes;
        sizes[0] = 1;
        sizes[1] = channels;
        require(channels <= kMostPadding && product_of(sizes) <= kMostPadding);
        r.count_bytes(static_cast<size_t>(product_of(sizes)) * c10::elementSize(r.dtype()));
        const auto options = at::TensorOptions(r.device()).dtype(r.dtype());
        const at::Tensor of_one = at::full(sizes, value, options);
        sizes[0] = seen.layout.sizes[0];
        return Joined{c10::nullopt, of_one.expand(sizes), false};
    };
    require(before >= 0 && after >= 0);
    std::vector<Joined> all{{seen, {}, false}};
    if (before > 0)
        all.insert(all.begin(), constant(before));
    if (after > 0)
        all.push_back(constant(after));
    return add_joined(r, all, 1);
}

void put_constant_pad(TapeRecorder &r, const Node *node, double value) {
    Seen operand = r.seen(node->input(0));
    auto list = r.constant(node->input(1)).toIntVector();
    require(list.size() % 2 == 0 && list.size() <= 2 * operand.layout.sizes.size());
    if (are_all(list, 0))
        return r.put_copy(node, node->input(0));
    const size_t n = r.sizes(node->input(0)).size() - 2;
    if (list.size() == 2 * n + 2) {
        require(operand.layout.is_plain());
        operand = add_channel_pad(r, operand, list[2 * n], list[2 * n + 1], value);
        list.resize(2 * n);
    }
    if (are_all(list, 0))
        return r.put_new(node->output(), operand);
    put_constant_pad(r, node, operand, read_pads(list, n), value);
}

void put_pad(TapeRecorder &r, const Node *node, const std::string &mode, double value) {
    if (mode == "constant")
        return put_constant_pad(r, node, value);
    const size_t n = r.sizes(node->input(0)).size() - 2;
    const auto list = r.constant(node->input(1)).toIntVector();
    require(value == 0 && list.size() == 2 * n);
    const Pads pads = read_pads(list, n);
    if (mode == "reflect")
        put_gather_pad(r, node, pads, mirrored, 1);
    else if (mode == "replicate")
        put_gather_pad(r, node, pads, nearest, -kMostPadding);
    else if (mode == "circular" && none_is_cropped(pads))
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
    put_constant_pad(r, node, number_or_zero(r, node->input(2)));
}

void reflection_pad(TapeRecorder &r, const Node *node) { put_pad(r, node, "reflect", 0); }
void replication_pad(TapeRecorder &r, const Node *node) { put_pad(r, node, "replicate", 0); }

constexpr TapeRule kRules[] = {
    {"aten::conv1d", convolution_nd},
    {"aten::conv2d", convolution_nd},
    {"aten::conv3d", convolution_nd},
    {"aten::_convolution_mode", convolution_nd},
    {"aten::convolution", convolution},
    {"aten::_convolution", convolution},
    {"neurotap::pool_dilation", pool_dilation},
    {"aten::max_pool1d", max_pool},
    {"aten::max_pool2d", max_pool},
    {"aten::max_pool3d", max_pool},
    {"aten::avg_pool1d", average_pool},
    {"aten::avg_pool2d", average_pool},
    {"aten::avg_pool3d", average_pool},
    {"aten::adaptive_avg_pool1d", adaptive_average_pool},
    {"aten::adaptive_avg_pool2d", adaptive_average_pool},
    {"aten::adaptive_avg_pool3d", adaptive_average_pool},
    {"aten::pad", pad},
    {"aten::constant_pad_nd", constant_pad},
    {"aten::reflection_pad1d", reflection_pad},
    {"aten::reflection_pad2d", reflection_pad},
    {"aten::reflection_pad3d", reflection_pad},
    {"aten::replication_pad1d", replication_pad},
    {"aten::replication_pad2d", replication_pad},
    {"aten::replication_pad3d", replication_pad},
};

} // namespace

TapeRules window_rules() { return kRules; }

} // namespace neurotap
