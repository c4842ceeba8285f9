/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h – what the files of span/ share: the engine's objects and who may touch them when.
 *
 *   want.c      a reader comes, and is told          schedule.c  which GET starts next
 *   get.c       a GET, from made to gone             pace.c      how much background the link takes
 *   transfer.c  a GET and its source                 keeper.c    what waits for clock or disk
 *   inflate.c   its bytes, into the data file        check.c     spans of an earlier process
 *   set.c, engine.c  opening and closing             wait.c      reads that block
 *   prefer.c    what will be wanted                  trace.c     what was wanted
 *   behind.c    what is behind the tar
 *
 * One lock, span_engine->lock, guards the engine and all its sets: events are as rare as spans, and
 * all that happens under it is flipping states and moving list entries. Reads of spans that are
 * present do not take it. Under it nothing is called but layout functions that are pure lookups
 * (count, at, find) and base/. */
#ifndef SPAN_INTERNAL_H
#define SPAN_INTERNAL_H

#include "span/span.h"

#include "base/log.h"
#include "base/threads.h"

#include <pthread.h>

enum span_state {
    SPAN_MISSING,
    SPAN_FETCHING,  /* in a GET that is queued or under way */
    SPAN_INFLATING, /* its bytes arrived */
    SPAN_RECORDED,  /* an earlier process says that it is in the file */
    SPAN_CHECKING,  /* that is being checked */
    SPAN_PRESENT,
};

/* A source, and how many GETs still use it. One that was replaced is closed when they are gone. */
struct span_source_ref {
    struct span_source source;    /* fixed at creation */
    struct span_set *set;         /* fixed at creation */
    size_t users;                 /* engine->lock */
    struct span_source_ref *next; /* engine->lock; in engine->retired */
};

struct span_get;

/* One span of a GET that arrived: verify, inflate, write. It may be submitted once in each class (a
 * reader can come for what was background work); whoever runs first does it. */
struct span_task {
    struct pool_job jobs[2];  /* by enum pool_class */
    struct span_get *get;     /* fixed at creation */
    size_t n;                 /* fixed at creation */
    bool submitted[2];        /* engine->lock; by enum pool_class */
    bool claimed;             /* engine->lock */
    uint64_t uncomp_done_end; /* engine->lock; the tar is in the file up to here */
};

enum span_get_phase { GET_QUEUED, GET_STARTING, GET_UNDER_WAY, GET_ARRIVED };

/* One GET: adjacent spans of one set, from queued until the last of them is inflated. */
struct span_get {
    struct span_fetch fetch; /* the source's view; buf is mapped when the GET starts */
    struct span_set *set;    /* fixed at creation, as first, count and tries */
    size_t first, count;
    unsigned tries;                 /* GETs of these spans before whose bytes did not match */
    struct span_source_ref *source; /* set once, when it leaves the queue */
    uint64_t number;                /* set with it: the how manieth GET this is */
    int64_t started_ms;             /* set with it */
    enum span_get_phase phase;      /* engine->lock, as all below */
    bool urgent;                    /* a reader waits */
    bool preferred;                 /* fetched ahead because it is preferred */
    size_t received_bytes;          /* so far, as the source tells */
    int64_t last_ms;                /* when some came last, or it was started */
    bool stalled;                   /* nothing came for a while: no part of flowing_gets */
    bool started;                   /* start() succeeded, release() is due */
    bool cancelled;
    size_t holds;          /* the GET itself until it arrived, its tasks, callers in between */
    struct span_get *next; /* in engine->queue */
    struct span_get *next_of_set;
    int rc; /* of the fetch, with its text: written before failed_job is submitted */
    struct err err;
    struct pool_job failed_job;
    struct span_task tasks[];
};

/* How fast bytes come, and how far away they are. Time is passed in. */
struct span_pace {
    size_t receiving; /* GETs of which some bytes have come, and more will */
    int64_t last_ms;  /* when some came last */
    int64_t window_ms;
    uint64_t window_bytes;
    uint64_t bytes_per_s;        /* 0: not known yet */
    int64_t round_trip_ms;       /* 0: not known yet */
    int extra;                   /* so many GETs more than a full link needs */
    int trying;                  /* what `extra` was changed by for this window */
    uint64_t before_bytes_per_s; /* without that */
    bool is_growing, was_down;   /* what the last try came to, and what it was */
    unsigned rest_windows;       /* before the next one */
    unsigned windows;
};
/* The first bytes of a GET came, after so long. */
void span_pace_begun(struct span_pace *pace, int64_t waited_ms, int64_t now_ms);
void span_pace_came(struct span_pace *pace, uint64_t bytes, int64_t now_ms);
void span_pace_ended(struct span_pace *pace); /* one that had begun */
/* With so many GETs under way and so many bytes of them to come, another one would come no sooner
 * by being asked for now. */
