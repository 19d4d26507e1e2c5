/* Any operator by name, and the named helpers. */
#include "support.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_ARGUMENTS = 8, MOST_RESULTS = 4 };

/* The arguments of a call; freed by it. */
typedef struct arguments {
    ntap_value *values[MOST_ARGUMENTS];
    size_t count;
} arguments;

static arguments take_arguments(size_t count, va_list list) {
    arguments taken = {{NULL}, count};
    assert_true(count <= MOST_ARGUMENTS);
    for (size_t i = 0; i < count; ++i)
        taken.values[i] = va_arg(list, ntap_value *);
    return taken;
}

static void free_arguments(arguments *taken) {
    for (size_t i = 0; i < taken->count; ++i)
        ntap_value_free(taken->values[i]);
}

/* Calls an operator with `count` values, which it frees, and gives its one result. */
static ntap_value *call(const char *name, size_t count, ...) {
    va_list list;
    ntap_value *result = NULL;
    va_start(list, count);
    arguments args = take_arguments(count, list);
    va_end(list);
    assert_ok(
        ntap_call_op(name, (const ntap_value *const *)args.values, count, &result, 1, &test_err));
    free_arguments(&args);
    return result;
}

/* As call(), but it has to fail, and to leave the outputs alone. */
static void check_call_fails(ntap_status status, const char *name, size_t n_outs, size_t count,
                             ...) {
    va_list list;
    ntap_value *outs[MOST_RESULTS] = {POISON, POISON, POISON, POISON};
    va_start(list, count);
    arguments args = take_arguments(count, list);
    va_end(list);
    assert_fails(status, ntap_call_op(name, (const ntap_value *const *)args.values, count, outs,
                                      n_outs, &test_err));
    for (size_t i = 0; i < MOST_RESULTS; ++i)
        assert_untouched(outs[i]);
    free_arguments(&args);
}

static ntap_value *floats(const double *values, size_t ndim, const int64_t *sizes) {
    ntap_tensor *tensor = make_tensor(NTAP_DTYPE_FLOAT32, values, ndim, sizes);
    ntap_value *value = make_tensor_value(tensor);
    ntap_tensor_free(tensor);
    return value;
}

/* [[0, 1, 2], [3, 4, 5]] */
static ntap_value *counting(void) { return floats(VALUES(0, 1, 2, 3, 4, 5), SHAPE(2, 3)); }

/* The value is a tensor of type float32 with these elements; frees the value. */
#define check_floats(value, ...) check_floats_and_free((value), __FILE__, __LINE__, __VA_ARGS__)

static void check_floats_and_free(ntap_value *value, const char *file, int line,
                                  const double *values, size_t ndim, const int64_t *sizes) {
    support_check_tensor(file, line, ntap_value_get_tensor(value), NTAP_DTYPE_FLOAT32, values, ndim,
                         sizes);
    ntap_value_free(value);
}

/* ---- finding the operator ---- */

static void an_operator_is_called_by_its_name(void **state) {
    (void)state;
    check_floats(call("aten::relu", 1, floats(VALUES(-1, 0, 2), SHAPE(3))), VALUES(0, 0, 2),
                 SHAPE(3));
}

static void an_overload_is_called_by_its_name(void **state) {
    (void)state;
    check_floats(call("aten::sum.dim_IntList", 2, counting(), make_list(1, make_int(0))),
                 VALUES(3, 5, 7), SHAPE(3));
}

/* aten::max is max(self), aten::max.other is another one. */
static void the_overload_without_a_name_wins(void **state) {
    (void)state;
    check_floats(call("aten::max", 1, counting()), VALUES(5), SCALAR);
}

static void the_only_overload_needs_no_name(void **state) {
    int64_t number = 0;
    (void)state;
    ntap_value *result = call("aten::factorial", 1, make_int(5)); /* aten::factorial.int */
    assert_ok(ntap_value_get_int(result, &number, &test_err));
    assert_int_equal(number, 120);
    ntap_value_free(result);
}

static void a_name_without_a_namespace_is_refused(void **state) {
    static const char *const names[] = {"", "relu", "aten:relu", "::relu", "aten::", "aten.relu"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; ++i) {
        check_call_fails(NTAP_ERROR_INVALID_ARGUMENT, names[i], 1, 1, counting());
        assert_message("expected a namespace and a name, such as 'aten::relu'");
    }
}

static void near_operators_are_suggested(void **state) {
    (void)state;
    check_call_fails(NTAP_ERROR_NOT_FOUND, "aten::reluu", 1, 1, counting());
    assert_message("operator 'aten::reluu' not found; did you mean");
    assert_message("'aten::relu'");
}

static void an_unknown_namespace_is_not_found(void **state) {
    (void)state;
    check_call_fails(NTAP_ERROR_NOT_FOUND, "atem::relu", 1, 1, counting());
    assert_message("operator 'atem::relu' not found; did you mean");
    assert_message("'aten::relu'");
}

