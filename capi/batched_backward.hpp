// Several backward passes as one, by the vmap inside libtorch.
#pragma once

#include "compat.hpp"

namespace neurotap {

// For each input the gradients of output * seeds[k], for every k: [seeds, …shape of the input…];
// undefined for an input that the output does not depend on. Keeps the graph. Returns whether
// libtorch could: not every operator knows how to be batched.
bool batched_backward(const at::Tensor &output, const std::vector<at::Tensor> &inputs,
                      const at::Tensor &seeds, torch::autograd::variable_list &gradients);

// Whether backward passes from the output gain by being batched: not where convolutions and
// recurrent cells make them up.
bool gains_from_batching(const at::Tensor &output);

} // namespace neurotap
