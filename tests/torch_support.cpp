#include "torch_support.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <c10/core/InferenceMode.h>

void support_in_mode(torch_mode mode, void (*body)(void *context), void *context) {
    const c10::InferenceMode inference(mode == MODE_INFERENCE);
    const c10::AutoGradMode grad(mode == MODE_GRAD);
    body(context);
}

torch_mode support_current_mode(void) {
    if (c10::InferenceMode::is_enabled())
        return MODE_INFERENCE;
    return c10::GradMode::is_enabled() ? MODE_GRAD : MODE_NO_GRAD;
}

void support_seed(unsigned long long seed) { at::manual_seed(seed); }
