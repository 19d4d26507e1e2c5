/* Data-parallel modules: making them, and running them forward. */
#include "data_parallel.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_REPLICAS = 1024 };

/* ---- making ---- */

static ntap_status make(const ntap_module *module, const ntap_device *devices, size_t n_devices,
                        int num_threads, ntap_module **parallel, ntap_error *err) {
    ntapi_replica_threads *threads = NULL;
    NTAPI_TRY(ntapi_replica_threads_new(devices, n_devices, num_threads, &threads, err));
    const ntap_status status = capi_module_new_replicated(
        module, devices, n_devices, threads, ntapi_replica_threads_release, parallel, err);
    if (status != NTAP_OK)
        ntapi_replica_threads_release(threads);
    return status;
}

ntap_status ntap_module_new_data_parallel(const ntap_module *module, const ntap_device *devices,
                                          size_t n_devices,
                                          const ntap_data_parallel_options *options,
                                          ntap_module **parallel, ntap_error *err) {
    ntap_data_parallel_options read = NTAP_DATA_PARALLEL_OPTIONS_INIT;
    NTAPI_REQUIRE(module, err);
    NTAPI_REQUIRE(devices, err);
    NTAPI_REQUIRE(parallel, err);
    NTAPI_TRY(ntapi_options_read(&read, sizeof read, options, err));
    if (n_devices == 0 || n_devices > MOST_REPLICAS)
        return ntap_error_set(err, NTAP_ERROR_INVALID_ARGUMENT,
                              "n_devices is %zu; expected 1 to %d", n_devices, (int)MOST_REPLICAS);
    if (read.num_threads < 0)
        return ntap_error_set(err, NTAP_ERROR_INVALID_ARGUMENT,
                              "options.num_threads is %d; expected 0 or more", read.num_threads);
    if (ntap_module_replica_count(module) > 0)
        return ntap_error_set(err, NTAP_ERROR_INVALID_ARGUMENT, "module is data-parallel already");
    return make(module, devices, n_devices, read.num_threads, parallel, err);
}

ntap_status ntapi_new_data_parallel_like(const ntap_module *module, const ntap_module *like,
                                         ntap_module **parallel, ntap_error *err) {
    const ntapi_replica_threads *threads = (const ntapi_replica_threads *)capi_module_threads(like);
    return make(module, ntapi_replica_threads_devices(threads),
                ntapi_replica_threads_count(threads), ntapi_replica_threads_num_threads(threads),
                parallel, err);
}

ntap_status ntap_module_update_replicas(ntap_module *parallel, ntap_error *err) {
    NTAPI_REQUIRE(parallel, err);
    if (ntap_module_replica_count(parallel) == 0)
        return ntap_error_set(err, NTAP_ERROR_INVALID_ARGUMENT,
                              "parallel is not a data-parallel module");
    return capi_module_update_replicas(parallel, err);
}

/* ---- running ---- */

/* One replica's part of a call. */
typedef struct shard_run {
    ntap_value **args;
    ntap_value **results;
} shard_run;

typedef struct parallel_run {
    const ntap_module *module;
    const ntap_value *const *args;
    size_t n_args;
    const ntapi_parallel_call *call;
    ntapi_shards shards;
    ntap_device home; /* where results go */
    shard_run *runs;
    ntapi_shard_end *ends;
} parallel_run;

static ntap_status scatter(const parallel_run *p, size_t shard, ntap_value **args,
                           ntap_error *err) {
    const ntap_device device = ntapi_replica_threads_devices(
        (const ntapi_replica_threads *)capi_module_threads(p->module))[shard];
    for (size_t i = 0; i < p->n_args; ++i)
        NTAPI_TRY(capi_value_shard(p->args[i], p->shards.batch,
                                   ntapi_shard_first(&p->shards, shard),
                                   ntapi_shard_count(&p->shards, shard), device, &args[i], err));
    return NTAP_OK;
}

static void run_shard(size_t shard, void *context) {
    const parallel_run *p = (const parallel_run *)context;
    const shard_run *run = &p->runs[shard];
    ntapi_shard_end *end = &p->ends[shard];
    end->status = scatter(p, shard, run->args, &end->err);
    if (end->status == NTAP_OK)
        end->status = p->call->run(capi_module_replica(p->module, shard),
                                   (const ntap_value *const *)run->args, p->n_args,
                                   p->call->context, run->results, &end->err);
}

static void look_at_nothing(void *context) { (void)context; }

