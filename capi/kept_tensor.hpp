// What is made of a weight once, and kept for later runs.
#pragma once

#include "compat.hpp"

#include <mutex>

namespace neurotap {

class KeptTensor {
  public:
    // Without `keeps` it is made every time: someone else may write to the weight.
    explicit KeptTensor(bool keeps) : keeps_(keeps) {}

    template <typename Make> at::Tensor get(const Make &make) const {
        if (!keeps_)
            return make();
        std::call_once(once_, [&] { tensor_ = make(); });
        return tensor_;
    }

  private:
    const bool keeps_;
    mutable std::once_flag once_;
    mutable at::Tensor tensor_;
};

} // namespace neurotap
