/* SPDX-License-Identifier: Apache-2.0 */
/* supported.c – whether snapshots can be kept here: the directory tells what kind of file each of
 * its names is (without that, overlayfs cannot tell whiteouts from files), and overlayfs takes it
 * as upper and work directory above several lower ones. */
#include "snapshot/internal.h"

#include "base/files.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

static const char *const names[] = {"lower1", "lower2", "upper", "work", "merged"};

static int make_dirs(const char *dir, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        SCOPED(mem) char *path = path_join(dir, names[i]);

        if (path == NULL)
            return err_set(err, -ENOMEM, "out of memory");
        if (mkdir(path, 0700) < 0)
            return err_sys(err, -errno, "%s", path);
    }
    return 0;
}

static int check_types(const char *dir, struct err *err)
{
    SCOPED(dir) DIR *d = opendir(dir);
    const struct dirent *entry;

    if (d == NULL)
        return err_sys(err, -errno, "%s", dir);
    while ((entry = readdir(d)) != NULL) {
        if (entry->d_type == DT_UNKNOWN)
            return err_set(err, -EOPNOTSUPP,
                           "the file system does not tell types of files in directories (d_type; "
                           "xfs needs ftype=1)");
    }
    return 0;
}

static int check_overlay(const char *dir, struct err *err)
{
    SCOPED(mem) char *merged = path_join(dir, "merged");
    SCOPED(mem)
    char *options = text_format("lowerdir=%s/lower1:%s/lower2,upperdir=%s/upper,workdir=%s/work%s",
                                dir, dir, dir, dir, userxattr_is_needed(dir) ? ",userxattr" : "");

    if (merged == NULL || options == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    if (mount("overlay", merged, "overlay", 0, options) < 0)
        return err_set(err, -EOPNOTSUPP,
                       "overlayfs with two lower directories cannot be mounted here: %s",
                       strerror(errno));
    if (umount2(merged, MNT_DETACH) < 0)
        return err_sys(err, -errno, "%s", merged);
    return 0;
}

int snapshot_check_root(const char *root, struct err *err)
{
    const char *bad = strpbrk(root, ":,\\");

    return bad == NULL ? 0
                       : err_set(err, -EINVAL,
                                 "snapshots cannot be kept in %s: overlayfs does not take a path "
                                 "with '%c' in it",
                                 root, *bad);
}

int snapshot_check_supported(const char *root, struct err *err)
{
    SCOPED(mem) char *dir = path_join(root, "check");
    struct err ignored = ERR_NONE; /* what stays is in the way of the next check, which says so */
    int rc = snapshot_check_root(root, err); /* a relative one has become absolute */

    if (rc < 0)
        return rc;
    if (dir == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    rc = dir_remove_all(dir, err); /* of one that was killed */
    if (rc == 0)
        rc = dir_make_all(dir, 0700, err);
    if (rc == 0)
        rc = make_dirs(dir, err);
    if (rc == 0)
        rc = check_types(dir, err);
    if (rc == 0)
        rc = check_overlay(dir, err);
    (void)!dir_remove_all(dir, &ignored);
    return rc < 0 ? err_prefix(err, rc, "snapshots cannot be kept in %s", root) : 0;
}
