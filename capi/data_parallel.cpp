// What data-parallel modules are made of: replicas, parts of values, and values from parts.
#include "capi.h"
#include "model.hpp"
#include "replicate.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <set>
#include <unordered_map>

using namespace neurotap;

namespace {

at::Device checked_device(const ntap_device *devices, size_t index) {
    try {
        return to_torch(devices[index]);
    } catch (const Failure &failure) {
        fail(failure.status(), "devices[", index, "]: ", failure.what());
    }
}

// ---- scattering ----

const at::Tensor *first_tensor(const ntap_value &value, bool with_dimensions) {
    if (value.kind == NTAP_VALUE_TENSOR)
        return with_dimensions && value.tensor.tensor.dim() == 0 ? nullptr : &value.tensor.tensor;
    for (const ntap_value &item : value.items)
        if (const at::Tensor *tensor = first_tensor(item, with_dimensions))
            return tensor;
    return nullptr;
}

const at::Tensor *first_tensor(const ntap_value *const *values, size_t n_values,
                               bool with_dimensions) {
    for (size_t i = 0; i < n_values; ++i)
        if (const at::Tensor *tensor = first_tensor(*values[i], with_dimensions))
            return tensor;
    return nullptr;
}

at::Tensor cut(const at::Tensor &tensor, int64_t first, int64_t count, const at::Device &device) {
    const at::Tensor plain = tensor.detach();
    const bool whole = count < 0 || count == tensor.size(0);
    return (whole ? plain : plain.narrow(0, first, count)).to(device);
}

// ---- gathering ----

// The values of one place in all shards.
struct Shards {
    std::vector<const ntap_value *> values;
    const int64_t *examples;
    at::Device device;

