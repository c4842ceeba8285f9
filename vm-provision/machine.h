/* SPDX-License-Identifier: Apache-2.0 */
/* machine.h – a machine on which commands are run and files are put: over SSH (libssh2), or this
 * one.
 *
 * One thread at a time uses a machine. All calls block and have a deadline or a timeout; none is
 * ended by a peer that says nothing. Nothing secret is logged or put on a command line.
 *
 * Errors: -EAGAIN no connection (refused, lost, not there yet: worth another try), -EACCES the key
 * or the host key was refused, -ETIMEDOUT, -EPROTO the peer makes no sense, -EBADMSG what arrived
 * there is not what was sent, -ENOSPC, -EROFS as the machine says, -ECANCELED machine_cancel(),
 * -EIO. */
#ifndef VM_PROVISION_MACHINE_H
#define VM_PROVISION_MACHINE_H

#include "base/attr.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct machine;

struct machine_ssh {
    const char *host;       /* name or address */
    const char *other_host; /* NULL, or tried where there is no way in at `host` */
    unsigned port;          /* 0: 22 */
    const char *user;
    const char
        *identity; /* file of the private key, without passphrase; ed25519, RSA with libssh2 1.11 */
    const char *known_hosts; /* OpenSSH's file; NULL: the host key is not checked */
    int64_t wait_ms;         /* how long a machine that boots is waited for. 0: one try */
    int64_t timeout_ms;      /* for one answer; 0: 10000 */
    /* NULL, or told each time that a connection is tried again, with the reason. */
    void (*waiting)(void *self, const struct err *why);
    void *self;
};
MUST_CHECK int machine_open_ssh(const struct machine_ssh *ssh, struct machine **ret,
                                struct err *err);
/* This machine; commands run with our own rights, through sudo where those are not root's. */
MUST_CHECK int machine_open_local(struct machine **ret, struct err *err);
void machine_close(struct machine *machine); /* NULL is fine */
DEFINE_SCOPED_PTR(machine, struct machine, machine_close)
/* Any thread, and safe in a signal handler: what runs, and all later calls, end with -ECANCELED. */
void machine_cancel(struct machine *machine);

/* ---- commands -------------------------------------------------------------------------------- */

enum { MACHINE_OUTPUT_MAX_BYTES = 8 * 1024 * 1024 };

struct machine_run {
    const char *script; /* for sh, as root; not on a command line: it may be long */
    struct bytes input; /* the script's standard input */
    int64_t timeout_ms; /* 0: 60000 */
    /* NULL: collected in the result. Else given each piece of standard output as it comes; not 0
     * ends the command. */
    int (*output)(void *self, struct bytes piece);
    void *self;
};
struct machine_result {
    struct buf out, err; /* -EFBIG beyond MACHINE_OUTPUT_MAX_BYTES */
    int exit_status;     /* 128 + signal when a signal ended it */
};
#define MACHINE_RESULT_NONE                                                                        \
    {                                                                                              \
        .out = BUF_EMPTY, .err = BUF_EMPTY, .exit_status = 0                                       \
    }
void machine_result_fini(struct machine_result *result);
DEFINE_SCOPED_VALUE(machine_result, struct machine_result, machine_result_fini)
/* 0 when the script ran, whatever its exit status. */
MUST_CHECK int machine_run(struct machine *machine, const struct machine_run *run,
                           struct machine_result *ret, struct err *err);

/* ---- files ----------------------------------------------------------------------------------- */

struct machine_put {
    const char *path; /* absolute; its directory is there */
    unsigned mode;    /* owner is root */
    /* `bytes` in pieces: fills up to `len`, returns how many, 0 at the end, <0 an error. */
    int64_t (*read)(void *self, void *buf, size_t len, struct err *err);
    void *self;
    uint64_t size;
    uint8_t sha256[32]; /* compared over there before the file takes its place */
};
/* Under a name beside it first, then by rename: there is the old file or the new one, also when the
 * connection is lost. */
MUST_CHECK int machine_put_file(struct machine *machine, const struct machine_put *put,
                                struct err *err);
/* -ENOENT, -EFBIG. */
MUST_CHECK int machine_get_file(struct machine *machine, const char *path, size_t max_bytes,
                                struct buf *ret, struct err *err);

#endif
