// Leaving random number generators as they were.
#pragma once

#include "compat.hpp"

#include <mutex>
#include <unordered_set>
#include <vector>

namespace neurotap {

using Devices = std::unordered_set<at::Device>;

// The devices of all tensors in the values, and the CPU.
Devices devices_of(const std::vector<c10::IValue> &values);

// Restores the generators that a run may draw from. Such runs take turns: each is to start from the
// state that the caller left. A run inside a run, by a hook, has its turn already.
class KeepRandomState {
  public:
    explicit KeepRandomState(const Devices &devices);
    KeepRandomState(const KeepRandomState &) = delete;
    KeepRandomState &operator=(const KeepRandomState &) = delete;
    ~KeepRandomState();

    void add(const Devices &devices);

    // Whether this thread has its turn.
    static bool in_turn();

  private:
    std::unique_lock<std::recursive_mutex> turn_;
    Devices kept_;
    std::vector<std::pair<at::Generator, at::Tensor>> states_;
};

} // namespace neurotap
