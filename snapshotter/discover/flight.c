/* SPDX-License-Identifier: Apache-2.0 */
/* flight.c – one flight per key: queued, running, settled; waiters share it. */
#include "discover/flight.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

enum flight_state {
    FLIGHT_QUEUED,
    FLIGHT_RUNNING,
    FLIGHT_SETTLED,
};

struct flight;

/* A flight is queued at most once in each class: who waits may overtake the background. */
struct flight_job {
    struct pool_job job;
    struct flight *flight; /* fixed at creation */
    bool submitted;        /* lock */
};

struct flight {
    struct flights *owner;     /* fixed at creation */
    char *key;                 /* fixed at creation */
    struct flight_task *task;  /* the runner's; NULL when it ran */
    struct flight_job jobs[2]; /* by enum pool_class */
    /* All below: owner's lock. */
    size_t refs; /* the list's, one per submitted job, one per waiter */
    enum flight_state state;
    bool listed;
    int64_t expires_ms;    /* of a settled failure */
    int64_t late_until_ms; /* who asks for the first time before this is not kept waiting */
    struct text_list askers;
    int rc;
    struct err err;
    void *result;
    TAILQ_ENTRY(flight) link;
};

struct flights {
    struct flights_options options; /* fixed at creation */
    pthread_mutex_t lock;
    pthread_cond_t settled;               /* some flight settled, or `stop` */
    TAILQ_HEAD(flight_list, flight) list; /* lock; last used first */
    size_t count;                         /* lock; length of the list */
    bool stop;                            /* lock */
};

static void flight_free(struct flight *f)
{
    if (f->result != NULL)
        f->owner->options.result_unref(f->result);
    if (f->task != NULL)
        f->task->free(f->task);
    text_list_fini(&f->askers);
    free(f->key);
    free(f);
}

/* Tells whether the caller must flight_free() it, without the lock. */
static bool unref_locked(struct flight *f)
{
    return --f->refs == 0;
}

static bool unlist_locked(struct flights *flights, struct flight *f)
{
    if (!f->listed)
        return false;
    TAILQ_REMOVE(&flights->list, f, link);
    flights->count--;
    f->listed = false;
    return unref_locked(f);
}

static void settle(struct flight *f, int rc, const struct err *err, void *result)
{
    struct flights *flights = f->owner;
    const struct flights_options *o = &flights->options;
    LOCKED(&flights->lock);

    f->state = FLIGHT_SETTLED;
    f->rc = rc;
    f->err = *err;
    f->result = result;
    f->expires_ms = o->now_ms(o->now_self) + o->failure_ttl_ms;
    /* The job that runs this holds a reference, so unlisting cannot be the end of it. */
    if ((rc >= 0 && !o->keep_success) || rc == -ENOMEM || rc == -ECANCELED)
        (void)unlist_locked(flights, f);
    (void)pthread_cond_broadcast(&flights->settled);
}

/* The task goes before the outcome is told: it holds a repository, which nobody should keep for the
 * sake of memory. */
static void flight_run(struct flight *f, bool canceled)
{
    struct err err = ERR_NONE;
    void *result = NULL;
    int rc =
        canceled ? err_set(&err, -ECANCELED, "stopping") : f->task->run(f->task, &result, &err);

    f->task->free(f->task);
    f->task = NULL;
    settle(f, rc, &err, result);
}

static void flight_job_run(struct pool_job *job)
{
    struct flight *f = ((struct flight_job *)job)->flight; /* job is the first member */
    struct flights *flights = f->owner;
    bool mine, stop, last;

    (void)pthread_mutex_lock(&flights->lock);
    mine = f->state == FLIGHT_QUEUED;
    stop = flights->stop;
    if (mine)
        f->state = FLIGHT_RUNNING;
    (void)pthread_mutex_unlock(&flights->lock);

    if (mine)
        flight_run(f, stop);

    (void)pthread_mutex_lock(&flights->lock);
    last = unref_locked(f);
    (void)pthread_mutex_unlock(&flights->lock);
    if (last)
        flight_free(f);
}

static void submit_locked(struct flight *f, enum pool_class job_class)
{
    if (f->state != FLIGHT_QUEUED || f->jobs[job_class].submitted)
        return;
    f->jobs[job_class].submitted = true;
    f->refs++;
    pool_submit(f->owner->options.pool, &f->jobs[job_class].job, job_class);
}

