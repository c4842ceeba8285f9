/* SPDX-License-Identifier: Apache-2.0 */
/* supply.c – a layer comes from us: mounted, or unpacked, and committed as what containerd asks
 * for.
 */
#include "snapshot/internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>

/* ---- the commit ------------------------------------------------------------------------------ */

/* The reference's users look for the target's own name. That may be taken by the same layer on
 * another parent (below it a layer was unpacked, under a name of its namespace's own); containerd
 * takes any name. */
static int name_for_target(struct snapshotter *s, const char *target, uint64_t id, char **ret,
                           struct err *err)
{
    SCOPED(snapdb_row) struct snapdb_row taken = {.id = 0};
    int rc = snapdb_get(s->db, target, &taken, err);

    if (rc < 0 && rc != -ENOENT)
        return rc;
    *ret =
        rc == -ENOENT ? text_copy(target) : text_format("%s@%llu", target, (unsigned long long)id);
    return *ret == NULL ? err_set(err, -ENOMEM, "out of memory") : 0;
}

static int commit_row(struct snapshotter *s, uint64_t id, const char *target,
                      const struct text_map *labels, bool is_mounted, struct err *err)
{
    SCOPED(snapdb_row) struct snapdb_row row = {.id = 0};
    SCOPED(mem) char *name = NULL;
    int rc = snapdb_get_by_id(s->db, id, &row, err);

    if (rc == 0 && row.kind != SNAPDB_ACTIVE)
        rc = err_set(err, -EBUSY, "snapshot %s was committed meanwhile", row.name);
    if (rc == 0)
        rc = name_for_target(s, target, id, &name, err);
    if (rc == 0)
        rc = snapshot_labels_add(&row.labels, labels, err);
    if (rc < 0)
        return rc;
    if (is_mounted && text_map_set(&row.labels, SNAPSHOT_LABEL_REMOTE, "remote snapshot") < 0)
        return err_set(err, -ENOMEM, "out of memory");
    free(row.name);
    row.name = TAKE(name);
    row.kind = SNAPDB_COMMITTED;
    row.created_ns = row.updated_ns = clock_wall_ns();
    return snapdb_update(s->db, &row, err);
}

static int commit_as_target(struct snapshotter *s, const struct claim *claim,
                            const struct text_map *labels, bool is_mounted, struct err *err)
{
    int rc = snapdb_begin(s->db, err);

    if (rc < 0)
        return rc;
    rc = commit_row(s, claim->id, claim->target, labels, is_mounted, err);
    if (rc < 0) {
        snapdb_rollback(s->db);
        return rc;
    }
    return snapdb_commit(s->db, err);
}

/* ---- what lies below ------------------------------------------------------------------------- */

static int list_lowers(const struct snapshotter *s, const char *parent, struct text_list *ret,
                       struct err *err)
{
    SCOPED(chain) struct chain chain = CHAIN_EMPTY;
    int rc = chain_load(s, parent, &chain, err);

    for (size_t i = 0; rc == 0 && i < chain.count; i++) {
        SCOPED(mem) char *dir = snapshot_fs_dir(s, chain.links[i].id);
        if (dir == NULL || text_list_add(ret, dir) < 0)
            rc = err_set(err, -ENOMEM, "out of memory");
    }
    return rc;
}

/* ---- as files -------------------------------------------------------------------------------- */

/* A failed commit leaves the files in a snapshot that containerd may be given to unpack into. */
static void take_files_back(struct snapshotter *s, uint64_t id)
{
    struct err err = ERR_NONE;

    if (snapshot_fs_empty(s, id, &err) < 0)
        log_warn("snapshot is not empty again", "id=%llu err=%s", (unsigned long long)id,
                 err_text(&err));
}

static int unpack(struct snapshotter *s, struct claim *claim, const struct snapshot_layer *layer,
                  struct text_map *labels, struct err *err)
{
    int rc;

    claim_set_unpacking(s, claim);
    rc = s->lazy.unpack(s->lazy.self, layer, labels, err);
    if (rc == 0 && text_map_set(labels, SNAPSHOT_LABEL_OURS, "true") < 0)
        rc = err_set(err, -ENOMEM, "out of memory");
    if (rc < 0)
        return rc;
    rc = commit_as_target(s, claim, labels, false, err);
    if (rc < 0)
        take_files_back(s, claim->id);
    return rc;
}

/* ---- as a mount, or else as files ------------------------------------------------------------ */

/* An unpack() notices by itself. */
static void abandon_if_cancelled(const struct snapshotter *s, const struct snapshot_layer *layer)
{
    const struct snapshot_cancel *cancel = &layer->cancel;

    if (s->lazy.abandon != NULL && cancel->is_cancelled != NULL &&
        cancel->is_cancelled(cancel->self))
        s->lazy.abandon(s->lazy.self, layer->namespace_, layer->labels, false);
}

static int mount_layer(struct snapshotter *s, const struct claim *claim,
                       const struct snapshot_layer *layer, struct text_map *labels, struct err *err)
{
    int rc = s->lazy.mount(s->lazy.self, claim->id, layer, labels, err);

    if (rc == 0)
        abandon_if_cancelled(s, layer);
    if (rc != 0)
        return rc;
    rc = commit_as_target(s, claim, labels, true, err);
    if (rc < 0)
        s->lazy.unmount(s->lazy.self, claim->id, layer->dir);
    return rc;
}

int snapshot_supply(struct snapshotter *s, struct claim *claim,
                    const struct snapshot_prepare_request *request, struct err *err)
{
    SCOPED(mem) char *dir = snapshot_fs_dir(s, claim->id);
    SCOPED(text_map) struct text_map labels = TEXT_MAP_EMPTY; /* what the row gets */
    SCOPED(text_list) struct text_list lowers = TEXT_LIST_EMPTY;
    const struct snapshot_layer layer = {
        .dir = dir,
        .parent = request->parent,
        .lowers = &lowers,
        .namespace_ = request->namespace_,
        .lease = request->lease,
        .labels = request->labels,
        .cancel = request->cancel,
    };
    struct err why = ERR_NONE;
    int rc;

    if (dir == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    rc = list_lowers(s, request->parent, &lowers, &why);
    if (rc == 0)
        rc = mount_layer(s, claim, &layer, &labels, &why);
    if (rc == SNAPSHOT_UNPACK && s->lazy.unpack != NULL) {
        rc = unpack(s, claim, &layer, &labels, err);
        return rc < 0 ? err_prefix(err, rc, "%s", err_text(&why)) : SNAPSHOT_UNPACK;
    }
    if (rc != 0 && err != NULL)
        *err = why;
    return rc == SNAPSHOT_UNPACK ? -ENOENT : rc;
}
