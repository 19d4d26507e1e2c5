/* Names and sizes of statuses, element types and devices. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

const char *ntap_version(void) { return NTAP_VERSION; }

const char *ntap_status_name(ntap_status status) {
    switch (status) {
    case NTAP_OK:
        return "NTAP_OK";
    case NTAP_ERROR_INVALID_ARGUMENT:
        return "NTAP_ERROR_INVALID_ARGUMENT";
    case NTAP_ERROR_NOT_FOUND:
        return "NTAP_ERROR_NOT_FOUND";
    case NTAP_ERROR_SHAPE:
        return "NTAP_ERROR_SHAPE";
    case NTAP_ERROR_DTYPE:
        return "NTAP_ERROR_DTYPE";
    case NTAP_ERROR_DEVICE:
        return "NTAP_ERROR_DEVICE";
    case NTAP_ERROR_FILE:
        return "NTAP_ERROR_FILE";
    case NTAP_ERROR_MODEL:
        return "NTAP_ERROR_MODEL";
    case NTAP_ERROR_AUTOGRAD:
        return "NTAP_ERROR_AUTOGRAD";
    case NTAP_ERROR_OUT_OF_MEMORY:
        return "NTAP_ERROR_OUT_OF_MEMORY";
    case NTAP_ERROR_DEVICE_OUT_OF_MEMORY:
        return "NTAP_ERROR_DEVICE_OUT_OF_MEMORY";
    case NTAP_ERROR_STOPPED:
        return "NTAP_ERROR_STOPPED";
    case NTAP_ERROR_UNSUPPORTED:
        return "NTAP_ERROR_UNSUPPORTED";
    case NTAP_ERROR_INTERNAL:
        return "NTAP_ERROR_INTERNAL";
    }
    return "NTAP_STATUS_UNKNOWN";
}

typedef struct dtype_entry {
    const char *name;
    size_t size;
} dtype_entry;

static const dtype_entry DTYPES[] = {[NTAP_DTYPE_NONE] = {"none", 0},
                                     [NTAP_DTYPE_BOOL] = {"bool", 1},
                                     [NTAP_DTYPE_UINT8] = {"uint8", 1},
                                     [NTAP_DTYPE_INT8] = {"int8", 1},
                                     [NTAP_DTYPE_INT16] = {"int16", 2},
                                     [NTAP_DTYPE_INT32] = {"int32", 4},
                                     [NTAP_DTYPE_INT64] = {"int64", 8},
                                     [NTAP_DTYPE_FLOAT16] = {"float16", 2},
                                     [NTAP_DTYPE_BFLOAT16] = {"bfloat16", 2},
                                     [NTAP_DTYPE_FLOAT32] = {"float32", 4},
                                     [NTAP_DTYPE_FLOAT64] = {"float64", 8},
                                     [NTAP_DTYPE_COMPLEX64] = {"complex64", 8},
                                     [NTAP_DTYPE_COMPLEX128] = {"complex128", 16}};

static const dtype_entry *dtype_of(ntap_dtype dtype) {
    const size_t index = (size_t)dtype;
    return &DTYPES[index < sizeof DTYPES / sizeof *DTYPES ? index : NTAP_DTYPE_NONE];
}

const char *ntap_dtype_name(ntap_dtype dtype) { return dtype_of(dtype)->name; }

size_t ntap_dtype_size(ntap_dtype dtype) { return dtype_of(dtype)->size; }

/* The digits behind "cuda:"; -1 if it is anything else. */
static int32_t parse_device_index(const char *digits) {
    const size_t length = strspn(digits, "0123456789");
    if (length == 0 || length > 4 || digits[length] != '\0')
        return -1;
    return (int32_t)strtol(digits, NULL, 10);
}

ntap_status ntap_device_parse(const char *text, ntap_device *device, ntap_error *err) {
    NTAPI_REQUIRE(text, err);
    NTAPI_REQUIRE(device, err);
    ntap_device parsed = {NTAP_DEVICE_CPU, 0};
    if (strncmp(text, "cuda", 4) == 0) {
        parsed.type = NTAP_DEVICE_CUDA;
        parsed.index = text[4] == '\0' ? 0 : text[4] == ':' ? parse_device_index(text + 5) : -1;
    } else if (strcmp(text, "cpu") != 0) {
        parsed.index = -1;
    }
    if (parsed.index < 0)
        return ntap_error_set(err, NTAP_ERROR_INVALID_ARGUMENT,
                              "device '%s' is not known; expected cpu, cuda or cuda:0", text);
    *device = parsed;
    return NTAP_OK;
}
