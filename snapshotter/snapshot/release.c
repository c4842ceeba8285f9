/* SPDX-License-Identifier: Apache-2.0 */
/* release.c – at the end of the process, layers that no container uses are unmounted.
 *
 * Whether a mount is busy says nothing: overlayfs keeps a private copy of a lower mount, and the
 * mount that we see goes without complaint. So rows are asked: a layer is used while something that
 * can be written to, or a view, stands on it. */
#include "snapshot/internal.h"

#include "base/bytes.h"

#include <stdlib.h>

/* Two walks over the rows: what stands on layers, then the layers. */
struct usage {
    struct snapshotter *s;
    struct text_list parents; /* of active snapshots and views */
    struct buf used;          /* uint64_t ids of their ancestors */
};

static int note_parent(void *arg, const struct snapdb_row *row)
{
    struct usage *usage = arg;

    if (row->kind == SNAPDB_COMMITTED || row->parent[0] == '\0')
        return 0;
    return text_list_add(&usage->parents, row->parent);
}

static int note_ancestors(struct usage *usage, struct err *err)
{
    for (size_t i = 0; i < usage->parents.count; i++) {
        SCOPED(chain) struct chain chain = CHAIN_EMPTY;
        int rc = chain_load(usage->s, usage->parents.items[i], &chain, err);

        for (size_t n = 0; rc == 0 && n < chain.count; n++)
            rc = buf_add(&usage->used, &chain.links[n].id, sizeof(chain.links[n].id));
        if (rc < 0)
            return rc;
    }
    return 0;
}

static bool is_used(const struct usage *usage, uint64_t id)
{
    const uint64_t *ids = (const uint64_t *)(const void *)usage->used.data;

    for (size_t i = 0; i < usage->used.len / sizeof(*ids); i++) {
        if (ids[i] == id)
            return true;
    }
    return false;
}

static int release_unused(void *arg, const struct snapdb_row *row)
{
    const struct usage *usage = arg;

    if (snapshot_is_remote(row) && !is_used(usage, row->id))
        usage->s->lazy.release(usage->s->lazy.self, row->id);
    return 0;
}

int snapshot_release_unused(struct snapshotter *s, struct err *err)
{
    struct usage usage = {.s = s, .parents = TEXT_LIST_EMPTY, .used = BUF_EMPTY};
    int rc = 0;

    if (s->lazy.release != NULL)
        rc = snapdb_walk(s->db, note_parent, &usage, err);
    if (rc == 0)
        rc = note_ancestors(&usage, err);
    if (rc == 0 && s->lazy.release != NULL)
        rc = snapdb_walk(s->db, release_unused, &usage, err);
    text_list_fini(&usage.parents);
    buf_fini(&usage.used);
    return rc;
}
