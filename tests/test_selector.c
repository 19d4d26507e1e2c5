/* Selectors: making and parsing them. What they select is tested with the gradients. */
#include "support.h"

#include <stdio.h>
#include <string.h>

/* ---- indices ---- */

static void indices_are_made_field_by_field(void **state) {
    (void)state;
    const ntap_index at = ntap_at(-3);
    assert_int_equal(at.kind, NTAP_INDEX_INT);
    assert_int_equal(at.start, -3);
    assert_int_equal(at.stop, 0);
    assert_int_equal(at.step, 0);
    const ntap_index slice = ntap_slice(1, 7, 2);
    assert_int_equal(slice.kind, NTAP_INDEX_SLICE);
    assert_int_equal(slice.start, 1);
    assert_int_equal(slice.stop, 7);
    assert_int_equal(slice.step, 2);
    const ntap_index all = ntap_all();
    assert_int_equal(all.kind, NTAP_INDEX_SLICE);
    assert_true(all.start == NTAP_OMITTED);
    assert_true(all.stop == NTAP_OMITTED);
    assert_int_equal(all.step, 1);
}

static void any_index_makes_a_selector(void **state) {
    static const int64_t indices[] = {0, 9, -1, INT64_MAX, INT64_MIN};
    (void)state;
    for (size_t i = 0; i < sizeof indices / sizeof *indices; ++i) {
        ntap_selector *selector = NULL;
        assert_ok(ntap_selector_new_index(indices[i], &selector, &test_err));
        assert_non_null(selector);
        ntap_selector_free(selector);
    }
}

static void indices_are_copied(void **state) {
    ntap_index indices[] = {ntap_at(4), ntap_slice(1, 3, 1), ntap_all()};
    ntap_selector *selector = NULL;
    (void)state;
    assert_ok(ntap_selector_new_indices(indices, 3, &selector, &test_err));
    memset(indices, 0xFF, sizeof indices);
    ntap_selector_free(selector);
}

static void no_indices_make_a_selector(void **state) {
    ntap_selector *selector = NULL;
    (void)state;
    assert_ok(ntap_selector_new_indices(NULL, 0, &selector, &test_err));
    assert_non_null(selector);
    ntap_selector_free(selector);
}

static void check_indices_fail(const ntap_index *indices, size_t count, const char *message) {
    ntap_selector *selector = (ntap_selector *)POISON;
    assert_fails(NTAP_ERROR_INVALID_ARGUMENT,
                 ntap_selector_new_indices(indices, count, &selector, &test_err));
    assert_message(message);
    assert_untouched(selector);
}

static void missing_indices_are_refused(void **state) {
    (void)state;
    check_indices_fail(NULL, 2, "indices is NULL");
}

static void a_step_below_one_is_refused(void **state) {
    const ntap_index zero[] = {ntap_at(0), ntap_slice(0, 5, 0)};
    const ntap_index negative[] = {ntap_slice(0, 5, -1)};
    (void)state;
    check_indices_fail(zero, 2, "the step of indices[1] is 0; expected at least 1");
    check_indices_fail(negative, 1, "the step of indices[0] is -1; expected at least 1");
}

static void an_unknown_kind_of_index_is_refused(void **state) {
    ntap_index indices[] = {ntap_at(1), ntap_at(2)};
    (void)state;
    indices[1].kind = (ntap_index_kind)2;
    check_indices_fail(indices, 2, "indices[1].kind is 2");
}

/* The step of an int means nothing. */
static void the_step_of_an_int_is_not_looked_at(void **state) {
    ntap_index index = ntap_at(1);
    ntap_selector *selector = NULL;
    (void)state;
    index.step = -7;
    assert_ok(ntap_selector_new_indices(&index, 1, &selector, &test_err));
    ntap_selector_free(selector);
}

/* ---- Python's notation ---- */

