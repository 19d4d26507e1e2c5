/* Tensors: making, looking into, converting, copying out. */
#include "support.h"

#include <stdlib.h>
#include <string.h>

static const ntap_device CPU = {NTAP_DEVICE_CPU, 0};

static const ntap_dtype ALL_DTYPES[] = {
    NTAP_DTYPE_BOOL,    NTAP_DTYPE_UINT8,   NTAP_DTYPE_INT8,      NTAP_DTYPE_INT16,
    NTAP_DTYPE_INT32,   NTAP_DTYPE_INT64,   NTAP_DTYPE_FLOAT16,   NTAP_DTYPE_BFLOAT16,
    NTAP_DTYPE_FLOAT32, NTAP_DTYPE_FLOAT64, NTAP_DTYPE_COMPLEX64, NTAP_DTYPE_COMPLEX128};

enum { DTYPE_COUNT = sizeof ALL_DTYPES / sizeof *ALL_DTYPES };

/* Counts its calls and remembers what it was given. */
typedef struct deletion {
    int count;
    void *data;
} deletion;

static void count_deletion(void *data, void *context) {
    deletion *d = (deletion *)context;
    ++d->count;
    d->data = data;
}

/* ---- over existing memory ---- */

static void a_blob_is_not_copied(void **state) {
    float data[6] = {0, 1, 2, 3, 4, 5};
    ntap_tensor *tensor = NULL;
    (void)state;
    assert_ok(ntap_tensor_from_blob(data, SHAPE(2, 3), NULL, NTAP_DTYPE_FLOAT32, CPU, NULL, NULL,
                                    &tensor, &test_err));
    assert_ptr_equal(ntap_tensor_data(tensor), data);
    data[4] = 40;
    assert_tensor(tensor, NTAP_DTYPE_FLOAT32, VALUES(0, 1, 2, 3, 40, 5), SHAPE(2, 3));
    ntap_tensor_free(tensor);
}

static void a_blob_is_in_c_order_by_default(void **state) {
    float data[24] = {0};
    ntap_tensor *tensor = NULL;
    (void)state;
    assert_ok(ntap_tensor_from_blob(data, SHAPE(2, 3, 4), NULL, NTAP_DTYPE_FLOAT32, CPU, NULL, NULL,
                                    &tensor, &test_err));
    assert_int_equal(ntap_tensor_stride(tensor, 0), 12);
    assert_int_equal(ntap_tensor_stride(tensor, 1), 4);
    assert_int_equal(ntap_tensor_stride(tensor, 2), 1);
    assert_int_equal(ntap_tensor_is_contiguous(tensor), 1);
    ntap_tensor_free(tensor);
}

static void strides_count_elements(void **state) {
    double data[] = {0, 1, 2, 3, 4, 5}; /* three rows of two, read as two rows of three */
    ntap_tensor *tensor = NULL;
    (void)state;
    assert_ok(ntap_tensor_from_blob(data, SHAPE(2, 3), (const int64_t[]){1, 2}, NTAP_DTYPE_FLOAT64,
                                    CPU, NULL, NULL, &tensor, &test_err));
    assert_int_equal(ntap_tensor_stride(tensor, 0), 1);
    assert_int_equal(ntap_tensor_stride(tensor, 1), 2);
    assert_int_equal(ntap_tensor_is_contiguous(tensor), 0);
    assert_tensor(tensor, NTAP_DTYPE_FLOAT64, VALUES(0, 2, 4, 1, 3, 5), SHAPE(2, 3));
    ntap_tensor_free(tensor);
}

static void a_stride_of_zero_repeats(void **state) {
    int32_t data[] = {7, 8};
    ntap_tensor *tensor = NULL;
    (void)state;
    assert_ok(ntap_tensor_from_blob(data, SHAPE(3, 2), (const int64_t[]){0, 1}, NTAP_DTYPE_INT32,
                                    CPU, NULL, NULL, &tensor, &test_err));
    assert_tensor(tensor, NTAP_DTYPE_INT32, VALUES(7, 8, 7, 8, 7, 8), SHAPE(3, 2));
    ntap_tensor_free(tensor);
}

static void a_blob_may_be_a_scalar(void **state) {
    int64_t data = -5;
    ntap_tensor *tensor = NULL;
    (void)state;
    assert_ok(ntap_tensor_from_blob(&data, SCALAR, NULL, NTAP_DTYPE_INT64, CPU, NULL, NULL, &tensor,
                                    &test_err));
    assert_tensor(tensor, NTAP_DTYPE_INT64, VALUES(-5), SCALAR);
    ntap_tensor_free(tensor);
}

static void every_dtype_can_be_wrapped(void **state) {
    _Alignas(16) double data[4] = {0, 0, 0, 0}; /* aligned and large enough for two of any type */
    (void)state;
    for (size_t i = 0; i < DTYPE_COUNT; ++i) {
        ntap_tensor *tensor = NULL;
        assert_ok(ntap_tensor_from_blob(data, SHAPE(2), NULL, ALL_DTYPES[i], CPU, NULL, NULL,
                                        &tensor, &test_err));
        assert_int_equal(ntap_tensor_dtype(tensor), ALL_DTYPES[i]);
        ntap_tensor_free(tensor);
    }
}

