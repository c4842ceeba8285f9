/* SPDX-License-Identifier: Apache-2.0 */
/* watch.c – the watcher: it sleeps until something happens to the instance's directory or to those
 * above it, or to the host agent, then looks, and has done what is to be done.
 *
 * While the machine runs, `limactl watch` tells when it has booted, where this limactl knows how
 * to. It is told nothing but that: whether the machine runs is always seen by Lima's files, so a
 * limactl that says nothing, ends, or never was, is no loss. */
#include "hook/hook.h"

#include "base/clock.h"
#include "base/files.h"
#include "base/text.h"

#include <stdio.h>

enum { DIRS_MAX = 2 };                    /* the deepest that is there, and the one above it */
enum { LOOK_WITHOUT_TELLING_MS = 10000 }; /* where the system does not tell of a process's end */
enum { LINE_MAX_BYTES = 64 * 1024 };
enum { LIMACTL_TRIES = 3, LIMACTL_RETRY_MS = 60 * 1000 };

struct watcher {
    const struct hook_watch *how;
    struct platform_waiter *waiter;
    struct hook_decider decider;
    struct hook_sight sight;
    int64_t last_look_ms;
    bool must_look;
    bool tells_end;                             /* the end of the host agent will be told */
    int start_child, stop_child, limactl_child; /* -1: none */
    unsigned limactl_failures;                  /* in this run of the machine */
    int64_t limactl_retry_ms;
    struct buf line; /* of limactl's, as far as it came */
    bool line_is_cut;
};

/* ---- what is slept on ------------------------------------------------------------------------ */

/* "/a/b" of "/a/b/c"; false: there is nothing above it. */
static bool go_up(char *path)
{
    char *slash = strrchr(path, '/');
    char *backslash = strrchr(path, '\\');
    char *end = backslash != NULL && (slash == NULL || backslash > slash) ? backslash : slash;

    if (end == NULL || end[1] == '\0')
        return false;
    end[end == path ? 1 : 0] = '\0';
    return true;
}

