/* SPDX-License-Identifier: Apache-2.0 */
/* keychain.h – the parts behind the keychain of Docker's config.json.
 *
 *   keychain_docker.c   what config.json says about a host
 *     ├▶ helper.c       asks a credential helper
 *     │    └▶ program.c   runs a program
 *     └▶ guest.c        where config.json is, and what a helper finds in its environment */
#ifndef REGISTRY_KEYCHAIN_H
#define REGISTRY_KEYCHAIN_H

#include "base/bytes.h"
#include "base/text.h"
#include "registry/registry.h"

/* ---- keychain_docker.c ----------------------------------------------------------------------- */

bool registry_credentials_are_empty(const struct registry_credentials *cred);

/* ---- program.c ------------------------------------------------------------------------------- */

struct program {
    char *name;       /* looked for in PATH */
    char *argument;   /* its only one */
    char **env;       /* "NAME=value", NULL at the end */
    struct bytes in;  /* for its stdin; 4096 bytes at most */
    size_t max_bytes; /* of its stdout */
    int64_t timeout_ms;
};
/* Zeroed storage is an empty one. */
struct program_end {
    struct buf out;
    struct buf err; /* the beginning of it */
    int exit_code;  /* -1: it did not exit, see */
    int signal;
};
void program_end_fini(struct program_end *end); /* leaves nothing of `out` in memory */
DEFINE_SCOPED_VALUE(program_end, struct program_end, program_end_fini)
/* Blocks until the program has ended, by itself or killed: whatever it returns, it is reaped. 0: it
 * ended by itself, whatever its exit code. -ENOENT: no such program; -ETIMEDOUT; -EFBIG: it says
 * too much; or why it could not be run. */
MUST_CHECK int program_run(const struct program *program, struct program_end *ret, struct err *err);

/* ---- guest.c --------------------------------------------------------------------------------- */

/* The user for whom this machine was made, if it is a virtual machine of Lima's: in Finch, the
 * credentials of a daemon that runs as root are those of that user. */
struct guest {
    char *uid; /* NULL: no such machine */
    char *home;
};
/* From lima.env, which only root may read; when it cannot be read, nothing. 0 or -ENOMEM. */
MUST_CHECK int guest_read(struct guest *ret);
void guest_fini(struct guest *guest);
DEFINE_SCOPED_VALUE(guest, struct guest, guest_fini)
/* The directory of config.json; *ret NULL: there is none. 0 or -ENOMEM. */
MUST_CHECK int guest_config_dir(const struct guest *guest, char **ret);
/* What a helper is run with: our own environment, completed. 0 or -ENOMEM. */
MUST_CHECK int guest_environment(const struct guest *guest, const char *config_dir,
                                 struct text_list *ret);

/* ---- helper.c -------------------------------------------------------------------------------- */

/* Runs docker-credential-<name> for `host`. Nothing known there: 0, and *ret is as it was. -EINVAL:
 * the name is none; -EBADMSG: its answer makes no sense; -EAGAIN: it fails, now at least;
 * -ETIMEDOUT, -EFBIG, -ENOMEM. */
MUST_CHECK int helper_get(const char *name, const char *host, const struct text_list *environment,
                          struct registry_credentials *ret, struct err *err);
/* What a helper printed: as helper_get(). */
MUST_CHECK int helper_answer_parse(struct bytes json, struct registry_credentials *ret,
                                   struct err *err);

#endif
