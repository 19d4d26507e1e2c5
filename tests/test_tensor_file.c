/* Tensors in files: NumPy's .npy and PyTorch's .pt. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static const ntap_device CPU = {NTAP_DEVICE_CPU, 0};

typedef ntap_status (*reader)(const char *path, ntap_tensor **tensor, ntap_error *err);
typedef ntap_status (*writer)(const ntap_tensor *tensor, const char *path, ntap_error *err);

static ntap_tensor *read_with(reader read, const char *path) {
    ntap_tensor *tensor = NULL;
    assert_ok(read(path, &tensor, &test_err));
    assert_int_equal(ntap_tensor_device(tensor).type, NTAP_DEVICE_CPU);
    if (read == ntap_tensor_read_npy) /* as its documentation promises */
        assert_int_equal(ntap_tensor_is_contiguous(tensor), 1);
    return tensor;
}

/* A file of the fixtures has this dtype, shape and elements. */
#define check_fixture(read, name, dtype, ...)                                                      \
    do {                                                                                           \
        ntap_tensor *check_fixture_tensor = read_with((read), fixture_path(name));                 \
        assert_tensor(check_fixture_tensor, (dtype), __VA_ARGS__);                                 \
        ntap_tensor_free(check_fixture_tensor);                                                    \
    } while (0)

static void check_read_fails(reader read, ntap_status status, const char *path,
                             const char *message) {
    ntap_tensor *tensor = (ntap_tensor *)POISON;
    assert_fails(status, read(path, &tensor, &test_err));
    assert_message(message);
    assert_untouched(tensor);
}

/* ---- .npy files that NumPy wrote ---- */

/* np.random.default_rng(0), see fixtures/make_fixtures.py and files.json */
#define MATRIX                                                                                     \
    VALUES(0.1257302210933933, -0.1321048632913019, 0.6404226504432821, 0.10490011715303971,       \
           -0.535669373161111, 0.36159505490948474)

#define CUBE                                                                                       \
    VALUES(1.3040000200271606, 0.9470809698104858, -0.7037352323532104, -1.2654215097427368,       \
           -0.6232744455337524, 0.04132597893476486, -2.32503080368042, -0.218791663646698,        \
           -1.2459110021591187, -0.7322673797607422, -0.5442590117454529, -0.3163001537322998,     \
           0.4116305410861969, 1.042513370513916, -0.12853465974330902, 1.3664634227752686,        \
           -0.6651946902275085, 0.35151007771492004, 0.9034701585769653, 0.0940122976899147,       \
           -0.7434992790222168, -0.9217253923416138, -0.4577258229255676, 0.22019512951374054)

static void fortran_order_is_read(void **state) {
    (void)state;
    check_fixture(ntap_tensor_read_npy, "array.fortran.npy", NTAP_DTYPE_FLOAT32, CUBE,
                  SHAPE(2, 3, 4));
    check_fixture(ntap_tensor_read_npy, "array.fortran_vector.npy", NTAP_DTYPE_FLOAT64,
                  VALUES(0.1257302210933933, -0.1321048632913019, 0.6404226504432821), SHAPE(3));
}

static void big_endian_is_read(void **state) {
    (void)state;
    check_fixture(ntap_tensor_read_npy, "array.bigendian.npy", NTAP_DTYPE_FLOAT64, MATRIX,
                  SHAPE(2, 3));
    check_fixture(ntap_tensor_read_npy, "array.bigendian_complex.npy", NTAP_DTYPE_COMPLEX64,
                  VALUES(0.1257302165031433, 1, -0.13210485875606537, 1, 0.6404226422309875, 1,
                         0.10490011423826218, 1, -0.5356693863868713, 1, 0.3615950644016266, 1),
                  SHAPE(2, 3));
}

static void bools_are_read(void **state) {
    (void)state;
    check_fixture(ntap_tensor_read_npy, "array.bool.npy", NTAP_DTYPE_BOOL, VALUES(1, 0, 1, 1, 0, 1),
                  SHAPE(2, 3));
}

static void integers_are_read(void **state) {
    (void)state;
    check_fixture(ntap_tensor_read_npy, "array.uint8.npy", NTAP_DTYPE_UINT8, VALUES(0, 7, 255),
                  SHAPE(3));
    check_fixture(ntap_tensor_read_npy, "array.int8.npy", NTAP_DTYPE_INT8, VALUES(-128, 0, 127),
                  SHAPE(3));
    check_fixture(ntap_tensor_read_npy, "array.int16.npy", NTAP_DTYPE_INT16,
                  VALUES(-32768, 1, 32767), SHAPE(3));
    check_fixture(ntap_tensor_read_npy, "array.int32.npy", NTAP_DTYPE_INT32,
                  VALUES(-2147483648.0, 2147483647.0), SHAPE(2, 1));
    check_fixture(ntap_tensor_read_npy, "array.int64.npy", NTAP_DTYPE_INT64,
                  VALUES(-9007199254740992.0, 9007199254740992.0), SHAPE(2));
}

static void floats_are_read(void **state) {
    (void)state;
    check_fixture(ntap_tensor_read_npy, "array.float16.npy", NTAP_DTYPE_FLOAT16,
                  VALUES(0.125732421875, -0.132080078125, 0.640625, 0.10491943359375,
                         -0.53564453125, 0.361572265625),
                  SHAPE(2, 3));
    check_fixture(ntap_tensor_read_npy, "array.float64.npy", NTAP_DTYPE_FLOAT64, MATRIX,
                  SHAPE(2, 3));
}

