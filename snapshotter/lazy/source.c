/* SPDX-License-Identifier: Apache-2.0 */
/* source.c – the span engine's source of compressed bytes: the layer's blob, in whichever
 * repository of those that should have it gives it out.
 *
 *   start ─▶ the one that worked last, else the newest ─▶ bytes
 *                │ refused, not there, or down
 *                └▶ the next of origins.c, within the fetch's budget ─▶ … ─▶ what the first said
 *
 * Where there are others, none may be silent for long: a registry that hangs must not hold up those
 * who have the layer from elsewhere too. When all were asked so, the round is made once more with
 * patience.
 *
 * When a reader waits and the first was down, the first is asked again, for as long as there is
 * time: an outage should be a pause. */
#include "lazy/internal.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/threads.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A hiccup is worth a moment. After that the engine decides when to come back: a reader that needs
 * the span then must not find it waiting for a registry that may be well again. */
enum { BACKGROUND_WAIT_MS = 1000 };
enum { HASTY_SILENCE_MS = 2000 };
/* Repositories that a layer is ever asked for at, while it is open; a fetch tries few of them. */
enum { SOURCE_PLACES_MAX = 32, SOURCE_TRIES_MAX = 8 };

/* The blob in one repository. */
struct place {
    char *repository;
    struct registry_blob *blob;
};

struct lazy_source {
    struct lazy_repos *repos;               /* fixed at creation: a reference */
    struct lazy_origins *origins;           /* fixed at creation: a reference */
    struct lazy_target target;              /* fixed at creation; a copy of what is needed here */
    pthread_mutex_t lock;                   /* a leaf */
    struct place places[SOURCE_PLACES_MAX]; /* lock; set once each, then fixed until close */
    size_t place_count;                     /* lock */
    const struct place *best; /* lock: where the last bytes came from; NULL: nowhere */
};

/* A span's fetch and the registry's, tied together from start to release. */
struct bridge {
    struct registry_fetch fetch; /* first */
    struct span_fetch *span_fetch;
    struct lazy_source *source;
    const struct place *place; /* source->lock: where it is asked just now */
    const struct place *first; /* fixed by the first ask() */
    bool cancelled;            /* source->lock */
    /* start()'s, then the network thread's */
    bool is_hasty;   /* there are others: no place may be silent for long */
    uint32_t tried;  /* bits: of source->places */
    uint32_t silent; /* bits: those of them that said nothing in time */
    unsigned tries;
    int64_t until_ms; /* monotonic; 0: no limit */
    int first_rc;
    struct err first_err;
};

/* ---- places ---------------------------------------------------------------------------------- */

static const struct place *find_locked(const struct lazy_source *s, const char *repository)
{
    for (size_t i = 0; i < s->place_count; i++) {
        if (strcmp(s->places[i].repository, repository) == 0)
            return &s->places[i];
    }
    return NULL;
}

static int open_blob(const struct lazy_source *s, const char *repository,
                     struct registry_blob **ret, struct err *err)
{
    SCOPED(registry_repo) struct registry_repo *repo = NULL;
    int rc = lazy_repo_get(s->repos, repository, &repo, err);

    return rc < 0 ? rc
                  : registry_blob_open(repo, &s->target.layer, s->target.layer_bytes, ret, err);
}

/* Opened at the first call. Two first callers open one each and one of the two is closed. */
static int get_place(struct lazy_source *s, const char *repository, const struct place **ret,
                     struct err *err)
{
    SCOPED(registry_blob) struct registry_blob *blob = NULL;
    SCOPED(mem) char *name = NULL;
    int rc;

    {
        LOCKED(&s->lock);
        *ret = find_locked(s, repository);
    }
    if (*ret != NULL)
        return 0;
    rc = open_blob(s, repository, &blob, err);
    name = text_copy(repository);
    if (rc < 0 || name == NULL)
        return rc < 0 ? rc : err_set(err, -ENOMEM, "out of memory");
    (void)pthread_mutex_lock(&s->lock);
    *ret = find_locked(s, repository);
    if (*ret == NULL && s->place_count < SOURCE_PLACES_MAX) {
        s->places[s->place_count] = (struct place){TAKE(name), TAKE(blob)};
        *ret = &s->places[s->place_count++];
    }
    (void)pthread_mutex_unlock(&s->lock);
    return *ret == NULL ? err_set(err, -EBUSY, "too many repositories") : 0;
}

