/* SPDX-License-Identifier: Apache-2.0 */
/* inherit.c – a directory that a layer uses but does not list looks as it does in the layers below.
 * overlayfs shows the uppermost layer's own, so /tmp/x in a layer without /tmp would otherwise take
 * the sticky bit from /tmp. */
#include "unpack/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { XATTR_MAX_BYTES = 64 * 1024 }; /* the kernel's limits, of a list of names and of a value */

static int open_root(const char *dir, struct unpack *ret, struct err *err)
{
    *ret = (struct unpack){.root_fd = -1, .place = {.fd = -1}, .file_fd = -1};
    ret->root_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return ret->root_fd < 0 ? err_sys(err, -errno, "%s", dir) : 0;
}

static int copy_xattr(int from_fd, int to_fd, const char *key, struct err *err)
{
    SCOPED(mem) uint8_t *value = malloc(XATTR_MAX_BYTES);
    ssize_t len;

    if (value == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    len = fgetxattr(from_fd, key, value, XATTR_MAX_BYTES);
    if (len < 0 || fsetxattr(to_fd, key, value, (size_t)len, 0) < 0)
        return errno == ENOTSUP || errno == ENODATA ? 0 : err_sys(err, -errno, "attribute %s", key);
    return 0;
}

static bool is_inherited(const char *key)
{
    return !text_has_prefix(key, "trusted.") && !text_has_prefix(key, "user.overlay.");
}

/* How many bytes of names, each with its zero; 0 where there are no attributes at all. */
static ssize_t list_xattrs(int fd, char **ret_keys, struct err *err)
{
    SCOPED(mem) char *keys = malloc(XATTR_MAX_BYTES);
    ssize_t len;

    if (keys == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    len = flistxattr(fd, keys, XATTR_MAX_BYTES);
    if (len < 0 && errno != ENOTSUP)
        return err_sys(err, -errno, "attributes");
    *ret_keys = TAKE(keys);
    return len < 0 ? 0 : len;
}

static int copy_xattrs(int from_fd, int to_fd, struct err *err)
{
    SCOPED(mem) char *keys = NULL;
    ssize_t len = list_xattrs(from_fd, &keys, err);
    int rc = len < 0 ? (int)len : 0;

    for (ssize_t pos = 0; pos < len && rc == 0; pos += (ssize_t)strlen(keys + pos) + 1) {
        if (is_inherited(keys + pos))
            rc = copy_xattr(from_fd, to_fd, keys + pos, err);
    }
    return rc;
}

static int copy_look(int from_fd, int to_fd, struct err *err)
{
    struct stat st;

    if (fstat(from_fd, &st) < 0 || fchown(to_fd, st.st_uid, st.st_gid) < 0 ||
        fchmod(to_fd, st.st_mode & 07777) < 0)
        return err_sys(err, -errno, "owner and mode");
    return copy_xattrs(from_fd, to_fd, err);
}

/* Open what is called so in a layer: 1; 0: it has no such thing; -ENOTDIR: it has, and it is no
 * directory. */
static int open_in(const char *lower, const char *path, int *ret_fd, struct err *err)
{
    struct unpack layer;
    struct err why = ERR_NONE;
    int rc = open_root(lower, &layer, err);

    if (rc < 0)
        return rc;
    rc = place_find(&layer, path, strlen(path), ret_fd, &why);
    (void)close(layer.root_fd);
    if (rc == 0)
        return 1;
    return rc == -ENOENT ? 0 : err_set(err, rc, "%s", err_text(&why));
}

/* The uppermost directory of that name: 1; 0: there is none, or something else in its place. */
static int find_below(const struct text_list *lowers, const char *path, int *ret_fd,
                      struct err *err)
{
    int rc = 0;

    for (size_t i = 0; i < lowers->count && rc == 0; i++)
        rc = open_in(lowers->items[i], path, ret_fd, err);
    return rc == -ENOTDIR ? 0 : rc;
}

static int inherit_one(struct unpack *u, const char *path, const struct text_list *lowers,
                       struct err *err)
{
    SCOPED(fd) int to_fd = -1;
    SCOPED(fd) int from_fd = -1;
    struct err why = ERR_NONE;
    int rc = place_find(u, path, strlen(path), &to_fd, &why);

    if (rc < 0) /* an entry that came later replaced it */
        return rc == -ENOENT || rc == -ENOTDIR ? 0 : err_set(err, rc, "%s", err_text(&why));
    rc = find_below(lowers, path, &from_fd, err);
    return rc <= 0 ? rc : copy_look(from_fd, to_fd, err);
}

int unpack_inherit(const char *dir, const struct text_list *made, const struct text_list *lowers,
                   struct err *err)
{
    struct unpack u;
    int rc = made->count == 0 || lowers->count == 0 ? 0 : open_root(dir, &u, err);

    if (rc < 0 || made->count == 0 || lowers->count == 0)
        return rc;
    for (size_t i = 0; i < made->count && rc == 0; i++) {
        rc = inherit_one(&u, made->items[i], lowers, err);
        if (rc < 0)
            rc = err_prefix(err, rc, "directory %s", made->items[i]);
    }
    (void)close(u.root_fd);
    return rc;
}

/* ---- for layers that are not unpacked -------------------------------------------------------- */

/* Labels are the system's, which gives them by itself. */
static int has_xattrs(int fd, struct err *err)
{
    SCOPED(mem) char *keys = NULL;
    ssize_t len = list_xattrs(fd, &keys, err);

    for (ssize_t pos = 0; pos < len; pos += (ssize_t)strlen(keys + pos) + 1)
        if (is_inherited(keys + pos) && strcmp(keys + pos, "security.selinux") != 0)
            return 1;
    return len < 0 ? (int)len : 0;
}

int unpack_look_below(const char *path, const struct text_list *lowers, enum unpack_look *ret,
                      struct err *err)
{
    SCOPED(fd) int fd = -1;
    struct stat st;
    int rc = find_below(lowers, path, &fd, err);

    *ret = UNPACK_LOOK_NONE;
    if (rc == 0)
        return 0;
    if (rc > 0 && fstat(fd, &st) < 0)
        rc = err_sys(err, -errno, "%s", path);
    if (rc > 0)
        rc = has_xattrs(fd, err);
    if (rc < 0)
        return rc;
    *ret = rc > 0 || st.st_uid != 0 || st.st_gid != 0 || (st.st_mode & 07777) != 0755
               ? UNPACK_LOOK_OTHER
               : UNPACK_LOOK_PLAIN;
    return 0;
}
