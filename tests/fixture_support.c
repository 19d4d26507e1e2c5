/* What the tests that replay the fixtures' manifests share. */
#include "fixture_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- JSON to arguments ---- */

size_t read_tensors(const json_t *names, ntap_tensor **tensors) {
    const size_t count = json_array_size(names);
    assert_true(count <= MOST_TENSORS);
    for (size_t i = 0; i < count; ++i)
        tensors[i] = read_fixture(json_string_value(json_array_get(names, i)));
    return count;
}

static ntap_value *to_sequence(const json_t *array, int tuple) {
    const size_t count = json_array_size(array);
    ntap_value *items[16] = {NULL};
    const ntap_value *lent[16] = {NULL};
    ntap_value *sequence = NULL;
    assert_true(count <= 16);
    for (size_t i = 0; i < count; ++i)
        lent[i] = items[i] = to_value(json_array_get(array, i));
    assert_ok(tuple ? ntap_value_new_tuple(lent, count, &sequence, &test_err)
                    : ntap_value_new_list(lent, count, &sequence, &test_err));
    for (size_t i = 0; i < count; ++i)
        ntap_value_free(items[i]);
    return sequence;
}

/* {"npy": file} or {"tuple": [...]}. */
static ntap_value *to_object_value(const json_t *object) {
    const char *file = json_string_value(json_object_get(object, "npy"));
    if (file != NULL) {
        ntap_tensor *tensor = read_fixture(file);
        ntap_value *value = make_tensor_value(tensor);
        ntap_tensor_free(tensor);
        return value;
    }
    const json_t *tuple = json_object_get(object, "tuple");
    assert_non_null(tuple);
    return to_sequence(tuple, 1);
}

ntap_value *to_value(const json_t *json) {
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        return to_object_value(json);
    case JSON_ARRAY:
        return to_sequence(json, 0);
    case JSON_STRING:
        return make_string(json_string_value(json));
    case JSON_INTEGER:
        return make_int(json_integer_value(json));
    case JSON_REAL:
        return make_double(json_real_value(json));
    case JSON_TRUE:
    case JSON_FALSE:
        return make_bool(json_is_true(json));
    default:
        return make_none();
    }
}

const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    assert_non_null(text);
    return text;
}

ntap_layer_side side_of(const json_t *item) {
    return strcmp(text_of(item, "side"), "input") == 0 ? NTAP_LAYER_INPUT : NTAP_LAYER_OUTPUT;
}

/* ---- a case ---- */

void attempt_prepare(const json_t *item, attempt *a) {
    const json_t *args = json_object_get(item, "args");
    memset(a, 0, sizeof *a);
    a->n_inputs = read_tensors(json_object_get(item, "inputs"), a->inputs);
    a->n_args = json_array_size(args);
    assert_true(a->n_args <= MOST_TENSORS);
    for (size_t i = 0; i < a->n_args; ++i)
        a->args[i] = to_value(json_array_get(args, i));
}

ntap_status attempt_load(const json_t *item, int training, attempt *a) {
    ntap_load_options options = NTAP_LOAD_OPTIONS_INIT;
    options.training = training;
    options.device = fixture_device();
    return ntap_module_load(fixture_path(text_of(item, "model")), &options, &a->module, &test_err);
}

ntap_status attempt_open(const json_t *item, attempt *a) {
    ntap_neuron_gradient_options options = NTAP_NEURON_GRADIENT_OPTIONS_INIT;
    options.side = side_of(item);
    const ntap_status status = ntap_neuron_gradient_new(a->module, text_of(item, "layer"), &options,
                                                        &a->gradient, &test_err);
    if (status != NTAP_OK)
        return status;
    return ntap_selector_parse(text_of(item, "selector"), &a->selector, &test_err);
}

