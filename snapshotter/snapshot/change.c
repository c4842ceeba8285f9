/* SPDX-License-Identifier: Apache-2.0 */
/* change.c – Commit, Update and Remove: one short transaction each. containerd holds a lock of its
 * own over its whole database while it waits for the first two. */
#include "snapshot/internal.h"

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- Commit ---------------------------------------------------------------------------------- */

/* A snapshot that was prepared on nothing may be put on a parent now (capability `rebase`). */
static int set_parent(struct snapshotter *s, struct snapdb_row *row, const char *parent,
                      struct err *err)
{
    SCOPED(snapdb_row) struct snapdb_row parent_row = {.id = 0};
    int rc;

    if (parent[0] == '\0' || strcmp(parent, row->parent) == 0)
        return 0;
    if (row->parent[0] != '\0')
        return err_set(err, -EINVAL, "cannot change the parent of snapshot %s on commit",
                       row->name);
    rc = snapdb_get(s->db, parent, &parent_row, err);
    if (rc < 0)
        return err_prefix(err, rc, "parent");
    if (parent_row.kind != SNAPDB_COMMITTED)
        return err_set(err, -EBUSY, "parent snapshot %s is not committed", parent);
    free(row->parent);
    row->parent = text_copy(parent);
    return row->parent == NULL ? err_set(err, -ENOMEM, "out of memory") : 0;
}

static int refuse_taken(struct snapshotter *s, const char *name, struct err *err)
{
    SCOPED(snapdb_row) struct snapdb_row taken = {.id = 0};
    int rc = snapdb_get(s->db, name, &taken, err);

    if (rc == 0)
        return err_set(err, -EEXIST, "snapshot %s: already exists", name);
    return rc == -ENOENT ? 0 : rc;
}

/* What the snapshot uses is measured when it is first asked for, see snapshot_usage(): walking the
 * files of a large layer here would hold up all of containerd. Nothing changes in them from now on.
 * *ret_mapped_id is the snapshot's where something may have been mapped for it, else 0. */
static int commit_locked(struct snapshotter *s, const char *name, const char *key,
                         const char *parent, const struct text_map *labels, uint64_t *ret_mapped_id,
                         struct err *err)
{
    SCOPED(snapdb_row) struct snapdb_row row = {.id = 0};
    int rc = refuse_taken(s, name, err);

    if (rc == 0)
        rc = snapdb_get(s->db, key, &row, err);
    if (rc < 0)
        return rc;
    if (row.kind != SNAPDB_ACTIVE)
        return err_set(err, -EBUSY, "snapshot %s is not active", key);
    rc = set_parent(s, &row, parent, err);
    *ret_mapped_id = text_map_get(&row.labels, SNAPSHOT_LABEL_UIDS) != NULL ||
                             text_map_get(&row.labels, SNAPSHOT_LABEL_GIDS) != NULL
                         ? row.id
                         : 0;
    text_map_fini(&row.labels);
    if (rc == 0)
        rc = snapshot_labels_add(&row.labels, labels, err);
    if (rc < 0)
        return rc;
    free(row.name);
    row.name = text_copy(name);
    if (row.name == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    row.kind = SNAPDB_COMMITTED;
    row.created_ns = row.updated_ns = clock_wall_ns();
    return snapdb_update(s->db, &row, err);
}

/* The end of a transaction whose work ended with `rc`. */
static int finish(struct snapshotter *s, int rc, struct err *err)
{
    if (rc < 0) {
        snapdb_rollback(s->db);
        return rc;
    }
    return snapdb_commit(s->db, err);
}

int snapshot_commit(struct snapshotter *s, const char *name, const char *key, const char *parent,
                    const struct text_map *labels, struct err *err)
{
    uint64_t mapped_id = 0;
    int rc;

    if (name[0] == '\0')
        return err_set(err, -EINVAL, "a committed snapshot needs a name");
    rc = snapdb_begin(s->db, err);
    if (rc < 0)
        return rc;
    rc = finish(s, commit_locked(s, name, key, parent, labels, &mapped_id, err), err);
    if (rc == 0 && mapped_id != 0)
        snapshot_doom(s, mapped_id); /* nobody mounts it any more */
    return rc;
}

/* ---- Update ---------------------------------------------------------------------------------- */

static int update_locked(struct snapshotter *s, const char *key, const struct text_map *labels,
                         const struct text_list *paths, struct snapdb_row *row, struct err *err)
{
    int rc = snapdb_get(s->db, key, row, err);

    if (rc == 0)
        rc = snapshot_labels_update(row, labels, paths, err);
    if (rc < 0)
        return rc;
    row->updated_ns = clock_wall_ns();
    return snapdb_update(s->db, row, err);
}

int snapshot_update(struct snapshotter *s, const char *key, const struct text_map *labels,
                    const struct text_list *paths, struct snapdb_row *ret, struct err *err)
{
    SCOPED(snapdb_row) struct snapdb_row row = {.id = 0};
    int rc = snapdb_begin(s->db, err);

    if (rc < 0)
        return rc;
    rc = finish(s, update_locked(s, key, labels, paths, &row, err), err);
    if (rc < 0)
        return rc;
    *ret = row;
    memset(&row, 0, sizeof(row));
    return 0;
}

/* ---- Remove ---------------------------------------------------------------------------------- */

/* *row is what was removed. */
static int remove_locked(struct snapshotter *s, const char *key, struct snapdb_row *row,
                         struct err *err)
{
    bool has_children = false;
    int rc = snapdb_get(s->db, key, row, err);

    if (rc == 0)
        rc = snapdb_has_children(s->db, key, &has_children, err);
    if (rc < 0)
        return rc;
    if (has_children)
        return err_set(err, -EBUSY, "snapshot %s: cannot remove snapshot with child", key);
    return snapdb_delete(s->db, key, err);
}

static int remove_row(struct snapshotter *s, const char *key, struct snapdb_row *row,
                      struct err *err)
{
    int rc = snapdb_begin(s->db, err);

    return rc < 0 ? rc : finish(s, remove_locked(s, key, row, err), err);
}

/* An image goes: what is being made of it for nobody goes at once. A row of containerd's own has no
 * labels that name an image, and the lazy half finds nothing. */
static void abandon_rest(const struct snapshotter *s, const struct snapdb_row *row)
{
    const char *namespace_ = text_map_get(&row->labels, SNAPSHOT_LABEL_NAMESPACE);

    if (s->lazy.abandon != NULL && text_map_get(&row->labels, SNAPSHOT_LABEL_TARGET) != NULL)
        s->lazy.abandon(s->lazy.self, namespace_ == NULL ? "" : namespace_, &row->labels, true);
}

int snapshot_remove(struct snapshotter *s, const char *key, struct err *err)
{
    SCOPED(snapdb_row) struct snapdb_row row = {.id = 0};
    int rc = remove_row(s, key, &row, err);

    if (rc == -ENOSPC && snapdb_spend_reserve(s->db)) {
        snapdb_row_fini(&row);
        row = (struct snapdb_row){.id = 0};
        rc = remove_row(s, key, &row, err);
    }
    if (rc < 0)
        return rc;
    snapshot_doom(s, row.id);
    abandon_rest(s, &row);
    return 0;
}
