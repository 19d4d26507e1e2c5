// Differentiating what a run recorded, by libtorch's autograd.
#include "attributions.hpp"
#include "batched_backward.hpp"
#include "run.hpp"
#include "seeds.hpp"

#include <algorithm>

using namespace neurotap;

namespace {

// Where larger batches gained no more, as bench/ measures it.
constexpr size_t kMostBatched = 64;
constexpr size_t kBatchedBytes = 4 << 20; // larger tensors leave the caches, and nothing is gained
// About how many gradients of the size of both ends are alive at once.
constexpr size_t kGradientsAlive = 4;

torch::autograd::variable_list gradients_of(const capi_run &run, const at::Tensor &output,
                                            const at::Tensor &seed, bool keep_graph) {
    if (!output.requires_grad())
        return torch::autograd::variable_list(run.inputs.size());
    return torch::autograd::grad({output}, run.inputs,
                                 {seed.defined() ? seed : at::ones_like(output)}, keep_graph,
                                 /*create_graph=*/false, /*allow_unused=*/true);
}

void put_all(capi_attributions &attributions, size_t first,
             const torch::autograd::variable_list &gradients, bool stacked) {
    for (size_t i = 0; i < gradients.size(); ++i) {
        const at::Tensor &gradient = gradients[i];
        attributions.put(i, first,
                         gradient.defined() && !stacked ? gradient.unsqueeze(0) : gradient);
    }
}

// One backward pass for all of them; whether libtorch knows how.
bool differentiate_together(const capi_run &run, const capi_differentiation &what,
                            capi_attributions &attributions) {
    torch::autograd::variable_list gradients;
    if (!batched_backward(what.output->tensor, run.inputs, what.seeds->tensor, gradients))
        return false;
    put_all(attributions, what.first, gradients, true);
    return true;
}

void differentiate_one_by_one(const capi_run &run, const capi_differentiation &what,
                              capi_attributions &attributions) {
    for (size_t i = 0; i < what.count; ++i) {
        at::Tensor seed = what.seeds != nullptr ? what.seeds->tensor : at::Tensor();
        if (what.count > 1)
            seed = seed.select(0, static_cast<int64_t>(i));
        const bool keep_graph = what.keep_graph != 0 || i + 1 < what.count;
        put_all(attributions, what.first + i,
                gradients_of(run, what.output->tensor, seed, keep_graph), false);
    }
}

} // namespace

ntap_status capi_run_differentiate(const capi_run *run, const capi_differentiation *what,
                                   capi_attributions *attributions, size_t *passes,
                                   ntap_error *err) {
    return guarded(err, NTAP_ERROR_AUTOGRAD, [&] {
        const c10::InferenceMode no_inference(false);
        const at::AutoGradMode grad_mode(true);
        const bool together = what->count > 1 && what->output->tensor.requires_grad() &&
                              differentiate_together(*run, *what, *attributions);
        if (!together)
            differentiate_one_by_one(*run, *what, *attributions);
        *passes = together ? 1 : what->count;
    });
}

size_t capi_run_neurons_at_once(const capi_run *run, const ntap_tensor *output,
                                uint64_t memory_limit) {
    size_t count = 1; // also if there is no memory to find out
    (void)guarded(nullptr, NTAP_ERROR_INTERNAL, [&] {
        const at::Tensor &tensor = output->tensor;
        if (run->inputs.empty() || !tensor.requires_grad() || !gains_from_batching(tensor))
            return;
        size_t bytes = tensor.nbytes();
        for (const at::Tensor &input : run->inputs)
            bytes += input.nbytes();
        const size_t limit = memory_limit == 0 ? kBatchedBytes : memory_limit;
        count = std::clamp<size_t>(limit / (kGradientsAlive * bytes + 1), 1, kMostBatched);
    });
    return count;
}

ntap_status capi_seeds_new(const ntap_tensor *like, const capi_range *ranges, size_t count,
                           ntap_tensor **seeds, ntap_error *err) {
    return guarded(err, NTAP_ERROR_INTERNAL, [&] {
        const c10::InferenceMode no_inference(false);
        const at::NoGradGuard no_grad;
        *seeds = wrap(make_seeds(like->tensor.sizes(), like->tensor.options(), ranges, count));
    });
}
