/* SPDX-License-Identifier: Apache-2.0 */
/* posix_files.c – replacing a file that others may write at the same moment. */
#include "platform/internal.h"
#include "platform/settled.h"

#include "base/cleanup.h"
#include "base/files.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <time.h>

enum { FILE_MAX_BYTES = 16 * 1024 * 1024 };

/* ---- looking --------------------------------------------------------------------------------- */

int file_look_at(const char *path, struct file_look *ret)
{
    struct timespec now = {.tv_sec = 0}, written;
    struct stat st;

    if (stat(path, &st) < 0)
        return -errno;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    written = posix_mtime(&st);
    *ret = (struct file_look){
        .id = st.st_ino,
        .size = (uint64_t)st.st_size,
        .written = written.tv_sec * INT64_C(1000000000) + written.tv_nsec,
        .age_ms = (now.tv_sec - written.tv_sec) * INT64_C(1000) +
                  (now.tv_nsec - written.tv_nsec) / 1000000,
    };
    return 0;
}

/* ---- replacing ------------------------------------------------------------------------------- */

/* A new file beside the target, until it has taken its place. */
struct beside {
    char *path; /* NULL: gone */
    int fd;
};

static void beside_fini(struct beside *beside)
{
    if (beside->fd >= 0)
        (void)close(beside->fd);
    if (beside->path != NULL)
        (void)unlink(beside->path);
    free(beside->path);
}
DEFINE_SCOPED_VALUE(beside, struct beside, beside_fini)

static int like(int fd, const struct stat *old, struct err *err)
{
    if (old == NULL)
        return 0;
    /* Only root may give a file away; whoever is not, owns what he replaces or his group does. */
    if (fchown(fd, old->st_uid, old->st_gid) < 0 && fchown(fd, (uid_t)-1, old->st_gid) < 0 &&
        errno != EPERM)
        return err_sys(err, -errno, "owner of the new file");
    return fchmod(fd, old->st_mode & 07777) < 0 ? err_sys(err, -errno, "mode of the new file") : 0;
}

static int write_beside(const char *path, const struct stat *old, struct bytes content,
                        struct beside *ret, struct err *err)
{
    int rc;

    ret->path = text_format("%s.finch-soci-new", path);
    if (ret->path == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    (void)unlink(ret->path); /* of one who was killed here */
    ret->fd = open(ret->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (ret->fd < 0)
        return err_sys(err, -errno, "%s", ret->path);
    rc = file_write_all(ret->fd, content.data, content.len, err);
    if (rc == 0)
        rc = like(ret->fd, old, err);
    if (rc < 0)
        return rc;
    rc = posix_sync(ret->fd);
    return rc < 0 ? err_sys(err, rc, "%s", ret->path) : 0;
}

static bool holds(const char *path, struct bytes was)
{
    SCOPED(buf_value) struct buf now = BUF_EMPTY;

    return file_read_regular(path, FILE_MAX_BYTES, &now, NULL) == 0 &&
           bytes_equal(buf_bytes(&now), was);
}

static int changed(const char *path, struct err *err)
{
    return err_set(err, -EAGAIN, "%s was changed by another program at the same moment", path);
}

/* The old file comes out under the new one's name, so that it can be looked at after the fact:
 * there is no moment between looking and replacing. Where the file system cannot exchange, there is
 * a short one. */
static int put_in_place(const char *path, const struct bytes *was, struct beside *beside,
                        struct err *err)
{
    int rc =
        was == NULL ? posix_rename_new(beside->path, path) : posix_exchange(beside->path, path);

    if (rc == 0 && was == NULL) {
        free(TAKE(beside->path));
        return 0;
    }
    if (rc == 0) {
        if (holds(beside->path, *was))
            return 0; /* what is beside now is the old one and goes */
        if (posix_exchange(beside->path, path) == 0)
            return changed(path, err);
        rc = err_set(err, -EIO, "%s was changed by another program: that is in %s", path,
                     beside->path);
        free(TAKE(beside->path));
        return rc;
    }
    if (rc == -EEXIST || rc == -ENOENT)
        return changed(path, err);
    if (rc != -EOPNOTSUPP)
        return err_sys(err, rc, "replace %s", path);
    if (was == NULL ? path_exists(path) : !holds(path, *was))
        return changed(path, err);
    if (rename(beside->path, path) < 0)
        return err_sys(err, -errno, "replace %s", path);
    free(TAKE(beside->path));
    return 0;
}

static int sync_dir_of(const char *path, struct err *err)
{
    SCOPED(mem) char *dir = path_parent(path);

    return dir == NULL ? err_set(err, -ENOMEM, "out of memory") : dir_sync(dir, err);
}

static int make_dir_of(const char *path, struct err *err)
{
    SCOPED(mem) char *dir = path_parent(path);

    return dir == NULL ? err_set(err, -ENOMEM, "out of memory") : dir_make_all(dir, 0700, err);
}

/* A link that leads nowhere is an error of its own: the new file would take the link's place. */
static int resolve(const char *path, const struct bytes *was, char *ret, struct err *err)
{
    if (realpath(path, ret) != NULL)
        return 0;
    if (errno != ENOENT || was != NULL)
        return err_sys(err, errno == ENOENT ? -EAGAIN : -errno, "%s", path);
    if (path_exists(path))
        return err_set(err, -ENOENT, "%s is a link to a file that is not there", path);
    if (strlen(path) >= PATH_MAX)
        return err_set(err, -EINVAL, "%s: the name is too long", path);
    memcpy(ret, path, strlen(path) + 1);
    return make_dir_of(path, err);
}

int platform_file_replace(const char *path, const struct bytes *was, struct bytes content,
                          struct err *err)
{
    SCOPED(beside) struct beside beside = {.path = NULL, .fd = -1};
    char target[PATH_MAX];
    struct stat old;
    int rc = resolve(path, was, target, err);

    if (rc < 0)
        return rc;
    if (was != NULL && stat(target, &old) < 0)
        return changed(path, err);
    rc = write_beside(target, was == NULL ? NULL : &old, content, &beside, err);
    if (rc == 0)
        rc = put_in_place(target, was, &beside, err);
    return rc < 0 ? rc : sync_dir_of(target, err);
}

int platform_file_remove(const char *path, struct bytes was, struct err *err)
{
    if (!holds(path, was))
        return changed(path, err);
    if (unlink(path) < 0)
        return err_sys(err, -errno, "remove %s", path);
    return sync_dir_of(path, err);
}
