/* SPDX-License-Identifier: Apache-2.0 */
/* windows_hook.c – the hook as a task of the Task Scheduler that starts when the user logs on;
 * where such a task may not be registered, as an entry of his registry that starts it then. */
#include "platform/platform.h"

#include "base/files.h"
#include "base/process.h"
#include "base/text.h"
#include "base/windows.h"
#include "platform/windows_internal.h"

enum { SCHTASKS_TIMEOUT_MS = 30000, SCHTASKS_SAID_MAX_BYTES = 4096 };

#define RUN_KEY L"Software\\Microsoft\\Windows\\CurrentVersion\\Run"

const enum platform_hook_form platform_hook_form = PLATFORM_HOOK_TASK;

/* ---- the launcher ---------------------------------------------------------------------------- */

/* The console that a program gets from it is never shown. */
#define LAUNCHER "conhost.exe"
#define LAUNCHER_FLAG "--headless"

/* By its path: what is looked for in directories may be found in another. */
int platform_hook_launcher(struct text_list *words)
{
    SCOPED(mem) char *program = windows_system_program(LAUNCHER);
    int rc = program == NULL ? -ENOMEM : text_list_add(words, program);

    return rc < 0 ? rc : text_list_add(words, LAUNCHER_FLAG);
}

/* Without these words: what we start ourselves has no console. */
static const char *const *without_launcher(const char *const *argv)
{
    return argv[0] != NULL && argv[1] != NULL && strcmp(path_name(argv[0]), LAUNCHER) == 0 &&
                   strcmp(argv[1], LAUNCHER_FLAG) == 0
               ? argv + 2
               : argv;
}

/* The same of a command line. */
static const wchar_t *line_without_launcher(const wchar_t *line)
{
    SCOPED(mem) char *program = windows_system_program(LAUNCHER);
    SCOPED(mem)
    wchar_t *words =
        program == NULL ? NULL
                        : windows_command_line((const char *const[]){program, LAUNCHER_FLAG, NULL});
    size_t len = words == NULL ? 0 : wcslen(words);

    return len > 0 && wcsncmp(line, words, len) == 0 && line[len] == L' ' ? line + len + 1 : line;
}

/* ---- the Task Scheduler ---------------------------------------------------------------------- */

/* `schtasks words…`: its exit status, or a negative errno. What it says is in the user's language:
 * only its status is looked at. */