bool span_pace_is_full(const struct span_pace *pace, size_t gets, uint64_t left_bytes);
uint64_t span_pace_get_bytes(const struct span_pace *pace); /* of a GET of background */

struct span_engine {
    struct span_engine_options options; /* fixed at creation; defaults filled in */
    struct pool *pool;                  /* fixed at creation */
    pthread_t keeper;                   /* fixed at creation */

    pthread_mutex_t lock;        /* guards all below and every set */
    pthread_cond_t keeper_wake;  /* a deadline moved, a source retired, or `stop` */
    pthread_cond_t idle;         /* some set's `busy` or `users` became 0 */
    struct span_set *sets;       /* the one that a reader missed in last comes first */
    struct span_get *queue;      /* wanted GETs that wait for memory, first come first */
    struct span_get **queue_end; /* where the next one is linked */
    size_t wanted_under_way;
    size_t background_under_way;
    size_t flowing_gets;      /* under way, of both kinds, but those that stalled */
    uint64_t left_bytes;      /* of those, to come */
    int64_t look_at_ms;       /* then it is seen which of them stalled; 0: nothing is held back */
    uint64_t memory_bytes;    /* of all GETs from start to gone */
    uint64_t started;         /* GETs so far */
    int64_t background_at_ms; /* no background GET before; 0: any time */
    struct span_pace pace;
    struct span_source_ref *retired; /* without users, to be closed by the keeper */
    size_t users;                    /* threads that still schedule after their GET is gone */
    bool stop;
    struct log_limit damaged_log, refused_log, background_log, sync_log;
};

struct span_set {
    struct span_engine *engine; /* fixed at creation, as the next nine */
    char *name;
    struct span_layout layout;
    struct span_file *file;
    struct metrics_layer *metrics;
    void (*completed)(void *arg);
    void *completed_arg;
    size_t span_count;
    uint64_t uncomp_bytes;
    uint8_t *state; /* [span_count] enum span_state; engine->lock to write, atomic to read */

    int64_t *echo_until_ms; /* engine->lock. [span_count]: it failed a moment ago */
    bool *refused;          /* engine->lock, as all below. [span_count]: its bytes were no good */
    struct span_source_ref *source; /* the one in use */
    struct span_want *wants;        /* that wait */
    struct span_get *gets;          /* queued, under way or being inflated */
    uint64_t memory_bytes;          /* of its GETs from start to gone */
    size_t busy;                    /* GETs, checks, the keeper's work, retired sources */
    bool closing;
    size_t missing;         /* spans that are neither recorded nor present */
    uint64_t present_bytes; /* compressed bytes of the others */
    struct err last_error;
    int64_t last_error_ms; /* on clock_wall_ms() */

    bool background;          /* started */
    bool exhausted;           /* a whole turn found nothing for the background */
    size_t cursor;            /* where the background goes on */
    int64_t background_at_ms; /* not before */
    int64_t backoff_ms;       /* 0: the last fetch went well */

    uint32_t *rank;                   /* [span_count], SPAN_RANK_NONE: not preferred; NULL: none */
    struct span_preferred *preferred; /* [span_count]; in the order of ranks */
    size_t preferred_count;
    size_t preferred_at;        /* those before it are not missing */
    size_t preferred_under_way; /* GETs */

    bool traced;                    /* atomic: `traces` is not NULL */
    struct span_trace_link *traces; /* who wants to know what is read */

    struct span_behind *behind; /* of behind.c, while it is fetched */
    bool behind_cancelled;      /* and it will be fetched no more */

    size_t unsynced;    /* spans added since the last sync began */
    int64_t sync_at_ms; /* 0: nothing to sync */
    struct span_set *next;
};

/* ---- set.c ----------------------------------------------------------------------------------- */

enum span_state span_state_of(const struct span_set *set, size_t n); /* with or without the lock */
/* Keeps the sums right. */
void span_set_state_locked(struct span_set *set, size_t n, enum span_state state);
void span_set_error_locked(struct span_set *set, const struct err *err); /* NULL: all is well */
void span_set_unbusy_locked(
    struct span_set *set); /* the set may be gone once the lock is released */

/* ---- want.c: who waits for a span ------------------------------------------------------------ */

