/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_mount.c – mount(2) and umount2(2). */
#include "base/text.h"
#include "fs/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

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

static int mount_erofs(const char *image, const char *words, const char *device, const char *dir,
                       struct err *err)
{
    SCOPED(mem) char *options = text_format("%sdevice=%s", words, device);

    if (options == NULL)
        return err_sys(err, -ENOMEM, "mount %s", dir);
    /* mount(8) would make a loop device. */
    if (mount(image, dir, "erofs", MS_NODEV | MS_RDONLY, options) < 0)
        return err_sys(err, -errno, "mount %s", dir);
    return 0;
}

int kernel_mount_erofs(const char *image, const char *device, const char *dir, struct err *err)
{
    return mount_erofs(image, "", device, dir, err);
}

/* Some file systems refuse it where sectors are larger than blocks of a tar. */
static bool reads_directly(const char *path)
{
    enum { TAR_BLOCK_BYTES = 512, ALIGNMENT = 4096 };
    _Alignas(ALIGNMENT) uint8_t block[TAR_BLOCK_BYTES];
    SCOPED(fd) int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);

    return fd >= 0 && pread(fd, block, sizeof(block), sizeof(block)) == sizeof(block);
}

int kernel_mount_erofs_on_disk(const char *image, const char *file, const char *dir,
                               struct err *err)
{
    /* Kernels that have no such option say -EINVAL. */
    if (reads_directly(file) && mount_erofs(image, "directio,", file, dir, NULL) == 0)
        return 0;
    return mount_erofs(image, "", file, dir, err);
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
