/* Runs requests and judges what comes of them. */
#include "request_set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char request_no_object[1];

size_t request_kinds(void) { return request_table_size; }

const char *request_name(size_t kind) { return request_table[kind].name; }

ntap_status request_expected(size_t kind) { return request_table[kind].expected; }

static int same_bits(const ntap_tensor *a, const ntap_tensor *b) {
    const size_t size = (size_t)ntap_tensor_numel(a) * ntap_dtype_size(ntap_tensor_dtype(a));
    if (ntap_tensor_dtype(a) != ntap_tensor_dtype(b) || ntap_tensor_ndim(a) != ntap_tensor_ndim(b))
        return 0;
    for (size_t d = 0; d < ntap_tensor_ndim(a); ++d) {
        if (ntap_tensor_size(a, d) != ntap_tensor_size(b, d))
            return 0;
    }
    return ntap_tensor_is_contiguous(a) && ntap_tensor_is_contiguous(b) &&
           memcmp(ntap_tensor_data(a), ntap_tensor_data(b), size) == 0;
}

/* What is wrong with how a failing call failed; NULL if nothing. */
static const char *failure_fault(ntap_status status, const ntap_tensor *result,
                                 const ntap_error *err) {
    if (result != REQUEST_UNTOUCHED)
        return "the output was touched";
    if (err->code != status)
        return "the error's code is not the status";
    if (err->message[0] == '\0' || strchr(err->message, '\n') != NULL)
        return "the message is not one line";
    return NULL;
}

/* Runs a request and looks at everything but the numbers of its result. */
static int run_kind(request_set *set, size_t kind, ntap_tensor **result,
                    char complaint[REQUEST_COMPLAINT_SIZE]) {
    const request_kind *request = &request_table[kind];
    ntap_error err = {NTAP_OK, 0, ""};
    const char *fault = NULL;
    *result = (ntap_tensor *)REQUEST_UNTOUCHED;
    const ntap_status status = request->run(set, result, &err);
    if (status != request->expected)
        fault = "another status than expected";
    else if (status != NTAP_OK)
        fault = failure_fault(status, *result, &err);
    if (fault != NULL)
        (void)snprintf(complaint, REQUEST_COMPLAINT_SIZE, "%s: %s: %s, \"%s\"", request->name,
                       fault, ntap_status_name(status), err.message);
    if (status != NTAP_OK)
        *result = NULL;
    return fault != NULL;
}

int request_do(request_set *set, size_t kind, char complaint[REQUEST_COMPLAINT_SIZE]) {
    ntap_tensor *result;
    if (run_kind(set, kind, &result, complaint)) {
        ntap_tensor_free(result);
        return 1;
    }
    const int wrong = result != NULL && !same_bits(result, set->expected[kind][0]) &&
                      !same_bits(result, set->expected[kind][1]);
    if (wrong)
        (void)snprintf(complaint, REQUEST_COMPLAINT_SIZE, "%s: another result than one thread's",
                       request_name(kind));
    ntap_tensor_free(result);
    return wrong;
}

/* Computes what requests have to give while `vectors` is hooked, or not. */
static int compute_expected(request_set *set, int hooked, char complaint[REQUEST_COMPLAINT_SIZE]) {
    for (size_t kind = 0; kind < request_table_size; ++kind) {
        ntap_tensor **expected = set->expected[kind];
        if (run_kind(set, kind, &expected[hooked], complaint))
            return 1;
        if (hooked && !request_table[kind].hooked && expected[0] != NULL &&
            !same_bits(expected[0], expected[1])) {
            (void)snprintf(complaint, REQUEST_COMPLAINT_SIZE, "%s: two results",
                           request_name(kind));
            return 1;
        }
    }
    return 0;
}

static int prepare(request_set *set, char complaint[REQUEST_COMPLAINT_SIZE]) {
    ntap_error err;
    ntap_hook *hook = NULL;
    atomic_long *calls;
    if (request_set_fill(set, &err) != NTAP_OK) {
        (void)snprintf(complaint, REQUEST_COMPLAINT_SIZE, "%s", err.message);
        return 1;
    }
    if (compute_expected(set, 0, complaint))
        return 1;
    if (request_look_on(set, &hook, &calls, &err) != NTAP_OK) {
        (void)snprintf(complaint, REQUEST_COMPLAINT_SIZE, "%s", err.message);
        return 1;
    }
    const int failed = compute_expected(set, 1, complaint);
    ntap_hook_remove(hook);
    return failed;
}

request_set *request_set_open(const char *fixtures, char complaint[REQUEST_COMPLAINT_SIZE]) {
    request_set *set = (request_set *)calloc(1, sizeof *set);
    if (set == NULL) {
        (void)snprintf(complaint, REQUEST_COMPLAINT_SIZE, "out of memory");
        return NULL;
    }
    (void)snprintf(set->folder, sizeof set->folder, "%s", fixtures);
    if (prepare(set, complaint)) {
        (void)request_set_close(set);
        return NULL;
    }
    return set;
}

long request_set_close(request_set *set) {
    long unreleased = 0;
    if (set == NULL)
        return 0;
    request_set_clear(set);
    for (size_t kind = 0; kind < request_table_size; ++kind) {
        ntap_tensor_free(set->expected[kind][0]);
        ntap_tensor_free(set->expected[kind][1]);
    }
    unreleased = labs(atomic_load(&set->hooks_added) - atomic_load(&set->hooks_released));
    free(set);
    return unreleased;
}
