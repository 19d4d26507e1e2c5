/* Every case of fixtures/hooks: with hooks the model gives, and the hooks see, what Python's own
 * hooks do on the eager model; without them it is as before. See fixtures/make_hooks.py. */
#include "hook_actions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- comparing ---- */

/* The tensors of a value, depth first, lent by it. */
static size_t flatten(const ntap_value *value, const ntap_tensor **tensors, size_t count) {
    if (ntap_value_get_kind(value) == NTAP_VALUE_TENSOR) {
        assert_true(count < MOST_TENSORS);
        tensors[count++] = ntap_value_get_tensor(value);
    }
    for (size_t i = 0; i < ntap_value_count(value); ++i)
        count = flatten(ntap_value_item(value, i), tensors, count);
    return count;
}

/* The value's tensors are those of the files. */
static void check_value(const ntap_value *value, const json_t *names, double tolerance) {
    const ntap_tensor *tensors[MOST_TENSORS] = {NULL};
    ntap_tensor *expected[MOST_TENSORS] = {NULL};
    const size_t count = read_tensors(names, expected);
    assert_int_equal(flatten(value, tensors, 0), count);
    for (size_t i = 0; i < count; ++i) {
        assert_close(tensors[i], expected[i], tolerance);
        ntap_tensor_free(expected[i]);
    }
}

static void check_bits(const ntap_tensor *a, const ntap_tensor *b) {
    assert_close(a, b, 0);
    const size_t size = (size_t)ntap_tensor_numel(a) * ntap_dtype_size(ntap_tensor_dtype(a));
    unsigned char *bytes = (unsigned char *)calloc(2, size + 1);
    assert_non_null(bytes);
    assert_ok(ntap_tensor_copy_to_host(a, bytes, size, &test_err));
    assert_ok(ntap_tensor_copy_to_host(b, bytes + size, size, &test_err));
    assert_memory_equal(bytes, bytes + size, size);
    free(bytes);
}

static void check_same_value(const ntap_value *a, const ntap_value *b) {
    const ntap_tensor *left[MOST_TENSORS] = {NULL};
    const ntap_tensor *right[MOST_TENSORS] = {NULL};
    const size_t count = flatten(a, left, 0);
    assert_int_equal(flatten(b, right, 0), count);
    for (size_t i = 0; i < count; ++i)
        check_bits(left[i], right[i]);
}

/* ---- what hooks recorded ---- */

static void check_calls(const hook_log *log, const json_t *calls) {
    for (size_t i = 0; i < log->count && i < json_array_size(calls); ++i) {
        const hook_record *record = &log->records[i];
        const json_t *expected = json_array_get(calls, i);
        assert_int_equal(record->hook, json_integer_value(json_array_get(expected, 0)));
        assert_string_equal(record->layer, json_string_value(json_array_get(expected, 1)));
        assert_int_equal(record->call, json_integer_value(json_array_get(expected, 2)));
    }
    assert_int_equal(log->count, json_array_size(calls));
}

/* What a hook saw, call by call, if the case says. */
static void check_seen(const hook_log *log, const hook_action *action, const char *key,
                       double tolerance) {
    const json_t *calls = json_object_get(action->item, key);
    const int inputs = strcmp(key, "seen_inputs") == 0;
    size_t call = 0;
    if (calls == NULL)
        return;
    for (size_t i = 0; i < log->count; ++i) {
        const hook_record *record = &log->records[i];
        if (record->hook == action->number)
            check_value(inputs ? record->inputs : record->seen, json_array_get(calls, call++),
                        tolerance);
    }
    assert_int_equal(call, json_array_size(calls));
}

/* ---- a case ---- */

typedef struct replay {
    const json_t *item;
    attempt a;
    hook_set hooks;
    double tolerance;
    const ntap_value *args[2 * MOST_TENSORS]; /* inputs and arguments, as forward takes them */
    ntap_value *inputs[MOST_TENSORS];
    size_t n_args;
} replay;

static void start(const json_t *item, replay *r) {
    memset(r, 0, sizeof *r);
    r->item = item;
    r->tolerance = json_number_value(json_object_get(item, "tolerance"));
    attempt_prepare(item, &r->a);
    assert_ok(attempt_load(item, 0, &r->a));
    for (size_t i = 0; i < r->a.n_inputs; ++i)
        r->args[r->n_args++] = r->inputs[i] = make_tensor_value(r->a.inputs[i]);
    for (size_t i = 0; i < r->a.n_args; ++i)
        r->args[r->n_args++] = r->a.args[i];
}

static void finish(replay *r) {
    for (size_t i = 0; i < r->a.n_inputs; ++i)
        ntap_value_free(r->inputs[i]);
    attempt_clear(&r->a);
}

static void add_hooks(replay *r) {
    hook_set_add(r->a.module, json_object_get(r->item, "hooks"), ntap_tensor_dtype(r->a.inputs[0]),
                 &r->hooks);
}