static void what_resembles_nothing_is_just_not_found(void **state) {
    (void)state;
    check_call_fails(NTAP_ERROR_NOT_FOUND, "zzz::qqqqqqqqqqqqq", 1, 1, counting());
    assert_string_equal(test_err.message, "operator 'zzz::qqqqqqqqqqqqq' not found");
}

static void the_overloads_that_exist_are_listed(void **state) {
    (void)state;
    check_call_fails(NTAP_ERROR_NOT_FOUND, "aten::sum.dim_IntLst", 1, 1, counting());
    assert_message("operator 'aten::sum.dim_IntLst' not found; it has");
    assert_message("'aten::sum.dim_IntList'");
}

static void the_overload_that_fits_is_found(void **state) {
    (void)state;
    check_floats(call("aten::add", 2, counting(), counting()), VALUES(0, 2, 4, 6, 8, 10),
                 SHAPE(2, 3));
    check_floats(call("aten::mul", 2, counting(), make_double(0.5)), VALUES(0, 0.5, 1, 1.5, 2, 2.5),
                 SHAPE(2, 3));
    check_floats(call("aten::select", 3, counting(), make_int(0), make_int(1)), VALUES(3, 4, 5),
                 SHAPE(3));
}

/* The error is that of "aten::add.Tensor", not that of "aten::add", which is of numbers. */
static void the_overload_that_nearly_fits_says_why(void **state) {
    (void)state;
    check_call_fails(NTAP_ERROR_INVALID_ARGUMENT, "aten::add", 1, 2, counting(), make_string("x"));
    assert_message("aten::add: argument 'other': expected Tensor, got string \"x\"");
    assert_message("(the overloads are 'aten::add'");
    assert_message("'aten::add.Tensor'");
    check_call_fails(NTAP_ERROR_INVALID_ARGUMENT, "aten::select", 1, 1, counting());
    assert_message("'aten::select.int'");
}

static void an_operator_of_the_compiler_is_unsupported(void **state) {
    (void)state;
    check_call_fails(NTAP_ERROR_UNSUPPORTED, "aten::format", 1, 1, make_string("{}"));
    assert_message("'aten::format' works only inside a model");
}

/* ---- arguments ---- */

static void defaults_stand_for_what_is_left_out(void **state) {
    (void)state;
    check_floats(call("aten::leaky_relu", 1, floats(VALUES(-100, 3), SHAPE(2))), VALUES(-1, 3),
                 SHAPE(2)); /* negative_slope = 0.01 */
}

static void keyword_only_parameters_are_positional(void **state) {
    (void)state;
    ntap_value *sum =
        call("aten::add.Tensor", 3, counting(), floats(VALUES(1), SHAPE(1)), make_int(10));
    check_floats(sum, VALUES(10, 11, 12, 13, 14, 15), SHAPE(2, 3)); /* self + alpha * other */
}

static void an_int_is_fine_for_a_float_parameter(void **state) {
    (void)state;
    ntap_value *dropped = call("aten::dropout", 3, counting(), make_int(1), make_bool(1));
    check_floats(dropped, VALUES(0, 0, 0, 0, 0, 0), SHAPE(2, 3)); /* everything, with p = 1 */
}

static void a_scalar_parameter_takes_any_number(void **state) {
    (void)state;
    check_floats(call("aten::mul.Scalar", 2, floats(VALUES(3), SHAPE(1)), make_int(2)), VALUES(6),
                 SHAPE(1));
    check_floats(call("aten::mul.Scalar", 2, floats(VALUES(3), SHAPE(1)), make_double(0.5)),
                 VALUES(1.5), SHAPE(1));
    check_floats(call("aten::mul.Scalar", 2, floats(VALUES(3), SHAPE(1)), make_bool(0)), VALUES(0),
                 SHAPE(1));
}

static void an_optional_parameter_takes_none(void **state) {
    (void)state;
    ntap_value *clamped = call("aten::clamp", 3, counting(), make_none(), make_int(2));
    check_floats(clamped, VALUES(0, 1, 2, 2, 2, 2), SHAPE(2, 3));
}

static void a_list_parameter_takes_a_tuple(void **state) {
    (void)state;
    ntap_value *transposed =
        call("aten::permute", 2, counting(), make_tuple(2, make_int(1), make_int(0)));
    check_floats(transposed, VALUES(0, 3, 1, 4, 2, 5), SHAPE(3, 2));
}

static void a_list_of_tensors_is_an_argument(void **state) {
    (void)state;
    ntap_value *joined = call("aten::cat", 2, make_list(2, counting(), counting()), make_int(1));
    check_floats(joined, VALUES(0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5), SHAPE(2, 6));
}

