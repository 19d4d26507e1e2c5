/**
 * @file base.h
 * @brief Status codes, errors, devices, element types and versions.
 *
 * Conventions that hold in every neurotap header:
 *
 * - **Results.** A function that can fail returns an ntap_status, which must be checked, and takes
 *   a nullable, caller-owned ntap_error as its last parameter. Parameters come in the order
 *   subject, inputs, options, outputs, error.
 * - **Failure.** On failure every output is left untouched and nothing has to be cleaned up. No
 *   C++ exception, abort, exit or print ever leaves the library.
 * - **Ownership.** `..._new`, `..._load`, `..._from_...`, `..._clone` and every other function
 *   with a `T **` output give the caller an object to release with `T_free`, which returns void
 *   and accepts NULL. Getters that return a pointer lend it: it lives as long as its owner.
 * - **Options.** An option struct starts with `struct_size`. Initialise it with its `..._INIT`
 *   macro; every field that is zero has its default; a NULL options pointer means all defaults.
 * - **Threads.** A `const` parameter may be used by several threads at once. An object that is
 *   passed as non-`const`, or freed, must not be in use by another thread at that moment. Different
 *   objects never interfere, also when they share memory internally.
 * - **No side effects.** The caller's tensors and modules, autograd's grad and inference modes,
 *   thread counts and random number generators are as they were after every call, whether it
 *   succeeded or failed. What a function does change is what its documentation says it is for.
 */
#ifndef NEUROTAP_BASE_H
#define NEUROTAP_BASE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Marks the functions that the shared library exports. */
#if defined(_WIN32)
#define NTAP_API
#else
#define NTAP_API __attribute__((visibility("default")))
#endif

#if defined(__GNUC__) || defined(__clang__)
/** Makes the compiler warn when a result is dropped. */
#define NTAP_MUST_CHECK __attribute__((warn_unused_result))
/** Makes the compiler warn when arguments do not fit a format. */
#define NTAP_PRINTF(format_index, first_argument)                                                  \
    __attribute__((format(printf, format_index, first_argument)))
#else
#define NTAP_MUST_CHECK
#define NTAP_PRINTF(format_index, first_argument)
#endif

/** @defgroup base Base
 *  @brief Status codes, errors, devices, element types and versions: the conventions.
 *  @{ */

/** What came of a call. The numbers are stable across releases. */
typedef enum ntap_status {
    NTAP_OK = 0,                          /**< success */
    NTAP_ERROR_INVALID_ARGUMENT = 1,      /**< an argument is NULL, out of range or malformed */
    NTAP_ERROR_NOT_FOUND = 2,             /**< no layer, operator or call of that name or number */
    NTAP_ERROR_SHAPE = 3,                 /**< a tensor's shape does not fit */
    NTAP_ERROR_DTYPE = 4,                 /**< a tensor's element type does not fit */
    NTAP_ERROR_DEVICE = 5,                /**< a device does not exist, or tensors disagree on it */
    NTAP_ERROR_FILE = 6,                  /**< a file cannot be read or written, or is malformed */
    NTAP_ERROR_MODEL = 7,                 /**< the model, or an operator, raised an error */
    NTAP_ERROR_AUTOGRAD = 8,              /**< the gradient does not exist or cannot be computed */
    NTAP_ERROR_OUT_OF_MEMORY = 9,         /**< the host's memory is exhausted */
    NTAP_ERROR_DEVICE_OUT_OF_MEMORY = 10, /**< a device's memory is exhausted */
    NTAP_ERROR_STOPPED = 11,              /**< a callback of the caller asked to stop */
    NTAP_ERROR_UNSUPPORTED = 12,          /**< valid, but beyond what this library can do */
    NTAP_ERROR_INTERNAL = 13              /**< a bug in this library or in libtorch */
} ntap_status;

/**
 * The name of a status, such as "NTAP_ERROR_SHAPE"; "NTAP_STATUS_UNKNOWN" for any other number.
 * The string is static. Safe from any thread.
 */
NTAP_API const char *ntap_status_name(ntap_status status);

/** Room for an error message, with its terminating NUL. */
#define NTAP_ERROR_MESSAGE_SIZE 1024

/**
 * An error, owned by the caller, typically on the stack. A failing call fills it; a successful call
 * leaves it alone. It needs no initialisation and no release.
 */
