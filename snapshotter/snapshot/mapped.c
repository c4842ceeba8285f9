/* SPDX-License-Identifier: Apache-2.0 */
/* mapped.c – snapshots of containers in a user namespace. To such a container the files of the
 * image shall belong to whom the image says, so to the kernel they must belong to whom the
 * namespace makes of that. Each ancestor is therefore shown once more, at <parent>_<id>/fs, with
 * translated owners:
 *
 * - a lazily mounted layer is mounted a second time; its bytes are fetched once;
 * - a directory is bind mounted with the map, where kernel and file system can do that;
 * - else its files are copied.
 *
 * The labels of the row say what is needed, so all of it can be made again after a restart. A copy
 * stays: it was made under another name and renamed when it was complete and on disk. */
#include "snapshot/internal.h"

#include "base/files.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

enum mapping_ability { MAPPING_UNKNOWN, MAPPING_BINDS, MAPPING_COPIES };

/* ---- labels ---------------------------------------------------------------------------------- */

int mapped_read_labels(const struct text_map *labels, struct idmaps *ret, struct err *err)
{
    const char *uids = labels == NULL ? NULL : text_map_get(labels, SNAPSHOT_LABEL_UIDS),
               *gids = labels == NULL ? NULL : text_map_get(labels, SNAPSHOT_LABEL_GIDS);
    SCOPED(idmaps) struct idmaps ids = IDMAPS_EMPTY;
    const char *target;
    int rc;

    if ((uids == NULL || uids[0] == '\0') && (gids == NULL || gids[0] == '\0'))
        return 0;
    target = text_map_get(labels, SNAPSHOT_LABEL_TARGET);
    if (target != NULL && target[0] != '\0')
        return 0; /* a layer in the making is for all containers */
    rc = idmaps_parse(uids, gids, &ids, err);
    if (rc < 0)
        return err_prefix(err, rc, "labels of the user namespace");
    if (!idmap_has(&ids.uids, 0) || !idmap_has(&ids.gids, 0))
        return err_set(err, -EINVAL, "labels of the user namespace: it has no root");
    *ret = ids;
    ids = (struct idmaps)IDMAPS_EMPTY;
    return 1;
}

/* containerd's client, when it is not told that the snapshotter maps ids, makes a layer of its own
 * on top of the image in which every file has its owner changed, and still sends the labels with
 * the container's snapshot. That layer's root is the container's root's. */
static bool was_mapped_by_client(const struct snapshotter *s, const struct idmaps *ids,
                                 const struct chain_link *nearest)
{
    SCOPED(mem) char *fs = snapshot_fs_dir(s, nearest->id);
    uint32_t uid = idmap_outside(&ids->uids, 0), gid = idmap_outside(&ids->gids, 0);
    struct stat st;

    return uid != 0 && !nearest->remote && fs != NULL && stat(fs, &st) == 0 && st.st_uid == uid &&
           st.st_gid == gid;
}

void mapped_decide(const struct snapshotter *s, const struct idmaps *ids, struct chain *chain)
{
    chain->is_mapped = chain->count > 0 && !was_mapped_by_client(s, ids, &chain->links[0]);
}

int mapped_find(const struct snapshotter *s, const struct snapdb_row *row, struct idmaps *ret_ids,
                struct chain *ret_chain, struct err *err)
{
    int rc = mapped_read_labels(&row->labels, ret_ids, err);

    if (rc <= 0)
        return rc;
    rc = chain_load(s, row->parent, ret_chain, err);
    if (rc < 0)
        return rc;
    mapped_decide(s, ret_ids, ret_chain);
    return 1;
}

/* ---- names ----------------------------------------------------------------------------------- */

char *mapped_dir(const struct snapshotter *s, uint64_t parent, uint64_t id)
{
    return text_format("%s/%llu_%llu", s->dir, (unsigned long long)parent, (unsigned long long)id);
}

