// Running programs.
#pragma once

#include "capi.h"
#include "handles.hpp"
#include "program.hpp"

struct capi_program {
    std::shared_ptr<const neurotap::Program> program;
    ntap_layer_side side;
};

struct capi_run {
    std::vector<at::Tensor> inputs; // the tensors to differentiate with respect to
    // For each layer its value at each call: what it returned, or the tuple of its arguments.
    std::vector<std::vector<c10::IValue>> calls;
};

namespace neurotap {

// The whole forward, with its own effects on the module.
c10::IValue run_forward(const Program &program, const ntap_value *const *args, size_t n_args);

} // namespace neurotap
