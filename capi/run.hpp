// Running models for src/.
#pragma once

#include "capi.h"
#include "model.hpp"

struct capi_program {
    std::shared_ptr<const neurotap::Runnable> runnable;
    std::vector<size_t> site_counts;
    std::string no_gradient;
    size_t replica; // which one of a data-parallel module
};

struct capi_run {
    std::vector<at::Tensor> inputs; // the tensors to differentiate with respect to
    // For each layer its value at each call: what it returned, or the tuple of its arguments.
    std::vector<std::vector<c10::IValue>> calls;
};
