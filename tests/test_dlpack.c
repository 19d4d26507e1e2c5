/* DLPack, both forms of it, in and out. The other side is played by the test, with structs of its
 * own; test_dlpack.py plays it with NumPy. */
#include "support.h"

#include <pthread.h>
#include <string.h>

/* ---- the public ABI, as a user's own dlpack.h has it ---- */

typedef struct DLDevice {
    int32_t device_type;
    int32_t device_id;
} DLDevice;

typedef struct DLDataType {
    uint8_t code;
    uint8_t bits;
    uint16_t lanes;
} DLDataType;

typedef struct DLTensor {
    void *data;
    DLDevice device;
    int32_t ndim;
    DLDataType dtype;
    int64_t *shape;
    int64_t *strides;
    uint64_t byte_offset;
} DLTensor;

typedef struct DLManagedTensor {
    DLTensor dl_tensor;
    void *manager_ctx;
    void (*deleter)(struct DLManagedTensor *self);
} DLManagedTensor;

typedef struct DLManagedTensorVersioned {
    struct {
        uint32_t major, minor;
    } version;
    void *manager_ctx;
    void (*deleter)(struct DLManagedTensorVersioned *self);
    uint64_t flags;
    DLTensor dl_tensor;
} DLManagedTensorVersioned;

enum { CPU = 1, CUDA = 2, CUDA_HOST = 3, OPENCL = 4, ROCM = 10 };
enum { INT = 0, UINT = 1, FLOAT = 2, BFLOAT = 4, COMPLEX = 5, BOOL = 6, FLOAT8_E4M3 = 8 };
enum { READ_ONLY = 1, IS_COPIED = 2, SUBBYTE_PADDED = 4 };

/* Every test runs once with each. */
typedef enum form { LEGACY, VERSIONED } form;

static form legacy = LEGACY;
static form versioned = VERSIONED;

