/* SPDX-License-Identifier: Apache-2.0 */
/* threads.c – the job pool. */
#include "base/threads.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

struct job_queue {
    struct pool_job *head;
    struct pool_job **tail;
};

struct pool {
    size_t count;       /* fixed at creation: threads that were started */
    pthread_t *threads; /* fixed at creation */
    pthread_mutex_t lock;
    pthread_cond_t work;        /* a queue grew, a background job ended, or `stop` */
    struct job_queue queues[2]; /* lock; by enum pool_class */
    size_t background_running;  /* lock */
    bool stop;                  /* lock */
};

static struct pool_job *queue_pop(struct job_queue *queue)
{
    struct pool_job *job = queue->head;

    if (job == NULL)
        return NULL;
    queue->head = job->next;
    if (queue->head == NULL)
        queue->tail = &queue->head;
    return job;
}

/* With more than one thread, one is kept free for urgent jobs while the pool is open. */
static bool may_run_background_locked(const struct pool *pool)
{
    return pool->count == 1 || pool->stop || pool->background_running + 1 < pool->count;
}

static void run_one_locked(struct pool *pool, struct pool_job *job, bool background)
{
    if (background)
        pool->background_running++;
    (void)pthread_mutex_unlock(&pool->lock);
    job->run(job); /* the job may be gone now */
    (void)pthread_mutex_lock(&pool->lock);
    if (background) {
        pool->background_running--;
        (void)pthread_cond_signal(&pool->work);
    }
}

static void *pool_main(void *arg)
{
    struct pool *pool = arg;
    LOCKED(&pool->lock);

    for (;;) {
        struct pool_job *job = queue_pop(&pool->queues[POOL_URGENT]);

        if (job != NULL) {
            run_one_locked(pool, job, false);
            continue;
        }
        if (may_run_background_locked(pool))
            job = queue_pop(&pool->queues[POOL_BACKGROUND]);
        if (job != NULL) {
            run_one_locked(pool, job, true);
            continue;
        }
        if (pool->stop && pool->queues[POOL_BACKGROUND].head == NULL)
            return NULL;
        (void)pthread_cond_wait(&pool->work, &pool->lock);
    }
}

int thread_start(pthread_t *ret, const char *name, void *(*run)(void *), void *arg)
{
    sigset_t all, old;
    char short_name[16] = "";
    int rc;
    size_t i;

    for (i = 0; i + 1 < sizeof(short_name) && name[i] != '\0'; i++)
        short_name[i] = name[i];
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    rc = pthread_create(ret, NULL, run, arg);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc == 0)
        (void)pthread_setname_np(*ret, short_name);
    return -rc;
}

int pool_new(const char *name, size_t count, struct pool **ret, struct err *err)
{
    struct pool *pool = calloc(1, sizeof(*pool));
    int rc = 0;

    if (count == 0)
        count = 1;
    if (pool == NULL || (pool->threads = calloc(count, sizeof(*pool->threads))) == NULL) {
        free(pool);
        return err_set(err, -ENOMEM, "thread pool %s: out of memory", name);
    }
    (void)pthread_mutex_init(&pool->lock, NULL);
    (void)pthread_cond_init(&pool->work, NULL);
    pool->queues[POOL_URGENT].tail = &pool->queues[POOL_URGENT].head;
    pool->queues[POOL_BACKGROUND].tail = &pool->queues[POOL_BACKGROUND].head;
    (void)pthread_mutex_lock(&pool->lock); /* the threads see the final count */
    while (pool->count < count && rc == 0) {
        rc = thread_start(&pool->threads[pool->count], name, pool_main, pool);
        if (rc == 0)
            pool->count++;
    }
    (void)pthread_mutex_unlock(&pool->lock);
    if (rc < 0) {
        pool_free(pool);
        return err_sys(err, rc, "thread pool %s", name);
    }
    *ret = pool;
    return 0;
}

void pool_submit(struct pool *pool, struct pool_job *job, enum pool_class job_class)
{
    struct job_queue *queue = &pool->queues[job_class];
    LOCKED(&pool->lock);

    job->next = NULL;
    *queue->tail = job;
    queue->tail = &job->next;
    (void)pthread_cond_signal(&pool->work);
}

void pool_free(struct pool *pool)
{
    size_t i;

    if (pool == NULL)
        return;
    (void)pthread_mutex_lock(&pool->lock);
    pool->stop = true;
    (void)pthread_cond_broadcast(&pool->work);
    (void)pthread_mutex_unlock(&pool->lock);
    for (i = 0; i < pool->count; i++)
        (void)pthread_join(pool->threads[i], NULL);
    (void)pthread_cond_destroy(&pool->work);
    (void)pthread_mutex_destroy(&pool->lock);
    free(pool->threads);
    free(pool);
}
