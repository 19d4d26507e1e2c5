/* Hooks that do what a case of fixtures/hooks/hooks.json says. */
#include "hook_actions.h"

#include <stdio.h>
#include <string.h>

enum { MOST_PARTS = 16 };

/* ---- values, part by part ---- */

/* The items of a list, tuple or dictionary while a value like it is made. */
typedef struct parts {
    ntap_value *made[MOST_PARTS]; /* to be freed */
    const ntap_value *items[MOST_PARTS];
    const ntap_value *keys[MOST_PARTS];
    size_t count;
} parts;

static ntap_status take_apart(const ntap_value *value, parts *p, ntap_error *err) {
    memset(p, 0, sizeof *p);
    p->count = ntap_value_count(value);
    if (p->count > MOST_PARTS)
        return ntap_error_set(err, NTAP_ERROR_INTERNAL, "the test expects fewer items");
    for (size_t i = 0; i < p->count; ++i) {
        p->items[i] = ntap_value_item(value, i);
        p->keys[i] = ntap_value_key(value, i);
    }
    return NTAP_OK;
}

static ntap_status put_together(ntap_value_kind kind, const parts *p, ntap_value **value,
                                ntap_error *err) {
    if (kind == NTAP_VALUE_DICT)
        return ntap_value_new_dict(p->keys, p->items, p->count, value, err);
    if (kind == NTAP_VALUE_LIST)
        return ntap_value_new_list(p->items, p->count, value, err);
    return ntap_value_new_tuple(p->items, p->count, value, err);
}

static void free_parts(parts *p) {
    for (size_t i = 0; i < p->count; ++i)
        ntap_value_free(p->made[i]);
}

/* A list or tuple with another item in one place. */
static ntap_status with_item(const ntap_value *value, size_t index, const ntap_value *item,
                             ntap_value **result, ntap_error *err) {
    parts p;
    const ntap_status status = take_apart(value, &p, err);
    if (status != NTAP_OK)
        return status;
    if (index >= p.count)
        return ntap_error_set(err, NTAP_ERROR_INTERNAL, "the test expects more than %zu items",
                              index);
    p.items[index] = item;
    return put_together(ntap_value_get_kind(value), &p, result, err);
}

typedef ntap_status (*tensor_function)(const hook_action *action, const ntap_tensor *tensor,
                                       ntap_tensor **result, ntap_error *err);

static ntap_status map_tensor(const hook_action *action, tensor_function function,
                              const ntap_value *value, ntap_value **result, ntap_error *err) {
    ntap_tensor *tensor = NULL;
    ntap_status status = function(action, ntap_value_get_tensor(value), &tensor, err);
    if (status == NTAP_OK)
        status = ntap_value_new_tensor(tensor, result, err);
    ntap_tensor_free(tensor);
    return status;
}

/* The same value, with the function applied to every tensor in it. */
static ntap_status map(const hook_action *action, tensor_function function, const ntap_value *value,
                       ntap_value **result, ntap_error *err) {
    const ntap_value_kind kind = ntap_value_get_kind(value);
    parts p;
    if (kind == NTAP_VALUE_TENSOR)
        return map_tensor(action, function, value, result, err);
    if (kind != NTAP_VALUE_LIST && kind != NTAP_VALUE_TUPLE && kind != NTAP_VALUE_DICT)
        return ntap_value_clone(value, result, err);
    ntap_status status = take_apart(value, &p, err);
    if (status != NTAP_OK)
        return status;
    for (size_t i = 0; status == NTAP_OK && i < p.count; ++i) {
        status = map(action, function, p.items[i], &p.made[i], err);
        p.items[i] = p.made[i];
    }
    if (status == NTAP_OK)
        status = put_together(kind, &p, result, err);
    free_parts(&p);
    return status;
}

/* ---- actions ---- */

