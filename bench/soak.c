/* A server of attributions under load for a stated time: many threads, shared handles, and of every
   three requests about one that must fail. Fails itself when one ends as it should not, or when
   memory grows after the first part of the time. */
#include "soak.h"

#include <getopt.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    MOST_THREADS = 256,
    /* Bytes. A run of minutes was seen to add none; but glibc keeps the stacks of five threads that
       have ended, or of fewer, each with 864 bytes of heap. */
    HEAP_GROWTH = 16384
};

typedef struct options {
    double seconds;
    int threads;
    double growth; /* MiB */
    const char *json, *fixtures;
} options;

static double now(void) {
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* ---- memory ---- */

/* Threads keep blocks that they have freed, which counts as in use: those of threads that stay,
   such as replicas', were seen to become 40 KiB in the first 20,000 requests. Without them what is
   counted is what somebody holds. The allocator reads this before main(), hence a second start. */
static void start_without_thread_caches(char **argv) {
    static const char name[] = "GLIBC_TUNABLES";
    if (getenv(name) == NULL && setenv(name, "glibc.malloc.tcache_count=0", 0) == 0)
        (void)execv("/proc/self/exe", argv);
}

/* The second number of Linux's statm, in pages; 0 where there is none. */
static uint64_t resident_bytes(void) {
    char line[128] = "";
    FILE *file = fopen("/proc/self/statm", "r");
    if (file != NULL) {
        if (fgets(line, sizeof line, file) == NULL)
            line[0] = '\0';
        (void)fclose(file);
    }
    const char *second = strchr(line, ' ');
    return second == NULL ? 0 : strtoull(second, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static soak_memory measure_memory(void) {
    (void)malloc_trim(0);
    const struct mallinfo2 info = mallinfo2();
    const soak_memory memory = {info.uordblks + info.hblkhd, resident_bytes()};
    return memory;
}

/* ---- load ---- */

typedef struct client {
    pthread_t thread;
    request_set *set;
    double until;
    unsigned numbers;
    size_t round; /* of every kind once, at first: its caches come */
    soak_kind kinds[SOAK_MOST_KINDS];
    char complaint[REQUEST_COMPLAINT_SIZE]; /* the first */
} client;

/* The same requests in each run, others in each thread. */
static size_t next_kind(client *c) {
    if (c->round > 0)
        return (--c->round + c->numbers) % request_kinds();
    c->numbers = c->numbers * 1664525U + 1013904223U;
    return (c->numbers >> 8) % request_kinds();
}

static void *ask(void *context) {
    client *c = (client *)context;
    char complaint[REQUEST_COMPLAINT_SIZE];
    double begin = now();
    while (begin < c->until || c->round > 0) {
        const size_t kind = next_kind(c);
        if (request_do(c->set, kind, complaint)) {
            if (c->complaint[0] == '\0')
                (void)snprintf(c->complaint, sizeof c->complaint, "%s", complaint);
            ++c->kinds[kind].unexpected;
        }
        const double end = now();
        latency_add(&c->kinds[kind].durations, end - begin);
        begin = end;
    }
    return NULL;
}

static void collect(soak_result *result, const client *c) {
    for (size_t kind = 0; kind < request_kinds(); ++kind) {
        latency_merge(&result->kinds[kind].durations, &c->kinds[kind].durations);
        result->kinds[kind].unexpected += c->kinds[kind].unexpected;
    }
    if (c->complaint[0] != '\0' && result->n_complaints < SOAK_MOST_COMPLAINTS)
        (void)snprintf(result->complaints[result->n_complaints++], REQUEST_COMPLAINT_SIZE, "%s",
                       c->complaint);
}

/* @return 0, or 1 if not even a thread can be had */
static int load_for(request_set *set, double seconds, unsigned phase, soak_result *result) {
    const int n = result->threads;
    const double until = now() + seconds;
    int started = 0;
    client *clients = (client *)calloc((size_t)n, sizeof *clients);
    if (clients == NULL)
        return 1;
    for (; started < n; ++started) {
        client *c = &clients[started];
        c->set = set;
        c->until = until;
        c->numbers = phase * MOST_THREADS + (unsigned)started;
        c->round = phase == 0 ? request_kinds() : 0;
        if (pthread_create(&c->thread, NULL, ask, c) != 0)
            break;
    }
    for (int i = 0; i < started; ++i) {
        (void)pthread_join(clients[i].thread, NULL);
        collect(result, &clients[i]);
    }
    free(clients);
    return started < n;
}

static int soak(const options *o, soak_result *result) {
    char complaint[REQUEST_COMPLAINT_SIZE] = "";
    request_set *set = request_set_open(o->fixtures, complaint);
    if (set == NULL) {
        fprintf(stderr, "soak: %s\n", complaint);
        return 1;
    }
    const double begin = now();
    result->start = measure_memory();
    int failed = load_for(set, result->warm_up, 0, result);
    result->steady = measure_memory();
    failed = failed || load_for(set, o->seconds - result->warm_up, 1, result);
    result->end = measure_memory();
    result->seconds = now() - begin;
    result->unreleased = request_set_close(set);
    if (failed)
        fprintf(stderr, "soak: %d threads cannot be started\n", result->threads);
    return failed;
}

/* ---- the command line ---- */

static const char usage[] =
    "usage: soak [--seconds S] [--threads N] [--growth MIB] [--json FILE] FIXTURES\n"
    "Loads the library for S seconds (60) from N threads (8) with good and bad requests on the\n"
    "models in the folder FIXTURES (tests/fixtures). Exit status: 0 if every request ended as it\n"
    "should and the resident memory grew by less than MIB (16) after the first fifth of the time,\n"
    "1 if not, 2 for a wrong command line.\n";

static int read_options(int argc, char **argv, options *o) {
    static const struct option table[] = {
        {"seconds", required_argument, NULL, 's'}, {"threads", required_argument, NULL, 't'},
        {"growth", required_argument, NULL, 'g'},  {"json", required_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0}};
    for (int code; (code = getopt_long(argc, argv, "", table, NULL)) != -1;) {
        switch (code) {
        case 's':
            o->seconds = strtod(optarg, NULL);
            break;
        case 't':
            o->threads = (int)strtol(optarg, NULL, 10);
            break;
        case 'g':
            o->growth = strtod(optarg, NULL);
            break;
        case 'j':
            o->json = optarg;
            break;
        case 'h':
            (void)fputs(usage, stdout);
            exit(EXIT_SUCCESS);
        default:
            return 1;
        }
    }
    if (optind + 1 != argc || !(o->seconds > 0) || o->threads < 1 || o->threads > MOST_THREADS ||
        !(o->growth >= 0))
        return 1;
    o->fixtures = argv[optind];
    return 0;
}

int main(int argc, char **argv) {
    static soak_result result;
    options o = {60, 8, 16, NULL, NULL};
    start_without_thread_caches(argv);
    if (read_options(argc, argv, &o)) {
        (void)fputs(usage, stderr);
        return 2;
    }
    result.threads = o.threads;
    result.warm_up = o.seconds / 5;
    result.heap_limit = HEAP_GROWTH;
    result.resident_limit = (uint64_t)(o.growth * (1 << 20));
    if (request_kinds() > SOAK_MOST_KINDS || soak(&o, &result))
        return EXIT_FAILURE;
    soak_print(&result);
    if (o.json != NULL && soak_write_json(&result, o.json))
        return EXIT_FAILURE;
    return soak_passed(&result) ? EXIT_SUCCESS : EXIT_FAILURE;
}
