/* The threads of data-parallel modules. Works wait in a list, in the order in which they came; each
 * thread takes its part of each. The nodes of the list are on the stacks of the threads that wait.
 */
#include "replica_threads.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

typedef struct entry {
    const ntapi_replica_work *work;
    uint64_t number;
    size_t unfinished;
    struct entry *next;
} entry;

typedef struct replica_thread {
    pthread_t id;
    pthread_cond_t something_to_do;
    struct ntapi_replica_threads *all;
    size_t replica;
    uint64_t next; /* the first number of what it has not done */
} replica_thread;

struct ntapi_replica_threads {
    pthread_mutex_t lock; /* of everything here */
    pthread_cond_t news;
    uint64_t n_news;
    entry *first;
    uint64_t next_number;
    size_t holders;
    int ending;
    int num_threads;
    size_t count;
    ntap_device *devices;
    replica_thread threads[];
};

static _Thread_local int is_replica_thread;

/* ---- the threads ---- */

static entry *next_for(const replica_thread *thread) {
    entry *e = thread->all->first;
    while (e != NULL && (e->number < thread->next || e->work->count <= thread->replica))
        e = e->next;
    return e;
}

static void tell(ntapi_replica_threads *threads) {
    ++threads->n_news;
    (void)pthread_cond_broadcast(&threads->news);
}

static void run_one(replica_thread *thread, entry *e) {
    ntapi_replica_threads *threads = thread->all;
    const ntapi_replica_work *work = e->work;
    thread->next = e->number + 1;
    (void)pthread_mutex_unlock(&threads->lock);
    capi_set_own_num_threads(work->num_threads);
    work->run(thread->replica, work->context);
    (void)pthread_mutex_lock(&threads->lock);
    --e->unfinished;
    tell(threads);
}

static void *thread_main(void *context) {
    replica_thread *thread = (replica_thread *)context;
    ntapi_replica_threads *threads = thread->all;
    is_replica_thread = 1;
    (void)pthread_mutex_lock(&threads->lock);
    while (!threads->ending) {
        entry *e = next_for(thread);
        if (e != NULL)
            run_one(thread, e);
        else
            (void)pthread_cond_wait(&thread->something_to_do, &threads->lock);
    }
    (void)pthread_mutex_unlock(&threads->lock);
    return NULL;
}

/* ---- beginning and ending ---- */