static int schtasks(const char *const *words, struct buf *ret_out, struct err *err)
{
    SCOPED(process_end) struct process_end end = PROCESS_END_NONE;
    SCOPED(mem) char *program = windows_system_program("schtasks.exe");
    const char *argv[10] = {program};
    const struct process_run run = {.argv = argv,
                                    .kept_error_bytes = SCHTASKS_SAID_MAX_BYTES,
                                    .timeout_ms = SCHTASKS_TIMEOUT_MS};
    const char *said;
    int rc;

    if (program == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; words[i] != NULL && i + 2 < ARRAY_LEN(argv); i++)
        argv[1 + i] = words[i];
    rc = process_run(&run, &end, err);
    if (rc < 0)
        return rc;
    said = buf_str(&end.err);
    if (end.exit_status != 0)
        (void)err_set(err, -EIO, "schtasks %s: %.*s", words[0],
                      said == NULL ? 0 : (int)strcspn(said, "\r\n"), said == NULL ? "" : said);
    if (ret_out != NULL && buf_add(ret_out, end.out.data, end.out.len) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    return end.exit_status;
}

static bool has_task(const char *name)
{
    const char *const words[] = {"/Query", "/FO", "CSV", "/NH", "/TN", name, NULL};
    SCOPED(buf_value) struct buf said = BUF_EMPTY;
    const char *line;

    if (schtasks(words, &said, NULL) != 0)
        return false;
    line = buf_str(&said);
    return line != NULL && strstr(line, name) != NULL;
}

/* The scheduler takes UTF-16 with its mark alone, whatever the text itself says. */
static int write_xml(struct bytes text, char **ret, struct err *err)
{
    SCOPED(mem) char *utf8 = text_format("%.*s", (int)text.len, (const char *)text.data);
    SCOPED(mem) wchar_t *wide = utf8 == NULL ? NULL : windows_wide(utf8);
    SCOPED(buf_value) struct buf xml = BUF_EMPTY;
    SCOPED(mem) char *path = NULL;
    const char *dir = getenv("TEMP");
    int rc;

    path = text_format("%s\\finch-soci-%lu.xml", dir == NULL ? "." : dir,
                       (unsigned long)GetCurrentProcessId());
    if (path == NULL || wide == NULL || buf_add(&xml, "\xff\xfe", 2) < 0 ||
        buf_add(&xml, wide, wcslen(wide) * sizeof(*wide)) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    rc = file_replace(path, buf_bytes(&xml), 0600, err);
    if (rc == 0)
        *ret = TAKE(path);
    return rc;
}

static int make_task(const struct platform_hook *hook, struct err *err)
{
    SCOPED(mem) char *xml = NULL;
    int rc = write_xml(hook->text, &xml, err);
    const char *const create[] = {"/Create", "/F", "/TN", hook->name, "/XML", xml, NULL};
    const char *const run[] = {"/Run", "/TN", hook->name, NULL};

    if (rc < 0)
        return rc;
    rc = schtasks(create, NULL, err);
    (void)!file_unlink(xml, NULL);        /* nothing is in it that may not be read */
    if (rc == 0 && !has_task(hook->name)) /* wine's takes everything and keeps nothing */
        rc = err_set(err, -EIO, "the Task Scheduler does not know the task that it has taken");
    if (rc == 0)
        rc = schtasks(run, NULL, err);
    return rc > 0 ? -EIO : rc;
}

/* ---- the registry ---------------------------------------------------------------------------- */

static bool has_entry(const wchar_t *name)
{
    DWORD size = 0;

    return RegGetValueW(HKEY_CURRENT_USER, RUN_KEY, name, RRF_RT_REG_SZ, NULL, NULL, &size) ==
           ERROR_SUCCESS;
}

static void end_started(const wchar_t *name)
{
    enum { LINE_UNITS = 32768 };
    SCOPED(mem) wchar_t *value = calloc(LINE_UNITS, sizeof(*value));
    DWORD size = LINE_UNITS * sizeof(*value);

    if (value != NULL && RegGetValueW(HKEY_CURRENT_USER, RUN_KEY, name, RRF_RT_REG_SZ, NULL, value,
                                      &size) == ERROR_SUCCESS)
        windows_end_started_by(line_without_launcher(value));
}

static int put_entry(const wchar_t *name, const wchar_t *line, struct err *err)
{
    LSTATUS error = RegSetKeyValueW(HKEY_CURRENT_USER, RUN_KEY, name, REG_SZ, line,
                                    (DWORD)((wcslen(line) + 1) * sizeof(*line)));

    return error == ERROR_SUCCESS
               ? 0
               : err_sys(err, -windows_errno((DWORD)error), "HKCU\\%ls", RUN_KEY);
}

/* Runs on when we have gone, in a job of nobody's. */
static int start_now(const char *const *argv, struct err *err)
{
    SCOPED(mem) wchar_t *environment = windows_environment(NULL, NULL);
    SCOPED(mem) char *program = NULL;
    const char *whole[16] = {NULL};
    struct windows_program started = {.process = NULL};
    int rc = path_name(argv[0]) == argv[0] ? process_find_program(argv[0], &program, err) : 0;

    if (rc < 0)
        return rc;
    for (size_t i = 0; argv[i] != NULL && i + 1 < ARRAY_LEN(whole); i++)
        whole[i] = i == 0 && program != NULL ? program : argv[i];
    rc = environment == NULL
             ? err_set(err, -ENOMEM, "out of memory")
             : windows_program_start(whole, environment, (const HANDLE[3]){NULL}, &started, err);
    windows_program_close(&started);
    return rc;
}

static int make_entry(const struct platform_hook *hook, struct err *err)
{
    SCOPED(mem) wchar_t *name = windows_wide(hook->name);
    SCOPED(mem) wchar_t *line = windows_command_line(hook->argv);
    int rc = name == NULL || line == NULL ? err_set(err, -ENOMEM, "out of memory")
                                          : put_entry(name, line, err);

    return rc < 0 ? rc : start_now(without_launcher(hook->argv), err);
}

/* ---- the three ------------------------------------------------------------------------------- */

int platform_hook_install(const struct platform_hook *hook, char **ret_note, struct err *err)
{
    struct err why = ERR_NONE;
    int rc = platform_hook_remove(hook->name, err);

    *ret_note = NULL;
    if (rc < 0)
        return rc;
    rc = make_task(hook, &why);
    if (rc == 0)
        return 0;
    if (rc == -ENOMEM)
        return err_set(err, rc, "out of memory");
    rc = make_entry(hook, err);
    if (rc < 0)
        return err_prefix(err, rc, "%s; and", err_text(&why));
    *ret_note = text_format("it starts by HKCU\\%ls when you log on, and is not started again when "
                            "it ends, since no task can be registered here: %s",
                            RUN_KEY, err_text(&why)); /* it ends with the user's session */
    return *ret_note == NULL ? err_set(err, -ENOMEM, "out of memory") : 0;
}

int platform_hook_remove(const char *name, struct err *err)
{
    SCOPED(mem) wchar_t *wide = windows_wide(name);
    const char *const end[] = {"/End", "/TN", name, NULL};
    const char *const delete[] = {"/Delete", "/F", "/TN", name, NULL};
    int rc, found = 0;

    if (wide == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    if (has_task(name)) {
        (void)!schtasks(end, NULL, NULL);
        rc = schtasks(delete, NULL, err);
        if (rc != 0)
            return rc < 0 ? rc : -EIO;
        found = 1;
    }
    if (has_entry(wide)) {
        LSTATUS error;

        end_started(wide);
        error = RegDeleteKeyValueW(HKEY_CURRENT_USER, RUN_KEY, wide);

        if (error != ERROR_SUCCESS)
            return err_sys(err, -windows_errno((DWORD)error), "HKCU\\%ls", RUN_KEY);
        found = 1;
    }
    return found;
}

int platform_hook_find(const char *name, enum platform_hook_state *ret, char **ret_where,
                       struct err *err)
{
    SCOPED(mem) wchar_t *wide = windows_wide(name);
    bool is_task = has_task(name);

    *ret = PLATFORM_HOOK_NONE;
    *ret_where = NULL;
    if (wide == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    if (!is_task && !has_entry(wide))
        return 0;
    *ret = PLATFORM_HOOK_IDLE; /* whether it runs is said in the user's language alone */
    *ret_where = is_task ? text_format("Task Scheduler: %s", name)
                         : text_format("HKCU\\%ls: %s", RUN_KEY, name);
    return *ret_where == NULL ? err_set(err, -ENOMEM, "out of memory") : 0;
}
