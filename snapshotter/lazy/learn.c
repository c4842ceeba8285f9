/* SPDX-License-Identifier: Apache-2.0 */
/* learn.c – what a container reads in its first seconds is recorded for its image (starts/), and
 * what was recorded is wanted first the next time.
 *
 * A recording begins when mounts of a container's snapshot are handed out, and its time with the
 * first read after that. One thread of its own sees to the ends: it looks at what is under way a
 * few times a second, and sleeps when nothing is. */
#include "lazy/internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/threads.h"
#include "starts/starts.h"

#include <errno.h>
#include <stdlib.h>

enum {
    RECORDINGS_MAX = 32,   /* at once; what starts beside those is recorded another time */
    LOOK_MS = 200,         /* while a recording is under way */
    UNREAD_MS = 60 * 1000, /* a container that has not read by then did not start */
};

struct recording {
    struct digest manifest; /* fixed at creation, as all but `next` */
    struct span_trace *trace;
    struct starts_layer *layers; /* by tag */
    size_t layer_count;
    int64_t since_ms;
    struct recording *next; /* lock */
};

struct lazy_learn {
    struct layer_set *layers; /* fixed at creation, as root and record_ms */
    char *root;
    int64_t record_ms;
    pthread_t thread;
    pthread_mutex_t lock;   /* a leaf, but for the span engine's */
    pthread_cond_t wake;    /* a recording begins, or `stop` */
    struct recording *list; /* lock, as all below */
    size_t count;
    bool stop;
};

/* ---- a recording ------------------------------------------------------------------------------
 */

static void recording_free(struct recording *r)
{
    if (r == NULL)
        return;
    span_trace_free(r->trace);
    free(r->layers);
    free(r);
}
DEFINE_SCOPED_PTR(recording, struct recording, recording_free)

static int watch(struct recording *r, struct layer *layer, struct err *err)
{
    const struct starts_layer names = {*layer_digest(layer), *layer_ztoc_digest(layer)};
    uint32_t tag = (uint32_t)r->layer_count;

    for (uint32_t i = 0; i < tag; i++) { /* an image may hold a layer twice */
        if (digest_equal(&r->layers[i].layer, &names.layer))
            return 0;
    }
    r->layers[r->layer_count++] = names;
    return layer_trace(layer, r->trace, tag, err);
}

static int recording_new(struct lazy_learn *learn, const struct digest *manifest,
                         struct layer *const *layers, size_t count, struct recording **ret,
                         struct err *err)
{
    const struct span_trace_options options = {.window_ms = learn->record_ms,
                                               .max_touches = STARTS_TOUCHES_MAX};
    SCOPED(recording) struct recording *r = calloc(1, sizeof(*r));
    int rc;

    if (r == NULL || (r->layers = calloc(count, sizeof(*r->layers))) == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    r->manifest = *manifest;
    r->since_ms = clock_mono_ms();
    rc = layer_trace_new(learn->layers, &options, &r->trace, err);
    for (size_t i = 0; rc == 0 && i < count && i < STARTS_LAYERS_MAX; i++)
        rc = watch(r, layers[i], err);
    if (rc < 0)
        return rc;
    *ret = TAKE(r);
    return 0;
}

/* ---- its end ----------------------------------------------------------------------------------
 */

static int record_of(struct recording *r, struct starts_record **ret)
{
    SCOPED(starts_record) struct starts_record *record = starts_record_new(&r->manifest);
    const struct span_touch *touches;
    size_t count;

    if (record == NULL)
        return -ENOMEM;
    touches = span_trace_stop(r->trace, &count);
    for (size_t i = 0; i < count; i++) {
        struct starts_touch touch = {.span = touches[i].span, .at_ms = touches[i].at_ms};
        int rc = starts_record_add_layer(record, &r->layers[touches[i].tag], &touch.layer);

        if (rc == 0)
            rc = starts_record_add_touch(record, &touch);
        if (rc < 0)
            return rc;
    }
    *ret = TAKE(record);
    return 0;
}

/* One that is there and cannot be used is as good as none, and said so once. */
static struct starts_record *load(const struct lazy_learn *learn, const struct digest *manifest)
{
    struct starts_record *record = NULL;
    struct err err = ERR_NONE;
    int rc = starts_load(learn->root, manifest, &record, &err);