static void the_deleter_runs_once_with_data_and_context(void **state) {
    float data[2] = {0, 0};
    deletion d = {0, NULL};
    ntap_tensor *tensor = NULL;
    (void)state;
    assert_ok(ntap_tensor_from_blob(data, SHAPE(2), NULL, NTAP_DTYPE_FLOAT32, CPU, count_deletion,
                                    &d, &tensor, &test_err));
    assert_int_equal(d.count, 0);
    ntap_tensor_free(tensor);
    assert_int_equal(d.count, 1);
    assert_ptr_equal(d.data, data);
}

static void the_deleter_waits_for_the_last_handle(void **state) {
    float data[2] = {0, 0};
    deletion d = {0, NULL};
    ntap_tensor *tensor = NULL;
    ntap_tensor *same = NULL;
    (void)state;
    assert_ok(ntap_tensor_from_blob(data, SHAPE(2), NULL, NTAP_DTYPE_FLOAT32, CPU, count_deletion,
                                    &d, &tensor, &test_err));
    assert_ok(ntap_tensor_to(tensor, NULL, NTAP_DTYPE_NONE, &same, &test_err));
    ntap_tensor_free(tensor);
    assert_int_equal(d.count, 0);
    assert_ptr_equal(ntap_tensor_data(same), data);
    ntap_tensor_free(same);
    assert_int_equal(d.count, 1);
}

static void the_deleter_runs_for_no_data_too(void **state) {
    deletion d = {0, &d};
    ntap_tensor *tensor = NULL;
    (void)state;
    assert_ok(ntap_tensor_from_blob(NULL, SHAPE(0, 3), NULL, NTAP_DTYPE_FLOAT32, CPU,
                                    count_deletion, &d, &tensor, &test_err));
    assert_int_equal(ntap_tensor_numel(tensor), 0);
    assert_int_equal(d.count, 0);
    ntap_tensor_free(tensor);
    assert_int_equal(d.count, 1);
    assert_null(d.data);
}

static void the_deleter_runs_for_no_elements_too(void **state) {
    float data[1] = {0};
    deletion d = {0, NULL};
    ntap_tensor *tensor = NULL;
    (void)state;
    assert_ok(ntap_tensor_from_blob(data, SHAPE(0), NULL, NTAP_DTYPE_FLOAT32, CPU, count_deletion,
                                    &d, &tensor, &test_err));
    ntap_tensor_free(tensor);
    assert_int_equal(d.count, 1);
    assert_ptr_equal(d.data, data);
}

/* A from_blob call that has to fail; the data stays the caller's. */
static void check_blob_fails(ntap_status status, void *data, size_t ndim, const int64_t *sizes,
                             const int64_t *strides, ntap_dtype dtype, ntap_device device) {
    deletion d = {0, NULL};
    ntap_tensor *tensor = (ntap_tensor *)POISON;
    assert_fails(status, ntap_tensor_from_blob(data, ndim, sizes, strides, dtype, device,
                                               count_deletion, &d, &tensor, &test_err));
    assert_int_equal(d.count, 0);
    assert_untouched(tensor);
}

static void elements_without_data_are_refused(void **state) {
    (void)state;
    check_blob_fails(NTAP_ERROR_INVALID_ARGUMENT, NULL, SHAPE(2), NULL, NTAP_DTYPE_FLOAT32, CPU);
    assert_message("data is NULL");
    check_blob_fails(NTAP_ERROR_INVALID_ARGUMENT, NULL, SCALAR, NULL, NTAP_DTYPE_FLOAT32, CPU);
    assert_message("data is NULL");
}

/* libtorch's vector instructions end the program for complex128 that is aligned as C's is. */
static void misaligned_elements_are_refused(void **state) {
    _Alignas(16) unsigned char data[64] = {0};
    (void)state;
    check_blob_fails(NTAP_ERROR_INVALID_ARGUMENT, data + 8, SHAPE(2), NULL, NTAP_DTYPE_COMPLEX128,
                     CPU);
    assert_message("expected a multiple of 16, the size of complex128");
    check_blob_fails(NTAP_ERROR_INVALID_ARGUMENT, data + 2, SCALAR, NULL, NTAP_DTYPE_FLOAT32, CPU);
    assert_message("expected a multiple of 4, the size of float32");
}

static void misaligned_nothing_is_a_tensor(void **state) {
    _Alignas(16) unsigned char data[16] = {0};
    ntap_tensor *tensor = NULL;
    (void)state;
    assert_ok(ntap_tensor_from_blob(data + 1, SHAPE(0), NULL, NTAP_DTYPE_FLOAT64, CPU, NULL, NULL,
                                    &tensor, &test_err));
    ntap_tensor_free(tensor);
}

static void missing_sizes_are_refused(void **state) {
    float data[2] = {0, 0};
    (void)state;
    check_blob_fails(NTAP_ERROR_INVALID_ARGUMENT, data, 1, NULL, NULL, NTAP_DTYPE_FLOAT32, CPU);
    assert_message("sizes is NULL");
}

