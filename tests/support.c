/* What the tests share. */
#include "support.h"

#include <errno.h>
#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- calls ---- */

ntap_error test_err;

static const char UNTOUCHED[] = "(untouched)";

/* Neither 0 nor a status: a call that succeeds must not write it. */
enum { NO_STATUS = 9999 };

void support_reset_error(void) {
    memset(&test_err, 0, sizeof test_err);
    test_err.code = (ntap_status)NO_STATUS;
    memcpy(test_err.message, UNTOUCHED, sizeof UNTOUCHED);
}

void support_check_ok(ntap_status status, const char *call, const char *file, int line) {
    if (status != NTAP_OK) {
        print_error("%s\ngave %s: %s\n", call, ntap_status_name(status), test_err.message);
        _fail(file, line);
    }
    if ((int)test_err.code != NO_STATUS || strcmp(test_err.message, UNTOUCHED) != 0) {
        print_error("%s\nsucceeded, but left an error: %s\n", call, test_err.message);
        _fail(file, line);
    }
}

/* What is wrong with the error of a failed call; NULL if nothing is. */
static const char *flaw(ntap_status status) {
    if (test_err.code != status)
        return "err.code differs from the status";
    if (memchr(test_err.message, '\0', sizeof test_err.message) == NULL)
        return "the message has no end";
    if (test_err.message[0] == '\0')
        return "the message is empty";
    if (strchr(test_err.message, '\n') != NULL)
        return "the message has more than one line";
    if (test_err.truncated != 0 && test_err.truncated != 1)
        return "err.truncated is neither 0 nor 1";
    return NULL;
}

void support_check_fails(ntap_status expected, ntap_status status, const char *call,
                         const char *file, int line) {
    if (status != expected) {
        print_error("%s\ngave %s, expected %s; message: %s\n", call, ntap_status_name(status),
                    ntap_status_name(expected), test_err.message);
        _fail(file, line);
    }
    const char *found = flaw(status);
    if (found != NULL) {
        print_error("%s\nfailed as expected, but %s: '%.*s'\n", call, found,
                    NTAP_ERROR_MESSAGE_SIZE, test_err.message);
        _fail(file, line);
    }
}

void support_check_contains(const char *text, const char *part, const char *file, int line) {
    if (text != NULL && strstr(text, part) != NULL)
        return;
    print_error("'%s'\ndoes not contain '%s'\n", text != NULL ? text : "(NULL)", part);
    _fail(file, line);
}

/* ---- tensors ---- */

static const ntap_device CPU = {NTAP_DEVICE_CPU, 0};

ntap_tensor *make_tensor(ntap_dtype dtype, const double *values, size_t ndim,
                         const int64_t *sizes) {
    ntap_tensor *doubles = NULL;
    ntap_tensor *converted = NULL;
    assert_ok(ntap_tensor_empty(ndim, sizes, NTAP_DTYPE_FLOAT64, CPU, &doubles, &test_err));
    const size_t count = (size_t)ntap_tensor_numel(doubles);
    if (count > 0)
        memcpy(ntap_tensor_mutable_data(doubles), values, count * sizeof *values);
    assert_ok(ntap_tensor_to(doubles, NULL, dtype, &converted, &test_err));
    ntap_tensor_free(doubles);
    return converted;
}

static int is_complex(const ntap_tensor *tensor) {
    const ntap_dtype dtype = ntap_tensor_dtype(tensor);
    return dtype == NTAP_DTYPE_COMPLEX64 || dtype == NTAP_DTYPE_COMPLEX128;
}

double *read_elements(const ntap_tensor *tensor, size_t *count) {
    ntap_tensor *wide = NULL;
    assert_ok(ntap_tensor_to(tensor, NULL,
                             is_complex(tensor) ? NTAP_DTYPE_COMPLEX128 : NTAP_DTYPE_FLOAT64, &wide,
                             &test_err));
    *count = (size_t)ntap_tensor_numel(tensor) * (is_complex(tensor) ? 2 : 1);
    double *elements = (double *)calloc(*count > 0 ? *count : 1, sizeof *elements);
    assert_non_null(elements);
    assert_ok(ntap_tensor_copy_to_host(wide, elements, *count * sizeof *elements, &test_err));
    ntap_tensor_free(wide);
    return elements;
}

static void print_type_and_shape(const char *name, const ntap_tensor *tensor) {
    char text[256] = "NULL";
    ntap_value *value = NULL;
    if (tensor != NULL && ntap_value_new_tensor(tensor, &value, NULL) == NTAP_OK)
        (void)ntap_value_describe(value, text, sizeof text);
    ntap_value_free(value);
    print_error("%s is %s\n", name, text);
}

