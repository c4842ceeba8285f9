/* SPDX-License-Identifier: Apache-2.0 */
/* reconcile.c – at start, database, directories and mounts are made to agree again. From disk
 * alone: neither the network nor credentials may keep the daemon from starting. */
#include "snapshot/internal.h"

#include "base/files.h"
#include "base/log.h"

#include <errno.h>

struct count {
    struct snapshotter *s;
    size_t remounted, failed;
};

static int remount(struct snapshotter *s, const struct snapdb_row *row, struct err *err)
{
    SCOPED(mem) char *fs = snapshot_fs_dir(s, row->id);

    if (fs == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    if (s->lazy.remount == NULL)
        return err_set(err, -EOPNOTSUPP, "lazy mounts are switched off");
    return s->lazy.remount(s->lazy.self, row->id, fs, &row->labels, err);
}

/* A row may lack its directories only after power was lost between the row's sync and theirs, or
 * when someone deleted them. An active one had nothing of worth yet. A remote layer's are mere
 * mount points. The files of a committed one are gone, and an empty directory in their place would
 * be a lie. */
static int restore_dirs(struct snapshotter *s, const struct snapdb_row *row, struct err *err)
{
    SCOPED(mem) char *fs = snapshot_fs_dir(s, row->id);

    if (fs == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    if (path_exists(fs))
        return 0;
    if (row->kind == SNAPDB_COMMITTED && !snapshot_is_remote(row))
        return err_set(err, -ENOENT, "%s is gone", fs);
    return snapshot_dirs_restore(s, row->id, row->kind, err);
}

/* One bad row must not keep the others from serving, so this never ends the walk. */
static int reconcile_row(void *arg, const struct snapdb_row *row)
{
    struct count *count = arg;
    bool remote = snapshot_is_remote(row);
    struct err err = ERR_NONE;
    int rc = restore_dirs(count->s, row, &err);

    if (rc == 0 && remote)
        rc = remount(count->s, row, &err);
    if (rc < 0) {
        count->failed++;
        log_error("snapshot cannot be used", "id=%llu key=%s err=%s", (unsigned long long)row->id,
                  row->name, err_text(&err));
    } else if (remote) {
        count->remounted++;
    }
    return 0;
}

/* Also in snapshots that were set aside with a broken database. */
static int detach_all(const struct snapshotter *s, struct err *err)
{
    SCOPED(mem) char *above = path_join(s->dir, "..");

    return above == NULL ? err_set(err, -ENOMEM, "out of memory") : stale_mounts_detach(above, err);
}

int snapshot_reconcile(struct snapshotter *s, struct err *err)
{
    struct count count = {.s = s};
    struct err why = ERR_NONE;
    int rc;

    if (detach_all(s, &why) < 0)
        log_warn("mounts of an earlier process stay", "err=%s", err_text(&why));
    if (snapshot_cleanup_dirs(s, &why) < 0)
        log_warn("leftovers of an earlier process stay", "err=%s", err_text(&why));
    rc = snapdb_walk(s->db, reconcile_row, &count, err);
    if (rc == 0 && count.remounted + count.failed > 0)
        log_info("layers are mounted again", "layers=%zu failed=%zu", count.remounted,
                 count.failed);
    return rc;
}
