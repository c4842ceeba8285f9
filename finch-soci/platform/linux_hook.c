/* SPDX-License-Identifier: Apache-2.0 */
/* linux_hook.c – the hook as a unit of systemd's user manager. */
#include "platform/internal.h"

#include "base/cleanup.h"
#include "base/files.h"
#include "base/process.h"
#include "base/text.h"

#include <string.h>

enum { SYSTEMCTL_TIMEOUT_MS = 30000, SYSTEMCTL_SAID_MAX_BYTES = 4096 };

#define COMMENT "# "

const enum platform_hook_form platform_hook_form = PLATFORM_HOOK_UNIT;

/* ---- the user's manager ---------------------------------------------------------------------- */

/* Whoever came by su or sudo has no variable that says where his manager is. */
static char *runtime_setting(void)
{
    SCOPED(mem) char *usual = text_format("/run/user/%u", (unsigned)getuid());
    const char *said = getenv("XDG_RUNTIME_DIR");

    if (said != NULL && *said != '\0')
        return text_format("XDG_RUNTIME_DIR=%s", said);
    return usual != NULL && path_exists(usual) ? text_format("XDG_RUNTIME_DIR=%s", usual)
                                               : text_copy("SYSTEMD_PAGER=");
}

/* `systemctl --user words…`: its exit status, or a negative errno. */
static int systemctl(const char *const *words, struct err *err)
{
    SCOPED(process_end) struct process_end end = PROCESS_END_NONE;
    SCOPED(mem) char *runtime = runtime_setting();
    const char *settings[] = {runtime, "LC_ALL=C", NULL};
    const char *argv[8] = {"systemctl", "--user", "--no-pager"};
    const struct process_run run = {.argv = argv,
                                    .settings = settings,
                                    .kept_error_bytes = SYSTEMCTL_SAID_MAX_BYTES,
                                    .timeout_ms = SYSTEMCTL_TIMEOUT_MS};
    const char *said;
    int rc;

    for (size_t i = 0; words[i] != NULL && i + 4 < ARRAY_LEN(argv); i++)
        argv[3 + i] = words[i];
    if (runtime == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    rc = process_run(&run, &end, err);
    if (rc < 0)
        return rc;
    said = buf_str(&end.err);
    if (end.exit_status != 0)
        (void)err_set(err, -EIO, "systemctl --user %s: %.*s", words[0],
                      said == NULL ? 0 : (int)strcspn(said, "\n"), said == NULL ? "" : said);
    return end.exit_status;
}

static int must(const char *const *words, struct err *err)
{
    int rc = systemctl(words, err);

    return rc > 0 ? -EIO : rc;
}

static int check_manager(struct err *err)
{
    static const char *const words[] = {"show", "--property=Version", NULL};
    struct err why = ERR_NONE;
    int rc = systemctl(words, &why);

    if (rc == 0)
        return 0;
    if (rc == -ENOMEM)
        return err_set(err, rc, "out of memory");
    return err_set(err, -EOPNOTSUPP,
                   "systemd has no manager for this user here (%s): have `finch-soci hook watch` "
                   "started when you log in",
                   err_text(&why));
}

/* ---- the unit -------------------------------------------------------------------------------- */

static char *unit_name(const char *name)
{
    return text_format("%s.service", name);
}

static char *unit_path(const char *name)
{
    SCOPED(mem) char *home = platform_home();
    const char *config = getenv("XDG_CONFIG_HOME");

    if (config != NULL && *config == '/')
        return text_format("%s/systemd/user/%s.service", config, name);
    return home == NULL ? NULL : text_format("%s/.config/systemd/user/%s.service", home, name);
}

/* systemctl removes it; where there is no manager any more, that is ours to do. */
static void remove_link(const char *path)
{
    SCOPED(mem) char *dir = text_copy(path);
    char *slash = dir == NULL ? NULL : strrchr(dir, '/');
    SCOPED(mem) char *wants = NULL, *link = NULL;

    if (slash == NULL)
        return;
    *slash = '\0';
    wants = path_join(dir, "default.target.wants");
    link = wants == NULL ? NULL : path_join(wants, slash + 1);
    if (link != NULL && unlink(link) == 0)
        (void)rmdir(wants);
}

static int start(const char *unit, struct err *err)
{
    const char *const reload[] = {"daemon-reload", NULL};
    const char *const enable[] = {"enable", unit, NULL};
    const char *const restart[] = {"restart", unit, NULL};
    int rc = must(reload, err);

    if (rc == 0)
        rc = must(enable, err);
    return rc == 0 ? must(restart, err) : rc;
}

int platform_hook_install(const struct platform_hook *hook, char **ret_note, struct err *err)
{
    SCOPED(mem) char *unit = unit_name(hook->name), *path = unit_path(hook->name);
    int rc;

    *ret_note = NULL;
    if (unit == NULL || path == NULL)
        return err_set(err, -ENOENT, "no home directory");
    rc = check_manager(err);
    if (rc == 0)
        rc = posix_hook_write(path, hook->text, COMMENT, err);
    if (rc < 0)
        return rc;
    rc = start(unit, err);
    if (rc < 0 && platform_hook_remove(hook->name, NULL) < 0)
        return err_prefix(err, rc, "%s is left", path);
    return rc;
}

int platform_hook_remove(const char *name, struct err *err)
{
    SCOPED(mem) char *unit = unit_name(name), *path = unit_path(name);
    const char *const disable[] = {"disable", "--now", unit, NULL};
    static const char *const reload[] = {"daemon-reload", NULL};
    int rc;

    if (unit == NULL || path == NULL)
        return err_set(err, -ENOENT, "no home directory");
    if (!path_exists(path))
        return 0;
    (void)systemctl(disable, NULL);
    remove_link(path);
    rc = posix_hook_unlink(path, COMMENT, err);
    if (rc > 0)
        (void)systemctl(reload, NULL);
    return rc;
}

int platform_hook_find(const char *name, enum platform_hook_state *ret, char **ret_where,
                       struct err *err)
{
    SCOPED(mem) char *unit = unit_name(name), *path = unit_path(name);
    const char *const active[] = {"is-active", unit, NULL};

    *ret = PLATFORM_HOOK_NONE;
    *ret_where = NULL;
    if (unit == NULL || path == NULL)
        return err_set(err, -ENOENT, "no home directory");
    if (!path_exists(path))
        return 0;
    *ret = systemctl(active, NULL) == 0 ? PLATFORM_HOOK_RUNS : PLATFORM_HOOK_IDLE;
    *ret_where = TAKE(path);
    return 0;
}