/* Signals are for the program's own threads. */
static int start(replica_thread *thread) {
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    const int failed = pthread_create(&thread->id, NULL, thread_main, thread);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

static void end(ntapi_replica_threads *threads, size_t started) {
    (void)pthread_mutex_lock(&threads->lock);
    threads->ending = 1;
    for (size_t i = 0; i < started; ++i)
        (void)pthread_cond_signal(&threads->threads[i].something_to_do);
    (void)pthread_mutex_unlock(&threads->lock);
    for (size_t i = 0; i < started; ++i)
        (void)pthread_join(threads->threads[i].id, NULL);
    for (size_t i = 0; i < threads->count; ++i)
        (void)pthread_cond_destroy(&threads->threads[i].something_to_do);
    (void)pthread_cond_destroy(&threads->news);
    (void)pthread_mutex_destroy(&threads->lock);
    free(threads->devices);
    free(threads);
}

static ntapi_replica_threads *make(const ntap_device *devices, size_t count, int num_threads) {
    ntapi_replica_threads *made =
        (ntapi_replica_threads *)calloc(1, sizeof *made + count * sizeof made->threads[0]);
    ntap_device *copy = (ntap_device *)malloc(count * sizeof *copy);
    if (made == NULL || copy == NULL) {
        free(made);
        free(copy);
        return NULL;
    }
    memcpy(copy, devices, count * sizeof *copy);
    (void)pthread_mutex_init(&made->lock, NULL);
    (void)pthread_cond_init(&made->news, NULL);
    made->holders = 1;
    made->num_threads = num_threads;
    made->count = count;
    made->devices = copy;
    for (size_t i = 0; i < count; ++i) {
        made->threads[i].all = made;
        made->threads[i].replica = i;
        (void)pthread_cond_init(&made->threads[i].something_to_do, NULL);
    }
    return made;
}

ntap_status ntapi_replica_threads_new(const ntap_device *devices, size_t count, int num_threads,
                                      ntapi_replica_threads **threads, ntap_error *err) {
    ntapi_replica_threads *made = make(devices, count, num_threads);
    if (made == NULL)
        return ntap_error_set(err, NTAP_ERROR_OUT_OF_MEMORY, "out of memory");
    for (size_t i = 0; i < count; ++i) {
        if (start(&made->threads[i]) == 0)
            continue;
        end(made, i);
        return ntap_error_set(err, NTAP_ERROR_OUT_OF_MEMORY,
                              "the system has no thread for replica %zu of %zu", i, count);
    }
    *threads = made;
    return NTAP_OK;
}

const ntap_device *ntapi_replica_threads_devices(const ntapi_replica_threads *threads) {
    return threads->devices;
}

int ntapi_replica_threads_num_threads(const ntapi_replica_threads *threads) {
    return threads->num_threads;
}

size_t ntapi_replica_threads_count(const ntapi_replica_threads *threads) { return threads->count; }

ntapi_replica_threads *ntapi_replica_threads_hold(ntapi_replica_threads *threads) {
    (void)pthread_mutex_lock(&threads->lock);
    ++threads->holders;
    (void)pthread_mutex_unlock(&threads->lock);
    return threads;
}

void ntapi_replica_threads_release(void *threads) {
    ntapi_replica_threads *held = (ntapi_replica_threads *)threads;
    (void)pthread_mutex_lock(&held->lock);
    const size_t holders = --held->holders;
    (void)pthread_mutex_unlock(&held->lock);
    if (holders == 0)
        end(held, held->count);
}

/* ---- work ---- */

/* What each replica on the CPU gets. */
static int threads_for_each(const ntapi_replica_threads *threads, size_t count) {
    int on_cpu = 0;
    for (size_t i = 0; i < count; ++i)
        on_cpu += threads->devices[i].type == NTAP_DEVICE_CPU;
    const int available = threads->num_threads > 0 ? threads->num_threads : ntap_num_threads();
    if (on_cpu < 2)
        return available;
    return available > on_cpu ? available / on_cpu : 1;
}

static void run_here(ntapi_replica_work *work) {
    work->on_calling_thread = 1;
    for (size_t i = 0; i < work->count; ++i)
        work->run(i, work->context);
}

static void append(ntapi_replica_threads *threads, entry *e) {
    entry **place = &threads->first;
    while (*place != NULL)
        place = &(*place)->next;
    *place = e;
    e->number = threads->next_number++;
    for (size_t i = 0; i < e->work->count; ++i)
        (void)pthread_cond_signal(&threads->threads[i].something_to_do);
}

static void take_out(ntapi_replica_threads *threads, const entry *e) {
    entry **place = &threads->first;
    while (*place != e)
        place = &(*place)->next;
    *place = e->next;
}

static void wait_for(ntapi_replica_threads *threads, const entry *e) {
    uint64_t seen = threads->n_news;
    while (e->unfinished > 0) {
        while (seen == threads->n_news)
            (void)pthread_cond_wait(&threads->news, &threads->lock);
        seen = threads->n_news;
        (void)pthread_mutex_unlock(&threads->lock);
        e->work->look(e->work->context);
        (void)pthread_mutex_lock(&threads->lock);
    }
}

void ntapi_replica_threads_run(ntapi_replica_threads *threads, ntapi_replica_work *work) {
    if (work->count == 1 || is_replica_thread || capi_in_random_run()) {
        run_here(work);
        return;
    }
    work->on_calling_thread = 0;
    work->num_threads = threads_for_each(threads, work->count);
    entry e = {work, 0, work->count, NULL};
    (void)pthread_mutex_lock(&threads->lock);
    ++threads->holders; /* the work may let go of the others */
    append(threads, &e);
    wait_for(threads, &e);
    take_out(threads, &e);
    (void)pthread_mutex_unlock(&threads->lock);
    ntapi_replica_threads_release(threads);
}

void ntapi_replica_threads_tell(ntapi_replica_threads *threads, const ntapi_replica_work *work) {
    if (work->on_calling_thread) {
        work->look(work->context);
        return;
    }
    (void)pthread_mutex_lock(&threads->lock);
    tell(threads);
    (void)pthread_mutex_unlock(&threads->lock);
}
