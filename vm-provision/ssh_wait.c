/* SPDX-License-Identifier: Apache-2.0 */
/* ssh_wait.c – a session that never blocks by itself: its socket is waited for here. */
#include "internal.h"

#include "base/clock.h"
#include "base/socket.h"

#include <errno.h>
#include <limits.h>

/* A peer that is alive but busy is heard of this often; routers forget connections that are silent.
 */
enum { KEEPALIVE_S = 15 };

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Milliseconds until the next one is due. */
static int64_t keep_alive(struct ssh *ssh)
{
    int next_s = KEEPALIVE_S;

    if (libssh2_userauth_authenticated(ssh->session) != 0)
        (void)libssh2_keepalive_send(ssh->session, &next_s);
    return (next_s < 1 ? 1 : next_s) * INT64_C(1000);
}

int ssh_wait(struct ssh *ssh, int64_t deadline_ms, struct err *err)
{
    int directions = libssh2_session_block_directions(ssh->session);
    short events = 0;

    if ((directions & LIBSSH2_SESSION_BLOCK_OUTBOUND) != 0)
        events |= POLLOUT;
    if ((directions & LIBSSH2_SESSION_BLOCK_INBOUND) != 0 || events == 0)
        events |= POLLIN;
    for (;;) {
        struct pollfd fds[2] = {{.fd = ssh->fd, .events = events},
                                {.fd = *ssh->cancel_fd, .events = POLLIN}};
        int64_t left_ms = deadline_ms - clock_mono_ms();
        int ready;

        if (left_ms <= 0) {
            ssh->is_lost = true;
            return err_set(err, -ETIMEDOUT, "no answer in time");
        }
        ready = socket_poll(fds, 2, (int)least(least(left_ms, keep_alive(ssh)), INT_MAX));
        if (ready < 0 && ready != -EINTR)
            return err_sys(err, ready, "poll");
        if (ready > 0 && fds[1].revents != 0) {
            ssh->is_lost = true;
            return err_set(err, -ECANCELED, "ended on request");
        }
        if (ready > 0)
            return 0;
    }
}

int ssh_error(struct ssh *ssh, struct err *err, const char *what)
{
    char *text = NULL;
    int code = libssh2_session_last_error(ssh->session, &text, NULL, 0), rc = -EIO;

    switch (code) {
    case LIBSSH2_ERROR_SOCKET_DISCONNECT:
    case LIBSSH2_ERROR_SOCKET_SEND:
    case LIBSSH2_ERROR_SOCKET_RECV:
    case LIBSSH2_ERROR_SOCKET_NONE:
    case LIBSSH2_ERROR_CHANNEL_CLOSED:
        rc = -EAGAIN;
        ssh->is_lost = true;
        break;
    case LIBSSH2_ERROR_ALLOC:
        rc = -ENOMEM;
        break;
    case LIBSSH2_ERROR_TIMEOUT:
    case LIBSSH2_ERROR_SOCKET_TIMEOUT:
        rc = -ETIMEDOUT;
        ssh->is_lost = true;
        break;
    case LIBSSH2_ERROR_PROTO:
    case LIBSSH2_ERROR_KEX_FAILURE:
    case LIBSSH2_ERROR_DECRYPT:
    case LIBSSH2_ERROR_INVALID_MAC:
    case LIBSSH2_ERROR_OUT_OF_BOUNDARY:
        rc = -EPROTO;
        ssh->is_lost = true;
        break;
    default:
        break;
    }
    if (text != NULL && *text != '\0')
        return err_set(err, rc, "%s: %s", what, text);
    return ssh->is_lost ? err_set(err, rc, "%s: the connection was lost", what)
                        : err_set(err, rc, "%s: libssh2 says %d", what, code);
}
