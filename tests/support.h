/**
 * @file support.h
 * @brief What the tests share: asserts on calls, tensors from numbers, files.
 *
 * Calls under test pass `&test_err`:
 * @code
 * assert_ok(ntap_selector_parse("4", &selector, &test_err));
 * assert_fails(NTAP_ERROR_INVALID_ARGUMENT, ntap_selector_parse("x", &selector, &test_err));
 * assert_message("expected a number");
 * @endcode
 * A failing assert ends its test; what the test had allocated is then lost, which is fine.
 */
#ifndef NEUROTAP_TESTS_SUPPORT_H
#define NEUROTAP_TESTS_SUPPORT_H

/* cmocka.h needs these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#include <cmocka.h>

#include <neurotap/neurotap.h>

/* ---- calls ---- */

/** The error that calls under test fill. For calls on the test's own thread. */
extern ntap_error test_err;

/** The call succeeds, and leaves `test_err` alone. */
#define assert_ok(call)                                                                            \
    do {                                                                                           \
        support_reset_error();                                                                     \
        support_check_ok((call), #call, __FILE__, __LINE__);                                       \
    } while (0)

/** The call fails with this status, and `test_err` holds the status and a message of one line. */
#define assert_fails(status, call)                                                                 \
    do {                                                                                           \
        support_reset_error();                                                                     \
        support_check_fails((status), (call), #call, __FILE__, __LINE__);                          \
    } while (0)

/** The message of the last assert_fails() contains this text. */
#define assert_message(part) assert_contains(test_err.message, (part))

/** A string contains another one. */
#define assert_contains(text, part) support_check_contains((text), (part), __FILE__, __LINE__)

void support_reset_error(void);
void support_check_ok(ntap_status status, const char *call, const char *file, int line);
void support_check_fails(ntap_status expected, ntap_status status, const char *call,
                         const char *file, int line);
void support_check_contains(const char *text, const char *part, const char *file, int line);

/* ---- outputs of failing calls ---- */

/** What an output pointer holds before a failing call, and still has to hold after it. No object
 *  lies there: to free it or to look into it crashes. */
#define POISON ((void *)(UINTPTR_MAX / 3))

#define assert_untouched(pointer) assert_ptr_equal((pointer), POISON)

/* ---- tensors ---- */

/** Sizes as two arguments, the count and the array: SHAPE(2, 3). */
#define SHAPE(...)                                                                                 \
    sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t), (const int64_t[]) { __VA_ARGS__ }

/** The sizes of a tensor without dimensions, as two arguments. */
#define SCALAR 0, NULL

/** Elements in C order. */
#define VALUES(...) ((const double[]){__VA_ARGS__})

/** A tensor on the CPU with these elements, converted to the dtype: make_tensor(NTAP_DTYPE_FLOAT32,
 *  VALUES(1, 2, 3, 4), SHAPE(2, 2)). */
ntap_tensor *make_tensor(ntap_dtype dtype, const double *values, size_t ndim, const int64_t *sizes);

/** The elements in C order; a complex one takes two doubles, real and imaginary. To be freed. */
double *read_elements(const ntap_tensor *tensor, size_t *count);

/** The tensor has this dtype, shape and exactly these elements: assert_tensor(t,
 *  NTAP_DTYPE_FLOAT32, VALUES(1, 2), SHAPE(2)). Complex elements as pairs. */
#define assert_tensor(tensor, dtype, values, ...)                                                  \
    support_check_tensor(__FILE__, __LINE__, (tensor), (dtype), (values), __VA_ARGS__)

/** Same dtype and shape, and no element differs by more than `tolerance` times the largest expected
 *  absolute value: expected zeros have to be zeros. NaNs are never close. */
#define assert_close(actual, expected, tolerance)                                                  \
    support_check_close((actual), (expected), (tolerance), __FILE__, __LINE__)

void support_check_tensor(const char *file, int line, const ntap_tensor *tensor, ntap_dtype dtype,
                          const double *values, size_t ndim, const int64_t *sizes);
void support_check_close(const ntap_tensor *actual, const ntap_tensor *expected, double tolerance,
                         const char *file, int line);

/* ---- values ---- */

ntap_value *make_none(void);
ntap_value *make_int(int64_t number);
ntap_value *make_double(double number);
ntap_value *make_bool(int truth);
ntap_value *make_string(const char *text);

/** The tensor stays the caller's. */
ntap_value *make_tensor_value(const ntap_tensor *tensor);

/** A list or tuple of these values, which it frees: make_list(2, make_int(1), make_int(2)). */
ntap_value *make_list(size_t count, ...);
ntap_value *make_tuple(size_t count, ...);

/* ---- files ---- */

/** The path of a file in tests/fixtures, in examples/, or in a temporary folder that is removed
 *  when the program ends. Each of the last 8 results stays valid. */
const char *fixture_path(const char *name);
const char *example_path(const char *name);
const char *temp_path(const char *name);

/** Where fixtures go: the environment's NTAP_TEST_DEVICE, such as cuda:1, or else the CPU. */
ntap_device fixture_device(void);

/** Loads a model, reads an .npy file of tests/fixtures; fails the test if it cannot. */
ntap_module *load_fixture(const char *name);
ntap_tensor *read_fixture(const char *name);

/** Writes a file; fails the test if it cannot. */
void write_file(const char *path, const void *bytes, size_t size);

/** Reads a file; fails the test if it cannot. To be freed. */
unsigned char *read_file(const char *path, size_t *size);

/* ---- memory ---- */

/** Bytes that the allocator has given out, in all threads. */
size_t allocated_bytes(void);

#ifdef __cplusplus
}
#endif

#endif /* NEUROTAP_TESTS_SUPPORT_H */
