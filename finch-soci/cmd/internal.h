/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h – what the verbs share.
 *
 *   dispatch.c ─▶ enable.c, disable.c, …   one verb each
 *                   ├▶ session.c           which Finch, which machine, and the way to it
 *                   ├▶ provisioning.c      the guest made as it should be, or put back
 *                   ├▶ hooking.c           what has that done when the machine starts
 *                   ├▶ output.c            what commands in the machine print
 *                   ├▶ say.c               what is told, and where
 *                   └▶ interrupt.c         Ctrl-C */
#ifndef CMD_INTERNAL_H
#define CMD_INTERNAL_H

#include "cmd/cmd.h"
#include "guest/guest.h"
#include "hook/hook.h"
#include "lima/lima.h"
#include "platform/platform.h"
#include "report/report.h"
#include "vm-provision/machine.h"

/* ---- verbs ----------------------------------------------------------------------------------- */

extern const struct cmd_verb cmd_verb_enable;
extern const struct cmd_verb cmd_verb_disable;
extern const struct cmd_verb cmd_verb_status;
extern const struct cmd_verb cmd_verb_doctor;
extern const struct cmd_verb cmd_verb_provision;
extern const struct cmd_verb cmd_verb_vm;
extern const struct cmd_verb cmd_verb_logs;
extern const struct cmd_verb cmd_verb_hook;
extern const struct cmd_verb cmd_verb_hook_watch, cmd_verb_hook_vm_start, cmd_verb_hook_vm_stop;
extern const struct cmd_verb cmd_verb_vm_run;
extern const struct cmd_verb cmd_verb_version;

/* ---- interrupt.c ----------------------------------------------------------------------------- */

void interrupt_watch(void);                                /* from main, once */
void interrupt_set_machine(struct machine *machine);       /* NULL: none any more */
void interrupt_set_waiter(struct platform_waiter *waiter); /* it is woken; NULL: none any more */
void interrupt_hold(bool hold);                            /* finish what is being done first */
int interrupt_number(void);                                /* of the signal; 0: none came */

/* ---- say.c ----------------------------------------------------------------------------------- */

