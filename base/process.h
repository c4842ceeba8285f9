/* SPDX-License-Identifier: Apache-2.0 */
/* process.h – a program is run to its end: its input, its two outputs up to a limit, and a time
 * after which it is killed with all that it started. No shell. Any thread.
 *
 * It gets three descriptors, in a group of processes of its own, and no signal that is blocked,
 * ignored or caught. What it left running in the background does not hold up the end, even when
 * that keeps the outputs open. */
#ifndef BASE_PROCESS_H
#define BASE_PROCESS_H

#include "base/attr.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct process_run {
    const char *const *argv; /* NULL at the end; argv[0] is a path, or looked for in PATH */
    const char *const
        *settings; /* NAME=value over our own environment, NULL at the end; NULL: none */
    const char *const *environment; /* the same instead of our own; NULL: ours */
    struct bytes input;
    size_t max_output_bytes; /* of each of the two; 0: 1 MiB */
    size_t kept_error_bytes; /* of the second; the rest is dropped. 0: as above */
    bool is_secret;          /* nothing of its outputs stays in memory when they are released */
    int64_t timeout_ms;      /* 0: 60000 */
    /* NULL: standard output is collected. Else each piece is handed over as it comes; not 0 ends it
     * with -ECANCELED. */
    int (*output)(void *self, struct bytes piece);
    void *self;
    const int *cancel_fd; /* NULL, or it ends with -ECANCELED when this is readable */
};
struct process_end {
    struct buf out, err;
    int exit_status; /* 128 + signal when a signal ended it */
    int signal;      /* that ended it; 0: none did */
    bool is_secret;
};
#define PROCESS_END_NONE                                                                           \
    {                                                                                              \
        .out = BUF_EMPTY, .err = BUF_EMPTY                                                         \
    }
void process_end_fini(struct process_end *end);
DEFINE_SCOPED_VALUE(process_end, struct process_end, process_end_fini)

/* 0 when it ran, whatever its exit status. -ENOENT: no such program, -ETIMEDOUT, -EFBIG,
 * -ECANCELED, or as the system says. */
MUST_CHECK int process_run(const struct process_run *run, struct process_end *ret, struct err *err);

/* That program in that directory, by the name that the system gives to programs: a new string.
 * -ENOENT. */
MUST_CHECK int process_program_in(const char *dir, const char *name, char **ret, struct err *err);
/* In PATH, links followed: a new string. -ENOENT. */
MUST_CHECK int process_find_program(const char *name, char **ret, struct err *err);
bool process_is_alive(int64_t pid);

#endif