static void negative_sizes_of_a_blob_are_refused(void **state) {
    float data[2] = {0, 0};
    (void)state;
    check_blob_fails(NTAP_ERROR_INVALID_ARGUMENT, data, SHAPE(2, -1), NULL, NTAP_DTYPE_FLOAT32,
                     CPU);
    assert_message("sizes[1] is -1");
}

static void negative_strides_are_refused(void **state) {
    float data[6] = {0};
    (void)state;
    check_blob_fails(NTAP_ERROR_INVALID_ARGUMENT, data, SHAPE(2, 3), (const int64_t[]){3, -1},
                     NTAP_DTYPE_FLOAT32, CPU);
    assert_message("strides[1] is -1");
}

static void strides_beyond_memory_are_refused(void **state) {
    float data[6] = {0};
    (void)state;
    check_blob_fails(NTAP_ERROR_INVALID_ARGUMENT, data, SHAPE(2, 3),
                     (const int64_t[]){1, INT64_MAX / 2}, NTAP_DTYPE_FLOAT32, CPU);
    assert_message("strides[1] is 4611686018427387903: further than memory reaches");
}

static void a_blob_without_a_dtype_is_refused(void **state) {
    float data[2] = {0, 0};
    (void)state;
    check_blob_fails(NTAP_ERROR_DTYPE, data, SHAPE(2), NULL, NTAP_DTYPE_NONE, CPU);
    assert_message("dtype 0");
    check_blob_fails(NTAP_ERROR_DTYPE, data, SHAPE(2), NULL, (ntap_dtype)13, CPU);
    assert_message("dtype 13");
}

static void a_blob_on_a_device_that_does_not_exist_is_refused(void **state) {
    float data[2] = {0, 0};
    (void)state;
    check_blob_fails(NTAP_ERROR_DEVICE, data, SHAPE(2), NULL, NTAP_DTYPE_FLOAT32,
                     (ntap_device){NTAP_DEVICE_CUDA, 1000});
    assert_message("cuda:1000 does not exist");
}

/* ---- new memory ---- */

typedef ntap_status (*maker)(size_t ndim, const int64_t *sizes, ntap_dtype dtype,
                             ntap_device device, ntap_tensor **tensor, ntap_error *err);

static const maker MAKERS[] = {ntap_tensor_empty, ntap_tensor_zeros};

enum { MAKER_COUNT = sizeof MAKERS / sizeof *MAKERS };

static void check_maker_fails(ntap_status status, size_t ndim, const int64_t *sizes,
                              ntap_dtype dtype, ntap_device device, const char *message) {
    for (size_t i = 0; i < MAKER_COUNT; ++i) {
        ntap_tensor *tensor = (ntap_tensor *)POISON;
        assert_fails(status, MAKERS[i](ndim, sizes, dtype, device, &tensor, &test_err));
        assert_message(message);
        assert_untouched(tensor);
    }
}

static void new_tensors_have_what_was_asked_for(void **state) {
    (void)state;
    for (size_t i = 0; i < MAKER_COUNT; ++i) {
        ntap_tensor *tensor = NULL;
        assert_ok(MAKERS[i](SHAPE(2, 0, 3), NTAP_DTYPE_INT16, CPU, &tensor, &test_err));
        assert_int_equal(ntap_tensor_ndim(tensor), 3);
        assert_int_equal(ntap_tensor_size(tensor, 0), 2);
        assert_int_equal(ntap_tensor_size(tensor, 1), 0);
        assert_int_equal(ntap_tensor_size(tensor, 2), 3);
        assert_int_equal(ntap_tensor_dtype(tensor), NTAP_DTYPE_INT16);
        assert_int_equal(ntap_tensor_device(tensor).type, NTAP_DEVICE_CPU);
        assert_int_equal(ntap_tensor_device(tensor).index, 0);
        ntap_tensor_free(tensor);
    }
}

static void new_tensors_can_be_written(void **state) {
    ntap_tensor *tensor = NULL;
    const float values[] = {1.5F, -2};
    (void)state;
    assert_ok(ntap_tensor_empty(SHAPE(2), NTAP_DTYPE_FLOAT32, CPU, &tensor, &test_err));
    memcpy(ntap_tensor_mutable_data(tensor), values, sizeof values);
    assert_tensor(tensor, NTAP_DTYPE_FLOAT32, VALUES(1.5, -2), SHAPE(2));
    ntap_tensor_free(tensor);
}

static void zeros_are_zero_in_every_dtype(void **state) {
    (void)state;
    for (size_t i = 0; i < DTYPE_COUNT; ++i) {
        ntap_tensor *tensor = NULL;
        assert_ok(ntap_tensor_zeros(SHAPE(1, 2), ALL_DTYPES[i], CPU, &tensor, &test_err));
        assert_tensor(tensor, ALL_DTYPES[i], VALUES(0, 0, 0, 0), SHAPE(1, 2));
        ntap_tensor_free(tensor);
    }
}

