/* SPDX-License-Identifier: Apache-2.0 */
/* status.c – `finch-soci status`: what is, what is not well, and what mends it. */
#include "cmd/internal.h"

#include "base/clock.h"
#include "base/text.h"
#include "config/config.h"
#include "report/report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { WATCH_MS = 2000, WATCH_STEP_MS = 100 };
/* Nobody waits long for a table; a machine that boots is seen at the next look. */
enum { STATUS_CONNECT_MS = 0 };

struct options {
    bool json, watch;
    const char *namespace_;
    const struct text_list *images; /* to be asked of their registries */
};

/* What is kept from one look to the next with --watch. */
struct looker {
    struct session session;
    struct link link; /* NULL: none, or lost */
};

static void looker_fini(struct looker *looker)
{
    link_fini(&looker->link);
    session_fini(&looker->session);
}
DEFINE_SCOPED_VALUE(looker, struct looker, looker_fini)

/* ---- rows ------------------------------------------------------------------------------------ */

static void add_config(const struct session *session, struct report *report)
{
    SCOPED(finch_config) struct finch_config config = {.vm_type = NULL};
    SCOPED(mem) char *text = NULL;
    struct err err = ERR_NONE;
    int rc = finch_file_read(session->config, &config, &err);

    if (rc == 0)
        rc = finch_config_check(&config, &err);
    if (rc < 0) {
        report_add(report, "finch.yaml", REPORT_NOT_WELL, err_text(&err), "# correct the file");
        return;
    }
    if (!finch_config_has_soci(&config)) {
        text = text_format("soci is not listed: %s", session->config);
        report_add(report, "finch.yaml", REPORT_NOT_WELL, text == NULL ? "" : text,
                   "finch-soci enable");
        return;
    }
    text = text_format("soci is listed%s: %s",
                       finch_config_is_soci_first(&config) ? ", and the default" : "",
                       session->config);
    report_add(report, "finch.yaml", REPORT_WELL, text == NULL ? "" : text, "");
}

static const char *or_unknown(const char *text)
{
    return text == NULL ? "?" : text;
}

static void add_machine(const struct session *session, struct report *report)
{
    const struct lima_machine *machine = &session->machine;
    const char *name = session->places.instance, *mend = "finch-soci vm start";
    SCOPED(mem) char *text = NULL;
    SCOPED(mem) char *broken = session_mend_broken();

    switch (machine->state) {
    case LIMA_RUNNING:
        text = text_format("%s runs (%s, %s, Lima %s)", name, or_unknown(machine->vm_type),
                           or_unknown(machine->arch), or_unknown(machine->lima_version));
        mend = "";
        break;
    case LIMA_STOPPED:
        text = text_format("%s is stopped", name);
        break;
    case LIMA_NONE:
        text = text_format("there is no machine %s yet", name);
        break;
    case LIMA_BROKEN:
        text = text_format("%s is broken: %s", name, or_unknown(machine->problem));
        mend = broken == NULL ? mend : broken;
        break;
    }
    report_add(report, "machine", *mend == '\0' ? REPORT_WELL : REPORT_NOT_WELL,
               text == NULL ? "" : text, mend);
}

static void add_hook(const struct session *session, struct report *report)
{
    struct err why = ERR_NONE;

    if (hooking_report(session, report, &why) < 0)
        report_add(report, "hook", REPORT_UNKNOWN, err_text(&why), "");
}

static void add_checks(const struct guest_state *state, struct report *report)
{
    for (size_t i = 0; i < state->count; i++)
        report_add(report, state->checks[i].name,
                   state->checks[i].well ? REPORT_WELL : REPORT_NOT_WELL, state->checks[i].text,
                   state->checks[i].mend);
}

/* ---- the guest ------------------------------------------------------------------------------- */

/* What the snapshotter says. That it does not answer is a check of the guest's. */
static int add_daemon(const struct guest_state *state, struct report *report, struct err *err)
{
    struct err why = ERR_NONE;
    SCOPED(mem) char *text = NULL;
    int rc;

    if (state->daemon_json.len == 0)
        return 0;
    rc = report_parse_daemon(report, buf_bytes(&state->daemon_json), &why);
    if (rc == -ENOMEM)
        return err_set(err, rc, "out of memory");
    if (rc < 0) {
        report_add(report, "images", REPORT_NOT_WELL, err_text(&why), "finch-soci provision");
        return 0;
    }
    if (report->daemon.errors == 0)
        return 0;
    text = text_format("%llu layers are not mounted, or could not be read last",
                       (unsigned long long)report->daemon.errors);
    report_add(report, "layers", REPORT_NOT_WELL, text == NULL ? "" : text, "finch-soci logs");
    return 0;
}

