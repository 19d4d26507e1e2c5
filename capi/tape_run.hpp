// Running a part of a tape forward, and backwards.
#pragma once

#include "tape.hpp"

namespace neurotap {

class TapeRun {
  public:
    // Runs it forward for the examples of these inputs, from the first value on.
    TapeRun(std::shared_ptr<const Tape> tape, const TapePlan &plan,
            const std::vector<at::Tensor> &inputs);

    int64_t examples() const { return examples_; }
    // Of the part that was computed.
    const at::Tensor &like() const { return like_; }

    // From the gradients at the part for some neurons, [neurons * examples, …], to those at the
    // inputs' parts, alike; undefined for inputs that the part does not depend on.
    std::vector<at::Tensor> reverse(const at::Tensor &gradient, int64_t neurons) const;

  private:
    void forward(const TapeStep &step, std::vector<at::Tensor> &values, std::vector<uint32_t> &uses,
                 Saved &saved) const;
    void add(at::Tensor &sum, size_t value, const Region &part, at::Tensor gradient) const;

    std::shared_ptr<const Tape> tape_;
    const TapePlan &plan_;
    int64_t examples_;
    at::Tensor like_;
    std::vector<Saved> saved_; // of each step
};

} // namespace neurotap
