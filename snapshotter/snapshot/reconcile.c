/* SPDX-License-Identifier: Apache-2.0 */
/* reconcile.c – at start, database, directories and mounts are made to agree again. From disk
 * alone: neither the network nor credentials may keep the daemon from starting. */
#include "snapshot/internal.h"

#include "base/files.h"
#include "base/log.h"
#include "base/threads.h"

#include <errno.h>

/* Mounting a layer waits for the disk and for the kernel; several do so at once. */
enum { REMOUNT_THREADS = 8 };

/* What is done again for one row. */
struct again {
    struct pool_job job; /* first */
    struct reconciliation *all;
    struct snapdb_row row; /* id, name, parent, kind, labels */
};

struct reconciliation {
    struct snapshotter *s;
    struct buf rows;          /* of struct again; all of them before any is worked on */
    size_t remounted, failed; /* atomic */
};

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

static void add_one(size_t *count)
{
    (void)__atomic_add_fetch(count, 1, __ATOMIC_RELAXED);
}

/* One bad row must not keep the others from serving. */
static void report(struct reconciliation *all, const struct snapdb_row *row, const struct err *err)
{
    add_one(&all->failed);
    log_error("snapshot cannot be used", "id=%llu key=%s err=%s", (unsigned long long)row->id,
              row->name, err_text(err));
}

/* ---- lazily mounted layers ------------------------------------------------------------------- */

static int remount(struct snapshotter *s, const struct snapdb_row *row, struct err *err)
{
    SCOPED(mem) char *fs = snapshot_fs_dir(s, row->id);

    if (fs == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    if (s->lazy.remount == NULL)
        return err_set(err, -EOPNOTSUPP, "lazy mounts are switched off");
    return s->lazy.remount(s->lazy.self, row->id, fs, &row->labels, err);
}

static void run_remount(struct pool_job *job)
{
    struct again *again = (struct again *)(void *)job;
    struct err err = ERR_NONE;

    if (remount(again->all->s, &again->row, &err) < 0)
        report(again->all, &again->row, &err);
    else
        add_one(&again->all->remounted);
}

/* ---- what was made for user namespaces ------------------------------------------------------- */

static int map_again(struct snapshotter *s, const struct snapdb_row *row, struct err *err)
{
    SCOPED(idmaps) struct idmaps ids = IDMAPS_EMPTY;
    SCOPED(chain) struct chain chain = CHAIN_EMPTY;
    int rc = mapped_find(s, row, &ids, &chain, err);

    if (rc <= 0 || !chain.is_mapped)
        return rc < 0 ? rc : 0;
    return mapped_make(s, row->id, &chain, &ids, err);
}

/* A failure is not the end: Mounts tries again. */
static void run_map(struct pool_job *job)
{
    struct again *again = (struct again *)(void *)job;
    struct err err = ERR_NONE;

    if (map_again(again->all->s, &again->row, &err) < 0)
        report(again->all, &again->row, &err);
}

/* ---- all ------------------------------------------------------------------------------------- */

static bool needs_mapping(const struct snapdb_row *row)
{
    return row->kind != SNAPDB_COMMITTED &&
           (text_map_get(&row->labels, SNAPSHOT_LABEL_UIDS) != NULL ||
            text_map_get(&row->labels, SNAPSHOT_LABEL_GIDS) != NULL);
}

static int keep_row(struct reconciliation *all, const struct snapdb_row *row)
{
    struct again again = {.all = all, .row = {.id = row->id, .kind = row->kind}};

    again.row.name = text_copy(row->name);
    again.row.parent = text_copy(row->parent);
    if (again.row.name == NULL || again.row.parent == NULL ||
        text_map_copy(&again.row.labels, &row->labels) < 0 ||
        buf_add(&all->rows, &again, sizeof(again)) < 0) {
        snapdb_row_fini(&again.row);
        return -ENOMEM;
    }
    return 0;
}

/* Never ends the walk. */
static int look_at_row(void *arg, const struct snapdb_row *row)
{
    struct reconciliation *all = arg;
    struct err err = ERR_NONE;
    int rc = restore_dirs(all->s, row, &err);

    if (rc == 0 && (snapshot_is_remote(row) || needs_mapping(row)) && keep_row(all, row) < 0)
        rc = err_set(&err, -ENOMEM, "out of memory");
    if (rc < 0)
        report(all, row, &err);
    return 0;
}

static int run_all(struct reconciliation *all, bool remote, void (*run)(struct pool_job *job),
                   struct err *err)
{
    SCOPED(pool) struct pool *pool = NULL; /* its end waits for all jobs */
    struct again *rows = (struct again *)(void *)all->rows.data;
    size_t count = all->rows.len / sizeof(*rows);
    int rc = count == 0 ? 0 : pool_new("snapshot-start", REMOUNT_THREADS, &pool, err);

    for (size_t i = 0; rc == 0 && i < count; i++) {
        if (snapshot_is_remote(&rows[i].row) != remote)
            continue;
        rows[i].job.run = run;
        pool_submit(pool, &rows[i].job, POOL_URGENT);
    }
    return rc;
}

static void free_rows(struct reconciliation *all)
{
    struct again *rows = (struct again *)(void *)all->rows.data;

    for (size_t i = 0; i < all->rows.len / sizeof(*rows); i++)
        snapdb_row_fini(&rows[i].row);
    buf_fini(&all->rows);
}

/* Also in snapshots that were set aside with a broken database. */
static int detach_all(const struct snapshotter *s, struct err *err)
{
    SCOPED(mem) char *above = path_join(s->dir, "..");

    return above == NULL ? err_set(err, -ENOMEM, "out of memory") : stale_mounts_detach(above, err);
}

int snapshot_reconcile(struct snapshotter *s, struct err *err)
{
    struct reconciliation all = {.s = s, .rows = BUF_EMPTY};
    struct err why = ERR_NONE;
    int rc;

    if (detach_all(s, &why) < 0)
        log_warn("mounts of an earlier process stay", "err=%s", err_text(&why));
    if (snapshot_cleanup_dirs(s, &why) < 0)
        log_warn("leftovers of an earlier process stay", "err=%s", err_text(&why));
    rc = snapdb_walk(s->db, look_at_row, &all, err);
    if (rc == 0)
        rc = run_all(&all, true, run_remount, err);
    if (rc == 0)
        rc = run_all(&all, false, run_map, err);
    if (rc == 0 && all.remounted + all.failed > 0)
        log_info("layers are mounted again", "layers=%zu failed=%zu", all.remounted, all.failed);
    free_rows(&all);
    return rc;
}