static void what_python_accepts_is_parsed(void **state) {
    static const char *const good[] = {"4",
                                       "-1",
                                       "+3",
                                       "0",
                                       " 4 ",
                                       "\t4\t",
                                       "4,1,2",
                                       "4, 1, 2",
                                       "4 ,1",
                                       "4,",
                                       "4 , ",
                                       "(4)",
                                       "(4,)",
                                       "(4,1,2)",
                                       "( 4, 1)",
                                       " ( 4 ) ",
                                       "()",
                                       "( )",
                                       ":",
                                       "::",
                                       ":3",
                                       "2:",
                                       "1:3",
                                       "1:3:2",
                                       "1:3:",
                                       "1::2",
                                       "::2",
                                       ":3:2",
                                       " : : 2",
                                       "1 : 3",
                                       "-3:-1",
                                       "5:2",
                                       ":,3,::2",
                                       "4,1:3,:",
                                       "(:, 0:2)",
                                       "(0:2,)",
                                       ":,",
                                       "1:+3",
                                       "0:2:9223372036854775807",
                                       "9223372036854775807",
                                       "-9223372036854775807"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; ++i) {
        ntap_selector *selector = NULL;
        assert_ok(ntap_selector_parse(good[i], &selector, &test_err));
        assert_non_null(selector);
        ntap_selector_free(selector);
    }
}

typedef struct bad_text {
    const char *text;
    size_t character; /* where it goes wrong, counted from 1 */
    const char *expected;
} bad_text;

static void check_bad(const bad_text *bad) {
    ntap_selector *selector = (ntap_selector *)POISON;
    char place[128];
    assert_fails(NTAP_ERROR_INVALID_ARGUMENT, ntap_selector_parse(bad->text, &selector, &test_err));
    (void)snprintf(place, sizeof place, "selector '%s' is malformed at character %zu: expected ",
                   bad->text, bad->character);
    assert_message(place);
    assert_message(bad->expected);
    assert_untouched(selector);
}

