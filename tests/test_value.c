/* Values: making, looking into, describing. */
#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- one by one ---- */

static void none_is_none(void **state) {
    ntap_value *value = make_none();
    (void)state;
    assert_int_equal(ntap_value_get_kind(value), NTAP_VALUE_NONE);
    assert_int_equal(ntap_value_count(value), 0);
    ntap_value_free(value);
}

static void a_tensor_value_shares_the_memory(void **state) {
    ntap_tensor *tensor = make_tensor(NTAP_DTYPE_FLOAT32, VALUES(1, 2), SHAPE(2));
    ntap_value *value = make_tensor_value(tensor);
    (void)state;
    assert_int_equal(ntap_value_get_kind(value), NTAP_VALUE_TENSOR);
    assert_ptr_equal(ntap_tensor_data(ntap_value_get_tensor(value)), ntap_tensor_data(tensor));
    ntap_tensor_free(tensor);
    assert_tensor(ntap_value_get_tensor(value), NTAP_DTYPE_FLOAT32, VALUES(1, 2), SHAPE(2));
    ntap_value_free(value);
}

static void an_int_keeps_all_64_bits(void **state) {
    static const int64_t numbers[] = {0, -1, INT64_C(9007199254740993), INT64_MAX, INT64_MIN};
    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; ++i) {
        ntap_value *value = make_int(numbers[i]);
        int64_t number = 77;
        assert_int_equal(ntap_value_get_kind(value), NTAP_VALUE_INT);
        assert_ok(ntap_value_get_int(value, &number, &test_err));
        assert_true(number == numbers[i]);
        ntap_value_free(value);
    }
}

static void a_double_keeps_all_its_bits(void **state) {
    static const double numbers[] = {0, -0.0, 0.1, 5e-324, 1e308, INFINITY};
    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; ++i) {
        ntap_value *value = make_double(numbers[i]);
        double number = 77;
        assert_int_equal(ntap_value_get_kind(value), NTAP_VALUE_DOUBLE);
        assert_ok(ntap_value_get_double(value, &number, &test_err));
        assert_memory_equal(&number, &numbers[i], sizeof number);
        ntap_value_free(value);
    }
}

static void a_double_may_be_no_number(void **state) {
    ntap_value *value = make_double(NAN);
    double number = 77;
    (void)state;
    assert_ok(ntap_value_get_double(value, &number, &test_err));
    assert_true(isnan(number));
    ntap_value_free(value);
}

static void every_number_but_zero_is_true(void **state) {
    static const int truths[] = {0, 1, 2, -1, 256};
    (void)state;
    for (size_t i = 0; i < sizeof truths / sizeof *truths; ++i) {
        ntap_value *value = make_bool(truths[i]);
        int truth = 77;
        assert_int_equal(ntap_value_get_kind(value), NTAP_VALUE_BOOL);
        assert_ok(ntap_value_get_bool(value, &truth, &test_err));
        assert_int_equal(truth, i == 0 ? 0 : 1);
        ntap_value_free(value);
    }
}

static void a_string_is_copied(void **state) {
    char text[] = "caf\xC3\xA9";
    ntap_value *value = make_string(text);
    (void)state;
    text[0] = 'x';
    assert_int_equal(ntap_value_get_kind(value), NTAP_VALUE_STRING);
    assert_string_equal(ntap_value_get_string(value), "caf\xC3\xA9");
    ntap_value_free(value);
}

static void a_string_may_be_empty(void **state) {
    ntap_value *value = make_string("");
    (void)state;
    assert_string_equal(ntap_value_get_string(value), "");
    ntap_value_free(value);
}

/* ---- lists, tuples, dictionaries ---- */

static int64_t int_in(const ntap_value *value) {
    int64_t number = 77;
    assert_ok(ntap_value_get_int(value, &number, &test_err));
    return number;
}

