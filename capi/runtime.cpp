// What concerns the process and the machine rather than a tensor or a module.
#include "capi.h"
#include "handles.hpp"

using namespace neurotap;

const char *ntap_torch_version(void) { return TORCH_VERSION_TEXT; }

int32_t ntap_device_count(ntap_device_type type) {
    if (type == NTAP_DEVICE_CPU)
        return 1;
    int32_t count = 0;
    if (type == NTAP_DEVICE_CUDA) {
        // A driver that fails to answer has no devices to offer.
        (void)guarded(nullptr, NTAP_ERROR_DEVICE,
                      [&] { count = static_cast<int32_t>(torch::cuda::device_count()); });
    }
    return count;
}

int ntap_num_threads(void) {
    int count = 1;
    (void)guarded(nullptr, NTAP_ERROR_INTERNAL, [&] { count = at::get_num_threads(); });
    return count;
}

ntap_status ntap_set_num_threads(int count, ntap_error *err) {
    return guarded(err, NTAP_ERROR_INTERNAL, [&] {
        if (count < 1)
            fail(NTAP_ERROR_INVALID_ARGUMENT, "count is ", count, "; expected at least 1");
        at::set_num_threads(count);
    });
}

ntap_status capi_with_grad_mode(ntap_status (*body)(void *context), void *context) {
    ntap_status status = NTAP_OK;
    const ntap_status wall = guarded(nullptr, NTAP_ERROR_INTERNAL, [&] {
        const c10::InferenceMode no_inference(false);
        const at::AutoGradMode grad(true);
        status = body(context);
    });
    return wall != NTAP_OK ? wall : status;
}
