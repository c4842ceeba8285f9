/* SPDX-License-Identifier: Apache-2.0 */
/* hook_run.c – `finch-soci hook watch`, and what it has run: vm-start and vm-stop. */
#include "cmd/internal.h"

#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* As long as Lima gives a start, and a little more. */
enum { REACH_MS = 12 * 60 * 1000, REACH_TRY_MS = 2000, REACH_PAUSE_MS = 1000 };
/* Whoever asks whether a watcher runs holds its lock for a moment. */
enum { WATCH_LOCK_TRIES = 30, WATCH_LOCK_RETRY_MS = 100 };

struct options {
    int64_t wait_ms; /* 0: REACH_MS */
    bool log;
};

static int open_all(const struct cmd_globals *globals, struct session *session,
                    struct hooking *hooking, struct err *err)
{
    int rc = session_open(globals, session, err);

    if (rc == 0)
        rc = hooking_open(session, hooking, err);
    return rc < 0 ? rc : hook_files_make_dir(&hooking->files, err);
}

/* ---- vm-start -------------------------------------------------------------------------------- */

/* How it came out; names are in docs/hook.md. */
struct outcome {
    const char *result, *text;
};

/* It went while we talked, or shut the door again. */
static bool is_lost(int rc)
{
    return rc == -EAGAIN || rc == -ETIMEDOUT || rc == -EPROTO;
}

/* The port is another at each start, and the machine may be started anew while it is waited for: so
 * how it is reached is read each time. What is done then waits for the boot's end. */
static int try_once(const struct session *session, bool *ret_may_pass, struct err *err)
{
    SCOPED(link) struct link link = {.machine = NULL};
    int rc = session_connect(session, REACH_TRY_MS, &link, err);

    link_fini(&link);
    /* A machine that boots has no way in, or lets nobody in. */
    *ret_may_pass = is_lost(rc) || rc == -EACCES || rc == -ENOENT;
    if (rc < 0)
        return rc;
    rc = provision_listed(session, err);
    *ret_may_pass = is_lost(rc);
    return rc;
}

static struct outcome outcome_of(int rc)
{
    switch (rc) {
    case LISTED_SAME:
        return (struct outcome){"unchanged", "the machine was as it should be"};
    case LISTED_DONE:
        return (struct outcome){"provisioned", "the snapshotter was put into the machine"};
    case LISTED_TAKEN_OUT:
        return (struct outcome){"removed",
                                "finch.yaml does not list soci: ours was taken out of the machine"};
    default:
        return (struct outcome){"not-listed", "finch.yaml does not list soci"};
    }
}

/* Once for each reason, not at every attempt. */
static void log_why(const struct hook_files *files, const struct err *why, struct err *last)
{
    if (strcmp(err_text(why), err_text(last)) == 0)
        return;
    hook_log(files, "vm-start: waits: %s", err_text(why));
    *last = *why;
}

static int look_after(const struct session *session, const struct hook_files *files,
                      int64_t wait_ms, struct outcome *ret, struct err *err)
{
    int64_t deadline_ms = clock_mono_ms() + wait_ms;
    struct err last = ERR_NONE;

    for (;;) {
        struct hook_sight sight = hook_look(session->places.instance_dir);
        bool may_pass = false;
        int rc;

        if (sight.kind != HOOK_RUNS && sight.kind != HOOK_UNCLEAR) {
            *ret = (struct outcome){"gone", "the machine went before it could be looked after"};
            return 0;
        }
        rc = try_once(session, &may_pass, err);
        if (rc >= 0) {
            *ret = outcome_of(rc);
            return 0;
        }
        if (interrupt_number() != 0)
            return err_set(err, -ECANCELED, "interrupted");
        if (!may_pass || clock_mono_ms() >= deadline_ms)
            return rc;
        log_why(files, err, &last);
        clock_sleep_ms(REACH_PAUSE_MS);
    }
}

/* What cannot be written is no reason to fail: the machine matters. */
static void keep(const struct hook_files *files, const char *path, const struct hook_record *record)
{
    struct err err = ERR_NONE;

    hook_log(files, "%s: %s after %" PRIu64 " ms: %s",
             path == files->start ? "vm-start" : "vm-stop", record->result, record->took_ms,
             record->text);
    if (hook_record_write(path, record, &err) < 0)
        say_warning("%s", err_text(&err));
}

