/* SPDX-License-Identifier: Apache-2.0 */
/* files.c – reading, writing, replacing and removing files and trees. */
#include "base/files.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int file_pread_all(int fd, void *buf, size_t len, uint64_t off, struct err *err)
{
    uint8_t *to = buf;

    while (len > 0) {
        ssize_t n = pread(fd, to, len, (off_t)off);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(err, -errno, "read of %zu bytes at %llu", len, (unsigned long long)off);
        if (n == 0)
            return err_set(err, -EBADMSG, "file ends at %llu, %zu bytes early",
                           (unsigned long long)off, len);
        to += n;
        len -= (size_t)n;
        off += (uint64_t)n;
    }
    return 0;
}

int file_pwrite_all(int fd, const void *buf, size_t len, uint64_t off, struct err *err)
{
    const uint8_t *from = buf;

    while (len > 0) {
        ssize_t n = pwrite(fd, from, len, (off_t)off);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(err, -errno, "write of %zu bytes at %llu", len, (unsigned long long)off);
        from += n;
        len -= (size_t)n;
        off += (uint64_t)n;
    }
    return 0;
}

int file_write_all(int fd, const void *buf, size_t len, struct err *err)
{
    const uint8_t *from = buf;

    while (len > 0) {
        ssize_t n = write(fd, from, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(err, -errno, "write of %zu bytes", len);
        from += n;
        len -= (size_t)n;
    }
    return 0;
}

static int read_to_end(int fd, const char *path, size_t max_bytes, struct buf *ret, struct err *err)
{
    size_t start = ret->len;

    for (;;) {
        ssize_t n;

        if (buf_reserve(ret, 64 * 1024) < 0)
            return err_set(err, -ENOMEM, "%s: out of memory", path);
        n = read(fd, ret->data + ret->len, ret->cap - ret->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(err, -errno, "%s", path);
        if (n == 0)
            return 0;
        ret->len += (size_t)n;
        if (ret->len - start > max_bytes)
            return err_set(err, -EFBIG, "%s: larger than %zu bytes", path, max_bytes);
    }
}

int file_read(const char *path, size_t max_bytes, struct buf *ret, struct err *err)
{
    SCOPED(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);

    return fd < 0 ? err_sys(err, -errno, "%s", path) : read_to_end(fd, path, max_bytes, ret, err);
}

int file_read_regular(const char *path, size_t max_bytes, struct buf *ret, struct err *err)
{
    SCOPED(fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return err_sys(err, -errno, "%s", path);
    if (!S_ISREG(st.st_mode))
        return err_set(err, -EINVAL, "%s: no regular file", path);
    return read_to_end(fd, path, max_bytes, ret, err);
}

int dir_sync(const char *path, struct err *err)
{
    SCOPED(fd) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || fsync(fd) < 0)
        return err_sys(err, -errno, "sync of %s", path);
    return 0;
}

/* The directory part of `path`, "." when there is none. New string. */
static char *parent_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL)
        return strdup(".");
    return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

static int write_and_sync(int fd, struct bytes content, mode_t mode, struct err *err)
{
    int rc = file_write_all(fd, content.data, content.len, err);

    if (rc < 0)
        return rc;
    if (fchmod(fd, mode) < 0 || fsync(fd) < 0)
        return err_sys(err, -errno, "write");
    return 0;
}

int file_replace(const char *path, struct bytes content, mode_t mode, struct err *err)
{
    SCOPED(mem) char *temporary = text_format("%s.XXXXXX", path);
    SCOPED(mem) char *dir = parent_of(path);
    SCOPED(fd) int fd = -1;
    int rc;

    if (temporary == NULL || dir == NULL)
        return err_set(err, -ENOMEM, "%s: out of memory", path);
    fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return err_sys(err, -errno, "%s", path);
    rc = write_and_sync(fd, content, mode, err);
    if (rc < 0) {
        (void)unlink(temporary);
        return err_prefix(err, rc, "%s", path);
    }
    if (rename(temporary, path) < 0) {
        rc = err_sys(err, -errno, "%s", path);
        (void)unlink(temporary);
        return rc;
    }
    return dir_sync(dir, err);
}

int dir_make_all(const char *path, mode_t mode, struct err *err)
{
    SCOPED(mem) char *copy = strdup(path);
    struct stat st;
    char *slash;

    if (copy == NULL)
        return err_set(err, -ENOMEM, "%s: out of memory", path);
    for (slash = strchr(copy + 1, '/'); *copy != '\0' && slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(copy, mode) < 0 && errno != EEXIST)
            return err_sys(err, -errno, "%s", copy);
        *slash = '/';
    }
    if (mkdir(path, mode) < 0 && errno != EEXIST)
        return err_sys(err, -errno, "%s", path);
    if (stat(path, &st) < 0)
        return err_sys(err, -errno, "%s", path);
    return S_ISDIR(st.st_mode) ? 0 : err_set(err, -ENOTDIR, "%s: not a directory", path);
}

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
    SCOPED(mem) char *parent = parent_of(path);
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

bool path_exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

char *path_join(const char *dir, const char *name)
{
    size_t len = strlen(dir);

    return text_format("%s%s%s", dir, len > 0 && dir[len - 1] == '/' ? "" : "/", name);
}
