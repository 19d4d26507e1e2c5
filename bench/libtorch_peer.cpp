// The peer that neurotap is measured against: neuron gradients as one writes them by hand with
// libtorch. libtorch has no hooks for loaded models, so the model was exported only up to the layer
// (see models.py). Its weights need no gradients. K neurons share one forward pass.
#include <torch/script.h>
#include <torch/torch.h>

#include <chrono>
#include <cstring>
#include <exception>
#include <string>
#include <vector>

#define PEER_API extern "C" __attribute__((visibility("default")))

namespace {

using Clock = std::chrono::steady_clock;

// The neurons of one layer for one input, and their gradients once computed.
struct Job {
    torch::jit::Module model;
    at::Tensor input;
    std::vector<std::vector<int64_t>> neurons;
    at::Tensor gradients;
};

thread_local std::string last_error;

// Nothing thrown crosses the C interface: 0, or 1 with a message for peer_error().
template <typename Work> int guarded(const Work &work) {
    try {
        work();
        return 0;
    } catch (const std::exception &error) {
        last_error = error.what();
        return 1;
    }
}

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

// The neuron, summed over the examples, as captum sums.
at::Tensor pick(const at::Tensor &layer_output, const std::vector<int64_t> &neuron) {
    at::Tensor picked = layer_output;
    for (const int64_t index : neuron)
        picked = picked.select(1, index);
    return picked.sum();
}

at::Tensor gradient_of_one(const at::Tensor &output, const at::Tensor &input,
                           const std::vector<int64_t> &neuron) {
    return torch::autograd::grad({pick(output, neuron)}, {input})[0];
}

at::Tensor gradients_of_many(const at::Tensor &output, const at::Tensor &input,
                             const std::vector<std::vector<int64_t>> &neurons, size_t count) {
    std::vector<int64_t> sizes = input.sizes().vec();
    sizes.insert(sizes.begin(), static_cast<int64_t>(count));
    at::Tensor gradients = at::empty(sizes, input.options());
    for (size_t i = 0; i < count; ++i) {
        const at::Tensor gradient = torch::autograd::grad({pick(output, neurons[i])}, {input}, {},
                                                          /*retain_graph=*/i + 1 < count)[0];
        gradients[static_cast<int64_t>(i)].copy_(gradient);
    }
    return gradients;
}

void compute(Job &job, size_t count, double *forward_seconds) {
    const Clock::time_point start = Clock::now();
    const at::Tensor input = job.input.detach().requires_grad_();
    const at::Tensor output = job.model.forward({input}).toTensor();
    *forward_seconds = seconds_since(start);
    job.gradients = count == 1 ? gradient_of_one(output, input, job.neurons[0])
                               : gradients_of_many(output, input, job.neurons, count);
}

} // namespace

// What the last failure of this thread was.
PEER_API const char *peer_error(void) { return last_error.c_str(); }

// Loads a model that was exported up to the layer.
PEER_API int peer_model_load(const char *path, const char *device, void **model) {
    return guarded([&] {
        torch::jit::Module loaded = torch::jit::load(path, at::Device(device));
        loaded.eval();
        for (const at::Tensor &parameter : loaded.parameters())
            parameter.requires_grad_(false);
        *model = new torch::jit::Module(loaded);
    });
}

PEER_API void peer_model_free(void *model) { delete static_cast<torch::jit::Module *>(model); }

// A job on float32 values of the caller's, which have to outlive it. Neurons: n_neurons rows of
// n_indices indices, which select from the dimensions after the batch.
PEER_API int peer_job_new(const void *model, void *input, size_t n_dims, const int64_t *sizes,
                          const char *device, const int64_t *neurons, size_t n_neurons,
                          size_t n_indices, void **job) {
    return guarded([&] {
        const auto options = at::TensorOptions().dtype(at::kFloat).device(at::Device(device));
        std::vector<std::vector<int64_t>> rows;
        for (size_t i = 0; i < n_neurons; ++i)
            rows.emplace_back(neurons + i * n_indices, neurons + (i + 1) * n_indices);
        *job = new Job{*static_cast<const torch::jit::Module *>(model),
                       torch::from_blob(input, at::IntArrayRef(sizes, n_dims), options),
                       rows,
                       {}};
    });
}

PEER_API void peer_job_free(void *job) { delete static_cast<Job *>(job); }

// The gradients of the first `count` neurons, and how many seconds of it the forward pass took.
PEER_API int peer_job_run(void *job, size_t count, double *forward_seconds) {
    return guarded([&] { compute(*static_cast<Job *>(job), count, forward_seconds); });
}

// Releases the gradients.
PEER_API void peer_job_clear(void *job) { static_cast<Job *>(job)->gradients.reset(); }

// Copies the gradients, and releases them.
PEER_API int peer_job_take(void *job, float *gradients) {
    return guarded([&] {
        const at::Tensor on_host = static_cast<Job *>(job)->gradients.cpu().contiguous();
        std::memcpy(gradients, on_host.data_ptr<float>(), on_host.nbytes());
        static_cast<Job *>(job)->gradients.reset();
    });
}
