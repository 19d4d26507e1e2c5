/**
 * @file shards.h
 * @brief How a batch is divided among replicas.
 */
#ifndef NEUROTAP_SHARDS_H
#define NEUROTAP_SHARDS_H

#include "replica_threads.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A batch in parts of equal size but for the last, as torch.chunk makes them. */
typedef struct ntapi_shards {
    size_t count;
    int64_t batch; /* -1 if there is none: all in one */
    int64_t size;
} ntapi_shards;

ntapi_shards ntapi_shards_of(int64_t batch, size_t n_replicas);
int64_t ntapi_shard_first(const ntapi_shards *shards, size_t shard);
int64_t ntapi_shard_count(const ntapi_shards *shards, size_t shard);

/** How one shard ended. */
typedef struct ntapi_shard_end {
    ntap_status status;
    int gave_up; /* only because another failed */
    ntap_error err;
} ntapi_shard_end;

/** Fails with the first failure there is, and says which replica it was. */
NTAP_MUST_CHECK ntap_status ntapi_shards_end(const ntapi_shard_end *ends, size_t count,
                                             const ntap_device *devices, ntap_error *err);

#ifdef __cplusplus
}
#endif

#endif /* NEUROTAP_SHARDS_H */