static void complex_numbers_are_read(void **state) {
    (void)state;
    check_fixture(ntap_tensor_read_npy, "array.complex64.npy", NTAP_DTYPE_COMPLEX64,
                  VALUES(0.1257302165031433, 2, -0.13210485875606537, 2, 0.6404226422309875, 2,
                         0.10490011423826218, 2, -0.5356693863868713, 2, 0.3615950644016266, 2),
                  SHAPE(2, 3));
    check_fixture(ntap_tensor_read_npy, "array.complex128.npy", NTAP_DTYPE_COMPLEX128,
                  VALUES(0.1257302210933933, -1, -0.1321048632913019, -1, 0.6404226504432821, -1,
                         0.10490011715303971, -1, -0.535669373161111, -1, 0.36159505490948474, -1),
                  SHAPE(2, 3));
}

static void no_dimensions_are_read(void **state) {
    (void)state;
    check_fixture(ntap_tensor_read_npy, "array.scalar.npy", NTAP_DTYPE_FLOAT32, VALUES(2.5),
                  SCALAR);
}

static void no_elements_are_read(void **state) {
    (void)state;
    check_fixture(ntap_tensor_read_npy, "array.empty.npy", NTAP_DTYPE_FLOAT32, VALUES(0),
                  SHAPE(0, 3));
}

static void newer_format_versions_are_read(void **state) {
    (void)state;
    check_fixture(ntap_tensor_read_npy, "array.version2.npy", NTAP_DTYPE_FLOAT32, CUBE,
                  SHAPE(2, 3, 4));
    check_fixture(ntap_tensor_read_npy, "array.version3.npy", NTAP_DTYPE_FLOAT32, CUBE,
                  SHAPE(2, 3, 4));
}

static void types_without_a_dtype_are_refused(void **state) {
    (void)state;
    check_read_fails(ntap_tensor_read_npy, NTAP_ERROR_DTYPE, fixture_path("array.uint16.npy"),
                     "'<u2'");
    check_read_fails(ntap_tensor_read_npy, NTAP_ERROR_DTYPE, fixture_path("array.text.npy"),
                     "'<U2'");
    check_read_fails(ntap_tensor_read_npy, NTAP_ERROR_DTYPE, fixture_path("array.object.npy"),
                     "'|O'");
    check_read_fails(ntap_tensor_read_npy, NTAP_ERROR_DTYPE, fixture_path("array.record.npy"),
                     "records");
}

/* ---- .npy files by hand ---- */

/* A header of version 1.0 with this text, unpadded as the format allows, and the data. */
static const char *npy_file(const char *header, const void *data, size_t size) {
    const char *path = temp_path("hand.npy");
    const size_t length = strlen(header);
    unsigned char bytes[1024] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0};
    assert_true(10 + length + size <= sizeof bytes);
    bytes[8] = (unsigned char)(length & 0xFF);
    bytes[9] = (unsigned char)(length >> 8);
    memcpy(bytes + 10, header, length);
    if (size > 0)
        memcpy(bytes + 10 + length, data, size);
    write_file(path, bytes, 10 + length + size);
    return path;
}

static void check_header(const char *header) {
    const unsigned char data[] = {1, 2, 3, 4, 5, 6};
    ntap_tensor *tensor = read_with(ntap_tensor_read_npy, npy_file(header, data, sizeof data));
    assert_tensor(tensor, NTAP_DTYPE_UINT8, VALUES(1, 2, 3, 4, 5, 6), SHAPE(2, 3));
    ntap_tensor_free(tensor);
}

/* Python dictionaries have no order, and their spaces mean nothing. */
static void headers_vary(void **state) {
    (void)state;
    check_header("{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }\n");
    check_header("{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3)}");
    check_header("{'shape': (2, 3), 'fortran_order': False, 'descr': '|u1'}");
    check_header("{'descr':'|u1','fortran_order':False,'shape':(2,3)}");
    check_header("{ 'descr' : \"|u1\" , 'fortran_order' : False , 'shape' : ( 2 , 3 , ) }   \n");
    check_header("{'descr': '<u1', 'fortran_order': False, 'shape': (2, 3), }");
    check_header("{'descr': '=u1', 'fortran_order': False, 'shape': (2, 3), }");
    check_header("{'descr': '>u1', 'fortran_order': False, 'shape': (2, 3), }");
}

static void both_byte_orders_are_read(void **state) {
    const unsigned char little[] = {0x01, 0x00, 0xFE, 0xFF};
    const unsigned char big[] = {0x00, 0x01, 0xFF, 0xFE};
    (void)state;
    ntap_tensor *tensor =
        read_with(ntap_tensor_read_npy,
                  npy_file("{'descr': '<i2', 'fortran_order': False, 'shape': (2,)}", little, 4));
    assert_tensor(tensor, NTAP_DTYPE_INT16, VALUES(1, -2), SHAPE(2));
    ntap_tensor_free(tensor);
    tensor = read_with(ntap_tensor_read_npy,
                       npy_file("{'descr': '>i2', 'fortran_order': False, 'shape': (2,)}", big, 4));
    assert_tensor(tensor, NTAP_DTYPE_INT16, VALUES(1, -2), SHAPE(2));
    ntap_tensor_free(tensor);
}

static void fortran_order_is_turned_into_c_order(void **state) {
    const unsigned char data[] = {1, 2, 3, 4, 5, 6};
    (void)state;
    ntap_tensor *tensor = read_with(
        ntap_tensor_read_npy,
        npy_file("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3)}", data, sizeof data));
    assert_tensor(tensor, NTAP_DTYPE_UINT8, VALUES(1, 3, 5, 2, 4, 6), SHAPE(2, 3));
    ntap_tensor_free(tensor);
}

/* np.load ignores what follows the array: files may hold several. */
static void bytes_behind_the_array_are_ignored(void **state) {
    const unsigned char data[] = {7, 8, 9};
    (void)state;
    ntap_tensor *tensor = read_with(
        ntap_tensor_read_npy,
        npy_file("{'descr': '|u1', 'fortran_order': False, 'shape': (2,)}", data, sizeof data));
    assert_tensor(tensor, NTAP_DTYPE_UINT8, VALUES(7, 8), SHAPE(2));
    ntap_tensor_free(tensor);
}

