/* SPDX-License-Identifier: Apache-2.0 */
/* prepare.c – Prepare: a snapshot to write into, or a layer that is there at once.
 *
 * With a target label containerd asks: do you have this layer? "Already exists" means yes;
 * containerd then looks for a committed snapshot with that target and parent, adopts it under
 * whatever name it has, and fetches nothing. Mounts mean no, and containerd fetches and unpacks
 * into them, and begins to fetch all later layers of the image too. So a layer that cannot be
 * mounted is unpacked by us where others of its image may be mounted, and every failure ends in
 * mounts. */
#include "snapshot/internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <string.h>

static const char *label_or_empty(const struct text_map *labels, const char *key)
{
    const char *value = labels == NULL ? NULL : text_map_get(labels, key);

    return value == NULL ? "" : value;
}

/* ---- is it there already? -------------------------------------------------------------------- */

struct search {
    const char *parent;
    bool unpacked;  /* one is there that needs nobody to serve it */
    struct buf ids; /* of mounted ones, uint64_t each */
};

static int note_candidate(void *arg, const struct snapdb_row *row)
{
    struct search *search = arg;

    if (row->kind != SNAPDB_COMMITTED || strcmp(row->parent, search->parent) != 0)
        return 0;
    if (!snapshot_is_remote(row)) {
        search->unpacked |= text_map_get(&row->labels, SNAPSHOT_LABEL_OURS) != NULL;
        return 0;
    }
    return buf_add(&search->ids, &row->id, sizeof(row->id));
}

/* Another namespace may have it. 1, 0 or an error. One that cannot serve is as good as none. */
static int find_target(const struct snapshotter *s, const char *target, const char *parent,
                       struct err *err)
{
    struct search search = {.parent = parent, .ids = BUF_EMPTY};
    int rc = snapdb_walk_label(s->db, SNAPSHOT_LABEL_TARGET, target, note_candidate, &search, err);
    const uint64_t *ids = (const uint64_t *)(const void *)search.ids.data;
    size_t i, count = search.ids.len / sizeof(*ids);

    if (rc == 0 && search.unpacked)
        rc = 1;
    for (i = 0; rc == 0 && i < count; i++) {
        struct err ignored = ERR_NONE;
        rc = s->lazy.check(s->lazy.self, ids[i], &ignored) == 0 ? 1 : 0;
    }
    buf_fini(&search.ids);
    return rc;
}

/* ---- the two answers ------------------------------------------------------------------------- */

static int already_exists(const char *target, struct err *err)
{
    return err_set(err, -EEXIST, "target snapshot \"%s\": already exists", target);
}

static void log_prepared(const struct snapshot_prepare_request *request, uint64_t id,
                         bool is_mounted, int64_t started_ms)
{
    const char *layer = label_or_empty(request->labels, SNAPSHOT_LABEL_LAYER),
               *image = label_or_empty(request->labels, SNAPSHOT_LABEL_IMAGE);
    long long took_ms = (long long)(clock_mono_ms() - started_ms);

    if (is_mounted)
        log_info("layer is mounted lazily",
                 "remote-snapshot-prepared=%s key=%s layer=%s image=%s id=%llu took_ms=%lld",
                 "true", request->key, layer, image, (unsigned long long)id, took_ms);
    else
        log_info("layer is unpacked",
                 "local-snapshot-prepared=%s key=%s layer=%s image=%s id=%llu took_ms=%lld", "true",
                 request->key, layer, image, (unsigned long long)id, took_ms);
}

/* No index is nothing to worry about; the rest may be. */
static void log_deferred(const struct snapshot_prepare_request *request, int rc,
                         const struct err *why)
{
    enum log_level level = rc == -ENOENT ? LOG_LEVEL_INFO : LOG_LEVEL_WARN;

    log_at(level, "layer is left to containerd, which fetches it whole",
           "remote-snapshot-prepared=%s defer-snapshot-runtime=%s key=%s layer=%s image=%s err=%s",
           "false", "true", request->key, label_or_empty(request->labels, SNAPSHOT_LABEL_LAYER),
           label_or_empty(request->labels, SNAPSHOT_LABEL_IMAGE), err_text(why));
}

/* While the layer was being mounted or unpacked, others may have removed the snapshot, or committed
 * it: then there is nothing to return mounts of. */
