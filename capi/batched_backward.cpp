#include "batched_backward.hpp"

#include <cstring>
#include <mutex>
#include <string>
#include <unordered_set>

namespace neurotap {

#if NTAP_HAS_VMAP
namespace {

namespace functorch = at::functorch;

#if NTAP_VMAP_NEEDS_LOCK
class VmapTurn {
  public:
    VmapTurn() : lock_(mutex()) {}

  private:
    // What is differentiated may call us again.
    static std::recursive_mutex &mutex() {
        static std::recursive_mutex mutex;
        return mutex;
    }

    const std::lock_guard<std::recursive_mutex> lock_;
};
#else
class VmapTurn {};
#endif

// A level of libtorch's vmap, which belongs to this thread. Left on exceptions too.
class VmapLevel {
  public:
    explicit VmapLevel(int64_t batch)
        : level_(functorch::initAndPushDynamicLayer(functorch::TransformType::Vmap, batch,
                                                    functorch::RandomnessType::Error)) {}
    VmapLevel(const VmapLevel &) = delete;
    VmapLevel &operator=(const VmapLevel &) = delete;
    ~VmapLevel() { functorch::popDynamicLayerAndDeleteMetadata(); }

    at::Tensor wrap(const at::Tensor &stacked) const {
        return functorch::makeBatched(stacked, 0, level_);
    }

  private:
    const VmapTurn turn_{}; // taken before there is a level, and given up after it
    int64_t level_;
};

// What became the same for all is repeated.
at::Tensor unwrap(const at::Tensor &gradient, int64_t batch) {
    if (!gradient.defined())
        return gradient;
    const auto *batched = functorch::maybeGetBatchedImpl(gradient);
    if (batched != nullptr)
        return batched->value().movedim(batched->bdim(), 0);
    auto sizes = gradient.sizes().vec();
    sizes.insert(sizes.begin(), batch);
    return gradient.unsqueeze(0).expand(sizes);
}

} // namespace

bool batched_backward(const at::Tensor &output, const std::vector<at::Tensor> &inputs,
                      const at::Tensor &seeds, torch::autograd::variable_list &gradients) {
    const int64_t batch = seeds.size(0);
    try {
        const VmapLevel level(batch);
        gradients =
            torch::autograd::grad({output}, inputs, {level.wrap(seeds)}, /*retain_graph=*/true,
                                  /*create_graph=*/false, /*allow_unused=*/true);
        for (at::Tensor &gradient : gradients)
            gradient = unwrap(gradient, batch);
        return true;
    } catch (const c10::OutOfMemoryError &) {
        throw;
    } catch (const c10::Error &) {
        return false;
    }
}
#else
bool batched_backward(const at::Tensor & /*output*/, const std::vector<at::Tensor> & /*inputs*/,
                      const at::Tensor & /*seeds*/,
                      torch::autograd::variable_list & /*gradients*/) {
    return false;
}
#endif

namespace {

// What vmap is known to differentiate rightly, and together in less time than one by one. Of what
// has no rule of its own it makes a loop, and that is wrong where a kernel does not look at
// strides: cdist's gradients are, without any error.
constexpr char kBatched[] =
    " Abs Add Addmm Alias Amax Amin Baddbmm Bmm Cat Celu Clamp ClampMin Clone "
    "ConstantPadNd Cos Cumsum Div Elu Erf Exp Expand Flip Gather Gelu Glu Hardsigmoid "
    "Hardswish Hardtanh Index IndexSelect LeakyRelu LinalgVectorNorm Log LogSigmoid "
    "LogSoftmax Logsumexp MaskedFill Max Maximum Mean Min Minimum Mish Mm Mul Mv "
    "NativeLayerNorm Neg Norm Permute Pow Prod Reciprocal Relu Repeat Reshape "
    "ReshapeAlias Roll Rsqrt Rsub Select Sigmoid Silu Sin Slice Softmax Softplus Split "
    "SplitWithSizes Sqrt Squeeze Stack Std Sub Sum T Tanh Threshold ToCopy Transpose "
    "Unbind UnsafeView Unsqueeze Var View Where ";

// "AddmmBackward0" is the derivative of addmm.
bool is_batched(const std::string &name) {
    if (name == "torch::autograd::AccumulateGrad")
        return true;
    const size_t end = name.rfind("Backward");
    return end != name.npos && std::strstr(kBatched, (" " + name.substr(0, end) + " ").c_str());
}

} // namespace

bool gains_from_batching(const at::Tensor &output) {
    std::vector<torch::autograd::Node *> open{output.grad_fn().get()};
    std::unordered_set<const torch::autograd::Node *> seen;
    while (!open.empty()) {
        torch::autograd::Node *node = open.back();
        open.pop_back();
        if (node == nullptr || !seen.insert(node).second)
            continue;
        if (!is_batched(node->name()))
            return false;
        for (const auto &edge : node->next_edges())
            open.push_back(edge.function.get());
    }
    return true;
}

} // namespace neurotap