/* ---- malformed .npy files ---- */

static void check_malformed(const char *path, const char *message) {
    check_read_fails(ntap_tensor_read_npy, NTAP_ERROR_FILE, path, message);
    assert_message(path);
}

static void check_bad_header(const char *header, const char *message) {
    const unsigned char data[64] = {0};
    check_malformed(npy_file(header, data, sizeof data), message);
}

static void a_missing_file_is_reported(void **state) {
    (void)state;
    check_malformed("/nonexistent/x.npy", "No such file or directory");
}

static void a_folder_is_no_file(void **state) {
    (void)state;
    check_malformed(fixture_path(""), "Is a directory");
}

static void an_empty_file_ends_too_early(void **state) {
    (void)state;
    const char *path = temp_path("empty.npy");
    write_file(path, "", 0);
    check_malformed(path, "it ends too early");
}

static void the_magic_is_checked(void **state) {
    (void)state;
    const char *path = temp_path("magic.npy");
    write_file(path, "\x93NUMPX\x01\x00\x00\x00", 10);
    check_malformed(path, "it does not start with");
    write_file(path, "PK\x03\x04 a zip archive", 18); /* .npz, for example */
    check_malformed(path, "it does not start with");
}

static void the_format_version_is_checked(void **state) {
    (void)state;
    const char *path = temp_path("version.npy");
    write_file(path, "\x93NUMPY\x04\x00\x10\x00\x00\x00", 12);
    check_malformed(path, "version");
    write_file(path, "\x93NUMPY\x00\x00\x10\x00\x00\x00", 12);
    check_malformed(path, "version");
}

static void every_truncation_is_noticed(void **state) {
    const unsigned char data[] = {1, 2, 3, 4};
    size_t size = 0;
    (void)state;
    unsigned char *bytes = read_file(
        npy_file("{'descr': '<i2', 'fortran_order': False, 'shape': (2,)}", data, 4), &size);
    const char *path = temp_path("truncated.npy");
    for (size_t length = 0; length < size; ++length) {
        write_file(path, bytes, length);
        check_malformed(path, "it ends too early");
    }
    free(bytes);
}

static void a_header_of_gigabytes_is_refused(void **state) {
    (void)state;
    const char *path = temp_path("header.npy");
    write_file(path, "\x93NUMPY\x02\x00\xFF\xFF\xFF\xFF{'descr'", 20);
    check_malformed(path, "its header is too long");
}

/* Leaves this process about `bytes` more of address space; undone with RLIM_INFINITY. Sanitizers
 * need more than any limit, and stop at huge allocations by themselves. */
static void limit_memory(rlim_t bytes) {
#ifdef NTAP_TEST_SANITIZED
    (void)bytes;
#else
    struct rlimit limit;
    unsigned long pages = 0;
    FILE *statistics = fopen("/proc/self/statm", "r");
    if (statistics == NULL)
        return; /* not Linux: the statuses have to do */
    assert_int_equal(fscanf(statistics, "%lu", &pages), 1);
    (void)fclose(statistics);
    assert_int_equal(getrlimit(RLIMIT_AS, &limit), 0);
    limit.rlim_cur = bytes == RLIM_INFINITY ? limit.rlim_max
                                            : (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + bytes;
    assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
#endif
}

static int little_memory(void **state) {
    (void)state;
    limit_memory((rlim_t)256 << 20);
    return 0;
}

static int all_memory(void **state) {
    (void)state;
    limit_memory(RLIM_INFINITY);
    return 0;
}

/* "it ends too early", not "out of memory": what a header claims is not allocated. */
static void a_huge_shape_is_not_allocated(void **state) {
    (void)state;
    check_bad_header("{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000,)}",
                     "it ends too early");
    check_bad_header("{'descr': '<f8', 'fortran_order': True, 'shape': (1000000, 1000000)}",
                     "it ends too early");
    check_bad_header("{'descr': '|u1', 'fortran_order': False, 'shape': (4611686018427387903,)}",
                     "it ends too early");
}

static void a_shape_that_overflows_is_refused(void **state) {
    (void)state;
    check_bad_header("{'descr': '|u1', 'fortran_order': False, 'shape': (4294967296, 4294967296)}",
                     "more elements than memory can hold");
    check_bad_header("{'descr': '<c16', 'fortran_order': False, 'shape': (1152921504606846976,)}",
                     "more elements than memory can hold");
    check_bad_header("{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999999999999,)}",
                     "its shape is no tuple of sizes");
}

/* No elements, but the strides would overflow. */
static void an_empty_shape_that_overflows_is_refused(void **state) {
    (void)state;
    check_bad_header("{'descr': '|u1', 'fortran_order': False, "
                     "'shape': (0, 4611686018427387904, 4611686018427387904)}",
                     "more elements than memory can hold");
}

static void negative_sizes_are_refused(void **state) {
    (void)state;
    check_bad_header("{'descr': '|u1', 'fortran_order': False, 'shape': (-1,)}",
                     "its shape is no tuple of sizes");
    check_bad_header("{'descr': '|u1', 'fortran_order': False, 'shape': (2, -3)}",
                     "its shape is no tuple of sizes");
}

static void a_shape_that_is_no_tuple_is_refused(void **state) {
    static const char *const shapes[] = {"4",      "[2, 2]", "None",   "'(2,)'", "(2, 2", "(",
                                         "(2, x)", "(2.5,)", "('2',)", "(,)",    "(2;2)"};
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; ++i) {
        char header[128];
        (void)snprintf(header, sizeof header,
                       "{'descr': '|u1', 'fortran_order': False, 'shape': %s}", shapes[i]);
        check_bad_header(header, "its shape is no tuple");
    }
}