static void negative_sizes_are_refused(void **state) {
    (void)state;
    check_maker_fails(NTAP_ERROR_INVALID_ARGUMENT, SHAPE(-1), NTAP_DTYPE_FLOAT32, CPU,
                      "sizes[0] is -1");
    check_maker_fails(NTAP_ERROR_INVALID_ARGUMENT, SHAPE(0, INT64_MIN), NTAP_DTYPE_FLOAT32, CPU,
                      "sizes[1] is -9223372036854775808");
}

static void sizes_that_overflow_are_refused(void **state) {
    const int64_t half = INT64_C(1) << 32;
    (void)state;
    check_maker_fails(NTAP_ERROR_INVALID_ARGUMENT, SHAPE(INT64_MAX), NTAP_DTYPE_BOOL, CPU,
                      "more elements than memory can hold");
    check_maker_fails(NTAP_ERROR_INVALID_ARGUMENT, SHAPE(half, half), NTAP_DTYPE_BOOL, CPU,
                      "more elements than memory can hold"); /* 2^64: wraps to 0 */
    check_maker_fails(NTAP_ERROR_INVALID_ARGUMENT, SHAPE(half, half / 2), NTAP_DTYPE_BOOL, CPU,
                      "more elements than memory can hold"); /* 2^63: wraps to negative */
    check_maker_fails(NTAP_ERROR_INVALID_ARGUMENT, SHAPE(half, half / 16), NTAP_DTYPE_COMPLEX128,
                      CPU, "more elements than memory can hold"); /* 2^60 elements, 2^64 bytes */
    check_maker_fails(NTAP_ERROR_INVALID_ARGUMENT, SHAPE(0, half, half), NTAP_DTYPE_BOOL, CPU,
                      "more elements than memory can hold"); /* none, but the strides overflow */
}

/* 2^58 bytes: more than any address space, and libtorch's own error. */
static void more_than_the_hosts_memory_is_out_of_memory(void **state) {
    (void)state;
    check_maker_fails(NTAP_ERROR_OUT_OF_MEMORY, SHAPE(INT64_C(1) << 29, INT64_C(1) << 29),
                      NTAP_DTYPE_UINT8, CPU, "memory");
}

static void unknown_dtypes_are_refused(void **state) {
    (void)state;
    check_maker_fails(NTAP_ERROR_DTYPE, SHAPE(2), NTAP_DTYPE_NONE, CPU, "dtype 0");
    check_maker_fails(NTAP_ERROR_DTYPE, SHAPE(2), (ntap_dtype)13, CPU, "dtype 13");
    check_maker_fails(NTAP_ERROR_DTYPE, SHAPE(2), (ntap_dtype)-1, CPU, "dtype -1");
}

static void unknown_devices_are_refused(void **state) {
    (void)state;
    check_maker_fails(NTAP_ERROR_DEVICE, SHAPE(2), NTAP_DTYPE_FLOAT32,
                      (ntap_device){(ntap_device_type)5, 0}, "device type 5 is unknown");
    check_maker_fails(NTAP_ERROR_DEVICE, SHAPE(2), NTAP_DTYPE_FLOAT32,
                      (ntap_device){NTAP_DEVICE_CPU, 1}, "cpu:1 does not exist");
    check_maker_fails(NTAP_ERROR_DEVICE, SHAPE(2), NTAP_DTYPE_FLOAT32,
                      (ntap_device){NTAP_DEVICE_CPU, -1}, "cpu:-1 does not exist");
    check_maker_fails(NTAP_ERROR_DEVICE, SHAPE(2), NTAP_DTYPE_FLOAT32,
                      (ntap_device){NTAP_DEVICE_CUDA, 1000}, "cuda:1000 does not exist");
    check_maker_fails(NTAP_ERROR_DEVICE, SHAPE(2), NTAP_DTYPE_FLOAT32,
                      (ntap_device){NTAP_DEVICE_CUDA, -1}, "cuda:-1 does not exist");
}

static void a_machine_without_cuda_says_so(void **state) {
    (void)state;
    if (ntap_device_count(NTAP_DEVICE_CUDA) > 0) {
        print_message("this machine has a CUDA device\n");
        skip();
    }
    check_maker_fails(NTAP_ERROR_DEVICE, SHAPE(2), NTAP_DTYPE_FLOAT32,
                      (ntap_device){NTAP_DEVICE_CUDA, 0}, "no CUDA device");
}

static void missing_sizes_of_a_new_tensor_are_refused(void **state) {
    (void)state;
    check_maker_fails(NTAP_ERROR_INVALID_ARGUMENT, 2, NULL, NTAP_DTYPE_FLOAT32, CPU,
                      "sizes is NULL");
}

/* ---- copies and conversions ---- */