static int check_still_active(struct snapshotter *s, const char *key, uint64_t id, struct err *err)
{
    SCOPED(snapdb_row) struct snapdb_row row = {.id = 0};
    int rc = snapdb_get(s->db, key, &row, err);

    if (rc == 0 && row.id != id)
        rc = err_set(err, -ENOENT, "snapshot %s went away", key);
    return rc;
}

static int prepare_claimed(struct snapshotter *s, struct claim *claim,
                           const struct snapshot_prepare_request *request,
                           struct snapshot_mounts *ret, struct err *err)
{
    SCOPED(snapshot_mounts) struct snapshot_mounts mounts = {.items = NULL, .count = 0};
    int64_t started_ms = clock_mono_ms();
    struct err why = ERR_NONE;
    uint64_t id = 0;
    int rc = find_target(s, claim->target, claim->parent, err);

    if (rc != 0)
        return rc < 0 ? rc : already_exists(claim->target, err);
    rc = snapshot_create(s, request, SNAPDB_ACTIVE, &mounts, &id, err);
    if (rc < 0)
        return rc;
    claim_set_id(s, claim, id);
    rc = snapshot_supply(s, claim, request, &why);
    if (rc >= 0) {
        log_prepared(request, id, rc == 0, started_ms);
        return already_exists(claim->target, err);
    }
    log_deferred(request, rc, &why);
    rc = check_still_active(s, request->key, id, err);
    if (rc < 0)
        return rc;
    *ret = mounts;
    mounts = (struct snapshot_mounts){.items = NULL, .count = 0};
    return 0;
}

/* The lazy half was not asked, so that it does not know. */
static void defer_unasked(const struct snapshotter *s,
                          const struct snapshot_prepare_request *request, int rc, const char *text)
{
    struct err why = ERR_NONE;

    (void)err_set(&why, rc, "%s", text);
    log_deferred(request, rc, &why);
    if (s->lazy.note != NULL)
        s->lazy.note(s->lazy.self, request->labels, &why);
}

static int prepare_target(struct snapshotter *s, const char *target,
                          const struct snapshot_prepare_request *request,
                          struct snapshot_mounts *ret, struct err *err)
{
    struct claim claim = {.target = target, .parent = request->parent};
    uint64_t id;
    int rc = claim_take(s, &claim, &request->cancel);

    if (rc < 0) {
        defer_unasked(s, request, rc,
                      rc == -ECANCELED ? "the client went away"
                                       : "another Prepare of this layer takes too long");
        return snapshot_create(s, request, SNAPDB_ACTIVE, ret, &id, err);
    }
    rc = prepare_claimed(s, &claim, request, ret, err);
    claim_release(s, &claim);
    snapshot_doom_if_removed(s, claim.id);
    return rc;
}

/* A layer that is put on its parent later, see rebase.c. */
static int prepare_rebased(struct snapshotter *s, const struct snapshot_prepare_request *request,
                           struct snapshot_mounts *ret, struct err *err)
{
    SCOPED(snapshot_mounts) struct snapshot_mounts mounts = {.items = NULL, .count = 0};
    uint64_t id;
    int rc = snapshot_create(s, request, SNAPDB_ACTIVE, &mounts, &id, err);

    if (rc < 0)
        return rc;
    defer_unasked(s, request, -ENOENT, "containerd unpacks layers in parallel (capability rebase)");
    rc = snapshot_mounts_rebase(s, &mounts, err);
    if (rc < 0)
        return rc;
    *ret = mounts;
    mounts = (struct snapshot_mounts){.items = NULL, .count = 0};
    return 0;
}

int snapshot_prepare(struct snapshotter *s, const struct snapshot_prepare_request *request,
                     struct snapshot_mounts *ret, struct err *err)
{
    const char *target = label_or_empty(request->labels, SNAPSHOT_LABEL_TARGET);
    uint64_t id;

    if (target[0] != '\0' && snapshot_is_rebased(request->parent, request->labels))
        return prepare_rebased(s, request, ret, err);
    if (target[0] != '\0' && s->lazy.mount != NULL)
        return prepare_target(s, target, request, ret, err);
    return snapshot_create(s, request, SNAPDB_ACTIVE, ret, &id, err);
}