static void a_shape_needs_its_commas(void **state) {
    (void)state;
    check_bad_header("{'descr': '|u1', 'fortran_order': False, 'shape': (2 2)}",
                     "its shape is no tuple");
    check_bad_header("{'descr': '|u1', 'fortran_order': False, 'shape': (2,,2)}",
                     "its shape is no tuple");
}

static void more_than_64_dimensions_are_refused(void **state) {
    char header[512] = "{'descr': '|u1', 'fortran_order': False, 'shape': (";
    (void)state;
    for (size_t i = 0; i < 65; ++i)
        (void)strcat(header, "1,");
    (void)strcat(header, ")}");
    check_bad_header(header, "its shape is no tuple of sizes");
}

static void a_missing_key_is_refused(void **state) {
    (void)state;
    check_bad_header("{'fortran_order': False, 'shape': (2,)}", "descr");
    check_bad_header("{'descr': '|u1', 'shape': (2,)}", "fortran_order");
    check_bad_header("{'descr': '|u1', 'fortran_order': False}", "shape");
    check_bad_header("{}", "");
    check_bad_header("", "");
}

static void an_order_that_is_no_truth_value_is_refused(void **state) {
    (void)state;
    check_bad_header("{'descr': '|u1', 'fortran_order': 1, 'shape': (2,)}", "fortran_order");
    check_bad_header("{'descr': '|u1', 'fortran_order': 'True', 'shape': (2,)}", "fortran_order");
}

static void unknown_type_codes_are_refused(void **state) {
    static const char *const codes[] = {"<f3", "<f16", "u1",  "<i",  "<",    "",
                                        "<U1", "<M8",  "|V4", "!i2", "<i2 ", "<u4"};
    const unsigned char data[64] = {0};
    (void)state;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; ++i) {
        char header[128];
        (void)snprintf(header, sizeof header,
                       "{'descr': '%s', 'fortran_order': False, 'shape': (1,)}", codes[i]);
        check_read_fails(ntap_tensor_read_npy, NTAP_ERROR_DTYPE,
                         npy_file(header, data, sizeof data), "dtype");
    }
}

/* Any byte but 0 is true; C++ allows no other representation than 0 and 1. */
static void odd_bools_become_one(void **state) {
    const unsigned char data[] = {0, 1, 2, 255};
    const unsigned char expected[] = {0, 1, 1, 1};
    unsigned char copied[4] = {9, 9, 9, 9};
    (void)state;
    ntap_tensor *tensor = read_with(
        ntap_tensor_read_npy,
        npy_file("{'descr': '|b1', 'fortran_order': False, 'shape': (4,)}", data, sizeof data));
    assert_ok(ntap_tensor_copy_to_host(tensor, copied, sizeof copied, &test_err));
    assert_memory_equal(copied, expected, sizeof expected);
    ntap_tensor_free(tensor);
}

/* ---- writing .npy ---- */

/* The bytes that NumPy writes for np.array([[1, -2], [3, 256]], np.int16). */
static void a_written_file_has_numpys_bytes(void **state) {
    const char expected[128 + 8 + 1] =
        "\x93NUMPY\x01\x00\x76\x00"
        "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 2), }    "
        "                                                      \n"
        "\x01\x00\xFE\xFF\x03\x00\x00\x01";
    ntap_tensor *tensor = make_tensor(NTAP_DTYPE_INT16, VALUES(1, -2, 3, 256), SHAPE(2, 2));
    size_t size = 0;
    (void)state;
    const char *path = temp_path("bytes.npy");
    assert_ok(ntap_tensor_write_npy(tensor, path, &test_err));
    unsigned char *bytes = read_file(path, &size);
    assert_int_equal(size, sizeof expected - 1);
    assert_memory_equal(bytes, expected, sizeof expected - 1);
    free(bytes);
    ntap_tensor_free(tensor);
}

/* The header's text begins like this, and the data at a multiple of 64 bytes. */
static void check_written_header(const ntap_tensor *tensor, const char *expected,
                                 size_t data_size) {
    const char *path = temp_path("written.npy");
    size_t size = 0;
    assert_ok(ntap_tensor_write_npy(tensor, path, &test_err));
    unsigned char *bytes = read_file(path, &size);
    assert_memory_equal(bytes, "\x93NUMPY\x01\x00", 8);
    assert_memory_equal(bytes + 10, expected, strlen(expected));
    const size_t header = 10 + ((size_t)bytes[8] | (size_t)bytes[9] << 8);
    assert_int_equal(header % 64, 0);
    assert_int_equal(bytes[header - 1], '\n');
    assert_int_equal(size, header + data_size);
    free(bytes);
}

static void written_shapes_are_python_tuples(void **state) {
    ntap_tensor *scalar = make_tensor(NTAP_DTYPE_FLOAT32, VALUES(2.5), SCALAR);
    ntap_tensor *vector = make_tensor(NTAP_DTYPE_FLOAT64, VALUES(1, 2, 3), SHAPE(3));
    ntap_tensor *empty = make_tensor(NTAP_DTYPE_BOOL, VALUES(0), SHAPE(0, 3, 1));
    (void)state;
    check_written_header(scalar, "{'descr': '<f4', 'fortran_order': False, 'shape': (), }", 4);
    check_written_header(vector, "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }", 24);
    check_written_header(empty, "{'descr': '|b1', 'fortran_order': False, 'shape': (0, 3, 1), }",
                         0);
    ntap_tensor_free(scalar);
    ntap_tensor_free(vector);
    ntap_tensor_free(empty);
}

typedef struct type_code {
    ntap_dtype dtype;
    const char *code;
} type_code;