static void a_clone_has_memory_of_its_own(void **state) {
    ntap_tensor *tensor = make_tensor(NTAP_DTYPE_FLOAT32, VALUES(1, 2), SHAPE(2));
    ntap_tensor *clone = NULL;
    (void)state;
    assert_ok(ntap_tensor_clone(tensor, &clone, &test_err));
    ((float *)ntap_tensor_mutable_data(tensor))[0] = 100;
    assert_tensor(clone, NTAP_DTYPE_FLOAT32, VALUES(1, 2), SHAPE(2));
    ntap_tensor_free(tensor);
    assert_tensor(clone, NTAP_DTYPE_FLOAT32, VALUES(1, 2), SHAPE(2));
    ntap_tensor_free(clone);
}

static void a_clone_is_in_c_order(void **state) {
    float data[] = {0, 1, 2, 3, 4, 5};
    ntap_tensor *tensor = NULL;
    ntap_tensor *clone = NULL;
    (void)state;
    assert_ok(ntap_tensor_from_blob(data, SHAPE(2, 3), (const int64_t[]){1, 2}, NTAP_DTYPE_FLOAT32,
                                    CPU, NULL, NULL, &tensor, &test_err));
    assert_ok(ntap_tensor_clone(tensor, &clone, &test_err));
    assert_int_equal(ntap_tensor_is_contiguous(clone), 1);
    assert_int_equal(ntap_tensor_stride(clone, 0), 3);
    assert_tensor(clone, NTAP_DTYPE_FLOAT32, VALUES(0, 2, 4, 1, 3, 5), SHAPE(2, 3));
    ntap_tensor_free(tensor);
    ntap_tensor_free(clone);
}

static void converting_to_the_same_shares_memory(void **state) {
    ntap_tensor *tensor = make_tensor(NTAP_DTYPE_FLOAT32, VALUES(1, 2), SHAPE(2));
    ntap_tensor *same = NULL;
    (void)state;
    assert_ok(ntap_tensor_to(tensor, &CPU, NTAP_DTYPE_FLOAT32, &same, &test_err));
    assert_ptr_not_equal(same, tensor);
    assert_ptr_equal(ntap_tensor_data(same), ntap_tensor_data(tensor));
    ntap_tensor_free(tensor);
    assert_tensor(same, NTAP_DTYPE_FLOAT32, VALUES(1, 2), SHAPE(2));
    ntap_tensor_free(same);
}

static void converting_the_dtype_keeps_the_values(void **state) {
    static const ntap_dtype targets[] = {NTAP_DTYPE_UINT8,    NTAP_DTYPE_INT8,   NTAP_DTYPE_INT16,
                                         NTAP_DTYPE_INT32,    NTAP_DTYPE_INT64,  NTAP_DTYPE_FLOAT16,
                                         NTAP_DTYPE_BFLOAT16, NTAP_DTYPE_FLOAT64};
    ntap_tensor *tensor = make_tensor(NTAP_DTYPE_FLOAT32, VALUES(0, 1, 100), SHAPE(3));
    (void)state;
    for (size_t i = 0; i < sizeof targets / sizeof *targets; ++i) {
        ntap_tensor *converted = NULL;
        assert_ok(ntap_tensor_to(tensor, NULL, targets[i], &converted, &test_err));
        assert_tensor(converted, targets[i], VALUES(0, 1, 100), SHAPE(3));
        ntap_tensor_free(converted);
    }
    ntap_tensor_free(tensor);
}

static void converting_to_complex_adds_no_imaginary_part(void **state) {
    ntap_tensor *tensor = make_tensor(NTAP_DTYPE_FLOAT32, VALUES(1.5, -2), SHAPE(2));
    ntap_tensor *converted = NULL;
    (void)state;
    assert_ok(ntap_tensor_to(tensor, NULL, NTAP_DTYPE_COMPLEX64, &converted, &test_err));
    assert_tensor(converted, NTAP_DTYPE_COMPLEX64, VALUES(1.5, 0, -2, 0), SHAPE(2));
    ntap_tensor_free(converted);
    ntap_tensor_free(tensor);
}

static void impossible_conversions_are_refused(void **state) {
    const ntap_device nowhere = {NTAP_DEVICE_CUDA, 1000};
    ntap_tensor *tensor = make_tensor(NTAP_DTYPE_FLOAT32, VALUES(1), SHAPE(1));
    ntap_tensor *converted = (ntap_tensor *)POISON;
    (void)state;
    assert_fails(NTAP_ERROR_DTYPE,
                 ntap_tensor_to(tensor, NULL, (ntap_dtype)99, &converted, &test_err));
    assert_message("dtype 99");
    assert_fails(NTAP_ERROR_DEVICE,
                 ntap_tensor_to(tensor, &nowhere, NTAP_DTYPE_NONE, &converted, &test_err));
    assert_message("cuda:1000 does not exist");
    assert_untouched(converted);
    ntap_tensor_free(tensor);
}

/* ---- looking inside ---- */

static void dimensions_beyond_the_last_have_no_size(void **state) {
    ntap_tensor *tensor = make_tensor(NTAP_DTYPE_FLOAT32, VALUES(1, 2), SHAPE(1, 2));
    (void)state;
    assert_int_equal(ntap_tensor_size(tensor, 2), -1);
    assert_int_equal(ntap_tensor_stride(tensor, 2), -1);
    assert_int_equal(ntap_tensor_size(tensor, SIZE_MAX), -1);
    assert_int_equal(ntap_tensor_stride(tensor, SIZE_MAX), -1);
    ntap_tensor_free(tensor);
}

