/* SPDX-License-Identifier: Apache-2.0 */
/* vm.c – `finch-soci vm start|stop|restart`: as `finch vm` has them, and the snapshotter looked
 * after. */
#include "cmd/internal.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

/* ---- finch ----------------------------------------------------------------------------------- */

static int open_vm(const struct cmd_globals *globals, struct session *ret, struct err *err)
{
    int rc = session_open(globals, ret, err);

    if (rc < 0)
        return rc;
    if (ret->is_local)
        return err_set(err, -EOPNOTSUPP,
                       "Finch on Linux has no machine; --lima-home says where one of Lima's is");
    if (ret->places.finch == NULL)
        return err_set(err, -ENOENT,
                       "no finch in PATH: say where Finch is with --finch-root; a machine of Lima "
                       "alone is started with `limactl start %s`, then `finch-soci provision`",
                       ret->places.instance);
    return session_look(ret, err);
}

/* Its exit status; it has the terminal meanwhile. */
static int run_finch(const struct session *session, const char *verb, struct err *err)
{
    const char *const argv[] = {session->places.finch, "vm", verb, NULL};
    int status = 0, rc;

    say_detail(session->globals, "%s vm %s", session->places.finch, verb);
    (void)fflush(stdout);
    interrupt_hold(true);
    rc = platform_run_attached(argv, &status, err);
    interrupt_hold(false);
    if (rc == 0 && interrupt_number() != 0)
        return err_set(err, -ECANCELED, "interrupted");
    return rc < 0 ? rc : status;
}

/* ---- start ----------------------------------------------------------------------------------- */

/* A script of the boot that fails, as Finch's own does where it cannot download, leaves a machine
 * that runs and a finch that failed. That script's work is ours then. */
static int judge(const struct session *session, int status, struct err *err)
{
    if (status == 0)
        return session_must_run(session, err);
    if (session->machine.state != LIMA_RUNNING)
        return status;
    say_warning("finch ended with %d, though the machine %s runs: going on", status,
                session->places.instance);
    return 0;
}

/* finch's exit status, or 0 when the machine is what finch.yaml asks for. */
static int start(struct session *session, struct err *err)
{
    int status = 0, rc;

    if (session->machine.state == LIMA_BROKEN)
        return session_must_run(session, err);
    if (session->machine.state == LIMA_RUNNING)
        say_progress(session->globals, "The machine %s runs already.", session->places.instance);
    else
        status = run_finch(session, session->machine.state == LIMA_NONE ? "init" : "start", err);
    if (status < 0)
        return status;
    rc = session_look(session, err);
    if (rc == 0)
        rc = judge(session, status, err);
    if (rc != 0)
        return rc;
    return provision_as_listed(session, err);
}

static int run_start(const struct cmd_globals *globals, const void *options, struct err *err)
{
    SCOPED(session) struct session session = {.config = NULL};
    int rc = open_vm(globals, &session, err);

    (void)options;
    return rc < 0 ? rc : start(&session, err);
}

/* ---- stop ------------------------------------------------------------------------------------ */

enum { DRAIN_CONNECT_MS = 5000, DRAIN_TIMEOUT_MS = 20000 };

/* What has been fetched is on the disk before the machine goes: a WSL machine is not shut down but
 * ended, and whatever is in memory is lost with it. Containers are not touched: they read their
 * files from the snapshotter until the machine stops them. */
static const char drain_script[] =
    "PATH=/usr/local/bin:$PATH\n"
    "if " GUEST_KNOWS_STATUS "; then\n"
    "    for i in 1 2 3 4 5 6 7 8 9 10; do\n"
    "        state=$(timeout 2 soci-snapshotter-grpc status --json 2>/dev/null) || break\n"
    "        case $state in\n"
    "        *'\"inflatingSpans\":0'*) break ;;\n"
    "        esac\n"
    "        sleep 0.5\n"
    "    done\n"
    "fi\n"
    "sync\n";

static int drain(const struct session *session, struct err *err)
{
    SCOPED(link) struct link link = {.machine = NULL};
    SCOPED(machine_result) struct machine_result result = MACHINE_RESULT_NONE;
    const struct machine_run run = {.script = drain_script, .timeout_ms = DRAIN_TIMEOUT_MS};
    int rc = session_connect(session, 0, &link, err);

    return rc < 0 ? rc : machine_run(link.machine, &run, &result, err);
}

static int stop(struct session *session, struct err *err)
{
    struct err why = ERR_NONE;

    if (session->machine.state == LIMA_RUNNING) {
        int rc = drain(session, &why);

        if (interrupt_number() != 0)
            return err_set(err, -ECANCELED, "interrupted");
        if (rc < 0)
            say_warning("what was fetched last may be lost: %s", err_text(&why));
    }
    return run_finch(session, "stop", err);
}

static int run_stop(const struct cmd_globals *globals, const void *options, struct err *err)
{
    SCOPED(session) struct session session = {.config = NULL};
    int rc = open_vm(globals, &session, err);

    (void)options;
    return rc < 0 ? rc : stop(&session, err);
}

static int run_restart(const struct cmd_globals *globals, const void *options, struct err *err)
{
    SCOPED(session) struct session session = {.config = NULL};
    int rc = open_vm(globals, &session, err);

    (void)options;
    if (rc == 0 && session.machine.state == LIMA_RUNNING)
        rc = stop(&session, err);
    if (rc == 0)
        rc = session_look(&session, err);
    return rc != 0 ? rc : start(&session, err);
}

/* ---- the table ------------------------------------------------------------------------------- */

static const struct cmd_verb verb_start = {
    .name = "start",
    .args = "[global flags]",
    .summary = "start the machine, and look after its snapshotter",
    .details =
        "   Runs `finch vm start`, or `finch vm init` when there is no machine yet, on this\n"
        "   terminal. When finch.yaml lists soci, the machine then gets the snapshotter, or\n"
        "   is found to have it; when not, ours is taken out. The exit status is finch's\n"
        "   when finch fails and the machine does not run.\n",
    .examples = "   finch-soci vm start\n",
    .run = run_start,
};
static const struct cmd_verb verb_stop = {
    .name = "stop",
    .args = "[global flags]",
    .summary = "stop the machine, with what was fetched on its disk",
    .details = "   Has the snapshotter put on the disk what it fetched, 20 seconds at most, then\n"
               "   runs `finch vm stop` on this terminal. The exit status is finch's.\n",
    .examples = "   finch-soci vm stop\n",
    .run = run_stop,
};
static const struct cmd_verb verb_restart = {
    .name = "restart",
    .args = "[global flags]",
    .summary = "stop, then start: a change of finch.yaml takes effect",
    .examples = "   finch-soci vm restart\n",
    .run = run_restart,
};
static const struct cmd_verb *const verbs[] = {&verb_start, &verb_stop, &verb_restart,
                                               &cmd_verb_vm_run, NULL};

const struct cmd_verb cmd_verb_vm = {
    .name = "vm",
    .args = "start|stop|restart|run [global flags]",
    .summary = "start and stop the machine, run a command in it",
    .verbs = verbs,
    .examples = "   finch-soci vm start\n"
                "   finch-soci vm restart\n",
};