static int has_type_and_shape(const ntap_tensor *tensor, ntap_dtype dtype, size_t ndim,
                              const int64_t *sizes) {
    int has =
        tensor != NULL && ntap_tensor_dtype(tensor) == dtype && ntap_tensor_ndim(tensor) == ndim;
    for (size_t i = 0; has && i < ndim; ++i)
        has = ntap_tensor_size(tensor, i) == sizes[i];
    return has;
}

void support_check_tensor(const char *file, int line, const ntap_tensor *tensor, ntap_dtype dtype,
                          const double *values, size_t ndim, const int64_t *sizes) {
    size_t count = 0;
    if (!has_type_and_shape(tensor, dtype, ndim, sizes)) {
        print_type_and_shape("the tensor", tensor);
        print_error("expected %s and %zu dimensions", ntap_dtype_name(dtype), ndim);
        for (size_t i = 0; i < ndim; ++i)
            print_error("%s%lld", i == 0 ? ": " : ", ", (long long)sizes[i]);
        print_error("\n");
        _fail(file, line);
    }
    double *elements = read_elements(tensor, &count);
    for (size_t i = 0; i < count; ++i) {
        if (!(elements[i] == values[i])) {
            print_error("element %zu is %.17g, expected %.17g\n", i, elements[i], values[i]);
            _fail(file, line);
        }
    }
    free(elements);
}

static int same_type_and_shape(const ntap_tensor *a, const ntap_tensor *b) {
    const size_t ndim = ntap_tensor_ndim(a);
    int same = ntap_tensor_dtype(a) == ntap_tensor_dtype(b) && ndim == ntap_tensor_ndim(b);
    for (size_t i = 0; same && i < ndim; ++i)
        same = ntap_tensor_size(a, i) == ntap_tensor_size(b, i);
    return same;
}

static double largest(const double *elements, size_t count) {
    double most = 0;
    for (size_t i = 0; i < count; ++i)
        most = fmax(most, fabs(elements[i]));
    return most;
}

void support_check_close(const ntap_tensor *actual, const ntap_tensor *expected, double tolerance,
                         const char *file, int line) {
    size_t count = 0;
    if (actual == NULL || expected == NULL || !same_type_and_shape(actual, expected)) {
        print_type_and_shape("actual", actual);
        print_type_and_shape("expected", expected);
        _fail(file, line);
    }
    double *got = read_elements(actual, &count);
    double *wanted = read_elements(expected, &count);
    const double limit = tolerance * largest(wanted, count);
    for (size_t i = 0; i < count; ++i) {
        if (!(fabs(got[i] - wanted[i]) <= limit)) {
            print_error("element %zu is %.17g, expected %.17g within %g\n", i, got[i], wanted[i],
                        limit);
            _fail(file, line);
        }
    }
    free(got);
    free(wanted);
}

/* ---- values ---- */

ntap_value *make_none(void) {
    ntap_value *value = NULL;
    assert_ok(ntap_value_new_none(&value, &test_err));
    return value;
}

ntap_value *make_int(int64_t number) {
    ntap_value *value = NULL;
    assert_ok(ntap_value_new_int(number, &value, &test_err));
    return value;
}

ntap_value *make_double(double number) {
    ntap_value *value = NULL;
    assert_ok(ntap_value_new_double(number, &value, &test_err));
    return value;
}

ntap_value *make_bool(int truth) {
    ntap_value *value = NULL;
    assert_ok(ntap_value_new_bool(truth, &value, &test_err));
    return value;
}

ntap_value *make_string(const char *text) {
    ntap_value *value = NULL;
    assert_ok(ntap_value_new_string(text, &value, &test_err));
    return value;
}

ntap_value *make_tensor_value(const ntap_tensor *tensor) {
    ntap_value *value = NULL;
    assert_ok(ntap_value_new_tensor(tensor, &value, &test_err));
    return value;
}

typedef ntap_status (*make_sequence)(const ntap_value *const *items, size_t count,
                                     ntap_value **value, ntap_error *err);

enum { MOST_ITEMS = 16 };

static ntap_value *sequence_from(make_sequence make, size_t count, va_list arguments) {
    ntap_value *items[MOST_ITEMS] = {NULL};
    ntap_value *value = NULL;
    assert_true(count <= MOST_ITEMS);
    for (size_t i = 0; i < count; ++i)
        items[i] = va_arg(arguments, ntap_value *);
    assert_ok(make((const ntap_value *const *)items, count, &value, &test_err));
    for (size_t i = 0; i < count; ++i)
        ntap_value_free(items[i]);
    return value;
}