/* value[:, [2, 0]] */
static void a_list_may_hold_none_where_tensors_are_optional(void **state) {
    ntap_tensor *index = make_tensor(NTAP_DTYPE_INT64, VALUES(2, 0), SHAPE(2));
    (void)state;
    ntap_value *indices = make_list(2, make_none(), make_tensor_value(index));
    check_floats(call("aten::index.Tensor", 2, counting(), indices), VALUES(2, 0, 5, 3),
                 SHAPE(2, 2));
    ntap_tensor_free(index);
}

static void one_number_stands_for_a_list_of_fixed_size(void **state) {
    const double image[] = {1, 2, 3, 4};
    (void)state;
    ntap_value *pooled = call("aten::avg_pool2d", 2, floats(image, SHAPE(1, 1, 2, 2)), make_int(2));
    check_floats(pooled, VALUES(2.5), SHAPE(1, 1, 1, 1));
}

static void a_string_is_an_argument(void **state) {
    (void)state;
    ntap_value *product =
        call("aten::einsum", 2, make_string("ij,ij->i"), make_list(2, counting(), counting()));
    check_floats(product, VALUES(5, 50), SHAPE(2));
}

static void a_dtype_is_given_by_name(void **state) {
    (void)state;
    ntap_value *wide = call("aten::to.dtype", 2, counting(), make_string("float64"));
    assert_tensor(ntap_value_get_tensor(wide), NTAP_DTYPE_FLOAT64, VALUES(0, 1, 2, 3, 4, 5),
                  SHAPE(2, 3));
    ntap_value_free(wide);
}

static void an_optional_dtype_is_given_by_name(void **state) {
    (void)state;
    ntap_value *sum = call("aten::sum", 2, counting(), make_string("int64"));
    assert_tensor(ntap_value_get_tensor(sum), NTAP_DTYPE_INT64, VALUES(15), SCALAR);
    ntap_value_free(sum);
}

static void an_unknown_dtype_is_refused(void **state) {
    (void)state;
    check_call_fails(NTAP_ERROR_INVALID_ARGUMENT, "aten::to.dtype", 1, 2, counting(),
                     make_string("float33"));
    assert_message("argument 'dtype': expected a dtype such as \"float32\", got \"float33\"");
    check_call_fails(NTAP_ERROR_INVALID_ARGUMENT, "aten::to.dtype", 1, 2, counting(),
                     make_string("none"));
    assert_message("argument 'dtype'");
}

/* libtorch looks such numbers up in a table, and crashes. */
static void a_number_that_is_no_dtype_is_refused(void **state) {
    static const int64_t numbers[] = {-1, 1000, INT64_C(1) << 62};
    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; ++i) {
        check_call_fails(NTAP_ERROR_INVALID_ARGUMENT, "aten::to.dtype", 1, 2, counting(),
                         make_int(numbers[i]));
        assert_message("argument 'dtype'");
    }
}

/* zeros([2], dtype=None, layout=None, device="cpu") */
static void a_device_is_given_by_name(void **state) {
    (void)state;
    ntap_value *zeros = call("aten::zeros", 4, make_list(1, make_int(2)), make_none(), make_none(),
                             make_string("cpu"));
    check_floats(zeros, VALUES(0, 0), SHAPE(2));
}

static void an_unknown_device_is_refused(void **state) {
    (void)state;
    check_call_fails(NTAP_ERROR_INVALID_ARGUMENT, "aten::zeros", 1, 4, make_list(1, make_int(2)),
                     make_none(), make_none(), make_string("toaster"));
    assert_message("argument 'device'");
    assert_message("toaster");
}

static void an_argument_of_the_wrong_kind_is_named(void **state) {
    (void)state;
    check_call_fails(NTAP_ERROR_INVALID_ARGUMENT, "aten::relu", 1, 1, make_int(3));
    assert_message("aten::relu: argument 'self': expected Tensor, got int 3");
    check_call_fails(NTAP_ERROR_INVALID_ARGUMENT, "aten::select.int", 1, 3, counting(),
                     make_double(1.5), make_int(0));
    assert_message("aten::select: argument 'dim': expected int, got double 1.5");
    check_call_fails(NTAP_ERROR_INVALID_ARGUMENT, "aten::select.int", 1, 3, counting(), make_int(0),
                     make_bool(1));
    assert_message("aten::select: argument 'index': expected int, got bool True");
    check_call_fails(NTAP_ERROR_INVALID_ARGUMENT, "aten::dropout", 1, 3, counting(), make_double(0),
                     make_int(1));
    assert_message("aten::dropout: argument 'train': expected bool, got int 1");
    check_call_fails(NTAP_ERROR_INVALID_ARGUMENT, "aten::relu", 1, 1, make_none());
    assert_message("argument 'self': expected Tensor, got none None");
}

