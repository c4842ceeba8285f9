/* SPDX-License-Identifier: Apache-2.0 */
/* workers.c – threads that come with the work and end when there is none. */
#include "internal.h"

#include "base/clock.h"

#include <stdlib.h>

struct worker {
    pthread_t thread;
    struct worker *next;
    struct grpc_workers *owner;
};

struct grpc_workers {
    size_t max_threads; /* fixed at creation */
    int64_t idle_ms;    /* fixed at creation */
    pthread_mutex_t lock;
    pthread_cond_t work;    /* the queue grew, or `stop` */
    pthread_cond_t gone;    /* `count` fell */
    struct pool_job *head;  /* lock */
    struct pool_job **tail; /* lock */
    size_t queued;          /* lock */
    size_t idle;            /* lock: threads that wait for work */
    size_t count;           /* lock: threads that have not ended */
    struct worker *ended;   /* lock: to be joined */
    bool stop;              /* lock */
};

/* Wait for a job. NULL: the thread is to end. */
static struct pool_job *next_job_locked(struct grpc_workers *workers)
{
    int64_t end_ms = clock_mono_ms() + workers->idle_ms;
    struct pool_job *job;
    bool is_late = false;

    while (workers->head == NULL) {
        /* The last thread stays: without memory for another one the queue still moves. */
        if (workers->stop || (is_late && workers->count > 1))
            return NULL;
        workers->idle++;
        if (is_late)
            (void)pthread_cond_wait(&workers->work, &workers->lock);
        else
            is_late = clock_cond_wait_until(&workers->work, &workers->lock, end_ms) == -ETIMEDOUT;
        workers->idle--;
    }
    job = workers->head;
    workers->head = job->next;
    if (workers->head == NULL)
        workers->tail = &workers->head;
    workers->queued--;
    return job;
}

static void *worker_main(void *arg)
{
    struct worker *self = arg;
    struct grpc_workers *workers = self->owner;
    LOCKED(&workers->lock);
    struct pool_job *job;

    while ((job = next_job_locked(workers)) != NULL) {
        (void)pthread_mutex_unlock(&workers->lock);
        job->run(job); /* the job may be gone now */
        (void)pthread_mutex_lock(&workers->lock);
    }
    self->next = workers->ended;
    workers->ended = self;
    workers->count--;
    (void)pthread_cond_broadcast(&workers->gone);
    return NULL;
}

/* The threads in this list are at their last instruction, so joining them takes no time to speak
 * of. */
static void join_all(struct worker *ended)
{
    while (ended != NULL) {
        struct worker *next = ended->next;

        (void)pthread_join(ended->thread, NULL);
        free(ended);
        ended = next;
    }
}

static int start_worker_locked(struct grpc_workers *workers)
{
    struct worker *worker = calloc(1, sizeof(*worker));
    int rc;

    if (worker == NULL)
        return -ENOMEM;
    worker->owner = workers;
    rc = thread_start(&worker->thread, "grpc-call", worker_main, worker);
    if (rc < 0)
        free(worker);
    else
        workers->count++;
    return rc;
}

int grpc_workers_new(size_t max_threads, int64_t idle_ms, struct grpc_workers **ret,
                     struct err *err)
{
    struct grpc_workers *workers = calloc(1, sizeof(*workers));
    int rc;

    if (workers == NULL)
        return err_set(err, -ENOMEM, "grpc workers: out of memory");
    workers->max_threads = max_threads == 0 ? 1 : max_threads;
    workers->idle_ms = idle_ms;
    workers->tail = &workers->head;
    (void)pthread_mutex_init(&workers->lock, NULL);
    (void)pthread_cond_init(&workers->gone, NULL);
    rc = clock_cond_init(&workers->work);
    if (rc == 0) {
        LOCKED(&workers->lock);
        rc = start_worker_locked(workers);
    }
    if (rc < 0) {
        grpc_workers_free(workers);
        return err_sys(err, rc, "grpc workers");
    }
    *ret = workers;
    return 0;
}

void grpc_workers_submit(struct grpc_workers *workers, struct pool_job *job)
{
    struct worker *ended;

    (void)pthread_mutex_lock(&workers->lock);
    job->next = NULL;
    *workers->tail = job;
    workers->tail = &job->next;
    workers->queued++;
    /* A thread that was woken but has not run yet still counts as idle, and has its job in the
     * queue. */
    if (workers->queued > workers->idle && workers->count < workers->max_threads)
        (void)start_worker_locked(
            workers); /* if not, a running one takes the job when it is free */
    (void)pthread_cond_signal(&workers->work);
    ended = TAKE(workers->ended);
    (void)pthread_mutex_unlock(&workers->lock);
    join_all(ended);
}

size_t grpc_workers_count(struct grpc_workers *workers)
{
    LOCKED(&workers->lock);

    return workers->count;
}

void grpc_workers_free(struct grpc_workers *workers)
{
    if (workers == NULL)
        return;
    (void)pthread_mutex_lock(&workers->lock);
    workers->stop = true;
    (void)pthread_cond_broadcast(&workers->work);
    while (workers->count > 0)
        (void)pthread_cond_wait(&workers->gone, &workers->lock);
    (void)pthread_mutex_unlock(&workers->lock);
    join_all(workers->ended);
    (void)pthread_cond_destroy(&workers->work);
    (void)pthread_cond_destroy(&workers->gone);
    (void)pthread_mutex_destroy(&workers->lock);
    free(workers);
}
