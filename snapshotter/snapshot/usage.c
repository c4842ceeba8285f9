/* SPDX-License-Identifier: Apache-2.0 */
/* usage.c – what a snapshot takes on the disk. */
#include "snapshot/internal.h"

#include <errno.h>
#include <fts.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { STAT_BLOCK_BYTES = 512 }; /* the unit of st_blocks, whatever the file system's own is */

/* A file with several names, once per name that was met. */
struct linked {
    dev_t dev;
    ino_t ino;
    uint64_t bytes;
};

static int compare_linked(const void *a, const void *b)
{
    const struct linked *x = a, *y = b;

    if (x->dev != y->dev)
        return x->dev < y->dev ? -1 : 1;
    if (x->ino != y->ino)
        return x->ino < y->ino ? -1 : 1;
    return 0;
}

static void add_linked_once(struct buf *names, uint64_t *bytes, uint64_t *inodes)
{
    struct linked *all = (struct linked *)(void *)names->data;
    size_t i, count = names->len / sizeof(*all);

    if (count > 0)
        qsort(all, count, sizeof(*all), compare_linked);
    for (i = 0; i < count; i++) {
        if (i > 0 && compare_linked(&all[i - 1], &all[i]) == 0)
            continue;
        *bytes += all[i].bytes;
        ++*inodes;
    }
}

static void scoped_fts_close(FTS *fts)
{
    (void)fts_close(fts);
}
DEFINE_SCOPED_PTR(fts, FTS, scoped_fts_close)

static int add_entry(const struct stat *st, struct buf *names, uint64_t *bytes, uint64_t *inodes)
{
    uint64_t size = (uint64_t)st->st_blocks * STAT_BLOCK_BYTES;

    if (!S_ISDIR(st->st_mode) && st->st_nlink > 1) {
        struct linked one = {.dev = st->st_dev, .ino = st->st_ino, .bytes = size};
        return buf_add(names, &one, sizeof(one));
    }
    *bytes += size;
    ++*inodes;
    return 0;
}

int snapshot_du(const char *dir, uint64_t *ret_bytes, uint64_t *ret_inodes, struct err *err)
{
    SCOPED(mem) char *path = text_copy(dir);
    char *const roots[] = {path, NULL};
    SCOPED(buf_value) struct buf names = BUF_EMPTY;
    SCOPED(fts) FTS *fts = NULL;
    uint64_t bytes = 0, inodes = 0;
    FTSENT *entry;

    if (path != NULL)
        fts = fts_open(roots, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, NULL);
    if (fts == NULL)
        return err_set(err, -ENOMEM, "%s: out of memory", dir);
    for (errno = 0; (entry = fts_read(fts)) != NULL; errno = 0) {
        /* What is gone before it was looked at does not count: a container may be running. */
        if (entry->fts_info == FTS_DP || entry->fts_errno == ENOENT)
            continue;
        if (entry->fts_info == FTS_ERR || entry->fts_info == FTS_DNR || entry->fts_info == FTS_NS)
            return err_sys(err, snapshot_disk_error(-entry->fts_errno), "%s", entry->fts_path);
        if (add_entry(entry->fts_statp, &names, &bytes, &inodes) < 0)
            return err_set(err, -ENOMEM, "%s: out of memory", dir);
    }
    if (errno != 0)
        return err_sys(err, snapshot_disk_error(-errno), "%s", dir);
    add_linked_once(&names, &bytes, &inodes);
    *ret_bytes = bytes;
    *ret_inodes = inodes;
    return 0;
}

/* ---- the call -------------------------------------------------------------------------------- */

static int store_locked(struct snapshotter *s, uint64_t id, uint64_t bytes, uint64_t inodes,
                        struct err *err)
{
    SCOPED(snapdb_row) struct snapdb_row row = {.id = 0};
    int rc = snapdb_get_by_id(s->db, id, &row, err);

    if (rc < 0)
        return rc;
    row.usage_bytes = bytes;
    row.usage_inodes = inodes;
    return snapdb_update(s->db, &row, err);
}

static int store_usage(struct snapshotter *s, uint64_t id, uint64_t bytes, uint64_t inodes,
                       struct err *err)
{
    int rc = snapdb_begin(s->db, err);

    if (rc < 0)
        return rc;
    rc = store_locked(s, id, bytes, inodes, err);
    if (rc < 0) {
        snapdb_rollback(s->db);
        return rc;
    }
    return snapdb_commit(s->db, err);
}

/* Copies of the layers below count as the container's, which they were made for. */
static int add_mapped(const struct snapshotter *s, const struct snapdb_row *row, uint64_t *bytes,
                      uint64_t *inodes, struct err *err)
{
    SCOPED(idmaps) struct idmaps ids = IDMAPS_EMPTY;
    SCOPED(chain) struct chain chain = CHAIN_EMPTY;
    int rc = mapped_find(s, row, &ids, &chain, err);

    return rc <= 0 ? rc : mapped_du(s, row->id, &chain, bytes, inodes, err);
}

/* A committed snapshot's figures are kept when they are first asked for. No inodes at all means not
 * yet measured: fs itself is one. */
int snapshot_usage(struct snapshotter *s, const char *key, uint64_t *ret_bytes,
                   uint64_t *ret_inodes, struct err *err)
{
    SCOPED(snapdb_row) struct snapdb_row row = {.id = 0};
    SCOPED(mem) char *dir = NULL;
    int rc = snapdb_get(s->db, key, &row, err);

    if (rc < 0)
        return rc;
    *ret_bytes = row.usage_bytes;
    *ret_inodes = row.usage_inodes;
    if (row.kind == SNAPDB_VIEW || snapshot_is_remote(&row) || row.usage_inodes > 0)
        return 0;
    dir = snapshot_fs_dir(s, row.id);
    if (dir == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    rc = snapshot_du(dir, ret_bytes, ret_inodes, err);
    if (rc == 0 && row.kind == SNAPDB_ACTIVE)
        rc = add_mapped(s, &row, ret_bytes, ret_inodes, err);
    if (rc < 0 || row.kind != SNAPDB_COMMITTED)
        return rc;
    return store_usage(s, row.id, *ret_bytes, *ret_inodes, err);
}