static void a_list_keeps_the_order(void **state) {
    ntap_value *list = make_list(3, make_int(5), make_int(-6), make_none());
    (void)state;
    assert_int_equal(ntap_value_get_kind(list), NTAP_VALUE_LIST);
    assert_int_equal(ntap_value_count(list), 3);
    assert_int_equal(int_in(ntap_value_item(list, 0)), 5);
    assert_int_equal(int_in(ntap_value_item(list, 1)), -6);
    assert_int_equal(ntap_value_get_kind(ntap_value_item(list, 2)), NTAP_VALUE_NONE);
    ntap_value_free(list);
}

static void a_tuple_is_no_list(void **state) {
    ntap_value *tuple = make_tuple(1, make_int(5));
    (void)state;
    assert_int_equal(ntap_value_get_kind(tuple), NTAP_VALUE_TUPLE);
    assert_int_equal(ntap_value_count(tuple), 1);
    assert_int_equal(int_in(ntap_value_item(tuple, 0)), 5);
    ntap_value_free(tuple);
}

static void sequences_may_be_empty(void **state) {
    ntap_value *list = NULL;
    ntap_value *tuple = NULL;
    ntap_value *dict = NULL;
    (void)state;
    assert_ok(ntap_value_new_list(NULL, 0, &list, &test_err));
    assert_ok(ntap_value_new_tuple(NULL, 0, &tuple, &test_err));
    assert_ok(ntap_value_new_dict(NULL, NULL, 0, &dict, &test_err));
    assert_int_equal(ntap_value_count(list), 0);
    assert_int_equal(ntap_value_count(tuple), 0);
    assert_int_equal(ntap_value_count(dict), 0);
    assert_int_equal(ntap_value_get_kind(list), NTAP_VALUE_LIST);
    assert_int_equal(ntap_value_get_kind(tuple), NTAP_VALUE_TUPLE);
    assert_int_equal(ntap_value_get_kind(dict), NTAP_VALUE_DICT);
    ntap_value_free(list);
    ntap_value_free(tuple);
    ntap_value_free(dict);
}

/* A dictionary of `count` pairs; everything in the arrays is freed. */
static ntap_value *make_dict(ntap_value **keys, ntap_value **items, size_t count) {
    ntap_value *dict = NULL;
    assert_ok(ntap_value_new_dict((const ntap_value *const *)keys, (const ntap_value *const *)items,
                                  count, &dict, &test_err));
    for (size_t i = 0; i < count; ++i) {
        ntap_value_free(keys[i]);
        ntap_value_free(items[i]);
    }
    return dict;
}

static void a_dictionary_keeps_the_order(void **state) {
    ntap_value *keys[] = {make_string("z"), make_string("a")};
    ntap_value *items[] = {make_int(1), make_int(2)};
    ntap_value *dict = make_dict(keys, items, 2);
    (void)state;
    assert_int_equal(ntap_value_get_kind(dict), NTAP_VALUE_DICT);
    assert_int_equal(ntap_value_count(dict), 2);
    assert_string_equal(ntap_value_get_string(ntap_value_key(dict, 0)), "z");
    assert_string_equal(ntap_value_get_string(ntap_value_key(dict, 1)), "a");
    assert_int_equal(int_in(ntap_value_item(dict, 0)), 1);
    assert_int_equal(int_in(ntap_value_item(dict, 1)), 2);
    ntap_value_free(dict);
}

static void five_kinds_may_be_keys(void **state) {
    ntap_tensor *tensor = make_tensor(NTAP_DTYPE_INT64, VALUES(1), SHAPE(1));
    ntap_value *keys[] = {make_int(1), make_double(2.5), make_bool(1), make_string("k"),
                          make_tensor_value(tensor)};
    ntap_value *items[] = {make_none(), make_none(), make_none(), make_none(), make_none()};
    ntap_value *dict = make_dict(keys, items, 5);
    (void)state;
    assert_int_equal(ntap_value_get_kind(ntap_value_key(dict, 0)), NTAP_VALUE_INT);
    assert_int_equal(ntap_value_get_kind(ntap_value_key(dict, 4)), NTAP_VALUE_TENSOR);
    ntap_value_free(dict);
    ntap_tensor_free(tensor);
}

