/* Hooks: what is checked before they are added. */
#include "internal.h"

static ntap_status add(const ntap_module *module, const char *layer, int before,
                       ntap_hook_callback callback, void *context, ntap_finalizer finalizer,
                       ntap_hook **hook, ntap_error *err) {
    int reaches = 0;
    NTAPI_REQUIRE(module, err);
    NTAPI_REQUIRE(layer, err);
    NTAPI_REQUIRE(callback, err);
    NTAPI_TRY(ntapi_require_layers(module, &layer, 1, err));
    NTAPI_TRY(capi_module_reaches(module, layer, &reaches, err));
    if (!reaches)
        return ntapi_layer_never_called(layer, err);
    return capi_hook_add(module, layer, before, callback, context, finalizer, hook, err);
}

ntap_status ntap_module_add_forward_hook(const ntap_module *module, const char *layer,
                                         ntap_hook_callback callback, void *context,
                                         ntap_finalizer finalizer, ntap_hook **hook,
                                         ntap_error *err) {
    return add(module, layer, 0, callback, context, finalizer, hook, err);
}

ntap_status ntap_module_add_forward_pre_hook(const ntap_module *module, const char *layer,
                                             ntap_hook_callback callback, void *context,
                                             ntap_finalizer finalizer, ntap_hook **hook,
                                             ntap_error *err) {
    return add(module, layer, 1, callback, context, finalizer, hook, err);
}