ntap_status attempt_attribute(const json_t *item, const attempt *a, ntap_tensor **grads) {
    const ntap_value *args[MOST_TENSORS] = {NULL};
    const ntap_tensor *inputs[MOST_TENSORS] = {NULL};
    ntap_attribute_options options = NTAP_ATTRIBUTE_OPTIONS_INIT;
    memcpy(args, a->args, sizeof args);
    memcpy(inputs, a->inputs, sizeof inputs);
    options.additional_arguments = args;
    options.n_additional_arguments = a->n_args;
    options.call = json_integer_value(json_object_get(item, "call"));
    if (strcmp(text_of(item, "unused"), "zero") == 0)
        options.unused_inputs = NTAP_UNUSED_INPUTS_ZERO;
    return ntap_neuron_gradient_attribute(a->gradient, inputs, a->n_inputs, a->selector, &options,
                                          grads, &test_err);
}

void attempt_close(attempt *a) {
    ntap_selector_free(a->selector);
    ntap_neuron_gradient_free(a->gradient);
    a->selector = NULL;
    a->gradient = NULL;
}

void attempt_clear(attempt *a) {
    for (size_t i = 0; i < a->n_inputs; ++i)
        ntap_tensor_free(a->inputs[i]);
    for (size_t i = 0; i < a->n_args; ++i)
        ntap_value_free(a->args[i]);
    attempt_close(a);
    ntap_module_free(a->module);
}

/* ---- all cases ---- */

/* The behaviours, if there are any, and the case, such as "B8 B9 cnn.conv2.input.1,2,3.traced". */
static char *test_name(const json_t *item) {
    const json_t *behaviours = json_object_get(item, "behaviours");
    char *name = (char *)calloc(1, 256);
    assert_non_null(name);
    size_t used = 0;
    for (size_t i = 0; i < json_array_size(behaviours); ++i)
        used += (size_t)snprintf(name + used, 256 - used, "%s ",
                                 json_string_value(json_array_get(behaviours, i)));
    (void)snprintf(name + used, 256 - used, "%s", text_of(item, "name"));
    return name;
}

json_t *load_cases(const char *file) {
    json_error_t error;
    json_t *cases = json_load_file(fixture_path(file), 0, &error);
    if (json_array_size(cases) > 0)
        return cases;
    fprintf(stderr, "%s: %s\n", file, cases == NULL ? error.text : "there are no cases in it");
    json_decref(cases);
    return NULL;
}

/* Models that make tensors on the CPU, whatever device they are on; and recurrent layers, which
 * stand_in_gpus.cpp does not have. */
static const char *const cpu_models[] = {
    "conv1d_f64",    "gru",       "gru_f64", "gruloop",   "gruloop_f64", "lstm",
    "lstm_f64",      "noise",     "cells",   "masked",    "padded",      "film",
    "recurrent_f64", "recurrent", "steps",   "timefirst",
};

static int runs_on_device(const json_t *item) {
    const char *model = text_of(item, "model");
    const char *slash = strrchr(model, '/');
    const char *stem = slash == NULL ? model : slash + 1;
    const size_t length = strcspn(stem, ".");
    if (fixture_device().type == NTAP_DEVICE_CPU)
        return 1;
    for (size_t i = 0; i < sizeof cpu_models / sizeof *cpu_models; ++i)
        if (strlen(cpu_models[i]) == length && strncmp(cpu_models[i], stem, length) == 0)
            return 0;
    return 1;
}

int run_cases(const char *group, json_t *cases, CMUnitTestFunction test) {
    size_t count = 0;
    struct CMUnitTest *tests =
        (struct CMUnitTest *)calloc(json_array_size(cases) + 1, sizeof *tests);
    if (tests == NULL)
        return 1;
    for (size_t i = 0; i < json_array_size(cases); ++i) {
        json_t *item = json_array_get(cases, i);
        if (!runs_on_device(item))
            continue;
        tests[count].name = test_name(item);
        tests[count].test_func = test;
        tests[count].initial_state = item;
        ++count;
    }
    if (count == 0) {
        free(tests);
        return 1;
    }
    const int failed = _cmocka_run_group_tests(group, tests, count, NULL, NULL);
    for (size_t i = 0; i < count; ++i)
        free((char *)(uintptr_t)tests[i].name);
    free(tests);
    json_decref(cases);
    return failed;
}