static void written_types_have_numpys_codes(void **state) {
    static const type_code codes[] = {
        {NTAP_DTYPE_BOOL, "|b1"},      {NTAP_DTYPE_UINT8, "|u1"},      {NTAP_DTYPE_INT8, "|i1"},
        {NTAP_DTYPE_INT16, "<i2"},     {NTAP_DTYPE_INT32, "<i4"},      {NTAP_DTYPE_INT64, "<i8"},
        {NTAP_DTYPE_FLOAT16, "<f2"},   {NTAP_DTYPE_FLOAT32, "<f4"},    {NTAP_DTYPE_FLOAT64, "<f8"},
        {NTAP_DTYPE_COMPLEX64, "<c8"}, {NTAP_DTYPE_COMPLEX128, "<c16"}};
    (void)state;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; ++i) {
        char header[64];
        ntap_tensor *tensor = make_tensor(codes[i].dtype, VALUES(1), SHAPE(1));
        (void)snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False,",
                       codes[i].code);
        check_written_header(tensor, header, ntap_dtype_size(codes[i].dtype));
        ntap_tensor_free(tensor);
    }
}

static void a_tensor_of_64_dimensions_is_written(void **state) {
    int64_t sizes[64];
    (void)state;
    for (size_t i = 0; i < 64; ++i)
        sizes[i] = 1;
    ntap_tensor *tensor = make_tensor(NTAP_DTYPE_FLOAT32, VALUES(5), 64, sizes);
    const char *path = temp_path("dimensions.npy");
    assert_ok(ntap_tensor_write_npy(tensor, path, &test_err));
    ntap_tensor_free(tensor);
    tensor = read_with(ntap_tensor_read_npy, path);
    assert_tensor(tensor, NTAP_DTYPE_FLOAT32, VALUES(5), 64, sizes);
    ntap_tensor_free(tensor);
}

static void bfloat16_has_no_numpy_type(void **state) {
    ntap_tensor *tensor = make_tensor(NTAP_DTYPE_BFLOAT16, VALUES(1), SHAPE(1));
    struct stat status;
    (void)state;
    const char *path = temp_path("bfloat16.npy");
    assert_fails(NTAP_ERROR_DTYPE, ntap_tensor_write_npy(tensor, path, &test_err));
    assert_message("bfloat16");
    assert_int_not_equal(stat(path, &status), 0); /* not even begun */
    ntap_tensor_free(tensor);
}

/* ---- both formats: what is written can be read ---- */

typedef struct format {
    writer write;
    reader read;
    const char *file;
} format;

static const format FORMATS[] = {{ntap_tensor_write_npy, ntap_tensor_read_npy, "trip.npy"},
                                 {ntap_tensor_write_pt, ntap_tensor_read_pt, "trip.pt"}};

enum { FORMAT_COUNT = sizeof FORMATS / sizeof *FORMATS };

static ntap_tensor *round_trip(const format *f, const ntap_tensor *tensor) {
    const char *path = temp_path(f->file);
    assert_ok(f->write(tensor, path, &test_err));
    return read_with(f->read, path);
}

static void every_dtype_makes_the_round_trip(void **state) {
    static const ntap_dtype dtypes[] = {NTAP_DTYPE_UINT8,   NTAP_DTYPE_INT8,   NTAP_DTYPE_INT16,
                                        NTAP_DTYPE_INT32,   NTAP_DTYPE_INT64,  NTAP_DTYPE_FLOAT16,
                                        NTAP_DTYPE_FLOAT32, NTAP_DTYPE_FLOAT64};
    (void)state;
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; ++i) {
        ntap_tensor *tensor = make_tensor(dtypes[i], VALUES(0, 1, 2, 3, 100, 5), SHAPE(2, 3));
        for (size_t j = 0; j < FORMAT_COUNT; ++j) {
            ntap_tensor *back = round_trip(&FORMATS[j], tensor);
            assert_tensor(back, dtypes[i], VALUES(0, 1, 2, 3, 100, 5), SHAPE(2, 3));
            ntap_tensor_free(back);
        }
        ntap_tensor_free(tensor);
    }
}

static void bools_make_the_round_trip(void **state) {
    ntap_tensor *tensor = make_tensor(NTAP_DTYPE_BOOL, VALUES(1, 0, 1), SHAPE(3));
    (void)state;
    for (size_t j = 0; j < FORMAT_COUNT; ++j) {
        ntap_tensor *back = round_trip(&FORMATS[j], tensor);
        assert_tensor(back, NTAP_DTYPE_BOOL, VALUES(1, 0, 1), SHAPE(3));
        ntap_tensor_free(back);
    }
    ntap_tensor_free(tensor);
}

static void complex_numbers_make_the_round_trip(void **state) {
    float singles[] = {1.5F, -2, 0, 3};
    double doubles[] = {1e300, -2, 0.1, 3};
    ntap_tensor *small = NULL;
    ntap_tensor *large = NULL;
    (void)state;
    assert_ok(ntap_tensor_from_blob(singles, SHAPE(2), NULL, NTAP_DTYPE_COMPLEX64, CPU, NULL, NULL,
                                    &small, &test_err));
    assert_ok(ntap_tensor_from_blob(doubles, SHAPE(2), NULL, NTAP_DTYPE_COMPLEX128, CPU, NULL, NULL,
                                    &large, &test_err));
    for (size_t j = 0; j < FORMAT_COUNT; ++j) {
        ntap_tensor *back = round_trip(&FORMATS[j], small);
        assert_tensor(back, NTAP_DTYPE_COMPLEX64, VALUES(1.5, -2, 0, 3), SHAPE(2));
        ntap_tensor_free(back);
        back = round_trip(&FORMATS[j], large);
        assert_tensor(back, NTAP_DTYPE_COMPLEX128, VALUES(1e300, -2, 0.1, 3), SHAPE(2));
        ntap_tensor_free(back);
    }
    ntap_tensor_free(small);
    ntap_tensor_free(large);
}

