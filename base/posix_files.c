/* SPDX-License-Identifier: Apache-2.0 */
/* posix_files.c – reading, writing and replacing files. */
#include "base/files.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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
    SCOPED(mem) char *dir = path_parent(path);
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

bool path_exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

bool path_is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int file_unlink(const char *path, struct err *err)
{
    return unlink(path) < 0 ? err_sys(err, -errno, "remove %s", path) : 0;
}

bool path_is_separator(char c)
{
    return c == '/';
}
