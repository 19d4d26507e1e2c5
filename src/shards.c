/* How a batch is divided among replicas. */
#include "shards.h"

ntapi_shards ntapi_shards_of(int64_t batch, size_t n_replicas) {
    const int64_t n = (int64_t)n_replicas;
    if (batch <= 0)
        return (ntapi_shards){1, batch, batch};
    const int64_t size = (batch - 1) / n + 1;
    return (ntapi_shards){(size_t)((batch - 1) / size + 1), batch, size};
}

int64_t ntapi_shard_first(const ntapi_shards *shards, size_t shard) {
    return (int64_t)shard * shards->size;
}

int64_t ntapi_shard_count(const ntapi_shards *shards, size_t shard) {
    const int64_t left = shards->batch - ntapi_shard_first(shards, shard);
    return left < shards->size ? left : shards->size;
}

static ntap_status name_replica(const ntapi_shard_end *end, size_t replica, ntap_device device,
                                ntap_error *err) {
    if (device.type == NTAP_DEVICE_CPU)
        return ntap_error_set(err, end->status, "replica %zu (cpu): %s", replica, end->err.message);
    return ntap_error_set(err, end->status, "replica %zu (cuda:%d): %s", replica, (int)device.index,
                          end->err.message);
}

ntap_status ntapi_shards_end(const ntapi_shard_end *ends, size_t count, const ntap_device *devices,
                             ntap_error *err) {
    const ntapi_shard_end *failed = NULL;
    for (size_t i = 0; i < count; ++i)
        if (ends[i].status != NTAP_OK && (failed == NULL || (failed->gave_up && !ends[i].gave_up)))
            failed = &ends[i];
    if (failed == NULL)
        return NTAP_OK;
    return name_replica(failed, (size_t)(failed - ends), devices[failed - ends], err);
}
