/* Loading modules, and running them. */
#include "data_parallel.h"

ntap_status ntap_module_load(const char *path, const ntap_load_options *options,
                             ntap_module **module, ntap_error *err) {
    ntap_load_options read = NTAP_LOAD_OPTIONS_INIT;
    NTAPI_REQUIRE(path, err);
    NTAPI_REQUIRE(module, err);
    NTAPI_TRY(ntapi_options_read(&read, sizeof read, options, err));
    return capi_module_load(path, &read, module, err);
}

ntap_status ntap_module_load_memory(const void *data, size_t size, const ntap_load_options *options,
                                    ntap_module **module, ntap_error *err) {
    ntap_load_options read = NTAP_LOAD_OPTIONS_INIT;
    NTAPI_REQUIRE(data, err);
    NTAPI_REQUIRE(module, err);
    NTAPI_TRY(ntapi_options_read(&read, sizeof read, options, err));
    return capi_module_load_memory(data, size, &read, module, err);
}

static ntap_status forward_replica(const ntap_module *replica, const ntap_value *const *args,
                                   size_t n_args, const void *context, ntap_value **results,
                                   ntap_error *err) {
    (void)context;
    return capi_module_forward(replica, args, n_args, 1, results, err);
}

ntap_status ntap_module_forward(const ntap_module *module, const ntap_value *const *args,
                                size_t n_args, ntap_value **result, ntap_error *err) {
    static const ntapi_parallel_call forward = {forward_replica, NULL, 1};
    NTAPI_REQUIRE(module, err);
    NTAPI_REQUIRE(result, err);
    if (ntap_module_replica_count(module) > 0)
        return ntapi_call_in_parallel(module, args, n_args, &forward, result, err);
    return capi_module_forward(module, args, n_args, 0, result, err);
}