static void bfloat16_makes_the_round_trip_in_pt(void **state) {
    ntap_tensor *tensor = make_tensor(NTAP_DTYPE_BFLOAT16, VALUES(1.5, -2), SHAPE(2));
    (void)state;
    ntap_tensor *back = round_trip(&FORMATS[1], tensor);
    assert_tensor(back, NTAP_DTYPE_BFLOAT16, VALUES(1.5, -2), SHAPE(2));
    ntap_tensor_free(back);
    ntap_tensor_free(tensor);
}

static void a_view_is_written_in_c_order(void **state) {
    float data[] = {0, 1, 2, 3, 4, 5};
    ntap_tensor *tensor = NULL;
    (void)state;
    assert_ok(ntap_tensor_from_blob(data, SHAPE(2, 3), (const int64_t[]){1, 2}, NTAP_DTYPE_FLOAT32,
                                    CPU, NULL, NULL, &tensor, &test_err));
    for (size_t j = 0; j < FORMAT_COUNT; ++j) {
        ntap_tensor *back = round_trip(&FORMATS[j], tensor);
        assert_tensor(back, NTAP_DTYPE_FLOAT32, VALUES(0, 2, 4, 1, 3, 5), SHAPE(2, 3));
        ntap_tensor_free(back);
    }
    ntap_tensor_free(tensor);
}

static void a_sparse_tensor_is_written_with_its_zeros(void **state) {
    ntap_tensor *dense = make_tensor(NTAP_DTYPE_FLOAT32, VALUES(0, 5, 0, 7), SHAPE(2, 2));
    ntap_value *argument = make_tensor_value(dense);
    ntap_value *sparse = NULL;
    (void)state;
    assert_ok(ntap_call_op("aten::to_sparse", (const ntap_value *const *)&argument, 1, &sparse, 1,
                           &test_err));
    for (size_t j = 0; j < FORMAT_COUNT; ++j) {
        ntap_tensor *back = round_trip(&FORMATS[j], ntap_value_get_tensor(sparse));
        assert_tensor(back, NTAP_DTYPE_FLOAT32, VALUES(0, 5, 0, 7), SHAPE(2, 2));
        ntap_tensor_free(back);
    }
    ntap_value_free(argument);
    ntap_value_free(sparse);
    ntap_tensor_free(dense);
}

static void scalars_and_empty_tensors_make_the_round_trip(void **state) {
    ntap_tensor *scalar = make_tensor(NTAP_DTYPE_FLOAT32, VALUES(2.5), SCALAR);
    ntap_tensor *empty = make_tensor(NTAP_DTYPE_FLOAT32, VALUES(0), SHAPE(0, 3));
    (void)state;
    for (size_t j = 0; j < FORMAT_COUNT; ++j) {
        ntap_tensor *back = round_trip(&FORMATS[j], scalar);
        assert_tensor(back, NTAP_DTYPE_FLOAT32, VALUES(2.5), SCALAR);
        ntap_tensor_free(back);
        back = round_trip(&FORMATS[j], empty);
        assert_tensor(back, NTAP_DTYPE_FLOAT32, VALUES(0), SHAPE(0, 3));
        ntap_tensor_free(back);
    }
    ntap_tensor_free(scalar);
    ntap_tensor_free(empty);
}

static void an_existing_file_is_replaced(void **state) {
    ntap_tensor *large = make_tensor(NTAP_DTYPE_FLOAT64, VALUES(1, 2, 3, 4), SHAPE(4));
    ntap_tensor *small = make_tensor(NTAP_DTYPE_UINT8, VALUES(9), SHAPE(1));
    (void)state;
    for (size_t j = 0; j < FORMAT_COUNT; ++j) {
        ntap_tensor_free(round_trip(&FORMATS[j], large));
        ntap_tensor *back = round_trip(&FORMATS[j], small);
        assert_tensor(back, NTAP_DTYPE_UINT8, VALUES(9), SHAPE(1));
        ntap_tensor_free(back);
    }
    ntap_tensor_free(large);
    ntap_tensor_free(small);
}

static void a_file_that_cannot_be_made_is_reported(void **state) {
    ntap_tensor *tensor = make_tensor(NTAP_DTYPE_FLOAT32, VALUES(1), SHAPE(1));
    (void)state;
    for (size_t j = 0; j < FORMAT_COUNT; ++j) {
        assert_fails(NTAP_ERROR_FILE, FORMATS[j].write(tensor, "/nonexistent/x", &test_err));
        assert_message("cannot write '/nonexistent/x': No such file or directory");
        assert_fails(NTAP_ERROR_FILE, FORMATS[j].write(tensor, "/", &test_err));
        assert_message("Is a directory");
    }
    ntap_tensor_free(tensor);
}

/* Buffered bytes fail when the file is closed. */
static void a_full_disk_is_reported(void **state) {
    ntap_tensor *small = make_tensor(NTAP_DTYPE_FLOAT32, VALUES(1), SHAPE(1));
    ntap_tensor *large = NULL;
    (void)state;
    if (access("/dev/full", W_OK) != 0)
        skip(); /* only Linux has it */
    assert_ok(ntap_tensor_zeros(SHAPE(100000), NTAP_DTYPE_FLOAT32, CPU, &large, &test_err));
    for (size_t j = 0; j < FORMAT_COUNT; ++j) {
        assert_fails(NTAP_ERROR_FILE, FORMATS[j].write(small, "/dev/full", &test_err));
        assert_message("cannot write '/dev/full': No space left on device");
        assert_fails(NTAP_ERROR_FILE, FORMATS[j].write(large, "/dev/full", &test_err));
        assert_message("No space left on device");
    }
    ntap_tensor_free(small);
    ntap_tensor_free(large);
}

/* ---- .pt files that torch.save wrote ---- */

