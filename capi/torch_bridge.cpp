// Objects of libtorch that someone else holds, as handles and back.
#include "handles.hpp"
#include "script_model.hpp"

#include <neurotap/torch_bridge.h>

using namespace neurotap;

ntap_status ntap_tensor_from_aten(const AtenTensorOpaque *handle, ntap_tensor **tensor,
                                  ntap_error *err) {
    return guarded(err, NTAP_ERROR_INTERNAL, [&] {
        require_not_null(handle, "handle");
        require_not_null(tensor, "tensor");
        const auto &shared = *reinterpret_cast<const at::Tensor *>(handle);
        if (!shared.defined())
            fail(NTAP_ERROR_INVALID_ARGUMENT, "handle is an undefined tensor");
        if (shared.is_nested())
            fail(NTAP_ERROR_UNSUPPORTED, "handle is a nested tensor, which has no sizes");
        *tensor = wrap(shared);
    });
}

AtenTensorOpaque *ntap_tensor_as_aten(const ntap_tensor *tensor) {
    // libtorch's interface has no const; what is lent is not to be changed all the same.
    return tensor == nullptr
               ? nullptr
               : reinterpret_cast<AtenTensorOpaque *>(const_cast<at::Tensor *>(&tensor->tensor));
}

ntap_status ntap_value_from_ivalue(const void *ivalue, ntap_value **value, ntap_error *err) {
    return guarded(err, NTAP_ERROR_INTERNAL, [&] {
        require_not_null(ivalue, "ivalue");
        require_not_null(value, "value");
        *value = new ntap_value(from_ivalue(*static_cast<const c10::IValue *>(ivalue)));
    });
}

ntap_status ntap_value_to_ivalue(const ntap_value *value, void *ivalue, ntap_error *err) {
    return guarded(err, NTAP_ERROR_INTERNAL, [&] {
        require_not_null(value, "value");
        require_not_null(ivalue, "ivalue");
        *static_cast<c10::IValue *>(ivalue) =
            coerce(*value, c10::AnyType::get(), "value", same_tensor);
    });
}

ntap_status ntap_module_from_jit(const void *jit_module, const char *method, ntap_module **module,
                                 ntap_error *err) {
    return guarded(err, NTAP_ERROR_UNSUPPORTED, [&] {
        require_not_null(jit_module, "jit_module");
        require_not_null(module, "module");
        const auto &shared = *static_cast<const torch::jit::Module *>(jit_module);
        *module = new ntap_module(std::make_shared<ScriptModel>(
            shared, method == nullptr ? "forward" : method, /*shared=*/true));
    });
}
