// Attributions in the making.
#pragma once

#include "capi.h"
#include "handles.hpp"

namespace neurotap {

// A tensor of zeros. Large ones cost nothing where they are never touched.
at::Tensor make_zeros(at::IntArrayRef sizes, const at::TensorOptions &options);

} // namespace neurotap

struct capi_attributions {
  public:
    capi_attributions(const ntap_tensor *const *inputs, size_t n_inputs, size_t n_neurons);

    // All of them on one device, and with all memory there: to be made in parts.
    void gather_on(const at::Device &device);
    // Those of some examples, which share the memory.
    capi_attributions part(int64_t first_example, int64_t n_examples) const;
    void clear();

    size_t n_inputs() const { return inputs_.size(); }

    // Those of all neurons for an input: [neurons, …shape of the input…], to be written to.
    at::Tensor &rows(size_t input);

    // The attributions of some neurons, from `first` on: [count, …shape of the input…]. An
    // undefined tensor says that they do not depend on the input.
    void put(size_t input, size_t first, const at::Tensor &gradients);

    bool lacks(size_t &input) const;
    at::Tensor take(size_t input, at::IntArrayRef leading);

  private:
    // What a neuron does not share with any other attribution.
    bool is_own(const at::Tensor &gradients) const;

    at::Tensor make_rows(size_t input, const at::Device &device) const;

    capi_attributions() = default;

    std::vector<at::Tensor> inputs_;
    std::vector<at::Tensor> rows_; // undefined where nothing has been put yet
    std::vector<bool> lacks_;
    int64_t n_neurons_ = 0;
    bool is_part_ = false; // the memory is another's
};
