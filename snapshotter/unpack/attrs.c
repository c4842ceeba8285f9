/* SPDX-License-Identifier: Apache-2.0 */
/* attrs.c – what is said of an entry beside its content. It is copied from the headers, since that
 * of a file can only be applied when the last byte was written: a write takes capabilities away. */
#include "unpack/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/xattr.h>

#define XATTR_RECORD "SCHILY.xattr."

/* Go's tar reader, and so containerd, keeps times in 64 bits of nanoseconds, and takes those that
 * do not fit, and those before 1970, for 1970. */
#define MTIME_SEC_MAX (INT64_MAX / 1000000000)

void attrs_fini(struct attrs *attrs)
{
    buf_fini(&attrs->xattrs);
}

/* Packed as: key, NUL, 8 bytes of length, value. */
static int pack_xattr(struct buf *out, struct bytes key, struct bytes value)
{
    uint8_t len[8];

    put_u64le(len, value.len);
    if (buf_add(out, key.data, key.len) < 0 || buf_add_byte(out, 0) < 0 ||
        buf_add(out, len, sizeof(len)) < 0)
        return -ENOMEM;
    return buf_add(out, value.data, value.len);
}

/* Those of the namespace `trusted` are not for layers to set. */
static int take_record(struct attrs *attrs, const struct tar_record *record, struct err *err)
{
    static const char prefix[] = XATTR_RECORD, trusted[] = "trusted.";
    struct bytes key = record->key;

    if (key.len <= strlen(prefix) || memcmp(key.data, prefix, strlen(prefix)) != 0)
        return 0;
    key = bytes_of(key.data + strlen(prefix), key.len - strlen(prefix));
    if (key.len >= strlen(trusted) && memcmp(key.data, trusted, strlen(trusted)) == 0)
        return 0;
    return pack_xattr(&attrs->xattrs, key, record->value) < 0
               ? err_set(err, -ENOMEM, "out of memory")
               : 0;
}

static struct timespec bounded_time(int64_t sec, uint32_t nsec)
{
    struct timespec time = {.tv_sec = 0, .tv_nsec = 0};

    if (sec >= 0 && sec < MTIME_SEC_MAX)
        time = (struct timespec){.tv_sec = sec, .tv_nsec = nsec};
    return time;
}

int attrs_take(struct attrs *attrs, const struct tar_entry *entry, struct err *err)
{
    int rc = 0;

    attrs->xattrs.len = 0;
    /* The highest id means "leave it as it is" to the kernel. */
    if (entry->uid < 0 || entry->uid >= UINT32_MAX || entry->gid < 0 || entry->gid >= UINT32_MAX)
        return err_set(err, -EBADMSG, "its owner is out of range");
    attrs->uid = (uid_t)entry->uid;
    attrs->gid = (gid_t)entry->gid;
    attrs->mode = (mode_t)(entry->mode & 07777);
    attrs->mtime = bounded_time(entry->mtime_sec, entry->mtime_nsec);
    for (size_t i = 0; i < entry->record_count && rc == 0; i++)
        rc = take_record(attrs, &entry->records[i], err);
    return rc;
}

/* ---- onto the disk --------------------------------------------------------------------------- */

/* Only files and directories can have attributes of users; layers list them for others too. */
static bool may_drop(int code, int dir_fd, const char *name, const char *key)
{
    struct stat st;

    if (code == -ENOTSUP)
        return true;
    return code == -EPERM && text_has_prefix(key, "user.") &&
           fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(st.st_mode) &&
           !S_ISDIR(st.st_mode);
}

int xattr_put(int dir_fd, const char *name, const char *key, struct bytes value, struct err *err)
{
    /* There is no setxattrat() before Linux 6.13. The link in /proc leads to the very directory
     * that is open; the last component is not followed. */
    char path[64 + NAME_MAX];
    int rc = 0;

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dir_fd, name);
    if (lsetxattr(path, key, value.data, value.len, 0) < 0)
        rc = -errno;
    return rc == 0 || may_drop(rc, dir_fd, name, key) ? 0 : err_sys(err, rc, "attribute %s", key);
}

static int apply_xattrs(const struct attrs *attrs, int dir_fd, const char *name, struct err *err)
{
    const uint8_t *pos = attrs->xattrs.data, *end = pos + attrs->xattrs.len;
    int rc = 0;

    while (pos < end && rc == 0) {
        const char *key = (const char *)pos;
        const uint8_t *len = pos + strlen(key) + 1;
        struct bytes value = bytes_of(len + 8, (size_t)get_u64le(len));

        rc = xattr_put(dir_fd, name, key, value, err);
        pos = value.data + value.len;
    }
    return rc;
}

/* In this order: a new owner takes the set-id bits and capabilities away. */
int attrs_apply(const struct attrs *attrs, int dir_fd, const char *name, struct err *err)
{
    const struct timespec times[2] = {attrs->mtime, attrs->mtime};
    struct stat st;
    int rc;

    if (fchownat(dir_fd, name, attrs->uid, attrs->gid, AT_SYMLINK_NOFOLLOW) < 0)
        return err_sys(err, -errno, "owner %u:%u", (unsigned)attrs->uid, (unsigned)attrs->gid);
    rc = attrs->xattrs.len == 0 ? 0 : apply_xattrs(attrs, dir_fd, name, err);
    if (rc < 0)
        return rc;
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return err_sys(err, -errno, "type");
    if (!S_ISLNK(st.st_mode) && fchmodat(dir_fd, name, attrs->mode, 0) < 0)
        return err_sys(err, -errno, "mode");
    if (utimensat(dir_fd, name, times, AT_SYMLINK_NOFOLLOW) < 0)
        return err_sys(err, -errno, "time");
    return 0;
}
