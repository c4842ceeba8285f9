/* SPDX-License-Identifier: Apache-2.0 */
/* dial.c – from an address to a connected socket. */
#include "client.h"

#include "base/clock.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { DIAL_AGAIN_MS = 10 }; /* as containerd's own client does */

int grpc_address_parse(const char *address, char **ret_path, struct err *err)
{
    const char *path = address;

    if (text_has_prefix(address, "unix://"))
        path = address + strlen("unix://");
    else if (text_has_prefix(address, "unix:"))
        path = address + strlen("unix:");
    if (path[0] != '/')
        return err_set(err, -EINVAL, "address \"%s\" is not the path of a unix socket", address);
    if (strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
        return err_set(err, -EINVAL, "address \"%s\" is longer than a socket's path can be",
                       address);
    *ret_path = text_copy(path);
    return *ret_path == NULL ? err_set(err, -ENOMEM, "out of memory") : 0;
}

static int try_connect(const char *path, int *ret_fd)
{
    SCOPED(fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (fd < 0)
        return -errno;
    memcpy(address.sun_path, path, strlen(path) + 1); /* its length was checked */
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return -errno;
    *ret_fd = take_fd(&fd);
    return 0;
}

int grpc_dial(const char *path, int cancel_fd, int64_t until_ms, int *ret_fd, int *ret_errno)
{
    for (;;) {
        struct pollfd cancel = {.fd = cancel_fd, .events = POLLIN};
        int rc = try_connect(path, ret_fd);

        *ret_errno = -rc;
        if (rc == 0)
            return 0;
        /* No socket: its server is starting. EAGAIN: it has not accepted those before us. */
        if (rc != -ENOENT && rc != -EAGAIN && rc != -EINTR)
            return -EAGAIN;
        if (clock_mono_ms() >= until_ms)
            return -ETIMEDOUT;
        if (poll(&cancel, 1, DIAL_AGAIN_MS) > 0)
            return -ECANCELED;
    }
}
