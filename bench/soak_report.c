/* What the soak test found, for people and for machines. */
#include "soak.h"

#include <inttypes.h>
#include <stdio.h>

#include <jansson.h>

#define KIB 1024.0
#define MIB 1048576.0

uint64_t soak_requests(const soak_result *result) {
    uint64_t requests = 0;
    for (size_t kind = 0; kind < request_kinds(); ++kind)
        requests += latency_count(&result->kinds[kind].durations);
    return requests;
}

uint64_t soak_unexpected(const soak_result *result) {
    uint64_t unexpected = 0;
    for (size_t kind = 0; kind < request_kinds(); ++kind)
        unexpected += result->kinds[kind].unexpected;
    return unexpected;
}

int soak_grew(const soak_result *result) {
    return result->end.heap > result->steady.heap + result->heap_limit ||
           result->end.resident > result->steady.resident + result->resident_limit;
}

int soak_passed(const soak_result *result) {
    return soak_unexpected(result) == 0 && result->unreleased == 0 && !soak_grew(result);
}

static void print_kinds(const soak_result *result) {
    printf("%-28s %-28s %9s %10s %9s %9s %9s\n", "request", "ends with", "requests", "unexpected",
           "median ms", "p99 ms", "worst ms");
    for (size_t kind = 0; kind < request_kinds(); ++kind) {
        const soak_kind *k = &result->kinds[kind];
        printf("%-28s %-28s %9" PRIu64 " %10" PRIu64 " %9.3f %9.2f %9.1f\n", request_name(kind),
               ntap_status_name(request_expected(kind)), latency_count(&k->durations),
               k->unexpected, 1e3 * latency_quantile(&k->durations, 0.5),
               1e3 * latency_quantile(&k->durations, 0.99), 1e3 * k->durations.worst);
    }
}

static void print_memory(const char *when, const soak_memory *memory) {
    printf("%-28s %14.3f %14.1f\n", when, (double)memory->heap / MIB,
           (double)memory->resident / MIB);
}

void soak_print(const soak_result *result) {
    const uint64_t requests = soak_requests(result);
    printf("neurotap %s, libtorch %s: %d threads, %.0f s, %" PRIu64 " requests, %.0f a second\n\n",
           ntap_version(), ntap_torch_version(), result->threads, result->seconds, requests,
           (double)requests / result->seconds);
    print_kinds(result);
    printf("\n%-28s %14s %14s\n", "memory, MiB", "heap in use", "resident");
    print_memory("start", &result->start);
    print_memory("steady", &result->steady);
    print_memory("end", &result->end);
    printf("\n");
    for (int i = 0; i < result->n_complaints; ++i)
        printf("unexpected: %s\n", result->complaints[i]);
    if (soak_grew(result))
        printf("The memory grew by more than %.0f KiB of heap or %.0f MiB resident.\n",
               (double)result->heap_limit / KIB, (double)result->resident_limit / MIB);
    if (result->unreleased != 0)
        printf("%ld contexts of hooks were not released once.\n", result->unreleased);
    printf("%s: %" PRIu64 " of %" PRIu64 " requests ended as they should not.\n",
           soak_passed(result) ? "passed" : "FAILED", soak_unexpected(result), requests);
}

static json_t *kind_json(size_t kind, const soak_kind *k) {
    return json_pack("{s:s, s:s, s:I, s:I, s:f, s:f, s:f}", "request", request_name(kind),
                     "ends_with", ntap_status_name(request_expected(kind)), "requests",
                     (json_int_t)latency_count(&k->durations), "unexpected",
                     (json_int_t)k->unexpected, "median_seconds",
                     latency_quantile(&k->durations, 0.5), "p99_seconds",
                     latency_quantile(&k->durations, 0.99), "worst_seconds", k->durations.worst);
}

static json_t *memory_json(const soak_memory *memory) {
    return json_pack("{s:I, s:I}", "heap_bytes", (json_int_t)memory->heap, "resident_bytes",
                     (json_int_t)memory->resident);
}

int soak_write_json(const soak_result *result, const char *path) {
    json_t *kinds = json_array();
    for (size_t kind = 0; kind < request_kinds(); ++kind)
        json_array_append_new(kinds, kind_json(kind, &result->kinds[kind]));
    json_t *root = json_pack(
        "{s:s, s:s, s:i, s:f, s:f, s:b, s:I, s:I, s:I, s:{s:o, s:o, s:o}, s:o}", "neurotap",
        ntap_version(), "libtorch", ntap_torch_version(), "threads", result->threads, "seconds",
        result->seconds, "warm_up_seconds", result->warm_up, "passed", soak_passed(result),
        "requests", (json_int_t)soak_requests(result), "unexpected",
        (json_int_t)soak_unexpected(result), "unreleased_contexts", (json_int_t)result->unreleased,
        "memory", "start", memory_json(&result->start), "steady", memory_json(&result->steady),
        "end", memory_json(&result->end), "kinds", kinds);
    const int failed = root == NULL || json_dump_file(root, path, JSON_INDENT(1)) != 0;
    json_decref(root);
    if (failed)
        fprintf(stderr, "soak: %s cannot be written\n", path);
    return failed;
}
