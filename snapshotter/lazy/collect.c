/* SPDX-License-Identifier: Apache-2.0 */
/* collect.c – what was kept of layers goes when no snapshot uses them any more.
 *
 * While layers come and go, only span files are removed: the store refuses that for one that is
 * open, so a layer that is just being mounted is safe. Blobs have no such guard and wait for the
 * next start. */
#include "lazy/internal.h"

#include "base/log.h"
#include "base/threads.h"

#include <errno.h>

struct collection {
    struct lazy *lazy;
    size_t removed;
};

static bool is_needed(struct lazy *lazy, const struct digest *ztoc)
{
    const struct lazy_entry *entry;
    LOCKED(&lazy->lock);

    TAILQ_FOREACH(entry, &lazy->entries, link)
    {
        if (entry->target.image_ref != NULL && digest_equal(&entry->target.ztoc, ztoc))
            return true;
    }
    return false;
}

static void note(struct collection *c, int rc, const struct err *err)
{
    if (rc == 0)
        c->removed++;
    else if (rc != -EBUSY) /* somebody still reads from a layer that was unmounted */
        log_warn("what no snapshot needs cannot be removed", "err=%s", err_text(err));
}

static int remove_spans(void *arg, const struct digest *ztoc)
{
    struct collection *c = arg;
    struct err err = ERR_NONE;

    if (!is_needed(c->lazy, ztoc))
        note(c, span_file_remove(c->lazy->options.store, ztoc, &err), &err);
    return 0;
}

static int remove_blob(void *arg, const struct digest *digest)
{
    struct collection *c = arg;
    struct err err = ERR_NONE;

    if (!is_needed(c->lazy, digest))
        note(c, store_blob_remove(c->lazy->options.store, digest, &err), &err);
    return 0;
}

static void report(const struct collection *c, const char *what, int rc, const struct err *err)
{
    if (rc < 0)
        log_warn("store not looked through", "what=%s err=%s", what, err_text(err));
    else if (c->removed > 0)
        log_debug("removed what no snapshot needs", "what=%s count=%zu", what, c->removed);
}

void lazy_collect_spans(struct lazy *lazy)
{
    struct collection c = {.lazy = lazy};
    struct err err = ERR_NONE;
    int rc = span_file_walk(lazy->options.store, remove_spans, &c, &err);

    report(&c, "layers", rc, &err);
}

void lazy_collect(struct lazy *lazy)
{
    struct collection c = {.lazy = lazy};
    struct err err = ERR_NONE;
    int rc = store_blob_walk(lazy->options.store, remove_blob, &c, &err);

    report(&c, "blobs", rc, &err);
    lazy_collect_spans(lazy);
}
