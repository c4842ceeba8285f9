/* SPDX-License-Identifier: Apache-2.0 */
/* userns.c – directories mounted a second time with the owners that a user namespace makes of them,
 * by the kernel's id-mapped mounts. */
#include "snapshot/internal.h"

#include "base/files.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- a namespace ----------------------------------------------------------------------------- */

/* A namespace needs a process to be made by. This one does nothing; it is a copy of one thread of a
 * process with many, so it calls the kernel alone. Its end is no SIGCHLD: nobody else may reap it.
 */
static pid_t start_child(void)
{
    pid_t parent = getpid(), child = (pid_t)syscall(SYS_clone, CLONE_NEWUSER, 0, 0, 0, 0);

    if (child != 0)
        return child < 0 ? -errno : child;
    (void)syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    while (syscall(SYS_getppid) == parent) /* it may have died before */
        (void)syscall(SYS_ppoll, NULL, 0, NULL, NULL, 0);
    syscall(SYS_exit_group, 0);
    __builtin_unreachable();
}

/* The parent's handlers are not for the child to run. */
static pid_t start_child_without_signals(void)
{
    sigset_t all, before;
    pid_t child;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    child = start_child();
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return child;
}

static void end_child(pid_t child)
{
    (void)kill(child, SIGKILL);
    while (waitpid(child, NULL, __WALL) < 0 && errno == EINTR)
        ;
}

/* The kernel takes a map in one write. */
static int write_map(pid_t child, const char *name, const struct idmap *map, struct err *err)
{
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    SCOPED(fd) int fd = -1;
    char path[64];

    if (idmap_format(map, &text) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    (void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)child, name);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text.data, text.len) != (ssize_t)text.len)
        return err_sys(err, errno == 0 ? -EIO : -errno, "%s", path);
    return 0;
}

static int map_child(pid_t child, const struct idmaps *ids, int *ret_fd, struct err *err)
{
    char path[64];
    int rc = write_map(child, "uid_map", &ids->uids, err);

    if (rc == 0)
        rc = write_map(child, "gid_map", &ids->gids, err);
    if (rc < 0)
        return rc;
    (void)snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)child);
    *ret_fd = open(path, O_RDONLY | O_CLOEXEC);
    return *ret_fd < 0 ? err_sys(err, -errno, "%s", path) : 0;
}

int userns_open(const struct idmaps *ids, int *ret_fd, struct err *err)
{
    pid_t child = start_child_without_signals();
    int rc;

    if (child < 0)
        return err_sys(err, child, "user namespace");
    rc = map_child(child, ids, ret_fd, err);
    end_child(child);
    return rc < 0 ? err_prefix(err, rc, "user namespace") : 0;
}

/* ---- a mount --------------------------------------------------------------------------------- */

/* Read-only: what is mounted here is a layer, and nobody has business to write to it. */
int userns_bind(const char *from, const char *to, int userns_fd, struct err *err)
{
    struct mount_attr attr = {
        .attr_set = MOUNT_ATTR_IDMAP | MOUNT_ATTR_RDONLY,
        .propagation = MS_PRIVATE,
        .userns_fd = (uint64_t)userns_fd,
    };
    SCOPED(fd) int fd = open_tree(AT_FDCWD, from, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

    if (fd < 0)
        return err_sys(err, -errno, "%s", from);
    if (mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
        return err_sys(err, -errno, "id-mapped mount of %s", from);
    if (move_mount(fd, "", AT_FDCWD, to, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return err_sys(err, -errno, "mount at %s", to);
    return 0;
}

/* ---- can the kernel? ------------------------------------------------------------------------- */

static int make_dirs(const char *dir, struct err *err)
{
    static const char *const names[] = {"plain", "mapped", "other", "merged"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        SCOPED(mem) char *path = path_join(dir, names[i]);
        if (path == NULL || mkdir(path, 0755) < 0)
            return err_sys(err, path == NULL ? -ENOMEM : -errno, "%s/%s", dir, names[i]);
    }
    return 0;
}

static int try_overlay(const char *dir, const char *mapped, struct err *err)
{
    SCOPED(mem) char *options = text_format("lowerdir=%s:%s/other", mapped, dir);
    SCOPED(mem) char *merged = path_join(dir, "merged");

    if (options == NULL || merged == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    if (mount("overlay", merged, "overlay", MS_RDONLY, options) < 0)
        return err_sys(err, -errno, "overlayfs on an id-mapped mount");
    (void)umount2(merged, MNT_DETACH);
    return 0;
}

static int try_in(const char *dir, struct err *err)
{
    SCOPED(idmaps) struct idmaps ids = IDMAPS_EMPTY;
    SCOPED(mem) char *plain = path_join(dir, "plain");
    SCOPED(mem) char *mapped = path_join(dir, "mapped");
    SCOPED(fd) int fd = -1;
    int rc;

    if (plain == NULL || mapped == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    rc = make_dirs(dir, err);
    if (rc == 0)
        rc = idmaps_parse("0:1:1", "0:1:1", &ids, err);
    if (rc == 0)
        rc = userns_open(&ids, &fd, err);
    if (rc == 0)
        rc = userns_bind(plain, mapped, fd, err);
    if (rc < 0)
        return rc;
    rc = try_overlay(dir, mapped, err);
    (void)umount2(mapped, MNT_DETACH);
    return rc;
}

bool userns_can_bind(const char *dir)
{
    SCOPED(mem) char *trial = text_format("%s/new-XXXXXX", dir);
    struct err why = ERR_NONE, ignored = ERR_NONE;
    int rc;

    if (trial == NULL || mkdtemp(trial) == NULL)
        return false;
    rc = try_in(trial, &why);
    if (rc < 0)
        log_info("layers are copied for id-mapped containers", "err=%s", err_text(&why));
    (void)!dir_remove_all(trial, &ignored); /* what stays is collected at the next start */
    return rc == 0;
}
