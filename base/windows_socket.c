/* SPDX-License-Identifier: Apache-2.0 */
/* windows_socket.c – Winsock by POSIX's names. */
#include "base/socket.h"

#include "base/windows.h"

static int last(void)
{
    return -windows_errno((DWORD)WSAGetLastError());
}

static SOCKET socket_of(int fd)
{
    return (SOCKET)(unsigned)fd;
}

int socket_start(void)
{
    WSADATA data;

    return WSAStartup(MAKEWORD(2, 2), &data) == 0 ? 0 : -EIO; /* counted; ends with the process */
}

int socket_open(int family, int type)
{
    SOCKET made =
        WSASocketW(family, type, 0, NULL, 0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    u_long on = 1;

    if (made == INVALID_SOCKET)
        return last();
    if (ioctlsocket(made, (long)FIONBIO, &on) != 0) {
        int rc = last();

        (void)closesocket(made);
        return rc;
    }
    return (int)made;
}

int socket_connect(int fd, const struct sockaddr *address, size_t len)
{
    if (connect(socket_of(fd), address, (int)len) == 0)
        return 0;
    return WSAGetLastError() == WSAEWOULDBLOCK ? -EINPROGRESS : last();
}

int socket_connect_result(int fd)
{
    int why = 0, len = sizeof(why);

    if (getsockopt(socket_of(fd), SOL_SOCKET, SO_ERROR, (char *)&why, &len) != 0)
        return last();
    return why == 0 ? 0 : -windows_errno((DWORD)why);
}

void socket_close(int fd)
{
    if (fd >= 0)
        (void)closesocket(socket_of(fd));
}

/* By select(), since WSAPoll() before Windows 10 2004 never told that a connection was refused. */
int socket_poll(struct pollfd *fds, size_t count, int timeout_ms)
{
    struct timeval timeout = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    fd_set can_read, can_write, failed;
    int ready;

    FD_ZERO(&can_read);
    FD_ZERO(&can_write);
    FD_ZERO(&failed);
    for (size_t i = 0; i < count && i < FD_SETSIZE; i++) {
        if ((fds[i].events & POLLIN) != 0)
            FD_SET(fds[i].fd, &can_read);
        if ((fds[i].events & POLLOUT) != 0)
            FD_SET(fds[i].fd, &can_write);
        FD_SET(fds[i].fd, &failed);
    }
    ready = select(0, &can_read, &can_write, &failed, timeout_ms < 0 ? NULL : &timeout);
    if (ready < 0)
        return last();
    for (size_t i = 0; i < count && i < FD_SETSIZE; i++)
        fds[i].revents = (short)((FD_ISSET(fds[i].fd, &can_read) ? POLLIN : 0) |
                                 (FD_ISSET(fds[i].fd, &can_write) ? POLLOUT : 0) |
                                 (FD_ISSET(fds[i].fd, &failed) ? POLLERR : 0));
    return ready;
}

/* ---- something to be woken by ---------------------------------------------------------------- */

/* One socket that is connected to itself: nobody else can send to it. */
static int connect_to_itself(int fd)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    int len = sizeof(address);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(socket_of(fd), (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        getsockname(socket_of(fd), (struct sockaddr *)&address, &len) != 0 ||
        connect(socket_of(fd), (const struct sockaddr *)&address, len) != 0)
        return last();
    return 0;
}

int wake_open(int ends[2], struct err *err)
{
    int rc = socket_start();
    int fd = rc < 0 ? rc : socket_open(AF_INET, SOCK_DGRAM);

    rc = fd < 0 ? fd : connect_to_itself(fd);
    if (rc < 0) {
        socket_close(fd);
        return err_sys(err, rc, "socket");
    }
    ends[0] = ends[1] = fd;
    return 0;
}

void wake_up(int end)
{
    (void)send(socket_of(end), "", 1, 0);
}

void wake_close(const int ends[2])
{
    socket_close(ends[0]);
}
