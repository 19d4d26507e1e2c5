/**
 * @file latency.h
 * @brief Durations, counted in classes 2 % apart: constant memory however many there are.
 */
#ifndef NEUROTAP_BENCH_LATENCY_H
#define NEUROTAP_BENCH_LATENCY_H

#include <stdint.h>

/** From 1 µs to 100 s; shorter and longer ones count into the ends. */
enum { LATENCY_CLASSES = 931 };

/** Durations. All zero is none. */
typedef struct latency {
    uint32_t counts[LATENCY_CLASSES];
    double worst; /**< seconds, exactly */
} latency;

void latency_add(latency *l, double seconds);

/** Adds all of another's. */
void latency_merge(latency *into, const latency *from);

uint64_t latency_count(const latency *l);

/** The duration, in seconds, that a part of them (0 to 1) does not exceed; 0 if there are none. */
double latency_quantile(const latency *l, double part);

#endif /* NEUROTAP_BENCH_LATENCY_H */
