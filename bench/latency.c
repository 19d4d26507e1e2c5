#include "latency.h"

#include <math.h>

#define SHORTEST 1e-6
#define RATIO 1.02

void latency_add(latency *l, double seconds) {
    const double place = log(seconds / SHORTEST) / log(RATIO);
    const int class_number = place < 0                     ? 0
                             : place > LATENCY_CLASSES - 1 ? LATENCY_CLASSES - 1
                                                           : (int)place;
    ++l->counts[class_number];
    if (seconds > l->worst)
        l->worst = seconds;
}

void latency_merge(latency *into, const latency *from) {
    for (int i = 0; i < LATENCY_CLASSES; ++i)
        into->counts[i] += from->counts[i];
    if (from->worst > into->worst)
        into->worst = from->worst;
}

uint64_t latency_count(const latency *l) {
    uint64_t count = 0;
    for (int i = 0; i < LATENCY_CLASSES; ++i)
        count += l->counts[i];
    return count;
}

double latency_quantile(const latency *l, double part) {
    const double wanted = part * (double)latency_count(l);
    uint64_t seen = 0;
    for (int i = 0; i < LATENCY_CLASSES; ++i) {
        seen += l->counts[i];
        if (seen > 0 && (double)seen >= wanted)
            return fmin(SHORTEST * pow(RATIO, i + 0.5), l->worst);
    }
    return l->worst;
}
