// Differentiating what a run recorded.
#include "run.hpp"

using namespace neurotap;

namespace {

// An attribution in memory of its own kind: C order, no graph.
ntap_tensor *attribution(const at::Tensor &gradient) {
    return wrap(gradient.detach().resolve_conj().resolve_neg().contiguous());
}

} // namespace

ntap_status capi_run_gradient(const capi_run *run, const ntap_tensor *output,
                              const ntap_tensor *seed, ntap_tensor **grads, ntap_error *err) {
    return guarded(err, NTAP_ERROR_AUTOGRAD, [&] {
        const c10::InferenceMode no_inference(false);
        const at::AutoGradMode grad_mode(true);
        torch::autograd::variable_list gradients(run->inputs.size());
        if (output->tensor.requires_grad()) {
            const at::Tensor at_output =
                seed != nullptr ? seed->tensor : at::ones_like(output->tensor);
            gradients = torch::autograd::grad({output->tensor}, run->inputs, {at_output},
                                              /*retain_graph=*/false, /*create_graph=*/false,
                                              /*allow_unused=*/true);
        }
        std::vector<std::unique_ptr<ntap_tensor>> made;
        for (const at::Tensor &gradient : gradients)
            made.emplace_back(gradient.defined() ? attribution(gradient) : nullptr);
        for (size_t i = 0; i < made.size(); ++i)
            grads[i] = made[i].release();
    });
}