static void an_item_of_the_wrong_kind_is_named(void **state) {
    (void)state;
    check_call_fails(NTAP_ERROR_INVALID_ARGUMENT, "aten::cat", 1, 1,
                     make_list(2, counting(), make_string("x")));
    assert_message("aten::cat: argument 'tensors'[1]: expected Tensor, got string \"x\"");
}

static void a_list_parameter_takes_no_dictionary(void **state) {
    ntap_value *dict = NULL;
    (void)state;
    assert_ok(ntap_value_new_dict(NULL, NULL, 0, &dict, &test_err));
    check_call_fails(NTAP_ERROR_INVALID_ARGUMENT, "aten::cat", 1, 1, dict);
    assert_message("argument 'tensors': expected List[Tensor], got dict {}");
}

/* Messages are one line; check_call_fails() insists. */
static void a_text_with_lines_does_not_break_the_message(void **state) {
    (void)state;
    check_call_fails(NTAP_ERROR_INVALID_ARGUMENT, "aten::relu", 1, 1, make_string("two\nlines"));
    assert_message("argument 'self': expected Tensor, got string");
}

static void too_many_arguments_are_refused(void **state) {
    (void)state;
    check_call_fails(NTAP_ERROR_INVALID_ARGUMENT, "aten::relu", 1, 2, counting(), counting());
    assert_message("too many arguments: aten::relu takes (self)");
}

static void a_missing_argument_is_named(void **state) {
    (void)state;
    check_call_fails(NTAP_ERROR_INVALID_ARGUMENT, "aten::select.int", 1, 2, counting(),
                     make_int(0));
    assert_message("aten::select: argument 'index' (int) is missing");
    check_call_fails(NTAP_ERROR_INVALID_ARGUMENT, "aten::relu", 1, 0);
    assert_message("aten::relu: argument 'self' (Tensor) is missing");
}

static void a_null_argument_is_named(void **state) {
    ntap_value *tensor = counting();
    const ntap_value *const args[] = {tensor, NULL};
    ntap_value *result = (ntap_value *)POISON;
    (void)state;
    assert_fails(NTAP_ERROR_INVALID_ARGUMENT,
                 ntap_call_op("aten::add.Tensor", args, 2, &result, 1, &test_err));
    assert_message("args[1] is NULL");
    assert_untouched(result);
    ntap_value_free(tensor);
}

/* ---- results ---- */

static void every_result_is_given(void **state) {
    ntap_value *args[] = {floats(VALUES(3, 1, 2), SHAPE(3)), make_int(2)};
    ntap_value *outs[2] = {NULL, NULL};
    (void)state;
    assert_ok(ntap_call_op("aten::topk", (const ntap_value *const *)args, 2, outs, 2, &test_err));
    assert_tensor(ntap_value_get_tensor(outs[0]), NTAP_DTYPE_FLOAT32, VALUES(3, 2), SHAPE(2));
    assert_tensor(ntap_value_get_tensor(outs[1]), NTAP_DTYPE_INT64, VALUES(0, 2), SHAPE(2));
    for (size_t i = 0; i < 2; ++i) {
        ntap_value_free(args[i]);
        ntap_value_free(outs[i]);
    }
}

static void a_list_is_one_result(void **state) {
    (void)state;
    ntap_value *rows = call("aten::unbind.int", 1, counting());
    assert_int_equal(ntap_value_get_kind(rows), NTAP_VALUE_LIST);
    assert_int_equal(ntap_value_count(rows), 2);
    assert_tensor(ntap_value_get_tensor(ntap_value_item(rows, 1)), NTAP_DTYPE_FLOAT32,
                  VALUES(3, 4, 5), SHAPE(3));
    ntap_value_free(rows);
}

static void a_number_is_a_result(void **state) {
    int64_t size = 0;
    (void)state;
    ntap_value *result = call("aten::size.int", 2, counting(), make_int(1));
    assert_ok(ntap_value_get_int(result, &size, &test_err));
    assert_int_equal(size, 3);
    ntap_value_free(result);
}

static void another_count_of_results_is_refused(void **state) {
    (void)state;
    check_call_fails(NTAP_ERROR_INVALID_ARGUMENT, "aten::relu", 0, 1, counting());
    assert_message("n_outs is 0; expected 1, the number of results of 'aten::relu'");
    check_call_fails(NTAP_ERROR_INVALID_ARGUMENT, "aten::relu", 2, 1, counting());
    assert_message("n_outs is 2");
    check_call_fails(NTAP_ERROR_INVALID_ARGUMENT, "aten::topk", 1, 2, counting(), make_int(1));
    assert_message("n_outs is 1; expected 2, the number of results of 'aten::topk'");
}

