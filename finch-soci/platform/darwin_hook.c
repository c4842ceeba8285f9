/* SPDX-License-Identifier: Apache-2.0 */
/* darwin_hook.c – the hook as an agent of launchd, in the domain of the user's graphical session.
 */
#include "platform/internal.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/files.h"
#include "base/process.h"
#include "base/text.h"

#include <string.h>

enum { LAUNCHCTL_TIMEOUT_MS = 30000, LAUNCHCTL_SAID_MAX_BYTES = 64 * 1024 };
/* To boot an agent out is to ask it to end; until it has, its name cannot be taken again. launchd
 * kills it after 20 s. */
enum { GONE_MS = 30000, GONE_STEP_MS = 100 };

const enum platform_hook_form platform_hook_form = PLATFORM_HOOK_AGENT;

/* ---- launchctl ------------------------------------------------------------------------------- */

/* Its exit status, or a negative errno. *ret_said, which may be NULL: what it printed. */
static int launchctl(const char *verb, const char *target, const char *path, struct buf *ret_said,
                     struct err *err)
{
    SCOPED(process_end) struct process_end end = PROCESS_END_NONE;
    const char *const argv[] = {"launchctl", verb, target, path, NULL};
    const struct process_run run = {.argv = argv,
                                    .max_output_bytes = LAUNCHCTL_SAID_MAX_BYTES,
                                    .kept_error_bytes = LAUNCHCTL_SAID_MAX_BYTES,
                                    .timeout_ms = LAUNCHCTL_TIMEOUT_MS};
    int rc = process_run(&run, &end, err);
    const char *said = rc < 0 ? NULL : buf_str(&end.err);

    if (rc < 0)
        return rc;
    if (end.exit_status != 0)
        (void)err_set(err, -EIO, "launchctl %s %s: %.*s", verb, target,
                      said == NULL ? 0 : (int)strcspn(said, "\n"), said == NULL ? "" : said);
    else if (ret_said != NULL && buf_add(ret_said, end.out.data, end.out.len) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    return end.exit_status;
}

static char *domain_name(void)
{
    return text_format("gui/%u", (unsigned)getuid());
}

static char *service_name(const char *name)
{
    return text_format("gui/%u/%s", (unsigned)getuid(), name);
}

static bool is_known(const char *target)
{
    return launchctl("print", target, NULL, NULL, NULL) == 0;
}

/* 0: it is not there, or no more. */
static int boot_out(const char *service, struct err *err)
{
    int64_t deadline_ms = clock_mono_ms() + GONE_MS;

    if (!is_known(service))
        return 0;
    (void)launchctl("bootout", service, NULL, NULL, NULL); /* what counts is what comes of it */
    while (is_known(service)) {
        if (clock_mono_ms() > deadline_ms)
            return err_set(err, -ETIMEDOUT, "launchd does not end %s", service);
        clock_sleep_ms(GONE_STEP_MS);
    }
    return 0;
}

/* ---- the agent ------------------------------------------------------------------------------- */

static char *agent_path(const char *name)
{
    SCOPED(mem) char *home = platform_home();

    return home == NULL ? NULL : text_format("%s/Library/LaunchAgents/%s.plist", home, name);
}

/* A user may have switched it off; who installs it wants it. */
static int boot_in(const char *domain, const char *service, const char *path, struct err *err)
{
    int rc = launchctl("enable", service, NULL, NULL, err);

    if (rc == 0)
        rc = launchctl("bootstrap", domain, path, NULL, err);
    return rc > 0 ? -EIO : rc;
}

/* Whoever came by ssh may have no graphical session: launchd reads the directory when one begins.
 */
int platform_hook_install(const struct platform_hook *hook, char **ret_note, struct err *err)
{
    SCOPED(mem) char *path = agent_path(hook->name), *service = service_name(hook->name);
    SCOPED(mem) char *domain = domain_name();
    bool has_session = domain != NULL && is_known(domain);
    int rc;

    *ret_note = NULL;
    if (path == NULL || service == NULL || domain == NULL)
        return err_set(err, -ENOENT, "no home directory");
    rc = has_session ? boot_out(service, err) : 0;
    if (rc == 0)
        rc = posix_hook_write(path, hook->text, NULL, err);
    if (rc < 0)
        return rc;
    if (!has_session) {
        *ret_note = text_copy("you are not logged in at the screen: it starts when you are");
        return 0;
    }
    rc = boot_in(domain, service, path, err);
    if (rc < 0 && platform_hook_remove(hook->name, NULL) < 0)
        return err_prefix(err, rc, "%s is left", path);
    return rc;
}

int platform_hook_remove(const char *name, struct err *err)
{
    SCOPED(mem) char *path = agent_path(name), *service = service_name(name);
    int rc;

    if (path == NULL || service == NULL)
        return err_set(err, -ENOENT, "no home directory");
    rc = boot_out(service, err);
    return rc < 0 ? rc : posix_hook_unlink(path, NULL, err);
}

int platform_hook_find(const char *name, enum platform_hook_state *ret, char **ret_where,
                       struct err *err)
{
    SCOPED(mem) char *path = agent_path(name), *service = service_name(name);
    SCOPED(buf_value) struct buf said = BUF_EMPTY;

    *ret = PLATFORM_HOOK_NONE;
    *ret_where = NULL;
    if (path == NULL || service == NULL)
        return err_set(err, -ENOENT, "no home directory");
    if (!path_exists(path))
        return 0;
    *ret = PLATFORM_HOOK_IDLE;
    if (launchctl("print", service, NULL, &said, NULL) == 0 && buf_str(&said) != NULL &&
        strstr(buf_str(&said), "state = running") != NULL)
        *ret = PLATFORM_HOOK_RUNS;
    *ret_where = TAKE(path);
    return 0;
}
