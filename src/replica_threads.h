/**
 * @file replica_threads.h
 * @brief The threads of a data-parallel module: one for each replica, which live as long as it.
 */
#ifndef NEUROTAP_REPLICA_THREADS_H
#define NEUROTAP_REPLICA_THREADS_H

#include "internal.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ntapi_replica_threads ntapi_replica_threads;

/** Starts a thread for each replica.
 *  @param num_threads  the intra-op threads that those on the CPU share; 0: the calling thread's */
NTAP_MUST_CHECK ntap_status ntapi_replica_threads_new(const ntap_device *devices, size_t count,
                                                      int num_threads,
                                                      ntapi_replica_threads **threads,
                                                      ntap_error *err);

/** What it was made with. */
int ntapi_replica_threads_num_threads(const ntapi_replica_threads *threads);
const ntap_device *ntapi_replica_threads_devices(const ntapi_replica_threads *threads);
size_t ntapi_replica_threads_count(const ntapi_replica_threads *threads);

/** Others may hold on to them, too. The last to let go ends them. */
ntapi_replica_threads *ntapi_replica_threads_hold(ntapi_replica_threads *threads);
void ntapi_replica_threads_release(void *threads);

/** What is to be done once for each of the first replicas. */
typedef struct ntapi_replica_work {
    void (*run)(size_t replica, void *context);
    void (*look)(void *context); /* on the calling thread, after ntapi_replica_threads_tell() */
    void *context;
    size_t count;
    /* Set by ntapi_replica_threads_run(): */
    int on_calling_thread;
    int num_threads; /* of each */
} ntapi_replica_work;

/**
 * Runs the work on the replicas' threads, and waits for it. Several threads may do so at once:
 * their works queue up. On the calling thread it runs, one replica after the other, if there is
 * only one, if that thread is itself a replica's, or if others would wait for it.
 */
void ntapi_replica_threads_run(ntapi_replica_threads *threads, ntapi_replica_work *work);

/** From within the work: there is something to look at. */
void ntapi_replica_threads_tell(ntapi_replica_threads *threads, const ntapi_replica_work *work);

#ifdef __cplusplus
}
#endif

#endif /* NEUROTAP_REPLICA_THREADS_H */