typedef struct ntap_error {
    ntap_status code;                      /**< the status that the call returned */
    int truncated;                         /**< 1 if the message did not fit, else 0 */
    char message[NTAP_ERROR_MESSAGE_SIZE]; /**< UTF-8, one sentence: argument, value, expectation */
} ntap_error;

/**
 * Fills an error, for callbacks that report failures of their own.
 * @param err     the error to fill; NULL is allowed and only returns @p code
 * @param code    the status; not NTAP_OK
 * @param format  as for printf
 * @return @p code, so that a callback can write `return ntap_error_set(err, ...);`
 * Allocates nothing. Safe from any thread.
 */
NTAP_API ntap_status ntap_error_set(ntap_error *err, ntap_status code, const char *format, ...)
    NTAP_PRINTF(3, 4);

/** Releases the context of a callback, which names when that happens. Called exactly once. */
typedef void (*ntap_finalizer)(void *context);

/** Element types. The numbers are neurotap's own and stable across releases. */
typedef enum ntap_dtype {
    NTAP_DTYPE_NONE = 0, /**< no element type; as an option: keep what there is */
    NTAP_DTYPE_BOOL = 1,
    NTAP_DTYPE_UINT8 = 2,
    NTAP_DTYPE_INT8 = 3,
    NTAP_DTYPE_INT16 = 4,
    NTAP_DTYPE_INT32 = 5,
    NTAP_DTYPE_INT64 = 6,
    NTAP_DTYPE_FLOAT16 = 7,
    NTAP_DTYPE_BFLOAT16 = 8,
    NTAP_DTYPE_FLOAT32 = 9,
    NTAP_DTYPE_FLOAT64 = 10,
    NTAP_DTYPE_COMPLEX64 = 11, /**< two float32: real, imaginary */
    NTAP_DTYPE_COMPLEX128 = 12 /**< two float64: real, imaginary */
} ntap_dtype;

/** The name of an element type as PyTorch writes it, such as "float32"; "none" for any other
 *  number. The string is static. */
NTAP_API const char *ntap_dtype_name(ntap_dtype dtype);

/** The size of one element in bytes; 0 for NTAP_DTYPE_NONE and unknown numbers. */
NTAP_API size_t ntap_dtype_size(ntap_dtype dtype);

/** Kinds of device. The numbers are stable across releases. */
typedef enum ntap_device_type {
    NTAP_DEVICE_CPU = 0, /**< the host */
    NTAP_DEVICE_CUDA = 1 /**< an NVIDIA GPU, or an AMD one in libtorch's ROCm builds */
} ntap_device_type;

/** A device. All zero is the CPU. */
typedef struct ntap_device {
    ntap_device_type type; /**< which kind */
    int32_t index;         /**< which of several, from 0; 0 for the CPU */
} ntap_device;

/**
 * Reads "cpu", "cuda" (the first one) or "cuda:1".
 * Checks the notation, not whether the machine has the device.
 * @param text    the notation
 * @param[out] device  the device
 * @param err     filled on failure; may be NULL
 * @return NTAP_OK, or NTAP_ERROR_INVALID_ARGUMENT
 */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_device_parse(const char *text, ntap_device *device,
                                                       ntap_error *err);

/** How many devices of a type this machine and this libtorch offer: 1 for the CPU, 0 for an unknown
 *  type. Safe from any thread. */
NTAP_API int32_t ntap_device_count(ntap_device_type type);

/** The number of threads that libtorch uses inside one operator on the CPU. */
NTAP_API int ntap_num_threads(void);

/**
 * Sets the number of threads that libtorch uses inside one operator on the CPU, as
 * `at::set_num_threads`. **This is process-wide** and meant for programs that own their process,
 * before their first computation: neurotap itself never calls it.
 * @param count  at least 1
 * @param err    filled on failure; may be NULL
 */
NTAP_API NTAP_MUST_CHECK ntap_status ntap_set_num_threads(int count, ntap_error *err);

/** neurotap's version, such as "0.1.0". The string is static. */
NTAP_API const char *ntap_version(void);

/** The version of the libtorch that this library was compiled with, such as "1.13.1". The string
 *  is static. */
NTAP_API const char *ntap_torch_version(void);

/** @} */

#ifdef __cplusplus
}
#endif

#endif /* NEUROTAP_BASE_H */