static void a_transposed_tensor_is_read(void **state) {
    (void)state;
    check_fixture(ntap_tensor_read_pt, "tensor.transposed.pt", NTAP_DTYPE_FLOAT32,
                  VALUES(1.5409960746765137, -2.1787893772125244, -1.0845223665237427,
                         -0.293428897857666, 0.5684312582015991, -1.3985954523086548),
                  SHAPE(2, 3));
}

static void a_view_is_read(void **state) {
    (void)state;
    check_fixture(
        ntap_tensor_read_pt, "tensor.view.pt", NTAP_DTYPE_FLOAT32,
        VALUES(-2.1787893772125244, 0.5684312582015991, -1.0845223665237427, -1.3985954523086548),
        SHAPE(2, 2));
}

static void an_expanded_tensor_is_read(void **state) {
    (void)state;
    check_fixture(ntap_tensor_read_pt, "tensor.expanded.pt", NTAP_DTYPE_FLOAT32,
                  VALUES(1.5409960746765137, -0.293428897857666, 1.5409960746765137,
                         -0.293428897857666, 1.5409960746765137, -0.293428897857666,
                         1.5409960746765137, -0.293428897857666),
                  SHAPE(4, 2));
}

static void other_dtypes_are_read_from_pt(void **state) {
    (void)state;
    check_fixture(ntap_tensor_read_pt, "tensor.int64.pt", NTAP_DTYPE_INT64,
                  VALUES(1, -2, 3, 9007199254740992.0), SHAPE(2, 2));
    check_fixture(ntap_tensor_read_pt, "tensor.bfloat16.pt", NTAP_DTYPE_BFLOAT16,
                  VALUES(1.5390625, -0.29296875, -2.171875, 0.5703125, -1.0859375, -1.3984375),
                  SHAPE(3, 2));
    check_fixture(ntap_tensor_read_pt, "tensor.complex64.pt", NTAP_DTYPE_COMPLEX64,
                  VALUES(1.5409960746765137, -1.5409960746765137, -0.293428897857666,
                         0.293428897857666, -2.1787893772125244, 2.1787893772125244,
                         0.5684312582015991, -0.5684312582015991, -1.0845223665237427,
                         1.0845223665237427, -1.3985954523086548, 1.3985954523086548),
                  SHAPE(3, 2));
}

static void scalars_and_empty_tensors_are_read_from_pt(void **state) {
    (void)state;
    check_fixture(ntap_tensor_read_pt, "tensor.scalar.pt", NTAP_DTYPE_FLOAT32, VALUES(2.5), SCALAR);
    check_fixture(ntap_tensor_read_pt, "tensor.empty.pt", NTAP_DTYPE_FLOAT32, VALUES(0),
                  SHAPE(0, 3));
}

static void a_tensor_that_requires_gradients_is_read(void **state) {
    (void)state;
    check_fixture(ntap_tensor_read_pt, "tensor.requires_grad.pt", NTAP_DTYPE_FLOAT32,
                  VALUES(1.5409960746765137, -0.293428897857666, -2.1787893772125244,
                         0.5684312582015991, -1.0845223665237427, -1.3985954523086548),
                  SHAPE(3, 2));
}

/* ---- .pt files that hold no tensor ---- */

static void check_no_tensor(const char *path, const char *message) {
    check_read_fails(ntap_tensor_read_pt, NTAP_ERROR_FILE, path, message);
    assert_message(path);
}

/* Old libtorch cannot read it, and the message says what to save instead; 2.14 can. */
static void a_parameter_is_read_or_refused_with_a_hint(void **state) {
    (void)state;
    ntap_tensor *tensor = NULL;
    support_reset_error();
    if (ntap_tensor_read_pt(fixture_path("notensor.parameter.pt"), &tensor, &test_err) == NTAP_OK) {
        assert_int_equal(ntap_tensor_numel(tensor), 6);
        ntap_tensor_free(tensor);
    } else {
        check_no_tensor(fixture_path("notensor.parameter.pt"), "torch.save(tensor.detach(), path)");
    }
}

static void a_list_of_tensors_is_refused(void **state) {
    (void)state;
    check_no_tensor(fixture_path("notensor.list.pt"), "expected one tensor");
}

static void a_dictionary_of_tensors_is_refused(void **state) {
    (void)state;
    check_no_tensor(fixture_path("notensor.dict.pt"), "expected one tensor");
}

static void a_number_is_refused(void **state) {
    (void)state;
    check_no_tensor(fixture_path("notensor.number.pt"), "expected one tensor");
}

static void none_is_refused(void **state) {
    (void)state;
    check_no_tensor(fixture_path("notensor.none.pt"), "expected one tensor");
}

static void a_state_dict_is_refused(void **state) {
    (void)state;
    check_no_tensor(fixture_path("notscript.state_dict.pt"), "expected one tensor");
}

static void a_pickled_model_is_refused(void **state) {
    (void)state;
    check_no_tensor(fixture_path("notscript.pickled.pt"), "expected one tensor");
}

static void a_torchscript_model_is_refused(void **state) {
    (void)state;
    check_no_tensor(fixture_path("mlp.scripted.pt"), "expected one tensor");
}

static void a_file_that_is_no_zip_archive_is_refused(void **state) {
    (void)state;
    const char *path = temp_path("text.pt");
    check_no_tensor(fixture_path("notscript.pickle.pt"), "no zip archive");
    check_no_tensor(fixture_path("tensor.legacy.pt"), "no zip archive");
    check_no_tensor(fixture_path("array.float64.npy"), "no zip archive");
    write_file(path, "", 0);
    check_no_tensor(path, "it is empty");
    write_file(path, "PK", 2);
    check_no_tensor(path, "no zip archive");
}

