/* Callback modules: the options and their defaults. */
#include "data_parallel.h"

static ntap_status check_layers(const ntap_callback_module_options *options, ntap_error *err) {
    for (size_t i = 0; i < options->n_layers; ++i) {
        if (options->layers == NULL)
            return ntap_error_set(err, NTAP_ERROR_INVALID_ARGUMENT,
                                  "options.layers is NULL, but n_layers is %zu", options->n_layers);
        if (options->layers[i] == NULL)
            return ntap_error_set(err, NTAP_ERROR_INVALID_ARGUMENT, "options.layers[%zu] is NULL",
                                  i);
    }
    return NTAP_OK;
}

/* Over a data-parallel module the callback module is what there are replicas of. */
static ntap_status make(const ntap_module *base, ntap_forward_function forward, void *context,
                        const ntap_callback_module_options *options, ntap_module **module,
                        ntap_error *err) {
    ntap_module *plain = NULL;
    if (ntap_module_replica_count(base) == 0)
        return capi_module_new_callback(base, forward, context, options, module, err);
    NTAPI_TRY(capi_module_new_callback(base, forward, context, options, &plain, err));
    const ntap_status status = ntapi_new_data_parallel_like(plain, base, module, err);
    ntap_module_free(plain);
    return status;
}

ntap_status ntap_module_new_callback(const ntap_module *base, ntap_forward_function forward,
                                     void *context, const ntap_callback_module_options *options,
                                     ntap_module **module, ntap_error *err) {
    ntap_callback_module_options read = NTAP_CALLBACK_MODULE_OPTIONS_INIT;
    NTAPI_REQUIRE(forward, err);
    NTAPI_REQUIRE(module, err);
    NTAPI_TRY(ntapi_options_read(&read, sizeof read, options, err));
    NTAPI_TRY(check_layers(&read, err));
    NTAPI_TRY(make(base, forward, context, &read, module, err));
    capi_module_finalize_with(*module, read.finalizer);
    return NTAP_OK;
}