bool mapped_parse_name(const char *name, uint64_t *ret_parent, uint64_t *ret_id)
{
    const char *rest = strchr(name, '_');
    SCOPED(mem) char *parent = rest == NULL ? NULL : strndup(name, (size_t)(rest - name));

    return parent != NULL && text_parse_u64(parent, ret_parent) == 0 &&
           text_parse_u64(rest + 1, ret_id) == 0;
}

/* ---- one ancestor ---------------------------------------------------------------------------- */

/* What is being made for one snapshot. */
struct making {
    struct snapshotter *s;
    uint64_t id;
    const struct idmaps *ids;
    int userns_fd; /* -1: not needed so far */
};

static bool is_empty(const char *path)
{
    SCOPED(dir) DIR *dir = opendir(path);
    const struct dirent *entry = NULL;
    size_t count = 0;

    while (dir != NULL && (entry = readdir(dir)) != NULL)
        count++;
    return dir != NULL && count <= 2;
}

static bool is_bound(const char *from, const char *to)
{
    struct stat a, b;

    return stat(from, &a) == 0 && stat(to, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static int make_mount_point(const char *fs, struct err *err)
{
    int rc = dir_make_all(fs, 0755, err);

    return rc < 0 ? snapshot_disk_error(rc) : 0;
}

static int mount_lazy(const struct making *m, uint64_t parent, const char *fs, struct err *err)
{
    const struct snapshot_lazy *lazy = &m->s->lazy;
    int rc = make_mount_point(fs, err);

    if (rc < 0)
        return rc;
    if (lazy->mount_mapped == NULL)
        return err_set(err, -EOPNOTSUPP, "lazy mounts cannot be mapped");
    return lazy->mount_mapped(lazy->self, parent, fs, m->ids, err);
}

static int bind_dir(struct making *m, const char *from, const char *fs, struct err *err)
{
    int rc = make_mount_point(fs, err);

    if (rc == 0 && m->userns_fd < 0)
        rc = userns_open(m->ids, &m->userns_fd, err);
    return rc < 0 ? rc : userns_bind(from, fs, m->userns_fd, err);
}

/* The mount point that a try to bind left is in the way. */
static int move_copy(const struct making *m, const char *temporary, const char *dir, const char *fs,
                     struct err *err)
{
    (void)rmdir(fs);
    (void)rmdir(dir);
    if (rename(temporary, dir) < 0)
        return err_sys(err, snapshot_disk_error(-errno), "%s", dir);
    return dir_sync(m->s->dir, err);
}

static int copy_dir(const struct making *m, uint64_t parent, const char *dir, const char *fs,
                    struct err *err)
{
    SCOPED(mem) char *from = snapshot_dir(m->s, parent);
    SCOPED(mem) char *temporary = text_format("%s/new-XXXXXX", m->s->dir);
    int rc;

    if (from == NULL || temporary == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    if (mkdtemp(temporary) == NULL)
        return err_sys(err, snapshot_disk_error(-errno), "%s", temporary);
    rc = copy_mapped(from, temporary, "fs", m->ids, err);
    if (rc == 0)
        rc = move_copy(m, temporary, dir, fs, err);
    if (rc < 0) {
        struct err ignored = ERR_NONE; /* what stays is collected later */
        (void)!dir_remove_all(temporary, &ignored);
    }
    return rc;
}

static bool can_bind(struct snapshotter *s)
{
    int ability = __atomic_load_n(&s->can_bind, __ATOMIC_RELAXED);

    if (ability == MAPPING_UNKNOWN) {
        ability = userns_can_bind(s->dir) ? MAPPING_BINDS : MAPPING_COPIES;
        __atomic_store_n(&s->can_bind, ability, __ATOMIC_RELAXED);
    }
    return ability == MAPPING_BINDS;
}

static int show_dir(struct making *m, uint64_t parent, const char *dir, const char *fs,
                    struct err *err)
{
    SCOPED(mem) char *from = snapshot_fs_dir(m->s, parent);
    struct err why = ERR_NONE;

    if (from == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    if (is_bound(from, fs) || (path_exists(fs) && !is_empty(fs)))
        return 0;
    if (can_bind(m->s)) {
        if (bind_dir(m, from, fs, &why) == 0)
            return 0;
        log_warn("layer is copied for an id-mapped container", "id=%llu err=%s",
                 (unsigned long long)parent, err_text(&why));
    }
    return copy_dir(m, parent, dir, fs, err);
}

static int show_ancestor(struct making *m, const struct chain_link *link, struct err *err)
{
    SCOPED(mem) char *dir = mapped_dir(m->s, link->id, m->id);
    SCOPED(mem) char *fs = dir == NULL ? NULL : path_join(dir, "fs");
    int rc;

    if (fs == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    rc = link->remote ? mount_lazy(m, link->id, fs, err) : show_dir(m, link->id, dir, fs, err);
    return rc < 0 ? err_prefix(err, rc, "layer \"%llu\" for an id-mapped container",
                               (unsigned long long)link->id)
                  : 0;
}

/* ---- all of them ----------------------------------------------------------------------------- */

int mapped_make(struct snapshotter *s, uint64_t id, const struct chain *chain,
                const struct idmaps *ids, struct err *err)
{
    struct making m = {.s = s, .id = id, .ids = ids, .userns_fd = -1};
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < chain->count; i++)
        rc = show_ancestor(&m, &chain->links[i], err);
    if (m.userns_fd >= 0)
        (void)close(m.userns_fd);
    return rc;
}

int mapped_ensure(struct snapshotter *s, const struct snapdb_row *row, const struct chain *chain,
                  const struct idmaps *ids, const struct snapshot_cancel *cancel, struct err *err)
{
    struct claim claim = {.target = "", .parent = row->name};
    SCOPED(snapdb_row) struct snapdb_row now = {.id = 0};
    int rc;

    if (!chain->is_mapped)
        return 0;
    rc = claim_take(s, &claim, cancel);
    if (rc < 0)
        return err_set(err, rc, "snapshot %s: another call makes its layers", row->name);
    claim_set_id(s, &claim, row->id);
    claim_set_unpacking(s, &claim);
    rc = snapdb_get_by_id(s->db, row->id, &now, err);
    if (rc == 0)
        rc = mapped_make(s, row->id, chain, ids, err);
    snapdb_row_fini(&now);
    now = (struct snapdb_row){.id = 0};
    if (rc == 0) /* it may have been removed meanwhile */
        rc = snapdb_get_by_id(s->db, row->id, &now, err);
    claim_release(s, &claim);
    snapshot_doom_if_removed(s, row->id);
    return rc;
}

int mapped_remove(struct snapshotter *s, const char *dir, struct err *err)
{
    SCOPED(mem) char *fs = path_join(dir, "fs");

    if (fs == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    if (s->lazy.unmount_mapped != NULL)
        s->lazy.unmount_mapped(s->lazy.self, fs);
    while (umount2(fs, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
        ;
    return dir_remove_all(dir, err);
}

int mapped_du(const struct snapshotter *s, uint64_t id, const struct chain *chain, uint64_t *bytes,
              uint64_t *inodes, struct err *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && chain->is_mapped && i < chain->count; i++) {
        SCOPED(mem) char *from = snapshot_fs_dir(s, chain->links[i].id);
        SCOPED(mem) char *dir = mapped_dir(s, chain->links[i].id, id);
        SCOPED(mem) char *fs = dir == NULL ? NULL : path_join(dir, "fs");
        uint64_t some_bytes, some_inodes;

        if (from == NULL || fs == NULL)
            return err_set(err, -ENOMEM, "out of memory");
        if (chain->links[i].remote || is_bound(from, fs) || !path_exists(fs))
            continue;
        rc = snapshot_du(fs, &some_bytes, &some_inodes, err);
        if (rc == 0) {
            *bytes += some_bytes;
            *inodes += some_inodes;
        }
    }
    return rc;
}
