// What is made of weights once, and kept for later runs.
#pragma once

#include "compat.hpp"

#include <map>
#include <memory>
#include <mutex>
#include <tuple>
#include <vector>

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

using KeptTensorPtr = std::shared_ptr<const KeptTensor>;

// Copies of a model's weights in the orders that operators compute with. Tapes for other layers and
// other shapes of inputs have the same ones; they go with the last tape that has them.
class WeightCopies {
  public:
    enum class Order { kPacked, kSubpixel };

    // The copy in that order, which depends on these numbers. Whoever has it holds the weight too.
    KeptTensorPtr find(const at::Tensor &weight, Order order, const std::vector<int64_t> &numbers) {
        const Key key{order,
                      weight.scalar_type(),
                      weight.data_ptr(),
                      weight.is_inference() ? 0 : weight._version(),
                      weight.sizes().vec(),
                      weight.strides().vec(),
                      numbers};
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto found = copies_.find(key);
        if (found != copies_.end())
            if (auto copy = found->second.lock())
                return copy;
        forget_unused();
        auto copy = std::make_shared<const KeptTensor>(true);
        copies_[key] = copy;
        return copy;
    }

  private:
    using Numbers = std::vector<int64_t>;
    // Of the weight: its dtype, address, version, sizes and strides.
    using Key = std::tuple<Order, at::ScalarType, const void *, int64_t, Numbers, Numbers, Numbers>;

    void forget_unused() {
        for (auto it = copies_.begin(); it != copies_.end();)
            it = it->second.expired() ? copies_.erase(it) : std::next(it);
    }

    std::mutex mutex_;
    std::map<Key, std::weak_ptr<const KeptTensor>> copies_;
};

// Without `copies` none is kept.
inline KeptTensorPtr keep_copy(WeightCopies *copies, const at::Tensor &weight,
                               WeightCopies::Order order, const std::vector<int64_t> &numbers) {
    return copies == nullptr ? std::make_shared<const KeptTensor>(false)
                             : copies->find(weight, order, numbers);
}

} // namespace neurotap
