/* Statuses, errors, element types, devices, threads, versions. */
#include "support.h"

#include <stdio.h>
#include <string.h>

/* ---- names ---- */

typedef struct status_facts {
    ntap_status status;
    int number; /* stable: it is in callers' binaries */
    const char *name;
} status_facts;

#define STATUS(status, number)                                                                     \
    { status, number, #status }

static void statuses_have_their_numbers_and_names(void **state) {
    static const status_facts facts[] = {
        STATUS(NTAP_OK, 0),
        STATUS(NTAP_ERROR_INVALID_ARGUMENT, 1),
        STATUS(NTAP_ERROR_NOT_FOUND, 2),
        STATUS(NTAP_ERROR_SHAPE, 3),
        STATUS(NTAP_ERROR_DTYPE, 4),
        STATUS(NTAP_ERROR_DEVICE, 5),
        STATUS(NTAP_ERROR_FILE, 6),
        STATUS(NTAP_ERROR_MODEL, 7),
        STATUS(NTAP_ERROR_AUTOGRAD, 8),
        STATUS(NTAP_ERROR_OUT_OF_MEMORY, 9),
        STATUS(NTAP_ERROR_DEVICE_OUT_OF_MEMORY, 10),
        STATUS(NTAP_ERROR_STOPPED, 11),
        STATUS(NTAP_ERROR_UNSUPPORTED, 12),
        STATUS(NTAP_ERROR_INTERNAL, 13),
    };
    (void)state;
    for (size_t i = 0; i < sizeof facts / sizeof *facts; ++i) {
        assert_int_equal(facts[i].status, facts[i].number);
        assert_string_equal(ntap_status_name(facts[i].status), facts[i].name);
    }
}

static void unknown_statuses_have_a_name_too(void **state) {
    (void)state;
    assert_string_equal(ntap_status_name((ntap_status)14), "NTAP_STATUS_UNKNOWN");
    assert_string_equal(ntap_status_name((ntap_status)-1), "NTAP_STATUS_UNKNOWN");
}

typedef struct dtype_facts {
    ntap_dtype dtype;
    int number; /* stable: it is in callers' binaries */
    const char *name;
    size_t size;
} dtype_facts;

static void dtypes_have_their_numbers_names_and_sizes(void **state) {
    static const dtype_facts facts[] = {
        {NTAP_DTYPE_NONE, 0, "none", 0},
        {NTAP_DTYPE_BOOL, 1, "bool", 1},
        {NTAP_DTYPE_UINT8, 2, "uint8", 1},
        {NTAP_DTYPE_INT8, 3, "int8", 1},
        {NTAP_DTYPE_INT16, 4, "int16", 2},
        {NTAP_DTYPE_INT32, 5, "int32", 4},
        {NTAP_DTYPE_INT64, 6, "int64", 8},
        {NTAP_DTYPE_FLOAT16, 7, "float16", 2},
        {NTAP_DTYPE_BFLOAT16, 8, "bfloat16", 2},
        {NTAP_DTYPE_FLOAT32, 9, "float32", 4},
        {NTAP_DTYPE_FLOAT64, 10, "float64", 8},
        {NTAP_DTYPE_COMPLEX64, 11, "complex64", 8},
        {NTAP_DTYPE_COMPLEX128, 12, "complex128", 16},
    };
    (void)state;
    for (size_t i = 0; i < sizeof facts / sizeof *facts; ++i) {
        assert_int_equal(facts[i].dtype, facts[i].number);
        assert_string_equal(ntap_dtype_name(facts[i].dtype), facts[i].name);
        assert_int_equal(ntap_dtype_size(facts[i].dtype), facts[i].size);
    }
}

static void device_types_have_their_numbers(void **state) {
    (void)state;
    assert_int_equal(NTAP_DEVICE_CPU, 0);
    assert_int_equal(NTAP_DEVICE_CUDA, 1);
}

static void unknown_dtypes_are_none(void **state) {
    (void)state;
    assert_string_equal(ntap_dtype_name((ntap_dtype)13), "none");
    assert_string_equal(ntap_dtype_name((ntap_dtype)-1), "none");
    assert_int_equal(ntap_dtype_size((ntap_dtype)13), 0);
    assert_int_equal(ntap_dtype_size((ntap_dtype)-1), 0);
}

/* ---- errors ---- */

static void an_error_is_formatted_and_its_code_returned(void **state) {
    ntap_error err;
    (void)state;
    memset(&err, 0xAB, sizeof err);
    assert_int_equal(ntap_error_set(&err, NTAP_ERROR_SHAPE, "size %d of '%s'", 3, "x"),
                     NTAP_ERROR_SHAPE);
    assert_int_equal(err.code, NTAP_ERROR_SHAPE);
    assert_int_equal(err.truncated, 0);
    assert_string_equal(err.message, "size 3 of 'x'");
}

static void no_error_to_fill_only_returns_the_code(void **state) {
    (void)state;
    assert_int_equal(ntap_error_set(NULL, NTAP_ERROR_STOPPED, "%s", "unheard"), NTAP_ERROR_STOPPED);
}

/* Fills an error with a text of `length` times 'a' and then `tail`. */
static ntap_error long_error(size_t length, const char *tail) {
    char text[2 * NTAP_ERROR_MESSAGE_SIZE];
    ntap_error err;
    assert_true(length <= sizeof text - 64);
    memset(&err, 0xAB, sizeof err);
    memset(text, 'a', length);
    (void)snprintf(text + length, sizeof text - length, "%s", tail);
    (void)ntap_error_set(&err, NTAP_ERROR_INTERNAL, "%s", text);
    return err;
}

static void the_longest_message_is_whole(void **state) {
    (void)state;
    const ntap_error err = long_error(NTAP_ERROR_MESSAGE_SIZE - 1, "");
    assert_int_equal(err.truncated, 0);
    assert_int_equal(strlen(err.message), NTAP_ERROR_MESSAGE_SIZE - 1);
}

static void a_longer_message_is_cut_and_marked(void **state) {
    (void)state;
    const ntap_error err = long_error(NTAP_ERROR_MESSAGE_SIZE, "");
    assert_int_equal(err.truncated, 1);
    assert_int_equal(strlen(err.message), NTAP_ERROR_MESSAGE_SIZE - 1);
}

/* A UTF-8 character of `character_size` bytes, of which `kept` fit. */
static void check_cut_inside(const char *character, size_t character_size, size_t kept) {
    const size_t before = NTAP_ERROR_MESSAGE_SIZE - 1 - kept;
    assert_true(kept < character_size);
    const ntap_error err = long_error(before, character);
    assert_int_equal(err.truncated, 1);
    assert_int_equal(strlen(err.message), before);
}

static void a_cut_leaves_no_broken_character(void **state) {
    (void)state;
    check_cut_inside("\xC3\xA9", 2, 1);     /* é */
    check_cut_inside("\xE2\x82\xAC", 3, 1); /* € */
    check_cut_inside("\xE2\x82\xAC", 3, 2);
    check_cut_inside("\xF0\x9F\xA7\xA0", 4, 1); /* a brain */
    check_cut_inside("\xF0\x9F\xA7\xA0", 4, 2);
    check_cut_inside("\xF0\x9F\xA7\xA0", 4, 3);
}

/* Whether a character that just fits stays or goes: in one piece. */
static void a_character_at_the_cut_stays_in_one_piece(void **state) {
    const size_t longest = NTAP_ERROR_MESSAGE_SIZE - 1;
    (void)state;
    const ntap_error err = long_error(longest - 4, "\xF0\x9F\xA7\xA0 and so on");
    assert_int_equal(err.truncated, 1);
    assert_true(strlen(err.message) == longest || strlen(err.message) == longest - 4);
}

static void characters_before_the_end_stay(void **state) {
    (void)state;
    const ntap_error err = long_error(NTAP_ERROR_MESSAGE_SIZE - 4, "\xC3\xA9z and so on");
    assert_int_equal(err.truncated, 1);
    assert_contains(err.message, "a\xC3\xA9z");
    assert_int_equal(strlen(err.message), NTAP_ERROR_MESSAGE_SIZE - 1);
}

/* A text that is not UTF-8 is cut somewhere, but stays a string. */
static void a_message_of_stray_bytes_is_cut(void **state) {
    char text[NTAP_ERROR_MESSAGE_SIZE + 1];
    ntap_error err;
    (void)state;
    memset(text, 0x80, sizeof text);
    text[sizeof text - 1] = '\0';
    (void)ntap_error_set(&err, NTAP_ERROR_INTERNAL, "%s", text);
    assert_int_equal(err.truncated, 1);
    assert_true(strlen(err.message) >= NTAP_ERROR_MESSAGE_SIZE - 5);
    assert_true(strlen(err.message) <= NTAP_ERROR_MESSAGE_SIZE - 1);
}

/* Names that callers pass may be anything; the message stays UTF-8, on one line. */
static void bytes_that_are_no_text_are_replaced(void **state) {
    ntap_error err;
    (void)state;
    (void)ntap_error_set(&err, NTAP_ERROR_INTERNAL, "%s",
                         "a\xff\xc0\xaf|\xed\xa0\x80|\xe2\x82|\xf5z\x7f\x1b\n\xc3\xa9\xe2\x82\xac");
    assert_string_equal(err.message, "a???|???|??|?z   \xc3\xa9\xe2\x82\xac");
}

/* ---- devices ---- */

static void check_device(const char *text, ntap_device_type type, int32_t index) {
    ntap_device device = {(ntap_device_type)77, 77};
    assert_ok(ntap_device_parse(text, &device, &test_err));
    assert_int_equal(device.type, type);
    assert_int_equal(device.index, index);
}

static void devices_are_parsed(void **state) {
    (void)state;
    check_device("cpu", NTAP_DEVICE_CPU, 0);
    check_device("cuda", NTAP_DEVICE_CUDA, 0);
    check_device("cuda:0", NTAP_DEVICE_CUDA, 0);
    check_device("cuda:1", NTAP_DEVICE_CUDA, 1);
    check_device("cuda:12", NTAP_DEVICE_CUDA, 12);
}

static void other_notations_are_refused(void **state) {
    static const char *const bad[] = {"",         "CPU",      "cpu ",
                                      " cpu",     "cpu:0",    "cpu:-1",
                                      "cuda:",    "cuda:-1",  "cuda:+1",
                                      "cuda: 1",  "cuda:1 ",  "cuda:x",
                                      "cuda:1x",  "cuda1",    "cudas",
                                      "gpu",      "cuda::1",  "mps",
                                      "cuda:1:2", "cuda:0x1", "cuda:99999999999999999999"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; ++i) {
        ntap_device device = {(ntap_device_type)77, 77};
        char quoted[64];
        assert_fails(NTAP_ERROR_INVALID_ARGUMENT, ntap_device_parse(bad[i], &device, &test_err));
        (void)snprintf(quoted, sizeof quoted, "'%s'", bad[i]);
        assert_message(quoted);
        assert_message("expected cpu, cuda or cuda:0");
        assert_int_equal(device.type, 77);
        assert_int_equal(device.index, 77);
    }
}

static void there_is_one_cpu(void **state) {
    (void)state;
    assert_int_equal(ntap_device_count(NTAP_DEVICE_CPU), 1);
}

static void unknown_types_have_no_devices(void **state) {
    (void)state;
    assert_int_equal(ntap_device_count((ntap_device_type)2), 0);
    assert_int_equal(ntap_device_count((ntap_device_type)-1), 0);
    assert_true(ntap_device_count(NTAP_DEVICE_CUDA) >= 0);
}

/* ---- threads ---- */

static void the_thread_count_can_be_set(void **state) {
    (void)state;
    const int before = ntap_num_threads();
    assert_true(before >= 1);
    assert_ok(ntap_set_num_threads(before + 1, &test_err));
    assert_int_equal(ntap_num_threads(), before + 1);
    assert_ok(ntap_set_num_threads(before, &test_err));
    assert_int_equal(ntap_num_threads(), before);
}

static void less_than_one_thread_is_refused(void **state) {
    (void)state;
    const int before = ntap_num_threads();
    assert_fails(NTAP_ERROR_INVALID_ARGUMENT, ntap_set_num_threads(0, &test_err));
    assert_message("count is 0; expected at least 1");
    assert_fails(NTAP_ERROR_INVALID_ARGUMENT, ntap_set_num_threads(-3, &test_err));
    assert_message("count is -3");
    assert_int_equal(ntap_num_threads(), before);
}

/* ---- versions ---- */

static void check_version(const char *version) {
    int major = -1;
    int minor = -1;
    int patch = -1;
    assert_int_equal(sscanf(version, "%d.%d.%d", &major, &minor, &patch), 3);
    assert_true(major >= 0 && minor >= 0 && patch >= 0);
}

static void versions_are_numbers_with_dots(void **state) {
    (void)state;
    check_version(ntap_version());
    check_version(ntap_torch_version());
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statuses_have_their_numbers_and_names),
        cmocka_unit_test(unknown_statuses_have_a_name_too),
        cmocka_unit_test(dtypes_have_their_numbers_names_and_sizes),
        cmocka_unit_test(device_types_have_their_numbers),
        cmocka_unit_test(unknown_dtypes_are_none),
        cmocka_unit_test(an_error_is_formatted_and_its_code_returned),
        cmocka_unit_test(no_error_to_fill_only_returns_the_code),
        cmocka_unit_test(the_longest_message_is_whole),
        cmocka_unit_test(a_longer_message_is_cut_and_marked),
        cmocka_unit_test(a_cut_leaves_no_broken_character),
        cmocka_unit_test(a_character_at_the_cut_stays_in_one_piece),
        cmocka_unit_test(characters_before_the_end_stay),
        cmocka_unit_test(a_message_of_stray_bytes_is_cut),
        cmocka_unit_test(bytes_that_are_no_text_are_replaced),
        cmocka_unit_test(devices_are_parsed),
        cmocka_unit_test(other_notations_are_refused),
        cmocka_unit_test(there_is_one_cpu),
        cmocka_unit_test(unknown_types_have_no_devices),
        cmocka_unit_test(the_thread_count_can_be_set),
        cmocka_unit_test(less_than_one_thread_is_refused),
        cmocka_unit_test(versions_are_numbers_with_dots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