#define IN_FORM(test, form)                                                                        \
    { #test ", " #form, test, NULL, NULL, &(form) }
#define BOTH_FORMS(test) IN_FORM(test, legacy), IN_FORM(test, versioned)

static form form_of(void **state) { return *(const form *)*state; }

typedef struct element_type {
    ntap_dtype dtype;
    uint8_t code, bits;
} element_type;

static const element_type ELEMENT_TYPES[] = {
    {NTAP_DTYPE_BOOL, BOOL, 8},          {NTAP_DTYPE_UINT8, UINT, 8},
    {NTAP_DTYPE_INT8, INT, 8},           {NTAP_DTYPE_INT16, INT, 16},
    {NTAP_DTYPE_INT32, INT, 32},         {NTAP_DTYPE_INT64, INT, 64},
    {NTAP_DTYPE_FLOAT16, FLOAT, 16},     {NTAP_DTYPE_BFLOAT16, BFLOAT, 16},
    {NTAP_DTYPE_FLOAT32, FLOAT, 32},     {NTAP_DTYPE_FLOAT64, FLOAT, 64},
    {NTAP_DTYPE_COMPLEX64, COMPLEX, 64}, {NTAP_DTYPE_COMPLEX128, COMPLEX, 128}};

enum { TYPE_COUNT = sizeof ELEMENT_TYPES / sizeof *ELEMENT_TYPES };

/* ---- the other side as a lender ---- */

/* A float32[2, 3] that neurotap may borrow, until a test changes its fields. */
typedef struct lender {
    DLManagedTensor legacy;
    DLManagedTensorVersioned versioned;
    _Alignas(16) float data[6]; /* for complex128, too */
    int64_t shape[2];
    int64_t strides[2];
    int deletions;
} lender;

static void delete_legacy(DLManagedTensor *self) { ++((lender *)self->manager_ctx)->deletions; }

static void delete_versioned(DLManagedTensorVersioned *self) {
    ++((lender *)self->manager_ctx)->deletions;
}

static DLTensor *lent_tensor(lender *l, form f) {
    return f == LEGACY ? &l->legacy.dl_tensor : &l->versioned.dl_tensor;
}

static DLTensor *set_up_lender(lender *l, form f) {
    DLTensor *tensor = lent_tensor(l, f);
    memset(l, 0, sizeof *l);
    for (int i = 0; i < 6; ++i)
        l->data[i] = (float)i;
    l->shape[0] = 2;
    l->shape[1] = 3;
    l->strides[0] = 3;
    l->strides[1] = 1;
    l->legacy.manager_ctx = l;
    l->legacy.deleter = delete_legacy;
    l->versioned.manager_ctx = l;
    l->versioned.deleter = delete_versioned;
    l->versioned.version.major = 1;
    *tensor = (DLTensor){l->data, {CPU, 0}, 2, {FLOAT, 32, 1}, l->shape, l->strides, 0};
    return tensor;
}

static ntap_status borrow(lender *l, form f, ntap_tensor **tensor, ntap_error *err) {
    return f == LEGACY ? ntap_tensor_from_dlpack(&l->legacy, tensor, err)
                       : ntap_tensor_from_dlpack_versioned(&l->versioned, tensor, err);
}

static ntap_tensor *borrowed(lender *l, form f) {
    ntap_tensor *tensor = NULL;
    assert_ok(borrow(l, f, &tensor, &test_err));
    return tensor;
}

/* ---- the other side as a borrower ---- */

/* What neurotap lends: exactly one of the two is not NULL. */
typedef struct loan {
    DLManagedTensor *legacy;
    DLManagedTensorVersioned *versioned;
    const DLTensor *tensor;
} loan;

static ntap_status lend(const ntap_tensor *tensor, form f, loan *l, ntap_error *err) {
    return f == LEGACY ? ntap_tensor_to_dlpack(tensor, &l->legacy, err)
                       : ntap_tensor_to_dlpack_versioned(tensor, &l->versioned, err);
}

static loan lent(const ntap_tensor *tensor, form f) {
    loan l = {NULL, NULL, NULL};
    assert_ok(lend(tensor, f, &l, &test_err));
    l.tensor = f == LEGACY ? &l.legacy->dl_tensor : &l.versioned->dl_tensor;
    return l;
}

static void give_back(loan l) {
    if (l.legacy != NULL)
        l.legacy->deleter(l.legacy);
    else
        l.versioned->deleter(l.versioned);
}

/* ---- in ---- */

static void borrowed_memory_is_not_copied(void **state) {
    lender l;
    (void)set_up_lender(&l, form_of(state));
    ntap_tensor *tensor = borrowed(&l, form_of(state));
    assert_ptr_equal(ntap_tensor_data(tensor), l.data);
    assert_tensor(tensor, NTAP_DTYPE_FLOAT32, VALUES(0, 1, 2, 3, 4, 5), SHAPE(2, 3));
    l.data[4] = 40;
    assert_tensor(tensor, NTAP_DTYPE_FLOAT32, VALUES(0, 1, 2, 3, 40, 5), SHAPE(2, 3));
    ((float *)ntap_tensor_mutable_data(tensor))[5] = 50;
    assert_true(l.data[5] == 50);
    ntap_tensor_free(tensor);
}

static void every_dtype_can_be_borrowed(void **state) {
    for (size_t i = 0; i < TYPE_COUNT; ++i) {
        const element_type type = ELEMENT_TYPES[i];
        lender l;
        DLTensor *lent_one = set_up_lender(&l, form_of(state));
        memset(l.data, 0, sizeof l.data);
        l.shape[0] = 1;
        l.shape[1] = 1;
        lent_one->dtype = (DLDataType){type.code, type.bits, 1};
        ntap_tensor *tensor = borrowed(&l, form_of(state));
        assert_ptr_equal(ntap_tensor_data(tensor), l.data);
        assert_tensor(tensor, type.dtype, VALUES(0, 0), SHAPE(1, 1));
        ntap_tensor_free(tensor);
    }
}

static void strides_are_honoured(void **state) {
    lender l;
    (void)set_up_lender(&l, form_of(state));
    l.strides[0] = 1;
    l.strides[1] = 2;
    ntap_tensor *tensor = borrowed(&l, form_of(state));
    assert_int_equal(ntap_tensor_stride(tensor, 0), 1);
    assert_int_equal(ntap_tensor_stride(tensor, 1), 2);
    assert_tensor(tensor, NTAP_DTYPE_FLOAT32, VALUES(0, 2, 4, 1, 3, 5), SHAPE(2, 3));
    ntap_tensor_free(tensor);
}

static void no_strides_are_c_order(void **state) {
    lender l;
    set_up_lender(&l, form_of(state))->strides = NULL;
    ntap_tensor *tensor = borrowed(&l, form_of(state));
    assert_int_equal(ntap_tensor_is_contiguous(tensor), 1);
    assert_tensor(tensor, NTAP_DTYPE_FLOAT32, VALUES(0, 1, 2, 3, 4, 5), SHAPE(2, 3));
    ntap_tensor_free(tensor);
}

static void the_byte_offset_is_honoured(void **state) {
    lender l;
    set_up_lender(&l, form_of(state))->byte_offset = 3 * sizeof(float);
    l.shape[0] = 1;
    ntap_tensor *tensor = borrowed(&l, form_of(state));
    assert_ptr_equal(ntap_tensor_data(tensor), l.data + 3);
    assert_tensor(tensor, NTAP_DTYPE_FLOAT32, VALUES(3, 4, 5), SHAPE(1, 3));
    ntap_tensor_free(tensor);
}

static void a_scalar_needs_no_shape(void **state) {
    for (int with_arrays = 0; with_arrays < 2; ++with_arrays) {
        lender l;
        DLTensor *lent_one = set_up_lender(&l, form_of(state));
        lent_one->ndim = 0;
        if (!with_arrays) {
            lent_one->shape = NULL;
            lent_one->strides = NULL;
        }
        ntap_tensor *tensor = borrowed(&l, form_of(state));
        assert_tensor(tensor, NTAP_DTYPE_FLOAT32, VALUES(0), SCALAR);
        ntap_tensor_free(tensor);
        assert_int_equal(l.deletions, 1);
    }
}

static void no_elements_need_no_data(void **state) {
    lender l;
    DLTensor *lent_one = set_up_lender(&l, form_of(state));
    lent_one->data = NULL;
    lent_one->byte_offset = 4;
    l.shape[1] = 0;
    ntap_tensor *tensor = borrowed(&l, form_of(state));
    assert_tensor(tensor, NTAP_DTYPE_FLOAT32, VALUES(0), SHAPE(2, 0));
    ntap_tensor_free(tensor);
    assert_int_equal(l.deletions, 1);
}

/* Pinned memory is on the host too, and JAX, for one, numbers its CPU devices. */
static void host_memory_is_on_the_cpu(void **state) {
    static const DLDevice hosts[] = {{CPU, 0}, {CPU, 3}, {CUDA_HOST, 0}, {CUDA_HOST, 1}};
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; ++i) {
        lender l;
        set_up_lender(&l, form_of(state))->device = hosts[i];
        ntap_tensor *tensor = borrowed(&l, form_of(state));
        assert_int_equal(ntap_tensor_device(tensor).type, NTAP_DEVICE_CPU);
        assert_ptr_equal(ntap_tensor_data(tensor), l.data);
        ntap_tensor_free(tensor);
    }
}

