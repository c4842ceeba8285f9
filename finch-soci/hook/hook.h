/* SPDX-License-Identifier: Apache-2.0 */
/* hook.h – the machine is looked after at each of its starts, by whatever command it was started.
 *
 *   hook_text()    what tells the system to run the watcher with the user's session
 *   hook_watch()   the watcher: small, sleeps; has vm-start and vm-stop run
 *     ├▶ hook_look()     which run of the machine there is, by Lima's files
 *     └▶ hook_decide()   what to do about it; no clock and no file of its own
 *   hook_record_…, hook_log…   what vm-start and vm-stop did last, and when
 *
 * A run of the machine is told by its host agent: the pid file that Lima makes at the start and
 * removes at the end (facts: Lima's instance directory). That file comes long before the machine
 * has booted: waiting is vm-start's. Nothing here starts `finch`, which might start the machine in
 * turn; and nothing here is waited for by the machine, by Lima or by Finch.
 *
 * All that is kept lies in one directory beside finch.yaml, finch-soci/INSTANCE: it is the user's,
 * outlives the machine, and goes when the hook is uninstalled. One thread; nothing is shared. */
#ifndef HOOK_HOOK_H
#define HOOK_HOOK_H

#include "base/attr.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "platform/platform.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- what is kept ---------------------------------------------------------------------------- */

struct hook_files {
    char *dir;
    char *log, *old_log; /* what was done; rotated at HOOK_LOG_MAX_BYTES */
    char *start, *stop;  /* records */
    char *start_lock;    /* held by the one vm-start that works */
    char *watch_lock;    /* held by the one watcher */
};
void hook_files_fini(struct hook_files *files);
DEFINE_SCOPED_VALUE(hook_files, struct hook_files, hook_files_fini)
/* `config`: path of finch.yaml. Makes nothing. */
MUST_CHECK int hook_files_init(const char *config, const char *instance, struct hook_files *ret,
                               struct err *err);
MUST_CHECK int hook_files_make_dir(const struct hook_files *files, struct err *err);
/* All of them and their directory are gone; what is not ours stays. */
void hook_files_remove(const struct hook_files *files);

