/* SPDX-License-Identifier: Apache-2.0 */
/* collect.c – what was kept of layers goes when no snapshot uses them any more.
 *
 * The store refuses to remove the spans of a layer that is open, so one that is just being mounted
 * is safe. Blobs have no such guard: a ztoc that was removed behind the back of a mount would be
 * missed at the next start. So they go only while no layer is being mounted, and none is mounted
 * meanwhile. Between the Prepares of an image its ztocs lie there ahead of their mounts: what no
 * entry ever needed goes when it is some minutes old, or when there is no entry at all. */
#include "lazy/internal.h"

#include "base/log.h"
#include "base/threads.h"

#include <errno.h>

/* Longer than a client takes from one layer of an image to the next. What is removed too early is
 * fetched again. */
#define LAZY_UNUSED_BLOB_MS 300000

struct collection {
    struct lazy *lazy;
    size_t removed;
};

/* ---- not beside mounting --------------------------------------------------------------------- */

void lazy_opening_begin(struct lazy *lazy)
{
    LOCKED(&lazy->lock);

    while (lazy->collecting) /* unlink(2)s: this ends */
        (void)pthread_cond_wait(&lazy->collected, &lazy->lock);
    lazy->opening++;
}

void lazy_opening_end(struct lazy *lazy)
{
    LOCKED(&lazy->lock);

    lazy->opening--;
}

static bool collecting_begin(struct lazy *lazy)
{
    LOCKED(&lazy->lock);

    while (lazy->collecting)
        (void)pthread_cond_wait(&lazy->collected, &lazy->lock);
    lazy->collecting = lazy->opening == 0;
    return lazy->collecting;
}

static void collecting_end(struct lazy *lazy)
{
    LOCKED(&lazy->lock);

    lazy->collecting = false;
    (void)pthread_cond_broadcast(&lazy->collected);
}

/* ---- one thing ------------------------------------------------------------------------------- */

/* `layer` NULL: whichever has this ztoc. */
static bool is_needed(struct lazy *lazy, const struct digest *layer, const struct digest *ztoc)
{
    const struct lazy_entry *entry;
    LOCKED(&lazy->lock);

    TAILQ_FOREACH(entry, &lazy->entries, link)
    {
        if (entry->target.image_ref != NULL && digest_equal(&entry->target.ztoc, ztoc) &&
            (layer == NULL || digest_equal(&entry->target.layer, layer)))
            return true;
    }
    return false;
}

static bool has_entries(struct lazy *lazy)
{
    LOCKED(&lazy->lock);
    return !TAILQ_EMPTY(&lazy->entries);
}

static void note(struct collection *c, int rc, const struct err *err)
{
    if (rc == 0)
        c->removed++;
    else if (rc != -EBUSY) /* somebody still reads from a layer that was unmounted */
        log_warn("what no snapshot needs cannot be removed", "err=%s", err_text(err));
}

static int remove_spans(void *arg, const struct digest *layer, const struct digest *ztoc)
{
    struct collection *c = arg;
    struct err err = ERR_NONE;

    if (!is_needed(c->lazy, layer, ztoc))
        note(c, span_file_remove(c->lazy->options.store, layer, ztoc, &err), &err);
    return 0;
}

static int remove_blob(void *arg, const struct digest *digest)
{
    struct collection *c = arg;
    struct err err = ERR_NONE;

    if (!is_needed(c->lazy, NULL, digest))
        note(c, store_blob_remove(c->lazy->options.store, digest, &err), &err);
    return 0;
}

/* ---- all of a kind --------------------------------------------------------------------------- */

static void report(const struct collection *c, const char *what, int rc, const struct err *err)
{
    if (rc < 0)
        log_warn("store not looked through", "what=%s err=%s", what, err_text(err));
    else if (c->removed > 0)
        log_debug("removed what no snapshot needs", "what=%s count=%zu", what, c->removed);
}

static void collect_spans(struct lazy *lazy)
{
    struct collection c = {.lazy = lazy};
    struct err err = ERR_NONE;
    int rc = span_file_walk(lazy->options.store, remove_spans, &c, &err);

    report(&c, "layers", rc, &err);
}

static void collect_blobs(struct lazy *lazy, int64_t min_age_ms)
{
    struct collection c = {.lazy = lazy};
    struct err err = ERR_NONE;
    int rc = store_blob_walk(lazy->options.store, min_age_ms, remove_blob, &c, &err);

    report(&c, "blobs", rc, &err);
}

/* ---- when ------------------------------------------------------------------------------------ */

void lazy_collect_layer(struct lazy *lazy, const struct digest *ztoc)
{
    collect_spans(lazy);
    if (!collecting_begin(lazy))
        return;
    if (has_entries(lazy))
        (void)remove_blob(&(struct collection){.lazy = lazy}, ztoc);
    else
        collect_blobs(lazy, 0);
    collecting_end(lazy);
}

void lazy_collect_old(struct lazy *lazy)
{
    collect_spans(lazy);
    if (!collecting_begin(lazy))
        return;
    collect_blobs(lazy, has_entries(lazy) ? LAZY_UNUSED_BLOB_MS : 0);
    collecting_end(lazy);
}

void lazy_collect(struct lazy *lazy)
{
    collect_blobs(lazy, 0);
    collect_spans(lazy);
}