static ntap_status clone_tensor(const hook_action *action, const ntap_tensor *tensor,
                                ntap_tensor **result, ntap_error *err) {
    (void)action;
    return ntap_tensor_clone(tensor, result, err);
}

static int is_floating(const ntap_tensor *tensor) {
    const ntap_dtype dtype = ntap_tensor_dtype(tensor);
    return dtype == NTAP_DTYPE_FLOAT32 || dtype == NTAP_DTYPE_FLOAT64;
}

/* Scales, adds or multiplies. */
static ntap_status compute(const hook_action *action, const ntap_tensor *tensor,
                           ntap_tensor **result, ntap_error *err) {
    const char *name = json_string_value(json_object_get(action->item, "action"));
    if (!is_floating(tensor))
        return ntap_tensor_to(tensor, NULL, NTAP_DTYPE_NONE, result, err);
    if (strcmp(name, "scale") == 0)
        return ntap_tensor_scale(tensor, action->factor, result, err);
    if (strcmp(name, "add") == 0)
        return ntap_tensor_add(tensor, action->tensor, result, err);
    return ntap_tensor_mul(tensor, action->tensor, result, err);
}

static ntap_status swap(const ntap_value *value, ntap_value **result, ntap_error *err) {
    parts p;
    ntap_status status = take_apart(value, &p, err);
    if (status != NTAP_OK)
        return status;
    if (p.count < 2)
        return ntap_error_set(err, NTAP_ERROR_INTERNAL, "the test expects two items");
    const size_t last = p.count - 1;
    if (ntap_value_get_kind(p.items[last]) == NTAP_VALUE_TUPLE) {
        ntap_value *inner = NULL;
        status = swap(p.items[last], &inner, err);
        if (status == NTAP_OK)
            status = with_item(value, last, inner, result, err);
        ntap_value_free(inner);
        return status;
    }
    const ntap_value *item = p.items[last];
    p.items[last] = p.items[last - 1];
    p.items[last - 1] = item;
    return put_together(NTAP_VALUE_TUPLE, &p, result, err);
}

static ntap_status act_on_all(const hook_action *action, const ntap_value *value,
                              ntap_value **result, ntap_error *err) {
    const char *name = json_string_value(json_object_get(action->item, "action"));
    const json_int_t index = json_integer_value(json_object_get(action->item, "index"));
    if (strcmp(name, "same") == 0)
        return ntap_value_clone(value, result, err);
    if (strcmp(name, "swap") == 0)
        return swap(value, result, err);
    if (strcmp(name, "argument") == 0)
        return with_item(value, (size_t)index, action->value, result, err);
    if (strcmp(name, "replace") == 0) /* a copy: a later layer may overwrite it */
        return map(action, clone_tensor, action->value, result, err);
    return map(action, compute, value, result, err);
}

/* Acts on the first item, and gives that item. */
static ntap_status act_on_first(const hook_action *action, const ntap_value *value,
                                ntap_value **result, ntap_error *err) {
    if (ntap_value_count(value) == 0)
        return ntap_error_set(err, NTAP_ERROR_INTERNAL, "the test expects an item");
    return act_on_all(action, ntap_value_item(value, 0), result, err);
}

static int is_text(const hook_action *action, const char *key, const char *text) {
    const char *value = json_string_value(json_object_get(action->item, key));
    return value != NULL && strcmp(value, text) == 0;
}

static ntap_status act(const hook_action *action, const ntap_value *value, ntap_value **result,
                       ntap_error *err) {
    ntap_value *first = NULL;
    if (is_text(action, "action", "observe"))
        return NTAP_OK;
    if (is_text(action, "part", "all"))
        return act_on_all(action, value, result, err);
    if (is_text(action, "form", "value"))
        return act_on_first(action, value, result, err);
    ntap_status status = act_on_first(action, value, &first, err);
    if (status == NTAP_OK)
        status = is_text(action, "form", "tuple")
                     ? ntap_value_new_tuple((const ntap_value *const *)&first, 1, result, err)
                     : with_item(value, 0, first, result, err);
    ntap_value_free(first);
    return status;
}