static ntap_status gather_result(const parallel_run *p, size_t result, const ntap_value **parts,
                                 int64_t *examples, ntap_value **gathered, ntap_error *err) {
    for (size_t i = 0; i < p->shards.count; ++i) {
        parts[i] = p->runs[i].results[result];
        examples[i] = ntapi_shard_count(&p->shards, i);
    }
    return capi_values_gather(parts, examples, p->shards.count, p->home, gathered, err);
}

static void free_values(ntap_value **values, size_t count) {
    for (size_t i = 0; values != NULL && i < count; ++i)
        ntap_value_free(values[i]);
    free(values);
}

/* All or nothing: the outputs are written when everything has succeeded. */
static ntap_status gather_results(const parallel_run *p, const ntap_value **parts,
                                  int64_t *examples, ntap_value **gathered, ntap_value **results,
                                  ntap_error *err) {
    for (size_t i = 0; i < p->call->n_results; ++i)
        NTAPI_TRY(gather_result(p, i, parts, examples, &gathered[i], err));
    memcpy(results, gathered, p->call->n_results * sizeof *results);
    memset(gathered, 0, p->call->n_results * sizeof *gathered);
    return NTAP_OK;
}

static ntap_status gather(const parallel_run *p, ntap_value **results, ntap_error *err) {
    const size_t n_results = p->call->n_results;
    ntap_value **gathered = (ntap_value **)calloc(n_results, sizeof *gathered);
    const ntap_value **parts = (const ntap_value **)calloc(p->shards.count, sizeof *parts);
    int64_t *examples = (int64_t *)calloc(p->shards.count, sizeof *examples);
    const ntap_status status = gathered == NULL || parts == NULL || examples == NULL
                                   ? ntap_error_set(err, NTAP_ERROR_OUT_OF_MEMORY, "out of memory")
                                   : gather_results(p, parts, examples, gathered, results, err);
    free_values(gathered, n_results);
    free(parts);
    free(examples);
    return status;
}

static ntap_status make_room(parallel_run *p, ntap_error *err) {
    p->runs = (shard_run *)calloc(p->shards.count, sizeof *p->runs);
    p->ends = (ntapi_shard_end *)calloc(p->shards.count, sizeof *p->ends);
    int failed = p->runs == NULL || p->ends == NULL;
    for (size_t i = 0; i < p->shards.count && !failed; ++i) {
        shard_run *run = &p->runs[i];
        run->args = (ntap_value **)calloc(p->n_args + 1, sizeof(ntap_value *));
        run->results = (ntap_value **)calloc(p->call->n_results, sizeof(ntap_value *));
        failed = run->args == NULL || run->results == NULL;
    }
    return failed ? ntap_error_set(err, NTAP_ERROR_OUT_OF_MEMORY, "out of memory") : NTAP_OK;
}

static void free_room(parallel_run *p) {
    for (size_t i = 0; p->runs != NULL && i < p->shards.count; ++i) {
        free_values(p->runs[i].args, p->n_args);
        free_values(p->runs[i].results, p->call->n_results);
    }
    free(p->runs);
    free(p->ends);
}

static ntap_status run_shards(parallel_run *p, ntap_value **results, ntap_error *err) {
    ntapi_replica_threads *threads = (ntapi_replica_threads *)capi_module_threads(p->module);
    ntapi_replica_work work = {run_shard, look_at_nothing, p, p->shards.count, 0, 0};
    ntapi_replica_threads_run(threads, &work);
    NTAPI_TRY(
        ntapi_shards_end(p->ends, p->shards.count, ntapi_replica_threads_devices(threads), err));
    return gather(p, results, err);
}

static ntap_status check_args(const ntap_value *const *args, size_t n_args, ntap_error *err) {
    if (n_args > 0)
        NTAPI_REQUIRE(args, err);
    for (size_t i = 0; i < n_args; ++i)
        if (args[i] == NULL)
            return ntap_error_set(err, NTAP_ERROR_INVALID_ARGUMENT, "args[%zu] is NULL", i);
    return NTAP_OK;
}

ntap_status ntapi_call_in_parallel(const ntap_module *module, const ntap_value *const *args,
                                   size_t n_args, const ntapi_parallel_call *call,
                                   ntap_value **results, ntap_error *err) {
    parallel_run p = {module, args, n_args, call, {0, 0, 0}, {NTAP_DEVICE_CPU, 0}, NULL, NULL};
    NTAPI_TRY(check_args(args, n_args, err));
    const int64_t batch = capi_values_batch(args, n_args, &p.home);
    p.shards = ntapi_shards_of(batch, ntap_module_replica_count(module));
    ntap_status status = make_room(&p, err);
    if (status == NTAP_OK)
        status = run_shards(&p, results, err);
    free_room(&p);
    return status;
}
