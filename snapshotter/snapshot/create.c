/* SPDX-License-Identifier: Apache-2.0 */
/* create.c – a new active snapshot or view: row and directories together. */
#include "snapshot/internal.h"

#include "base/clock.h"
#include "base/files.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* The root of what a container writes belongs to whom the root below it belongs to. */
static struct snapshot_owner owner_of_nearest(const struct snapshotter *s,
                                              const struct chain *chain, const struct idmaps *ids)
{
    struct snapshot_owner owner = {.uid = geteuid(), .gid = getegid()};
    SCOPED(mem) char *fs = chain->count > 0 ? snapshot_fs_dir(s, chain->links[0].id) : NULL;
    struct stat st;

    if (fs != NULL && stat(fs, &st) == 0)
        owner = (struct snapshot_owner){.uid = st.st_uid, .gid = st.st_gid};
    if (ids != NULL && (chain->is_mapped || chain->count == 0))
        owner = (struct snapshot_owner){.uid = idmap_outside(&ids->uids, owner.uid),
                                        .gid = idmap_outside(&ids->gids, owner.gid)};
    return owner;
}

static int fill_row(struct snapdb_row *row, const struct snapshot_prepare_request *request,
                    struct err *err)
{
    if (request->key[0] == '\0')
        return err_set(err, -EINVAL, "a snapshot needs a key");
    row->name = text_copy(request->key);
    row->parent = text_copy(request->parent);
    row->created_ns = row->updated_ns = clock_wall_ns();
    if (row->name == NULL || row->parent == NULL)
        return err_set(err, -ENOMEM, "snapshot: out of memory");
    return snapshot_labels_add(&row->labels, request->labels, err);
}

static void remove_dirs(const struct snapshotter *s, uint64_t id)
{
    SCOPED(mem) char *dir = snapshot_dir(s, id);
    struct err ignored = ERR_NONE; /* what stays is collected later */

    if (dir != NULL)
        (void)!dir_remove_all(dir, &ignored);
}

static int insert_row(struct snapshotter *s, struct snapdb_row *row, struct err *err)
{
    int rc = snapdb_insert(s->db, row, err);

    if (rc == -EEXIST)
        return err_set(err, rc, "snapshot %s: already exists", row->name);
    if (rc == -ENOENT) /* removed since the chain was read */
        return err_set(err, rc, "parent: snapshot %s does not exist", row->parent);
    return rc;
}

/* All between begin and commit, the making of directories too: then whoever lists directories
 * inside a transaction of its own sees none that is still in the making. A crash on the way leaves
 * directories that no row names; the row comes last. */
static int create_in_transaction(struct snapshotter *s, struct snapdb_row *row,
                                 struct snapshot_owner owner, const struct chain *chain,
                                 struct snapshot_mounts *ret, struct err *err)
{
    SCOPED(snapshot_mounts) struct snapshot_mounts mounts = {.items = NULL, .count = 0};
    int rc = snapdb_begin(s->db, err);

    if (rc < 0)
        return rc;
    rc = insert_row(s, row, err);
    if (rc < 0) {
        snapdb_rollback(s->db);
        return rc;
    }
    rc = snapshot_dirs_make(s, row->id, row->kind, owner, err);
    if (rc == 0)
        rc = snapshot_mounts_make(s, row->id, row->kind, chain, &mounts, err);
    if (rc < 0) {
        remove_dirs(s, row->id);
        snapdb_rollback(s->db);
        return rc;
    }
    rc = snapdb_commit(s->db, err);
    if (rc < 0) {
        remove_dirs(s, row->id); /* the id is not given again, so nobody else's */
        return rc;
    }
    *ret = mounts;
    mounts = (struct snapshot_mounts){.items = NULL, .count = 0};
    return 0;
}

static bool is_for_a_layer(const struct text_map *labels)
{
    const char *target = labels == NULL ? NULL : text_map_get(labels, SNAPSHOT_LABEL_TARGET);

    return target != NULL && target[0] != '\0';
}

/* row->kind is set. `ids` NULL: of no user namespace. */
static int create(struct snapshotter *s, const struct snapshot_prepare_request *request,
                  struct snapdb_row *row, const struct idmaps *ids, struct chain *chain,
                  struct snapshot_mounts *ret, struct err *err)
{
    int rc = chain_load(s, request->parent, chain, err);

    if (rc == 0)
        rc = chain_check(s, chain, err);
    if (rc == 0 && ids != NULL)
        mapped_decide(s, ids, chain);
    if (rc == 0)
        rc = fill_row(row, request, err);
    if (rc == 0)
        rc = create_in_transaction(s, row, owner_of_nearest(s, chain, ids), chain, ret, err);
    if (rc == 0 && !is_for_a_layer(request->labels))
        chain_use(s, chain);
    return rc;
}

/* ---- for a user namespace -------------------------------------------------------------------- */

static void remove_row(struct snapshotter *s, const struct snapdb_row *row)
{
    struct err err = ERR_NONE;
    int rc = snapdb_begin(s->db, &err);

    if (rc == 0) {
        rc = snapdb_delete(s->db, row->name, &err);
        if (rc < 0)
            snapdb_rollback(s->db);
        else
            rc = snapdb_commit(s->db, &err);
    }
    if (rc < 0 && rc != -ENOENT) /* somebody else removed it */
        log_warn("snapshot that could not be made stays", "key=%s err=%s", row->name,
                 err_text(&err));
    else
        snapshot_doom(s, row->id);
}

/* The directories below may take as long as copying them takes, so they are made outside of the
 * transaction. A crash meanwhile leaves a row whose labels say what is missing. */
static int create_mapped(struct snapshotter *s, const struct snapshot_prepare_request *request,
                         struct snapdb_row *row, const struct idmaps *ids,
                         struct snapshot_mounts *ret, struct err *err)
{
    SCOPED(snapshot_mounts) struct snapshot_mounts mounts = {.items = NULL, .count = 0};
    SCOPED(chain) struct chain chain = CHAIN_EMPTY;
    int rc = create(s, request, row, ids, &chain, &mounts, err);

    if (rc < 0)
        return rc;
    rc = mapped_ensure(s, row, &chain, ids, &request->cancel, err);
    if (rc < 0) {
        remove_row(s, row);
        return rc;
    }
    *ret = mounts;
    mounts = (struct snapshot_mounts){.items = NULL, .count = 0};
    return 0;
}

int snapshot_create(struct snapshotter *s, const struct snapshot_prepare_request *request,
                    enum snapdb_kind kind, struct snapshot_mounts *ret, uint64_t *ret_id,
                    struct err *err)
{
    SCOPED(snapdb_row) struct snapdb_row row = {.kind = kind};
    SCOPED(idmaps) struct idmaps ids = IDMAPS_EMPTY;
    SCOPED(chain) struct chain chain = CHAIN_EMPTY;
    int rc = mapped_read_labels(request->labels, &ids, err);

    if (rc == 0)
        rc = create(s, request, &row, NULL, &chain, ret, err);
    else if (rc == 1)
        rc = create_mapped(s, request, &row, &ids, ret, err);
    if (rc == 0)
        *ret_id = row.id;
    return rc;
}

int snapshot_view(struct snapshotter *s, const struct snapshot_prepare_request *request,
                  struct snapshot_mounts *ret, struct err *err)
{
    uint64_t id;

    return snapshot_create(s, request, SNAPDB_VIEW, ret, &id, err);
}
