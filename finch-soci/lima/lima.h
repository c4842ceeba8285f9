/* SPDX-License-Identifier: Apache-2.0 */
/* lima.h – where Finch and its virtual machine are, and what state the machine is in.
 *
 * From files and from `limactl ls --json` alone (facts: Lima's instance directory, its ssh.config
 * and lima.env). limactl's output and all those files are read as hostile. Where limactl is missing
 * or does not answer, wsl.exe is asked on Windows, and else the pid files say what can be said.
 * Errors: -ENOENT not there, -EBADMSG a file makes no sense, and as the system says. */
#ifndef LIMA_LIMA_H
#define LIMA_LIMA_H

#include "base/attr.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* ---- places ---------------------------------------------------------------------------------- */

/* What the user says; NULL: found out. */
struct lima_options {
    const char *finch_root; /* --finch-root, FINCH_ROOT */
    const char *lima_home;  /* --lima-home, LIMA_HOME */
    const char *instance;   /* --instance; "finch" */
};
struct lima_places {
    char *finch_root; /* two levels above the finch that links lead to; NULL: no Finch */
    char *finch;      /* the program; NULL: none */
    char *limactl;    /* Finch's own, else the one in PATH; NULL: none */
    char *wsl;        /* where machines are distributions of WSL: its program; NULL: not here */
    char *lima_home;
    char *instance;
    char *instance_dir; /* may not exist */
};
void lima_places_fini(struct lima_places *places);
DEFINE_SCOPED_VALUE(lima_places, struct lima_places, lima_places_fini)
MUST_CHECK int lima_find(const struct lima_options *options, struct lima_places *ret,
                         struct err *err);

/* ---- the machine ----------------------------------------------------------------------------- */

enum lima_state { LIMA_NONE, LIMA_STOPPED, LIMA_RUNNING, LIMA_BROKEN };
const char *lima_state_name(enum lima_state state); /* "none", … */

struct lima_ssh {
    char *host, *user, *identity, *known_hosts; /* known_hosts NULL: keys are not checked */
    unsigned port;
};
void lima_ssh_fini(struct lima_ssh *ssh);
DEFINE_SCOPED_VALUE(lima_ssh, struct lima_ssh, lima_ssh_fini)

struct lima_machine {
    enum lima_state state;
    char *vm_type, *arch, *lima_version; /* NULL: not known */
    char *problem;                       /* why it is broken; NULL */
    unsigned ssh_port;                   /* 0: none */
    char *ssh_address;                   /* where Lima itself reaches it; NULL: not known */
};
void lima_machine_fini(struct lima_machine *machine);
DEFINE_SCOPED_VALUE(lima_machine, struct lima_machine, lima_machine_fini)

/* Ask limactl, at most `timeout_ms`; without it, ask WSL for as long, or look at the instance's
 * files. */
MUST_CHECK int lima_look(const struct lima_places *places, int64_t timeout_ms,
                         struct lima_machine *ret, struct err *err);
/* How to reach it: its ssh.config. -ENOENT: none, it has never run. */
MUST_CHECK int lima_read_ssh(const struct lima_places *places, struct lima_ssh *ret,
                             struct err *err);

/* ---- parsers, for tests and fuzzers ---------------------------------------------------------- */

/* `limactl ls --json`: an object per line. *ret_found false: no instance of that name. */
MUST_CHECK int lima_parse_list(struct bytes json, const char *instance, struct lima_machine *ret,
                               bool *ret_found, struct err *err);
/* `wsl.exe --list --verbose`, in UTF-16 as it prints it, or in UTF-8 with WSL_UTF8=1: a heading in
 * the user's language, then a line for each distribution. *ret_found false: none of that name.
 * LIMA_BROKEN with ret->problem: a state that is none. -EBADMSG: it is no such list. */
MUST_CHECK int lima_parse_wsl_list(struct bytes text, const char *distribution,
                                   struct lima_machine *ret, bool *ret_found, struct err *err);
/* OpenSSH's format as far as Lima writes it: the first value of a key wins, Host patterns, quotes.
 */
MUST_CHECK int lima_parse_ssh_config(struct bytes text, const char *host, struct lima_ssh *ret,
                                     struct err *err);

#endif
