// Several backward passes as one, by the vmap inside libtorch.
#pragma once

#include "compat.hpp"

namespace neurotap {

// For each input the gradients of output * seeds[k], for every k: [seeds, …shape of the input…];
// undefined for an input that the output does not depend on. Keeps the graph. Returns whether
// libtorch could: not every operator knows how to be batched.
bool batched_backward(const at::Tensor &output, const std::vector<at::Tensor> &inputs,
                      const at::Tensor &seeds, torch::autograd::variable_list &gradients);

// Whether backward passes from the output are right when batched, and gain by it: not where
// convolutions, recurrent cells or anything unknown take part.
bool gains_from_batching(const at::Tensor &output);

} // namespace neurotap