/* Those that did not come through the snapshotter too. */
static int add_images(struct machine *machine, struct report *report, struct err *err)
{
    SCOPED(guest_images) struct guest_images images = {.count = 0};
    SCOPED(mem) struct report_found *found = NULL;
    struct err why = ERR_NONE;
    int rc = guest_images_get(machine, report->namespace_, &images, &why);

    if (rc == -EIO || rc == -EBADMSG) { /* containerd's own row says more */
        report_add(report, "images", REPORT_UNKNOWN, err_text(&why), "");
        return 0;
    }
    found = rc < 0 ? NULL : calloc(images.count + 1, sizeof(*found));
    if (found == NULL)
        return err_set(err, rc < 0 ? rc : -ENOMEM, "%s", rc < 0 ? err_text(&why) : "out of memory");
    for (size_t i = 0; i < images.count; i++)
        found[i] = (struct report_found){.name = images.items[i].name,
                                         .namespace_ = images.items[i].namespace_,
                                         .snapshotters = images.items[i].snapshotters,
                                         .manifest = images.items[i].manifest};
    if (images.is_cut)
        report_add(report, "images", REPORT_UNKNOWN, "there are more than are listed", "");
    return report_add_images(report, found, images.count, err);
}

static int look_inside(struct looker *looker, struct report *report, struct err *err)
{
    SCOPED(guest_facts) struct guest_facts *facts = NULL;
    SCOPED(guest_state) struct guest_state state = {.count = 0};
    SCOPED(bundle) struct bundle *bundle = NULL;
    const struct session *session = &looker->session;
    struct err why = ERR_NONE;
    int rc = 0;

    if (looker->link.machine == NULL)
        rc = session_connect(session, STATUS_CONNECT_MS, &looker->link, err);
    if (rc == 0)
        rc = guest_look(looker->link.machine, &facts, err);
    if (rc < 0)
        return rc;
    if (bundle_open(session->globals->bundle, guest_arch(facts), &bundle, &why) < 0)
        report_add(report, "bundle", REPORT_UNKNOWN, err_text(&why),
                   "# say where the programs for the machine are with --bundle");
    rc = guest_state_get(looker->link.machine, facts, bundle, &state, err);
    if (rc < 0)
        return rc;
    add_checks(&state, report);
    rc = add_daemon(&state, report, err);
    return rc < 0 ? rc : add_images(looker->link.machine, report, err);
}

static const char *access_mend(const struct session *session, int why)
{
    if (session->is_local)
        return "sudo finch-soci status";
    return why == -EAGAIN || why == -ETIMEDOUT
               ? "# look again when it has booted, else: finch-soci vm restart"
               : "finch-soci vm restart";
}

/* What cannot be reached is a row, and no end of the table. */
static int look(struct looker *looker, const struct options *options, struct report *report,
                struct err *err)
{
    struct session *session = &looker->session;
    struct err why = ERR_NONE;
    int rc;

    report_clean(report->namespace_, sizeof(report->namespace_),
                 options->namespace_ == NULL ? "finch" : options->namespace_);
    if (!session->is_local)
        add_config(session, report);
    rc = session_look(session, err);
    if (rc < 0)
        return rc;
    if (!session->is_local) {
        add_machine(session, report);
        add_hook(session, report);
    }
    if (session->machine.state != LIMA_RUNNING) {
        link_fini(&looker->link);
        return 0;
    }
    rc = look_inside(looker, report, &why);
    if (rc >= 0)
        return 0;
    link_fini(&looker->link);
    if (rc == -ECANCELED || rc == -ENOMEM)
        return err_set(err, rc, "%s", err_text(&why));
    report_add(report, "access", REPORT_NOT_WELL, err_text(&why), access_mend(session, rc));
    return 0;
}

/* ---- showing it ------------------------------------------------------------------------------ */

