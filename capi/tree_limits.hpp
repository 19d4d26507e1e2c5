// Limits for what visits a value as a tree. A model's values may share objects, or contain
// themselves, where they are typed as Any: as trees they can be endless.
#pragma once

#include "boundary.hpp"

namespace neurotap {

class TreeLimits {
  public:
    // For each value, before what is inside it. Throw a Failure (NTAP_ERROR_UNSUPPORTED).
    void enter() {
        if (++depth_ > kDeepest)
            fail(NTAP_ERROR_UNSUPPORTED, "a value nests deeper than ", kDeepest);
        if (++count_ > kMostItems)
            fail(NTAP_ERROR_UNSUPPORTED, "a value has more than ", kMostItems, " items");
    }
    void leave() { --depth_; }

  private:
    static constexpr size_t kDeepest = 200;
    static constexpr size_t kMostItems = 1u << 20;

    size_t depth_ = 0;
    size_t count_ = 0;
};

} // namespace neurotap
