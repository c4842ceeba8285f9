/* SPDX-License-Identifier: Apache-2.0 */
/* socket.h – sockets, and waiting for them, by POSIX's names on Windows too. There a socket is an
 * int as well: a handle of Windows has 32 bits that mean something. */
#ifndef BASE_SOCKET_H
#define BASE_SOCKET_H

#include "base/attr.h"
#include "base/err.h"

#ifdef _WIN32
#include <winsock2.h>
#include <ws2tcpip.h>
#else
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#endif

#include <stddef.h>

/* Before the first socket; more often does no harm. 0 or a negative errno. */
MUST_CHECK int socket_start(void);

/* TCP or UDP; does not block and is not inherited. The socket, or a negative errno. */
MUST_CHECK int socket_open(int family, int type);
/* 0, -EINPROGRESS, or what went wrong. */
MUST_CHECK int socket_connect(int fd, const struct sockaddr *address, size_t len);
/* What came of it, when the socket can be written to: 0 or a negative errno. */
MUST_CHECK int socket_connect_result(int fd);
void socket_close(int fd); /* -1 is fine; errno stays */

/* As poll(2); a negative errno. */
MUST_CHECK int socket_poll(struct pollfd *fds, size_t count, int timeout_ms);

/* Something to be woken by, which can be waited for beside sockets: [0] can be read from after
 * wake_up([1]), for ever. */
MUST_CHECK int wake_open(int ends[2], struct err *err);
void wake_up(int end); /* any thread, and safe in a signal handler */
void wake_close(const int ends[2]);

#endif
