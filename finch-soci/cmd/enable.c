/* SPDX-License-Identifier: Apache-2.0 */
/* enable.c – `finch-soci enable`: soci in finch.yaml, and the snapshotter in the machine. */
#include "cmd/internal.h"

#include "base/files.h"
#include "base/text.h"
#include "config/config.h"

#include <errno.h>
#include <string.h>

struct options {
    bool first, force, now, no_hook;
};

/* ---- finch.yaml ------------------------------------------------------------------------------ */

/* On Linux without Finch there is nobody to read it. */
static bool has_reader(const struct session *session)
{
    SCOPED(mem) char *dir = path_parent(session->config);

    if (!session->is_local || session->globals->config != NULL || dir == NULL)
        return true;
    return path_exists(dir);
}

/* A machine's default comes with its start, from finch.yaml by Finch: the first of the list is,
 * also when it is alone. Finch on Linux reads the list and does nothing with it, so that is ours to
 * do, when it is asked for. */
static bool is_default(const struct session *session, const struct options *options)
{
    SCOPED(finch_config) struct finch_config config = {.vm_type = NULL};

    if (session->is_local)
        return options->first;
    return finch_file_read(session->config, &config, NULL) == 0 &&
           finch_config_is_soci_first(&config);
}

/* With *ret_lock held no other `enable` or `disable` comes between the file and the machine. */
static int edit(const struct session *session, const struct options *options,
                struct platform_lock **ret_lock, struct err *err)
{
    SCOPED(finch_file_result) struct finch_file_result result = {.backup = NULL};
    const struct cmd_globals *globals = session->globals;
    int rc;

    if (!has_reader(session))
        return 0;
    rc = session_lock_config(session, true, ret_lock, err);
    if (rc < 0)
        return rc;
    interrupt_hold(true);
    rc = finch_file_enable(session->config, options->first, &result, err);
    interrupt_hold(false);
    if (rc < 0)
        return rc;
    say(globals, "%s lists soci %s%s.", session->config,
        result.change == FINCH_FILE_SAME ? "already" : "now",
        is_default(session, options) ? ", as the default" : "");
    if (result.backup != NULL)
        say(globals, "What it was before: %s", result.backup);
    return interrupt_number() != 0 ? err_set(err, -ECANCELED, "interrupted") : 0;
}

/* ---- the machine ----------------------------------------------------------------------------- */

static int provision(const struct session *session, const struct options *options, struct err *err)
{
    const struct provision_how how = {
        .guest = {.now = options->now, .force = options->force, .is_default = options->first}};
    const struct cmd_globals *globals = session->globals;
    int rc = provision_do(session, &how, err);

    if (rc == -EBUSY && !options->now)
        return say_after(err, rc,
                         "finch.yaml is done: `finch-soci provision` does the rest once "
                         "they are gone, or at once with --now");
    if (rc < 0)
        return say_after(err, rc,
                         "finch.yaml is done: `finch-soci provision` tries the rest "
                         "again");
    provision_tell(session, rc);
    if (session->is_local)
        return 0;
    if (is_default(session, options))
        say(globals, "It is the default from the machine's next start: `finch-soci vm restart`.");
    return 0;
}

static int finish(const struct session *session, const struct options *options, struct err *err)
{
    const struct cmd_globals *globals = session->globals;

    switch (session->machine.state) {
    case LIMA_RUNNING:
        return provision(session, options, err);
    case LIMA_STOPPED:
        say(globals,
            "The machine %s is stopped: `finch-soci vm start` starts it with the "
            "snapshotter.",
            session->places.instance);
        return 0;
    case LIMA_NONE:
        say(globals,
            "There is no machine %s yet: `finch-soci vm start` makes it, with the "
            "snapshotter.",
            session->places.instance);
        return 0;
    case LIMA_BROKEN:
        break;
    }
    return session_must_run(session, err);
}

/* ---- the hook -------------------------------------------------------------------------------- */

static bool install_hook(const struct session *session)
{
    struct err err = ERR_NONE;

    if (hooking_install(session, &err) == 0)
        return true;
    say_warning("%s", err_text(&err));
    return false;
}

/* Nothing of ours is to run by itself: nor what an earlier `enable` had installed. */
static void leave_hook_out(const struct session *session)
{
    struct err err = ERR_NONE;
    int rc = hooking_leave_out(session, &err);

    if (rc < 0)
        say_warning("%s", err_text(&err));
    else if (rc > 0)
        say(session->globals, "The hook that was installed is gone.");
}

/* Without it all is as it was asked for, but for machines that are made anew. `done`: it is in the
 * machine, or will be. */
static void hook(const struct session *session, const struct options *options, bool done)
{
    if (session->is_local) /* it starts with this system */
        return;
    if (options->no_hook)
        leave_hook_out(session);
    else if (install_hook(session)) {
        say(session->globals, "Each start of the machine is looked after from now on, by whatever "
                              "command it is started.");
        return;
    }
    if (done)
        say(session->globals, "It stays over stops and starts of the machine; after `finch vm "
                              "init` or an update of Finch say `finch-soci provision`.");
}

static int run(const struct cmd_globals *globals, const void *self, struct err *err)
{
    SCOPED(session) struct session session = {.config = NULL};
    SCOPED(platform_lock) struct platform_lock *lock = NULL;
    int rc = session_open(globals, &session, err);

    if (rc == 0)
        rc = session_check_rights(&session, err);
    if (rc == 0)
        rc = edit(&session, self, &lock, err);
    if (rc < 0)
        return rc;
    rc = session_look(&session, err);
    if (rc == 0)
        rc = finish(&session, self, err);
    /* A machine that cannot be had now is one more reason for what looks after its next start. */
    if (interrupt_number() == 0)
        hook(&session, self, rc == 0);
    return rc;
}

static const struct flag flags[] = {
    {.name = "default",
     .kind = FLAG_BOOL,
     .offset = offsetof(struct options, first),
     .help = "for every run and build, without --snapshotter soci"},
    {.name = "force",
     .kind = FLAG_BOOL,
     .offset = offsetof(struct options, force),
     .help = "put our keys into a config.toml that somebody else wrote"},
    {.name = "no-hook",
     .kind = FLAG_BOOL,
     .offset = offsetof(struct options, no_hook),
     .help = "nothing of ours is to run on this computer by itself: one that is installed goes"},
    {.name = "now",
     .kind = FLAG_BOOL,
     .offset = offsetof(struct options, now),
     .help = "do not wait for containers that use the snapshotter; another's are removed"},
};

const struct cmd_verb cmd_verb_enable = {
    .name = "enable",
    .args = "[flags]",
    .summary = "have images loaded lazily in Finch",
    .details =
        "   Puts soci into the list of snapshotters in finch.yaml, with every other byte as it\n"
        "   was, and keeps what it was before. A machine that runs gets the snapshotter at once;\n"
        "   one that is stopped, or not there yet, gets it from `finch-soci vm start`.\n"
        "   Where Finch's own copy of a snapshotter runs, it is replaced; when containers run on\n"
        "   it, that waits for --now.\n"
        "   Then has a small program of ours run while you are logged in (`finch-soci hook`),\n"
        "   which sees the machine start by whatever command and looks after it, also when it\n"
        "   was made anew. Without it, after `finch vm init` and after an update of Finch,\n"
        "   `finch-soci provision` is needed again.\n",
    .examples = "   finch-soci enable\n"
                "   finch-soci enable --default   # soci first in the list\n"
                "   sudo finch-soci enable        # on Linux\n",
    .flags = flags,
    .flag_count = ARRAY_LEN(flags),
    .options_bytes = sizeof(struct options),
    .run = run,
};
