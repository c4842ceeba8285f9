/* SPDX-License-Identifier: Apache-2.0 */
/* disable.c – `finch-soci disable`: what was there before is back. */
#include "cmd/internal.h"

#include "base/files.h"
#include "config/config.h"

#include <errno.h>

struct options {
    bool purge;
};

/* ---- the machine ----------------------------------------------------------------------------- */

/* Before all else: it would put back what is taken out. */
static int unhook(const struct session *session, struct err *err)
{
    int rc = session->is_local ? 0 : hooking_uninstall(session, err);

    if (rc > 0)
        say(session->globals, "No start of the machine is looked after any more.");
    return rc < 0 ? rc : 0;
}

/* Then the machine: what fails there leaves finch.yaml as it is, and a second try whole. */
static int undo(const struct session *session, bool purge, struct err *err)
{
    const struct cmd_globals *globals = session->globals;
    int rc;

    if (session->machine.state != LIMA_RUNNING)
        return 0;
    rc = provision_undo(session, purge, err);
    if (rc < 0)
        return say_after(err, rc, "finch.yaml is as it was: `finch-soci disable` tries again");
    if (rc == PROVISION_DONE)
        say(globals, "%s is what it was before.",
            session->is_local ? "This system" : "The machine");
    else
        say(globals, "Nothing of ours is %s.",
            session->is_local ? "on this system" : "in the machine");
    return 0;
}

/* What a machine that does not run keeps. */
static void tell_what_stays(const struct session *session, bool purge)
{
    const struct cmd_globals *globals = session->globals;
    const char *name = session->places.instance;

    if (session->machine.state == LIMA_RUNNING)
        return;
    if (session->machine.state != LIMA_NONE) {
        say(globals,
            "The machine %s does not run: what `enable` put into it goes when `finch-soci vm "
            "start` starts it.",
            name);
        return;
    }
    say(globals, "There is no machine %s.", name);
    if (purge)
        say_warning("layers that one before it loaded are on its data disk, and stay there");
}

/* Which files are ours is known in the machine alone. */
static int check_purge(const struct session *session, bool purge, struct err *err)
{
    int rc = purge && session->machine.state != LIMA_NONE ? session_must_run(session, err) : 0;

    return rc < 0 ? err_prefix(err, rc, "--purge needs the machine") : 0;
}

/* ---- finch.yaml ------------------------------------------------------------------------------ */

static int edit(const struct session *session, enum finch_file_change *ret, struct err *err)
{
    SCOPED(finch_file_result) struct finch_file_result result = {.backup = NULL};
    const struct cmd_globals *globals = session->globals;
    int rc;

    interrupt_hold(true);
    rc = finch_file_disable(session->config, &result, err);
    interrupt_hold(false);
    if (rc < 0)
        return rc;
    *ret = result.change;
    switch (result.change) {
    case FINCH_FILE_SAME:
        say(globals, "%s does not list soci.", session->config);
        break;
    case FINCH_FILE_EDITED:
        say(globals, "soci is gone from %s; all else in it, which Finch has written since, stays.",
            session->config);
        break;
    case FINCH_FILE_RESTORED:
        say(globals,
            path_exists(session->config) ? "%s is what it was, byte by byte."
                                         : "%s is gone: there was none before.",
            session->config);
        break;
    }
    if (result.backup != NULL)
        say(globals, "What it was before `enable`: %s", result.backup);
    return 0;
}

static int run(const struct cmd_globals *globals, const void *self, struct err *err)
{
    SCOPED(session) struct session session = {.config = NULL};
    SCOPED(platform_lock) struct platform_lock *lock = NULL; /* as `enable` has it */
    const struct options *options = self;
    enum finch_file_change change = FINCH_FILE_SAME;
    int rc = session_open(globals, &session, err);

    if (rc == 0)
        rc = session_check_rights(&session, err);
    if (rc == 0)
        rc = session_lock_config(&session, false, &lock, err);
    if (rc == 0)
        rc = session_look(&session, err);
    if (rc == 0)
        rc = check_purge(&session, options->purge, err);
    if (rc == 0)
        rc = unhook(&session, err);
    if (rc == 0)
        rc = undo(&session, options->purge, err);
    if (rc == 0)
        rc = edit(&session, &change, err);
    if (rc == 0 && options->purge)
        rc = finch_file_forget(session.config, err);
    if (rc < 0)
        return rc;
    tell_what_stays(&session, options->purge);
    if (change != FINCH_FILE_SAME && session.machine.state == LIMA_RUNNING && !session.is_local)
        say(globals, "Finch takes note at the machine's next start, and asks for soci until then "
                     "where it was the default: `finch-soci vm restart`.");
    return CMD_FINE;
}

static const struct flag flags[] = {
    {.name = "purge",
     .kind = FLAG_BOOL,
     .offset = offsetof(struct options, purge),
     .help = "remove the layers that were loaded too, and what was kept of finch.yaml"},
};

const struct cmd_verb cmd_verb_disable = {
    .name = "disable",
    .args = "[flags]",
    .summary = "put everything back as it was",
    .details = "   Takes out of a running machine what `enable` put there, and puts back what was\n"
               "   there before; takes soci out of finch.yaml. When nobody has written that file\n"
               "   since, its old bytes are back; else only the entry goes.\n"
               "   Of a machine that is stopped the programs go when `finch-soci vm start` starts\n"
               "   it. --purge needs it to run; said later, it removes what an earlier `disable`\n"
               "   has kept for the next `enable`.\n",
    .examples = "   finch-soci disable\n"
                "   finch-soci disable --purge\n",
    .flags = flags,
    .flag_count = ARRAY_LEN(flags),
    .options_bytes = sizeof(struct options),
    .run = run,
};
