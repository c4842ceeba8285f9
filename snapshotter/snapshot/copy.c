/* SPDX-License-Identifier: Apache-2.0 */
/* copy.c – a layer's files once more, with other owners: for id-mapped containers where the kernel
 * cannot map a mount.
 *
 * Both trees are the daemon's alone, yet no symlink is followed: entries are named by an open
 * directory and a name without slashes. */
#include "snapshot/internal.h"

#include "base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/limits.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

enum { COPY_CHUNK_BYTES = 128 * 1024 };
/* Descriptors bound it: two for each level. */
enum { COPY_DEPTH_MAX = 1000 };

/* The first name of a file that has several. */
struct first_name {
    ino_t ino;  /* of the layer's device */
    char *path; /* of the copy */
};

struct copy {
    const struct idmaps *ids;
    dev_t dev;         /* of the layer */
    void *first_names; /* tsearch(3) tree of struct first_name */
    uint8_t *chunk;
};

/* One entry: at `from` and `to`, both of which name the same thing in two trees. */
struct place {
    int from_dir, to_dir;
    const char *name;
    const char *to_path; /* of to_dir, absolute */
};

static int failed(struct err *err, int code, const struct place *at, const char *what)
{
    return err_sys(err, snapshot_disk_error(code), "%s of %s/%s", what, at->to_path, at->name);
}

/* ---- content --------------------------------------------------------------------------------- */

static int copy_range(const struct copy *c, int from, int to, off_t off, off_t end)
{
    while (off < end) {
        size_t want = end - off < COPY_CHUNK_BYTES ? (size_t)(end - off) : COPY_CHUNK_BYTES;
        ssize_t n = pread(from, c->chunk, want, off);
        struct err ignored = ERR_NONE;
        int rc;

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO; /* a layer's files do not shrink */
        rc = file_pwrite_all(to, c->chunk, (size_t)n, (uint64_t)off, &ignored);
        if (rc < 0)
            return rc;
        off += n;
    }
    return 0;
}

/* Holes stay holes. */
static int copy_data(const struct copy *c, int from, int to, off_t size)
{
    off_t data = 0, hole;
    int rc = 0;

    while (rc == 0 && data < size) {
        data = lseek(from, data, SEEK_DATA);
        if (data < 0 && errno == ENXIO) /* only a hole is left */
            break;
        hole = data < 0 ? -1 : lseek(from, data, SEEK_HOLE);
        if (data < 0 || hole < 0)
            return -errno;
        rc = copy_range(c, from, to, data, hole < size ? hole : size);
        data = hole;
    }
    return rc == 0 && ftruncate(to, size) < 0 ? -errno : rc;
}