static ntap_value *run_forward(const replay *r) {
    ntap_value *result = NULL;
    assert_ok(ntap_module_forward(r->a.module, r->args, r->n_args, &result, &test_err));
    return result;
}

static void check_hooked_forward(replay *r) {
    ntap_value *result = run_forward(r);
    check_value(result, json_object_get(r->item, "forward"), r->tolerance);
    check_calls(&r->hooks.log, json_object_get(r->item, "calls"));
    for (size_t i = 0; i < r->hooks.count; ++i) {
        check_seen(&r->hooks.log, &r->hooks.actions[i], "seen", r->tolerance);
        check_seen(&r->hooks.log, &r->hooks.actions[i], "seen_inputs", r->tolerance);
    }
    hook_log_clear(&r->hooks.log);
    ntap_value_free(result);
}

/* With hooks, a layer's values are what the hooks left of them. */
static void check_capture(replay *r, const json_t *spec) {
    const json_t *calls = json_object_get(spec, "expected");
    const char *layer = text_of(spec, "layer");
    ntap_value *captured = NULL;
    assert_ok(ntap_module_capture(r->a.module, &layer, 1, side_of(spec), r->args, r->n_args,
                                  &captured, &test_err));
    assert_int_equal(ntap_value_count(captured), json_array_size(calls));
    for (size_t i = 0; i < json_array_size(calls); ++i)
        check_value(ntap_value_item(captured, i), json_array_get(calls, i), r->tolerance);
    ntap_value_free(captured);
    hook_log_clear(&r->hooks.log);
}

static void check_forward(replay *r) {
    const json_t *captures = json_object_get(r->item, "captures");
    ntap_value *before = run_forward(r);
    add_hooks(r);
    check_hooked_forward(r);
    check_hooked_forward(r); /* no run leaves anything to the next one */
    for (size_t i = 0; i < json_array_size(captures); ++i)
        check_capture(r, json_array_get(captures, i));
    hook_set_remove(&r->hooks);
    ntap_value *after = run_forward(r);
    assert_int_equal(r->hooks.log.count, 0);
    check_same_value(before, after);
    ntap_value_free(before);
    ntap_value_free(after);
}

static void check_hooked_gradient(const replay *r, const json_t *spec) {
    ntap_tensor *grads[MOST_TENSORS] = {NULL};
    ntap_tensor *expected[MOST_TENSORS] = {NULL};
    assert_ok(attempt_attribute(spec, &r->a, grads));
    assert_int_equal(read_tensors(json_object_get(spec, "expected"), expected), r->a.n_inputs);
    for (size_t i = 0; i < r->a.n_inputs; ++i) {
        assert_close(grads[i], expected[i], r->tolerance);
        ntap_tensor_free(grads[i]);
        ntap_tensor_free(expected[i]);
    }
}

/* The gradient is made before the hooks are added. Without them there may be none: a layer that a
 * branch leaves out, for example. */
static void check_gradient(replay *r, const json_t *spec) {
    ntap_tensor *before[MOST_TENSORS] = {NULL};
    ntap_tensor *after[MOST_TENSORS] = {NULL};
    assert_ok(attempt_open(spec, &r->a));
    const ntap_status status = attempt_attribute(spec, &r->a, before);
    add_hooks(r);
    check_hooked_gradient(r, spec);
    hook_set_remove(&r->hooks);
    assert_int_equal(attempt_attribute(spec, &r->a, after), status);
    assert_int_equal(r->hooks.log.count, 0);
    for (size_t i = 0; status == NTAP_OK && i < r->a.n_inputs; ++i) {
        check_bits(before[i], after[i]);
        ntap_tensor_free(before[i]);
        ntap_tensor_free(after[i]);
    }
    attempt_close(&r->a);
}

static void equals_python(void **state) {
    const json_t *item = (const json_t *)*state;
    const json_t *gradients = json_object_get(item, "gradients");
    replay r;
    start(item, &r);
    check_forward(&r);
    for (size_t i = 0; i < json_array_size(gradients); ++i)
        check_gradient(&r, json_array_get(gradients, i));
    finish(&r);
}

/* ---- all cases ---- */

/* A case as it is for one of its models, named after both. */
static json_t *for_model(json_t *item, json_t *model) {
    json_t *one = json_copy(item);
    (void)json_object_set(one, "model", model);
    (void)json_object_set_new(one, "name",
                              json_sprintf("%s %s",
                                           json_string_value(json_object_get(item, "name")),
                                           json_string_value(model)));
    return one;
}

static json_t *for_each_model(json_t *cases) {
    json_t *all = json_array();
    for (size_t i = 0; i < json_array_size(cases); ++i) {
        json_t *item = json_array_get(cases, i);
        const json_t *models = json_object_get(item, "models");
        for (size_t j = 0; j < json_array_size(models); ++j)
            (void)json_array_append_new(all, for_model(item, json_array_get(models, j)));
    }
    json_decref(cases);
    return all;
}

int main(void) {
    json_t *cases = load_cases("hooks/hooks.json");
    const int failed = run_cases("hooks.json", for_each_model(cases), equals_python);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
