#include "region.hpp"

#include <algorithm>

namespace neurotap {

Region whole_region(const Sizes &sizes) {
    Region region;
    for (size_t dim = 2; dim < sizes.size(); ++dim)
        region.push_back(Extent{0, sizes[dim]});
    return region;
}

Region hull(const Region &a, const Region &b) {
    Region both;
    for (size_t i = 0; i < a.size(); ++i) {
        const int64_t first = std::min(a[i].first, b[i].first);
        both.push_back(Extent{first, std::max(a[i].end(), b[i].end()) - first});
    }
    return both;
}

at::Tensor cut(const at::Tensor &tensor, const Region &region, const Region &part) {
    at::Tensor result = tensor;
    for (size_t i = 0; i < region.size(); ++i)
        if (part[i] != region[i])
            result = result.narrow(static_cast<int64_t>(i) + 2, part[i].first - region[i].first,
                                   part[i].count);
    return result;
}

at::Tensor widened(at::Tensor gradient, const Sizes &value, const Region &part,
                   const Region &region) {
    if (part == region)
        return gradient;
    at::Tensor whole = at::zeros(sizes_of(value, region, gradient.size(0)), gradient.options());
    cut(whole, region, part).copy_(gradient);
    return whole;
}

Sizes sizes_of(const Sizes &value, const Region &region, int64_t examples) {
    Sizes sizes{examples, value[1]};
    for (const Extent &extent : region)
        sizes.push_back(extent.count);
    return sizes;
}

int64_t count_positions(const Region &region) {
    int64_t count = 1;
    for (const Extent &extent : region)
        count *= extent.count;
    return count;
}

} // namespace neurotap