static void a_scalar_has_one_element_and_no_dimensions(void **state) {
    ntap_tensor *tensor = make_tensor(NTAP_DTYPE_FLOAT64, VALUES(2.5), SCALAR);
    (void)state;
    assert_int_equal(ntap_tensor_ndim(tensor), 0);
    assert_int_equal(ntap_tensor_numel(tensor), 1);
    assert_int_equal(ntap_tensor_size(tensor, 0), -1);
    assert_int_equal(ntap_tensor_is_contiguous(tensor), 1);
    ntap_tensor_free(tensor);
}

static void numel_is_the_product_of_the_sizes(void **state) {
    ntap_tensor *tensor = NULL;
    (void)state;
    assert_ok(ntap_tensor_zeros(SHAPE(2, 3, 4), NTAP_DTYPE_UINT8, CPU, &tensor, &test_err));
    assert_int_equal(ntap_tensor_numel(tensor), 24);
    ntap_tensor_free(tensor);
}

static void no_tensor_has_neutral_properties(void **state) {
    (void)state;
    assert_int_equal(ntap_tensor_ndim(NULL), 0);
    assert_int_equal(ntap_tensor_size(NULL, 0), -1);
    assert_int_equal(ntap_tensor_stride(NULL, 0), -1);
    assert_int_equal(ntap_tensor_numel(NULL), 0);
    assert_int_equal(ntap_tensor_dtype(NULL), NTAP_DTYPE_NONE);
    assert_int_equal(ntap_tensor_device(NULL).type, NTAP_DEVICE_CPU);
    assert_int_equal(ntap_tensor_device(NULL).index, 0);
    assert_int_equal(ntap_tensor_is_contiguous(NULL), 0);
    assert_null(ntap_tensor_data(NULL));
    assert_null(ntap_tensor_mutable_data(NULL));
}

static void data_and_mutable_data_are_one_address(void **state) {
    ntap_tensor *tensor = make_tensor(NTAP_DTYPE_INT32, VALUES(1, 2), SHAPE(2));
    (void)state;
    assert_non_null(ntap_tensor_data(tensor));
    assert_ptr_equal(ntap_tensor_mutable_data(tensor), ntap_tensor_data(tensor));
    ntap_tensor_free(tensor);
}

static void no_elements_have_no_address(void **state) {
    ntap_tensor *tensor = NULL;
    (void)state;
    assert_ok(ntap_tensor_zeros(SHAPE(0, 2), NTAP_DTYPE_FLOAT32, CPU, &tensor, &test_err));
    assert_null(ntap_tensor_data(tensor));
    assert_null(ntap_tensor_mutable_data(tensor));
    ntap_tensor_free(tensor);
}

/* A view that starts inside its storage begins where its first element lies. */
static void the_address_of_a_view_is_its_first_element(void **state) {
    ntap_tensor *tensor = make_tensor(NTAP_DTYPE_FLOAT32, VALUES(0, 1, 2, 3), SHAPE(2, 2));
    ntap_tensor *row = NULL;
    (void)state;
    assert_ok(ntap_tensor_select(tensor, 0, 1, &row, &test_err));
    assert_ptr_equal(ntap_tensor_data(row), (const float *)ntap_tensor_data(tensor) + 2);
    ntap_tensor_free(tensor);
    ntap_tensor_free(row);
}

static ntap_tensor *call_unary(const char *name, const ntap_tensor *tensor) {
    ntap_value *argument = make_tensor_value(tensor);
    ntap_value *result = NULL;
    ntap_tensor *tensor_result = NULL;
    assert_ok(ntap_call_op(name, (const ntap_value *const *)&argument, 1, &result, 1, &test_err));
    assert_ok(ntap_tensor_to(ntap_value_get_tensor(result), NULL, NTAP_DTYPE_NONE, &tensor_result,
                             &test_err));
    ntap_value_free(argument);
    ntap_value_free(result);
    return tensor_result;
}

/* PyTorch conjugates lazily: what lies in memory is not what the tensor says. */
static void a_lazily_conjugated_tensor_lends_no_address(void **state) {
    const float data[] = {1, 2};
    float copied[2] = {0, 0};
    ntap_tensor *tensor = NULL;
    (void)state;
    assert_ok(ntap_tensor_zeros(SHAPE(1), NTAP_DTYPE_COMPLEX64, CPU, &tensor, &test_err));
    memcpy(ntap_tensor_mutable_data(tensor), data, sizeof data);
    ntap_tensor *conjugate = call_unary("aten::conj", tensor);
    assert_null(ntap_tensor_data(conjugate));
    assert_ok(ntap_tensor_copy_to_host(conjugate, copied, sizeof copied, &test_err));
    assert_true(copied[0] == 1 && copied[1] == -2);
    ntap_tensor_free(tensor);
    ntap_tensor_free(conjugate);
}

