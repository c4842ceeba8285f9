/* SPDX-License-Identifier: Apache-2.0 */
/* hooking.c – the hook of a machine: what it is called, what it runs, and what it came to. */
#include "cmd/internal.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

#define HOOK_NAME "finch-soci-hook"
#define HOOK_FINCH "finch" /* the instance that needs no mention */

void hooking_fini(struct hooking *hooking)
{
    hook_files_fini(&hooking->files);
    free(hooking->name);
    hooking->name = NULL;
}

int hooking_open(const struct session *session, struct hooking *ret, struct err *err)
{
    const char *instance = session->places.instance;
    SCOPED(hooking) struct hooking hooking = {.name = NULL};
    int rc;

    if (session->is_local)
        return err_set(err, -EOPNOTSUPP,
                       "Finch on Linux has no machine that is started: the snapshotter starts with "
                       "this system; --lima-home says where a machine of Lima's is");
    hooking.name = strcmp(instance, HOOK_FINCH) == 0 ? text_copy(HOOK_NAME)
                                                     : text_format(HOOK_NAME "-%s", instance);
    if (hooking.name == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    rc = hook_files_init(session->config, instance, &hooking.files, err);
    if (rc < 0)
        return rc;
    *ret = hooking;
    hooking = (struct hooking){.name = NULL};
    return 0;
}

/* ---- what it runs ---------------------------------------------------------------------------- */

/* A path that is the same wherever it is run. */
static int add_path(struct text_list *words, const char *flag, const char *path)
{
    SCOPED(mem) char *whole = path == NULL ? NULL : platform_absolute(path);
    int rc;

    if (path == NULL)
        return 0;
    rc = whole == NULL ? -ENOMEM : text_list_add(words, flag);
    return rc < 0 ? rc : text_list_add(words, whole);
}

/* Whoever starts it later has not our directory, nor our variables. */
static int add_words(const struct session *session, const char *verb, struct text_list *words)
{
    const struct cmd_globals *globals = session->globals;
    SCOPED(mem) char *program = platform_program();
    int rc = program == NULL ? -ENOMEM : text_list_add(words, program);

    if (rc == 0)
        rc = add_path(words, "--config", session->config);
    if (rc == 0)
        rc = add_path(words, "--lima-home", session->places.lima_home);
    if (rc == 0)
        rc = add_path(words, "--finch-root", globals->finch_root);
    if (rc == 0)
        rc = add_path(words, "--bundle", globals->bundle);
    if (rc == 0 && strcmp(session->places.instance, HOOK_FINCH) != 0) {
        rc = text_list_add(words, "--instance");
        if (rc == 0)
            rc = text_list_add(words, session->places.instance);
    }
    if (rc == 0)
        rc = text_list_add(words, "hook");
    return rc < 0 ? rc : text_list_add(words, verb);
}

/* NULL at the end, as programs are started with. */
static int end_words(struct text_list *words)
{
    int rc = text_list_add(words, "");

    if (rc < 0)
        return rc;
    free(words->items[--words->count]);
    words->items[words->count] = NULL;
    return 0;
}

int hooking_words(const struct session *session, const char *verb, bool is_own,
                  struct text_list *ret, struct err *err)
{
    int rc = is_own ? 0 : platform_hook_launcher(ret);

    if (rc == 0)
        rc = add_words(session, verb, ret);
    if (rc == 0 && is_own)
        rc = text_list_add(ret, "--log");
    if (rc == 0)
        rc = end_words(ret);
    return rc < 0 ? err_set(err, rc, "out of memory") : 0;
}

/* ---- there and gone -------------------------------------------------------------------------- */

/* What is run later is nowhere in particular, so directories that are not absolute are left out. */
static int add_search_path(struct text_list *ret)
{
    SCOPED(text_list) struct text_list dirs = TEXT_LIST_EMPTY;
    SCOPED(buf_value) struct buf setting = BUF_EMPTY;
    const char *path = getenv("PATH");
    int rc = path == NULL ? 0 : text_list_split(&dirs, path, ':');

    for (size_t i = 0; rc == 0 && i < dirs.count; i++) {
        if (dirs.items[i][0] == '/')
            rc = buf_addf(&setting, "%s%s", setting.len == 0 ? "PATH=" : ":", dirs.items[i]);
    }
    if (rc < 0 || setting.len == 0)
        return rc;
    return buf_str(&setting) == NULL ? -ENOMEM : text_list_add(ret, buf_str(&setting));
}

static int make_environment(const struct session *session, struct text_list *ret)
{
    SCOPED(mem) char *home = platform_absolute(session->places.lima_home);
    SCOPED(mem) char *lima = home == NULL ? NULL : text_format("LIMA_HOME=%s", home);
    int rc = lima == NULL ? -ENOMEM : add_search_path(ret);

    if (rc == 0)
        rc = text_list_add(ret, lima);
    return rc < 0 ? rc : end_words(ret);
}

int hooking_text(const struct session *session, const struct hooking *hooking,
                 enum platform_hook_form form, struct text_list *ret_words, struct buf *ret,
                 struct err *err)
{
    SCOPED(text_list) struct text_list environment = TEXT_LIST_EMPTY;
    SCOPED(mem) char *user = platform_user();
    struct hook_wish wish = {.name = hooking->name, .user = user};
    int rc = hooking_words(session, "watch", false, ret_words, err);

    if (rc == 0 && make_environment(session, &environment) < 0)
        rc = err_set(err, -ENOMEM, "out of memory");
    if (rc < 0)
        return rc;
    wish.argv = (const char *const *)ret_words->items;
    wish.environment = (const char *const *)environment.items;
    return hook_text(form, &wish, ret, err);
}

int hooking_install(const struct session *session, struct err *err)
{
    SCOPED(hooking) struct hooking hooking = {.name = NULL};
    SCOPED(text_list) struct text_list words = TEXT_LIST_EMPTY;
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    SCOPED(mem) char *note = NULL;
    struct platform_hook hook;
    int rc = hooking_open(session, &hooking, err);

    if (rc == 0)
        rc = hooking_text(session, &hooking, platform_hook_form, &words, &text, err);
    if (rc < 0)
        return rc;
    hook = (struct platform_hook){
        .name = hooking.name, .text = buf_bytes(&text), .argv = (const char *const *)words.items};
    rc = platform_hook_install(&hook, &note, err);
    if (rc == 0 && note != NULL)
        say(session->globals, "%s", note);
    return rc < 0 ? err_prefix(err, rc, "the hook is not installed") : 0;
}

int hooking_uninstall(const struct session *session, struct err *err)
{
    SCOPED(hooking) struct hooking hooking = {.name = NULL};
    int rc = hooking_open(session, &hooking, err);

    if (rc == 0)
        rc = platform_hook_remove(hooking.name, err);
    if (rc < 0)
        return err_prefix(err, rc, "the hook is still installed");
    hook_files_remove(&hooking.files);
    return rc;
}

int hooking_leave_out(const struct session *session, struct err *err)
{
    SCOPED(hooking) struct hooking hooking = {.name = NULL};
    int rc = hooking_open(session, &hooking, err);

    if (rc == 0)
        rc = platform_hook_remove(hooking.name, err);
    if (rc > 0)
        hook_files_remove(&hooking.files);
    return rc < 0 ? err_prefix(err, rc, "the hook is still installed") : rc;
}

/* ---- what it came to ------------------------------------------------------------------------- */

static void copy_run(struct report_hook_run *to, const struct hook_record *from)
{
    report_clean(to->result, sizeof(to->result), from->result);
    report_clean(to->time, sizeof(to->time), from->time);
    report_clean(to->text, sizeof(to->text), from->text);
    to->took_ms = from->took_ms;
    to->failed = from->failed;
}

/* What it did last: the start or the stop. RFC 3339 in UTC is in the order of time. */
static const struct hook_record *last_of(const struct hook_state *state)
{
    return strcmp(state->start.time, state->stop.time) >= 0 ? &state->start : &state->stop;
}

static void add_row(const struct hook_state *state, struct report *report)
{
    const struct hook_record *last = last_of(state);
    SCOPED(mem)
    char *did = last->time[0] == '\0' ? text_copy("it has done nothing yet")
                                      : text_format("%s, %s", last->text, last->time);
    const char *text = did == NULL ? "" : did;
    SCOPED(mem) char *whole = NULL;

    if (state->registered == PLATFORM_HOOK_NONE && !state->watches) {
        report_add(report, "hook", REPORT_UNKNOWN,
                   "not installed: a machine that is made anew stays without the snapshotter",
                   "finch-soci hook install");
    } else if (!state->watches) {
        whole = text_format("installed (%s), but it does not run; %s", state->where, text);
        report_add(report, "hook", REPORT_NOT_WELL, whole == NULL ? "" : whole,
                   "finch-soci hook install");
    } else if (state->start.failed) {
        whole = text_format("could not look after the machine: %s, %s", state->start.text,
                            state->start.time);
        report_add(report, "hook", REPORT_NOT_WELL, whole == NULL ? "" : whole,
                   "finch-soci hook vm-start");
    } else {
        whole = text_format("watches; %s", text);
        report_add(report, "hook", REPORT_WELL, whole == NULL ? "" : whole, "");
    }
}

int hooking_report(const struct session *session, struct report *report, struct err *err)
{
    SCOPED(hooking) struct hooking hooking = {.name = NULL};
    SCOPED(hook_state) struct hook_state state = {.where = NULL};
    int rc = hooking_open(session, &hooking, err);

    if (rc == 0)
        rc = hook_state_get(&hooking.files, hooking.name, &state, err);
    if (rc < 0)
        return rc;
    report->hook.installed = state.registered != PLATFORM_HOOK_NONE;
    report->hook.watches = state.watches;
    report_clean(report->hook.where, sizeof(report->hook.where),
                 state.where == NULL ? "" : state.where);
    report_clean(report->hook.log, sizeof(report->hook.log), hooking.files.log);
    copy_run(&report->hook.start, &state.start);
    copy_run(&report->hook.stop, &state.stop);
    add_row(&state, report);
    return 0;
}
