/* SPDX-License-Identifier: Apache-2.0 */
/* platform.h – what the host system must offer beyond C and POSIX's common part. CMake picks the
 * files: posix_*.c for Linux and macOS; what Windows needs comes with windows.c. */
#ifndef PLATFORM_PLATFORM_H
#define PLATFORM_PLATFORM_H

#include "base/attr.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* ---- files ----------------------------------------------------------------------------------- */

/* The whole file, symlinks followed, read while nobody seems to be writing it: a writer that
 * truncates first is waited for. -ENOENT, -EFBIG, or as the system says. Blocks up to two seconds.
 */
MUST_CHECK int platform_file_read(const char *path, size_t max_bytes, struct buf *ret,
                                  struct err *err);

/* Replace `path`, symlinks followed, at once, with mode and owner of what was there (else 0600, in
 * a directory made 0700). `was` is what the caller believes to be in it, NULL: that there is no
 * such file. -EAGAIN: it is something else by now and stays. After a crash there is the old file or
 * the new one. */
MUST_CHECK int platform_file_replace(const char *path, const struct bytes *was,
                                     struct bytes content, struct err *err);

/* Remove `path` if it still holds `was`. -EAGAIN: it does not. */
MUST_CHECK int platform_file_remove(const char *path, struct bytes was, struct err *err);

/* ---- places ---------------------------------------------------------------------------------- */

/* Of the user who runs us: a new string, NULL: out of memory or nobody knows. */
char *platform_home(void);
/* Of our own program, links followed: a new string, NULL as above. */
char *platform_program_dir(void);
/* Of our own program, for those who start it later: as it is found in PATH when that leads to it (a
 * packager's link stays over updates), else links followed. A new string, NULL as above. */
char *platform_program(void);
/* The user who runs us, as the system's managers know him: DOMAIN\name on Windows. A new string,
 * NULL as above. */
char *platform_user(void);
/* From the current directory when it does not begin at a root: a new string, NULL as above. */
char *platform_absolute(const char *path);
/* A path as the ssh beside Lima has it, for us: on Windows that one says /c/Users for C:/Users. A
 * new string, NULL: out of memory. */
char *platform_path_of_ssh(const char *path);
/* Whether we have every right on this system. */
bool platform_is_admin(void);
/* Where Finch is installed when its program is not in PATH; NULL: nowhere in particular. */
extern const char *const platform_finch_root;
/* The program that knows the distributions of WSL, of which Finch's machine is one: a new string;
 * NULL: there is none here. */
char *platform_wsl(void);
/* Whether Finch runs containers in a virtual machine here. */
extern const bool platform_has_vm;
/* Where Finch reads finch.yaml; `with_vm`: it has a machine, or the user has one of Lima's. A new
 * string, NULL as above. */
char *platform_finch_config(bool with_vm);

/* ---- one at a time --------------------------------------------------------------------------- */

/* Held until it is freed, or its process is gone. `path` is a directory, or a file that is made
 * and stays. */
struct platform_lock;
/* -EBUSY: another process holds it; or as the system says. Does not wait. */
MUST_CHECK int platform_lock_take(const char *path, struct platform_lock **ret, struct err *err);
void platform_lock_free(struct platform_lock *lock); /* NULL is fine */
DEFINE_SCOPED_PTR(platform_lock, struct platform_lock, platform_lock_free)

/* ---- the terminal ---------------------------------------------------------------------------- */

/* From main, before anything is printed: a reader of ours that has gone is an error of writing, and
 * what we print is UTF-8 wherever it is shown. */
void platform_start(void);

bool platform_is_terminal(FILE *stream);
/* Columns of the terminal behind it; 0: it is none, or does not tell. */
unsigned platform_terminal_width(FILE *stream);

/* Run a program to its end on our own terminal, input and outputs. What interrupts us meanwhile is
 * for it to answer. *ret_status: its exit status, 128 + signal when a signal ended it. -ENOENT: no
 * such program. */
MUST_CHECK int platform_run_attached(const char *const *argv, int *ret_status, struct err *err);

/* From now on `call` is told when the user wants us to end: in a signal handler, so it does next to
 * nothing; a wait under way ends with EINTR. `number` is 2 for Ctrl-C, 15 for a request to end. */
void platform_on_interrupt(void (*call)(int number));

/* From now on what is printed on both outputs goes to the end of this file, which is made with mode
 * 0600 when there is none. */
MUST_CHECK int platform_print_to(const char *path, struct err *err);

/* ---- waiting for several things -------------------------------------------------------------- */

/* What the watcher of `finch-soci hook watch` sleeps on, without polling: directories, the end of a
 * process of somebody else's, programs that it started. One thread uses it. */
struct platform_waiter;
MUST_CHECK int platform_waiter_open(struct platform_waiter **ret, struct err *err);
/* Asks programs that still run to end, and waits for them a few seconds. NULL is fine. */
void platform_waiter_close(struct platform_waiter *waiter);
DEFINE_SCOPED_PTR(platform_waiter, struct platform_waiter, platform_waiter_close)
/* Any thread, and safe in a signal handler: the wait under way, else the next one, gives
 * PLATFORM_WOKEN. */