/* An instance that is made anew is made in the directory above, and that may be made anew too. */
static int watch_dirs(struct watcher *watcher, struct err *err)
{
    SCOPED(mem) char *deepest = text_copy(watcher->how->instance_dir);
    SCOPED(mem) char *above = NULL;
    const char *dirs[DIRS_MAX + 1] = {NULL};

    if (deepest == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    while (!path_exists(deepest) && go_up(deepest))
        ;
    above = text_copy(deepest);
    if (above == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    dirs[0] = deepest;
    dirs[1] = go_up(above) ? above : NULL;
    return platform_waiter_set_dirs(watcher->waiter, dirs, err);
}

static void watch_agent(struct watcher *watcher)
{
    int64_t pid = watcher->sight.kind == HOOK_RUNS ? watcher->sight.run.pid : 0;
    int rc = platform_waiter_set_process(watcher->waiter, pid, NULL);

    watcher->tells_end = rc == 0;
    if (rc == -ESRCH)
        watcher->must_look = true; /* it went since we looked */
}

/* ---- programs -------------------------------------------------------------------------------- */

static int run_own(struct watcher *watcher, const char *const *argv)
{
    const struct platform_child child = {.argv = argv};
    struct err err = ERR_NONE;
    int number = -1;

    if (platform_waiter_start(watcher->waiter, &child, &number, &err) < 0)
        hook_log(watcher->how->files, "%s", err_text(&err));
    return number;
}

static void take_step(struct watcher *watcher, enum hook_step step)
{
    const struct hook_watch *how = watcher->how;
    int *child = step == HOOK_START ? &watcher->start_child : &watcher->stop_child;

    if (step == HOOK_WAIT)
        return;
    hook_log(how->files,
             step == HOOK_START ? "watch: the machine %s runs (host agent %lld)"
                                : "watch: the machine %s does not run any more",
             how->instance, (long long)watcher->decider.run.pid);
    *child = run_own(watcher, step == HOOK_START ? how->start_argv : how->stop_argv);
    if (*child < 0)
        hook_decide_ended(&watcher->decider, step, false, clock_mono_ms());
}

static bool may_run_limactl(const struct watcher *watcher)
{
    return watcher->how->limactl != NULL && watcher->decider.is_up &&
           watcher->sight.kind == HOOK_RUNS && watcher->limactl_child < 0 &&
           watcher->limactl_failures < LIMACTL_TRIES &&
           clock_mono_ms() >= watcher->limactl_retry_ms;
}

static void keep_limactl(struct watcher *watcher)
{
    const struct hook_watch *how = watcher->how;
    const char *const argv[] = {how->limactl, "watch", "--json", how->instance, NULL};
    SCOPED(mem) char *home = text_format("LIMA_HOME=%s", how->lima_home);
    const char *const settings[] = {home, NULL};
    const struct platform_child child = {.argv = argv, .settings = settings, .gives_output = true};

    if (!watcher->decider.is_up) {
        watcher->limactl_failures = 0;
        watcher->limactl_retry_ms = 0;
        if (watcher->limactl_child >= 0)
            platform_waiter_end(watcher->waiter, watcher->limactl_child);
        return;
    }
    if (home == NULL || !may_run_limactl(watcher))
        return;
    watcher->line.len = 0;
    watcher->line_is_cut = false;
    if (platform_waiter_start(watcher->waiter, &child, &watcher->limactl_child, NULL) < 0)
        watcher->limactl_failures = LIMACTL_TRIES;
}

static void limactl_ended(struct watcher *watcher)
{
    watcher->limactl_child = -1;
    watcher->limactl_failures++;
    watcher->limactl_retry_ms = clock_mono_ms() + LIMACTL_RETRY_MS;
}

/* ---- what is told ---------------------------------------------------------------------------- */

static void take_line(struct watcher *watcher, struct bytes line)
{
    struct hook_event event;

    if (hook_event_parse(line, watcher->how->instance, &event, NULL) < 0)
        return;
    if (event.booted && !watcher->decider.has_booted)
        hook_log(watcher->how->files, "watch: the machine has booted%s",
                 event.degraded ? ", though not all went well" : "");
    if (event.booted)
        hook_decide_booted(&watcher->decider, clock_mono_ms());
    watcher->must_look = watcher->must_look || event.booted || event.exiting;
}

/* A line that is too long is no event of interest. */
static void take_output(struct watcher *watcher, struct bytes piece)
{
    for (size_t i = 0; i < piece.len; i++) {
        if (piece.data[i] == '\n') {
            if (!watcher->line_is_cut)
                take_line(watcher, buf_bytes(&watcher->line));
            watcher->line.len = 0;
            watcher->line_is_cut = false;
        } else if (watcher->line.len >= LINE_MAX_BYTES ||
                   buf_add_byte(&watcher->line, piece.data[i]) < 0) {
            watcher->line_is_cut = true;
        }
    }
}

static void take_end(struct watcher *watcher, int child, int exit_status)
{
    int64_t now_ms = clock_mono_ms();

    if (child == watcher->start_child) {
        watcher->start_child = -1;
        hook_decide_ended(&watcher->decider, HOOK_START, exit_status == 0, now_ms);
    } else if (child == watcher->stop_child) {
        watcher->stop_child = -1;
        hook_decide_ended(&watcher->decider, HOOK_STOP, exit_status == 0, now_ms);
    } else if (child == watcher->limactl_child) {
        limactl_ended(watcher);
    }
    watcher->must_look = true;
}

/* ---- the loop -------------------------------------------------------------------------------- */

/* Watched first, then looked at: what happens between is told. */
static int look(struct watcher *watcher, struct err *err)
{
    enum hook_step step;
    int rc = watch_dirs(watcher, err);

    if (rc == -ENOMEM)
        return rc;
    if (rc < 0) {
        hook_log(watcher->how->files, "watch: %s: looking every %d s", err_text(err),
                 LOOK_WITHOUT_TELLING_MS / 1000);
        watcher->tells_end = false;
    }
    watcher->must_look = false;
    watcher->last_look_ms = clock_mono_ms();
    watcher->sight = hook_look(watcher->how->instance_dir);
    if (rc == 0)
        watch_agent(watcher);
    do {
        step = hook_decide(&watcher->decider, &watcher->sight, watcher->last_look_ms);
        take_step(watcher, step);
    } while (step != HOOK_WAIT);
    keep_limactl(watcher);
    return 0;
}

static int64_t pause_ms(const struct watcher *watcher)
{
    int64_t now_ms = clock_mono_ms(), pause;

    if (watcher->must_look) {
        pause = watcher->last_look_ms + HOOK_LOOK_MIN_MS - now_ms;
        return pause < 0 ? 0 : pause;
    }
    pause = hook_decide_pause_ms(&watcher->decider, &watcher->sight, now_ms);
    if (!watcher->tells_end && pause > LOOK_WITHOUT_TELLING_MS)
        return LOOK_WITHOUT_TELLING_MS;
    return pause;
}

/* 1: woken. */
static int wait_once(struct watcher *watcher, struct err *err)
{
    struct platform_event event;
    int rc = platform_waiter_wait(watcher->waiter, pause_ms(watcher), &event, err);

    if (rc < 0)
        return rc;
    switch (event.kind) {
    case PLATFORM_WOKEN:
        return 1;
    case PLATFORM_OUTPUT:
        take_output(watcher, event.output);
        break;
    case PLATFORM_ENDED:
        take_end(watcher, event.child, event.exit_status);
        break;
    case PLATFORM_TIMEOUT:
    case PLATFORM_CHANGED:
    case PLATFORM_GONE:
        watcher->must_look = true;
        break;
    }
    return 0;
}

int hook_watch(const struct hook_watch *watch, struct platform_waiter *waiter, struct err *err)
{
    struct watcher watcher = {
        .how = watch,
        .waiter = waiter,
        .start_child = -1,
        .stop_child = -1,
        .limactl_child = -1,
        .line = BUF_EMPTY,
    };
    int rc = look(&watcher, err);

    while (rc == 0) {
        rc = wait_once(&watcher, err);
        if (rc == 0 && watcher.must_look &&
            clock_mono_ms() - watcher.last_look_ms >= HOOK_LOOK_MIN_MS)
            rc = look(&watcher, err);
    }
    buf_fini(&watcher.line);
    return rc < 0 ? rc : 0;
}