/* The same of what we print from now on. */
static void print_to_log(const struct hook_files *files)
{
    struct err err = ERR_NONE;

    if (platform_print_to(files->log, &err) < 0)
        say_warning("%s", err_text(&err));
}

/* In the log it is already. */
static void tell(const struct session *session, const struct options *options,
                 const struct hook_record *record)
{
    if (!options->log)
        say(session->globals, "%s: %s", record->result, record->text);
}

static int work(const struct session *session, const struct hook_files *files,
                const struct options *options, struct err *err)
{
    struct outcome outcome = {.result = "failed"};
    struct hook_record record;
    int64_t from_ms = clock_mono_ms();
    int rc;

    hook_log(files, "vm-start: begins");
    rc = look_after(session, files, options->wait_ms > 0 ? options->wait_ms : REACH_MS, &outcome,
                    err);
    if (rc < 0)
        outcome.text = err_text(err);
    hook_record_fill(&record, outcome.result, rc < 0, (uint64_t)(clock_mono_ms() - from_ms),
                     outcome.text);
    keep(files, files->start, &record);
    if (rc == 0)
        tell(session, options, &record);
    return rc;
}

static int run_start(const struct cmd_globals *globals, const void *self, struct err *err)
{
    SCOPED(session) struct session session = {.config = NULL};
    SCOPED(hooking) struct hooking hooking = {.name = NULL};
    SCOPED(platform_lock) struct platform_lock *lock = NULL;
    const struct options *options = self;
    int rc = open_all(globals, &session, &hooking, err);

    if (rc < 0)
        return rc;
    rc = platform_lock_take(hooking.files.start_lock, &lock, err);
    if (rc == -EBUSY) {
        say(globals, "Another vm-start looks after the machine.");
        return CMD_FINE;
    }
    if (rc < 0)
        return rc;
    hook_log_rotate(&hooking.files);
    if (options->log)
        print_to_log(&hooking.files);
    return work(&session, &hooking.files, options, err);
}

/* ---- vm-stop --------------------------------------------------------------------------------- */

/* The guest is going or gone: whatever it has to do for that is its unit's. */
static struct outcome outcome_of_stop(enum hook_sight_kind kind)
{
    switch (kind) {
    case HOOK_ABSENT:
        return (struct outcome){"removed", "the machine was removed"};
    case HOOK_CRASHED:
        return (struct outcome){"crashed", "the machine ended without being stopped"};
    case HOOK_RUNS:
    case HOOK_UNCLEAR:
        return (struct outcome){"restarted", "the machine was started anew"};
    case HOOK_STOPPED:
        break;
    }
    return (struct outcome){"stopped", "the machine was stopped"};
}

static int run_stop(const struct cmd_globals *globals, const void *self, struct err *err)
{
    SCOPED(session) struct session session = {.config = NULL};
    SCOPED(hooking) struct hooking hooking = {.name = NULL};
    const struct options *options = self;
    struct hook_record record;
    struct outcome outcome;
    int rc = open_all(globals, &session, &hooking, err);

    if (rc < 0)
        return rc;
    if (options->log)
        print_to_log(&hooking.files);
    outcome = outcome_of_stop(hook_look(session.places.instance_dir).kind);
    hook_record_fill(&record, outcome.result, false, 0, outcome.text);
    keep(&hooking.files, hooking.files.stop, &record);
    tell(&session, options, &record);
    return CMD_FINE;
}

/* ---- watch ----------------------------------------------------------------------------------- */

static int take_watch_lock(const struct hook_files *files, struct platform_lock **ret,
                           struct err *err)
{
    int rc = platform_lock_take(files->watch_lock, ret, err);

    for (int i = 0; rc == -EBUSY && i < WATCH_LOCK_TRIES; i++) {
        clock_sleep_ms(WATCH_LOCK_RETRY_MS);
        rc = platform_lock_take(files->watch_lock, ret, err);
    }
    return rc;
}