enum { HOOK_LOG_MAX_BYTES = 256 * 1024 };
/* A line with the time in front; what cannot be written is lost. */
void hook_log(const struct hook_files *files, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* By whoever holds start_lock. */
void hook_log_rotate(const struct hook_files *files);

/* ---- records --------------------------------------------------------------------------------- */

enum { HOOK_RESULT_BYTES = 24, HOOK_TIME_BYTES = 40, HOOK_TEXT_BYTES = 384 };
struct hook_record {
    char time[HOOK_TIME_BYTES];     /* of the end, RFC 3339 in UTC; "": there is no record */
    char result[HOOK_RESULT_BYTES]; /* docs/hook.md */
    char text[HOOK_TEXT_BYTES];     /* for people */
    uint64_t took_ms;
    bool failed;
};
/* `text` is cut to size. */
void hook_record_fill(struct hook_record *ret, const char *result, bool failed, uint64_t took_ms,
                      const char *text);
MUST_CHECK int hook_record_write(const char *path, const struct hook_record *record,
                                 struct err *err);
/* *ret is empty when there is none, or it makes no sense. */
void hook_record_read(const char *path, struct hook_record *ret);
/* The same of its bytes: -EBADMSG; and the way back, appended to *ret: 0 or -ENOMEM. */
MUST_CHECK int hook_record_parse(struct bytes json, struct hook_record *ret, struct err *err);
MUST_CHECK int hook_record_encode(const struct hook_record *record, struct buf *ret);

struct hook_state {
    enum platform_hook_state registered; /* what the system says */
    char *where;                         /* the file or what it is registered as; NULL: it is not */
    bool watches;                        /* a watcher runs, whoever started it */
    struct hook_record start, stop;
};
void hook_state_fini(struct hook_state *state);
DEFINE_SCOPED_VALUE(hook_state, struct hook_state, hook_state_fini)
MUST_CHECK int hook_state_get(const struct hook_files *files, const char *name,
                              struct hook_state *ret, struct err *err);

/* ---- which run there is ---------------------------------------------------------------------- */

struct hook_run {
    int64_t pid;     /* of the host agent */
    int64_t since_s; /* since 1970: when its pid file was written */
};
enum hook_sight_kind {
    HOOK_ABSENT,  /* no instance */
    HOOK_STOPPED, /* no host agent */
    HOOK_CRASHED, /* its pid file is left, its process is gone */
    HOOK_UNCLEAR, /* its pid file is being written */
    HOOK_RUNS,    /* perhaps it boots still */
};
struct hook_sight {
    enum hook_sight_kind kind;
    struct hook_run run; /* of HOOK_RUNS */
};
bool hook_run_is_same(const struct hook_run *a, const struct hook_run *b);
struct hook_sight hook_look(const char *instance_dir);
const char *hook_sight_name(enum hook_sight_kind kind); /* "absent", … */

/* ---- what to do ------------------------------------------------------------------------------ */

enum hook_step { HOOK_WAIT, HOOK_START, HOOK_STOP };
enum { HOOK_LOOK_MIN_MS = 2000 };           /* no two looks are nearer to each other */
enum { HOOK_LOOK_MAX_MS = 10 * 60 * 1000 }; /* a change that was not told is found at last */
enum { HOOK_RETRY_FIRST_MS = 60 * 1000, HOOK_RETRY_MAX_MS = 15 * 60 * 1000 };

/* Starts as zeros. */
struct hook_decider {
    bool is_up; /* `run` was seen, and its end was not told */
    struct hook_run run;
    bool must_start;            /* none was begun for it */
    bool has_booted;            /* Lima said so of this run */
    bool began_before;          /* the vm-start at work was begun before that */
    bool start_runs, stop_runs; /* programs that were started and have not ended */
    unsigned failures;          /* of vm-start, since the last that was fine */
    int64_t retry_ms;           /* with failures: when it is tried again, monotonic */
};
/* The caller runs what is said, tells of its end, and asks again until there is nothing to do. */
enum hook_step hook_decide(struct hook_decider *decider, const struct hook_sight *sight,
                           int64_t now_ms);
void hook_decide_ended(struct hook_decider *decider, enum hook_step step, bool well,
                       int64_t now_ms);
/* Lima says that the machine has booted: what failed before, or was begun before and fails, is
 * tried at once, for the first time that it says so in a run. */
void hook_decide_booted(struct hook_decider *decider, int64_t now_ms);
/* How long nothing is to be done if nothing is told. */
int64_t hook_decide_pause_ms(const struct hook_decider *decider, const struct hook_sight *sight,
                             int64_t now_ms);

/* ---- what Lima tells ------------------------------------------------------------------------- */

/* A line of `limactl watch --json`. */
struct hook_event {
    bool booted, degraded, exiting;
};
/* -EBADMSG: it is none, or of another instance. */
MUST_CHECK int hook_event_parse(struct bytes line, const char *instance, struct hook_event *ret,
                                struct err *err);

/* ---- the watcher ----------------------------------------------------------------------------- */

struct hook_watch {
    const struct hook_files *files;
    const char *lima_home, *instance, *instance_dir; /* need not be there */
    const char *limactl;                             /* NULL: none */
    const char *const *start_argv, *const *stop_argv;
};
/* Until the waiter is woken: 0. -ENOMEM and what the system has against waiting. */
MUST_CHECK int hook_watch(const struct hook_watch *watch, struct platform_waiter *waiter,
                          struct err *err);

/* ---- how the system is told -------------------------------------------------------------------
 */

struct hook_wish {
    const char *name;               /* struct platform_hook has it */
    const char *const *argv;        /* the watcher's command line; argv[0] is an absolute path */
    const char *const *environment; /* NAME=value, NULL at the end */
    const char *user;               /* whose session, for the Task Scheduler */
};
/* The text for `form`, appended to *ret. -EINVAL: there is a character in it that the format cannot
 * hold. */
MUST_CHECK int hook_text(enum platform_hook_form form, const struct hook_wish *wish,
                         struct buf *ret, struct err *err);

#endif
