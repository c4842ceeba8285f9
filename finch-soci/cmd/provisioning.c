/* SPDX-License-Identifier: Apache-2.0 */
/* provisioning.c – the machine is made what it should be, or what it was. */
#include "cmd/internal.h"

#include "base/clock.h"
#include "config/config.h"
#include "report/report.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

enum { PLAN_LINE_BYTES = 1024 };

/* Lima gives up on a start after ten minutes; its scripts run until then. */
enum { BOOT_WAIT_MS = 10 * 60 * 1000, BOOT_RETRY_MS = 1000 };

/* What is lost on the way there is told without a word of whom it was lost to. */
static int lost(const struct session *session, int rc, struct err *err)
{
    if (session->is_local || (rc != -ETIMEDOUT && rc != -EAGAIN && rc != -EPROTO))
        return rc;
    return err_prefix(err, rc, "the machine %s", session->places.instance);
}

/* ---- waiting for it -------------------------------------------------------------------------- */

/* Finch's own script works on the same files while the machine boots. */
static int wait_for_boot(const struct session *session, struct machine *machine,
                         struct guest_facts **ret, struct err *err)
{
    int64_t deadline_ms = clock_mono_ms() + BOOT_WAIT_MS;
    bool said = false;

    for (;;) {
        SCOPED(guest_facts) struct guest_facts *facts = NULL;
        int rc = guest_look(machine, &facts, err);

        if (rc < 0)
            return lost(session, rc, err);
        if (guest_is_booted(facts)) {
            *ret = TAKE(facts);
            return 0;
        }
        if (clock_mono_ms() > deadline_ms)
            return err_set(err, -ETIMEDOUT,
                           "the machine has not finished booting for %d minutes: look at `finch vm "
                           "status`, or start it anew",
                           BOOT_WAIT_MS / 60000);
        if (!said)
            say_progress(session->globals, "waiting for the machine to finish booting");
        said = true;
        clock_sleep_ms(BOOT_RETRY_MS);
        if (interrupt_number() != 0)
            return err_set(err, -ECANCELED, "interrupted");
    }
}

static int reach(const struct session *session, struct link *link, struct guest_facts **ret,
                 struct err *err)
{
    int rc = session_connect(session, BOOT_WAIT_MS, link, err);

    return rc < 0 ? rc : wait_for_boot(session, link->machine, ret, err);
}

/* ---- doing it -------------------------------------------------------------------------------- */

static void on_step(void *self, const char *what, unsigned done, unsigned of)
{
    const struct session *session = self;

    if (of == 0)
        say_progress(session->globals, "%s", what);
    else
        say_progress(session->globals, "[%u/%u] %s", done, of, what);
}

static struct guest_progress progress_of(const struct session *session)
{
    return (struct guest_progress){.step = on_step, .self = (void *)(uintptr_t)session};
}

/* Lines of files in the machine are among these: no terminal obeys them. */
static void show_line(struct bytes line, bool colour)
{
    char text[PLAN_LINE_BYTES], clean[PLAN_LINE_BYTES];
    const char *before = line.len == 0 || !colour ? ""
                         : line.data[0] == '+'    ? "\033[32m"
                         : line.data[0] == '-'    ? "\033[31m"
                                                  : "";

    (void)snprintf(text, sizeof(text), "%.*s", (int)(line.len < INT_MAX ? line.len : INT_MAX),
                   line.len == 0 ? "" : (const char *)line.data);
    report_clean(clean, sizeof(clean), text);
    (void)printf("%s%s%s\n", before, clean, *before == '\0' ? "" : "\033[0m");
}

