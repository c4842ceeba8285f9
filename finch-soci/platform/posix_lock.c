/* SPDX-License-Identifier: Apache-2.0 */
/* posix_lock.c – a file or a directory that one process at a time holds: the kernel lets go of it
 * when that one dies. */
#include "platform/platform.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

struct platform_lock {
    int fd;
};

/* Nothing is written to either. */
static int open_lock(const char *path)
{
    struct stat st;

    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
}

int platform_lock_take(const char *path, struct platform_lock **ret, struct err *err)
{
    struct platform_lock *lock;
    SCOPED(fd) int fd = open_lock(path);

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