/* ---- callbacks ---- */

static ntap_status keep(const hook_action *action, const ntap_hook_call *call, ntap_error *err) {
    hook_log *log = action->log;
    if (log->count == MOST_CALLS)
        return ntap_error_set(err, NTAP_ERROR_INTERNAL, "the test expects fewer calls");
    hook_record *record = &log->records[log->count++];
    memset(record, 0, sizeof *record);
    record->hook = action->number;
    record->call = call->call;
    (void)snprintf(record->layer, sizeof record->layer, "%s", call->layer);
    if (call->output == NULL)
        return map(action, clone_tensor, call->inputs, &record->seen, err);
    const ntap_status status = map(action, clone_tensor, call->output, &record->seen, err);
    if (status != NTAP_OK)
        return status;
    return map(action, clone_tensor, call->inputs, &record->inputs, err);
}

static ntap_status callback(const ntap_hook_call *call, void *context, ntap_value **replacement,
                            ntap_error *err) {
    const hook_action *action = (const hook_action *)context;
    const int pre = is_text(action, "kind", "pre");
    if (pre != (call->output == NULL) || call->inputs == NULL || *replacement != NULL)
        return ntap_error_set(err, NTAP_ERROR_INTERNAL, "the hook is called as another one");
    const ntap_status status = keep(action, call, err);
    if (status != NTAP_OK)
        return status;
    return act(action, pre ? call->inputs : call->output, replacement, err);
}

static void finalize(void *context) { ++((hook_action *)context)->finalized; }

/* ---- sets ---- */

/* Reads `value` here, where asserts are allowed. */
static void prepare(const json_t *item, ntap_dtype dtype, hook_action *action) {
    const json_t *value = json_object_get(item, "value");
    action->item = item;
    if (is_text(action, "action", "argument") || value != NULL)
        action->value = value != NULL ? to_value(value) : make_none();
    action->factor = json_number_value(value);
    if (is_text(action, "action", "add"))
        action->tensor = make_tensor(dtype, &action->factor, SCALAR);
    else if (is_text(action, "action", "multiply"))
        assert_ok(ntap_tensor_to(ntap_value_get_tensor(action->value), NULL, NTAP_DTYPE_NONE,
                                 &action->tensor, &test_err));
}

void hook_set_add(const ntap_module *module, const json_t *hooks, ntap_dtype dtype, hook_set *set) {
    memset(set, 0, sizeof *set);
    set->count = json_array_size(hooks);
    assert_true(set->count <= MOST_HOOKS);
    for (size_t i = 0; i < set->count; ++i) {
        hook_action *action = &set->actions[i];
        action->number = i;
        action->log = &set->log;
        prepare(json_array_get(hooks, i), dtype, action);
        const char *layer = text_of(action->item, "layer");
        assert_ok(is_text(action, "kind", "pre")
                      ? ntap_module_add_forward_pre_hook(module, layer, callback, action, finalize,
                                                         &action->hook, &test_err)
                      : ntap_module_add_forward_hook(module, layer, callback, action, finalize,
                                                     &action->hook, &test_err));
    }
}

void hook_set_remove(hook_set *set) {
    for (size_t i = 0; i < set->count; ++i) {
        hook_action *action = &set->actions[i];
        assert_int_equal(action->finalized, 0);
        ntap_hook_remove(action->hook);
        assert_int_equal(action->finalized, 1);
        ntap_value_free(action->value);
        ntap_tensor_free(action->tensor);
    }
    hook_log_clear(&set->log);
}

void hook_log_clear(hook_log *log) {
    for (size_t i = 0; i < log->count; ++i) {
        ntap_value_free(log->records[i].seen);
        ntap_value_free(log->records[i].inputs);
    }
    log->count = 0;
}
