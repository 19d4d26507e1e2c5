// torch.jit.fork and wait, run in place.
#pragma once

#include "compat.hpp"

namespace neurotap {

// Replaces every fork by its body and every wait by the value, so that what a task calls can be
// found and cut like everything else; Future[T] becomes T wherever it occurs. The results are the
// same, since tasks share nothing but their inputs.
void inline_forks(torch::jit::Graph &graph);

} // namespace neurotap
