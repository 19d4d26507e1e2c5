// Recurrent layers whose gradients cuDNN computes too.
#pragma once

#include "compat.hpp"

namespace neurotap {

// cuDNN differentiates LSTMs, GRUs and plain recurrent layers only where they were run as in
// training, and fails otherwise. All that is different there is dropout between their layers, so a
// node that is not training trains without. Nothing changes where there is no GPU.
void let_cudnn_differentiate(torch::jit::Node *node);

} // namespace neurotap
