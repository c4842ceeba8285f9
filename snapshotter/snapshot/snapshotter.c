/* SPDX-License-Identifier: Apache-2.0 */
/* snapshotter.c – opening and closing the model, and the calls that only read a row. */
#include "snapshot/internal.h"

#include "base/clock.h"
#include "base/files.h"

#include <errno.h>
#include <stdlib.h>

int snapshot_disk_error(int code)
{
    switch (code) {
    case -ENOMEM:
    case -ENOSPC:
        return code;
    case -EDQUOT:
        return -ENOSPC;
    default:
        return -EIO;
    }
}

static int init(struct snapshotter *s, const struct snapshotter_options *options, struct err *err)
{
    int rc;

    s->dir = path_join(store_root(options->store), "snapshotter/snapshots");
    if (s->dir == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    rc = snapdb_open(options->store, &s->db, err);
    if (rc == 0)
        rc = dir_make_all(s->dir, 0700, err);
    if (rc < 0)
        return rc;
    rc = snapshot_reconcile(s, err);
    if (rc < 0)
        return rc;
    s->userxattr = userxattr_is_needed(s->dir);
    return collector_start(s, err);
}

int snapshotter_new(const struct snapshotter_options *options, struct snapshotter **ret,
                    struct err *err)
{
    struct snapshotter *s = calloc(1, sizeof(*s));
    int rc;

    if (s == NULL)
        return err_set(err, -ENOMEM, "snapshotter: out of memory");
    s->lazy = options->lazy;
    (void)pthread_mutex_init(&s->lock, NULL);
    (void)pthread_mutex_init(&s->collecting, NULL);
    if (clock_cond_init(&s->settled) < 0 || clock_cond_init(&s->wake) < 0) {
        free(s);
        return err_set(err, -ENOMEM, "snapshotter: out of memory");
    }
    rc = init(s, options, err);
    if (rc < 0) {
        snapshotter_free(s);
        return err_prefix(err, rc, "snapshotter");
    }
    *ret = s;
    return 0;
}

void snapshotter_free(struct snapshotter *s)
{
    if (s == NULL)
        return;
    collector_stop(s);
    snapdb_close(s->db);
    buf_fini(&s->doomed);
    (void)pthread_cond_destroy(&s->wake);
    (void)pthread_cond_destroy(&s->settled);
    (void)pthread_mutex_destroy(&s->collecting);
    (void)pthread_mutex_destroy(&s->lock);
    free(s->dir);
    free(s);
}

int snapshot_stat(struct snapshotter *s, const char *key, struct snapdb_row *ret, struct err *err)
{
    return snapdb_get(s->db, key, ret, err);
}

/* What was made for the row's user namespace is made again where it is missing. */
static int make_mapped(struct snapshotter *s, const struct snapdb_row *row, struct chain *chain,
                       struct err *err)
{
    static const struct snapshot_cancel never = {.is_cancelled = NULL};
    SCOPED(idmaps) struct idmaps ids = IDMAPS_EMPTY;
    int rc = mapped_read_labels(&row->labels, &ids, err);

    if (rc <= 0)
        return rc;
    mapped_decide(s, &ids, chain);
    return mapped_ensure(s, row, chain, &ids, &never, err);
}

int snapshot_mounts(struct snapshotter *s, const char *key, struct snapshot_mounts *ret,
                    struct err *err)
{
    SCOPED(snapdb_row) struct snapdb_row row = {.id = 0};
    SCOPED(chain) struct chain chain = CHAIN_EMPTY;
    SCOPED(snapshot_mounts) struct snapshot_mounts mounts = {.items = NULL, .count = 0};
    int rc = snapdb_get(s->db, key, &row, err);

    if (rc < 0)
        return rc;
    if (row.kind == SNAPDB_COMMITTED)
        return err_set(err, -EBUSY, "snapshot %s is committed: it has no mounts of its own", key);
    rc = chain_load(s, row.parent, &chain, err);
    if (rc == 0)
        rc = chain_check(s, &chain, err);
    if (rc == 0)
        rc = make_mapped(s, &row, &chain, err);
    if (rc == 0)
        rc = snapshot_mounts_make(s, row.id, row.kind, &chain, &mounts, err);
    if (rc == 0 && row.kind == SNAPDB_ACTIVE && snapshot_is_rebased(row.parent, &row.labels))
        rc = snapshot_mounts_rebase(s, &mounts, err);
    if (rc < 0)
        return rc;
    chain_use(s, &chain);
    *ret = mounts;
    mounts = (struct snapshot_mounts){.items = NULL, .count = 0};
    return 0;
}
