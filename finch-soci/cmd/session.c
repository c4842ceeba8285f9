/* SPDX-License-Identifier: Apache-2.0 */
/* session.c – which Finch, which machine, and the way to it. */
#include "cmd/internal.h"

#include "base/clock.h"
#include "base/files.h"
#include "base/system.h"
#include "base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LOOK_TIMEOUT_MS = 15000 };       /* limactl asks the host agent, which may hang */
enum { LOCK_WAIT_MS = 15 * 60 * 1000 }; /* longer than a provisioning run takes */
enum { LOCK_RETRY_MS = 200 };

void session_fini(struct session *session)
{
    lima_places_fini(&session->places);
    lima_machine_fini(&session->machine);
    free(session->config);
    session->config = NULL;
}

/* ---- where ----------------------------------------------------------------------------------- */

/* Finch on Linux has no machine; whoever names a directory of Lima's has one. */
static bool has_machine(const struct cmd_globals *globals)
{
    return platform_has_vm || (globals->lima_home != NULL && *globals->lima_home != '\0');
}

int session_open(const struct cmd_globals *globals, struct session *ret, struct err *err)
{
    const struct lima_options options = {
        .finch_root = globals->finch_root,
        .lima_home = globals->lima_home,
        .instance = globals->instance,
    };
    SCOPED(session)
    struct session session = {.globals = globals, .is_local = !has_machine(globals)};
    int rc = lima_find(&options, &session.places, err);

    if (rc < 0)
        return rc;
    session.config = globals->config != NULL ? text_copy(globals->config)
                                             : platform_finch_config(!session.is_local);
    if (session.config == NULL)
        return err_set(err, -ENOENT, "no home directory: say where finch.yaml is with --config");
    say_detail(globals, "finch.yaml: %s", session.config);
    say_detail(globals, "finch: %s, limactl: %s",
               session.places.finch == NULL ? "none" : session.places.finch,
               session.places.limactl == NULL ? "none" : session.places.limactl);
    *ret = session;
    session = (struct session){.config = NULL};
    return 0;
}

int session_check_rights(const struct session *session, struct err *err)
{
    if (!session->is_local || platform_is_admin())
        return 0;
    return err_set(
        err, -EACCES,
        "containers run on this system itself, so this is root's work: run it with sudo");
}

/* ---- the machine's state --------------------------------------------------------------------- */

int session_look(struct session *session, struct err *err)
{
    lima_machine_fini(&session->machine);
    if (session->is_local) {
        session->machine.state = LIMA_RUNNING;
        return 0;
    }
    return lima_look(&session->places, LOOK_TIMEOUT_MS, &session->machine, err);
}

int session_must_run(const struct session *session, struct err *err)
{
    const char *name = session->places.instance;
    const char *problem = session->machine.problem;

    switch (session->machine.state) {
    case LIMA_RUNNING:
        return 0;
    case LIMA_NONE:
        return err_set(err, -ENOENT, "there is no machine %s yet: `finch-soci vm start` makes it",
                       name);
    case LIMA_STOPPED:
        return err_set(err, -EBUSY, "the machine %s is stopped: `finch-soci vm start` starts it",
                       name);
    case LIMA_BROKEN:
        break;
    }
    return err_set(err, -EBADMSG,
                   "the machine %s is broken%s%s: `finch vm stop --force`, then `finch-soci vm "
                   "start`",
                   name, problem == NULL ? "" : ": ", problem == NULL ? "" : problem);
}

char *session_mend_broken(void)
{
    return text_format("finch vm stop --force%sfinch-soci vm start", system_then);
}

/* ---- one at a time --------------------------------------------------------------------------- */

/* The directory that holds the machines, since one of theirs goes with `finch vm remove`; a file
 * would be left behind by us. Here it is not the one that guest/ takes in every machine
 * (/run/finch-soci.lock). */
static char *lock_path(const struct session *session)
{
    if (session->is_local)
        return text_copy("/run/finch-soci-host.lock");
    return text_copy(session->places.lima_home);
}

static int wait_for_lock(const struct session *session, const char *path,
                         struct platform_lock **ret, struct err *err)
{
    int64_t deadline_ms = clock_mono_ms() + LOCK_WAIT_MS;
    bool said = false;
    int rc;

