/* SPDX-License-Identifier: Apache-2.0 */
/* reach.c – the way to a machine: one that boots is waited for, with word of it, and no longer than
 * it makes sense. */
#include "cmd/internal.h"

#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

enum {
    RETRY_MS = 500,
    TELL_EVERY_MS = 10000,
    CHECK_EVERY_MS = 3000,
    LOOK_EVERY_MS = 15000, /* limactl takes its time */
    LOOK_TIMEOUT_MS = 10000,
    PATIENCE_MS = 10000,    /* what answers at all has answered by then … */
    BOOTED_LONG_MS = 20000, /* … when it has been up for so long */
};

void link_fini(struct link *link)
{
    interrupt_set_machine(NULL);
    machine_close(link->machine);
    link->machine = NULL;
}

static int connect_ssh(const struct session *session, struct machine **ret, struct err *err)
{
    SCOPED(lima_ssh) struct lima_ssh ssh = {.port = 0};
    int rc = lima_read_ssh(&session->places, &ssh, err); /* another port at each start */
    const struct machine_ssh how = {
        .host = ssh.host,
        .port = ssh.port,
        .user = ssh.user,
        .identity = ssh.identity,
        .known_hosts = ssh.known_hosts,
    };

    return rc < 0 ? rc : machine_open_ssh(&how, ret, err);
}

/* ---- patience -------------------------------------------------------------------------------- */

void patience_begin(struct patience *patience, const struct session *session, const char *what,
                    int64_t wait_ms)
{
    int64_t now_ms = clock_mono_ms();

    *patience = (struct patience){.session = session,
                                  .what = what,
                                  .began_ms = now_ms,
                                  .wait_ms = wait_ms,
                                  .told_ms = now_ms,
                                  .looked_ms = now_ms};
}

/* At once, then every ten seconds. */
static void tell(struct patience *patience, int64_t now_ms, const char *why)
{
    const struct cmd_globals *globals = patience->session->globals;
    const char *colon = *why == '\0' ? "" : ": ";

    if (!patience->said)
        say_progress(globals, "waiting for the machine %s%s%s", patience->what, colon, why);
    else if (now_ms - patience->told_ms >= TELL_EVERY_MS)
        say_progress(globals, "waiting for the machine %s for %lld s, at most %lld%s%s",
                     patience->what, (long long)(now_ms - patience->began_ms) / 1000,
                     (long long)patience->wait_ms / 1000, colon, why);
    else
        return;
    patience->said = true;
    patience->told_ms = now_ms;
}

/* How long ago its start was over, by the host agent's events; 0: it is not, or nobody knows. */
int64_t patience_booted_ms(const struct session *session)
{
    struct lima_start start;
    int64_t now_ms = clock_wall_ms();

    lima_read_start(&session->places, &start);
    if (start.stage != LIMA_START_DONE || start.done_s <= 0 || start.done_s > now_ms / 1000)
        return 0;
    return now_ms - start.done_s * 1000;
}

/* It may have been stopped meanwhile, or have fallen. */
static int check_state(struct patience *patience, int64_t now_ms, struct err *err)
{
    struct session now = {.globals = patience->session->globals,
                          .places = patience->session->places}; /* lent */
    int rc;

    if (patience->session->is_local || now_ms - patience->looked_ms < LOOK_EVERY_MS)
        return 0;
    patience->looked_ms = now_ms;
    if (lima_look(&now.places, LOOK_TIMEOUT_MS, &now.machine, NULL) < 0)
        return 0; /* it is no news that nothing is known */
    rc = session_must_run(&now, err);
    lima_machine_fini(&now.machine);
    return rc;
}

/* "14 minutes" */
static void duration_text(int64_t ms, char *ret, size_t size)
{
    long long seconds = (long long)ms / 1000;
    const char *unit = seconds < 120 ? "seconds" : seconds < 2 * 3600 ? "minutes" : "hours";

    (void)snprintf(ret, size, "%lld %s",
                   seconds < 120        ? seconds
                   : seconds < 2 * 3600 ? seconds / 60
                                        : seconds / 3600,
                   unit);
}

static int check_booted(const struct patience *patience, int64_t waited_ms, const char *why,
                        struct err *err)
{
    int64_t booted_ms = patience_booted_ms(patience->session);
    char ago[40];

    if (waited_ms < PATIENCE_MS || booted_ms < BOOTED_LONG_MS)
        return 0;
    duration_text(booted_ms, ago, sizeof(ago));
    return err_set(err, -ETIMEDOUT,
                   "the machine %s has been up for %s, and does not answer (%s): `finch-soci vm "
                   "restart`",
                   patience->session->places.instance, ago, why);
}

int patience_go_on(struct patience *patience, const char *why, bool is_silent, struct err *err)
{
    int64_t now_ms = clock_mono_ms(), waited_ms = now_ms - patience->began_ms;
    int rc = 0;

    if (interrupt_number() != 0)
        return err_set(err, -ECANCELED, "interrupted");
    if (waited_ms >= patience->wait_ms)
        return err_set(err, -ETIMEDOUT,
                       "the machine %s was waited for %s for %lld s%s%s: look at `finch vm "
                       "status`, or start it anew",
                       patience->session->places.instance, patience->what,
                       (long long)patience->wait_ms / 1000, *why == '\0' ? "" : ": ", why);
    if (is_silent && now_ms - patience->checked_ms >= CHECK_EVERY_MS) {
        patience->checked_ms = now_ms;
        rc = check_booted(patience, waited_ms, why, err);
    }
    if (rc == 0)
        rc = check_state(patience, now_ms, err);
    if (rc < 0)
        return rc;
    tell(patience, now_ms, why);
    clock_sleep_ms(RETRY_MS);
    return 0;
}

/* ---- the way --------------------------------------------------------------------------------- */

static int connect_patiently(const struct session *session, int64_t wait_ms, struct machine **ret,
                             struct err *err)
{
    struct patience patience;

    patience_begin(&patience, session, "to answer", wait_ms);
    for (;;) {
        struct err why = ERR_NONE;
        int rc = connect_ssh(session, ret, &why);

        if (rc < 0 && (rc != -EAGAIN || wait_ms == 0))
            return err_set(err, rc, "the machine %s: %s", session->places.instance, err_text(&why));
        if (rc == 0)
            return 0;
        rc = patience_go_on(&patience, err_text(&why), true, err);
        if (rc < 0)
            return rc;
    }
}

int session_connect(const struct session *session, int64_t wait_ms, struct link *ret,
                    struct err *err)
{
    int rc = session->is_local ? machine_open_local(&ret->machine, err)
                               : connect_patiently(session, wait_ms, &ret->machine, err);

    if (rc == 0)
        interrupt_set_machine(ret->machine);
    return rc;
}