/* Python gets None where the operator leaves a result out. */
static void a_result_that_is_left_out_is_none(void **state) {
    ntap_value *args[] = {
        floats(VALUES(1, 0), SHAPE(1, 2)),                       /* grad_out */
        floats(VALUES(1, -1), SHAPE(1, 2)),                      /* input */
        make_list(1, make_int(2)),                               /* normalized_shape */
        floats(VALUES(0), SHAPE(1, 1)),                          /* mean */
        floats(VALUES(1), SHAPE(1, 1)),                          /* rstd */
        floats(VALUES(1, 1), SHAPE(2)),                          /* weight */
        floats(VALUES(0, 0), SHAPE(2)),                          /* bias */
        make_list(3, make_bool(0), make_bool(0), make_bool(1))}; /* output_mask: bias only */
    ntap_value *outs[3] = {NULL, NULL, NULL};
    (void)state;
    assert_ok(ntap_call_op("aten::native_layer_norm_backward", (const ntap_value *const *)args, 8,
                           outs, 3, &test_err));
    assert_string_equal(ntap_value_kind_name(ntap_value_get_kind(outs[0])), "none");
    assert_string_equal(ntap_value_kind_name(ntap_value_get_kind(outs[1])), "none");
    assert_tensor(ntap_value_get_tensor(outs[2]), NTAP_DTYPE_FLOAT32, VALUES(1, 0), SHAPE(2));
    for (size_t i = 0; i < 8; ++i)
        ntap_value_free(args[i]);
    for (size_t i = 0; i < 3; ++i)
        ntap_value_free(outs[i]);
}

/* A device has no kind of its own: it can be passed on, but not looked into. */
static void another_type_of_result_can_be_passed_on(void **state) {
    char text[32] = "";
    (void)state;
    ntap_value *device = call("prim::device", 1, counting());
    assert_int_equal(ntap_value_get_kind(device), NTAP_VALUE_OTHER);
    assert_int_equal(ntap_value_count(device), 0);
    assert_null(ntap_value_get_tensor(device));
    (void)ntap_value_describe(device, text, sizeof text);
    assert_string_equal(text, "<Device>");
    ntap_value *zeros =
        call("aten::zeros", 4, make_list(1, make_int(2)), make_none(), make_none(), device);
    check_floats(zeros, VALUES(0, 0), SHAPE(2));
}

/* ---- effects ---- */

static void an_error_of_the_operator_is_one_line(void **state) {
    (void)state;
    check_call_fails(NTAP_ERROR_MODEL, "aten::mm", 1, 2, counting(), counting());
    assert_message("mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)");
    assert_null(strstr(test_err.message, "Exception raised from")); /* a C++ stack trace */
}

static void an_operator_in_place_changes_its_argument(void **state) {
    ntap_tensor *tensor = make_tensor(NTAP_DTYPE_FLOAT32, VALUES(-1, 2), SHAPE(2));
    (void)state;
    ntap_value_free(call("aten::relu_", 1, make_tensor_value(tensor)));
    assert_tensor(tensor, NTAP_DTYPE_FLOAT32, VALUES(0, 2), SHAPE(2));
    ntap_tensor_free(tensor);
}

/* Redirects a standard stream into a file; gives a descriptor to restore it from. */
static int redirect(int stream, const char *path) {
    const int kept = dup(stream);
    const int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(kept >= 0 && file >= 0);
    assert_int_equal(dup2(file, stream), stream);
    (void)close(file);
    return kept;
}

static void restore(int stream, int kept) {
    assert_int_equal(dup2(kept, stream), stream);
    (void)close(kept);
}

/* libtorch warns that masks of type uint8 are deprecated; on its own it prints that. */
static void a_warning_is_not_printed(void **state) {
    ntap_tensor *mask = make_tensor(NTAP_DTYPE_UINT8, VALUES(1, 0), SHAPE(2));
    ntap_value *args[] = {counting(), make_list(1, make_tensor_value(mask))};
    ntap_value *row = NULL;
    size_t size = 0;
    (void)state;
    (void)fflush(NULL);
    const int out = redirect(STDOUT_FILENO, temp_path("out.txt"));
    const int err = redirect(STDERR_FILENO, temp_path("err.txt"));
    const ntap_status status =
        ntap_call_op("aten::index.Tensor", (const ntap_value *const *)args, 2, &row, 1, &test_err);
    restore(STDOUT_FILENO, out);
    restore(STDERR_FILENO, err);
    assert_int_equal(status, NTAP_OK);
    check_floats(row, VALUES(0, 1, 2), SHAPE(1, 3));
    free(read_file(temp_path("out.txt"), &size));
    assert_int_equal(size, 0);
    free(read_file(temp_path("err.txt"), &size));
    assert_int_equal(size, 0);
    ntap_value_free(args[0]);
    ntap_value_free(args[1]);
    ntap_tensor_free(mask);
}

/* ---- named helpers ---- */

