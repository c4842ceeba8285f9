/* SPDX-License-Identifier: Apache-2.0 */
/* posix_system.c – odds and ends as Linux and macOS have them. */
#include "base/system.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

const char system_then[] = " && ";

/* strerror() shares one buffer between threads in old libcs; glibc's strerrordesc_np() does not,
 * but is glibc's alone. The table of message texts is immutable in every libc that we build
 * against. */
const char *system_error_text(int number)
{
    return strerror(number);
}

int system_random(void *ret, size_t len)
{
    SCOPED(fd) int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);

    return fd >= 0 && read(fd, ret, len) == (ssize_t)len ? 0 : -EIO;
}

/* open() takes the lowest number that is free. */
int system_hold_standard_files(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", O_RDWR) < 0)
            return -errno;
    }
    return 0;
}

/* explicit_bzero() is not everywhere; through a pointer that might change nothing is left out. */
static void *(*const volatile set_memory)(void *data, int byte, size_t len) = memset;

void system_wipe(void *data, size_t len)
{
    if (len > 0)
        (void)set_memory(data, 0, len);
}