static bool has_asked_locked(const struct flight *f, const char *asker)
{
    for (size_t i = 0; asker != NULL && i < f->askers.count; i++) {
        if (strcmp(f->askers.items[i], asker) == 0)
            return true;
    }
    return false;
}

/* A failure that is too old, or that this asker knows. */
static bool is_stale_locked(const struct flights *flights, const struct flight *f,
                            const char *asker)
{
    const struct flights_options *o = &flights->options;

    return f->state == FLIGHT_SETTLED && f->rc < 0 &&
           (o->now_ms(o->now_self) >= f->expires_ms || has_asked_locked(f, asker));
}

/* The listed flight of `key`, moved to the front. A stale failure is unlisted: then *ret_dead may
 * be one to free. */
static struct flight *find_locked(struct flights *flights, const char *key, const char *asker,
                                  struct flight **ret_dead)
{
    struct flight *f;

    TAILQ_FOREACH(f, &flights->list, link)
    {
        if (strcmp(f->key, key) == 0)
            break;
    }
    if (f == NULL)
        return NULL;
    if (is_stale_locked(flights, f, asker)) {
        if (unlist_locked(flights, f))
            *ret_dead = f;
        return NULL;
    }
    TAILQ_REMOVE(&flights->list, f, link);
    TAILQ_INSERT_HEAD(&flights->list, f, link);
    return f;
}

/* Room for one more: -EAGAIN when all are under way. */
static int make_room_locked(struct flights *flights, struct flight **ret_dead)
{
    struct flight *f;

    if (flights->count < flights->options.max_entries)
        return 0;
    TAILQ_FOREACH_REVERSE(f, &flights->list, flight_list, link)
    {
        if (f->state != FLIGHT_SETTLED)
            continue;
        if (unlist_locked(flights, f))
            *ret_dead = f;
        return 0;
    }
    return -EAGAIN;
}

static struct flight *flight_new(struct flights *flights, const char *key)
{
    struct flight *f = calloc(1, sizeof(*f));

    if (f == NULL)
        return NULL;
    f->owner = flights;
    f->refs = 1;
    f->listed = true;
    for (size_t i = 0; i < ARRAY_LEN(f->jobs); i++) {
        f->jobs[i].job.run = flight_job_run;
        f->jobs[i].flight = f;
    }
    f->key = text_copy(key);
    if (f->key == NULL) {
        free(f);
        return NULL;
    }
    return f;
}

static bool is_late_locked(const struct flight *f)
{
    const struct flights_options *o = &f->owner->options;

    return f->state != FLIGHT_SETTLED && o->now_ms(o->now_self) < f->late_until_ms;
}

/* Somebody waited in vain: others of the same round need not. */
static void note_late_locked(struct flight *f)
{
    const struct flights_options *o = &f->owner->options;

    f->late_until_ms = o->now_ms(o->now_self) + o->failure_ttl_ms;
}

/* Whoever asks for a second time while it is late begins another round, and waits. */
static void note_asker_locked(struct flight *f, const char *asker)
{
    if (asker == NULL)
        return;
    if (is_late_locked(f) && has_asked_locked(f, asker)) {
        text_list_fini(&f->askers);
        f->askers = (struct text_list)TEXT_LIST_EMPTY;
        f->late_until_ms = 0;
    }
    /* Out of memory: it is answered from memory once more. */
    (void)!text_list_add(&f->askers, asker);
}

/* A new flight in the list, with *task. NULL: *ret_rc says why. */
static struct flight *add_locked(struct flights *flights, const char *key,
                                 struct flight_task **task, struct flight **ret_dead, int *ret_rc)
{
    struct flight *f;

    *ret_rc = flights->stop ? -ECANCELED : make_room_locked(flights, ret_dead);
    if (*ret_rc < 0)
        return NULL;
    f = flight_new(flights, key);
    if (f == NULL) {
        *ret_rc = -ENOMEM;
        return NULL;
    }
    f->task = TAKE(*task);
    TAILQ_INSERT_HEAD(&flights->list, f, link);
    flights->count++;
    return f;
}

static void drop_task(struct flight_task **task)
{
    if (*task != NULL)
        (*task)->free(*task);
    *task = NULL;
}

/* The flight of `key`, under way from now on unless it settled before, with a reference for the
 * caller. NULL: *ret_rc and err say why. */
static struct flight *join(struct flights *flights, const char *key, const char *asker,
                           struct flight_task **task, enum pool_class job_class, int *ret_rc,
                           struct err *err)
{
    struct flight *stale = NULL, *unused = NULL;
    struct flight *f;

