/* SPDX-License-Identifier: Apache-2.0 */
/* checker.c – the thread that checks whole layers, one after the other, when nothing else is to do.
 *
 * A layer is in its hands without a reference: who closes it takes it back first, which waits for a
 * piece of a file to be read, or for a fetch that is cancelled. So a check holds nothing open. */
#include "layer/internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    NICE_LAST = 19,
    RETRY_FIRST_MS = 10 * 1000,
    RETRY_LAST_MS = 10 * 60 * 1000,
    READERS_WAIT_MS = 50,
    READERS_WAITS_MAX = 20, /* a registry that hangs for one image must not stop this for good */
};

/* ---- waiting --------------------------------------------------------------------------------- */

static bool is_cancelled(struct checker *c)
{
    LOCKED(&c->lock);
    return c->cancel || c->stop;
}

static void wait_a_little(struct checker *c)
{
    int64_t deadline_ms = clock_mono_ms() + READERS_WAIT_MS;
    LOCKED(&c->lock);

    if (!c->cancel && !c->stop)
        (void)clock_cond_wait_until(&c->changed, &c->lock, deadline_ms);
}

/* Between two pieces: readers go first. */
static bool pause_for_readers(void *self)
{
    struct checker *c = self;

    for (int i = 0; i < READERS_WAITS_MAX && !is_cancelled(c); i++) {
        struct span_engine_status status;

        span_engine_get_status(c->engine, &status);
        if (status.waiting_readers == 0)
            break;
        wait_a_little(c);
    }
    return is_cancelled(c);
}

/* ---- what is found --------------------------------------------------------------------------- */

static void refuse(struct checker *c, struct layer *layer, const struct layer_claim *claim,
                   const struct whole_finding *finding, const struct err *why)
{
    struct err err = ERR_NONE;
    struct digest identity;
    int rc = claim_identity(claim, &identity);

    if (rc == 0)
        rc = store_refuse(c->store, &layer->digest, &layer->ztoc_digest,
                          finding->is_of_claim ? &identity : NULL, err_text(why), &err);
    if (rc < 0)
        log_warn("a layer that is refused may be served again after a restart", "err=%s",
                 err_text(&err));
}

static void set_passed_locked(struct layer *layer, const struct digest *diff_id)
{
    layer->check.state = CHECK_PASSED;
    layer->check.claim = (struct layer_claim){.kind = LAYER_CLAIM_DIFF_ID, .digest = *diff_id};
}

/* The layer is not closed yet: it is current. */
static void note(struct checker *c, struct layer *layer, enum check_state state,
                 const struct whole_finding *finding, const struct err *why)
{
    void (*told)(void *arg, struct layer *l, enum layer_check check, const struct err *e);
    void *arg;

    {
        LOCKED(&c->lock);
        layer->check.state = state;
        if (state == CHECK_PASSED)
            set_passed_locked(layer, &finding->diff_id);
        layer->check.needs_daemon = finding->needs_daemon;
        layer->check.why = *why;
        layer->check.why_ms = clock_wall_ms();
        told = c->told;
        arg = c->told_arg;
        c->telling = told != NULL;
    }
    if (told == NULL)
        return;
    told(arg, layer, state == CHECK_PASSED ? LAYER_CHECKED : LAYER_REFUSED, why);
    {
        LOCKED(&c->lock);
        c->telling = false;
        (void)pthread_cond_broadcast(&c->changed);
    }
}

/* Another time. */
static void put_back(struct checker *c, struct layer *layer)
{
    LOCKED(&c->lock);
    struct check *check = &layer->check;

    if (c->cancel) {
        check->state = CHECK_CLOSED;
        return;
    }
    check->retry_ms = check->retry_ms == 0 ? RETRY_FIRST_MS : 2 * check->retry_ms;
    if (check->retry_ms > RETRY_LAST_MS)
        check->retry_ms = RETRY_LAST_MS;
    check->at_ms = check->is_complete_again ? 0 : clock_mono_ms() + check->retry_ms;
    check->state = CHECK_QUEUED;
    TAILQ_INSERT_TAIL(&c->queue, layer, check.link);
}

