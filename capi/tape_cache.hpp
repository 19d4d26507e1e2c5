// The tapes of a program, for the shapes of inputs that it was run with.
#pragma once

#include "tape.hpp"

#include <list>
#include <mutex>

namespace neurotap {

class TapeCache {
  public:
    // A tensor with numbers, or a mask, for each example; or, without sizes, a constant.
    struct Argument {
        Sizes sizes;
        bool is_mask;
        c10::IValue constant;

        bool operator==(const Argument &other) const {
            return sizes == other.sizes && is_mask == other.is_mask && constant == other.constant;
        }
    };

    struct Key {
        std::vector<Sizes> inputs;
        std::vector<Argument> arguments;
        at::ScalarType dtype;
        at::Device device;

        bool operator==(const Key &other) const {
            return dtype == other.dtype && device == other.device && inputs == other.inputs &&
                   arguments == other.arguments;
        }
    };

    TapeCache() = default;
    // A program that is moved has not been run.
    TapeCache(TapeCache &&) noexcept {}
    TapeCache &operator=(TapeCache &&) = delete;

    // What `record` gave for the key: a tape, or NULL if there can be none. A tape whose weights
    // have changed is recorded anew.
    template <typename Record>
    std::shared_ptr<const Tape> find(const Key &key, const Record &record) {
        const std::lock_guard<std::mutex> lock(mutex_);
        for (auto it = tapes_.begin(); it != tapes_.end(); ++it) {
            if (!(it->first == key))
                continue;
            if (it->second == nullptr || it->second->holds()) {
                tapes_.splice(tapes_.begin(), tapes_, it);
                return it->second;
            }
            tapes_.erase(it);
            break;
        }
        tapes_.emplace_front(key, record());
        if (tapes_.size() > kMostTapes)
            tapes_.pop_back();
        return tapes_.front().second;
    }

    // The weights are about to be others; tapes hold on to those that they know.
    void clear() {
        const std::lock_guard<std::mutex> lock(mutex_);
        tapes_.clear();
    }

  private:
    static constexpr size_t kMostTapes = 16;

    std::mutex mutex_;
    std::list<std::pair<Key, std::shared_ptr<const Tape>>> tapes_; // last used first
};

} // namespace neurotap
