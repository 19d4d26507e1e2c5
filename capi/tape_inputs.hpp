// What of a program's inputs and arguments its tape depends on.
#pragma once

#include "model.hpp"

namespace neurotap {

struct TapeInputs {
    TapeCache::Key key;
    std::vector<at::Tensor> arguments; // those that are tensors
};

// Nothing if no tape takes such.
c10::optional<TapeInputs> read_tape_inputs(const c10::FunctionSchema &schema,
                                           const Arguments &arguments);

} // namespace neurotap
