/**
 * @file soak.h
 * @brief What the soak test found.
 */
#ifndef NEUROTAP_BENCH_SOAK_H
#define NEUROTAP_BENCH_SOAK_H

#include "latency.h"
#include "requests.h"

enum { SOAK_MOST_KINDS = 48, SOAK_MOST_COMPLAINTS = 8 };

/** Bytes, with no thread but the main one alive and the allocator's reserves given back. */
typedef struct soak_memory {
    uint64_t heap;     /**< in use by the program and all libraries; 0 under sanitizers */
    uint64_t resident; /**< what the system counts */
} soak_memory;

/** What one kind of request did; or, of one thread, what it did with that kind. */
typedef struct soak_kind {
    latency durations;
    uint64_t unexpected; /**< wrong status, wrong result, touched output, bad message */
} soak_kind;

typedef struct soak_result {
    int threads;
    double seconds, warm_up; /**< in all; until the steady state */
    soak_kind kinds[SOAK_MOST_KINDS];
    char complaints[SOAK_MOST_COMPLAINTS][REQUEST_COMPLAINT_SIZE];
    int n_complaints;
    soak_memory start, steady, end;
    uint64_t heap_limit, resident_limit; /**< what may be added after the steady state */
    long unreleased;                     /**< contexts of hooks */
} soak_result;

uint64_t soak_requests(const soak_result *result);
uint64_t soak_unexpected(const soak_result *result);

/** Whether the memory grew beyond its limits. */
int soak_grew(const soak_result *result);

/** Whether all is well. */
int soak_passed(const soak_result *result);

/** Prints a table. */
void soak_print(const soak_result *result);

/** Writes JSON. @return 0, or 1 if the file cannot be written */
int soak_write_json(const soak_result *result, const char *path);

#endif /* NEUROTAP_BENCH_SOAK_H */
