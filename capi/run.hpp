// Running programs.
#pragma once

#include "capi.h"
#include "handles.hpp"
#include "program.hpp"

struct capi_program {
    std::shared_ptr<const neurotap::Program> program;
};

struct capi_run {
    std::vector<at::Tensor> inputs;     // the tensors to differentiate with respect to
    std::vector<c10::List<c10::IValue>> calls; // for each layer its values, one a call
};

namespace neurotap {

// The whole forward, with its own effects on the module.
c10::IValue run_forward(const Program &program, const ntap_value *const *args, size_t n_args);

} // namespace neurotap
