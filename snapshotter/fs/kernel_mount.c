/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_mount.c – mount(2) and umount2(2). */
#include "base/text.h"
#include "fs/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>

#ifndef MOVE_MOUNT_BENEATH /* glibc 2.39 */
#define MOVE_MOUNT_BENEATH 0x200
#endif

int kernel_mount_fuse(const char *dir, int *ret_fd, struct err *err)
{
    SCOPED(fd) int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    char options[128];

    if (fd < 0)
        return err_sys(err, -errno, "/dev/fuse");
    /* Type and source are what users and Finch's tests know from the reference. suid programs and
     * devices of a layer work in a container because overlayfs asks its own mount about them.
     * Read-only, unlike the reference's, also because the kernel asks for the attributes anew after
     * each read of what it may write. */
    (void)snprintf(options, sizeof(options),
                   "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fd);
    if (mount("soci", dir, "fuse.rawBridge", MS_NODEV | MS_RDONLY, options) < 0)
        return err_sys(err, -errno, "mount %s", dir);
    *ret_fd = take_fd(&fd);
    return 0;
}

int kernel_mount_erofs(const char *image, const char *device, const char *dir, struct err *err)
{
    SCOPED(mem) char *options = text_format("device=%s", device);

    if (options == NULL)
        return err_sys(err, -ENOMEM, "mount %s", dir);
    /* mount(8) would make a loop device. */
    if (mount(image, dir, "erofs", MS_NODEV | MS_RDONLY, options) < 0)
        return err_sys(err, -errno, "mount %s", dir);
    return 0;
}

/* A new mount that is nowhere yet. */
static int open_erofs(const char *image, const char *device, int *ret_fd, struct err *err)
{
    SCOPED(fd) int fs_fd = fsopen("erofs", FSOPEN_CLOEXEC);
    SCOPED(fd) int fd = -1;

    if (fs_fd < 0)
        return err_sys(err, -errno, "fsopen");
    if (fsconfig(fs_fd, FSCONFIG_SET_STRING, "source", image, 0) < 0 ||
        fsconfig(fs_fd, FSCONFIG_SET_STRING, "device", device, 0) < 0 ||
        fsconfig(fs_fd, FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0 ||
        fsconfig(fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return err_sys(err, -errno, "fsconfig");
    fd = fsmount(fs_fd, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV);
    if (fd < 0)
        return err_sys(err, -errno, "fsmount");
    *ret_fd = take_fd(&fd);
    return 0;
}

/* At no moment does the directory show what lies below: the new mount is put beneath the old one
 * (Linux 6.5 and later), which is then taken away. */
int kernel_replace_erofs(const char *image, const char *device, const char *dir, struct err *err)
{
    SCOPED(fd) int fd = -1;
    int rc = open_erofs(image, device, &fd, err);

    if (rc < 0)
        return err_prefix(err, rc, "mount %s", dir);
    if (move_mount(fd, "", AT_FDCWD, dir, MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_BENEATH) < 0)
        return err_sys(err, -errno, "mount beneath %s", dir);
    return kernel_detach(dir, err);
}

int kernel_detach(const char *dir, struct err *err)
{
    if (umount2(dir, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL && errno != ENOENT)
        return err_sys(err, -errno, "unmount %s", dir);
    return 0;
}

int fs_clear_mounts(const char *dir, struct err *err)
{
    while (umount2(dir, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
        ;
    if (errno != EINVAL && errno != ENOENT) /* EINVAL: not the root of a mount */
        return err_sys(err, -errno, "unmount %s", dir);
    return 0;
}
