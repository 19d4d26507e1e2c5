/* Loading modules: the options and their defaults. */
#include "internal.h"

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
