/* B16: every case of the fixtures once more, on replicas: the attribution is what captum computed
 * on one device. Batches are divided unevenly, and may be smaller than the number of replicas. */
#include "fixture_support.h"

#include <string.h>

static const ntap_device CPUS[] = {
    {NTAP_DEVICE_CPU, 0}, {NTAP_DEVICE_CPU, 0}, {NTAP_DEVICE_CPU, 0}};
static const ntap_device MIXED[] = {
    {NTAP_DEVICE_CUDA, 0}, {NTAP_DEVICE_CPU, 0}, {NTAP_DEVICE_CUDA, 1}};

/* Models in which examples influence each other, or whose dimension 0 is not the batch: there the
 * parts of a batch do not give what the whole does (data_parallel.h, "Equal"). */
static int couples_examples(const json_t *item) {
    static const char *const models[] = {"batchstats", "mixedbatch", "branch", "gru."};
    const char *model = text_of(item, "model");
    for (size_t i = 0; i < sizeof models / sizeof models[0]; ++i)
        if (strncmp(model, models[i], strlen(models[i])) == 0)
            return 1;
    return strncmp(model, "lstm", 4) == 0 && strcmp(text_of(item, "layer"), "") == 0;
}

static json_t *load_separable_cases(void) {
    json_t *cases = load_cases("cases.json");
    for (size_t i = json_array_size(cases); i-- > 0;)
        if (couples_examples(json_array_get(cases, i)))
            (void)json_array_remove(cases, i);
    return cases;
}

static void make_parallel(attempt *a) {
    ntap_module *parallel = NULL;
    const ntap_device *devices = fixture_device().type == NTAP_DEVICE_CPU ? CPUS : MIXED;
    assert_ok(ntap_module_new_data_parallel(a->module, devices, 3, NULL, &parallel, &test_err));
    ntap_module_free(a->module);
    a->module = parallel;
}

static void equals_reference(void **state) {
    const json_t *item = (const json_t *)*state;
    attempt a;
    ntap_tensor *expected[MOST_TENSORS] = {NULL};
    ntap_tensor *grads[MOST_TENSORS] = {NULL};
    attempt_prepare(item, &a);
    assert_int_equal(read_tensors(json_object_get(item, "expected"), expected), a.n_inputs);
    assert_ok(attempt_load(item, 0, &a));
    make_parallel(&a);
    assert_ok(attempt_open(item, &a));
    assert_ok(attempt_attribute(item, &a, grads));
    for (size_t i = 0; i < a.n_inputs; ++i) {
        assert_close(grads[i], expected[i], json_number_value(json_object_get(item, "tolerance")));
        ntap_tensor_free(expected[i]);
        ntap_tensor_free(grads[i]);
    }
    attempt_clear(&a);
}

int main(void) {
    return run_cases("cases.json", load_separable_cases(), equals_reference) == 0 ? 0 : 1;
}
