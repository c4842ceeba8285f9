/* SPDX-License-Identifier: Apache-2.0 */
/* posix_lock.c – a file that one process at a time holds: the kernel lets go of it when that one
 * dies. */
#include "platform/platform.h"

#include <fcntl.h>
#include <sys/file.h>

struct platform_lock {
    int fd;
};

int platform_lock_take(const char *path, struct platform_lock **ret, struct err *err)
{
    struct platform_lock *lock;
    SCOPED(fd) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return err_sys(err, -errno, "%s", path);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? err_set(err, -EBUSY, "%s is held by another process", path)
                                    : err_sys(err, -errno, "lock %s", path);
    lock = malloc(sizeof(*lock));
    if (lock == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    lock->fd = take_fd(&fd);
    *ret = lock;
    return 0;
}

void platform_lock_free(struct platform_lock *lock)
{
    if (lock == NULL)
        return;
    (void)close(lock->fd);
    free(lock);
}