static void check_key_is_refused(ntap_value *bad, const char *message) {
    ntap_value *keys[] = {make_int(0), bad};
    ntap_value *items[] = {make_int(1), make_int(2)};
    ntap_value *dict = (ntap_value *)POISON;
    assert_fails(NTAP_ERROR_INVALID_ARGUMENT,
                 ntap_value_new_dict((const ntap_value *const *)keys,
                                     (const ntap_value *const *)items, 2, &dict, &test_err));
    assert_message(message);
    assert_message("expected an int, double, bool, string or tensor");
    assert_untouched(dict);
    for (size_t i = 0; i < 2; ++i) {
        ntap_value_free(keys[i]);
        ntap_value_free(items[i]);
    }
}

static void other_kinds_may_not_be_keys(void **state) {
    (void)state;
    check_key_is_refused(make_none(), "keys[1] is of kind none");
    check_key_is_refused(make_list(0), "keys[1] is of kind list");
    check_key_is_refused(make_tuple(0), "keys[1] is of kind tuple");
    check_key_is_refused(make_dict(NULL, NULL, 0), "keys[1] is of kind dict");
}

static void missing_items_are_refused(void **state) {
    ntap_value *one = make_int(1);
    const ntap_value *const items[] = {one, NULL};
    const ntap_value *const keys[] = {one, one};
    ntap_value *value = (ntap_value *)POISON;
    (void)state;
    assert_fails(NTAP_ERROR_INVALID_ARGUMENT, ntap_value_new_list(items, 2, &value, &test_err));
    assert_message("items[1] is NULL");
    assert_fails(NTAP_ERROR_INVALID_ARGUMENT, ntap_value_new_tuple(items, 2, &value, &test_err));
    assert_message("items[1] is NULL");
    assert_fails(NTAP_ERROR_INVALID_ARGUMENT,
                 ntap_value_new_dict(keys, items, 2, &value, &test_err));
    assert_message("items[1] is NULL");
    assert_fails(NTAP_ERROR_INVALID_ARGUMENT,
                 ntap_value_new_dict(items, keys, 2, &value, &test_err));
    assert_message("keys[1] is NULL");
    assert_untouched(value);
    ntap_value_free(one);
}

static void items_stay_the_callers(void **state) {
    ntap_value *item = make_string("mine");
    ntap_value *list = NULL;
    (void)state;
    assert_ok(ntap_value_new_list((const ntap_value *const *)&item, 1, &list, &test_err));
    ntap_value_free(item);
    assert_string_equal(ntap_value_get_string(ntap_value_item(list, 0)), "mine");
    ntap_value_free(list);
}

static void values_nest(void **state) {
    ntap_value *nested =
        make_tuple(2, make_list(2, make_int(1), make_tuple(1, make_string("deep"))), make_none());
    (void)state;
    const ntap_value *deep = ntap_value_item(ntap_value_item(ntap_value_item(nested, 0), 1), 0);
    assert_string_equal(ntap_value_get_string(deep), "deep");
    ntap_value_free(nested);
}

static void items_and_keys_beyond_the_end_are_null(void **state) {
    ntap_value *keys[] = {make_int(1)};
    ntap_value *items[] = {make_int(2)};
    ntap_value *dict = make_dict(keys, items, 1);
    ntap_value *list = make_list(1, make_int(1));
    (void)state;
    assert_null(ntap_value_item(dict, 1));
    assert_null(ntap_value_key(dict, 1));
    assert_null(ntap_value_item(dict, SIZE_MAX));
    assert_null(ntap_value_key(dict, SIZE_MAX));
    assert_null(ntap_value_item(list, 1));
    assert_null(ntap_value_key(list, 0));
    ntap_value_free(dict);
    ntap_value_free(list);
}

/* ---- clones ---- */

