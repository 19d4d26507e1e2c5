// libtorch's headers, and what differs between its versions. The only place with version checks.
#pragma once

// System headers to the compiler: their warnings are not ours to fix.
#pragma GCC system_header

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <c10/util/Exception.h>
#include <c10/util/FunctionRef.h>
#include <c10/util/SmallVector.h>
#include <caffe2/serialize/inline_container.h>
#include <caffe2/serialize/read_adapter_interface.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/frontend/error_report.h>
#include <torch/csrc/jit/ir/alias_analysis.h>
#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/passes/constant_propagation.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>
#include <torch/csrc/jit/passes/peephole.h>
#include <torch/csrc/jit/runtime/custom_operator.h>
#include <torch/csrc/jit/runtime/interpreter.h>
#include <torch/csrc/jit/runtime/jit_exception.h>
#include <torch/csrc/jit/runtime/operator.h>
#include <torch/csrc/jit/serialization/import_read.h>
#include <torch/csrc/jit/serialization/pickle.h>
#include <torch/cuda.h>
#include <torch/script.h>
#include <torch/serialize.h>
#include <torch/version.h>

// From 2.7 on vmap's headers want a JSON library that libtorch's packages need not bring.
#if TORCH_VERSION_MAJOR < 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR < 7) ||            \
    __has_include(<nlohmann/json.hpp>)
#define NTAP_HAS_VMAP 1
#include <ATen/functorch/BatchedTensorImpl.h>
#include <ATen/functorch/DynamicLayer.h>
#else
#define NTAP_HAS_VMAP 0
#endif

// libtorch 1.13 keeps one table of all threads' vmap levels, without a lock.
#define NTAP_VMAP_NEEDS_LOCK (TORCH_VERSION_MAJOR < 2)

#define NTAP_STRINGIFY_(x) #x
#define NTAP_STRINGIFY(x) NTAP_STRINGIFY_(x)
#define TORCH_VERSION_TEXT                                                                         \
    NTAP_STRINGIFY(TORCH_VERSION_MAJOR)                                                            \
    "." NTAP_STRINGIFY(TORCH_VERSION_MINOR) "." NTAP_STRINGIFY(TORCH_VERSION_PATCH)

namespace neurotap {

// Swallows libtorch's warnings; which thread it serves is up to WarningHandlerGuard.
#if TORCH_VERSION_MAJOR >= 2
using WarningHandlerGuard = c10::WarningUtils::WarningHandlerGuard;
struct SilentWarnings : public c10::WarningHandler {
    void process(const c10::Warning & /*warning*/) override {}
};
#else
using WarningHandlerGuard = c10::Warning::WarningHandlerGuard;
struct SilentWarnings : public c10::WarningHandler {
    void process(const c10::SourceLocation & /*where*/, const std::string & /*message*/,
                 const bool /*verbatim*/) override {}
};
#endif

} // namespace neurotap
