/* SPDX-License-Identifier: Apache-2.0 */
/* collect.c – unmount and delete what no row names.
 *
 * Two ways lead here. A removed snapshot is handed to the collector's thread, so that Remove is
 * quick and space is freed soon after. snapshot_cleanup() compares directories with rows and has
 * the last word: it also finds what a crash left. Both may take an id only when its row is gone for
 * good; ids are never given again. A snapshot that was removed while its layer was being mounted
 * (claims.c) is left to the thread that mounts it. What mapped.c made for a snapshot goes with it,
 * or when it is committed. */
#include "snapshot/internal.h"

#include "base/files.h"
#include "base/log.h"
#include "base/threads.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* `dir` is a whole entry of snapshots/. */
static int remove_entry(const char *dir, struct err *err)
{
    int rc = dir_remove_all(dir, err);

    if (rc != -EBUSY) /* -EBUSY: something is mounted in there that the lazy half does not know */
        return rc;
    rc = stale_mounts_detach(dir, err);
    return rc < 0 ? rc : dir_remove_all(dir, err);
}

static int list_dir(const char *path, struct text_list *ret, struct err *err)
{
    SCOPED(dir) DIR *dir = opendir(path);
    struct dirent *entry;

    if (dir == NULL)
        return err_sys(err, snapshot_disk_error(-errno), "%s", path);
    while ((entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (text_list_add(ret, entry->d_name) < 0)
            return err_set(err, -ENOMEM, "out of memory");
    }
    return 0;
}

/* What mapped.c made for snapshot `id`. */
static int collect_mapped_locked(struct snapshotter *s, uint64_t id, struct err *err)
{
    SCOPED(text_list) struct text_list names = TEXT_LIST_EMPTY;
    int rc = list_dir(s->dir, &names, err);
    uint64_t parent, child;

    for (size_t i = 0; rc == 0 && i < names.count; i++) {
        SCOPED(mem) char *dir = path_join(s->dir, names.items[i]);
        if (dir == NULL)
            return err_set(err, -ENOMEM, "out of memory");
        if (mapped_parse_name(names.items[i], &parent, &child) && child == id)
            rc = mapped_remove(s, dir, err);
    }
    return rc;
}

/* 1: it has a row, that of a committed snapshot if *ret_committed. */
static int find_row(struct snapshotter *s, uint64_t id, bool *ret_committed, struct err *err)
{
    SCOPED(snapdb_row) struct snapdb_row row = {.id = 0};
    int rc = snapdb_get_by_id(s->db, id, &row, err);

    *ret_committed = rc == 0 && row.kind == SNAPDB_COMMITTED;
    return rc == -ENOENT ? 0 : rc < 0 ? rc : 1;
}

static int collect_id_locked(struct snapshotter *s, uint64_t id, struct err *err)
{
    SCOPED(mem) char *fs = snapshot_fs_dir(s, id);
    SCOPED(mem) char *dir = snapshot_dir(s, id);
    bool committed = false;
    int rc;

    if (fs == NULL || dir == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    if (claim_has_id(s, id))
        return 0;
    rc = find_row(s, id, &committed, err);
    if (rc < 0 || (rc == 1 && !committed))
        return rc < 0 ? rc : 0;
    if (rc == 0 && path_exists(dir)) {
        if (s->lazy.unmount != NULL)
            s->lazy.unmount(s->lazy.self, id, fs);
        rc = remove_entry(dir, err);
    }
    return rc < 0 ? rc : collect_mapped_locked(s, id, err);
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int compare_ids(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* The directories and the ids of one moment. In a transaction, since new directories appear only in
 * one: what is seen here without a row will never get one. */
static int take_stock(struct snapshotter *s, struct text_list *names, uint64_t **ids, size_t *count,
                      struct err *err)
{
    int rc = snapdb_begin(s->db, err);

    if (rc < 0)
        return rc;
    rc = list_dir(s->dir, names, err);
    if (rc == 0)
        rc = snapdb_ids(s->db, ids, count, err);
    snapdb_rollback(s->db);
    return rc;
}

/* Everything that is not an id (`new-…`) is left from a crash. */
static int collect_name_locked(struct snapshotter *s, const char *name, const uint64_t *ids,
                               size_t count, struct err *err)
{
    SCOPED(mem) char *path = NULL;
    uint64_t parent, id;

    if (text_parse_u64(name, &id) == 0 || mapped_parse_name(name, &parent, &id)) {
        bool is_named = count > 0 && bsearch(&id, ids, count, sizeof(*ids), compare_ids) != NULL;
        return is_named && strchr(name, '_') == NULL ? 0 : collect_id_locked(s, id, err);
    }
    path = path_join(s->dir, name);
    return path == NULL ? err_set(err, -ENOMEM, "out of memory") : remove_entry(path, err);
}

int snapshot_cleanup_dirs(struct snapshotter *s, struct err *err)
{
    SCOPED(text_list) struct text_list names = TEXT_LIST_EMPTY;
    SCOPED(mem) uint64_t *ids = NULL;
    size_t i, count = 0;
    LOCKED(&s->collecting);
    int result = take_stock(s, &names, &ids, &count, err);

    if (result < 0)
        return err_prefix(err, result, "cleanup");
    for (i = 0; i < names.count; i++) {
        struct err why = ERR_NONE;
        int rc = collect_name_locked(s, names.items[i], ids, count, &why);
        if (rc < 0 && result == 0) /* the others are cleaned up all the same */
            result = err_set(err, snapshot_disk_error(rc), "cleanup of %s: %s", names.items[i],
                             err_text(&why));
    }
    return result;
}

int snapshot_cleanup(struct snapshotter *s, struct err *err)
{
    int rc = snapshot_cleanup_dirs(s, err);

    if (s->lazy.collect != NULL)
        s->lazy.collect(s->lazy.self);
    return rc;
}

/* ---- soon after Remove ----------------------------------------------------------------------- */

void snapshot_doom(struct snapshotter *s, uint64_t id)
{
    LOCKED(&s->lock);
    if (buf_add(&s->doomed, &id, sizeof(id)) < 0)
        return; /* the next Cleanup finds it */
    (void)pthread_cond_signal(&s->wake);
}

/* Whoever removed it meanwhile left directories and mounts to us. */
void snapshot_doom_if_removed(struct snapshotter *s, uint64_t id)
{
    SCOPED(snapdb_row) struct snapdb_row row = {.id = 0};
    struct err ignored = ERR_NONE;

    if (id != 0 && snapdb_get_by_id(s->db, id, &row, &ignored) == -ENOENT)
        snapshot_doom(s, id);
}

/* false: the end. */
static bool take_doomed(struct snapshotter *s, uint64_t *ret)
{
    LOCKED(&s->lock);
    while (s->doomed.len == 0 && !s->stopping)
        (void)pthread_cond_wait(&s->wake, &s->lock);
    if (s->stopping)
        return false;
    s->doomed.len -= sizeof(*ret);
    memcpy(ret, s->doomed.data + s->doomed.len, sizeof(*ret));
    return true;
}

static void *collector_run(void *arg)
{
    struct snapshotter *s = arg;
    uint64_t id;

    while (take_doomed(s, &id)) {
        struct err err = ERR_NONE;
        LOCKED(&s->collecting);
        if (collect_id_locked(s, id, &err) < 0)
            log_warn("removed snapshot is not cleaned up yet, the next cleanup tries again",
                     "id=%llu err=%s", (unsigned long long)id, err_text(&err));
        snapdb_fill_reserve(s->db);
    }
    return NULL;
}

int collector_start(struct snapshotter *s, struct err *err)
{
    int rc = thread_start(&s->collector, "snapshot-gc", collector_run, s);

    if (rc < 0)
        return err_sys(err, rc, "collector");
    s->collector_runs = true;
    return 0;
}

/* What is still doomed then waits for the next start, which cleans up first. */
void collector_stop(struct snapshotter *s)
{
    if (!s->collector_runs)
        return;
    {
        LOCKED(&s->lock);
        s->stopping = true;
        (void)pthread_cond_signal(&s->wake);
    }
    (void)pthread_join(s->collector, NULL);
    s->collector_runs = false;
}
