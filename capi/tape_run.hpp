// Running a part of a tape forward, and backwards.
#pragma once

#include "tape.hpp"

namespace neurotap {

// At the tape's values, [neurons * examples, …]; undefined where there is none.
using Gradients = std::vector<at::Tensor>;

class TapeRun {
  public:
    // Runs it forward for the examples of these inputs, from the first value on.
    TapeRun(std::shared_ptr<const Tape> tape, const TapePlan &plan,
            const std::vector<at::Tensor> &inputs);

    int64_t examples() const { return examples_; }
    // Of the part that was computed.
    const at::Tensor &like() const { return like_; }

    // Those of some neurons, of whose seeds at the part they are made.
    Gradients begin(const at::Tensor &seeds) const;
    // Takes them backwards through the steps from `first` up to `end`: from the results to the
    // operands. What the last neurons' steps kept from the way forward goes as soon as they are
    // done.
    void reverse(Gradients &gradients, int64_t neurons, size_t first, size_t end, bool last);

  private:
    void forward(const TapeStep &step, std::vector<at::Tensor> &values, std::vector<uint32_t> &uses,
                 Saved &saved) const;
    void add(at::Tensor &sum, size_t value, const Region &part, at::Tensor gradient) const;
    bool adds_itself(const TapeStep &step, const Gradients &gradients, const Reverse &how) const;

    std::shared_ptr<const Tape> tape_;
    const TapePlan &plan_;
    int64_t examples_;
    at::Tensor like_;
    std::vector<Saved> saved_; // of each step
};

} // namespace neurotap