static int watch(const struct session *session, const struct hook_files *files, struct err *err)
{
    SCOPED(platform_waiter) struct platform_waiter *waiter = NULL;
    SCOPED(text_list) struct text_list start = TEXT_LIST_EMPTY, stop = TEXT_LIST_EMPTY;
    struct hook_watch how = {
        .files = files,
        .lima_home = session->places.lima_home,
        .instance = session->places.instance,
        .instance_dir = session->places.instance_dir,
        .limactl = session->places.limactl,
    };
    int rc = platform_waiter_open(&waiter, err);

    if (rc == 0)
        rc = hooking_words(session, "vm-start", true, &start, err);
    if (rc == 0)
        rc = hooking_words(session, "vm-stop", true, &stop, err);
    if (rc < 0)
        return rc;
    how.start_argv = (const char *const *)start.items;
    how.stop_argv = (const char *const *)stop.items;
    interrupt_set_waiter(waiter);
    hook_log(files, "watch: begins with %s", session->places.instance_dir);
    rc = hook_watch(&how, waiter, err);
    interrupt_set_waiter(NULL);
    if (rc < 0)
        hook_log(files, "watch: ends: %s", err_text(err));
    return rc;
}

static int run_watch(const struct cmd_globals *globals, const void *options, struct err *err)
{
    SCOPED(session) struct session session = {.config = NULL};
    SCOPED(hooking) struct hooking hooking = {.name = NULL};
    SCOPED(platform_lock) struct platform_lock *lock = NULL;
    int rc = open_all(globals, &session, &hooking, err);

    (void)options;
    if (rc == 0)
        rc = take_watch_lock(&hooking.files, &lock, err);
    if (rc == -EBUSY) {
        say(globals, "Another watcher looks after the machine %s.", session.places.instance);
        return CMD_FINE; /* nothing that running it again would mend */
    }
    return rc < 0 ? rc : watch(&session, &hooking.files, err);
}

/* ---- the table ------------------------------------------------------------------------------- */

#define FLAG_LOG                                                                                   \
    {                                                                                              \
        .name = "log", .kind = FLAG_BOOL, .offset = offsetof(struct options, log),                 \
        .help = "print into the hook's log, as the watcher wants it"                               \
    }

static const struct flag start_flags[] = {
    {.name = "wait",
     .kind = FLAG_DURATION,
     .offset = offsetof(struct options, wait_ms),
     .value = "<duration>",
     .help = "how long a machine that boots is waited for (12m)"},
    FLAG_LOG,
};
static const struct flag stop_flags[] = {FLAG_LOG};

const struct cmd_verb cmd_verb_hook_watch = {
    .name = "watch",
    .args = "[global flags]",
    .summary = "have vm-start and vm-stop run when the machine starts and stops",
    .details =
        "   What `hook install` has run; it goes on until it is told to end. It sleeps until\n"
        "   something happens to the machine's directory. One watcher runs at a time: a second\n"
        "   one ends at once. When vm-start fails it is run again, after a minute, later\n"
        "   after longer.\n",
    .examples = "   finch-soci hook watch\n",
    .run = run_watch,
};

const struct cmd_verb cmd_verb_hook_vm_start = {
    .name = "vm-start",
    .args = "[flags]",
    .summary = "look after a machine that starts, or has started",
    .details =
        "   Waits until the machine has booted, then makes it what finch.yaml asks for, as\n"
        "   `provision` does; keeps what came of it for `status`. Runs no command of Finch's.\n"
        "   When another vm-start is at work it leaves the work to that one.\n",
    .examples = "   finch-soci hook vm-start\n",
    .flags = start_flags,
    .flag_count = ARRAY_LEN(start_flags),
    .options_bytes = sizeof(struct options),
    .run = run_start,
};

const struct cmd_verb cmd_verb_hook_vm_stop = {
    .name = "vm-stop",
    .args = "[flags]",
    .summary = "keep that the machine has stopped",
    .details = "   Looks at Lima's files alone: the machine is going, or gone.\n",
    .examples = "   finch-soci hook vm-stop\n",
    .flags = stop_flags,
    .flag_count = ARRAY_LEN(stop_flags),
    .options_bytes = sizeof(struct options),
    .run = run_stop,
};