/* The collect functions move wants that are settled to *ready, which span_deliver() tells,
 * unlocked. */
bool span_is_wanted_locked(const struct span_set *set, size_t n);
void span_collect_present_locked(struct span_set *set, size_t n, struct span_want **ready);
void span_collect_up_to_locked(struct span_set *set, size_t n, uint64_t uncomp_end,
                               struct span_want **ready);
/* Those that came before GET `number` was started; UINT64_MAX: all. */
void span_collect_failed_locked(struct span_set *set, size_t n, uint64_t number, int rc,
                                struct span_want **ready);
void span_collect_all_locked(struct span_set *set, int rc, struct span_want **ready);
void span_deliver(struct span_want *ready,
                  const struct err *err); /* err is for those that failed */

/* ---- get.c ----------------------------------------------------------------------------------- */

/* Spans first … first+count-1 go to SPAN_FETCHING. NULL: out of memory, they stay. */
struct span_get *span_get_new_locked(struct span_set *set, size_t first, size_t count, bool urgent,
                                     unsigned tries);
/* A reader waits for span n: fetch it alone, first come first. -ENOMEM. */
MUST_CHECK int span_fetch_again_locked(struct span_set *set, size_t n, unsigned tries);
/* The GET of the set that holds span n; NULL: none. */
struct span_get *span_get_find_locked(const struct span_set *set, size_t n);
/* A reader came for span n of it. */
void span_get_promote_locked(struct span_get *get, size_t n);
void span_get_put(struct span_get *get); /* gives up one hold */
/* Gives up one hold, then starts what has room now. The set may be gone afterwards. */
void span_get_put_and_schedule(struct span_get *get);
void span_source_unref_locked(struct span_source_ref *ref);

/* ---- transfer.c ------------------------------------------------------------------------------ */

void span_get_start(struct span_get *get); /* chosen by span_schedule() */
void span_run_failed(struct pool_job *job);
/* Takes queued GETs out and cancels the others; their done() is still to come. */
void span_gets_cancel(struct span_set *set);

/* ---- schedule.c ------------------------------------------------------------------------------ */

void span_queue_locked(struct span_engine *engine, struct span_get *get);
struct span_get *span_unqueue_locked(struct span_engine *engine,
                                     const struct span_set *set); /* NULL: no more */
void span_account_start_locked(struct span_get *get);
void span_account_arrival_locked(struct span_get *get);
/* So many bytes more. True: the background may have been waiting for that. */
bool span_account_progress_locked(struct span_get *get, size_t len);
/* Take GETs to which nothing comes out of account. True: there were some, now others may start. */
bool span_look_for_stalled_locked(struct span_engine *engine, int64_t now_ms);
void span_schedule(struct span_engine *engine); /* starts all that may start now */
/* The engine outlives its sets, but maybe not by much: between enter and leave it stays. */
void span_engine_enter(struct span_engine *engine);
void span_schedule_and_leave(struct span_engine *engine);
/* The background leaves the set alone for a while, longer each time until a span arrives. */
void span_back_off_locked(struct span_set *set);
/* No background GET of any set starts for so long; less than what is left already does nothing. */
void span_hold_background_locked(struct span_engine *engine, int64_t for_ms);
void span_log_background(struct span_set *set, int64_t retry_ms,
                         const struct err *err); /* rate limited */

/* ---- prefer.c -------------------------------------------------------------------------------- */

/* The preferred span that is to be fetched next; NULL: none is. */
const struct span_preferred *span_preferred_next_locked(struct span_set *set);
/* How many spans from there on make up a GET of up to so many bytes; at least one. */
size_t span_preferred_run_locked(const struct span_set *set, const struct span_preferred *head,
                                 uint64_t budget_bytes);

/* ---- trace.c --------------------------------------------------------------------------------- */

/* A reader asks for spans first … last. */
void span_trace_note(struct span_set *set, size_t first, size_t last);
void span_trace_forget_set_locked(struct span_set *set); /* it is being closed */

/* ---- inflate.c, check.c, keeper.c ------------------------------------------------------------ */

void span_task_submit_locked(struct span_task *task, enum pool_class job_class);
/* -EBADMSG: these are not the span's bytes. */
MUST_CHECK int span_verify(struct bytes comp, const struct span_info *info, struct err *err);
MUST_CHECK int span_check_start_locked(struct span_set *set, size_t n); /* -ENOMEM */
void *span_keeper_main(void *engine);
void span_note_unsynced_locked(struct span_set *set);

#endif