    (void)pthread_mutex_lock(&flights->lock);
    f = find_locked(flights, key, asker, &stale);
    if (f == NULL)
        f = add_locked(flights, key, task, &unused, ret_rc);
    if (f != NULL) {
        note_asker_locked(f, asker);
        f->refs++;
        submit_locked(f, job_class);
    }
    (void)pthread_mutex_unlock(&flights->lock);

    if (stale != NULL)
        flight_free(stale);
    if (unused != NULL)
        flight_free(unused);
    drop_task(task);
    if (f == NULL)
        (void)err_sys(err, *ret_rc, "starting a look-up");
    return f;
}

static void leave(struct flights *flights, struct flight *f)
{
    bool last;

    (void)pthread_mutex_lock(&flights->lock);
    last = unref_locked(f);
    (void)pthread_mutex_unlock(&flights->lock);
    if (last)
        flight_free(f);
}

int flights_start(struct flights *flights, const char *key, struct flight_task **task,
                  struct err *err)
{
    int rc = 0;
    struct flight *f = join(flights, key, NULL, task, POOL_BACKGROUND, &rc, err);

    if (f == NULL)
        return rc;
    leave(flights, f);
    return 0;
}

static int no_answer(struct err *err)
{
    return err_set(err, -ETIMEDOUT, "no answer from the registry in time");
}

static int outcome_locked(struct flights *flights, struct flight *f, int64_t deadline_ms,
                          void **ret_result, struct err *err)
{
    int waited = 0;

    while (f->state != FLIGHT_SETTLED && !flights->stop && waited != -ETIMEDOUT)
        waited = clock_cond_wait_until(&flights->settled, &flights->lock, deadline_ms);
    if (f->state != FLIGHT_SETTLED)
        return flights->stop ? err_set(err, -ECANCELED, "stopping") : no_answer(err);
    if (f->rc < 0 && err != NULL)
        *err = f->err;
    if (f->rc >= 0 && ret_result != NULL)
        *ret_result = f->result == NULL ? NULL : flights->options.result_ref(f->result);
    return f->rc;
}

int flights_wait(struct flights *flights, const char *key, const char *asker,
                 struct flight_task **task, int64_t deadline_ms, void **ret_result, struct err *err)
{
    int rc = 0;
    struct flight *f = join(flights, key, asker, task, POOL_URGENT, &rc, err);

    if (f == NULL)
        return rc;
    (void)pthread_mutex_lock(&flights->lock);
    if (asker != NULL && is_late_locked(f)) {
        rc = no_answer(err);
    } else {
        rc = outcome_locked(flights, f, deadline_ms, ret_result, err);
        if (f->state != FLIGHT_SETTLED)
            note_late_locked(f);
    }
    (void)pthread_mutex_unlock(&flights->lock);
    leave(flights, f);
    return rc;
}

void flights_forget(struct flights *flights, const char *key)
{
    struct flight *dead = NULL;
    struct flight *f;

    (void)pthread_mutex_lock(&flights->lock);
    f = find_locked(flights, key, NULL, &dead);
    if (f != NULL && f->state == FLIGHT_SETTLED && unlist_locked(flights, f))
        dead = f;
    (void)pthread_mutex_unlock(&flights->lock);
    if (dead != NULL)
        flight_free(dead);
}

int flights_new(const struct flights_options *options, struct flights **ret, struct err *err)
{
    struct flights *flights = calloc(1, sizeof(*flights));
    int rc;

    if (flights == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    flights->options = *options;
    TAILQ_INIT(&flights->list);
    rc = clock_cond_init(&flights->settled);
    if (rc < 0) {
        free(flights);
        return err_sys(err, rc, "condition variable");
    }
    (void)pthread_mutex_init(&flights->lock, NULL);
    *ret = flights;
    return 0;
}

void flights_stop(struct flights *flights)
{
    LOCKED(&flights->lock);

    flights->stop = true;
    (void)pthread_cond_broadcast(&flights->settled);
}

void flights_free(struct flights *flights)
{
    struct flight *f;

    if (flights == NULL)
        return;
    while ((f = TAILQ_FIRST(&flights->list)) != NULL) {
        if (unlist_locked(flights, f)) /* no other thread is left */
            flight_free(f);
    }
    (void)pthread_cond_destroy(&flights->settled);
    (void)pthread_mutex_destroy(&flights->lock);
    free(flights);
}