/* Where bytes came from the last time, if an image from there is still mounted. */
static const struct place *best_place(struct lazy_source *s)
{
    const struct place *best;

    (void)pthread_mutex_lock(&s->lock);
    best = s->best;
    (void)pthread_mutex_unlock(&s->lock);
    return best != NULL && lazy_origins_has(s->origins, best->repository) ? best : NULL;
}

static uint32_t bit_of(const struct bridge *bridge, const struct place *place)
{
    return (uint32_t)1 << (place - bridge->source->places);
}

static bool try_it(struct bridge *bridge, const struct place *place)
{
    uint32_t bit = bit_of(bridge, place);

    if ((bridge->tried & bit) != 0)
        return false;
    bridge->tried |= bit;
    bridge->tries++;
    return true;
}

/* The next to ask, now marked as tried. -ENOENT: there is none, and err is as it was. */
static int next_place(struct bridge *bridge, const struct place **ret, struct err *err)
{
    struct lazy_source *s = bridge->source;
    SCOPED(text_list) struct text_list names = TEXT_LIST_EMPTY;
    int rc;

    *ret = best_place(s);
    if (*ret != NULL && try_it(bridge, *ret))
        return 0;
    rc = lazy_origins_list(s->origins, &s->target.layer, &names);
    if (rc == 0 && names.count == 0) /* unmounted, and somebody still has a file open */
        rc = text_list_add(&names, s->target.repository);
    if (rc < 0)
        return err_set(err, rc, "out of memory");
    for (size_t i = 0; i < names.count && bridge->tries < SOURCE_TRIES_MAX; i++) {
        rc = get_place(s, names.items[i], ret, err);
        if (rc < 0)
            return rc;
        if (try_it(bridge, *ret))
            return 0;
    }
    return -ENOENT;
}

/* ---- a fetch --------------------------------------------------------------------------------- */

static bool is_cancelled(struct bridge *bridge)
{
    LOCKED(&bridge->source->lock);

    return bridge->cancelled;
}

static int ask(struct bridge *bridge, const struct place *place, struct err *err)
{
    struct lazy_source *s = bridge->source;
    int64_t left_ms = bridge->until_ms == 0 ? 0 : bridge->until_ms - clock_mono_ms();

    if (left_ms < 0 || (left_ms == 0 && bridge->until_ms != 0))
        return err_set(err, -ETIMEDOUT, "no time is left");
    bridge->fetch.budget_ms = left_ms;
    bridge->fetch.silence_ms = bridge->is_hasty ? HASTY_SILENCE_MS : 0;
    (void)pthread_mutex_lock(&s->lock);
    bridge->place = place;
    (void)pthread_mutex_unlock(&s->lock);
    if (bridge->first == NULL)
        bridge->first = place;
    return registry_blob_fetch(place->blob, &bridge->fetch, err);
}

static bool is_down(int rc)
{
    return rc == -EIO || rc == -EAGAIN || rc == -ETIMEDOUT;
}

static bool may_be_elsewhere(int rc)
{
    return rc == -EACCES || rc == -ENOENT || is_down(rc);
}

/* All were asked in haste. True, once: some that said nothing may be asked again. */
static bool begin_patient_round(struct bridge *bridge)
{
    if (!bridge->is_hasty || bridge->silent == 0)
        return false;
    bridge->is_hasty = false;
    bridge->tried &= ~bridge->silent;
    bridge->tries = 0;
    return true;
}

/* All were asked. True, once: the first may be well again before the reader's time is over. */
static bool wait_for_first(struct bridge *bridge)
{
    if (bridge->fetch.is_awaited || !bridge->span_fetch->urgent || !is_down(bridge->first_rc) ||
        !lazy_repos_wait_for_readers(bridge->source->repos))
        return false;
    bridge->fetch.is_awaited = true;
    return true;
}

/* In the network thread, so that done() cannot come meanwhile. A cancel() that came before there
 * was something to cancel is made up for. */
static bool ask_next(struct bridge *bridge)
{
    const struct place *place = NULL;
    struct err err = ERR_NONE;

    if (is_cancelled(bridge))
        return false;
    if (next_place(bridge, &place, &err) < 0 &&
        !(begin_patient_round(bridge) && next_place(bridge, &place, &err) == 0)) {
        if (!wait_for_first(bridge))
            return false;
        place = bridge->first;
    }
    if (ask(bridge, place, &err) < 0)
        return false;
    if (is_cancelled(bridge))
        registry_fetch_cancel(place->blob, &bridge->fetch);
    return true;
}