static int copy_file(const struct copy *c, const struct place *at, const struct stat *st,
                     struct err *err)
{
    SCOPED(fd) int from = openat(at->from_dir, at->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    SCOPED(fd)
    int to =
        openat(at->to_dir, at->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    int rc;

    if (from < 0 || to < 0)
        return failed(err, -errno, at, "copy");
    rc = copy_data(c, from, to, st->st_size);
    return rc < 0 ? failed(err, rc, at, "copy") : 0;
}

static int copy_symlink(const struct place *at, struct err *err)
{
    char target[PATH_MAX + 1];
    ssize_t n = readlinkat(at->from_dir, at->name, target, sizeof(target) - 1);

    if (n < 0)
        return failed(err, -errno, at, "copy");
    target[n] = '\0';
    return symlinkat(target, at->to_dir, at->name) < 0 ? failed(err, -errno, at, "copy") : 0;
}

/* ---- what is said of it ---------------------------------------------------------------------- */

/* The names of an entry for calls that take no directory and follow no last symlink. */
static void name_by_descriptor(char out[NAME_MAX + 64], int dir, const char *name)
{
    (void)snprintf(out, NAME_MAX + 64, "/proc/self/fd/%d/%s", dir, name);
}

/* A security module may have put its label there by itself, or not know the one of the layer. */
static bool may_fail(const char *name)
{
    return strcmp(name, "security.selinux") == 0 || strcmp(name, "security.SMACK64") == 0;
}

static int copy_xattr(const struct copy *c, const char *from, const char *to, const char *name)
{
    SCOPED(mem) uint8_t *value = malloc(XATTR_SIZE_MAX);
    SCOPED(buf_value) struct buf mapped = BUF_EMPTY;
    ssize_t n;
    int rc;

    if (value == NULL)
        return -ENOMEM;
    n = lgetxattr(from, name, value, XATTR_SIZE_MAX);
    if (n < 0)
        return -errno;
    rc = idmaps_xattr(c->ids, name, bytes_of(value, (size_t)n), &mapped);
    if (rc == 0 && lsetxattr(to, name, mapped.data, mapped.len, 0) < 0)
        rc = -errno;
    return rc == -ENODATA || (rc < 0 && may_fail(name)) ? 0 : rc;
}

static int copy_xattrs(const struct copy *c, const struct place *at, struct err *err)
{
    SCOPED(mem) char *names = NULL;
    char from[NAME_MAX + 64], to[NAME_MAX + 64];
    ssize_t len;
    int rc = 0;

    name_by_descriptor(from, at->from_dir, at->name);
    name_by_descriptor(to, at->to_dir, at->name);
    len = llistxattr(from, NULL, 0);
    if (len == 0 || (len < 0 && errno == EOPNOTSUPP))
        return 0;
    names = len < 0 ? NULL : malloc((size_t)len);
    if (names != NULL)
        len = llistxattr(from, names, (size_t)len);
    if (names == NULL || len < 0)
        return failed(err, len < 0 ? -errno : -ENOMEM, at, "attributes");
    for (const char *name = names; rc == 0 && name < names + len; name += strlen(name) + 1)
        rc = copy_xattr(c, from, to, name);
    return rc < 0 ? failed(err, rc, at, "attributes") : 0;
}

/* In this order: a new owner takes suid bits and capabilities away, all of it changes times. */
static int copy_attrs(const struct copy *c, const struct place *at, const struct stat *st,
                      struct err *err)
{
    uid_t uid = idmap_outside(&c->ids->uids, st->st_uid);
    gid_t gid = idmap_outside(&c->ids->gids, st->st_gid);
    struct timespec times[2] = {st->st_atim, st->st_mtim};
    int rc;

    if (fchownat(at->to_dir, at->name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0 ||
        (!S_ISLNK(st->st_mode) && fchmodat(at->to_dir, at->name, st->st_mode & 07777, 0) < 0))
        return failed(err, -errno, at, "owner");
    rc = copy_xattrs(c, at, err);
    if (rc == 0 && utimensat(at->to_dir, at->name, times, AT_SYMLINK_NOFOLLOW) < 0)
        rc = failed(err, -errno, at, "time");
    return rc;
}

/* ---- hard links ------------------------------------------------------------------------------ */

static int compare_first_names(const void *a, const void *b)
{
    const struct first_name *x = a, *y = b;

    return x->ino < y->ino ? -1 : x->ino > y->ino;
}

static void free_first_name(void *node)
{
    struct first_name *name = node;

    free(name->path);
    free(name);
}

/* 1: a link to the first name was made. 0: this is the first. */
static int link_to_first(struct copy *c, const struct place *at, const struct stat *st,
                         struct err *err)
{
    struct first_name *name = malloc(sizeof(*name)), **found;

    if (name == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    *name = (struct first_name){.ino = st->st_ino, .path = path_join(at->to_path, at->name)};
    found = name->path == NULL ? NULL : tsearch(name, &c->first_names, compare_first_names);
    if (found == NULL) {
        free_first_name(name);
        return err_set(err, -ENOMEM, "out of memory");
    }
    if (*found == name)
        return 0;
    free_first_name(name);
    return linkat(AT_FDCWD, (*found)->path, at->to_dir, at->name, 0) < 0
               ? failed(err, -errno, at, "link")
               : 1;
}

/* ---- the tree -------------------------------------------------------------------------------- */

static int copy_children(struct copy *c, int from, int to, const char *to_path, int depth,
                         struct err *err);

static int copy_dir(struct copy *c, const struct place *at, int depth, struct err *err)
{
    SCOPED(mem) char *path = path_join(at->to_path, at->name);
    SCOPED(fd) int to = -1;
    int from;

    if (path == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    if (depth >= COPY_DEPTH_MAX)
        return err_set(err, -EMFILE, "%s: directories nest deeper than %d", path, COPY_DEPTH_MAX);
    if (mkdirat(at->to_dir, at->name, 0700) < 0)
        return failed(err, -errno, at, "copy");
    to = openat(at->to_dir, at->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    from = openat(at->from_dir, at->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (from < 0 || to < 0) {
        int rc = failed(err, -errno, at, "copy");
        if (from >= 0)
            (void)close(from);
        return rc;
    }
    return copy_children(c, from, to, path, depth + 1, err);
}

static int copy_entry(struct copy *c, const struct place *at, int depth, struct err *err)
{
    struct stat st;
    int rc = 0;

    if (fstatat(at->from_dir, at->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return failed(err, -errno, at, "copy");
    if (st.st_dev != c->dev)
        return err_set(err, -EBUSY, "%s/%s: something is mounted there", at->to_path, at->name);
    if (!S_ISDIR(st.st_mode) && st.st_nlink > 1)
        rc = link_to_first(c, at, &st, err);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    if (S_ISDIR(st.st_mode))
        rc = copy_dir(c, at, depth, err);
    else if (S_ISREG(st.st_mode))
        rc = copy_file(c, at, &st, err);
    else if (S_ISLNK(st.st_mode))
        rc = copy_symlink(at, err);
    else if (mknodat(at->to_dir, at->name, st.st_mode & S_IFMT, st.st_rdev) < 0)
        rc = failed(err, -errno, at, "copy");
    return rc == 0 ? copy_attrs(c, at, &st, err) : rc;
}

/* Closes `from`. */
static int copy_children(struct copy *c, int from, int to, const char *to_path, int depth,
                         struct err *err)
{
    SCOPED(dir) DIR *dir = fdopendir(from);
    struct dirent *entry;
    int rc = 0;

    if (dir == NULL) {
        rc = err_sys(err, -errno, "%s", to_path);
        (void)close(from);
        return rc;
    }
    for (errno = 0; rc == 0 && (entry = readdir(dir)) != NULL; errno = 0) {
        const struct place at = {from, to, entry->d_name, to_path};

        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            rc = copy_entry(c, &at, depth, err);
    }
    if (rc == 0 && errno != 0)
        rc = err_sys(err, snapshot_disk_error(-errno), "list of %s", to_path);
    return rc;
}

static int copy_root(struct copy *c, int from_parent, int to_parent, const char *to_path,
                     const char *name, struct err *err)
{
    const struct place at = {from_parent, to_parent, name, to_path};
    struct stat st;

    if (fstatat(from_parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
        return err_sys(err, -ENOENT, "%s of the layer", name);
    c->dev = st.st_dev;
    return copy_entry(c, &at, 0, err);
}

int copy_mapped(const char *from, const char *to, const char *name, const struct idmaps *ids,
                struct err *err)
{
    SCOPED(mem) uint8_t *chunk = malloc(COPY_CHUNK_BYTES);
    struct copy c = {.ids = ids, .chunk = chunk};
    SCOPED(fd) int from_fd = open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    SCOPED(fd) int to_fd = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc;

    if (chunk == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    if (from_fd < 0 || to_fd < 0)
        return err_sys(err, snapshot_disk_error(-errno), "%s", from_fd < 0 ? from : to);
    rc = copy_root(&c, from_fd, to_fd, to, name, err);
    tdestroy(c.first_names, free_first_name);
    if (rc == 0 && syncfs(to_fd) < 0)
        rc = err_sys(err, snapshot_disk_error(-errno), "%s", to);
    return rc;
}
