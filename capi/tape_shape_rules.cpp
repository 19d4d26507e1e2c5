// The rules for operators that only put elements elsewhere. Examples have to stay apart.
#include "tape_recorder.hpp"

#include <algorithm>
#include <numeric>

namespace neurotap {
namespace {

using torch::jit::Node;
using torch::jit::Value;

// Of the node's first input.
Sizes sizes_seen(const TapeRecorder &r, const Node *node) {
    return r.seen_or_mask(node->input(0)).layout.sizes;
}

// ---- other shapes ----

void put_reshape(TapeRecorder &r, const Node *node, const Sizes &result) {
    const Seen operand = r.seen_or_mask(node->input(0));
    r.put_view(node, node->input(0), r.see(operand, reshaped(operand.layout, result)));
}

// With one of the sizes, -1, to be found.
Sizes complete(Sizes shape, int64_t elements) {
    const auto open = std::find(shape.begin(), shape.end(), -1);
    if (open != shape.end()) {
        *open = 1;
        const int64_t others = product_of(shape);
        require(others > 0);
        *open = elements / others;
    }
    return shape;
}

// input, shape
void view(TapeRecorder &r, const Node *node) {
    const int64_t elements = product_of(sizes_seen(r, node));
    put_reshape(r, node, complete(r.constant(node->input(1)).toIntVector(), elements));
}

// input, other
void view_as(TapeRecorder &r, const Node *node) {
    put_reshape(r, node, r.seen_or_mask(node->input(1)).layout.sizes);
}

// input, start_dim, end_dim
void flatten(TapeRecorder &r, const Node *node) {
    Sizes sizes = sizes_seen(r, node);
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
    Sizes sizes = sizes_seen(r, node);
    const auto dim = static_cast<int64_t>(dim_of(r, node->input(1), sizes.size()));
    const Sizes parts =
        complete(r.constant(node->input(2)).toIntVector(), sizes[static_cast<size_t>(dim)]);
    require(!parts.empty());
    sizes.erase(sizes.begin() + dim);
    sizes.insert(sizes.begin() + dim, parts.begin(), parts.end());
    put_reshape(r, node, sizes);
}

// input, dim
void unsqueeze(TapeRecorder &r, const Node *node) {
    Sizes sizes = sizes_seen(r, node);
    const size_t dim = dim_of(r, node->input(1), sizes.size() + 1);
    sizes.insert(sizes.begin() + static_cast<int64_t>(dim), 1);
    put_reshape(r, node, sizes);
}

// input, maybe dim
void squeeze(TapeRecorder &r, const Node *node) {
    Sizes sizes = sizes_seen(r, node);
    require(node->inputs().size() == 2 && r.constant(node->input(1)).isInt());
    const size_t dim = dim_of(r, node->input(1), sizes.size());
    if (sizes[dim] == 1)
        sizes.erase(sizes.begin() + static_cast<int64_t>(dim));
    put_reshape(r, node, sizes);
}

// ---- orders of dimensions ----

void put_permutation(TapeRecorder &r, const Node *node, const std::vector<int64_t> &order) {
    r.put_view(node, node->input(0), add_permutation(r, r.seen_or_mask(node->input(0)), order));
}

// input, dims
void permute(TapeRecorder &r, const Node *node) {
    auto order = r.constant(node->input(1)).toIntVector();
    const auto ndim = static_cast<int64_t>(sizes_seen(r, node).size());
    for (int64_t &dim : order)
        dim += dim < 0 ? ndim : 0;
    put_permutation(r, node, order);
}

void put_swap(TapeRecorder &r, const Node *node, size_t a, size_t b) {
    std::vector<int64_t> order(sizes_seen(r, node).size());
    std::iota(order.begin(), order.end(), 0);
    std::swap(order.at(a), order.at(b));
    put_permutation(r, node, order);
}

// input, dim0, dim1
void swap_dimensions(TapeRecorder &r, const Node *node) {
    const size_t ndim = sizes_seen(r, node).size();
    put_swap(r, node, dim_of(r, node->input(1), ndim), dim_of(r, node->input(2), ndim));
}

// input
void transpose_matrix(TapeRecorder &r, const Node *node) {
    const size_t ndim = sizes_seen(r, node).size();
    require(ndim <= 2);
    put_swap(r, node, 0, ndim - 1);
}

// input, sources, destinations: the other dimensions keep their order
void move_dimensions(TapeRecorder &r, const Node *node) {
    const size_t ndim = sizes_seen(r, node).size();
    const auto sources = dims_of(r, node->input(1), ndim);
    const auto destinations = dims_of(r, node->input(2), ndim);
    require(sources.size() == destinations.size());
    std::vector<int64_t> order(ndim, -1);
    for (size_t i = 0; i < sources.size(); ++i)
        order[destinations[i]] = static_cast<int64_t>(sources[i]);
    size_t place = 0;
    for (size_t dim = 0; dim < ndim; ++dim) {
        if (std::find(sources.begin(), sources.end(), dim) != sources.end())
            continue;
        for (; place < ndim && order[place] >= 0;)
            ++place;
        require(place < ndim);
        order[place] = static_cast<int64_t>(dim);
    }
    put_permutation(r, node, order);
}

Seen see_sizes(TapeRecorder &r, const Seen &seen, const Sizes &sizes) {
    return r.see(seen, Layout{sizes, 0, seen.layout.before, seen.layout.after});
}

// input, groups
void channel_shuffle(TapeRecorder &r, const Node *node) {
    const Seen rows = r.see_with_examples_in(r.seen(node->input(0)), 0);
    const Sizes sizes = rows.layout.sizes;
    const int64_t groups = r.constant(node->input(1)).toInt();
    require(sizes.size() >= 3 && groups > 0 && sizes[1] % groups == 0);
    Sizes split = sizes;
    split[1] = sizes[1] / groups;
    split.insert(split.begin() + 1, groups);
    std::vector<int64_t> order(split.size());
    std::iota(order.begin(), order.end(), 0);
    std::swap(order[1], order[2]);
    r.put_new(node->output(),
              see_sizes(r, add_permutation(r, see_sizes(r, rows, split), order), sizes));
}

// input, factor
void pixel_shuffle(TapeRecorder &r, const Node *node) {
    Sizes sizes = r.sizes(node->input(0));
    const int64_t factor = r.constant(node->input(1)).toInt();
    require(sizes.size() == 4 && factor > 0 && sizes[1] % product_of(factor, factor) == 0);
    sizes[1] /= factor * factor;
    sizes[2] *= factor;
    sizes[3] *= factor;
    r.put_rows(node, make_pixel_shuffle(factor), sizes);
}

// ---- parts ----

int64_t place_or(const TapeRecorder &r, const Value *value, int64_t size, int64_t otherwise) {
    const c10::IValue place = r.constant(value);
    if (place.isNone())
        return otherwise;
    const int64_t i = place.toInt();
    return std::clamp<int64_t>(i < 0 ? i + size : i, 0, size);
}

// input, dim, start, end, step
void slice(TapeRecorder &r, const Node *node) {
    const Sizes sizes = sizes_seen(r, node);
    const size_t dim = dim_of(r, node->input(1), sizes.size());
    const int64_t start = place_or(r, node->input(2), sizes[dim], 0);
    const int64_t end = place_or(r, node->input(3), sizes[dim], sizes[dim]);
    const int64_t step = r.constant(node->input(4)).toInt();
    require(step > 0 && start < end);
    const Places places{start, (end - start - 1) / step + 1, step};
    r.put_view(node, node->input(0), add_slice(r, r.seen_or_mask(node->input(0)), dim, places));
}

// input, dim, start, length
void narrow(TapeRecorder &r, const Node *node) {
    const Sizes sizes = sizes_seen(r, node);
    const size_t dim = dim_of(r, node->input(1), sizes.size());
    const int64_t given = r.constant(node->input(2)).toInt();
    require(given >= -sizes[dim] && given <= sizes[dim]);
    const int64_t start = given < 0 ? given + sizes[dim] : given;
    const Places places{start, r.constant(node->input(3)).toInt(), 1};
    r.put_view(node, node->input(0), add_slice(r, r.seen_or_mask(node->input(0)), dim, places));
}

// One place, and the dimension goes.
Seen add_selection(TapeRecorder &r, const Node *node, size_t dim, int64_t place) {
    const Seen slice = r.see_with_examples_beside(
        add_slice(r, r.seen_or_mask(node->input(0)), dim, Places{place, 1, 1}), dim);
    Layout result = slice.layout;
    result.sizes.erase(result.sizes.begin() + static_cast<std::ptrdiff_t>(dim));
    result.dim -= dim < result.dim ? 1 : 0;
    return r.see(slice, result);
}

// input, dim, index
void select(TapeRecorder &r, const Node *node) {
    const Sizes sizes = sizes_seen(r, node);
    const size_t dim = dim_of(r, node->input(1), sizes.size());
    const int64_t index = r.constant(node->input(2)).toInt();
    const int64_t place = index < 0 ? index + sizes[dim] : index;
    r.put_view(node, node->input(0), add_selection(r, node, dim, place));
}

// input, dim
void unbind(TapeRecorder &r, const Node *node) {
    const Sizes sizes = sizes_seen(r, node);
    const size_t dim = dim_of(r, node->input(1), sizes.size());
    std::vector<Seen> values;
    for (int64_t place = 0; place < sizes[dim]; ++place)
        values.push_back(add_selection(r, node, dim, place));
    r.put_views(node, node->input(0), values);
}

void put_split(TapeRecorder &r, const Node *node, size_t dim, const std::vector<int64_t> &counts) {
    std::vector<Seen> values;
    int64_t start = 0;
    for (const int64_t count : counts) {
        values.push_back(
            add_slice(r, r.seen_or_mask(node->input(0)), dim, Places{start, count, 1}));
        start += count;
    }
    require(start == sizes_seen(r, node)[dim]);
    if (gives_separate_parts(node) && !r.seen_or_mask(node->input(0)).is_mask)
        r.put_separate(node, values);
    else
        r.put_views(node, node->input(0), values);
}

// Parts of `size` places, the last with what is left.
void put_even_split(TapeRecorder &r, const Node *node, size_t dim, int64_t size) {
    require(size > 0);
    const int64_t places = sizes_seen(r, node)[dim];
    r.count_items(static_cast<size_t>((places - 1) / size + 1));
    std::vector<int64_t> counts;
    for (int64_t left = places; left > 0; left -= counts.back())
        counts.push_back(std::min(left, size));
    put_split(r, node, dim, counts);
}

// input, size or sizes, dim
void split(TapeRecorder &r, const Node *node) {
    const size_t dim = dim_of(r, node->input(2), sizes_seen(r, node).size());
    const c10::IValue sizes = r.constant(node->input(1));
    if (sizes.isInt())
        return put_even_split(r, node, dim, sizes.toInt());
    put_split(r, node, dim, sizes.toIntVector());
}

// input, chunks, dim
void chunk(TapeRecorder &r, const Node *node) {
    const Sizes sizes = sizes_seen(r, node);
    const size_t dim = dim_of(r, node->input(2), sizes.size());
    const int64_t chunks = r.constant(node->input(1)).toInt();
    require(chunks > 0);
    put_even_split(r, node, dim, (sizes[dim] - 1) / chunks + 1);
}

// ---- the same elements again and again ----

void put_expansion(TapeRecorder &r, const Node *node, const Sizes &sizes) {
    const Seen operand = r.seen_or_mask(node->input(0));
    const Layout result = resized(operand.layout, sizes);
    for (size_t dim = 0; dim < sizes.size(); ++dim)
        require(sizes[dim] == operand.layout.sizes[dim] || operand.layout.sizes[dim] == 1);
    r.put_view(node, node->input(0),
               r.add_step(make_expansion(operand.layout.on_tape(), result.on_tape()),
                          {operand.value}, result));
}

// input, sizes, implicit
void expand(TapeRecorder &r, const Node *node) {
    const Sizes operand = sizes_seen(r, node);
    Sizes sizes = r.constant(node->input(1)).toIntVector();
    require(sizes.size() == operand.size());
    for (size_t dim = 0; dim < sizes.size(); ++dim)
        sizes[dim] = sizes[dim] == -1 ? operand[dim] : sizes[dim];
    put_expansion(r, node, sizes);
}

// input, other
void expand_as(TapeRecorder &r, const Node *node) {
    put_expansion(r, node, r.seen_or_mask(node->input(1)).layout.sizes);
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
    {"aten::swapaxes", swap_dimensions},
    {"aten::t", transpose_matrix},
    {"aten::movedim", move_dimensions},
    {"aten::channel_shuffle", channel_shuffle},
    {"aten::pixel_shuffle", pixel_shuffle},
    {"aten::slice", slice},
    {"aten::narrow", narrow},
    {"aten::select", select},
    {"aten::unbind", unbind},
    {"aten::split", split},
    {"aten::split_with_sizes", split},
    {"aten::chunk", chunk},
    {"aten::unsafe_split", split},
    {"aten::unsafe_split_with_sizes", split},
    {"aten::unsafe_chunk", chunk},
    {"aten::expand", expand},
    {"aten::expand_as", expand_as},
};

} // namespace

Seen add_permutation(TapeRecorder &r, const Seen &seen, const std::vector<int64_t> &order) {
    require(order.size() == seen.layout.sizes.size());
    std::vector<int64_t> sorted = order;
    std::sort(sorted.begin(), sorted.end());
    for (size_t i = 0; i < sorted.size(); ++i)
        require(sorted[i] == static_cast<int64_t>(i));
    std::vector<int64_t> on_tape;
    const Layout result = permuted(seen.layout, order, on_tape);
    if (std::is_sorted(on_tape.begin(), on_tape.end()))
        return {seen.value, result};
    return r.add_step(make_permutation(seen.layout.on_tape(), on_tape), {seen.value}, result);
}

Seen add_transposed(TapeRecorder &r, const Seen &seen) {
    std::vector<int64_t> order(seen.layout.sizes.size());
    std::iota(order.begin(), order.end(), 0);
    std::swap(order.end()[-1], order.end()[-2]);
    return add_permutation(r, seen, order);
}

Seen add_slice(TapeRecorder &r, const Seen &seen, size_t dim, const Places &places) {
    const int64_t size = seen.layout.sizes[dim];
    if (places.start == 0 && places.step == 1 && places.count == size)
        return seen;
    const Seen operand = r.see_with_examples_beside(seen, dim);
    require(places.count > 0 && places.count <= size && places.start >= 0);
    require(places.start + places.step * (places.count - 1) < size);
    const Sizes on_tape = operand.layout.on_tape();
    std::vector<TapeSlice> slices;
    for (size_t i = 1; i < on_tape.size(); ++i)
        slices.push_back(TapeSlice{on_tape[i], 0, 1, on_tape[i]});
    slices[operand.layout.dim_on_tape(dim) - 1] =
        TapeSlice{size, places.start, places.step, places.count};
    Sizes sizes = operand.layout.sizes;
    sizes[dim] = places.count;
    return r.add_step(make_slice(slices), {operand.value}, resized(operand.layout, sizes));
}

TapeRules shape_rules() { return kRules; }

} // namespace neurotap
