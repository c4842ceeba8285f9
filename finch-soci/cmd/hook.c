/* SPDX-License-Identifier: Apache-2.0 */
/* hook.c – `finch-soci hook`: the machine is looked after at each of its starts, by whatever
 * command it was started. */
#include "cmd/internal.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

/* ---- install --------------------------------------------------------------------------------- */

struct install_options {
    bool print;
    const char *system;
};

static const struct {
    const char *name;
    enum platform_hook_form form;
} systems[] = {
    {"linux", PLATFORM_HOOK_UNIT},
    {"macos", PLATFORM_HOOK_AGENT},
    {"windows", PLATFORM_HOOK_TASK},
};

/* False: there is no such system. */
static bool find_form(const char *system, enum platform_hook_form *ret)
{
    *ret = platform_hook_form;
    if (system == NULL)
        return true;
    for (size_t i = 0; i < ARRAY_LEN(systems); i++) {
        if (strcmp(systems[i].name, system) == 0) {
            *ret = systems[i].form;
            return true;
        }
    }
    return false;
}

static int print_text(const struct session *session, enum platform_hook_form form, struct err *err)
{
    SCOPED(hooking) struct hooking hooking = {.name = NULL};
    SCOPED(text_list) struct text_list words = TEXT_LIST_EMPTY;
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    int rc = hooking_open(session, &hooking, err);

    if (rc == 0)
        rc = hooking_text(session, &hooking, form, &words, &text, err);
    if (rc < 0)
        return rc;
    (void)fwrite(text.data, 1, text.len, stdout);
    return CMD_FINE;
}

static int run_install(const struct cmd_globals *globals, const void *self, struct err *err)
{
    SCOPED(session) struct session session = {.config = NULL};
    const struct install_options *options = self;
    enum platform_hook_form form;
    int rc;

    if (!find_form(options->system, &form))
        return say_refused("--for knows linux, macos and windows");
    if (options->system != NULL && !options->print)
        return say_refused("--for goes with --print");
    rc = session_open(globals, &session, err);
    if (rc < 0)
        return rc;
    if (options->print)
        return print_text(&session, form, err);
    rc = hooking_install(&session, err);
    if (rc == 0)
        say(globals, "The hook is installed: each start of the machine %s is looked after.",
            session.places.instance);
    return rc;
}

static int run_uninstall(const struct cmd_globals *globals, const void *options, struct err *err)
{
    SCOPED(session) struct session session = {.config = NULL};
    int rc = session_open(globals, &session, err);

    (void)options;
    if (rc == 0)
        rc = hooking_uninstall(&session, err);
    if (rc < 0)
        return rc;
    say(globals, rc > 0 ? "The hook is gone." : "There is no hook.");
    return CMD_FINE;
}

/* ---- status ---------------------------------------------------------------------------------- */

struct status_options {
    bool json;
};

static void show_run(const char *name, const struct report_hook_run *run)
{
    if (run->result[0] != '\0')
        (void)printf("%-10s %s (%s): %s\n", name, run->time, run->result, run->text);
}

static void show_rest(const struct report_hook *hook)
{
    if (hook->where[0] != '\0')
        (void)printf("%-10s %s\n", "installed", hook->where);
    show_run("vm-start", &hook->start);
    show_run("vm-stop", &hook->stop);
    (void)printf("%-10s %s\n", "log", hook->log);
}

static int run_status(const struct cmd_globals *globals, const void *self, struct err *err)
{
    SCOPED(session) struct session session = {.config = NULL};
    SCOPED(report) struct report report = {.row_count = 0};
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    const struct report_style style = {
        .width = platform_terminal_width(stdout),
        .colour = say_in_colour(stdout),
    };
    const struct status_options *options = self;
    int rc = session_open(globals, &session, err);

    if (rc == 0)
        rc = hooking_report(&session, &report, err);
    if (rc < 0)
        return rc;
    rc = options->json ? report_encode_hook(&report, &text) : report_print(&report, &style, &text);
    if (rc < 0)
        return err_set(err, rc, "out of memory");
    (void)fwrite(text.data, 1, text.len, stdout);
    if (!options->json)
        show_rest(&report.hook);
    return report_is_well(&report) ? CMD_FINE : CMD_NOT_WELL;
}

/* ---- the table ------------------------------------------------------------------------------- */

static const struct flag install_flags[] = {
    {.name = "print",
     .kind = FLAG_BOOL,
     .offset = offsetof(struct install_options, print),
     .help = "print what the system would be told, and install nothing"},
    {.name = "for",
     .kind = FLAG_TEXT,
     .offset = offsetof(struct install_options, system),
     .value = "<system>",
     .help = "with --print: linux, macos or windows (this one)"},
};

static const struct cmd_verb verb_install = {
    .name = "install",
    .args = "[flags]",
    .summary = "have the watcher run whenever you are logged in",
    .details =
        "   Tells the system to run `finch-soci hook watch` with your session, and to run it\n"
        "   again when it fails: launchd by an agent, the Task Scheduler by a task, systemd by\n"
        "   a unit of your own. Starts it now. `enable` does this too.\n",
    .examples = "   finch-soci hook install\n"
                "   finch-soci hook install --print\n",
    .flags = install_flags,
    .flag_count = ARRAY_LEN(install_flags),
    .options_bytes = sizeof(struct install_options),
    .run = run_install,
};

static const struct cmd_verb verb_uninstall = {
    .name = "uninstall",
    .args = "[global flags]",
    .summary = "the watcher is gone, with its log and all that it kept",
    .details = "   `disable` does this too. The snapshotter in the machine stays.\n",
    .examples = "   finch-soci hook uninstall\n",
    .run = run_uninstall,
};

static const struct flag status_flags[] = {
    {.name = "json",
     .kind = FLAG_BOOL,
     .offset = offsetof(struct status_options, json),
     .help = "one JSON object (docs/hook.md)"},
};

static const struct cmd_verb verb_status = {
    .name = "status",
    .args = "[flags]",
    .summary = "whether it watches, what it did last, and where its log is",
    .details = "   The exit status is 3 when it is installed and does not watch, or when it could\n"
               "   not look after the machine at its last start.\n",
    .examples = "   finch-soci hook status\n",
    .flags = status_flags,
    .flag_count = ARRAY_LEN(status_flags),
    .options_bytes = sizeof(struct status_options),
    .run = run_status,
};

static const struct cmd_verb *const verbs[] = {
    &verb_install,           &verb_uninstall,        &verb_status, &cmd_verb_hook_watch,
    &cmd_verb_hook_vm_start, &cmd_verb_hook_vm_stop, NULL,
};

const struct cmd_verb cmd_verb_hook = {
    .name = "hook",
    .args = "install|uninstall|status|watch|vm-start|vm-stop [flags]",
    .summary = "the machine is looked after at each of its starts",
    .details =
        "   A watcher that runs while you are logged in sees the machine start, by whatever\n"
        "   command of Finch's, waits until it has booted, and makes it what finch.yaml asks\n"
        "   for. The machine, Finch and Lima do not wait for it, and do not notice it.\n",
    .verbs = verbs,
    .examples = "   finch-soci hook status\n"
                "   finch-soci hook install\n",
};
