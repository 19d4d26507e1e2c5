/* Option structs that can grow without breaking their callers. */
#include "internal.h"

#include <string.h>

/* No struct is as large, or ends within a setting: what has such a size was never initialised. */
static const size_t LARGEST_STRUCT = 4096;

static int is_size(size_t size) {
    return size >= sizeof size && size <= LARGEST_STRUCT && size % sizeof size == 0;
}

static int is_zero(const unsigned char *bytes, size_t size) {
    for (size_t i = 0; i < size; ++i)
        if (bytes[i] != 0)
            return 0;
    return 1;
}

ntap_status ntapi_options_read(void *options, size_t size, const void *given, ntap_error *err) {
    size_t given_size = 0;
    if (given == NULL)
        return NTAP_OK;
    memcpy(&given_size, given, sizeof given_size);
    if (!is_size(given_size))
        return ntap_error_set(err, NTAP_ERROR_INVALID_ARGUMENT,
                              "options.struct_size is %zu; initialise options with the ..._INIT "
                              "macro",
                              given_size);
    if (given_size > size && !is_zero((const unsigned char *)given + size, given_size - size))
        return ntap_error_set(err, NTAP_ERROR_INVALID_ARGUMENT,
                              "options.struct_size is %zu, and the settings behind the first %zu "
                              "bytes are not 0; neurotap %s does not know them",
                              given_size, size, ntap_version());
    memcpy(options, given, given_size < size ? given_size : size);
    return NTAP_OK;
}
