/* One attribute call by the replicas of a data-parallel module: each attributes to its part of the
 * batch, and writes where that belongs in the memory of the whole. */
#include "attribution.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* One replica's part. */
typedef struct shard_attribution {
    struct ntapi_gather *gather;
    ntapi_attribution attribution;
    ntap_tensor **inputs;
    ntap_value **arguments;
    int64_t done; /* gradients */
    int begun;
} shard_attribution;

struct ntapi_gather {
    const ntapi_attribution *whole;
    capi_program *const *programs;
    ntapi_replica_threads *threads;
    ntapi_replica_work work;
    ntapi_shards shards;
    shard_attribution *parts;
    ntapi_shard_end *ends;

    pthread_mutex_t lock; /* of what follows, and of the parts' `done` */
    capi_attributions *results;
    size_t n_neurons;
    size_t n_leading; /* the results' dimensions for neurons */
    int64_t *leading;
    int64_t told; /* how many gradients the progress callback knows of; -1 before the first call */
    int failed;
    int cancelled;
};

typedef struct ntapi_gather gather;

static void lock(gather *g) { (void)pthread_mutex_lock(&g->lock); }

static void unlock(gather *g) { (void)pthread_mutex_unlock(&g->lock); }

static ntap_status no_memory(ntap_error *err) {
    return ntap_error_set(err, NTAP_ERROR_OUT_OF_MEMORY, "out of memory");
}

/* ---- results ---- */

/* The first part that knows how many neurons there are makes room for all. */
static ntap_status make_results(gather *g, const ntapi_attribution *a,
                                const ntapi_layer_value *value) {
    const ntapi_attribution *whole = g->whole;
    const int all = a->selectors == NULL;
    const int64_t count = (int64_t)a->n_neurons;
    const size_t n_leading = !a->stacked ? 0 : all ? value->ndim - 1 : 1;
    if (g->results != NULL && g->n_neurons != a->n_neurons)
        return ntap_error_set(a->err, NTAP_ERROR_SHAPE,
                              "layer '%s' has %zu neurons for this part of the batch, but %zu for "
                              "another",
                              a->layer, a->n_neurons, g->n_neurons);
    if (g->results != NULL)
        return NTAP_OK;
    g->leading = (int64_t *)calloc(n_leading + 1, sizeof *g->leading);
    if (g->leading == NULL)
        return no_memory(a->err);
    if (n_leading > 0)
        memcpy(g->leading, all ? value->sizes + 1 : &count, n_leading * sizeof *g->leading);
    g->n_leading = n_leading;
    g->n_neurons = a->n_neurons;
    return capi_attributions_new_gathered(whole->inputs, whole->n_inputs, a->n_neurons, &g->results,
                                          a->err);
}

ntap_status ntapi_gather_begin(ntapi_attribution *a, const ntapi_layer_value *value) {
    gather *g = a->gather;
    shard_attribution *part = &g->parts[a->shard];
    lock(g);
    const ntap_status status = make_results(g, a, value);
    unlock(g);
    NTAPI_TRY(status);
    const int again = part->begun; /* by autograd, where a tape gave up */
    part->begun = 1;
    return capi_attributions_part(g->results, ntapi_shard_first(&g->shards, a->shard),
                                  ntapi_shard_count(&g->shards, a->shard), again, &a->results,
                                  a->err);
}

/* ---- progress ---- */

/* On the replica's thread. */
static int part_progress(int64_t done, int64_t total, void *context) {
    shard_attribution *part = (shard_attribution *)context;
    gather *g = part->gather;
    (void)total;
    lock(g);
    part->done = done;
    unlock(g);
    ntapi_replica_threads_tell(g->threads, &g->work);
    lock(g);
    const int stop = g->cancelled || g->failed;
    unlock(g);
    return stop;
}

static int64_t count_done(const gather *g) {
    int64_t done = 0;
    for (size_t i = 0; i < g->shards.count; ++i)
        done += g->parts[i].done;
    return done;
}

static int64_t count_total(const gather *g) {
    return (int64_t)g->n_neurons * ntap_tensor_size(g->whole->inputs[0], 0);
}

/* On the calling thread. */
static void look(void *context) {
    gather *g = (gather *)context;
    const ntap_attribute_options *options = &g->whole->options;
    lock(g);
    const int64_t done = count_done(g);
    const int64_t total = count_total(g);
    const int tell =
        options->progress != NULL && g->results != NULL && !g->cancelled && done > g->told;
    unlock(g);
    if (!tell)
        return;
    g->told = done;
    if (options->progress(done, total, options->progress_context) == 0)
        return;
    lock(g);
    g->cancelled = 1;
    unlock(g);
}

/* ---- a part ---- */

static ntap_status scatter(const gather *g, size_t shard, ntap_error *err) {
    const ntapi_attribution *whole = g->whole;
    const shard_attribution *part = &g->parts[shard];
    const ntap_device device = ntapi_replica_threads_devices(g->threads)[shard];
    const int64_t first = ntapi_shard_first(&g->shards, shard);
    const int64_t count = ntapi_shard_count(&g->shards, shard);
    for (size_t i = 0; i < whole->n_inputs; ++i)
        NTAPI_TRY(capi_tensor_shard(whole->inputs[i], first, count, device, &part->inputs[i], err));
    for (size_t i = 0; i < whole->options.n_additional_arguments; ++i)
        NTAPI_TRY(capi_value_shard(whole->options.additional_arguments[i], g->shards.batch, first,
                                   count, device, &part->arguments[i], err));
    return NTAP_OK;
}