static void a_clone_outlives_the_original(void **state) {
    ntap_value *original = make_list(2, make_string("text"), make_tuple(1, make_int(4)));
    ntap_value *clone = NULL;
    (void)state;
    assert_ok(ntap_value_clone(original, &clone, &test_err));
    ntap_value_free(original);
    assert_string_equal(ntap_value_get_string(ntap_value_item(clone, 0)), "text");
    assert_int_equal(int_in(ntap_value_item(ntap_value_item(clone, 1), 0)), 4);
    ntap_value_free(clone);
}

static void a_clone_shares_tensors(void **state) {
    ntap_tensor *tensor = make_tensor(NTAP_DTYPE_FLOAT32, VALUES(1), SHAPE(1));
    ntap_value *original = make_list(1, make_tensor_value(tensor));
    ntap_value *clone = NULL;
    (void)state;
    assert_ok(ntap_value_clone(original, &clone, &test_err));
    ntap_value_free(original);
    const ntap_tensor *shared = ntap_value_get_tensor(ntap_value_item(clone, 0));
    assert_ptr_equal(ntap_tensor_data(shared), ntap_tensor_data(tensor));
    ntap_tensor_free(tensor);
    ntap_value_free(clone);
}

/* ---- reading a value as what it is not ---- */

static void an_int_reads_as_a_double(void **state) {
    ntap_value *value = make_int(-3);
    double number = 77;
    (void)state;
    assert_ok(ntap_value_get_double(value, &number, &test_err));
    assert_true(number == -3);
    ntap_value_free(value);
}

static void nothing_else_is_converted(void **state) {
    ntap_value *one_and_a_half = make_double(1.5);
    ntap_value *yes = make_bool(1);
    ntap_value *one = make_int(1);
    ntap_value *digits = make_string("1");
    int64_t number = 77;
    double real = 77;
    int truth = 77;
    (void)state;
    assert_fails(NTAP_ERROR_INVALID_ARGUMENT,
                 ntap_value_get_int(one_and_a_half, &number, &test_err));
    assert_message("value is of kind double; expected int");
    assert_fails(NTAP_ERROR_INVALID_ARGUMENT, ntap_value_get_int(yes, &number, &test_err));
    assert_message("value is of kind bool; expected int");
    assert_fails(NTAP_ERROR_INVALID_ARGUMENT, ntap_value_get_double(yes, &real, &test_err));
    assert_message("value is of kind bool; expected double");
    assert_fails(NTAP_ERROR_INVALID_ARGUMENT, ntap_value_get_double(digits, &real, &test_err));
    assert_message("value is of kind string; expected double");
    assert_fails(NTAP_ERROR_INVALID_ARGUMENT, ntap_value_get_bool(one, &truth, &test_err));
    assert_message("value is of kind int; expected bool");
    assert_true(number == 77 && real == 77 && truth == 77);
    ntap_value_free(one_and_a_half);
    ntap_value_free(yes);
    ntap_value_free(one);
    ntap_value_free(digits);
}

static void borrowing_getters_give_null_for_other_kinds(void **state) {
    ntap_value *number = make_int(1);
    ntap_value *text = make_string("x");
    ntap_value *list = make_list(1, make_string("x"));
    (void)state;
    assert_null(ntap_value_get_string(number));
    assert_null(ntap_value_get_tensor(number));
    assert_null(ntap_value_get_tensor(text));
    assert_null(ntap_value_get_string(list));
    assert_null(ntap_value_get_tensor(list));
    assert_null(ntap_value_item(text, 0));
    assert_int_equal(ntap_value_count(text), 0);
    ntap_value_free(number);
    ntap_value_free(text);
    ntap_value_free(list);
}

static void no_value_has_neutral_properties(void **state) {
    (void)state;
    assert_int_equal(ntap_value_get_kind(NULL), NTAP_VALUE_NONE);
    assert_null(ntap_value_get_tensor(NULL));
    assert_null(ntap_value_get_string(NULL));
    assert_int_equal(ntap_value_count(NULL), 0);
    assert_null(ntap_value_item(NULL, 0));
    assert_null(ntap_value_key(NULL, 0));
    assert_int_equal(ntap_value_describe(NULL, NULL, 0), 0);
}

