/* SPDX-License-Identifier: Apache-2.0 */
/* behind.c – what a layer has behind the end of its tar. Nobody reads it but who hashes the whole
 * layer, so it is not kept: its spans are fetched when they are asked for, one after the other,
 * beside the engine's GETs. */
#include "span/internal.h"

#include "zran/zran.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

/* One span's fetch, on its reader's stack. */
struct span_behind {
    struct span_fetch fetch;
    struct span_source_ref *source; /* fixed at creation */
    pthread_mutex_t lock;           /* taken alone */
    pthread_cond_t finished;
    bool is_finished; /* lock, as the next two */
    int rc;
    struct err err;
    size_t cancellers; /* engine->lock: how many are in the source's cancel() */
};

/* ---- one fetch ------------------------------------------------------------------------------- */

static void fetch_done(struct span_fetch *fetch, int rc, const struct err *err)
{
    struct span_behind *b =
        (struct span_behind *)((char *)fetch - offsetof(struct span_behind, fetch));
    LOCKED(&b->lock);

    b->is_finished = true;
    b->rc = rc > 0 ? -EIO : rc;
    if (err != NULL)
        b->err = *err;
    (void)pthread_cond_signal(&b->finished);
}

static void wait_finished(struct span_behind *b)
{
    LOCKED(&b->lock);

    while (!b->is_finished) /* the source has a budget, and can be cancelled */
        (void)pthread_cond_wait(&b->finished, &b->lock);
}

static struct span_source_ref *take_source(struct span_set *set, size_t len)
{
    LOCKED(&set->engine->lock);

    set->source->users++;
    set->engine->memory_bytes += len;
    return set->source;
}

static void give_source(struct span_set *set, struct span_behind *b)
{
    LOCKED(&set->engine->lock);

    set->engine->memory_bytes -= b->fetch.len;
    span_source_unref_locked(b->source);
}

/* From here on it can be cancelled. False: it was, before. */
static bool show(struct span_set *set, struct span_behind *b)
{
    LOCKED(&set->engine->lock);

    set->behind = b;
    return !set->behind_cancelled;
}

static void hide(struct span_set *set, struct span_behind *b)
{
    LOCKED(&set->engine->lock);

    set->behind = NULL;
    while (b->cancellers > 0)
        (void)pthread_cond_wait(&set->engine->idle, &set->engine->lock);
}

static int run(struct span_set *set, struct span_behind *b, struct err *err)
{
    const struct span_source *source = &b->source->source;
    int rc = source->start(source->self, &b->fetch, err);

    if (rc < 0)
        return rc;
    if (!show(set, b))
        source->cancel(source->self, &b->fetch);
    wait_finished(b);
    hide(set, b);
    if (source->release != NULL)
        source->release(source->self, &b->fetch);
    if (b->rc < 0 && err != NULL)
        *err = b->err;
    return b->rc;
}

/* b->fetch.buf is to be unmapped when it is not NULL. */
static int fetch(struct span_set *set, const struct span_info *info, struct span_behind *b,
                 struct err *err)
{
    size_t len = (size_t)(info->comp_end - info->comp_off);
    void *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int rc;

    if (at == MAP_FAILED)
        return err_set(err, -ENOMEM, "%zu bytes for a fetch: out of memory", len);
    b->fetch = (struct span_fetch){.comp_off = info->comp_off,
                                   .len = len,
                                   .buf = at,
                                   .budget_ms = set->engine->options.read_budget_ms,
                                   .done = fetch_done};
    (void)pthread_mutex_init(&b->lock, NULL);
    (void)pthread_cond_init(&b->finished, NULL);
    b->source = take_source(set, len);
    rc = run(set, b, err);
    give_source(set, b);
    (void)pthread_cond_destroy(&b->finished);
    (void)pthread_mutex_destroy(&b->lock);
    return rc;
}

/* ---- what is in it --------------------------------------------------------------------------- */

/* What the span has without its part of the tar. */
static int give_rest(struct span_set *set, size_t n, const struct span_info *info,
                     struct bytes comp, const struct span_sink *sink, struct err *err)
{
    uint64_t skip = info->uncomp_end - info->uncomp_off;
    SCOPED(mem) uint8_t *window = NULL;
    int rc;

    if (set->layout.window == NULL) /* check_layout() has seen that the tar's part is in it */
        return sink->write(sink->self, bytes_of(comp.data + skip, comp.len - (size_t)skip), err);
    window = malloc(ZRAN_WINDOW_BYTES);
    if (window == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    rc = set->layout.window(set->layout.self, n, window, err);
    return rc < 0
               ? rc
               : zran_inflate_to_end(info->bits, window, comp, skip, sink->write, sink->self, err);
}

static int read_span(struct span_set *set, size_t n, const struct span_sink *sink, struct err *err)
{
    struct span_behind b = {.source = NULL};
    struct span_info info;
    int rc;

    set->layout.at(set->layout.self, n, &info);
    rc = fetch(set, &info, &b, err);
    if (rc == 0)
        rc = span_verify(bytes_of(b.fetch.buf, b.fetch.len), &info, err);
    if (rc == -EBADMSG) /* of the registry's bytes; that the layer is another, the hash says */
        rc = -EAGAIN;
    if (rc == 0)
        rc = give_rest(set, n, &info, bytes_of(b.fetch.buf, b.fetch.len), sink, err);
    if (b.fetch.buf != NULL)
        (void)munmap(b.fetch.buf, b.fetch.len);
    return rc < 0 ? err_prefix(err, rc, "span %zu, behind the tar", n) : 0;
}

int span_set_read_behind(struct span_set *set, const struct span_sink *sink, struct err *err)
{
    size_t n =
        set->uncomp_bytes == 0 ? 0 : set->layout.find(set->layout.self, set->uncomp_bytes - 1);
    int rc = 0;

    for (; n < set->span_count && rc == 0; n++)
        rc = read_span(set, n, sink, err);
    span_schedule(set->engine); /* memory is free for others */
    return rc;
}

static struct span_behind *take_to_cancel(struct span_set *set)
{
    LOCKED(&set->engine->lock);

    set->behind_cancelled = true;
    if (set->behind != NULL)
        set->behind->cancellers++;
    return set->behind;
}

void span_set_cancel_behind(struct span_set *set)
{
    struct span_behind *b = take_to_cancel(set);

    if (b == NULL)
        return;
    b->source->source.cancel(b->source->source.self, &b->fetch);
    {
        LOCKED(&set->engine->lock);
        b->cancellers--;
        (void)pthread_cond_broadcast(&set->engine->idle);
    }
}