static ntap_tensor *cube(void) { /* [[[0, 1], [2, 3], [4, 5]], [[6, 7], [8, 9], [10, 11]]] */
    return make_tensor(NTAP_DTYPE_FLOAT32, VALUES(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11),
                       SHAPE(2, 3, 2));
}

static void select_drops_the_dimension(void **state) {
    ntap_tensor *tensor = cube();
    ntap_tensor *selected = NULL;
    (void)state;
    assert_ok(ntap_tensor_select(tensor, 1, 2, &selected, &test_err));
    assert_tensor(selected, NTAP_DTYPE_FLOAT32, VALUES(4, 5, 10, 11), SHAPE(2, 2));
    ntap_tensor_free(selected);
    assert_ok(ntap_tensor_select(tensor, -1, -2, &selected, &test_err));
    assert_tensor(selected, NTAP_DTYPE_FLOAT32, VALUES(0, 2, 4, 6, 8, 10), SHAPE(2, 3));
    ntap_tensor_free(selected);
    ntap_tensor_free(tensor);
}

static void slice_keeps_the_dimension(void **state) {
    ntap_tensor *tensor = cube();
    ntap_tensor *sliced = NULL;
    (void)state;
    assert_ok(ntap_tensor_slice(tensor, 1, 1, 3, 1, &sliced, &test_err));
    assert_tensor(sliced, NTAP_DTYPE_FLOAT32, VALUES(2, 3, 4, 5, 8, 9, 10, 11), SHAPE(2, 2, 2));
    ntap_tensor_free(sliced);
    assert_ok(ntap_tensor_slice(tensor, 1, 0, 3, 2, &sliced, &test_err));
    assert_tensor(sliced, NTAP_DTYPE_FLOAT32, VALUES(0, 1, 4, 5, 6, 7, 10, 11), SHAPE(2, 2, 2));
    ntap_tensor_free(sliced);
    ntap_tensor_free(tensor);
}

static void slice_clips_and_counts_from_the_end(void **state) {
    ntap_tensor *tensor = make_tensor(NTAP_DTYPE_FLOAT32, VALUES(0, 1, 2, 3), SHAPE(4));
    ntap_tensor *sliced = NULL;
    (void)state;
    assert_ok(ntap_tensor_slice(tensor, -1, -3, 100, 1, &sliced, &test_err));
    assert_tensor(sliced, NTAP_DTYPE_FLOAT32, VALUES(1, 2, 3), SHAPE(3));
    ntap_tensor_free(sliced);
    assert_ok(ntap_tensor_slice(tensor, 0, -100, -1, 1, &sliced, &test_err));
    assert_tensor(sliced, NTAP_DTYPE_FLOAT32, VALUES(0, 1, 2), SHAPE(3));
    ntap_tensor_free(sliced);
    assert_ok(ntap_tensor_slice(tensor, 0, 3, 1, 1, &sliced, &test_err));
    assert_tensor(sliced, NTAP_DTYPE_FLOAT32, VALUES(0), SHAPE(0));
    ntap_tensor_free(sliced);
    ntap_tensor_free(tensor);
}

static void reshape_keeps_the_elements(void **state) {
    ntap_tensor *tensor = cube();
    ntap_tensor *reshaped = NULL;
    (void)state;
    assert_ok(ntap_tensor_reshape(tensor, SHAPE(3, -1), &reshaped, &test_err));
    assert_tensor(reshaped, NTAP_DTYPE_FLOAT32, VALUES(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11),
                  SHAPE(3, 4));
    ntap_tensor_free(reshaped);
    ntap_tensor_free(tensor);
}

static void reshape_makes_a_scalar(void **state) {
    ntap_tensor *tensor = make_tensor(NTAP_DTYPE_FLOAT32, VALUES(7), SHAPE(1, 1));
    ntap_tensor *reshaped = NULL;
    (void)state;
    assert_ok(ntap_tensor_reshape(tensor, SCALAR, &reshaped, &test_err));
    assert_tensor(reshaped, NTAP_DTYPE_FLOAT32, VALUES(7), SCALAR);
    ntap_tensor_free(reshaped);
    ntap_tensor_free(tensor);
}

static void sum_adds_over_dimensions(void **state) {
    const int64_t first_and_last[] = {0, -1};
    ntap_tensor *tensor = cube();
    ntap_tensor *sum = NULL;
    (void)state;
    assert_ok(ntap_tensor_sum(tensor, first_and_last, 2, &sum, &test_err));
    assert_tensor(sum, NTAP_DTYPE_FLOAT32, VALUES(14, 22, 30), SHAPE(3));
    ntap_tensor_free(sum);
    assert_ok(ntap_tensor_sum(tensor, NULL, 0, &sum, &test_err));
    assert_tensor(sum, NTAP_DTYPE_FLOAT32, VALUES(66), SCALAR);
    ntap_tensor_free(sum);
    ntap_tensor_free(tensor);
}