    if (rc < 0 && rc != -ENOENT)
        log_warn("record of an image's start is passed over", "err=%s", err_text(&err));
    if (rc == -EBADMSG)
        starts_remove(learn->root, manifest);
    return record;
}

static bool is_the_same(const struct starts_record *a, const struct starts_record *b)
{
    if (a == NULL || a->touch_count != b->touch_count || a->layer_count != b->layer_count)
        return false;
    for (size_t i = 0; i < a->touch_count; i++) {
        if (a->touches[i].layer != b->touches[i].layer || a->touches[i].span != b->touches[i].span)
            return false;
    }
    return true;
}

static int keep(const struct lazy_learn *learn, struct recording *r, struct err *err)
{
    SCOPED(starts_record) struct starts_record *fresh = NULL;
    SCOPED(starts_record) struct starts_record *old = NULL;
    SCOPED(starts_record) struct starts_record *merged = NULL;
    char image[DIGEST_TEXT_BYTES];
    int rc = record_of(r, &fresh);

    if (rc < 0)
        return err_sys(err, rc, "what was read");
    if (fresh->touch_count == 0)
        return 0;
    old = load(learn, &r->manifest);
    rc = starts_merge(old, fresh, &merged, err);
    if (rc < 0)
        return rc;
    digest_format(&r->manifest, image);
    log_debug("start of an image was recorded", "manifest=%s spans=%zu known=%zu", image,
              fresh->touch_count, merged->touch_count);
    return is_the_same(old, merged) ? 0 : starts_save(learn->root, merged, err);
}

static void end(const struct lazy_learn *learn, struct recording **recording)
{
    SCOPED(recording) struct recording *r = TAKE(*recording);
    struct err err = ERR_NONE;

    if (keep(learn, r, &err) < 0)
        log_warn("start of an image is not recorded", "err=%s", err_text(&err));
}

/* ---- the thread -------------------------------------------------------------------------------
 */

static bool is_over(const struct lazy_learn *learn, const struct recording *r)
{
    int64_t age_ms = span_trace_age_ms(r->trace);

    return age_ms < 0 ? clock_mono_ms() - r->since_ms > UNREAD_MS : age_ms > learn->record_ms;
}

/* One that is over, or any at the end, taken out; NULL: none. */
static struct recording *take_locked(struct lazy_learn *learn)
{
    struct recording **link, *r;

    for (link = &learn->list; (r = *link) != NULL; link = &r->next) {
        if (!learn->stop && !is_over(learn, r))
            continue;
        *link = r->next;
        learn->count--;
        return r;
    }
    return NULL;
}

static void *learn_main(void *arg)
{
    struct lazy_learn *learn = arg;
    struct recording *r;
    LOCKED(&learn->lock);

    for (;;) {
        r = take_locked(learn);
        if (r != NULL) {
            (void)pthread_mutex_unlock(&learn->lock);
            end(learn, &r);
            (void)pthread_mutex_lock(&learn->lock);
        } else if (learn->stop) {
            return NULL;
        } else if (learn->list == NULL) {
            (void)pthread_cond_wait(&learn->wake, &learn->lock);
        } else {
            (void)clock_cond_wait_until(&learn->wake, &learn->lock, clock_mono_ms() + LOOK_MS);
        }
    }
}

int lazy_learn_new(struct layer_set *layers, const char *root, int64_t record_ms,
                   struct lazy_learn **ret, struct err *err)
{
    struct lazy_learn *learn = calloc(1, sizeof(*learn));
    int rc;

