// Modules: layers, values, forward, moving.
#include "capi.h"
#include "handles.hpp"
#include "model.hpp"

using namespace neurotap;

std::shared_ptr<const Runnable> ntap_module::forward() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!forward_)
        forward_ = model->prepare(Taps{{}, NTAP_LAYER_OUTPUT, {}}, /*whole=*/true);
    return forward_;
}

void ntap_module_free(ntap_module *module) { delete module; }

size_t ntap_module_layer_count(const ntap_module *module) {
    return module == nullptr ? 0 : module->model->layers().size();
}

const char *ntap_module_layer_name(const ntap_module *module, size_t index) {
    return index < ntap_module_layer_count(module) ? module->model->layers()[index].path.c_str()
                                                   : nullptr;
}

const char *ntap_module_layer_type(const ntap_module *module, size_t index) {
    return index < ntap_module_layer_count(module) ? module->model->layers()[index].type.c_str()
                                                   : nullptr;
}

const char *ntap_module_signature(const ntap_module *module) {
    return module == nullptr ? "" : module->model->signature().c_str();
}

ntap_status ntap_module_value_count(const ntap_module *module, size_t *count, ntap_error *err) {
    return guarded(err, NTAP_ERROR_UNSUPPORTED, [&] {
        require_not_null(module, "module");
        require_not_null(count, "count");
        *count = module->model->values().size();
    });
}

ntap_status ntap_module_value_name(const ntap_module *module, size_t index, const char **name,
                                   ntap_error *err) {
    return guarded(err, NTAP_ERROR_UNSUPPORTED, [&] {
        require_not_null(module, "module");
        require_not_null(name, "name");
        const auto &values = module->model->values();
        if (index >= values.size())
            fail(NTAP_ERROR_INVALID_ARGUMENT, "index is ", index, "; the module has ",
                 values.size(), " values");
        *name = values[index].c_str();
    });
}

ntap_status capi_module_forward(const ntap_module *module, const ntap_value *const *args,
                                size_t n_args, int keep_model, ntap_value **result,
                                ntap_error *err) {
    return guarded(err, NTAP_ERROR_MODEL, [&] {
        const c10::InferenceMode no_inference(false);
        const at::NoGradGuard no_grad;
        RunContext context(0, keep_model != 0 ? Keeps::kModel : Keeps::kNothing, module->replica);
        const auto returned = module->forward()->run(context, Arguments{{}, args, n_args, false});
        *result = new ntap_value(from_ivalue(returned));
    });
}

ntap_status ntap_module_to(ntap_module *module, const ntap_device *device, ntap_dtype dtype,
                           ntap_error *err) {
    return guarded(err, NTAP_ERROR_INTERNAL, [&] {
        require_not_null(module, "module");
        const at::Device target = device == nullptr ? at::Device(at::kCPU) : to_torch(*device);
        const at::ScalarType type = dtype == NTAP_DTYPE_NONE ? at::kFloat : to_torch(dtype);
        if (!at::isFloatingType(type))
            fail(NTAP_ERROR_DTYPE, "dtype is ", ntap_dtype_name(dtype),
                 "; expected a floating-point type");
        if (!module->replicas.empty())
            fail(NTAP_ERROR_UNSUPPORTED,
                 "a data-parallel module cannot be moved; move the module that it was made from, "
                 "and then call ntap_module_update_replicas()");
        const c10::InferenceMode no_inference(false);
        const at::NoGradGuard no_grad;
        module->model->move(device == nullptr ? nullptr : &target,
                            dtype == NTAP_DTYPE_NONE ? nullptr : &type);
    });
}

ntap_status capi_module_has(const ntap_module *module, const char *name, int *has,
                            ntap_error *err) {
    return guarded(err, NTAP_ERROR_UNSUPPORTED, [&] { *has = module->model->has(name) ? 1 : 0; });
}

ntap_status capi_module_reaches(const ntap_module *module, const char *name, int *reaches,
                                ntap_error *err) {
    return guarded(err, NTAP_ERROR_UNSUPPORTED,
                   [&] { *reaches = module->model->reaches(name) ? 1 : 0; });
}