static void mean_averages_over_dimensions(void **state) {
    const int64_t middle[] = {1};
    ntap_tensor *tensor = cube();
    ntap_tensor *mean = NULL;
    (void)state;
    assert_ok(ntap_tensor_mean(tensor, middle, 1, &mean, &test_err));
    assert_tensor(mean, NTAP_DTYPE_FLOAT32, VALUES(2, 3, 8, 9), SHAPE(2, 2));
    ntap_tensor_free(mean);
    assert_ok(ntap_tensor_mean(tensor, NULL, 0, &mean, &test_err));
    assert_tensor(mean, NTAP_DTYPE_FLOAT32, VALUES(5.5), SCALAR);
    ntap_tensor_free(mean);
    ntap_tensor_free(tensor);
}

typedef ntap_status (*binary)(const ntap_tensor *a, const ntap_tensor *b, ntap_tensor **result,
                              ntap_error *err);

/* [[6], [8]] with [1, 2, 4]: a column and a row broadcast to [2, 3]. */
static void check_binary(binary helper, const double *expected) {
    ntap_tensor *a = make_tensor(NTAP_DTYPE_FLOAT32, VALUES(6, 8), SHAPE(2, 1));
    ntap_tensor *b = make_tensor(NTAP_DTYPE_FLOAT32, VALUES(1, 2, 4), SHAPE(3));
    ntap_tensor *result = NULL;
    assert_ok(helper(a, b, &result, &test_err));
    assert_tensor(result, NTAP_DTYPE_FLOAT32, expected, SHAPE(2, 3));
    ntap_tensor_free(a);
    ntap_tensor_free(b);
    ntap_tensor_free(result);
}

static void add_broadcasts(void **state) {
    (void)state;
    check_binary(ntap_tensor_add, VALUES(7, 8, 10, 9, 10, 12));
}

static void sub_broadcasts(void **state) {
    (void)state;
    check_binary(ntap_tensor_sub, VALUES(5, 4, 2, 7, 6, 4));
}

static void mul_broadcasts(void **state) {
    (void)state;
    check_binary(ntap_tensor_mul, VALUES(6, 12, 24, 8, 16, 32));
}

static void scale_multiplies_every_element(void **state) {
    ntap_tensor *tensor = make_tensor(NTAP_DTYPE_FLOAT32, VALUES(1, -2), SHAPE(2));
    ntap_tensor *scaled = NULL;
    (void)state;
    assert_ok(ntap_tensor_scale(tensor, -0.5, &scaled, &test_err));
    assert_tensor(scaled, NTAP_DTYPE_FLOAT32, VALUES(-0.5, 1), SHAPE(2));
    assert_tensor(tensor, NTAP_DTYPE_FLOAT32, VALUES(1, -2), SHAPE(2));
    ntap_tensor_free(scaled);
    ntap_tensor_free(tensor);
}

static void helpers_report_what_does_not_fit(void **state) {
    ntap_tensor *tensor = cube();
    ntap_tensor *two = make_tensor(NTAP_DTYPE_FLOAT32, VALUES(1, 2, 3, 4), SHAPE(4));
    ntap_tensor *result = (ntap_tensor *)POISON;
    (void)state;
    assert_fails(NTAP_ERROR_MODEL, ntap_tensor_select(tensor, 1, 3, &result, &test_err));
    assert_message("out of range");
    assert_fails(NTAP_ERROR_MODEL, ntap_tensor_select(tensor, 3, 0, &result, &test_err));
    assert_fails(NTAP_ERROR_MODEL, ntap_tensor_slice(tensor, 0, 0, 2, 0, &result, &test_err));
    assert_fails(NTAP_ERROR_MODEL, ntap_tensor_reshape(tensor, SHAPE(5), &result, &test_err));
    assert_message("invalid for input of size 12");
    assert_fails(NTAP_ERROR_MODEL, ntap_tensor_add(tensor, two, &result, &test_err));
    assert_fails(NTAP_ERROR_MODEL, ntap_tensor_sub(tensor, two, &result, &test_err));
    assert_fails(NTAP_ERROR_MODEL, ntap_tensor_mul(tensor, two, &result, &test_err));
    assert_untouched(result);
    ntap_tensor_free(tensor);
    ntap_tensor_free(two);
}

static void the_mean_of_integers_does_not_exist(void **state) {
    ntap_tensor *tensor = make_tensor(NTAP_DTYPE_INT64, VALUES(1, 2), SHAPE(2));
    ntap_tensor *mean = (ntap_tensor *)POISON;
    (void)state;
    assert_fails(NTAP_ERROR_MODEL, ntap_tensor_mean(tensor, NULL, 0, &mean, &test_err));
    assert_untouched(mean);
    ntap_tensor_free(tensor);
}

