/* SPDX-License-Identifier: Apache-2.0 */
/* chain.c – the ancestors of a snapshot, and whether they can serve. */
#include "snapshot/internal.h"

#include <errno.h>
#include <stdlib.h>

/* overlayfs takes 500 lower directories; a database that claims more is damaged. */
enum { CHAIN_MAX = 4096 };

void chain_fini(struct chain *chain)
{
    free(chain->links);
    *chain = (struct chain)CHAIN_EMPTY;
}

static int add_link(struct chain *chain, const struct snapdb_row *row, struct err *err)
{
    struct chain_link *links;

    if (chain->count == CHAIN_MAX)
        return err_set(err, -EIO, "snapshot %s: more than %d ancestors", row->name, (int)CHAIN_MAX);
    /* Chains are short, so one more at a time is no waste. */
    links = reallocarray(chain->links, chain->count + 1, sizeof(*links));
    if (links == NULL)
        return err_set(err, -ENOMEM, "snapshot %s: out of memory", row->name);
    chain->links = links;
    links[chain->count++] = (struct chain_link){row->id, snapshot_is_remote(row)};
    return 0;
}

int chain_load(const struct snapshotter *s, const char *parent, struct chain *ret, struct err *err)
{
    SCOPED(chain) struct chain chain = CHAIN_EMPTY;
    SCOPED(mem) char *name = text_copy(parent);
    int rc = 0;

    if (name == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    while (rc == 0 && name != NULL && name[0] != '\0') {
        SCOPED(snapdb_row) struct snapdb_row row = {.id = 0};

        rc = snapdb_get(s->db, name, &row, err);
        if (rc < 0)
            return err_prefix(err, rc, "parent");
        if (row.kind != SNAPDB_COMMITTED)
            return err_set(err, -EINVAL, "parent snapshot %s is not committed", name);
        rc = add_link(&chain, &row, err);
        free(name);
        name = TAKE(row.parent);
    }
    if (rc < 0)
        return rc;
    *ret = chain; /* is_mapped is for the caller to decide */
    chain = (struct chain)CHAIN_EMPTY;
    return 0;
}

int chain_check(const struct snapshotter *s, const struct chain *chain, struct err *err)
{
    size_t i;

    for (i = 0; i < chain->count; i++) {
        const struct chain_link *link = &chain->links[i];
        if (link->remote && s->lazy.check != NULL && s->lazy.check(s->lazy.self, link->id, err) < 0)
            return err_prefix(err, -EAGAIN, "layer \"%llu\" unavailable",
                              (unsigned long long)link->id);
    }
    return 0;
}

void chain_use(const struct snapshotter *s, const struct chain *chain)
{
    SCOPED(mem) uint64_t *ids = NULL;
    size_t i;

    if (s->lazy.use == NULL || chain->count == 0)
        return;
    ids = calloc(chain->count, sizeof(*ids));
    if (ids == NULL)
        return; /* then nothing is learned from it */
    for (i = 0; i < chain->count; i++)
        ids[i] = chain->links[i].id;
    s->lazy.use(s->lazy.self, ids, chain->count);
}
