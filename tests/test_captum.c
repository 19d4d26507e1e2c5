/* Every case of the fixtures: the attribution equals what captum (or, where captum cannot, PyTorch
 * with hooks in Python) computed on the eager model, or fails with the status that the design asks
 * for. See fixtures/make_fixtures.py. */
#include "fixture_support.h"

#include <stdlib.h>

static ntap_status attribute_case(const json_t *item, int training, attempt *a,
                                  ntap_tensor **grads) {
    ntap_status status = attempt_load(item, training, a);
    if (status == NTAP_OK)
        status = attempt_open(item, a);
    if (status == NTAP_OK)
        status = attempt_attribute(item, a, grads);
    return status;
}

static void check_against_reference(const json_t *item, int training) {
    attempt a;
    ntap_tensor *expected[MOST_TENSORS] = {NULL};
    ntap_tensor *grads[MOST_TENSORS] = {NULL};
    attempt_prepare(item, &a);
    assert_int_equal(read_tensors(json_object_get(item, "expected"), expected), a.n_inputs);
    assert_ok(attribute_case(item, training, &a, grads));
    for (size_t i = 0; i < a.n_inputs; ++i) {
        assert_close(grads[i], expected[i], json_number_value(json_object_get(item, "tolerance")));
        ntap_tensor_free(expected[i]);
        ntap_tensor_free(grads[i]);
    }
    attempt_clear(&a);
}

static void equals_reference(void **state) { check_against_reference((const json_t *)*state, 0); }

static void equals_reference_in_training(void **state) {
    check_against_reference((const json_t *)*state, 1);
}

static void fails_as_designed(void **state) {
    const json_t *item = (const json_t *)*state;
    attempt a;
    ntap_tensor *grads[MOST_TENSORS];
    for (size_t i = 0; i < MOST_TENSORS; ++i)
        grads[i] = (ntap_tensor *)POISON;
    attempt_prepare(item, &a);
    support_reset_error();
    const ntap_status status = attribute_case(item, 0, &a, grads);
    assert_string_equal(ntap_status_name(status), text_of(item, "status"));
    assert_int_equal(test_err.code, status);
    assert_string_not_equal(test_err.message, "");
    for (size_t i = 0; i < MOST_TENSORS; ++i)
        assert_untouched(grads[i]);
    attempt_clear(&a);
}

static int run_file(const char *file, CMUnitTestFunction test) {
    return run_cases(file, load_cases(file), test);
}

int main(void) {
    const int failed = run_file("cases.json", equals_reference) +
                       run_file("training.json", equals_reference_in_training) +
                       run_file("errors.json", fails_as_designed);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