static void check_one(struct checker *c, struct layer *layer, const struct layer_claim *claim)
{
    const struct whole_pause pause = {.wait = pause_for_readers, .self = c};
    int64_t start_ms = clock_mono_ms();
    struct whole_finding finding = {.is_of_claim = false};
    char name[DIGEST_TEXT_BYTES];
    struct err err = ERR_NONE;
    int rc = layer_check_whole(layer, claim, &pause, &finding, &err);

    digest_format(&layer->digest, name);
    if (rc == -EBADMSG) {
        log_error("a layer is not what its image says, and its index will not be used again",
                  "layer=%s err=%s", name, err_text(&err));
        metrics_count(layer->metrics, METRICS_LAYERS_REFUSED, 1);
        refuse(c, layer, claim, &finding, &err);
        note(c, layer, CHECK_FAILED, &finding, &err);
        return;
    }
    if (rc == 0 && !finding.needs_daemon)
        rc = span_file_set_checked(layer->file, &finding.diff_id, &err);
    if (rc == 0) {
        log_debug("a layer is what its image says", "layer=%s took_ms=%lld", name,
                  (long long)(clock_mono_ms() - start_ms));
        metrics_count(layer->metrics, METRICS_LAYERS_CHECKED, 1);
        note(c, layer, CHECK_PASSED, &finding, &err);
        return;
    }
    if (rc != -ECANCELED)
        log_debug("a layer could not be checked, trying again later", "layer=%s err=%s", name,
                  err_text(&err));
    put_back(c, layer);
}

/* ---- the thread ------------------------------------------------------------------------------ */

static struct layer *first_due_locked(struct checker *c, int64_t *ret_next_ms)
{
    int64_t now_ms = clock_mono_ms();
    struct layer *layer;

    *ret_next_ms = INT64_MAX;
    TAILQ_FOREACH(layer, &c->queue, check.link)
    {
        if (layer->check.at_ms <= now_ms)
            return layer;
        if (layer->check.at_ms < *ret_next_ms)
            *ret_next_ms = layer->check.at_ms;
    }
    return NULL;
}

/* NULL: stop. */
static struct layer *next(struct checker *c, struct layer_claim *ret_claim)
{
    struct layer *layer = NULL;
    int64_t next_ms;
    LOCKED(&c->lock);

    while (!c->stop && (layer = first_due_locked(c, &next_ms)) == NULL) {
        if (next_ms == INT64_MAX)
            (void)pthread_cond_wait(&c->changed, &c->lock);
        else
            (void)clock_cond_wait_until(&c->changed, &c->lock, next_ms);
    }
    if (layer == NULL || c->stop)
        return NULL;
    TAILQ_REMOVE(&c->queue, layer, check.link);
    layer->check.state = CHECK_RUNNING;
    layer->check.is_complete_again = false;
    c->current = layer;
    c->cancel = false;
    *ret_claim = layer->check.claim;
    return layer;
}

static void leave(struct checker *c)
{
    LOCKED(&c->lock);

    c->current = NULL;
    (void)pthread_cond_broadcast(&c->changed);
}

/* Behind all that anybody waits for. Best effort: where it is not allowed it is only impolite. */
static void be_last(void)
{
    enum { IOPRIO_WHO_PROCESS = 1, IOPRIO_IDLE = 3 << 13 };

    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICE_LAST);
    (void)syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_IDLE);
}

static void *run(void *arg)
{
    struct checker *c = arg;
    struct layer_claim claim;
    struct layer *layer;

    be_last();
    while ((layer = next(c, &claim)) != NULL) {
        check_one(c, layer, &claim);
        leave(c);
    }
    return NULL;
}

/* ---- from outside ---------------------------------------------------------------------------- */