static void every_truncated_archive_is_refused(void **state) {
    size_t size = 0;
    (void)state;
    unsigned char *bytes = read_file(fixture_path("tensor.view.pt"), &size);
    const char *path = temp_path("truncated.pt");
    for (size_t length = 4; length < size; ++length) {
        write_file(path, bytes, length);
        check_no_tensor(path, "truncated or damaged");
    }
    free(bytes);
}

/* Any byte of the file may be wrong: reading succeeds or fails, but nothing worse. */
static void every_mutated_byte_is_survived(void **state) {
    size_t size = 0;
    (void)state;
    unsigned char *bytes = read_file(fixture_path("tensor.view.pt"), &size);
    const char *path = temp_path("mutated.pt");
    for (size_t i = 0; i < size; ++i) {
        ntap_tensor *tensor = NULL;
        bytes[i] ^= 0xFF;
        write_file(path, bytes, size);
        const ntap_status status = ntap_tensor_read_pt(path, &tensor, &test_err);
        assert_true(status == NTAP_OK || tensor == NULL);
        if (status == NTAP_OK)
            free(read_elements(tensor, &(size_t){0}));
        ntap_tensor_free(tensor);
        bytes[i] ^= 0xFF;
    }
    free(bytes);
}

static void a_missing_archive_is_reported(void **state) {
    (void)state;
    check_no_tensor("/nonexistent/x.pt", "No such file or directory");
    check_no_tensor("", "No such file or directory");
}

static void a_folder_is_no_archive(void **state) {
    (void)state;
    check_no_tensor(fixture_path(""), "not a regular file");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fortran_order_is_read),
        cmocka_unit_test(big_endian_is_read),
        cmocka_unit_test(bools_are_read),
        cmocka_unit_test(integers_are_read),
        cmocka_unit_test(floats_are_read),
        cmocka_unit_test(complex_numbers_are_read),
        cmocka_unit_test(no_dimensions_are_read),
        cmocka_unit_test(no_elements_are_read),
        cmocka_unit_test(newer_format_versions_are_read),
        cmocka_unit_test(types_without_a_dtype_are_refused),
        cmocka_unit_test(headers_vary),
        cmocka_unit_test(both_byte_orders_are_read),
        cmocka_unit_test(fortran_order_is_turned_into_c_order),
        cmocka_unit_test(bytes_behind_the_array_are_ignored),
        cmocka_unit_test(a_missing_file_is_reported),
        cmocka_unit_test(a_folder_is_no_file),
        cmocka_unit_test(an_empty_file_ends_too_early),
        cmocka_unit_test(the_magic_is_checked),
        cmocka_unit_test(the_format_version_is_checked),
        cmocka_unit_test(every_truncation_is_noticed),
        cmocka_unit_test(a_header_of_gigabytes_is_refused),
        cmocka_unit_test_setup_teardown(a_huge_shape_is_not_allocated, little_memory, all_memory),
        cmocka_unit_test(a_shape_that_overflows_is_refused),
        cmocka_unit_test(an_empty_shape_that_overflows_is_refused),
        cmocka_unit_test(negative_sizes_are_refused),
        cmocka_unit_test(a_shape_that_is_no_tuple_is_refused),
        cmocka_unit_test(a_shape_needs_its_commas),
        cmocka_unit_test(more_than_64_dimensions_are_refused),
        cmocka_unit_test(a_missing_key_is_refused),
        cmocka_unit_test(an_order_that_is_no_truth_value_is_refused),
        cmocka_unit_test(unknown_type_codes_are_refused),
        cmocka_unit_test(odd_bools_become_one),
        cmocka_unit_test(a_written_file_has_numpys_bytes),
        cmocka_unit_test(written_shapes_are_python_tuples),
        cmocka_unit_test(written_types_have_numpys_codes),
        cmocka_unit_test(a_tensor_of_64_dimensions_is_written),
        cmocka_unit_test(bfloat16_has_no_numpy_type),
        cmocka_unit_test(every_dtype_makes_the_round_trip),
        cmocka_unit_test(bools_make_the_round_trip),
        cmocka_unit_test(complex_numbers_make_the_round_trip),
        cmocka_unit_test(bfloat16_makes_the_round_trip_in_pt),
        cmocka_unit_test(a_view_is_written_in_c_order),
        cmocka_unit_test(a_sparse_tensor_is_written_with_its_zeros),
        cmocka_unit_test(scalars_and_empty_tensors_make_the_round_trip),
        cmocka_unit_test(an_existing_file_is_replaced),
        cmocka_unit_test(a_file_that_cannot_be_made_is_reported),
        cmocka_unit_test(a_full_disk_is_reported),
        cmocka_unit_test(a_transposed_tensor_is_read),
        cmocka_unit_test(a_view_is_read),
        cmocka_unit_test(an_expanded_tensor_is_read),
        cmocka_unit_test(other_dtypes_are_read_from_pt),
        cmocka_unit_test(scalars_and_empty_tensors_are_read_from_pt),
        cmocka_unit_test(a_tensor_that_requires_gradients_is_read),
        cmocka_unit_test(a_parameter_is_read_or_refused_with_a_hint),
        cmocka_unit_test(a_list_of_tensors_is_refused),
        cmocka_unit_test(a_dictionary_of_tensors_is_refused),
        cmocka_unit_test(a_number_is_refused),
        cmocka_unit_test(none_is_refused),
        cmocka_unit_test(a_state_dict_is_refused),
        cmocka_unit_test(a_pickled_model_is_refused),
        cmocka_unit_test(a_torchscript_model_is_refused),
        cmocka_unit_test(a_file_that_is_no_zip_archive_is_refused),
        cmocka_unit_test(every_truncated_archive_is_refused),
        cmocka_unit_test(every_mutated_byte_is_survived),
        cmocka_unit_test(a_missing_archive_is_reported),
        cmocka_unit_test(a_folder_is_no_archive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
