/* SPDX-License-Identifier: Apache-2.0 */
/* trees.c – removing a tree of the guest's, and not what is mounted in it. */
#include "base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static int remove_entry(int parent_fd, const char *name, dev_t dev, int depth, struct err *err);

static int remove_children(int dir_fd, dev_t dev, int depth, struct err *err)
{
    SCOPED(dir) DIR *dir = fdopendir(dir_fd);
    struct dirent *entry;
    int rc = 0;

    if (dir == NULL) {
        rc = err_sys(err, -errno, "directory");
        (void)close(dir_fd);
        return rc;
    }
    while (rc == 0 && (entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            rc = remove_entry(dirfd(dir), entry->d_name, dev, depth, err);
    }
    return rc;
}

/* Descriptors bound the depth that is removed in one go; a container can nest deeper than that, but
 * not deeper than PATH_MAX allows it to name. */
enum { REMOVE_DEPTH_MAX = 2100 };

/* A directory, unless something is mounted on it. Another device says so, but a bind mount of the
 * same file system has the same: there only the kernel knows (openat2 is of Linux 5.6). */
static int open_unmounted(int parent_fd, const char *name)
{
    struct open_how how = {
        .flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
        .resolve = RESOLVE_NO_XDEV,
    };
    int fd = (int)syscall(SYS_openat2, parent_fd, name, &how, sizeof(how));

    if (fd < 0 && errno == ENOSYS)
        fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int remove_entry(int parent_fd, const char *name, dev_t dev, int depth, struct err *err)
{
    struct stat st;
    int fd, rc;

    if (fstatat(parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : err_sys(err, -errno, "%s", name);
    if (S_ISDIR(st.st_mode)) {
        if (st.st_dev != dev)
            return err_set(err, -EBUSY, "%s: something is mounted there", name);
        if (depth >= REMOVE_DEPTH_MAX)
            return err_set(err, -EMFILE, "%s: directories nest deeper than %d", name,
                           REMOVE_DEPTH_MAX);
        fd = open_unmounted(parent_fd, name);
        if (fd == -EXDEV)
            return err_set(err, -EBUSY, "%s: something is mounted there", name);
        if (fd < 0)
            return err_sys(err, fd, "%s", name);
        rc = remove_children(fd, dev, depth + 1, err);
        if (rc < 0)
            return err_prefix(err, rc, "%s", name);
    }
    if (unlinkat(parent_fd, name, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0) < 0 && errno != ENOENT)
        return err_sys(err, -errno, "%s", name);
    return 0;
}

int dir_remove_all(const char *path, struct err *err)
{
    SCOPED(mem) char *parent = path_parent(path);
    SCOPED(fd) int fd = -1;
    const char *slash = strrchr(path, '/');
    struct stat st;

    if (parent == NULL)
        return err_set(err, -ENOMEM, "%s: out of memory", path);
    if (!path_exists(path))
        return errno == ENOENT ? 0 : err_sys(err, -errno, "%s", path);
    fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_sys(err, -errno, "%s", parent);
    return remove_entry(fd, slash == NULL ? path : slash + 1, st.st_dev, 0, err);
}