static void the_message_points_at_the_character(void **state) {
    static const bad_text bad[] = {
        {"", 1, "a number or a slice"},
        {"  ", 3, "a number or a slice"},
        {",", 1, "a number or a slice"},
        {",4", 1, "a number or a slice"},
        {"4,,1", 3, "a number or a slice"},
        {"(,)", 2, "a number or a slice"},
        {"((4))", 2, "a number or a slice"},
        {"[4]", 1, "a number or a slice"},
        {"x", 1, "a number or a slice"},
        {"None", 1, "a number or a slice"},
        {"...", 1, "a number or a slice"},
        {"-", 1, "a number or a slice"},
        {"--1", 1, "a number or a slice"},
        {"4,x", 3, "a number or a slice"},
        {"4, 'x'", 4, "a number or a slice"},
        {"\xC3\xA9", 1, "a number or a slice"},
        {"4x", 2, "',' or the end"},
        {"4 5", 3, "',' or the end"},
        {"4.5", 2, "',' or the end"},
        {"1e3", 2, "',' or the end"},
        {"0x10", 2, "',' or the end"},
        {"4;", 2, "',' or the end"},
        {"4)", 2, "',' or the end"},
        {"4,)", 3, "',' or the end"},
        {"()1", 3, "the end"},
        {"(4),5", 4, "the end"},
        {"(4))", 4, "the end"},
        {"1:2:3:4", 6, "',' or the end"},
        {"4:x", 3, "',' or the end"},
        {"1:-", 3, "',' or the end"},
        {"(", 2, "a number or a slice"},
        {"(4", 3, "',' or ')'"},
        {"(4 5)", 4, "',' or ')'"},
        {"(4,", 4, "',' or ')'"},
        {"9223372036854775808", 1, "at most 63 bits"},
        {"-9223372036854775808", 1, "at most 63 bits"}, /* it means "omitted" */
        {"1:99999999999999999999", 3, "at most 63 bits"},
        {"1, 99999999999999999999:", 4, "at most 63 bits"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; ++i)
        check_bad(&bad[i]);
}

static void a_step_below_one_is_not_parsed(void **state) {
    static const char *const bad[] = {"1:2:0", "::-1", "0, ::-2"};
    static const char *const messages[] = {"step 0;", "step -1;", "step -2;"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; ++i) {
        ntap_selector *selector = (ntap_selector *)POISON;
        assert_fails(NTAP_ERROR_INVALID_ARGUMENT,
                     ntap_selector_parse(bad[i], &selector, &test_err));
        assert_message(messages[i]);
        assert_message("expected at least 1");
        assert_untouched(selector);
    }
}

/* "0,0,…": `count` indices. */
static const char *zeros(size_t count) {
    static char text[512];
    assert_true(count >= 1 && count <= sizeof text / 2);
    for (size_t i = 0; i < count; ++i)
        memcpy(text + 2 * i, "0,", 2);
    text[2 * count - 1] = '\0';
    return text;
}

static void sixty_four_indices_are_enough(void **state) {
    ntap_selector *selector = NULL;
    (void)state;
    assert_ok(ntap_selector_parse(zeros(64), &selector, &test_err));
    ntap_selector_free(selector);
    selector = (ntap_selector *)POISON;
    assert_fails(NTAP_ERROR_INVALID_ARGUMENT, ntap_selector_parse(zeros(65), &selector, &test_err));
    assert_message("at character 129: expected no more than 64 indices");
    assert_untouched(selector);
}

static void a_long_text_is_cut_in_the_message(void **state) {
    char text[2 * NTAP_ERROR_MESSAGE_SIZE];
    ntap_selector *selector = (ntap_selector *)POISON;
    (void)state;
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    assert_fails(NTAP_ERROR_INVALID_ARGUMENT, ntap_selector_parse(text, &selector, &test_err));
    assert_int_equal(test_err.truncated, 1);
    assert_message("selector 'xxx");
    assert_untouched(selector);
}

/* assert_fails() insists on messages of one line. */
static void a_text_with_lines_does_not_break_the_message(void **state) {
    ntap_selector *selector = (ntap_selector *)POISON;
    (void)state;
    assert_fails(NTAP_ERROR_INVALID_ARGUMENT, ntap_selector_parse("4,\nx", &selector, &test_err));
    assert_message("at character 4");
    assert_untouched(selector);
}

/* ---- callbacks ---- */

static ntap_status refuse(const ntap_value *layer_value, void *context, ntap_tensor **neuron,
                          ntap_error *err) {
    (void)layer_value;
    (void)context;
    (void)neuron;
    return ntap_error_set(err, NTAP_ERROR_STOPPED, "never called here");
}

static void count_up(void *context) { ++*(int *)context; }

static void the_finalizer_runs_once(void **state) {
    int count = 0;
    ntap_selector *selector = NULL;
    (void)state;
    assert_ok(ntap_selector_new_callback(refuse, &count, count_up, &selector, &test_err));
    assert_int_equal(count, 0);
    ntap_selector_free(selector);
    assert_int_equal(count, 1);
}

static int null_contexts;

static void count_null_context(void *context) { null_contexts += context == NULL; }

static void the_finalizer_gets_a_null_context_too(void **state) {
    ntap_selector *selector = NULL;
    (void)state;
    null_contexts = 0;
    assert_ok(ntap_selector_new_callback(refuse, NULL, count_null_context, &selector, &test_err));
    ntap_selector_free(selector);
    assert_int_equal(null_contexts, 1);
}

static void a_callback_needs_no_finalizer(void **state) {
    int untouched = 5;
    ntap_selector *selector = NULL;
    (void)state;
    assert_ok(ntap_selector_new_callback(refuse, &untouched, NULL, &selector, &test_err));
    ntap_selector_free(selector);
    assert_int_equal(untouched, 5);
}

static void a_failing_constructor_leaves_the_context_to_the_caller(void **state) {
    int count = 0;
    ntap_selector *selector = (ntap_selector *)POISON;
    (void)state;
    assert_fails(NTAP_ERROR_INVALID_ARGUMENT,
                 ntap_selector_new_callback(NULL, &count, count_up, &selector, &test_err));
    assert_message("callback is NULL");
    assert_untouched(selector);
    assert_fails(NTAP_ERROR_INVALID_ARGUMENT,
                 ntap_selector_new_callback(refuse, &count, count_up, NULL, &test_err));
    assert_message("selector is NULL");
    assert_int_equal(count, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(indices_are_made_field_by_field),
        cmocka_unit_test(any_index_makes_a_selector),
        cmocka_unit_test(indices_are_copied),
        cmocka_unit_test(no_indices_make_a_selector),
        cmocka_unit_test(missing_indices_are_refused),
        cmocka_unit_test(a_step_below_one_is_refused),
        cmocka_unit_test(an_unknown_kind_of_index_is_refused),
        cmocka_unit_test(the_step_of_an_int_is_not_looked_at),
        cmocka_unit_test(what_python_accepts_is_parsed),
        cmocka_unit_test(the_message_points_at_the_character),
        cmocka_unit_test(a_step_below_one_is_not_parsed),
        cmocka_unit_test(sixty_four_indices_are_enough),
        cmocka_unit_test(a_long_text_is_cut_in_the_message),
        cmocka_unit_test(a_text_with_lines_does_not_break_the_message),
        cmocka_unit_test(the_finalizer_runs_once),
        cmocka_unit_test(the_finalizer_gets_a_null_context_too),
        cmocka_unit_test(a_callback_needs_no_finalizer),
        cmocka_unit_test(a_failing_constructor_leaves_the_context_to_the_caller),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