    const ntap_value &first() const { return *values[0]; }
    bool all(c10::function_ref<bool(size_t)> holds) const {
        for (size_t i = 0; i < values.size(); ++i)
            if (!holds(i))
                return false;
        return true;
    }
    const at::Tensor &tensor(size_t shard) const { return values[shard]->tensor.tensor; }
};

// Whether every shard gives the same number of rows for each of its examples.
bool is_batch(const Shards &shards) {
    const auto rows = [&](size_t i) { return shards.tensor(i).size(0); };
    return shards.all([&](size_t i) {
        return shards.tensor(i).dim() > 0 &&
               (shards.examples[i] == 0 ? rows(i) == 0 : rows(i) % shards.examples[i] == 0) &&
               rows(i) * shards.examples[0] == rows(0) * shards.examples[i];
    });
}

at::Tensor gather_tensors(const Shards &shards) {
    std::vector<at::Tensor> parts;
    for (size_t i = 0; i < shards.values.size(); ++i)
        parts.push_back(shards.tensor(i).to(shards.device));
    if (parts.size() == 1)
        return parts[0];
    if (is_batch(shards))
        return at::cat(parts, 0);
    if (shards.all([&](size_t i) { return parts[i].dim() == 0; }))
        return at::stack(parts);
    if (shards.all([&](size_t i) { return parts[i].equal(parts[0]); }))
        return parts[0];
    fail(NTAP_ERROR_SHAPE, "the shards' results cannot be joined: a tensor has ",
         shards.tensor(0).size(0), " rows for ", shards.examples[0],
         " examples; expected a multiple of the number of examples, or the same tensor from every "
         "replica");
}

ntap_value gather(const Shards &shards);

ntap_value gather_items(const Shards &shards) {
    ntap_value gathered = shards.first();
    for (size_t item = 0; item < gathered.items.size(); ++item) {
        Shards parts{{}, shards.examples, shards.device};
        for (const ntap_value *value : shards.values)
            parts.values.push_back(&value->items[item]);
        gathered.items[item] = gather(parts);
    }
    return gathered;
}

bool same_leaf(const ntap_value &a, const ntap_value &b) {
    return a.kind == b.kind && a.leaf == b.leaf;
}

bool is_leaf(const ntap_value &value) {
    return value.kind != NTAP_VALUE_LIST && value.kind != NTAP_VALUE_TUPLE &&
           value.kind != NTAP_VALUE_DICT;
}

ntap_value gather(const Shards &shards) {
    const ntap_value &first = shards.first();
    const bool alike = shards.all([&](size_t i) {
        const ntap_value &value = *shards.values[i];
        return value.kind == first.kind && value.items.size() == first.items.size() &&
               std::equal(value.keys.begin(), value.keys.end(), first.keys.begin(), same_leaf);
    });
    if (alike && first.kind == NTAP_VALUE_TENSOR) {
        ntap_value gathered = first;
        gathered.tensor.tensor = gather_tensors(shards);
        return gathered;
    }
    if (alike && !is_leaf(first))
        return gather_items(shards);
    if (alike && shards.all([&](size_t i) { return same_leaf(*shards.values[i], first); }))
        return first;
    fail(NTAP_ERROR_UNSUPPORTED, "the shards' results cannot be joined: replica 0 gives ",
         describe(first), ", and another something else");
}

// ---- threads ----

using SetNumThreads = void (*)(int);

// In the OpenMP that libtorch uses, which need not be the program's own.
SetNumThreads find_set_num_threads() {
    Dl_info torch;
    if (dladdr(reinterpret_cast<const void *>(&at::get_num_threads), &torch) == 0)
        return nullptr;
    void *library = dlopen(torch.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
    return library == nullptr
               ? nullptr
               : reinterpret_cast<SetNumThreads>(dlsym(library, "omp_set_num_threads"));
}

} // namespace

ntap_status capi_module_new_replicated(const ntap_module *source, const ntap_device *devices,
                                       size_t n_devices, void *threads,
                                       void (*release)(void *threads), ntap_module **module,
                                       ntap_error *err) {
    return guarded(err, NTAP_ERROR_INTERNAL, [&] {
        const c10::InferenceMode no_inference(false);
        const at::NoGradGuard no_grad;
        auto made = std::make_unique<ntap_module>(source->model);
        // One model for each device, however often it is named.
        std::unordered_map<at::Device, std::shared_ptr<Model>> models;
        for (size_t i = 0; i < n_devices; ++i) {
            const at::Device device = checked_device(devices, i);
            auto &model = models[device];
            if (!model)
                model = source->model->replicate(device);
            made->replicas.push_back(std::make_unique<ntap_module>(model, i));
        }
        // Until nothing can fail any more the threads are the caller's.
        made->threads = {threads, release};
        *module = made.release();
    });
}

size_t ntap_module_replica_count(const ntap_module *module) {
    return module == nullptr ? 0 : module->replicas.size();
}

const ntap_module *capi_module_replica(const ntap_module *module, size_t index) {
    return module->replicas[index].get();
}

void *capi_module_threads(const ntap_module *module) { return module->threads.get(); }

ntap_status capi_module_update_replicas(const ntap_module *module, ntap_error *err) {
    return guarded(err, NTAP_ERROR_INTERNAL, [&] {
        const c10::InferenceMode no_inference(false);
        const at::NoGradGuard no_grad;
        std::set<Model *> updated;
        for (const auto &replica : module->replicas)
            if (updated.insert(replica->model.get()).second)
                replica->model->update();
    });
}

void capi_set_own_num_threads(int count) {
    static const SetNumThreads set_num_threads = find_set_num_threads();
    (void)guarded(nullptr, NTAP_ERROR_INTERNAL, [&] { // where libtorch settles the thread's first
        if (set_num_threads != nullptr)
            set_num_threads(count);
    });
}

int capi_in_random_run(void) { return KeepRandomState::in_turn() ? 1 : 0; }

int64_t capi_values_batch(const ntap_value *const *values, size_t n_values, ntap_device *device) {
    const at::Tensor *any = first_tensor(values, n_values, false);
    const at::Tensor *batch = first_tensor(values, n_values, true);
    if (any != nullptr)
        *device = from_torch(any->device());
    return batch == nullptr ? -1 : batch->size(0);
}

ntap_status capi_tensor_shard(const ntap_tensor *tensor, int64_t first, int64_t count,
                              ntap_device device, ntap_tensor **shard, ntap_error *err) {
    return guarded(err, NTAP_ERROR_INTERNAL, [&] {
        const c10::InferenceMode no_inference(false);
        const at::NoGradGuard no_grad;
        *shard = wrap(cut(tensor->tensor, first, count, to_torch(device)));
    });
}

ntap_status capi_value_shard(const ntap_value *value, int64_t batch, int64_t first, int64_t count,
                             ntap_device device, ntap_value **shard, ntap_error *err) {
    return guarded(err, NTAP_ERROR_INTERNAL, [&] {
        const c10::InferenceMode no_inference(false);
        const at::NoGradGuard no_grad;
        const at::Device target = to_torch(device);
        *shard = new ntap_value(map_tensors(*value, [&](const at::Tensor &tensor) {
            const bool scattered = tensor.dim() > 0 && tensor.size(0) == batch;
            return scattered ? cut(tensor, first, count, target) : tensor.detach().to(target);
        }));
    });
}

ntap_status capi_values_gather(const ntap_value *const *values, const int64_t *examples,
                               size_t n_values, ntap_device device, ntap_value **gathered,
                               ntap_error *err) {
    return guarded(err, NTAP_ERROR_INTERNAL, [&] {
        const c10::InferenceMode no_inference(false);
        const at::NoGradGuard no_grad;
        *gathered =
            new ntap_value(gather(Shards{{values, values + n_values}, examples, to_torch(device)}));
    });
}