static void flags_that_change_nothing_are_accepted(void **state) {
    static const uint64_t flags[] = {READ_ONLY, IS_COPIED, READ_ONLY | IS_COPIED};
    (void)state;
    for (size_t i = 0; i < sizeof flags / sizeof *flags; ++i) {
        lender l;
        (void)set_up_lender(&l, VERSIONED);
        l.versioned.flags = flags[i];
        ntap_tensor *tensor = borrowed(&l, VERSIONED);
        assert_ptr_equal(ntap_tensor_data(tensor), l.data);
        ntap_tensor_free(tensor);
    }
}

static void later_minor_versions_are_accepted(void **state) {
    lender l;
    (void)state;
    (void)set_up_lender(&l, VERSIONED);
    l.versioned.version.minor = 99;
    ntap_tensor_free(borrowed(&l, VERSIONED));
    assert_int_equal(l.deletions, 1);
}

/* ---- in: whose it is ---- */

static void the_deleter_waits_for_the_last_handle(void **state) {
    lender l;
    ntap_tensor *same = NULL;
    ntap_tensor *row = NULL;
    (void)set_up_lender(&l, form_of(state));
    ntap_tensor *tensor = borrowed(&l, form_of(state));
    assert_ok(ntap_tensor_to(tensor, NULL, NTAP_DTYPE_NONE, &same, &test_err));
    assert_ok(ntap_tensor_select(tensor, 0, 1, &row, &test_err));
    ntap_tensor_free(tensor);
    ntap_tensor_free(same);
    assert_int_equal(l.deletions, 0);
    assert_tensor(row, NTAP_DTYPE_FLOAT32, VALUES(3, 4, 5), SHAPE(3));
    ntap_tensor_free(row);
    assert_int_equal(l.deletions, 1);
}

static void no_deleter_is_not_called(void **state) {
    lender l;
    (void)set_up_lender(&l, form_of(state));
    l.legacy.deleter = NULL;
    l.versioned.deleter = NULL;
    ntap_tensor_free(borrowed(&l, form_of(state)));
    assert_int_equal(l.deletions, 0);
}

static void *free_tensor(void *tensor) {
    ntap_tensor_free((ntap_tensor *)tensor);
    return NULL;
}

static void run_in_thread(void *(*body)(void *), void *argument) {
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, body, argument), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void borrowed_memory_may_be_freed_on_another_thread(void **state) {
    lender l;
    (void)set_up_lender(&l, form_of(state));
    run_in_thread(free_tensor, borrowed(&l, form_of(state)));
    assert_int_equal(l.deletions, 1);
}

/* ---- in: what is refused ---- */