static void note_success(struct bridge *bridge)
{
    struct lazy_source *s = bridge->source;
    char layer[DIGEST_TEXT_BYTES];

    (void)pthread_mutex_lock(&s->lock);
    s->best = bridge->place;
    (void)pthread_mutex_unlock(&s->lock);
    if (bridge->place == bridge->first)
        return;
    digest_format(&s->target.layer, layer);
    log_info("layer comes from another repository that has it", "layer=%s from=%s err=%s", layer,
             bridge->place->repository, err_text(&bridge->first_err));
}

static void bridge_done(struct registry_fetch *fetch, int rc, const struct err *err)
{
    struct bridge *bridge = (struct bridge *)fetch;
    struct span_fetch *span_fetch = bridge->span_fetch;
    struct err first = ERR_NONE;

    if (rc == 0)
        note_success(bridge);
    if (rc < 0 && bridge->first_rc == 0) {
        bridge->first_rc = rc;
        bridge->first_err = *err;
    }
    if (rc == -ETIMEDOUT)
        bridge->silent |= bit_of(bridge, bridge->place);
    if (rc < 0 && may_be_elsewhere(rc) && ask_next(bridge))
        return;
    if (rc < 0 && rc != -ECANCELED) {
        rc = bridge->first_rc;
        first = bridge->first_err;
        err = &first;
    }
    span_fetch->done(span_fetch, rc, err); /* release() may have freed the bridge */
}

static void bridge_progress(struct registry_fetch *fetch, size_t len)
{
    struct bridge *bridge = (struct bridge *)fetch;

    if (bridge->span_fetch->progress != NULL)
        bridge->span_fetch->progress(bridge->span_fetch, len);
}

static int source_start(void *self, struct span_fetch *span_fetch, struct err *err)
{
    SCOPED(mem) struct bridge *bridge = calloc(1, sizeof(*bridge));
    const struct place *place = NULL;
    int rc;

    if (bridge == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    bridge->source = self;
    bridge->fetch.off = span_fetch->comp_off;
    bridge->fetch.len = span_fetch->len;
    bridge->fetch.buf = span_fetch->buf;
    bridge->fetch.from_origin = span_fetch->again;
    bridge->fetch.longest_wait_ms = span_fetch->urgent ? 0 : BACKGROUND_WAIT_MS;
    bridge->fetch.done = bridge_done;
    bridge->fetch.progress = bridge_progress;
    bridge->until_ms = span_fetch->budget_ms == 0 ? 0 : clock_mono_ms() + span_fetch->budget_ms;
    bridge->span_fetch = span_fetch;
    span_fetch->source_data = bridge;
    rc = next_place(bridge, &place, err);
    if (rc == 0) {
        bridge->is_hasty = lazy_origins_has_other(bridge->source->origins, place->repository);
        rc = ask(bridge, place, err);
    }
    if (rc < 0)
        return rc;
    (void)TAKE(bridge); /* source_release() has it, perhaps already */
    return 0;
}

static void source_cancel(void *self, struct span_fetch *span_fetch)
{
    struct lazy_source *s = self;
    struct bridge *bridge = span_fetch->source_data;
    struct registry_blob *blob;

    (void)pthread_mutex_lock(&s->lock);
    bridge->cancelled = true;
    blob = bridge->place->blob;
    (void)pthread_mutex_unlock(&s->lock);
    registry_fetch_cancel(blob, &bridge->fetch);
}

static void source_release(void *self, struct span_fetch *span_fetch)
{
    (void)self;
    free(span_fetch->source_data);
    span_fetch->source_data = NULL;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void source_close(void *self)
{
    struct lazy_source *s = self;

    for (size_t i = 0; i < s->place_count; i++) {
        registry_blob_close(s->places[i].blob);
        free(s->places[i].repository);
    }
    (void)pthread_mutex_destroy(&s->lock);
    lazy_repos_unref(s->repos);
    lazy_origins_unref(s->origins);
    lazy_target_fini(&s->target);
    free(s);
}

int lazy_source_new(struct lazy_repos *repos, struct lazy_origins *origins,
                    const struct lazy_target *target, struct span_source *ret, struct err *err)
{
    struct lazy_source *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    if (lazy_target_copy(&s->target, target) < 0) {
        free(s);
        return err_set(err, -ENOMEM, "out of memory");
    }
    s->repos = lazy_repos_ref(repos);
    s->origins = lazy_origins_ref(origins);
    (void)pthread_mutex_init(&s->lock, NULL);
    *ret = (struct span_source){
        .start = source_start,
        .cancel = source_cancel,
        .release = source_release,
        .close = source_close,
        .self = s,
    };
    return 0;
}