static int show(const struct options *options, const struct report *report, struct err *err)
{
    const struct report_style style = {
        .width = platform_terminal_width(stdout),
        .colour = say_in_colour(stdout),
    };
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    int rc = options->json ? report_encode(report, &text) : report_print(report, &style, &text);

    if (rc < 0)
        return err_set(err, rc, "out of memory");
    if (options->watch && !options->json)
        (void)fputs("\033[H\033[2J", stdout); /* home, and all of it empty */
    (void)fwrite(text.data, 1, text.len, stdout);
    return fflush(stdout) == 0 ? 0 : err_sys(err, -errno, "standard output");
}

static int once(struct looker *looker, const struct options *options, bool *ret_well,
                struct err *err)
{
    SCOPED(report) struct report report = {.row_count = 0};
    int rc = look(looker, options, &report, err);

    if (rc == 0)
        rc = show(options, &report, err);
    *ret_well = report_is_well(&report);
    return rc;
}

/* Ctrl-C ends it as the end that is wanted. */
static void pause_between(void)
{
    interrupt_hold(true);
    for (int ms = 0; ms < WATCH_MS && interrupt_number() == 0; ms += WATCH_STEP_MS)
        clock_sleep_ms(WATCH_STEP_MS);
    interrupt_hold(false);
}

static int run(const struct cmd_globals *globals, const void *self, struct err *err)
{
    SCOPED(looker) struct looker looker = {.session = {.config = NULL}};
    const struct options *options = self;
    bool well = false;
    int rc;

    if (options->images->count > 0 && options->watch)
        return say_refused("--watch is not for an image: its registry is asked once");
    if (options->images->count > 0)
        return status_of_images(globals, options->images, options->json, err);
    if (options->watch && !options->json && !platform_is_terminal(stdout))
        return say_refused("--watch draws on a terminal, or writes lines with --json");
    rc = session_open(globals, &looker.session, err);
    if (rc == 0)
        rc = once(&looker, options, &well, err);
    while (rc == 0 && options->watch && interrupt_number() == 0) {
        pause_between();
        if (interrupt_number() == 0)
            rc = once(&looker, options, &well, err);
    }
    if (options->watch && interrupt_number() != 0)
        rc = 0; /* the way that watching ends */
    return rc < 0 ? rc : well ? CMD_FINE : CMD_NOT_WELL;
}

static const struct flag flags[] = {
    {.name = "json",
     .kind = FLAG_BOOL,
     .offset = offsetof(struct options, json),
     .help = "one JSON object (docs/finch-soci.md)"},
    {.name = "watch",
     .alias = "w",
     .kind = FLAG_BOOL,
     .offset = offsetof(struct options, watch),
     .help = "look again every 2 seconds, until Ctrl-C"},
    {.name = "namespace",
     .kind = FLAG_TEXT,
     .offset = offsetof(struct options, namespace_),
     .value = "<name>",
     .help = "images of this namespace of containerd; \"\" for all (finch)"},
};

const struct cmd_verb cmd_verb_status = {
    .name = "status",
    .args = "[flags] [IMAGE…]",
    .summary = "show what is lazy, what is not well, and what mends it",
    .details =
        "   One row for each thing that lazy loading stands on: ok, !! for what is not as it\n"
        "   should be, with the command that mends it, -- for what cannot be told now. Then\n"
        "   every image, how many of its layers are lazy and how much of them is here; of one\n"
        "   that is not lazy, why, and what makes it so. Nothing is asked of any registry. The\n"
        "   exit status is 3 when something is not as it should be; that an image is not lazy\n"
        "   is no such thing.\n"
        "\n"
        "   With IMAGE its registry is asked, from inside the machine and with the credentials\n"
        "   that are found there, whether `finch run --snapshotter soci IMAGE` would be lazy,\n"
        "   layer by layer, and why not. The exit status is 3 when it would not.\n",
    .examples = "   finch-soci status\n"
                "   finch-soci status registry.example/app:1\n"
                "   finch-soci status --watch\n"
                "   finch-soci status --json | jq '.images[] | {image, lazy, presentBytes}'\n",
    .flags = flags,
    .flag_count = ARRAY_LEN(flags),
    .options_bytes = sizeof(struct options),
    .words_max = 100,
    .words_offset = offsetof(struct options, images),
    .run = run,
};
