// Parts of values: which positions along the dimensions after the batch and the channels.
#pragma once

#include "compat.hpp"

#include <vector>

namespace neurotap {

struct Extent {
    int64_t first, count;

    int64_t end() const { return first + count; }
    bool operator==(const Extent &other) const {
        return first == other.first && count == other.count;
    }
    bool operator!=(const Extent &other) const { return !(*this == other); }
};

// One extent for each dimension after the first two; none for values of [examples, features].
using Region = c10::SmallVector<Extent, 3>;
using Sizes = std::vector<int64_t>;

// All of a value of these sizes.
Region whole_region(const Sizes &sizes);

// The smallest region that holds both.
Region hull(const Region &a, const Region &b);

// `part` out of a tensor that holds `region`; both in the value's positions.
at::Tensor cut(const at::Tensor &tensor, const Region &region, const Region &part);

// A gradient at `part` as one at a region that holds it, zero elsewhere.
at::Tensor widened(at::Tensor gradient, const Sizes &value, const Region &part,
                   const Region &region);

// The sizes of a value's region for so many examples.
Sizes sizes_of(const Sizes &value, const Region &region, int64_t examples);

int64_t count_positions(const Region &region);

} // namespace neurotap
