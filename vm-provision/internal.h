/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h – what a way to a machine must be able to do, and the pieces of the SSH one.
 *
 *   machine.c       the calls of machine.h, for any way
 *     ├▶ local.c    this machine (local_none.c: where it can be none)
 *     └▶ ssh.c      a session, its commands and its uploads
 *          ├▶ ssh_connect.c  socket, handshake, host key, login
 *          └▶ ssh_wait.c     the socket waited for, with a deadline and a cancel */
#ifndef VM_PROVISION_INTERNAL_H
#define VM_PROVISION_INTERNAL_H

#include "vm-provision/machine.h"

#include <libssh2.h>

/* A command for the login shell, with what goes in. */
struct machine_command {
    const char *line;
    struct bytes input;
    int64_t timeout_ms;
    int (*output)(void *self, struct bytes piece); /* NULL: into the result */
    void *self;
};

struct machine_way {
    MUST_CHECK int (*run)(struct machine *machine, const struct machine_command *command,
                          struct machine_result *ret, struct err *err);
    /* What put->read() gives, into a new file that only we can write: its path over there. */
    MUST_CHECK int (*upload)(struct machine *machine, const struct machine_put *put, char **ret,
                             struct err *err);
    void (*close)(struct machine *machine);
};

struct machine {
    const struct machine_way *way; /* fixed at creation */
    bool is_root;                  /* fixed at creation: no sudo is needed */
    int cancel_read, cancel_write; /* of wake_open(); when woken all ends */
    void *own;                     /* the way's */
};
/* `own` NULL. -EMFILE and the like. */
MUST_CHECK int machine_new(const struct machine_way *way, struct machine **ret, struct err *err);

/* ---- ssh_wait.c ------------------------------------------------------------------------------ */

struct ssh {
    int fd;
    LIBSSH2_SESSION *session;
    const int *cancel_fd;
    int64_t timeout_ms; /* for one answer */
    bool is_lost;       /* whatever follows is refused */
};
/* After LIBSSH2_ERROR_EAGAIN: until the socket can go on. 0, -ETIMEDOUT, -ECANCELED. Sends
 * keepalives. */
MUST_CHECK int ssh_wait(struct ssh *ssh, int64_t deadline_ms, struct err *err);
/* What the session's last error means; never 0. */
int ssh_error(struct ssh *ssh, struct err *err, const char *what);

/* Call `expr`, a libssh2 function that gives an int, until it does not want to wait any more. */
#define SSH_CALL(ssh, deadline_ms, rc, expr, err)                                                  \
    do {                                                                                           \
        int ssh_waited_ = 0;                                                                       \
        while (((rc) = (int)(expr)) == LIBSSH2_ERROR_EAGAIN && ssh_waited_ == 0)                   \
            ssh_waited_ = ssh_wait((ssh), (deadline_ms), (err));                                   \
        if (ssh_waited_ < 0)                                                                       \
            (rc) = SSH_WAIT_FAILED;                                                                \
    } while (0)
/* None of libssh2's; err says why. */
enum { SSH_WAIT_FAILED = -10000 };

/* ---- ssh_connect.c --------------------------------------------------------------------------- */

/* Connected and logged in. -EAGAIN: worth another try. */
MUST_CHECK int ssh_connect(const struct machine_ssh *options, const int *cancel_fd, struct ssh *ret,
                           struct err *err);
void ssh_disconnect(struct ssh *ssh);

#endif
