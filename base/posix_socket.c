/* SPDX-License-Identifier: Apache-2.0 */
/* posix_socket.c – sockets and waiting, as the system has them. */
#include "base/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int socket_start(void)
{
    return 0;
}

static int set_flags(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return -errno;
    return 0;
}

int socket_open(int family, int type)
{
    int fd = socket(family, type, 0);
    int rc = fd < 0 ? -errno : set_flags(fd);

    if (rc < 0)
        socket_close(fd);
    return rc < 0 ? rc : fd;
}

int socket_connect(int fd, const struct sockaddr *address, size_t len)
{
    return connect(fd, address, (socklen_t)len) < 0 ? -errno : 0;
}

int socket_connect_result(int fd)
{
    int why = 0;
    socklen_t len = sizeof(why);

    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &len) < 0 ? -errno : -why;
}

void socket_close(int fd)
{
    int saved_errno = errno;

    if (fd >= 0)
        (void)close(fd);
    errno = saved_errno;
}

int socket_poll(struct pollfd *fds, size_t count, int timeout_ms)
{
    int ready = poll(fds, (nfds_t)count, timeout_ms);

    return ready < 0 ? -errno : ready;
}

int wake_open(int ends[2], struct err *err)
{
    int rc;

    if (pipe(ends) < 0)
        return err_sys(err, -errno, "pipe");
    rc = set_flags(ends[0]);
    if (rc == 0)
        rc = set_flags(ends[1]);
    if (rc < 0) {
        wake_close(ends);
        return err_sys(err, rc, "pipe");
    }
    return 0;
}

void wake_up(int end)
{
    int saved_errno = errno;

    if (write(end, "", 1) < 0) {
        /* full: somebody has asked already */
    }
    errno = saved_errno;
}

void wake_close(const int ends[2])
{
    socket_close(ends[0]);
    socket_close(ends[1]);
}