static void a_clone_of_a_lazily_conjugated_tensor_is_conjugated(void **state) {
    ntap_tensor *real = make_tensor(NTAP_DTYPE_FLOAT32, VALUES(1, 2), SHAPE(1, 2));
    ntap_tensor *clone = NULL;
    (void)state;
    ntap_tensor *tensor = call_unary("aten::view_as_complex", real);
    ntap_tensor *conjugate = call_unary("aten::conj", tensor);
    assert_ok(ntap_tensor_clone(conjugate, &clone, &test_err));
    assert_non_null(ntap_tensor_data(clone));
    assert_tensor(clone, NTAP_DTYPE_COMPLEX64, VALUES(1, -2), SHAPE(1));
    ntap_tensor_free(real);
    ntap_tensor_free(tensor);
    ntap_tensor_free(conjugate);
    ntap_tensor_free(clone);
}

static void a_sparse_tensor_lends_no_address(void **state) {
    ntap_tensor *dense = make_tensor(NTAP_DTYPE_FLOAT32, VALUES(0, 5, 0, 7), SHAPE(2, 2));
    (void)state;
    ntap_tensor *sparse = call_unary("aten::to_sparse", dense);
    assert_null(ntap_tensor_data(sparse));
    assert_null(ntap_tensor_mutable_data(sparse));
    assert_int_equal(ntap_tensor_stride(sparse, 0), -1);
    assert_int_equal(ntap_tensor_is_contiguous(sparse), 0);
    assert_int_equal(ntap_tensor_size(sparse, 1), 2);
    ntap_tensor_free(dense);
    ntap_tensor_free(sparse);
}

/* ---- copying out ---- */

static void a_strided_view_is_copied_in_c_order(void **state) {
    int16_t data[] = {0, 1, 2, 3, 4, 5};
    int16_t copied[6] = {0};
    const int16_t expected[] = {0, 2, 4, 1, 3, 5};
    ntap_tensor *tensor = NULL;
    (void)state;
    assert_ok(ntap_tensor_from_blob(data, SHAPE(2, 3), (const int64_t[]){1, 2}, NTAP_DTYPE_INT16,
                                    CPU, NULL, NULL, &tensor, &test_err));
    assert_ok(ntap_tensor_copy_to_host(tensor, copied, sizeof copied, &test_err));
    assert_memory_equal(copied, expected, sizeof expected);
    ntap_tensor_free(tensor);
}

static void a_sparse_tensor_is_copied_with_its_zeros(void **state) {
    ntap_tensor *dense = make_tensor(NTAP_DTYPE_FLOAT32, VALUES(0, 5, 0, 7), SHAPE(2, 2));
    const float expected[] = {0, 5, 0, 7};
    float copied[4] = {-1, -1, -1, -1};
    (void)state;
    ntap_tensor *sparse = call_unary("aten::to_sparse", dense);
    assert_ok(ntap_tensor_copy_to_host(sparse, copied, sizeof copied, &test_err));
    assert_memory_equal(copied, expected, sizeof expected);
    ntap_tensor_free(dense);
    ntap_tensor_free(sparse);
}

static void a_buffer_of_another_size_is_refused(void **state) {
    static const size_t wrong[] = {0, 7, 9, SIZE_MAX};
    unsigned char buffer[16];
    unsigned char before[sizeof buffer];
    ntap_tensor *tensor = make_tensor(NTAP_DTYPE_FLOAT32, VALUES(1, 2), SHAPE(2));
    (void)state;
    memset(buffer, 0x5A, sizeof buffer);
    memcpy(before, buffer, sizeof buffer);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i) {
        assert_fails(NTAP_ERROR_SHAPE,
                     ntap_tensor_copy_to_host(tensor, buffer, wrong[i], &test_err));
        assert_message("expected 8");
    }
    assert_memory_equal(buffer, before, sizeof buffer);
    ntap_tensor_free(tensor);
}

/* One element of libtorch's type qint8, which ntap_dtype does not name. */
static ntap_tensor *make_quantized(void) {
    const int64_t qint8 = 12; /* c10::ScalarType */
    ntap_tensor *tensor = make_tensor(NTAP_DTYPE_FLOAT32, VALUES(3), SHAPE(1));
    ntap_value *args[] = {make_tensor_value(tensor), make_double(1), make_int(0), make_int(qint8)};
    ntap_value *result = NULL;
    ntap_tensor *quantized = NULL;
    assert_ok(ntap_call_op("aten::quantize_per_tensor", (const ntap_value *const *)args, 4, &result,
                           1, &test_err));
    assert_ok(ntap_tensor_to(ntap_value_get_tensor(result), NULL, NTAP_DTYPE_NONE, &quantized,
                             &test_err));
    for (size_t i = 0; i < 4; ++i)
        ntap_value_free(args[i]);
    ntap_value_free(result);
    ntap_tensor_free(tensor);
    return quantized;
}

