/* SPDX-License-Identifier: Apache-2.0 */
/* entry.c – an entry of the tar becomes a file, directory, link or device. */
#include "unpack/internal.h"

#include "base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* What a device number has room for. */
enum { DEVICE_MAJOR_MAX = 0xfff, DEVICE_MINOR_MAX = 0xfffff };

/* ---- what is there already ------------------------------------------------------------------- */

/* A directory that was made without an entry has one now. */
static void forget_made(struct unpack *u, ino_t inode)
{
    ino_t *inodes = (ino_t *)(void *)u->made_inodes.data;

    for (size_t i = 0; i < u->made.count; i++) {
        if (inodes[i] != inode)
            continue;
        free(u->made.items[i]);
        u->made.count--;
        u->made_inodes.len -= sizeof(*inodes);
        memmove(&u->made.items[i], &u->made.items[i + 1],
                (u->made.count - i) * sizeof(u->made.items[0]));
        memmove(&inodes[i], &inodes[i + 1], (u->made.count - i) * sizeof(*inodes));
        return;
    }
}

static int remove_existing(int dir_fd, const char *name, bool is_dir, struct err *err)
{
    SCOPED(mem) char *path = NULL;

    if (!is_dir)
        return unlinkat(dir_fd, name, 0) < 0 ? err_sys(err, -errno, "replace") : 0;
    path = text_format("/proc/self/fd/%d/%s", dir_fd, name);
    if (path == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    return dir_remove_all(path, err);
}

/* A later entry replaces an earlier one, but two directories become one. 1: it is there and stays.
 */
static int make_room(struct unpack *u, const char *name, char type, struct err *err)
{
    struct stat st;
    int rc;

    if (fstatat(u->place.fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : err_sys(err, -errno, "look");
    if (S_ISDIR(st.st_mode))
        forget_made(u, st.st_ino);
    if (S_ISDIR(st.st_mode) && type == '5')
        return 1;
    u->place.stale = true;
    rc = remove_existing(u->place.fd, name, S_ISDIR(st.st_mode), err);
    return rc < 0 ? rc : 0;
}

/* ---- by type --------------------------------------------------------------------------------- */

static int end_file(struct unpack *u, struct err *err)
{
    int fd = take_fd(&u->file_fd);

    if (close(fd) < 0)
        return err_sys(err, -errno, "write");
    return attrs_apply(&u->attrs, u->place.fd, u->file_name, err);
}

static int make_file(struct unpack *u, const char *name, const struct tar_entry *entry,
                     struct err *err)
{
    u->file_fd =
        openat(u->place.fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (u->file_fd < 0)
        return err_sys(err, -errno, "new file");
    u->file_name = name;
    u->file_left = entry->size;
    return u->file_left == 0 ? end_file(u, err) : 0;
}

static int make_hardlink(struct unpack *u, const char *name, const struct tar_entry *entry,
                         struct err *err)
{
    SCOPED(fd) int from_fd = -1;
    size_t dir_len;
    const char *from;
    int rc;

    if (tar_path_clean(entry->linkname, &u->link) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    from = unpack_path_split((const char *)u->link.data, &dir_len);
    if (from[0] == '\0')
        return err_set(err, -EBADMSG, "a hard link to the root");
    rc = place_find(u, (const char *)u->link.data, dir_len, &from_fd, err);
    if (rc < 0)
        return err_prefix(err, rc, "hard link");
    if (linkat(from_fd, from, u->place.fd, name, 0) < 0)
        return err_sys(err, -errno, "hard link");
    return 0;
}

static int make_symlink(struct unpack *u, const char *name, const struct tar_entry *entry,
                        struct err *err)
{
    const char *target;

    u->link.len = 0;
    if (buf_add(&u->link, entry->linkname.data, entry->linkname.len) < 0 ||
        (target = buf_str(&u->link)) == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    return symlinkat(target, u->place.fd, name) < 0 ? err_sys(err, -errno, "symlink") : 0;
}

static int make_node(struct unpack *u, const char *name, mode_t type, const struct tar_entry *entry,
                     struct err *err)
{
    bool is_device = type != S_IFIFO;
    dev_t dev = 0;

    if (is_device && (entry->devmajor < 0 || entry->devmajor > DEVICE_MAJOR_MAX ||
                      entry->devminor < 0 || entry->devminor > DEVICE_MINOR_MAX))
        return err_set(err, -EBADMSG, "its device number cannot be");
    if (is_device)
        dev = makedev((unsigned)entry->devmajor, (unsigned)entry->devminor);
    return mknodat(u->place.fd, name, type | 0600, dev) < 0 ? err_sys(err, -errno, "node") : 0;
}

static int make_by_type(struct unpack *u, const char *name, const struct tar_entry *entry,
                        struct err *err)
{
    switch (entry->type) {
    case '1':
        return make_hardlink(u, name, entry, err);
    case '2':
        return make_symlink(u, name, entry, err);
    case '3':
        return make_node(u, name, S_IFCHR, entry, err);
    case '4':
        return make_node(u, name, S_IFBLK, entry, err);
    case '5':
        return mkdirat(u->place.fd, name, 0700) < 0 ? err_sys(err, -errno, "new directory") : 0;
    case '6':
        return make_node(u, name, S_IFIFO, entry, err);
    default:
        return err_set(err, -EOPNOTSUPP, "an entry of type %c", entry->type);
    }
}

/* ---- for the parser -------------------------------------------------------------------------- */

/* Its content is not what the file has: parts are left out. */
static bool is_sparse(const struct tar_entry *entry)
{
    static const char prefix[] = "GNU.sparse.";

    for (size_t i = 0; i < entry->record_count; i++) {
        struct bytes key = entry->records[i].key;
        if (key.len >= strlen(prefix) && memcmp(key.data, prefix, strlen(prefix)) == 0)
            return true;
    }
    return false;
}

static int make_named(struct unpack *u, const char *name, const struct tar_entry *entry,
                      struct err *err)
{
    int rc = whiteout_make(u, name, entry, err);

    if (rc != 0)
        return rc < 0 ? rc : 0;
    rc = attrs_take(&u->attrs, entry, err);
    if (rc == 0)
        rc = make_room(u, name, entry->type, err);
    if (rc < 0)
        return rc;
    if (entry->type == '0')
        return make_file(u, name, entry, err);
    if (rc == 0)
        rc = make_by_type(u, name, entry, err);
    return rc < 0 ? rc : attrs_apply(&u->attrs, u->place.fd, name, err);
}

static int make_entry(struct unpack *u, const struct tar_entry *entry, struct err *err)
{
    size_t dir_len;
    const char *name;
    int rc;

    u->file_fd = -1;
    if (is_sparse(entry))
        return err_set(err, -EOPNOTSUPP, "sparse files are not supported");
    if (tar_path_clean(entry->name, &u->name) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    /* The root of the layer looks as that of the layers below, whatever the tar says. */
    if (u->name.len == 0)
        return 0;
    if (u->userxattr && (entry->type == '3' || entry->type == '4'))
        return 0; /* nobody may make one in a user namespace */
    name = unpack_path_split((const char *)u->name.data, &dir_len);
    rc = place_enter(u, (const char *)u->name.data, dir_len, err);
    return rc < 0 ? rc : make_named(u, name, entry, err);
}

int entry_make(void *arg, const struct tar_entry *entry, struct err *err)
{
    int rc = make_entry(arg, entry, err);

    return rc < 0
               ? err_prefix(err, rc, "%.*s", (int)(entry->name.len < 200 ? entry->name.len : 200),
                            (const char *)entry->name.data)
               : 0;
}

int entry_content(void *arg, struct bytes piece, struct err *err)
{
    struct unpack *u = arg;
    int rc;

    if (u->file_fd < 0)
        return 0;
    rc = file_write_all(u->file_fd, piece.data, piece.len, err);
    if (rc == 0) {
        u->file_left -= piece.len; /* the parser gives no more than the header says */
        if (u->file_left == 0)
            rc = end_file(u, err);
    }
    return rc < 0 ? err_prefix(err, rc, "%s", (const char *)u->name.data) : 0;
}