ntap_value *make_list(size_t count, ...) {
    va_list arguments;
    va_start(arguments, count);
    ntap_value *value = sequence_from(ntap_value_new_list, count, arguments);
    va_end(arguments);
    return value;
}

ntap_value *make_tuple(size_t count, ...) {
    va_list arguments;
    va_start(arguments, count);
    ntap_value *value = sequence_from(ntap_value_new_tuple, count, arguments);
    va_end(arguments);
    return value;
}

/* ---- files ---- */

enum { PATH_SIZE = 1024, KEPT_PATHS = 8, MOST_TEMP_FILES = 256 };

static const char *join(const char *folder, const char *name) {
    static char paths[KEPT_PATHS][PATH_SIZE];
    static size_t next = 0;
    char *path = paths[next++ % KEPT_PATHS];
    if (snprintf(path, PATH_SIZE, "%s/%s", folder, name) >= PATH_SIZE)
        fail_msg("the path of '%s' is too long", name);
    return path;
}

const char *fixture_path(const char *name) { return join(NTAP_TEST_FIXTURES, name); }

const char *example_path(const char *name) { return join(NTAP_TEST_EXAMPLES, name); }

static char temp_folder[PATH_SIZE];
static char *temp_names[MOST_TEMP_FILES];
static size_t temp_count;

static void remove_temp_folder(void) {
    for (size_t i = 0; i < temp_count; ++i) {
        (void)remove(join(temp_folder, temp_names[i]));
        free(temp_names[i]);
    }
    (void)rmdir(temp_folder);
}

static void make_temp_folder(void) {
    const char *parent = getenv("TMPDIR");
    (void)snprintf(temp_folder, sizeof temp_folder, "%s/neurotap_test_XXXXXX",
                   parent != NULL ? parent : "/tmp");
    if (mkdtemp(temp_folder) == NULL || atexit(remove_temp_folder) != 0)
        fail_msg("cannot make a temporary folder: %s", strerror(errno));
}

const char *temp_path(const char *name) {
    if (temp_folder[0] == '\0')
        make_temp_folder();
    for (size_t i = 0; i < temp_count; ++i)
        if (strcmp(temp_names[i], name) == 0)
            return join(temp_folder, name);
    assert_true(temp_count < MOST_TEMP_FILES);
    temp_names[temp_count] = strdup(name);
    assert_non_null(temp_names[temp_count]);
    ++temp_count;
    return join(temp_folder, name);
}

ntap_device fixture_device(void) {
    const char *text = getenv("NTAP_TEST_DEVICE");
    ntap_device device = {NTAP_DEVICE_CPU, 0};
    if (text != NULL)
        assert_ok(ntap_device_parse(text, &device, &test_err));
    return device;
}

ntap_module *load_fixture(const char *name) {
    ntap_module *module = NULL;
    ntap_load_options options = NTAP_LOAD_OPTIONS_INIT;
    options.device = fixture_device();
    assert_ok(ntap_module_load(fixture_path(name), &options, &module, &test_err));
    return module;
}

ntap_tensor *read_fixture(const char *name) {
    const ntap_device device = fixture_device();
    ntap_tensor *read = NULL;
    ntap_tensor *tensor = NULL;
    assert_ok(ntap_tensor_read_npy(fixture_path(name), &read, &test_err));
    assert_ok(ntap_tensor_to(read, &device, NTAP_DTYPE_NONE, &tensor, &test_err));
    ntap_tensor_free(read);
    return tensor;
}

void write_file(const char *path, const void *bytes, size_t size) {
    FILE *file = fopen(path, "wb");
    if (file == NULL)
        fail_msg("cannot make '%s': %s", path, strerror(errno));
    const size_t written = fwrite(bytes, 1, size, file);
    if (fclose(file) != 0 || written != size)
        fail_msg("cannot write '%s'", path);
}

unsigned char *read_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        fail_msg("cannot open '%s': %s", path, strerror(errno));
    (void)fseek(file, 0, SEEK_END);
    const long length = ftell(file);
    rewind(file);
    assert_true(length >= 0);
    *size = (size_t)length;
    unsigned char *bytes = (unsigned char *)malloc(*size > 0 ? *size : 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *size, file), *size);
    (void)fclose(file);
    return bytes;
}

/* ---- memory ---- */

size_t allocated_bytes(void) {
    const struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}
