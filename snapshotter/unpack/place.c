/* SPDX-License-Identifier: Apache-2.0 */
/* place.c – the way from the root of the layer to a directory in it, and the directory that is open
 * just now.
 *
 * The way is gone one component at a time and no system call ever follows a symlink. A symlink that
 * is met is read, and what it says replaces it in the rest of the way; an absolute one starts again
 * at the root of the layer, and `..` stops there. So a layer that links to / or to ../../.. only
 * ever finds itself. */
#include "unpack/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

const char *unpack_path_split(const char *clean, size_t *ret_dir_len)
{
    const char *slash = strrchr(clean, '/');

    *ret_dir_len = slash == NULL ? 0 : (size_t)(slash - clean);
    return slash == NULL ? clean : slash + 1;
}

enum { WALK_LINKS_MAX = 40 }; /* as the kernel's own limit */

struct walk {
    struct unpack *u;
    bool create;
    int fd;         /* where we are */
    struct buf at;  /* the same as a path without symlinks */
    struct buf way; /* what is still to go, from `way_off` on */
    size_t way_off;
    unsigned links;
};

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, "out of memory");
}

static int open_dir(int fd, const char *name)
{
    return openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int go_to(struct walk *walk, int fd)
{
    (void)close(walk->fd);
    walk->fd = fd;
    return 0;
}

static int go_to_root(struct walk *walk, struct err *err)
{
    int fd = open_dir(walk->u->root_fd, ".");

    walk->at.len = 0;
    return fd < 0 ? err_sys(err, -errno, "the layer's root") : go_to(walk, fd);
}

static int go_up(struct walk *walk, struct err *err)
{
    int fd;

    if (walk->at.len == 0)
        return 0;
    fd = open_dir(walk->fd, ".."); /* at least one below the root, so this is not above it */
    if (fd < 0)
        return err_sys(err, -errno, "..");
    while (walk->at.len > 0 && walk->at.data[walk->at.len - 1] != '/')
        walk->at.len--;
    walk->at.len -= walk->at.len > 0;
    return go_to(walk, fd);
}

/* ---- a component that is not there ----------------------------------------------------------- */

static int note_made(struct unpack *u, struct buf *at, int fd, struct err *err)
{
    const char *path = buf_str(at);
    struct stat st;

    if (fstat(fd, &st) < 0)
        return err_sys(err, -errno, "new directory");
    if (path == NULL || buf_add(&u->made_inodes, &st.st_ino, sizeof(st.st_ino)) < 0)
        return no_memory(err);
    if (text_list_add(&u->made, path) < 0) {
        u->made_inodes.len -= sizeof(st.st_ino);
        return no_memory(err);
    }
    return 0;
}

/* The directory above it keeps its time. */
static int make_dir(const struct walk *walk, const char *name, int *ret_fd, struct err *err)
{
    struct stat above;
    struct timespec times[2];

    if (walk->u->made.count >= UNPACK_MADE_MAX)
        return err_set(err, -EFBIG, "more than %d directories that are not listed",
                       UNPACK_MADE_MAX);
    if (fstat(walk->fd, &above) < 0 || mkdirat(walk->fd, name, 0755) < 0 ||
        fchmodat(walk->fd, name, 0755, 0) < 0)
        return err_sys(err, -errno, "directory %s", name);
    times[0] = above.st_atim;
    times[1] = above.st_mtim;
    *ret_fd = open_dir(walk->fd, name);
    if (*ret_fd < 0 || futimens(walk->fd, times) < 0)
        return err_sys(err, -errno, "directory %s", name);
    return 0;
}

/* ---- one step -------------------------------------------------------------------------------- */

/* A symlink on the way: its target goes before the rest. -ENOTDIR: it is none, and no directory
 * either. */
static int follow(struct walk *walk, const char *name, struct err *err)
{
    char target[PATH_MAX];
    struct buf way = BUF_EMPTY;
    ssize_t len = readlinkat(walk->fd, name, target, sizeof(target));

    if (len < 0)
        return err_sys(err, errno == EINVAL ? -ENOTDIR : -errno, "%s", name);
    if (++walk->links > WALK_LINKS_MAX)
        return err_sys(err, -ELOOP, "%s", name);
    if (buf_add(&way, target, (size_t)len) < 0 || buf_add_byte(&way, '/') < 0 ||
        buf_add(&way, walk->way.data + walk->way_off, walk->way.len - walk->way_off) < 0) {
        buf_fini(&way);
        return no_memory(err);
    }
    buf_fini(&walk->way);
    walk->way = way;
    walk->way_off = 0;
    return target[0] == '/' ? go_to_root(walk, err) : 0;
}

static int go_down(struct walk *walk, const char *name, struct err *err)
{
    bool made = false;
    int fd = open_dir(walk->fd, name), rc = 0;

    if (fd < 0 && (errno == ENOTDIR || errno == ELOOP))
        return follow(walk, name, err);
    if (fd < 0 && (errno != ENOENT || !walk->create))
        return err_sys(err, -errno, "%s", name);
    if (fd < 0) {
        made = true;
        rc = make_dir(walk, name, &fd, err);
    }
    if (rc == 0 && ((walk->at.len > 0 && buf_add_byte(&walk->at, '/') < 0) ||
                    buf_add_str(&walk->at, name) < 0))
        rc = no_memory(err);
    if (rc == 0 && made)
        rc = note_made(walk->u, &walk->at, fd, err);
    if (rc < 0) {
        (void)(fd < 0 ? 0 : close(fd));
        return rc;
    }
    return go_to(walk, fd);
}

/* The next component into `name`: 1, or 0 at the end. */
static int take_component(struct walk *walk, char name[NAME_MAX + 1], struct err *err)
{
    const char *from = (const char *)walk->way.data + walk->way_off;
    size_t left = walk->way.len - walk->way_off, len;
    const char *slash = left == 0 ? NULL : memchr(from, '/', left);

    len = slash == NULL ? left : (size_t)(slash - from);
    if (len > NAME_MAX)
        return err_sys(err, -ENAMETOOLONG, "a directory");
    memcpy(name, from, len);
    name[len] = '\0';
    walk->way_off += slash == NULL ? len : len + 1;
    return left == 0 ? 0 : 1;
}

static int step(struct walk *walk, struct err *err)
{
    char name[NAME_MAX + 1];
    int rc = take_component(walk, name, err);

    if (rc <= 0)
        return rc;
    if (strcmp(name, "") == 0 || strcmp(name, ".") == 0)
        return 1;
    rc = strcmp(name, "..") == 0 ? go_up(walk, err) : go_down(walk, name, err);
    return rc < 0 ? rc : 1;
}

static int walk_to(struct unpack *u, const char *dir, size_t dir_len, bool create, int *ret_fd,
                   struct err *err)
{
    struct walk walk = {.u = u, .create = create, .fd = open_dir(u->root_fd, ".")};
    int rc = walk.fd < 0 ? err_sys(err, -errno, "the layer's root") : 1;

    if (rc > 0 && (buf_add(&walk.way, dir, dir_len) < 0 || buf_str(&walk.way) == NULL))
        rc = no_memory(err);
    while (rc > 0)
        rc = step(&walk, err);
    if (rc == 0)
        *ret_fd = take_fd(&walk.fd);
    scoped_fd(&walk.fd);
    buf_fini(&walk.at);
    buf_fini(&walk.way);
    return rc;
}

/* ---- the current one ------------------------------------------------------------------------- */

int place_find(struct unpack *u, const char *dir, size_t dir_len, int *ret_fd, struct err *err)
{
    return walk_to(u, dir, dir_len, false, ret_fd, err);
}

int place_enter(struct unpack *u, const char *dir, size_t dir_len, struct err *err)
{
    struct place *place = &u->place;
    struct stat st;
    int rc;

    if (place->fd >= 0 && !place->stale &&
        bytes_equal(buf_bytes(&place->name), bytes_of(dir, dir_len)))
        return 0;
    rc = place_leave(u, err);
    if (rc == 0)
        rc = walk_to(u, dir, dir_len, true, &place->fd, err);
    if (rc < 0)
        return rc;
    place->name.len = 0;
    place->stale = false;
    if (fstat(place->fd, &st) < 0)
        return err_sys(err, -errno, "directory");
    place->times[0] = st.st_atim;
    place->times[1] = st.st_mtim;
    return buf_add(&place->name, dir, dir_len) < 0 ? no_memory(err) : 0;
}

int place_leave(struct unpack *u, struct err *err)
{
    SCOPED(fd) int fd = take_fd(&u->place.fd);

    if (fd >= 0 && futimens(fd, u->place.times) < 0)
        return err_sys(err, -errno, "times of a directory");
    return 0;
}