/* ---- names ---- */

typedef struct kind_facts {
    ntap_value_kind kind;
    int number; /* stable: it is in callers' binaries */
    const char *name;
} kind_facts;

static void kinds_have_their_numbers_and_names(void **state) {
    static const kind_facts facts[] = {
        {NTAP_VALUE_NONE, 0, "none"}, {NTAP_VALUE_TENSOR, 1, "tensor"},
        {NTAP_VALUE_INT, 2, "int"},   {NTAP_VALUE_DOUBLE, 3, "double"},
        {NTAP_VALUE_BOOL, 4, "bool"}, {NTAP_VALUE_STRING, 5, "string"},
        {NTAP_VALUE_LIST, 6, "list"}, {NTAP_VALUE_TUPLE, 7, "tuple"},
        {NTAP_VALUE_DICT, 8, "dict"}, {NTAP_VALUE_OTHER, 9, "other"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof facts / sizeof *facts; ++i) {
        assert_int_equal(facts[i].kind, facts[i].number);
        assert_string_equal(ntap_value_kind_name(facts[i].kind), facts[i].name);
    }
}

static void unknown_kinds_have_a_name_too(void **state) {
    (void)state;
    assert_string_equal(ntap_value_kind_name((ntap_value_kind)10), "unknown");
    assert_string_equal(ntap_value_kind_name((ntap_value_kind)-1), "unknown");
}

/* ---- descriptions ---- */

/* Frees the value. */
static void check_description(ntap_value *value, const char *expected) {
    char text[256] = "";
    assert_int_equal(ntap_value_describe(value, text, sizeof text), strlen(expected));
    assert_string_equal(text, expected);
    ntap_value_free(value);
}

static void leaves_are_described_as_python_writes_them(void **state) {
    (void)state;
    check_description(make_none(), "None");
    check_description(make_int(-42), "-42");
    check_description(make_int(INT64_MIN), "-9223372036854775808");
    check_description(make_double(2.5), "2.5");
    check_description(make_bool(1), "True");
    check_description(make_bool(0), "False");
    check_description(make_string("text"), "\"text\"");
    check_description(make_string(""), "\"\"");
}

/* Otherwise a message such as "expected int, got 3" makes no sense. */
static void a_double_never_looks_like_an_int(void **state) {
    (void)state;
    check_description(make_double(3), "3.0");
    check_description(make_double(-0.0), "-0.0");
}

static ntap_value *tensor_of_shape(size_t ndim, const int64_t *sizes, ntap_dtype dtype) {
    const ntap_device cpu = {NTAP_DEVICE_CPU, 0};
    ntap_tensor *tensor = NULL;
    assert_ok(ntap_tensor_zeros(ndim, sizes, dtype, cpu, &tensor, &test_err));
    ntap_value *value = make_tensor_value(tensor);
    ntap_tensor_free(tensor);
    return value;
}

static void tensors_are_described_by_dtype_and_shape(void **state) {
    (void)state;
    check_description(tensor_of_shape(SHAPE(2, 10), NTAP_DTYPE_FLOAT32), "float32[2, 10]");
    check_description(tensor_of_shape(SCALAR, NTAP_DTYPE_INT64), "int64[]");
    check_description(tensor_of_shape(SHAPE(0), NTAP_DTYPE_BOOL), "bool[0]");
}

static void sequences_are_described_as_python_writes_them(void **state) {
    (void)state;
    check_description(make_list(0), "[]");
    check_description(make_list(2, make_int(1), make_string("x")), "[1, \"x\"]");
    check_description(make_tuple(0), "()");
    check_description(make_tuple(1, make_int(1)), "(1,)");
    check_description(make_list(1, make_int(1)), "[1]");
    check_description(
        make_tuple(3, tensor_of_shape(SHAPE(2, 10), NTAP_DTYPE_FLOAT32), make_none(), make_int(3)),
        "(float32[2, 10], None, 3)");
}

static void dictionaries_are_described_as_python_writes_them(void **state) {
    ntap_value *keys[] = {make_string("a"), make_int(2)};
    ntap_value *items[] = {make_list(1, make_bool(0)), make_none()};
    (void)state;
    check_description(make_dict(NULL, NULL, 0), "{}");
    check_description(make_dict(keys, items, 2), "{\"a\": [False], 2: None}");
}

/* As snprintf: at most `size` bytes with the NUL, and the length of the whole. */
static void a_description_is_cut_to_the_buffer(void **state) {
    ntap_value *value = make_list(2, make_int(12), make_int(34)); /* "[12, 34]" */
    char buffer[12];
    (void)state;
    memset(buffer, 'x', sizeof buffer);
    assert_int_equal(ntap_value_describe(value, buffer, 5), 8);
    assert_memory_equal(buffer, "[12,\0xxxxxxx", sizeof buffer);
    assert_int_equal(ntap_value_describe(value, buffer, 1), 8);
    assert_memory_equal(buffer, "\00012,\0xxxxxxx", sizeof buffer);
    assert_int_equal(ntap_value_describe(value, buffer, 8), 8);
    assert_string_equal(buffer, "[12, 34");
    assert_int_equal(ntap_value_describe(value, buffer, 9), 8);
    assert_string_equal(buffer, "[12, 34]");
    ntap_value_free(value);
}

static void a_description_can_be_measured(void **state) {
    ntap_value *value = make_int(1234);
    char untouched = 'x';
    (void)state;
    assert_int_equal(ntap_value_describe(value, NULL, 0), 4);
    assert_int_equal(ntap_value_describe(value, &untouched, 0), 4);
    assert_int_equal(untouched, 'x');
    ntap_value_free(value);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_is_none),
        cmocka_unit_test(a_tensor_value_shares_the_memory),
        cmocka_unit_test(an_int_keeps_all_64_bits),
        cmocka_unit_test(a_double_keeps_all_its_bits),
        cmocka_unit_test(a_double_may_be_no_number),
        cmocka_unit_test(every_number_but_zero_is_true),
        cmocka_unit_test(a_string_is_copied),
        cmocka_unit_test(a_string_may_be_empty),
        cmocka_unit_test(a_list_keeps_the_order),
        cmocka_unit_test(a_tuple_is_no_list),
        cmocka_unit_test(sequences_may_be_empty),
        cmocka_unit_test(a_dictionary_keeps_the_order),
        cmocka_unit_test(five_kinds_may_be_keys),
        cmocka_unit_test(other_kinds_may_not_be_keys),
        cmocka_unit_test(missing_items_are_refused),
        cmocka_unit_test(items_stay_the_callers),
        cmocka_unit_test(values_nest),
        cmocka_unit_test(items_and_keys_beyond_the_end_are_null),
        cmocka_unit_test(a_clone_outlives_the_original),
        cmocka_unit_test(a_clone_shares_tensors),
        cmocka_unit_test(an_int_reads_as_a_double),
        cmocka_unit_test(nothing_else_is_converted),
        cmocka_unit_test(borrowing_getters_give_null_for_other_kinds),
        cmocka_unit_test(no_value_has_neutral_properties),
        cmocka_unit_test(kinds_have_their_numbers_and_names),
        cmocka_unit_test(unknown_kinds_have_a_name_too),
        cmocka_unit_test(leaves_are_described_as_python_writes_them),
        cmocka_unit_test(a_double_never_looks_like_an_int),
        cmocka_unit_test(tensors_are_described_by_dtype_and_shape),
        cmocka_unit_test(sequences_are_described_as_python_writes_them),
        cmocka_unit_test(dictionaries_are_described_as_python_writes_them),
        cmocka_unit_test(a_description_is_cut_to_the_buffer),
        cmocka_unit_test(a_description_can_be_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
