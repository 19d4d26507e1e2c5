// How the program sees a value of the tape. A tape has the examples in the first dimension;
// programs put them elsewhere, as [time, examples, features], or let them share a dimension with
// others, as [examples * heads, time, features]. The elements of an example are in the same order
// for both.
#pragma once

#include "region.hpp"

namespace neurotap {

// The program cannot be put on a tape; the plain way has to do.
struct NotRecordable {};

inline void require(bool condition) {
    if (!condition)
        throw NotRecordable();
}

struct Layout {
    Sizes sizes;                   // that the program sees
    size_t dim = 0;                // of them, where the examples are
    int64_t before = 1, after = 1; // it has before * examples * after places

    bool operator==(const Layout &other) const;
    int64_t examples() const { return sizes[dim] / (before * after); }
    // The examples are all that the first dimension has.
    bool is_plain() const { return dim == 0 && before == 1 && after == 1; }
    // On the tape, so many dimensions are of what shares one with the examples.
    size_t n_parts() const { return (before > 1 ? 1U : 0U) + (after > 1 ? 1U : 0U); }
    Sizes on_tape() const;
    // The tape's dimension that another dimension than the examples' is.
    size_t dim_on_tape(size_t other) const;
};

Layout plain_layout(const Sizes &sizes);

// After a reshaping to those sizes.
Layout reshaped(const Layout &layout, const Sizes &sizes);

// With the dimensions in that order; `on_tape` is the order of the tape's.
Layout permuted(const Layout &layout, const std::vector<int64_t> &order,
                std::vector<int64_t> &on_tape);

// With other sizes in dimensions that have no examples.
Layout resized(const Layout &layout, const Sizes &sizes);

// What is the same for all examples, beside a value: its sizes as the program sees them (where the
// examples are, those of the value), and itself with the tape's dimensions.
Sizes sizes_beside(const at::Tensor &constant, const Layout &value);
at::Tensor on_tape(const at::Tensor &constant, const Layout &value);
// Those of what is computed of both.
Sizes broadcast(const Sizes &a, const Sizes &b);
// It must leave the value its sizes.
void require_fit(const at::Tensor &constant, const Layout &value);
// Of a constant with a row for each example, one, if all are the same.
at::Tensor one_of_same(const at::Tensor &constant, const Layout &value);

// The product; there is none if it overflows.
int64_t product_of(int64_t a, int64_t b);
int64_t product_of(const Sizes &sizes);

// A value of the tape, as the program sees it.
struct Seen {
    size_t value;
    Layout layout;
    bool is_mask = false; // the program sees booleans, where the tape has ones and zeros
};

} // namespace neurotap
