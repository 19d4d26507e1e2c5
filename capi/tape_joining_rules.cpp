// The rules for operators that put values one behind the other, or their own parts in another
// order.
#include "tape_recorder.hpp"

namespace neurotap {
namespace {

using torch::jit::Node;
using torch::jit::Value;

// Expanded weights have what they have for one example; so may constants.
at::Tensor of_one_example(const Joined &joined, const Layout &like) {
    const at::Tensor &constant = joined.constant;
    const auto dim = static_cast<int64_t>(like.dim);
    require(constant.dim() == static_cast<int64_t>(like.sizes.size()));
    require(constant.size(dim) == like.sizes[like.dim]);
    require(constant.size(dim) == 1 || constant.stride(dim) == 0 || !joined.may_change);
    return on_tape(one_of_same(constant, like), like);
}

// The sizes must be those of the others but for the dimension that grows.
void grow(Layout &result, const Sizes &sizes, size_t dim) {
    require(sizes.size() == result.sizes.size());
    const int64_t size = sizes[dim];
    Sizes expected = result.sizes;
    expected[dim] = size;
    require(sizes == expected && size > 0);
    result.sizes[dim] += size;
}

Layout first_layout(const std::vector<Joined> &all) {
    for (const Joined &joined : all)
        if (joined.seen)
            return joined.seen->layout;
    throw NotRecordable();
}

std::vector<Joined> read_list(const TapeRecorder &r, const Value *list) {
    std::vector<Joined> all;
    for (const Recorded &item : r.items(list))
        if (item.kind == Recorded::Kind::kTensor)
            all.push_back({r.seen(item), {}, false});
        else
            all.push_back({c10::nullopt, r.weight(item), item.kind == Recorded::Kind::kWeight});
    return all;
}

// tensors, dim
void concatenate(TapeRecorder &r, const Node *node) {
    const auto all = read_list(r, node->input(0));
    const size_t dim = dim_of(r, node->input(1), first_layout(all).sizes.size());
    r.put_new(node->output(), add_joined(r, all, dim));
}

Layout with_dimension(Layout layout, size_t dim) {
    layout.sizes.insert(layout.sizes.begin() + static_cast<std::ptrdiff_t>(dim), 1);
    layout.dim += dim <= layout.dim ? 1 : 0;
    return layout;
}

// tensors, dim: one that is new
void stack(TapeRecorder &r, const Node *node) {
    auto all = read_list(r, node->input(0));
    const size_t dim = dim_of(r, node->input(1), first_layout(all).sizes.size() + 1);
    for (Joined &joined : all)
        if (joined.seen)
            joined.seen = r.see(*joined.seen, with_dimension(joined.seen->layout, dim));
        else
            joined.constant = joined.constant.unsqueeze(static_cast<int64_t>(dim));
    r.put_new(node->output(), add_joined(r, all, dim));
}

Seen add_rolled(TapeRecorder &r, const Seen &seen, size_t dim, int64_t shift) {
    const int64_t size = seen.layout.sizes[dim];
    const int64_t first = (size - shift % size) % size; // that comes to the front
    if (first == 0)
        return seen;
    return add_joined(r,
                      {{add_slice(r, seen, dim, {first, size - first, 1}), {}, false},
                       {add_slice(r, seen, dim, {0, first, 1}), {}, false}},
                      dim);
}

// input, shifts, dims
void roll(TapeRecorder &r, const Node *node) {
    Seen seen = r.seen(node->input(0));
    const auto dims = dims_of(r, node->input(2), seen.layout.sizes.size());
    const auto shifts = r.constant(node->input(1)).toIntVector();
    require(!dims.empty() && dims.size() == shifts.size());
    for (size_t i = 0; i < dims.size(); ++i)
        seen = add_rolled(r, seen, dims[i], shifts[i]);
    r.put_new(node->output(), seen);
}

constexpr TapeRule kRules[] = {
    {"aten::cat", concatenate},
    {"aten::concat", concatenate},
    {"aten::stack", stack},
    {"aten::roll", roll},
};

} // namespace

Seen add_joined(TapeRecorder &r, const std::vector<Joined> &all, size_t dim) {
    if (all.size() == 1 && all[0].seen)
        return *all[0].seen;
    r.count_items(all.size());
    const Layout like = first_layout(all);
    Layout result = like;
    result.sizes[dim] = 0;
    std::vector<TapeJoined> parts;
    std::vector<size_t> operands;
    for (const Joined &joined : all) {
        grow(result, joined.seen ? joined.seen->layout.sizes : joined.constant.sizes().vec(), dim);
        if (!joined.seen) {
            parts.push_back(
                {joined.constant.size(static_cast<int64_t>(dim)), of_one_example(joined, like)});
            continue;
        }
        const Seen seen = r.see_with_examples_in(*joined.seen, like.dim);
        require(seen.layout.before == like.before && seen.layout.after == like.after);
        parts.push_back({seen.layout.sizes[dim], {}});
        operands.push_back(seen.value);
    }
    return r.add_step(make_concatenation(result.on_tape(), parts, like.dim_on_tape(dim)), operands,
                      result);
}

TapeRules joining_rules() { return kRules; }

} // namespace neurotap