    while ((rc = platform_lock_take(path, ret, err)) == -EBUSY && clock_mono_ms() < deadline_ms) {
        if (!said)
            say_progress(session->globals, "another finch-soci works on %s: waiting",
                         session->is_local ? "this system" : "the machine");
        said = true;
        clock_sleep_ms(LOCK_RETRY_MS);
    }
    return rc == -EBUSY ? err_set(err, -EAGAIN, "another finch-soci still holds %s", path) : rc;
}

int session_lock(const struct session *session, struct platform_lock **ret, struct err *err)
{
    SCOPED(mem) char *path = lock_path(session);

    if (path == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    return wait_for_lock(session, path, ret, err);
}

int session_lock_config(const struct session *session, bool make, struct platform_lock **ret,
                        struct err *err)
{
    SCOPED(mem) char *dir = path_parent(session->config);
    int rc = 0;

    if (dir == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    if (make)
        rc = dir_make_all(dir, 0700, err); /* as Finch makes it */
    else if (!path_exists(dir))
        return 0;
    return rc < 0 ? rc : wait_for_lock(session, dir, ret, err);
}

/* ---- the way to it --------------------------------------------------------------------------- */

void link_fini(struct link *link)
{
    interrupt_set_machine(NULL);
    machine_close(link->machine);
    link->machine = NULL;
}

struct waiting {
    const struct cmd_globals *globals;
    bool said;
};

static void on_waiting(void *self, const struct err *why)
{
    struct waiting *waiting = self;

    if (!waiting->said)
        say_progress(waiting->globals, "waiting for the machine: %s", err_text(why));
    else
        say_detail(waiting->globals, "waiting: %s", err_text(why));
    waiting->said = true;
}

/* Distributions of WSL share 127.0.0.1 with each other and with Windows, whose own SSH server may
 * have the port: Lima goes to the address that the machine has among them. A new string; NULL:
 * there is none, or nobody knows. */
static char *other_address(const struct session *session, const char *host)
{
    SCOPED(lima_machine) struct lima_machine looked = {.state = LIMA_NONE};
    const struct lima_machine *machine = &session->machine;

    if (session->places.wsl == NULL)
        return NULL;
    if (machine->ssh_address == NULL &&
        lima_look(&session->places, LOOK_TIMEOUT_MS, &looked, NULL) == 0)
        machine = &looked;
    return machine->ssh_address == NULL || strcmp(machine->ssh_address, host) == 0
               ? NULL
               : text_copy(machine->ssh_address);
}

static int connect_ssh(const struct session *session, int64_t wait_ms, struct machine **ret,
                       struct err *err)
{
    SCOPED(lima_ssh) struct lima_ssh ssh = {.port = 0};
    struct waiting waiting = {.globals = session->globals};
    int rc = lima_read_ssh(&session->places, &ssh, err);
    SCOPED(mem) char *other = rc < 0 ? NULL : other_address(session, ssh.host);
    const struct machine_ssh how = {
        .host = ssh.host,
        .other_host = other,
        .port = ssh.port,
        .user = ssh.user,
        .identity = ssh.identity,
        .known_hosts = ssh.known_hosts,
        .wait_ms = wait_ms,
        .waiting = on_waiting,
        .self = &waiting,
    };

    if (rc == 0)
        rc = machine_open_ssh(&how, ret, err);
    return rc < 0 ? err_prefix(err, rc, "the machine %s", session->places.instance) : 0;
}

int session_connect(const struct session *session, int64_t wait_ms, struct link *ret,
                    struct err *err)
{
    int rc = session->is_local ? machine_open_local(&ret->machine, err)
                               : connect_ssh(session, wait_ms, &ret->machine, err);

    if (rc == 0)
        interrupt_set_machine(ret->machine);
    return rc;
}

int session_reach(struct session *session, struct link *ret, struct err *err)
{
    int rc = session_look(session, err);

    if (rc == 0)
        rc = session_must_run(session, err);
    if (rc < 0)
        return rc;
    rc = session_connect(session, 0, ret, err);
    return rc < 0 ? say_after(err, rc, "`finch-soci doctor` looks closer") : 0;
}
