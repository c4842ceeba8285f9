/* SPDX-License-Identifier: Apache-2.0 */
/* files.c – where the hook keeps what it did, and its log. */
#include "hook/hook.h"

#include "base/clock.h"
#include "base/files.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

enum { LOG_LINE_BYTES = 1024 };

void hook_files_fini(struct hook_files *files)
{
    free(files->dir);
    free(files->log);
    free(files->old_log);
    free(files->start);
    free(files->stop);
    free(files->start_lock);
    free(files->watch_lock);
    *files = (struct hook_files){.dir = NULL};
}

static const char *last_slash(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *backslash = strrchr(path, '\\'); /* Windows takes both */

    return backslash != NULL && (slash == NULL || backslash > slash) ? backslash : slash;
}

int hook_files_init(const char *config, const char *instance, struct hook_files *ret,
                    struct err *err)
{
    SCOPED(hook_files) struct hook_files files = {.dir = NULL};
    const char *slash = last_slash(config);

    files.dir = slash == NULL
                    ? text_format("finch-soci/%s", instance)
                    : text_format("%.*s/finch-soci/%s", (int)(slash - config), config, instance);
    if (files.dir == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    files.log = path_join(files.dir, "hook.log");
    files.old_log = path_join(files.dir, "hook.log.1");
    files.start = path_join(files.dir, "vm-start.json");
    files.stop = path_join(files.dir, "vm-stop.json");
    files.start_lock = path_join(files.dir, "vm-start.lock");
    files.watch_lock = path_join(files.dir, "watch.lock");
    if (files.log == NULL || files.old_log == NULL || files.start == NULL || files.stop == NULL ||
        files.start_lock == NULL || files.watch_lock == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    *ret = files;
    files = (struct hook_files){.dir = NULL};
    return 0;
}

int hook_files_make_dir(const struct hook_files *files, struct err *err)
{
    return dir_make_all(files->dir, 0700, err);
}

void hook_files_remove(const struct hook_files *files)
{
    const char *const all[] = {files->log,  files->old_log,    files->start,
                               files->stop, files->start_lock, files->watch_lock};
    SCOPED(mem) char *above = NULL;

    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        (void)!file_unlink(all[i], NULL); /* one that is held for a moment is waited for */
    (void)rmdir(files->dir);
    above = strndup(files->dir, (size_t)(last_slash(files->dir) - files->dir));
    if (above != NULL)
        (void)rmdir(above); /* no other instance has one in it */
}

/* ---- the log --------------------------------------------------------------------------------- */

/* Much of it was said by a machine: no terminal obeys it, and a line is one line. */
static void clean(char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            *text = ' ';
    }
}

/* Nobody waits for who reads a pipe. */
static bool may_log(const struct hook_files *files)
{
    struct stat st;

    return stat(files->log, &st) < 0 || S_ISREG(st.st_mode);
}

void hook_log(const struct hook_files *files, const char *fmt, ...)
{
    char text[LOG_LINE_BYTES], time[CLOCK_RFC3339_BYTES];
    SCOPED(file) FILE *log = may_log(files) ? fopen(files->log, "a") : NULL;
    va_list args;

    if (log == NULL)
        return;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    clean(text);
    clock_rfc3339(clock_wall_ms() / 1000, 0, time);
    (void)fprintf(log, "%s %s\n", time, text);
}

void hook_log_rotate(const struct hook_files *files)
{
    struct stat st;

    if (stat(files->log, &st) < 0 || st.st_size <= HOOK_LOG_MAX_BYTES)
        return;
    (void)remove(files->old_log); /* Windows renames over nothing */
    (void)rename(files->log, files->old_log);
}
