/**
 * @file neurotap.h
 * @brief Everything: forward hooks and neuron gradients on deployed PyTorch models, for C.
 *
 * Read base.h first for the conventions, then neuron_gradient.h for the main job, or
 * hook.h for hooks.
 */
#ifndef NEUROTAP_NEUROTAP_H
#define NEUROTAP_NEUROTAP_H

#include <neurotap/base.h>
#include <neurotap/callback_module.h>
#include <neurotap/data_parallel.h>
#include <neurotap/dlpack.h>
#include <neurotap/hook.h>
#include <neurotap/module.h>
#include <neurotap/neuron_gradient.h>
#include <neurotap/operator.h>
#include <neurotap/selector.h>
#include <neurotap/tensor.h>
#include <neurotap/torch_bridge.h>
#include <neurotap/value.h>

#endif /* NEUROTAP_NEUROTAP_H */