static void lists_of_numbers_are_checked(void **state) {
    int64_t many[65] = {0};
    ntap_tensor *tensor = cube();
    ntap_tensor *result = (ntap_tensor *)POISON;
    (void)state;
    assert_fails(NTAP_ERROR_INVALID_ARGUMENT, ntap_tensor_sum(tensor, NULL, 1, &result, &test_err));
    assert_message("dims");
    assert_message("NULL");
    assert_fails(NTAP_ERROR_INVALID_ARGUMENT,
                 ntap_tensor_mean(tensor, many, 65, &result, &test_err));
    assert_message("dims");
    assert_fails(NTAP_ERROR_INVALID_ARGUMENT,
                 ntap_tensor_reshape(tensor, 1, NULL, &result, &test_err));
    assert_message("sizes");
    assert_fails(NTAP_ERROR_INVALID_ARGUMENT,
                 ntap_tensor_reshape(tensor, SIZE_MAX, many, &result, &test_err));
    assert_message("sizes");
    assert_untouched(result);
    ntap_tensor_free(tensor);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_operator_is_called_by_its_name),
        cmocka_unit_test(an_overload_is_called_by_its_name),
        cmocka_unit_test(the_overload_without_a_name_wins),
        cmocka_unit_test(the_only_overload_needs_no_name),
        cmocka_unit_test(a_name_without_a_namespace_is_refused),
        cmocka_unit_test(near_operators_are_suggested),
        cmocka_unit_test(an_unknown_namespace_is_not_found),
        cmocka_unit_test(what_resembles_nothing_is_just_not_found),
        cmocka_unit_test(the_overloads_that_exist_are_listed),
        cmocka_unit_test(the_overload_that_fits_is_found),
        cmocka_unit_test(the_overload_that_nearly_fits_says_why),
        cmocka_unit_test(an_operator_of_the_compiler_is_unsupported),
        cmocka_unit_test(defaults_stand_for_what_is_left_out),
        cmocka_unit_test(keyword_only_parameters_are_positional),
        cmocka_unit_test(an_int_is_fine_for_a_float_parameter),
        cmocka_unit_test(a_scalar_parameter_takes_any_number),
        cmocka_unit_test(an_optional_parameter_takes_none),
        cmocka_unit_test(a_list_parameter_takes_a_tuple),
        cmocka_unit_test(a_list_of_tensors_is_an_argument),
        cmocka_unit_test(a_list_may_hold_none_where_tensors_are_optional),
        cmocka_unit_test(one_number_stands_for_a_list_of_fixed_size),
        cmocka_unit_test(a_string_is_an_argument),
        cmocka_unit_test(a_dtype_is_given_by_name),
        cmocka_unit_test(an_optional_dtype_is_given_by_name),
        cmocka_unit_test(an_unknown_dtype_is_refused),
        cmocka_unit_test(a_number_that_is_no_dtype_is_refused),
        cmocka_unit_test(a_device_is_given_by_name),
        cmocka_unit_test(an_unknown_device_is_refused),
        cmocka_unit_test(an_argument_of_the_wrong_kind_is_named),
        cmocka_unit_test(an_item_of_the_wrong_kind_is_named),
        cmocka_unit_test(a_list_parameter_takes_no_dictionary),
        cmocka_unit_test(a_text_with_lines_does_not_break_the_message),
        cmocka_unit_test(too_many_arguments_are_refused),
        cmocka_unit_test(a_missing_argument_is_named),
        cmocka_unit_test(a_null_argument_is_named),
        cmocka_unit_test(every_result_is_given),
        cmocka_unit_test(a_list_is_one_result),
        cmocka_unit_test(a_number_is_a_result),
        cmocka_unit_test(another_count_of_results_is_refused),
        cmocka_unit_test(a_result_that_is_left_out_is_none),
        cmocka_unit_test(another_type_of_result_can_be_passed_on),
        cmocka_unit_test(an_error_of_the_operator_is_one_line),
        cmocka_unit_test(an_operator_in_place_changes_its_argument),
        cmocka_unit_test(a_warning_is_not_printed),
        cmocka_unit_test(select_drops_the_dimension),
        cmocka_unit_test(slice_keeps_the_dimension),
        cmocka_unit_test(slice_clips_and_counts_from_the_end),
        cmocka_unit_test(reshape_keeps_the_elements),
        cmocka_unit_test(reshape_makes_a_scalar),
        cmocka_unit_test(sum_adds_over_dimensions),
        cmocka_unit_test(mean_averages_over_dimensions),
        cmocka_unit_test(add_broadcasts),
        cmocka_unit_test(sub_broadcasts),
        cmocka_unit_test(mul_broadcasts),
        cmocka_unit_test(scale_multiplies_every_element),
        cmocka_unit_test(helpers_report_what_does_not_fit),
        cmocka_unit_test(the_mean_of_integers_does_not_exist),
        cmocka_unit_test(lists_of_numbers_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