static ntap_status attribute_part(gather *g, size_t shard, ntap_error *err) {
    shard_attribution *part = &g->parts[shard];
    ntapi_attribution *a = &part->attribution;
    NTAPI_TRY(scatter(g, shard, err));
    *a = *g->whole;
    a->program = g->programs[shard];
    a->inputs = (const ntap_tensor *const *)part->inputs;
    a->options.additional_arguments = (const ntap_value *const *)part->arguments;
    a->options.memory_limit /= g->shards.count;
    if (g->whole->options.memory_limit > 0 && a->options.memory_limit == 0)
        a->options.memory_limit = 1;
    a->options.progress = part_progress;
    a->options.progress_context = part;
    a->err = err;
    a->gather = g;
    a->shard = shard;
    return ntapi_attribute(a, NULL);
}

static void run_part(size_t shard, void *context) {
    gather *g = (gather *)context;
    ntapi_shard_end *end = &g->ends[shard];
    end->status = attribute_part(g, shard, &end->err);
    lock(g);
    end->gave_up = end->status == NTAP_ERROR_STOPPED && g->failed;
    g->failed = g->failed || end->status != NTAP_OK;
    unlock(g);
}

/* ---- the whole ---- */

static ntap_status find_batch(const ntapi_attribution *a, int64_t *batch) {
    *batch = -1;
    for (size_t i = 0; i < a->n_inputs; ++i)
        if (a->inputs[i] == NULL)
            return ntap_error_set(a->err, NTAP_ERROR_INVALID_ARGUMENT, "inputs[%zu] is NULL", i);
    for (size_t i = 0; i < a->n_inputs; ++i)
        if (ntap_tensor_ndim(a->inputs[i]) == 0 ||
            ntap_tensor_size(a->inputs[i], 0) != ntap_tensor_size(a->inputs[0], 0))
            return NTAP_OK;
    *batch = ntap_tensor_size(a->inputs[0], 0);
    return NTAP_OK;
}

static ntap_status make_room(gather *g) {
    const ntapi_attribution *whole = g->whole;
    g->parts = (shard_attribution *)calloc(g->shards.count, sizeof *g->parts);
    g->ends = (ntapi_shard_end *)calloc(g->shards.count, sizeof *g->ends);
    if (g->parts == NULL || g->ends == NULL)
        return no_memory(whole->err);
    for (size_t i = 0; i < g->shards.count; ++i) {
        shard_attribution *part = &g->parts[i];
        part->gather = g;
        part->inputs = (ntap_tensor **)calloc(whole->n_inputs, sizeof(ntap_tensor *));
        part->arguments =
            (ntap_value **)calloc(whole->options.n_additional_arguments + 1, sizeof(ntap_value *));
        if (part->inputs == NULL || part->arguments == NULL)
            return no_memory(whole->err);
    }
    return NTAP_OK;
}

static void free_part(const gather *g, const shard_attribution *part) {
    for (size_t i = 0; part->inputs != NULL && i < g->whole->n_inputs; ++i)
        ntap_tensor_free(part->inputs[i]);
    for (size_t i = 0; part->arguments != NULL && i < g->whole->options.n_additional_arguments; ++i)
        ntap_value_free(part->arguments[i]);
    free(part->inputs);
    free(part->arguments);
}

static void free_room(gather *g) {
    for (size_t i = 0; g->parts != NULL && i < g->shards.count; ++i)
        free_part(g, &g->parts[i]);
    free(g->parts);
    free(g->ends);
    free(g->leading);
    capi_attributions_free(g->results);
    (void)pthread_mutex_destroy(&g->lock);
}

static void join_reports(const gather *g, ntap_attribute_report *report) {
    report->fast_path = 1;
    for (size_t i = 0; i < g->shards.count; ++i) {
        const ntap_attribute_report *part = &g->parts[i].attribution.report;
        report->fast_path = report->fast_path && part->fast_path;
        report->computed += part->computed / (double)g->shards.count;
        report->forward_passes += part->forward_passes;
        report->backward_passes += part->backward_passes;
        if (report->examples_at_once < part->examples_at_once)
            report->examples_at_once = part->examples_at_once;
        if (report->neurons_at_once < part->neurons_at_once)
            report->neurons_at_once = part->neurons_at_once;
    }
}

static ntap_status finish(gather *g, ntap_tensor **grads) {
    const ntapi_attribution *whole = g->whole;
    if (g->cancelled)
        return ntap_error_set(whole->err, NTAP_ERROR_STOPPED,
                              "the progress callback cancelled the attribution after %lld of %lld "
                              "gradients",
                              (long long)g->told, (long long)count_total(g));
    NTAPI_TRY(ntapi_shards_end(g->ends, g->shards.count, ntapi_replica_threads_devices(g->threads),
                               whole->err));
    return capi_attributions_finish(g->results, g->n_leading, g->leading, grads, whole->err);
}

ntap_status ntapi_attribute_by_replicas(ntapi_attribution *a, capi_program *const *programs,
                                        ntapi_replica_threads *threads, ntap_tensor **grads) {
    int64_t batch = -1;
    NTAPI_TRY(find_batch(a, &batch));
    gather g = {.whole = a, .programs = programs, .threads = threads, .told = -1};
    g.shards = ntapi_shards_of(batch, ntapi_replica_threads_count(threads));
    g.work = (ntapi_replica_work){run_part, look, &g, g.shards.count, 0, 0};
    (void)pthread_mutex_init(&g.lock, NULL);
    ntap_status status = make_room(&g);
    if (status == NTAP_OK) {
        ntapi_replica_threads_run(threads, &g.work);
        look(&g);
        status = finish(&g, grads);
    }
    if (status == NTAP_OK)
        join_reports(&g, &a->report);
    free_room(&g);
    return status;
}
