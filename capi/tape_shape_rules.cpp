// The rules for operators that only put elements elsewhere. Examples have to stay apart: the first
// dimension is that of the batch before and after.
#include "tape_recorder.hpp"

#include <algorithm>
#include <numeric>

namespace neurotap {
namespace {

using torch::jit::Node;
using torch::jit::Value;

// The dimension that an argument names, counted from the front, of so many.
size_t dim_of(const TapeRecorder &r, const Value *value, size_t ndim) {
    const int64_t dim = r.constant(value).toInt();
    const auto n = static_cast<int64_t>(ndim);
    require(dim >= -n && dim < n);
    return static_cast<size_t>(dim < 0 ? dim + n : dim);
}

// ---- other shapes ----

int64_t product(const Sizes &sizes) {
    int64_t result = 1;
    for (const int64_t size : sizes)
        require(!__builtin_mul_overflow(result, size, &result));
    return result;
}

void put_reshape(TapeRecorder &r, const Node *node, const Sizes &result) {
    const size_t operand = r.tensor(node->input(0));
    const Sizes sizes = r.sizes_of_value(operand);
    const bool positive =
        std::all_of(result.begin(), result.end(), [](int64_t n) { return n > 0; });
    require(positive && result.size() >= 2 && result[0] == sizes[0]);
    require(product(result) == product(sizes));
    r.put_view(node, node->input(0), r.add_step(make_reshape(sizes, result), {operand}, result));
}

// With one of the sizes, -1, to be found.
Sizes complete(Sizes shape, int64_t elements) {
    const auto open = std::find(shape.begin(), shape.end(), -1);
    if (open != shape.end()) {
        *open = 1;
        const int64_t others = product(shape);
        require(others > 0);
        *open = elements / others;
    }
    return shape;
}

// input, shape
void view(TapeRecorder &r, const Node *node) {
    const Sizes operand = r.sizes(node->input(0));
    put_reshape(r, node, complete(r.constant(node->input(1)).toIntVector(), product(operand)));
}

// input, other
void view_as(TapeRecorder &r, const Node *node) { put_reshape(r, node, r.sizes(node->input(1))); }

// input, start_dim, end_dim
void flatten(TapeRecorder &r, const Node *node) {
    Sizes sizes = r.sizes(node->input(0));
    const auto first = static_cast<int64_t>(dim_of(r, node->input(1), sizes.size()));
    const auto last = static_cast<int64_t>(dim_of(r, node->input(2), sizes.size()));
    require(first <= last);
    for (int64_t i = first; i < last; ++i) {
        sizes[static_cast<size_t>(first)] *= sizes[static_cast<size_t>(first) + 1];
        sizes.erase(sizes.begin() + first + 1);
    }
    put_reshape(r, node, sizes);
}

// input, dim, sizes
void unflatten(TapeRecorder &r, const Node *node) {
    Sizes sizes = r.sizes(node->input(0));
    const auto dim = static_cast<int64_t>(dim_of(r, node->input(1), sizes.size()));
    const Sizes parts =
        complete(r.constant(node->input(2)).toIntVector(), sizes[static_cast<size_t>(dim)]);
    sizes.erase(sizes.begin() + dim);
    sizes.insert(sizes.begin() + dim, parts.begin(), parts.end());
    put_reshape(r, node, sizes);
}

// input, dim
void unsqueeze(TapeRecorder &r, const Node *node) {
    Sizes sizes = r.sizes(node->input(0));
    const size_t dim = dim_of(r, node->input(1), sizes.size() + 1);
    sizes.insert(sizes.begin() + static_cast<int64_t>(dim), 1);
    put_reshape(r, node, sizes);
}

// input, maybe dim
void squeeze(TapeRecorder &r, const Node *node) {
    Sizes sizes = r.sizes(node->input(0));
    require(node->inputs().size() == 2 && r.constant(node->input(1)).isInt());
    const size_t dim = dim_of(r, node->input(1), sizes.size());
    if (sizes[dim] == 1)
        sizes.erase(sizes.begin() + static_cast<int64_t>(dim));
    put_reshape(r, node, sizes);
}

// ---- orders of dimensions ----

void put_permutation(TapeRecorder &r, const Node *node, const std::vector<int64_t> &order) {
    const size_t operand = r.tensor(node->input(0));
    const Sizes sizes = r.sizes_of_value(operand);
    require(order.size() == sizes.size() && order[0] == 0);
    Sizes result;
    for (const int64_t dim : order)
        result.push_back(sizes[static_cast<size_t>(dim)]);
    r.put_view(node, node->input(0), r.add_step(make_permutation(sizes, order), {operand}, result));
}

// input, dims
void permute(TapeRecorder &r, const Node *node) {
    auto order = r.constant(node->input(1)).toIntVector();
    const auto ndim = static_cast<int64_t>(r.sizes(node->input(0)).size());
    for (int64_t &dim : order)
        dim += dim < 0 ? ndim : 0;
    std::vector<int64_t> sorted = order;
    std::sort(sorted.begin(), sorted.end());
    for (size_t i = 0; i < sorted.size(); ++i)
        require(sorted[i] == static_cast<int64_t>(i));
    put_permutation(r, node, order);
}

// input, dim0, dim1
void swap_dimensions(TapeRecorder &r, const Node *node) {
    const size_t ndim = r.sizes(node->input(0)).size();
    std::vector<int64_t> order(ndim);
    std::iota(order.begin(), order.end(), 0);
    std::swap(order[dim_of(r, node->input(1), ndim)], order[dim_of(r, node->input(2), ndim)]);
    put_permutation(r, node, order);
}

// input, groups
void channel_shuffle(TapeRecorder &r, const Node *node) {
    const size_t operand = r.tensor(node->input(0));
    const Sizes sizes = r.sizes_of_value(operand);
    const int64_t groups = r.constant(node->input(1)).toInt();
    require(groups > 0 && sizes[1] % groups == 0);
    Sizes split = sizes;
    split[1] = sizes[1] / groups;
    split.insert(split.begin() + 1, groups);
    Sizes swapped = split;
    std::swap(swapped[1], swapped[2]);
    std::vector<int64_t> order(split.size());
    std::iota(order.begin(), order.end(), 0);
    std::swap(order[1], order[2]);
    const size_t grouped = r.add_step(make_reshape(sizes, split), {operand}, split);
    const size_t shuffled = r.add_step(make_permutation(split, order), {grouped}, swapped);
    r.put(node, make_reshape(swapped, sizes), {shuffled}, sizes);
}

// input, factor
void pixel_shuffle(TapeRecorder &r, const Node *node) {
    Sizes sizes = r.sizes(node->input(0));
    const int64_t factor = r.constant(node->input(1)).toInt();
    require(sizes.size() == 4 && factor > 0 && factor <= sizes[1]);
    require(sizes[1] % (factor * factor) == 0);
    sizes[1] /= factor * factor;
    sizes[2] *= factor;
    sizes[3] *= factor;
    r.put(node, make_pixel_shuffle(factor), {r.tensor(node->input(0))}, sizes);
}

// ---- parts ----

struct Places {
    int64_t start, count, step;
};

// The value that is a part of the node's first input.
size_t add_slice(TapeRecorder &r, const Node *node, size_t dim, const Places &places) {
    const size_t operand = r.tensor(node->input(0));
    Sizes result = r.sizes_of_value(operand);
    if (places.start == 0 && places.step == 1 && places.count == result[dim])
        return operand;
    require(dim > 0 && places.count > 0 && places.count <= result[dim]);
    require(places.start >= 0 && places.start + places.step * (places.count - 1) < result[dim]);
    std::vector<TapeSlice> slices;
    for (size_t i = 1; i < result.size(); ++i)
        slices.push_back(TapeSlice{result[i], 0, 1, result[i]});
    slices[dim - 1] = TapeSlice{result[dim], places.start, places.step, places.count};
    result[dim] = places.count;
    return r.add_step(make_slice(slices), {operand}, result);
}

int64_t place_or(const TapeRecorder &r, const Value *value, int64_t size, int64_t otherwise) {
    const c10::IValue place = r.constant(value);
    if (place.isNone())
        return otherwise;
    const int64_t i = place.toInt();
    return std::clamp<int64_t>(i < 0 ? i + size : i, 0, size);
}

// input, dim, start, end, step
void slice(TapeRecorder &r, const Node *node) {
    const Sizes sizes = r.sizes(node->input(0));
    const size_t dim = dim_of(r, node->input(1), sizes.size());
    const int64_t start = place_or(r, node->input(2), sizes[dim], 0);
    const int64_t end = place_or(r, node->input(3), sizes[dim], sizes[dim]);
    const int64_t step = r.constant(node->input(4)).toInt();
    require(step > 0 && start < end);
    const Places places{start, (end - start - 1) / step + 1, step};
    r.put_view(node, node->input(0), add_slice(r, node, dim, places));
}

// input, dim, start, length
void narrow(TapeRecorder &r, const Node *node) {
    const Sizes sizes = r.sizes(node->input(0));
    const size_t dim = dim_of(r, node->input(1), sizes.size());
    const int64_t given = r.constant(node->input(2)).toInt();
    require(given >= -sizes[dim] && given <= sizes[dim]);
    const int64_t start = given < 0 ? given + sizes[dim] : given;
    const Places places{start, r.constant(node->input(3)).toInt(), 1};
    r.put_view(node, node->input(0), add_slice(r, node, dim, places));
}

// One place, and the dimension goes.
size_t add_selection(TapeRecorder &r, const Node *node, size_t dim, int64_t place) {
    const size_t slice = add_slice(r, node, dim, Places{place, 1, 1});
    const Sizes sizes = r.sizes_of_value(slice);
    Sizes result = sizes;
    result.erase(result.begin() + static_cast<int64_t>(dim));
    require(dim > 0 && result.size() >= 2);
    return r.add_step(make_reshape(sizes, result), {slice}, result);
}

// input, dim, index
void select(TapeRecorder &r, const Node *node) {
    const Sizes sizes = r.sizes(node->input(0));
    const size_t dim = dim_of(r, node->input(1), sizes.size());
    const int64_t index = r.constant(node->input(2)).toInt();
    const int64_t place = index < 0 ? index + sizes[dim] : index;
    r.put_view(node, node->input(0), add_selection(r, node, dim, place));
}

// input, dim
void unbind(TapeRecorder &r, const Node *node) {
    const Sizes sizes = r.sizes(node->input(0));
    const size_t dim = dim_of(r, node->input(1), sizes.size());
    std::vector<size_t> values;
    for (int64_t place = 0; place < sizes[dim]; ++place)
        values.push_back(add_selection(r, node, dim, place));
    r.put_views(node, node->input(0), values);
}

void put_split(TapeRecorder &r, const Node *node, size_t dim, const std::vector<int64_t> &counts) {
    std::vector<size_t> values;
    int64_t start = 0;
    for (const int64_t count : counts) {
        values.push_back(add_slice(r, node, dim, Places{start, count, 1}));
        start += count;
    }
    require(start == r.sizes(node->input(0))[dim]);
    r.put_views(node, node->input(0), values);
}

// Parts of `size` places, the last with what is left.
void put_even_split(TapeRecorder &r, const Node *node, size_t dim, int64_t size) {
    require(size > 0);
    std::vector<int64_t> counts;
    for (int64_t left = r.sizes(node->input(0))[dim]; left > 0; left -= counts.back())
        counts.push_back(std::min(left, size));
    put_split(r, node, dim, counts);
}

// input, size or sizes, dim
void split(TapeRecorder &r, const Node *node) {
    const size_t dim = dim_of(r, node->input(2), r.sizes(node->input(0)).size());
    const c10::IValue sizes = r.constant(node->input(1));
    if (sizes.isInt())
        return put_even_split(r, node, dim, sizes.toInt());
    put_split(r, node, dim, sizes.toIntVector());
}

// input, chunks, dim
void chunk(TapeRecorder &r, const Node *node) {
    const Sizes sizes = r.sizes(node->input(0));
    const size_t dim = dim_of(r, node->input(2), sizes.size());
    const int64_t chunks = r.constant(node->input(1)).toInt();
    require(chunks > 0);
    put_even_split(r, node, dim, (sizes[dim] - 1) / chunks + 1);
}

// ---- the same elements again and again ----

void put_expansion(TapeRecorder &r, const Node *node, const Sizes &result) {
    const size_t operand = r.tensor(node->input(0));
    const Sizes sizes = r.sizes_of_value(operand);
    require(sizes.size() == result.size() && sizes[0] == result[0]);
    for (size_t dim = 1; dim < sizes.size(); ++dim)
        require(sizes[dim] == result[dim] || sizes[dim] == 1);
    r.put_view(node, node->input(0), r.add_step(make_expansion(sizes, result), {operand}, result));
}

// input, sizes, implicit
void expand(TapeRecorder &r, const Node *node) {
    const Sizes operand = r.sizes(node->input(0));
    Sizes sizes = r.constant(node->input(1)).toIntVector();
    require(sizes.size() == operand.size());
    for (size_t dim = 0; dim < sizes.size(); ++dim)
        sizes[dim] = sizes[dim] == -1 ? operand[dim] : sizes[dim];
    put_expansion(r, node, sizes);
}

// input, other
void expand_as(TapeRecorder &r, const Node *node) {
    put_expansion(r, node, r.sizes(node->input(1)));
}

constexpr TapeRule kRules[] = {
    {"aten::view", view},
    {"aten::reshape", view},
    {"aten::view_as", view_as},
    {"aten::reshape_as", view_as},
    {"aten::flatten", flatten},
    {"aten::unflatten", unflatten},
    {"aten::unsqueeze", unsqueeze},
    {"aten::squeeze", squeeze},
    {"aten::permute", permute},
    {"aten::transpose", swap_dimensions},
    {"aten::channel_shuffle", channel_shuffle},
    {"aten::pixel_shuffle", pixel_shuffle},
    {"aten::slice", slice},
    {"aten::narrow", narrow},
    {"aten::select", select},
    {"aten::unbind", unbind},
    {"aten::split", split},
    {"aten::split_with_sizes", split},
    {"aten::chunk", chunk},
    {"aten::expand", expand},
    {"aten::expand_as", expand_as},
};

} // namespace

TapeRules shape_rules() { return kRules; }

} // namespace neurotap