/* A result, on stdout; not with --quiet. */
void say(const struct cmd_globals *globals, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* What goes on, on stderr; not with --quiet. */
void say_progress(const struct cmd_globals *globals, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* As say_progress(), with --verbose alone. */
void say_detail(const struct cmd_globals *globals, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* A warning: on stderr, with --quiet too. */
void say_warning(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* The one line that a failure is. */
void say_error(const struct err *err);
/* The same for words that make no sense together. Returns CMD_USAGE. */
int say_refused(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* "; " and what the user can do, behind the text that is there. Returns `rc`. */
int say_after(struct err *err, int rc, const char *what);
/* A terminal, and NO_COLOR is not set to anything. */
bool say_in_colour(FILE *stream);

/* ---- session.c ------------------------------------------------------------------------------- */

struct session {
    const struct cmd_globals *globals;
    struct lima_places places;
    char *config;  /* path of finch.yaml */
    bool is_local; /* containers run on this very machine */
    struct lima_machine machine;
};
void session_fini(struct session *session);
DEFINE_SCOPED_VALUE(session, struct session, session_fini)
/* Where everything is; the machine's state is not asked yet. */
MUST_CHECK int session_open(const struct cmd_globals *globals, struct session *ret,
                            struct err *err);
/* Asks for session->machine; LIMA_RUNNING when containers run here. */
MUST_CHECK int session_look(struct session *session, struct err *err);
/* -EACCES: it has to be root's work here. */
MUST_CHECK int session_check_rights(const struct session *session, struct err *err);
/* What to say of a machine that does not run: -ENOENT, -EBUSY, -EBADMSG for none, stopped, broken;
 * 0 when it runs. */
MUST_CHECK int session_must_run(const struct session *session, struct err *err);
/* The commands that mend a machine that is broken: a new string, NULL: out of memory. */
char *session_mend_broken(void);
/* One run at a time changes a machine: waits for another, and says so. -EAGAIN: for too long. */
MUST_CHECK int session_lock(const struct session *session, struct platform_lock **ret,
                            struct err *err);

/* The same for finch.yaml, by its directory, which is made with `make`; else, where it is missing,
 * *ret stays NULL: there is nothing to lock. */
MUST_CHECK int session_lock_config(const struct session *session, bool make,
                                   struct platform_lock **ret, struct err *err);

/* A connection that Ctrl-C ends. */
struct link {
    struct machine *machine; /* NULL: none */
};
void link_fini(struct link *link);
DEFINE_SCOPED_VALUE(link, struct link, link_fini)
/* `wait_ms`: how long a machine that boots is waited for. */
MUST_CHECK int session_connect(const struct session *session, int64_t wait_ms, struct link *ret,
                               struct err *err);
/* session_look(), session_must_run() and a connection to a machine that has booted. */
MUST_CHECK int session_reach(struct session *session, struct link *ret, struct err *err);

/* ---- doctor_look.c --------------------------------------------------------------------------- */

struct doctor;
/* All that is wrong, on this computer and in the machine, into *ret; `words` are images and
 * registries to ask about, beside those that the machine has. What cannot be reached is a finding.
 */
MUST_CHECK int doctor_collect(struct session *session, const struct text_list *words,
                              struct doctor *ret, struct err *err);
/* Does what is safe; what came of it is in *doctor too. */
MUST_CHECK int doctor_repair(struct session *session, struct doctor *doctor, struct err *err);

/* ---- doctor_bundle.c ------------------------------------------------------------------------- */

/* Asks the user where there is such a file already. -EEXIST: it is to stay. */
MUST_CHECK int doctor_may_write(const char *path, struct err *err);
/* Logs and facts, with what was found, into a new file. An exit status, or a negative errno. */
MUST_CHECK int doctor_write_bundle(const struct session *session, const struct doctor *doctor,
                                   const char *path, struct err *err);

/* ---- status_image.c -------------------------------------------------------------------------- */

/* `status IMAGE…`: an exit status, or a negative errno. */
MUST_CHECK int status_of_images(const struct cmd_globals *globals, const struct text_list *words,
                                bool json, struct err *err);

/* ---- output.c -------------------------------------------------------------------------------- */

/* As machine_run(), with what it prints on our stdout. `timeout_ms` 0: however long it takes. */
MUST_CHECK int output_run(struct machine *machine, const char *script, int64_t timeout_ms,
                          struct machine_result *ret, struct err *err);

/* ---- provisioning.c -------------------------------------------------------------------------- */

enum provision_result { PROVISION_NOTHING, PROVISION_DONE, PROVISION_SHOWN };
struct provision_how {
    struct guest_options guest;
    bool dry_run; /* print what would be done on stdout */
};
/* The machine runs. Waits until it has booted, then makes it what it should be. Returns one of
 * provision_result, or a negative errno. */
MUST_CHECK int provision_do(const struct session *session, const struct provision_how *how,
                            struct err *err);
/* Says what it came to. */
void provision_tell(const struct session *session, int result);
/* Puts back what provisioning changed: as above. */
MUST_CHECK int provision_undo(const struct session *session, bool purge, struct err *err);
/* The machine's finch.yaml decides: provisioned, or put back. Returns one of provision_listed, or a
 * negative errno. */
enum provision_listed { LISTED_SAME, LISTED_DONE, LISTED_NOT, LISTED_TAKEN_OUT };
MUST_CHECK int provision_listed(const struct session *session, struct err *err);
/* The same, and says what was done. 0 or a negative errno. */
MUST_CHECK int provision_as_listed(const struct session *session, struct err *err);

/* ---- hooking.c ------------------------------------------------------------------------------- */

struct hooking {
    struct hook_files files;
    char *name; /* by which the system knows it */
};
void hooking_fini(struct hooking *hooking);
DEFINE_SCOPED_VALUE(hooking, struct hooking, hooking_fini)
/* -EOPNOTSUPP: there is no machine that is started. */
MUST_CHECK int hooking_open(const struct session *session, struct hooking *ret, struct err *err);
/* The command line of `hook VERB`, for others to run: absolute, with all that was said of where
 * things are. NULL behind the last. `is_own`: for our watcher; else for the system. */
MUST_CHECK int hooking_words(const struct session *session, const char *verb, bool is_own,
                             struct text_list *ret, struct err *err);
/* What the system is told, and the command line in it. */
MUST_CHECK int hooking_text(const struct session *session, const struct hooking *hooking,
                            enum platform_hook_form form, struct text_list *ret_words,
                            struct buf *ret, struct err *err);
/* As platform_hook_install() and platform_hook_remove(); with the latter goes what was kept. */
MUST_CHECK int hooking_install(const struct session *session, struct err *err);
MUST_CHECK int hooking_uninstall(const struct session *session, struct err *err);
/* As hooking_uninstall(), when the system was told of it; a watcher that somebody runs by hand
 * stays, with what it keeps. 1: it was there. */
MUST_CHECK int hooking_leave_out(const struct session *session, struct err *err);
/* Its row, and what it did. */
MUST_CHECK int hooking_report(const struct session *session, struct report *report,
                              struct err *err);

#endif