static int show(const struct guest_plan *plan, struct err *err)
{
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    struct bytes left;

    if (guest_plan_print(plan, false, &text) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    for (left = buf_bytes(&text); left.len > 0;) {
        const uint8_t *newline = memchr(left.data, '\n', left.len);
        size_t len = newline == NULL ? left.len : (size_t)(newline - left.data);

        show_line(bytes_of(left.data, len), say_in_colour(stdout));
        len += newline == NULL ? 0 : 1;
        left = bytes_of(left.data + len, left.len - len);
    }
    return PROVISION_SHOWN;
}

/* What would be done if nothing were in its way; -EBUSY, with what is, as the plan said it. */
static int show_what_waits(const struct provision_how *how, const struct guest_facts *facts,
                           struct bundle *bundle, struct err *err)
{
    SCOPED(guest_plan) struct guest_plan *plan = NULL;
    struct guest_options options = how->guest;
    const struct err busy = *err;
    int rc;

    options.now = true;
    rc = guest_plan_new(facts, &options, bundle, &plan, err);
    if (rc == 0)
        rc = show(plan, err);
    if (rc < 0)
        return rc;
    *err = busy;
    return busy.code;
}

static int carry_out(const struct session *session, const struct provision_how *how,
                     struct machine *machine, const struct guest_facts *facts, struct err *err)
{
    SCOPED(bundle) struct bundle *bundle = NULL;
    SCOPED(guest_plan) struct guest_plan *plan = NULL;
    const struct guest_progress progress = progress_of(session);
    int rc = bundle_open(session->globals->bundle, guest_arch(facts), &bundle, err);

    if (rc < 0)
        return err_prefix(err, rc, "the programs for the machine");
    rc = guest_plan_new(facts, &how->guest, bundle, &plan, err);
    if (rc == -EBUSY && how->dry_run)
        return show_what_waits(how, facts, bundle, err);
    if (rc < 0)
        return rc;
    if (guest_plan_is_empty(plan))
        return PROVISION_NOTHING;
    if (how->dry_run)
        return show(plan, err);
    rc = guest_apply(machine, plan, &progress, err);
    return rc < 0 ? rc : PROVISION_DONE;
}

int provision_do(const struct session *session, const struct provision_how *how, struct err *err)
{
    SCOPED(platform_lock) struct platform_lock *lock = NULL;
    SCOPED(guest_facts) struct guest_facts *facts = NULL;
    SCOPED(link) struct link link = {.machine = NULL};
    int rc = session_lock(session, &lock, err);

    if (rc == 0)
        rc = reach(session, &link, &facts, err);
    if (rc < 0)
        return rc;
    rc = carry_out(session, how, link.machine, facts, err);
    return rc < 0 ? lost(session, rc, err) : rc;
}

void provision_tell(const struct session *session, int result)
{
    const char *place = session->is_local ? "on this system" : "in the machine";

    if (result == PROVISION_DONE)
        say(session->globals, "The snapshotter is %s and runs.", place);
    else if (result == PROVISION_NOTHING)
        say(session->globals, "The snapshotter is %s already: nothing to do.", place);
}

int provision_undo(const struct session *session, bool purge, struct err *err)
{
    SCOPED(platform_lock) struct platform_lock *lock = NULL;
    SCOPED(guest_facts) struct guest_facts *facts = NULL;
    SCOPED(link) struct link link = {.machine = NULL};
    const struct guest_progress progress = progress_of(session);
    int rc = session_lock(session, &lock, err);

    if (rc == 0)
        rc = reach(session, &link, &facts, err);
    if (rc < 0)
        return rc;
    rc = guest_undo(link.machine, purge, &progress, err);
    if (rc < 0)
        return lost(session, rc, err);
    return rc > 0 ? PROVISION_DONE : PROVISION_NOTHING;
}

int provision_listed(const struct session *session, struct err *err)
{
    static const struct provision_how how = {.dry_run = false};
    SCOPED(finch_config) struct finch_config config = {.vm_type = NULL};
    int rc = finch_file_read(session->config, &config, err);
    bool listed = rc == 0 && finch_config_has_soci(&config);

    if (rc < 0)
        return rc;
    rc = listed ? provision_do(session, &how, err) : provision_undo(session, false, err);
    if (rc == -EBUSY && listed)
        return say_after(err, rc, "`finch-soci provision --now` does not wait for them");
    if (rc < 0)
        return rc;
    if (listed)
        return rc == PROVISION_DONE ? LISTED_DONE : LISTED_SAME;
    return rc == PROVISION_DONE ? LISTED_TAKEN_OUT : LISTED_NOT;
}

int provision_as_listed(const struct session *session, struct err *err)
{
    int rc = provision_listed(session, err);

    if (rc < 0)
        return rc;
    if (rc == LISTED_DONE || rc == LISTED_SAME)
        provision_tell(session, rc == LISTED_DONE ? PROVISION_DONE : PROVISION_NOTHING);
    else if (rc == LISTED_TAKEN_OUT)
        say(session->globals,
            "finch.yaml does not list soci, so ours was taken out of the machine.");
    else
        say_progress(session->globals,
                     "finch.yaml does not list soci: `finch-soci enable` puts it there.");
    return 0;
}
