/* SPDX-License-Identifier: Apache-2.0 */
/* threads.h – a fixed pool of threads that runs jobs, urgent ones first. */
#ifndef BASE_THREADS_H
#define BASE_THREADS_H

#include "base/attr.h"
#include "base/cleanup.h"
#include "base/err.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

static inline void scoped_unlock(pthread_mutex_t *const *lock)
{
    if (*lock != NULL)
        (void)pthread_mutex_unlock(*lock);
}

/* Hold `mutex` to the end of the enclosing block. */
#define LOCKED_2(mutex, line)                                                                      \
    __attribute__((cleanup(scoped_unlock), unused)) pthread_mutex_t *locked_##line =               \
        ((void)pthread_mutex_lock(mutex), (mutex))
#define LOCKED_1(mutex, line) LOCKED_2(mutex, line)
#define LOCKED(mutex) LOCKED_1(mutex, __LINE__)

/* A job lives in its owner's storage from pool_submit() until run() was entered; run() may free it.
 */
struct pool_job {
    void (*run)(struct pool_job *job);
    struct pool_job *next; /* the pool's */
};

enum pool_class {
    POOL_URGENT,     /* someone waits for the result */
    POOL_BACKGROUND, /* taken when nothing urgent is queued; never fills the last free thread */
};

struct pool;

/* `count` threads (at least 1), named `name` (15 characters are kept). They block all signals. */
MUST_CHECK int pool_new(const char *name, size_t count, struct pool **ret, struct err *err);
/* Never fails and never blocks on a job. Every submitted job runs, also those queued at
 * pool_free(). */
void pool_submit(struct pool *pool, struct pool_job *job, enum pool_class job_class);
/* Run what is queued, join the threads, free. NULL is fine. Not from a job. */
void pool_free(struct pool *pool);
DEFINE_SCOPED_PTR(pool, struct pool, pool_free)

/* One named thread with all signals blocked: 0 or a negative errno. */
MUST_CHECK int thread_start(pthread_t *ret, const char *name, void *(*run)(void *), void *arg);

#endif
