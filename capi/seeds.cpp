#include "seeds.hpp"

namespace neurotap {

at::Tensor make_seeds(at::IntArrayRef sizes, const at::TensorOptions &options,
                      const capi_range *ranges, size_t count) {
    auto all = sizes.vec();
    if (count != 1)
        all.insert(all.begin(), static_cast<int64_t>(count));
    at::Tensor seeds = at::zeros(all, options);
    for (size_t i = 0; i < count; ++i) {
        at::Tensor part = count != 1 ? seeds.select(0, static_cast<int64_t>(i)) : seeds;
        for (size_t dim = 0; dim < sizes.size(); ++dim) {
            const capi_range &range = ranges[i * sizes.size() + dim];
            if (range.start != 0 || range.count != sizes[dim] || range.step != 1)
                part = part.slice(static_cast<int64_t>(dim), range.start,
                                  range.start + range.count * range.step, range.step);
        }
        part.fill_(1);
    }
    return seeds;
}

} // namespace neurotap