void platform_waiter_wake(struct platform_waiter *waiter);

enum { PLATFORM_WAITER_DIRS_MAX = 4 };
/* From now on PLATFORM_CHANGED is what happens to the entries of these directories (NULL at the
 * end): one made, removed or renamed, and where the system tells so, written and closed; or to one
 * of the directories itself: removed or renamed. Not what happens below, and what goes on in an
 * open file need not be told. It takes the place of the set before; a directory that stays in it
 * loses nothing between. One that is not there, or is no directory, is left out. */
MUST_CHECK int platform_waiter_set_dirs(struct platform_waiter *waiter, const char *const *dirs,
                                        struct err *err);
/* PLATFORM_GONE is the end of this process, told once; 0: of none. It takes the place of the one
 * before. -ESRCH: there is none; -EOPNOTSUPP, -EACCES: the system does not tell, so look yourself.
 */
MUST_CHECK int platform_waiter_set_process(struct platform_waiter *waiter, int64_t pid,
                                           struct err *err);

enum { PLATFORM_CHILDREN_MAX = 4 };
struct platform_child {
    const char *const *argv;     /* NULL at the end; argv[0] is a path */
    const char *const *settings; /* NAME=value over our own environment, NULL at the end; or NULL */
    bool gives_output;           /* what it prints comes as PLATFORM_OUTPUT; else it is dropped */
};
/* In the background: without input, terminal or window of its own, and in a group of processes of
 * its own; what it says on its second output is dropped. On Windows it ends with us, however we
 * end. *ret: its number, 0 to PLATFORM_CHILDREN_MAX - 1, which is free again after its
 * PLATFORM_ENDED. -EBUSY: there are too many; -ENOENT: no such program (it may also be said by an
 * exit status 127). */
MUST_CHECK int platform_waiter_start(struct platform_waiter *waiter,
                                     const struct platform_child *child, int *ret, struct err *err);
/* Have it end, by force where the system has no other way; PLATFORM_ENDED follows. */
void platform_waiter_end(struct platform_waiter *waiter, int child);

enum platform_event_kind {
    PLATFORM_TIMEOUT,
    PLATFORM_WOKEN,
    PLATFORM_CHANGED,
    PLATFORM_GONE,
    PLATFORM_OUTPUT, /* all of it comes before its PLATFORM_ENDED, unless what it started goes on */
    PLATFORM_ENDED,
};
struct platform_event {
    enum platform_event_kind kind;
    int child;           /* of the last two */
    struct bytes output; /* a piece as it came, not a line; borrowed until the next wait */
    int exit_status;     /* 128 + signal when a signal ended it */
};
/* The next of them; `timeout_ms` < 0: however long it takes. Several changes may be one event. */
MUST_CHECK int platform_waiter_wait(struct platform_waiter *waiter, int64_t timeout_ms,
                                    struct platform_event *ret, struct err *err);

/* ---- started with the user's session --------------------------------------------------------- */

/* How the system is told of a program that is to run whenever the user is there; the text is made
 * by hook/. */
enum platform_hook_form {
    PLATFORM_HOOK_UNIT,  /* a unit of systemd's user manager */
    PLATFORM_HOOK_AGENT, /* a property list of launchd */
    PLATFORM_HOOK_TASK,  /* XML of the Task Scheduler */
};
extern const enum platform_hook_form platform_hook_form;
/* Adds what is to stand in front of our program's path for what starts with the session: Windows
 * opens a console for it unless a program of another kind starts it, which is named by its path. 0
 * or -ENOMEM. */
MUST_CHECK int platform_hook_launcher(struct text_list *words);

struct platform_hook {
    const char *name;        /* "finch-soci": letters, digits, . - _ */
    struct bytes text;       /* UTF-8 */
    const char *const *argv; /* what it runs, where only that can be said (HKCU Run) */
};
/* Written where the system looks for it, with directories made as needed; registered; and started.
 * The one before, of the same name, is replaced, and what it ran is ended. *ret_note: NULL, or a
 * new string for the user: what was done instead, and why. -EOPNOTSUPP: there is nobody here who
 * would start it, nothing was left behind, and err says what to do. */
MUST_CHECK int platform_hook_install(const struct platform_hook *hook, char **ret_note,
                                     struct err *err);
/* Ended, and nothing is left: neither what it had registered nor directories that it made. 1: done,
 * 0: there was none. */
MUST_CHECK int platform_hook_remove(const char *name, struct err *err);

enum platform_hook_state { PLATFORM_HOOK_NONE, PLATFORM_HOOK_IDLE, PLATFORM_HOOK_RUNS };
/* *ret_where: a new string, the file or what it is registered as, for the user; NULL when it is
 * not installed. IDLE: it is registered and does not run now, or nobody can tell. */
MUST_CHECK int platform_hook_find(const char *name, enum platform_hook_state *ret, char **ret_where,
                                  struct err *err);

#endif