int checker_init(struct checker *c, struct store *store, struct span_engine *engine)
{
    *c = (struct checker){.store = store, .engine = engine};
    TAILQ_INIT(&c->queue);
    if (clock_cond_init(&c->changed) < 0)
        return -ENOMEM;
    (void)pthread_mutex_init(&c->lock, NULL);
    return 0;
}

void checker_fini(struct checker *c)
{
    {
        LOCKED(&c->lock);
        c->stop = true;
        (void)pthread_cond_broadcast(&c->changed);
    }
    if (c->is_started)
        (void)pthread_join(c->thread, NULL);
    (void)pthread_cond_destroy(&c->changed);
    (void)pthread_mutex_destroy(&c->lock);
}

/* The first time that there is something to do. */
static bool start_locked(struct checker *c)
{
    if (!c->is_started)
        c->is_started = thread_start(&c->thread, "layer-check", run, c) == 0;
    return c->is_started;
}

void checker_add(struct checker *c, struct layer *layer)
{
    struct digest ignored;
    bool is_complete = span_set_is_complete(layer->spans);
    bool is_recorded = span_file_is_checked(layer->file, &ignored);
    LOCKED(&c->lock);

    if (!is_complete || layer->check.claim.kind == LAYER_CLAIM_NONE)
        return;
    if (layer->check.state == CHECK_PASSED && !is_recorded && !layer->check.needs_daemon)
        layer->check.state = CHECK_IDLE; /* a span was damaged, and has come again */
    layer->check.is_complete_again = true;
    if (layer->check.state == CHECK_QUEUED)
        layer->check.at_ms = 0; /* what it waited for is there perhaps */
    else if (layer->check.state != CHECK_IDLE || !start_locked(c))
        return;
    else
        TAILQ_INSERT_TAIL(&c->queue, layer, check.link);
    layer->check.state = CHECK_QUEUED;
    (void)pthread_cond_broadcast(&c->changed);
}

void checker_set_passed(struct checker *c, struct layer *layer, const struct digest *diff_id)
{
    LOCKED(&c->lock);

    if (layer->check.state == CHECK_IDLE)
        set_passed_locked(layer, diff_id);
}

struct layer_claim checker_claim(struct checker *c, struct layer *layer,
                                 const struct layer_claim *claim)
{
    LOCKED(&c->lock);

    if (layer->check.claim.kind == LAYER_CLAIM_NONE)
        layer->check.claim = *claim;
    return layer->check.claim;
}

void checker_forget(struct checker *c, struct layer *layer)
{
    bool is_current;

    {
        LOCKED(&c->lock);
        is_current = c->current == layer;
        if (layer->check.state == CHECK_QUEUED)
            TAILQ_REMOVE(&c->queue, layer, check.link);
        if (is_current)
            c->cancel = true;
        else
            layer->check.state = CHECK_CLOSED;
        (void)pthread_cond_broadcast(&c->changed);
    }
    if (!is_current)
        return;
    span_set_cancel_behind(layer->spans);

    LOCKED(&c->lock);
    while (c->current == layer) /* which does not put it back any more */
        (void)pthread_cond_wait(&c->changed, &c->lock);
    layer->check.state = CHECK_CLOSED;
}

void checker_tell(struct checker *c,
                  void (*told)(void *arg, struct layer *layer, enum layer_check check,
                               const struct err *why),
                  void *arg)
{
    LOCKED(&c->lock);

    c->told = told;
    c->told_arg = arg;
    while (told == NULL && c->telling)
        (void)pthread_cond_wait(&c->changed, &c->lock);
}

bool checker_passed(struct checker *c, const struct layer *layer)
{
    LOCKED(&c->lock);

    return layer->check.state == CHECK_PASSED;
}

bool checker_failed(struct checker *c, const struct layer *layer, struct err *ret, int64_t *ret_ms)
{
    LOCKED(&c->lock);

    if (layer->check.state != CHECK_FAILED)
        return false;
    *ret = layer->check.why;
    *ret_ms = layer->check.why_ms;
    return true;
}