static void a_quantized_tensor_has_no_dtype_and_is_not_copied(void **state) {
    ntap_tensor *tensor = make_quantized();
    unsigned char byte = 77;
    (void)state;
    assert_int_equal(ntap_tensor_dtype(tensor), NTAP_DTYPE_NONE);
    assert_int_equal(ntap_tensor_numel(tensor), 1);
    assert_fails(NTAP_ERROR_DTYPE, ntap_tensor_copy_to_host(tensor, &byte, 1, &test_err));
    assert_message("cannot be copied to the host");
    assert_int_equal(byte, 77);
    ntap_tensor_free(tensor);
}

static void nothing_is_copied_from_no_elements(void **state) {
    ntap_tensor *tensor = NULL;
    (void)state;
    assert_ok(ntap_tensor_zeros(SHAPE(3, 0), NTAP_DTYPE_FLOAT32, CPU, &tensor, &test_err));
    assert_ok(ntap_tensor_copy_to_host(tensor, NULL, 0, &test_err));
    ntap_tensor_free(tensor);
}

static void exactly_the_buffer_is_written(void **state) {
    ntap_tensor *tensor = make_tensor(NTAP_DTYPE_UINT8, VALUES(1, 2, 3), SHAPE(3));
    const unsigned char expected[] = {9, 1, 2, 3, 9};
    unsigned char buffer[] = {9, 9, 9, 9, 9};
    (void)state;
    assert_ok(ntap_tensor_copy_to_host(tensor, buffer + 1, 3, &test_err));
    assert_memory_equal(buffer, expected, sizeof expected);
    ntap_tensor_free(tensor);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_blob_is_not_copied),
        cmocka_unit_test(a_blob_is_in_c_order_by_default),
        cmocka_unit_test(strides_count_elements),
        cmocka_unit_test(a_stride_of_zero_repeats),
        cmocka_unit_test(a_blob_may_be_a_scalar),
        cmocka_unit_test(every_dtype_can_be_wrapped),
        cmocka_unit_test(the_deleter_runs_once_with_data_and_context),
        cmocka_unit_test(the_deleter_waits_for_the_last_handle),
        cmocka_unit_test(the_deleter_runs_for_no_data_too),
        cmocka_unit_test(the_deleter_runs_for_no_elements_too),
        cmocka_unit_test(elements_without_data_are_refused),
        cmocka_unit_test(misaligned_elements_are_refused),
        cmocka_unit_test(misaligned_nothing_is_a_tensor),
        cmocka_unit_test(missing_sizes_are_refused),
        cmocka_unit_test(negative_sizes_of_a_blob_are_refused),
        cmocka_unit_test(negative_strides_are_refused),
        cmocka_unit_test(strides_beyond_memory_are_refused),
        cmocka_unit_test(a_blob_without_a_dtype_is_refused),
        cmocka_unit_test(a_blob_on_a_device_that_does_not_exist_is_refused),
        cmocka_unit_test(new_tensors_have_what_was_asked_for),
        cmocka_unit_test(new_tensors_can_be_written),
        cmocka_unit_test(zeros_are_zero_in_every_dtype),
        cmocka_unit_test(negative_sizes_are_refused),
        cmocka_unit_test(sizes_that_overflow_are_refused),
        cmocka_unit_test(more_than_the_hosts_memory_is_out_of_memory),
        cmocka_unit_test(unknown_dtypes_are_refused),
        cmocka_unit_test(unknown_devices_are_refused),
        cmocka_unit_test(a_machine_without_cuda_says_so),
        cmocka_unit_test(missing_sizes_of_a_new_tensor_are_refused),
        cmocka_unit_test(a_clone_has_memory_of_its_own),
        cmocka_unit_test(a_clone_is_in_c_order),
        cmocka_unit_test(converting_to_the_same_shares_memory),
        cmocka_unit_test(converting_the_dtype_keeps_the_values),
        cmocka_unit_test(converting_to_complex_adds_no_imaginary_part),
        cmocka_unit_test(impossible_conversions_are_refused),
        cmocka_unit_test(dimensions_beyond_the_last_have_no_size),
        cmocka_unit_test(a_scalar_has_one_element_and_no_dimensions),
        cmocka_unit_test(numel_is_the_product_of_the_sizes),
        cmocka_unit_test(no_tensor_has_neutral_properties),
        cmocka_unit_test(data_and_mutable_data_are_one_address),
        cmocka_unit_test(no_elements_have_no_address),
        cmocka_unit_test(the_address_of_a_view_is_its_first_element),
        cmocka_unit_test(a_lazily_conjugated_tensor_lends_no_address),
        cmocka_unit_test(a_clone_of_a_lazily_conjugated_tensor_is_conjugated),
        cmocka_unit_test(a_sparse_tensor_lends_no_address),
        cmocka_unit_test(a_strided_view_is_copied_in_c_order),
        cmocka_unit_test(a_sparse_tensor_is_copied_with_its_zeros),
        cmocka_unit_test(a_buffer_of_another_size_is_refused),
        cmocka_unit_test(a_quantized_tensor_has_no_dtype_and_is_not_copied),
        cmocka_unit_test(nothing_is_copied_from_no_elements),
        cmocka_unit_test(exactly_the_buffer_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
