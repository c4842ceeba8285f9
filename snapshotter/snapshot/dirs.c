/* SPDX-License-Identifier: Apache-2.0 */
/* dirs.c – a snapshot's directories: <id>/fs holds its files, <id>/work is overlayfs' own. */
#include "snapshot/internal.h"

#include "base/files.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

char *snapshot_dir(const struct snapshotter *s, uint64_t id)
{
    return text_format("%s/%llu", s->dir, (unsigned long long)id);
}

char *snapshot_fs_dir(const struct snapshotter *s, uint64_t id)
{
    return text_format("%s/%llu/fs", s->dir, (unsigned long long)id);
}

/* The mode is exact whatever the umask; containers see that of fs as the one of their root. */
static int make_one(const char *parent, const char *name, mode_t mode, struct err *err)
{
    SCOPED(mem) char *path = path_join(parent, name);

    if (path == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    if (mkdir(path, mode) < 0)
        return errno == EEXIST ? 0 : err_sys(err, -errno, "%s", path);
    if (chmod(path, mode) < 0)
        return err_sys(err, -errno, "%s", path);
    return 0;
}

static int make_in(const char *dir, enum snapdb_kind kind, struct err *err)
{
    int rc = make_one(dir, "fs", 0755, err);

    return rc == 0 && kind == SNAPDB_ACTIVE ? make_one(dir, "work", 0711, err) : rc;
}

static int own_fs(const char *dir, struct snapshot_owner owner, struct err *err)
{
    SCOPED(mem) char *fs = path_join(dir, "fs");

    if (fs == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    if (owner.uid == geteuid() && owner.gid == getegid())
        return 0;
    return chown(fs, owner.uid, owner.gid) < 0 ? err_sys(err, -errno, "%s", fs) : 0;
}

/* The last step is one rename, so a crash leaves a `new-…` directory or a whole one. The sync lets
 * the rename reach the disk before the row does. */
static int fill_and_rename(const struct snapshotter *s, const char *temporary, const char *dir,
                           enum snapdb_kind kind, struct snapshot_owner owner, struct err *err)
{
    int rc = make_in(temporary, kind, err);

    if (rc == 0)
        rc = own_fs(temporary, owner, err);
    if (rc < 0)
        return rc;
    if (rename(temporary, dir) < 0)
        return err_sys(err, -errno, "%s", dir);
    return dir_sync(s->dir, err);
}

int snapshot_dirs_make(const struct snapshotter *s, uint64_t id, enum snapdb_kind kind,
                       struct snapshot_owner owner, struct err *err)
{
    SCOPED(mem) char *temporary = text_format("%s/new-XXXXXX", s->dir);
    SCOPED(mem) char *dir = snapshot_dir(s, id);
    int rc;

    if (temporary == NULL || dir == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    if (mkdtemp(temporary) == NULL)
        return err_sys(err, snapshot_disk_error(-errno), "%s", temporary);
    rc = fill_and_rename(s, temporary, dir, kind, owner, err);
    if (rc < 0) {
        struct err ignored = ERR_NONE; /* what stays is collected later */
        (void)!dir_remove_all(temporary, &ignored);
        return snapshot_disk_error(rc);
    }
    return 0;
}

int snapshot_fs_empty(const struct snapshotter *s, uint64_t id, struct err *err)
{
    SCOPED(mem) char *dir = snapshot_dir(s, id);
    SCOPED(mem) char *fs = snapshot_fs_dir(s, id);
    struct stat st;
    int rc;

    if (dir == NULL || fs == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    if (stat(fs, &st) < 0)
        return err_sys(err, -errno, "%s", fs);
    rc = dir_remove_all(fs, err);
    if (rc == 0)
        rc = make_one(dir, "fs", st.st_mode & 07777, err);
    if (rc == 0)
        rc = own_fs(dir, (struct snapshot_owner){.uid = st.st_uid, .gid = st.st_gid}, err);
    return rc;
}

int snapshot_dirs_restore(const struct snapshotter *s, uint64_t id, enum snapdb_kind kind,
                          struct err *err)
{
    SCOPED(mem) char *dir = snapshot_dir(s, id);
    int rc;

    if (dir == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    rc = dir_make_all(dir, 0700, err);
    return rc < 0 ? rc : make_in(dir, kind, err);
}