    if (learn == NULL || (learn->root = text_copy(root)) == NULL) {
        free(learn);
        return err_set(err, -ENOMEM, "out of memory");
    }
    learn->layers = layers;
    learn->record_ms = record_ms;
    (void)pthread_mutex_init(&learn->lock, NULL);
    rc = clock_cond_init(&learn->wake);
    if (rc == 0)
        rc = thread_start(&learn->thread, "learn", learn_main, learn);
    if (rc < 0) {
        (void)pthread_mutex_destroy(&learn->lock);
        free(learn->root);
        free(learn);
        return err_sys(err, rc, "thread");
    }
    *ret = learn;
    return 0;
}

void lazy_learn_free(struct lazy_learn *learn)
{
    if (learn == NULL)
        return;
    {
        LOCKED(&learn->lock);
        learn->stop = true;
        (void)pthread_cond_broadcast(&learn->wake);
    }
    (void)pthread_join(learn->thread, NULL);
    (void)pthread_cond_destroy(&learn->wake);
    (void)pthread_mutex_destroy(&learn->lock);
    free(learn->root);
    free(learn);
}

/* ---- a container starts -----------------------------------------------------------------------
 */

static bool has_room_locked(const struct lazy_learn *learn, const struct digest *manifest)
{
    const struct recording *r;

    for (r = learn->list; r != NULL; r = r->next) {
        if (digest_equal(&r->manifest, manifest))
            return false;
    }
    return !learn->stop && learn->count < RECORDINGS_MAX;
}

/* Of a start in which nothing was read that is not in the kernel's cache; maybe of layers that are
 * mounted no more. The next start takes its place. */
static struct recording *take_unread_locked(struct lazy_learn *learn, const struct digest *manifest)
{
    struct recording **link, *r;

    for (link = &learn->list; (r = *link) != NULL; link = &r->next) {
        if (!digest_equal(&r->manifest, manifest) || span_trace_age_ms(r->trace) >= 0)
            continue;
        *link = r->next;
        learn->count--;
        return r;
    }
    return NULL;
}

/* *r stays when it is recorded already, or there are too many. */
static void add(struct lazy_learn *learn, struct recording **r)
{
    LOCKED(&learn->lock);

    if (!has_room_locked(learn, &(*r)->manifest))
        return;
    (*r)->next = learn->list;
    learn->list = TAKE(*r);
    learn->count++;
    (void)pthread_cond_signal(&learn->wake);
}

void lazy_learn_begin(struct lazy_learn *learn, const struct digest *manifest,
                      struct layer *const *layers, size_t count)
{
    SCOPED(recording) struct recording *r = NULL;
    SCOPED(recording) struct recording *unread = NULL;
    struct err err = ERR_NONE;
    bool has_room;

    (void)pthread_mutex_lock(&learn->lock);
    unread = take_unread_locked(learn, manifest);
    has_room = has_room_locked(learn, manifest);
    (void)pthread_mutex_unlock(&learn->lock);
    if (!has_room)
        return;
    if (recording_new(learn, manifest, layers, count, &r, &err) < 0)
        log_warn("start of an image is not recorded", "err=%s", err_text(&err));
    else
        add(learn, &r);
}

/* ---- what is wanted first ---------------------------------------------------------------------
 */

int lazy_learn_wanted(const struct lazy_learn *learn, const struct digest *manifest,
                      const struct digest *layer, const struct digest *ztoc,
                      struct lazy_wanted *ret)
{
    SCOPED(starts_record) struct starts_record *record = load(learn, manifest);
    const struct starts_layer names = {*layer, *ztoc};

    if (record == NULL)
        return -ENOENT;
    for (size_t i = 0; i < record->touch_count; i++) {
        const struct starts_touch *touch = &record->touches[i];
        const struct starts_layer *of = &record->layers[touch->layer];

        if (!digest_equal(&of->layer, &names.layer) || !digest_equal(&of->ztoc, &names.ztoc))
            continue;
        if (lazy_wanted_add(ret, touch->span, (uint32_t)i) < 0)
            return -ENOMEM;
    }
    return 0;
}