/* Borrowing fails, and everything stays the lender's. */
static void check_refused(lender *l, form f, ntap_status status, const char *message) {
    ntap_tensor *tensor = (ntap_tensor *)POISON;
    lender before;
    memcpy(&before, l, sizeof before);
    assert_fails(status, borrow(l, f, &tensor, &test_err));
    assert_message(message);
    assert_untouched(tensor);
    assert_memory_equal(l, &before, sizeof before);
}

static void other_element_types_are_refused(void **state) {
    static const struct {
        DLDataType type;
        const char *message;
    } cases[] = {
        {{FLOAT, 8, 1}, "dtype has code 2, bits 8, lanes 1; expected"},
        {{FLOAT, 128, 1}, "code 2, bits 128"},
        {{FLOAT, 32, 4}, "lanes 4"},
        {{FLOAT, 32, 0}, "lanes 0"},
        {{INT, 4, 1}, "code 0, bits 4"},
        {{INT, 0, 1}, "code 0, bits 0"},
        {{UINT, 16, 1}, "code 1, bits 16"},
        {{BOOL, 1, 1}, "code 6, bits 1"},
        {{BFLOAT, 32, 1}, "code 4, bits 32"},
        {{COMPLEX, 32, 1}, "code 5, bits 32"},
        {{FLOAT8_E4M3, 8, 1}, "code 8, bits 8"},
        {{255, 255, 65535}, "code 255, bits 255, lanes 65535"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        lender l;
        set_up_lender(&l, form_of(state))->dtype = cases[i].type;
        check_refused(&l, form_of(state), NTAP_ERROR_DTYPE, cases[i].message);
    }
}

static void other_devices_are_refused(void **state) {
    static const struct {
        DLDevice device;
        const char *message;
    } cases[] = {
        {{OPENCL, 0}, "device_type is 4; expected 1 (CPU), 3 (pinned host memory) or"},
        {{0, 0}, "device_type is 0; expected"},
        {{-1, 0}, "device_type is -1; expected"},
        {{1 << 20, 0}, "device_type is 1048576; expected"},
        {{CUDA, 1000}, ""}, /* no such GPU, or none that goes by this name */
        {{CUDA, -1}, ""},
        {{ROCM, 1000}, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        lender l;
        set_up_lender(&l, form_of(state))->device = cases[i].device;
        check_refused(&l, form_of(state), NTAP_ERROR_DEVICE, cases[i].message);
    }
}

static void check_shape_refused(form f, int64_t first, int64_t second, const char *message) {
    lender l;
    (void)set_up_lender(&l, f);
    l.shape[0] = first;
    l.shape[1] = second;
    check_refused(&l, f, NTAP_ERROR_INVALID_ARGUMENT, message);
}

static void impossible_shapes_are_refused(void **state) {
    const int64_t half = INT64_C(1) << 32;
    const form f = form_of(state);
    lender l;
    check_shape_refused(f, 2, -1, "shape[1] is -1; expected at least 0");
    check_shape_refused(f, INT64_MIN, 0, "shape[0] is -9223372036854775808; expected at least 0");
    check_shape_refused(f, half, half, "shape is [4294967296, 4294967296]: more elements than");
    set_up_lender(&l, f)->ndim = -1;
    check_refused(&l, f, NTAP_ERROR_INVALID_ARGUMENT, "ndim is -1; expected at least 0");
    set_up_lender(&l, f)->ndim = INT32_MIN;
    check_refused(&l, f, NTAP_ERROR_INVALID_ARGUMENT, "ndim is -2147483648; expected at least 0");
    set_up_lender(&l, f)->shape = NULL;
    check_refused(&l, f, NTAP_ERROR_INVALID_ARGUMENT, "shape is NULL");
}

static void impossible_strides_are_refused(void **state) {
    const form f = form_of(state);
    lender l;
    (void)set_up_lender(&l, f);
    l.strides[1] = -1;
    check_refused(&l, f, NTAP_ERROR_INVALID_ARGUMENT, "strides[1] is -1; expected at least 0");
    (void)set_up_lender(&l, f);
    l.strides[0] = INT64_MAX;
    check_refused(&l, f, NTAP_ERROR_INVALID_ARGUMENT,
                  "strides[0] is 9223372036854775807: further than memory reaches");
    (void)set_up_lender(&l, f);
    l.strides[0] = INT64_C(1) << 58; /* each is possible, their sum in bytes is not */
    l.strides[1] = INT64_C(1) << 57;
    check_refused(&l, f, NTAP_ERROR_INVALID_ARGUMENT, "strides[1] is 144115188075855872");
}

static void impossible_addresses_are_refused(void **state) {
    const form f = form_of(state);
    lender l;
    set_up_lender(&l, f)->data = NULL;
    check_refused(&l, f, NTAP_ERROR_INVALID_ARGUMENT,
                  "data is NULL; expected an address, as shape is [2, 3]");
    lent_tensor(&l, f)->byte_offset = 8;
    check_refused(&l, f, NTAP_ERROR_INVALID_ARGUMENT, "data is NULL");
    set_up_lender(&l, f)->byte_offset = UINT64_MAX - 3;
    check_refused(&l, f, NTAP_ERROR_INVALID_ARGUMENT, "byte_offset is 18446744073709551612");
}

static void other_major_versions_are_refused(void **state) {
    lender l;
    (void)state;
    (void)set_up_lender(&l, VERSIONED);
    l.versioned.version.major = 2;
    check_refused(&l, VERSIONED, NTAP_ERROR_INVALID_ARGUMENT,
                  "DLPack version 2.0; expected major version 1");
    l.versioned.version.major = 0;
    l.versioned.version.minor = 8;
    check_refused(&l, VERSIONED, NTAP_ERROR_INVALID_ARGUMENT,
                  "DLPack version 0.8; expected major version 1");
}

static void padded_elements_of_less_than_a_byte_are_refused(void **state) {
    lender l;
    (void)state;
    (void)set_up_lender(&l, VERSIONED);
    l.versioned.flags = SUBBYTE_PADDED | READ_ONLY;
    check_refused(&l, VERSIONED, NTAP_ERROR_DTYPE, "flags 5 announce padded elements");
}

/* ---- out ---- */

static void lent_memory_is_not_copied(void **state) {
    ntap_tensor *tensor = make_tensor(NTAP_DTYPE_FLOAT32, VALUES(0, 1, 2, 3, 4, 5), SHAPE(2, 3));
    const loan l = lent(tensor, form_of(state));
    float *elements = (float *)l.tensor->data;
    assert_ptr_equal(elements, ntap_tensor_data(tensor));
    assert_int_equal(l.tensor->byte_offset, 0);
    assert_int_equal(l.tensor->device.device_type, CPU);
    assert_int_equal(l.tensor->device.device_id, 0);
    assert_int_equal(l.tensor->ndim, 2);
    assert_memory_equal(l.tensor->shape, ((const int64_t[]){2, 3}), 2 * sizeof(int64_t));
    assert_memory_equal(l.tensor->strides, ((const int64_t[]){3, 1}), 2 * sizeof(int64_t));
    elements[4] = 40;
    assert_tensor(tensor, NTAP_DTYPE_FLOAT32, VALUES(0, 1, 2, 3, 40, 5), SHAPE(2, 3));
    ((float *)ntap_tensor_mutable_data(tensor))[5] = 50;
    assert_true(elements[5] == 50);
    give_back(l);
    assert_tensor(tensor, NTAP_DTYPE_FLOAT32, VALUES(0, 1, 2, 3, 40, 50), SHAPE(2, 3));
    ntap_tensor_free(tensor);
}

static void every_dtype_can_be_lent(void **state) {
    for (size_t i = 0; i < TYPE_COUNT; ++i) {
        const element_type type = ELEMENT_TYPES[i];
        ntap_tensor *tensor = make_tensor(type.dtype, VALUES(1, 0, 0, 1), SHAPE(1, 2));
        const loan l = lent(tensor, form_of(state));
        assert_ptr_equal(l.tensor->data, ntap_tensor_data(tensor));
        assert_int_equal(l.tensor->dtype.code, type.code);
        assert_int_equal(l.tensor->dtype.bits, type.bits);
        assert_int_equal(l.tensor->dtype.lanes, 1);
        give_back(l);
        ntap_tensor_free(tensor);
    }
}

/* Every second element of the second row. */
static void a_view_is_lent_from_its_first_element_with_its_strides(void **state) {
    ntap_tensor *tensor = make_tensor(NTAP_DTYPE_INT16, VALUES(0, 1, 2, 3, 4, 5), SHAPE(2, 3));
    ntap_tensor *row = NULL;
    ntap_tensor *view = NULL;
    assert_ok(ntap_tensor_select(tensor, 0, 1, &row, &test_err));
    assert_ok(ntap_tensor_slice(row, 0, 0, 3, 2, &view, &test_err));
    const loan l = lent(view, form_of(state));
    assert_ptr_equal(l.tensor->data, (const int16_t *)ntap_tensor_data(tensor) + 3);
    assert_int_equal(l.tensor->byte_offset, 0);
    assert_int_equal(l.tensor->ndim, 1);
    assert_int_equal(l.tensor->shape[0], 2);
    assert_int_equal(l.tensor->strides[0], 2);
    give_back(l);
    ntap_tensor_free(tensor);
    ntap_tensor_free(row);
    ntap_tensor_free(view);
}

static void a_scalar_can_be_lent(void **state) {
    ntap_tensor *tensor = make_tensor(NTAP_DTYPE_FLOAT64, VALUES(2.5), SCALAR);
    const loan l = lent(tensor, form_of(state));
    assert_int_equal(l.tensor->ndim, 0);
    assert_true(*(const double *)l.tensor->data == 2.5);
    give_back(l);
    ntap_tensor_free(tensor);
}

static void no_elements_are_lent_without_data(void **state) {
    ntap_tensor *tensor = make_tensor(NTAP_DTYPE_FLOAT64, VALUES(0), SHAPE(0, 3));
    const loan l = lent(tensor, form_of(state));
    assert_null(l.tensor->data);
    assert_int_equal(l.tensor->shape[0], 0);
    assert_int_equal(l.tensor->shape[1], 3);
    assert_non_null(l.tensor->strides);
    give_back(l);
    ntap_tensor_free(tensor);
}

static void the_version_is_1_0_without_flags(void **state) {
    ntap_tensor *tensor = make_tensor(NTAP_DTYPE_FLOAT32, VALUES(1), SHAPE(1));
    const loan l = lent(tensor, VERSIONED);
    (void)state;
    assert_int_equal(l.versioned->version.major, 1);
    assert_int_equal(l.versioned->version.minor, 0);
    assert_int_equal(l.versioned->flags, 0);
    give_back(l);
    ntap_tensor_free(tensor);
}

/* ---- out: whose it is ---- */

typedef struct blob {
    float data[2];
    int deletions;
} blob;

static void delete_blob(void *data, void *context) {
    (void)data;
    ++((blob *)context)->deletions;
}

static ntap_tensor *make_blob(blob *b) {
    const ntap_device cpu = {NTAP_DEVICE_CPU, 0};
    ntap_tensor *tensor = NULL;
    b->data[0] = 1;
    b->data[1] = 2;
    b->deletions = 0;
    assert_ok(ntap_tensor_from_blob(b->data, SHAPE(2), NULL, NTAP_DTYPE_FLOAT32, cpu, delete_blob,
                                    b, &tensor, &test_err));
    return tensor;
}

static void a_loan_outlives_the_tensor(void **state) {
    blob b;
    ntap_tensor *tensor = make_blob(&b);
    const loan l = lent(tensor, form_of(state));
    ntap_tensor_free(tensor);
    assert_int_equal(b.deletions, 0);
    assert_ptr_equal(l.tensor->data, b.data);
    assert_int_equal(l.tensor->shape[0], 2);
    assert_int_equal(l.tensor->strides[0], 1);
    give_back(l);
    assert_int_equal(b.deletions, 1);
}

static void the_tensor_outlives_a_loan(void **state) {
    blob b;
    ntap_tensor *tensor = make_blob(&b);
    give_back(lent(tensor, form_of(state)));
    assert_int_equal(b.deletions, 0);
    assert_tensor(tensor, NTAP_DTYPE_FLOAT32, VALUES(1, 2), SHAPE(2));
    ntap_tensor_free(tensor);
    assert_int_equal(b.deletions, 1);
}

static void loans_are_independent(void **state) {
    blob b;
    ntap_tensor *tensor = make_blob(&b);
    const loan first = lent(tensor, form_of(state));
    const loan second = lent(tensor, form_of(state));
    ntap_tensor_free(tensor);
    give_back(first);
    assert_int_equal(b.deletions, 0);
    assert_ptr_equal(second.tensor->data, b.data);
    give_back(second);
    assert_int_equal(b.deletions, 1);
}

static void *give_back_in_thread(void *l) {
    give_back(*(const loan *)l);
    return NULL;
}

static void a_loan_may_be_given_back_on_another_thread(void **state) {
    blob b;
    ntap_tensor *tensor = make_blob(&b);
    loan l = lent(tensor, form_of(state));
    ntap_tensor_free(tensor);
    run_in_thread(give_back_in_thread, &l);
    assert_int_equal(b.deletions, 1);
}

/* What one thread of several does; counts what went wrong. */
typedef struct borrower {
    pthread_t thread;
    const ntap_tensor *tensor;
    form form;
    int failures;
} borrower;

static void *borrow_and_give_back(void *context) {
    borrower *b = (borrower *)context;
    for (int i = 0; i < 200; ++i) {
        loan l = {NULL, NULL, NULL};
        if (lend(b->tensor, b->form, &l, NULL) == NTAP_OK)
            give_back(l);
        else
            ++b->failures;
    }
    return NULL;
}

static void several_threads_may_borrow_one_tensor(void **state) {
    blob b;
    borrower borrowers[4];
    ntap_tensor *tensor = make_blob(&b);
    for (int i = 0; i < 4; ++i) {
        borrowers[i].tensor = tensor;
        borrowers[i].form = form_of(state);
        borrowers[i].failures = 0;
        assert_int_equal(
            pthread_create(&borrowers[i].thread, NULL, borrow_and_give_back, &borrowers[i]), 0);
    }
    for (int i = 0; i < 4; ++i) {
        assert_int_equal(pthread_join(borrowers[i].thread, NULL), 0);
        assert_int_equal(borrowers[i].failures, 0);
    }
    assert_int_equal(b.deletions, 0);
    ntap_tensor_free(tensor);
    assert_int_equal(b.deletions, 1);
}

/* ---- out: what is refused, and what is not ---- */

static ntap_tensor *call(const char *name, ntap_value **args, size_t n_args) {
    ntap_value *result = NULL;
    ntap_tensor *tensor = NULL;
    assert_ok(ntap_call_op(name, (const ntap_value *const *)args, n_args, &result, 1, &test_err));
    assert_ok(
        ntap_tensor_to(ntap_value_get_tensor(result), NULL, NTAP_DTYPE_NONE, &tensor, &test_err));
    for (size_t i = 0; i < n_args; ++i)
        ntap_value_free(args[i]);
    ntap_value_free(result);
    return tensor;
}

static ntap_tensor *call_unary(const char *name, const ntap_tensor *tensor) {
    ntap_value *args[] = {make_tensor_value(tensor)};
    return call(name, args, 1);
}

static void check_not_lent(const ntap_tensor *tensor, form f, ntap_status status,
                           const char *message) {
    loan l = {(DLManagedTensor *)POISON, (DLManagedTensorVersioned *)POISON, NULL};
    assert_fails(status, lend(tensor, f, &l, &test_err));
    assert_message(message);
    assert_untouched(l.legacy);
    assert_untouched(l.versioned);
}

/* `tensor` and what `lazily` makes of it, which is refused, but not its clone. */
static void check_lazy_is_not_lent(const ntap_tensor *tensor, const char *lazily, form f) {
    ntap_tensor *lazy = call_unary(lazily, tensor);
    ntap_tensor *clone = NULL;
    check_not_lent(lazy, f, NTAP_ERROR_INVALID_ARGUMENT, "tensor is computed lazily");
    assert_ok(ntap_tensor_clone(lazy, &clone, &test_err));
    give_back(lent(clone, f));
    ntap_tensor_free(lazy);
    ntap_tensor_free(clone);
}

static void lazily_computed_tensors_are_not_lent(void **state) {
    ntap_tensor *real = make_tensor(NTAP_DTYPE_FLOAT32, VALUES(1, 2), SHAPE(1, 2));
    ntap_tensor *complex = call_unary("aten::view_as_complex", real);
    ntap_value *sizes[] = {make_list(1, make_int(2))};
    check_lazy_is_not_lent(complex, "aten::conj", form_of(state));
    check_lazy_is_not_lent(real, "aten::_neg_view", form_of(state));
    ntap_tensor *zeros = call("aten::_efficientzerotensor", sizes, 1);
    check_not_lent(zeros, form_of(state), NTAP_ERROR_INVALID_ARGUMENT, "tensor is computed lazily");
    ntap_tensor_free(real);
    ntap_tensor_free(complex);
    ntap_tensor_free(zeros);
}

static void sparse_tensors_are_not_lent(void **state) {
    ntap_tensor *dense = make_tensor(NTAP_DTYPE_FLOAT32, VALUES(0, 5, 0, 7), SHAPE(2, 2));
    ntap_tensor *sparse = call_unary("aten::to_sparse", dense);
    check_not_lent(sparse, form_of(state), NTAP_ERROR_INVALID_ARGUMENT, "expected a strided one");
    ntap_tensor_free(dense);
    ntap_tensor_free(sparse);
}

static void quantized_tensors_are_not_lent(void **state) {
    const int64_t qint8 = 12; /* c10::ScalarType */
    ntap_tensor *tensor = make_tensor(NTAP_DTYPE_FLOAT32, VALUES(3), SHAPE(1));
    ntap_value *args[] = {make_tensor_value(tensor), make_double(1), make_int(0), make_int(qint8)};
    ntap_tensor *quantized = call("aten::quantize_per_tensor", args, 4);
    check_not_lent(quantized, form_of(state), NTAP_ERROR_DTYPE, "expected an ntap_dtype");
    ntap_tensor_free(tensor);
    ntap_tensor_free(quantized);
}

static void tensors_without_memory_are_not_lent(void **state) {
    ntap_tensor *tensor = make_tensor(NTAP_DTYPE_FLOAT32, VALUES(3), SHAPE(1));
    ntap_value *args[] = {make_tensor_value(tensor), make_none(), make_none(), make_string("meta")};
    ntap_tensor *meta = call("aten::empty_like", args, 4);
    check_not_lent(meta, form_of(state), NTAP_ERROR_DEVICE, "tensor is on device meta");
    ntap_tensor_free(tensor);
    ntap_tensor_free(meta);
}

/* The graph of a square holds on to the operand; the loan does not. */
static void a_tensor_with_a_graph_is_lent_without_it(void **state) {
    blob b;
    ntap_tensor *tensor = make_blob(&b);
    ntap_tensor *leaf = call_unary("aten::requires_grad_", tensor);
    ntap_tensor *square = call_unary("aten::square", leaf);
    const loan l = lent(square, form_of(state));
    assert_ptr_equal(l.tensor->data, ntap_tensor_data(square));
    ntap_tensor_free(tensor);
    ntap_tensor_free(leaf);
    assert_int_equal(b.deletions, 0);
    ntap_tensor_free(square);
    assert_int_equal(b.deletions, 1);
    assert_true(((const float *)l.tensor->data)[1] == 4);
    give_back(l);
}

/* ---- out and in again ---- */

static void a_loan_can_be_borrowed(void **state) {
    blob b;
    ntap_tensor *again = NULL;
    ntap_tensor *tensor = make_blob(&b);
    const loan l = lent(tensor, form_of(state));
    assert_ok(l.legacy != NULL ? ntap_tensor_from_dlpack(l.legacy, &again, &test_err)
                               : ntap_tensor_from_dlpack_versioned(l.versioned, &again, &test_err));
    ntap_tensor_free(tensor);
    assert_int_equal(b.deletions, 0);
    assert_ptr_equal(ntap_tensor_data(again), b.data);
    assert_tensor(again, NTAP_DTYPE_FLOAT32, VALUES(1, 2), SHAPE(2));
    ntap_tensor_free(again);
    assert_int_equal(b.deletions, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        BOTH_FORMS(borrowed_memory_is_not_copied),
        BOTH_FORMS(every_dtype_can_be_borrowed),
        BOTH_FORMS(strides_are_honoured),
        BOTH_FORMS(no_strides_are_c_order),
        BOTH_FORMS(the_byte_offset_is_honoured),
        BOTH_FORMS(a_scalar_needs_no_shape),
        BOTH_FORMS(no_elements_need_no_data),
        BOTH_FORMS(host_memory_is_on_the_cpu),
        cmocka_unit_test(flags_that_change_nothing_are_accepted),
        cmocka_unit_test(later_minor_versions_are_accepted),
        BOTH_FORMS(the_deleter_waits_for_the_last_handle),
        BOTH_FORMS(no_deleter_is_not_called),
        BOTH_FORMS(borrowed_memory_may_be_freed_on_another_thread),
        BOTH_FORMS(other_element_types_are_refused),
        BOTH_FORMS(other_devices_are_refused),
        BOTH_FORMS(impossible_shapes_are_refused),
        BOTH_FORMS(impossible_strides_are_refused),
        BOTH_FORMS(impossible_addresses_are_refused),
        cmocka_unit_test(other_major_versions_are_refused),
        cmocka_unit_test(padded_elements_of_less_than_a_byte_are_refused),
        BOTH_FORMS(lent_memory_is_not_copied),
        BOTH_FORMS(every_dtype_can_be_lent),
        BOTH_FORMS(a_view_is_lent_from_its_first_element_with_its_strides),
        BOTH_FORMS(a_scalar_can_be_lent),
        BOTH_FORMS(no_elements_are_lent_without_data),
        cmocka_unit_test(the_version_is_1_0_without_flags),
        BOTH_FORMS(a_loan_outlives_the_tensor),
        BOTH_FORMS(the_tensor_outlives_a_loan),
        BOTH_FORMS(loans_are_independent),
        BOTH_FORMS(a_loan_may_be_given_back_on_another_thread),
        BOTH_FORMS(several_threads_may_borrow_one_tensor),
        BOTH_FORMS(lazily_computed_tensors_are_not_lent),
        BOTH_FORMS(sparse_tensors_are_not_lent),
        BOTH_FORMS(quantized_tensors_are_not_lent),
        BOTH_FORMS(tensors_without_memory_are_not_lent),
        BOTH_FORMS(a_tensor_with_a_graph_is_lent_without_it),
        BOTH_FORMS(a_loan_can_be_borrowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
