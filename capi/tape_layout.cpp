#include "tape_layout.hpp"

#include <algorithm>

namespace neurotap {

bool Layout::operator==(const Layout &other) const {
    return sizes == other.sizes && dim == other.dim && before == other.before &&
           after == other.after;
}

Sizes Layout::on_tape() const {
    const auto place = sizes.begin() + static_cast<std::ptrdiff_t>(dim);
    Sizes all{examples()};
    all.insert(all.end(), sizes.begin(), place);
    for (const int64_t part : {before, after})
        if (part > 1)
            all.push_back(part);
    all.insert(all.end(), place + 1, sizes.end());
    return all;
}

size_t Layout::dim_on_tape(size_t other) const {
    require(other != dim);
    return other < dim ? other + 1 : other + n_parts();
}

Layout plain_layout(const Sizes &sizes) { return Layout{sizes, 0, 1, 1}; }

int64_t product_of(int64_t a, int64_t b) {
    int64_t product = 0;
    require(!__builtin_mul_overflow(a, b, &product));
    return product;
}

int64_t product_of(const Sizes &sizes) {
    int64_t product = 1;
    for (const int64_t size : sizes)
        product = product_of(product, size);
    return product;
}

namespace {

// A single example can be anywhere: where a dimension has one place, if there is such.
Layout with_one_example(const Sizes &sizes) {
    const auto one = std::find(sizes.begin(), sizes.end(), 1);
    if (one != sizes.end())
        return Layout{sizes, static_cast<size_t>(one - sizes.begin()), 1, 1};
    return Layout{sizes, 0, 1, sizes[0]};
}

} // namespace

Layout reshaped(const Layout &layout, const Sizes &sizes) {
    require(!sizes.empty() &&
            std::all_of(sizes.begin(), sizes.end(), [](int64_t size) { return size > 0; }));
    require(product_of(sizes) == product_of(layout.sizes));
    const int64_t examples = layout.examples();
    if (examples == 1)
        return with_one_example(sizes);
    // So many elements are between two examples, before and after.
    int64_t distance = layout.after;
    for (size_t dim = layout.dim + 1; dim < layout.sizes.size(); ++dim)
        distance *= layout.sizes[dim];
    int64_t elements = 1;
    size_t dim = sizes.size() - 1;
    for (; elements * sizes[dim] <= distance; --dim)
        elements *= sizes[dim];
    require(distance % elements == 0);
    const int64_t after = distance / elements;
    require(sizes[dim] % (examples * after) == 0);
    return Layout{sizes, dim, sizes[dim] / (examples * after), after};
}

Layout permuted(const Layout &layout, const std::vector<int64_t> &order,
                std::vector<int64_t> &on_tape) {
    Layout result = layout;
    const auto first_part = static_cast<int64_t>(layout.dim) + 1;
    on_tape = {0};
    for (size_t place = 0; place < order.size(); ++place) {
        const auto from = static_cast<size_t>(order[place]);
        result.sizes[place] = layout.sizes[from];
        if (from != layout.dim) {
            on_tape.push_back(static_cast<int64_t>(layout.dim_on_tape(from)));
            continue;
        }
        result.dim = place;
        int64_t part = first_part;
        for (const int64_t size : {layout.before, layout.after})
            if (size > 1)
                on_tape.push_back(part++);
    }
    return result;
}

namespace {

// Of a constant beside a value: as many dimensions as that.
Sizes filled(const at::Tensor &constant, const Layout &value) {
    Sizes sizes = constant.sizes().vec();
    require(sizes.size() <= value.sizes.size());
    sizes.insert(sizes.begin(), value.sizes.size() - sizes.size(), 1);
    require(sizes[value.dim] == 1);
    return sizes;
}

} // namespace

Sizes sizes_beside(const at::Tensor &constant, const Layout &value) {
    Sizes sizes = filled(constant, value);
    sizes[value.dim] = value.sizes[value.dim];
    return sizes;
}

at::Tensor on_tape(const at::Tensor &constant, const Layout &value) {
    const bool is_behind =
        constant.dim() + static_cast<int64_t>(value.dim) < static_cast<int64_t>(value.sizes.size());
    if (constant.dim() == 0 || is_behind) // it broadcasts as it is
        return constant;
    Sizes sizes = filled(constant, value);
    const auto place = sizes.begin() + static_cast<std::ptrdiff_t>(value.dim);
    Sizes all{1};
    all.insert(all.end(), sizes.begin(), place);
    all.insert(all.end(), value.n_parts(), 1);
    all.insert(all.end(), place + 1, sizes.end());
    return constant.reshape(all);
}

Sizes broadcast(const Sizes &a, const Sizes &b) {
    Sizes result = a;
    for (size_t dim = 0; dim < a.size(); ++dim) {
        require(a[dim] == b[dim] || a[dim] == 1 || b[dim] == 1);
        result[dim] = std::max(a[dim], b[dim]);
    }
    return result;
}

void require_fit(const at::Tensor &constant, const Layout &value) {
    const Sizes sizes = sizes_beside(constant, value);
    for (size_t dim = 0; dim < sizes.size(); ++dim)
        require(sizes[dim] == value.sizes[dim] || sizes[dim] == 1);
}

at::Tensor one_of_same(const at::Tensor &constant, const Layout &value) {
    const auto behind = static_cast<int64_t>(value.sizes.size() - value.dim);
    if (constant.dim() < behind || constant.size(-behind) == 1)
        return constant;
    at::Tensor one = constant.narrow(-behind, 0, 1);
    require(constant.size(-behind) == value.sizes[value.dim]);
    require(constant.stride(-behind) == 0 || constant.eq(one).all().item<bool>());
    return one;
}

Layout resized(const Layout &layout, const Sizes &sizes) {
    require(sizes.size() == layout.sizes.size() && sizes[layout.dim] == layout.sizes[layout.dim]);
    return Layout{sizes, layout.dim, layout.before, layout.after};
}

} // namespace neurotap
