// What is behind the opaque handles of tensors and values.
#pragma once

#include "boundary.hpp"
#include "compat.hpp"

#include <neurotap/tensor.h>
#include <neurotap/value.h>

#include <memory>
#include <vector>

struct ntap_tensor {
    at::Tensor tensor;
};

struct ntap_value {
    ntap_value_kind kind = NTAP_VALUE_NONE;
    c10::IValue leaf;              // int, double, bool, string, other
    ntap_tensor tensor;            // a tensor, as a handle that getters can lend
    std::vector<ntap_value> items; // list, tuple, dict
    std::vector<ntap_value> keys;  // dict
};

namespace neurotap {

inline const at::Tensor &unwrap(const ntap_tensor *tensor, const char *name) {
    require_not_null(tensor, name);
    return tensor->tensor;
}

inline ntap_tensor *wrap(at::Tensor tensor) { return new ntap_tensor{std::move(tensor)}; }

// dtype.cpp
at::ScalarType to_torch(ntap_dtype dtype);      // throws for NONE and unknown numbers
ntap_dtype from_torch(at::ScalarType dtype);    // NONE for types without a number
at::Device to_torch(const ntap_device &device); // throws if this machine has no such device
ntap_device from_torch(const at::Device &device);

// tensor.cpp: all elements on the CPU, in C order, without a graph; may share memory.
at::Tensor host_elements(const at::Tensor &tensor);

// Memory that somebody else owns.
struct Blob {
    void *data;
    size_t ndim;
    const int64_t *sizes;
    const int64_t *strides; // NULL for C order
    at::ScalarType dtype;
    at::Device device;
    const char *sizes_name; // what the caller knows the sizes by
};

// tensor.cpp: a tensor over that memory; throws a Failure, and then the deleter is not called.
ntap_tensor *wrap(const Blob &blob, ntap_deleter deleter, void *context);

// value.cpp
ntap_value from_ivalue(const c10::IValue &value);
std::string describe(const ntap_value &value);

// coerce.cpp: values as arguments of a schema. `tensor_view` is applied to every tensor on the way.
using TensorView = at::Tensor (*)(const at::Tensor &);
at::Tensor same_tensor(const at::Tensor &tensor);
at::Tensor without_graph(const at::Tensor &tensor); // what autograd may save; not the caller's
// Pushes a value as the schema's parameter number `index`; throws a Failure that names it.
void coerce_argument(const c10::FunctionSchema &schema, size_t index, const ntap_value &value,
                     TensorView tensor_view, std::vector<c10::IValue> &stack);
void require_values(const ntap_value *const *values, size_t n_values); // none of them NULL
// Pushes further values, viewed as `view_of` says for each, and then the defaults of all parameters
// that are left.
void coerce_arguments(const c10::FunctionSchema &schema, const ntap_value *const *values,
                      size_t n_values, c10::function_ref<TensorView(size_t)> view_of,
                      std::vector<c10::IValue> &stack);
// A value as an instance of a type; `what` names it in errors.
c10::IValue coerce(const ntap_value &value, const c10::TypePtr &type, const std::string &what,
                   TensorView tensor_view);

} // namespace neurotap
