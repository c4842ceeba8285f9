/* SPDX-License-Identifier: Apache-2.0 */
/* posix_hook_file.c – the file that tells the system's manager of programs about the hook, with the
 * directories that it needs: those made for it are named in its last line, and go with it. */
#include "platform/internal.h"

#include "base/cleanup.h"
#include "base/files.h"
#include "base/text.h"

#include <string.h>

enum { HOOK_FILE_MAX_BYTES = 64 * 1024 };

#define MADE "made for this: "

static char *dir_of(const char *path)
{
    char *dir = text_copy(path);
    char *slash = dir == NULL ? NULL : strrchr(dir, '/');

    if (slash != NULL)
        slash[slash == dir ? 1 : 0] = '\0';
    return dir;
}

/* The highest directory on the way to `path` that is missing. *ret NULL: none is. */
static int find_missing(const char *path, char **ret, struct err *err)
{
    SCOPED(mem) char *dir = dir_of(path);

    while (dir != NULL && !path_exists(dir)) {
        char *above = dir_of(dir);

        free(*ret);
        *ret = TAKE(dir);
        dir = above;
    }
    return dir == NULL ? err_set(err, -ENOMEM, "out of memory") : 0;
}

/* What the file that is there says was made. */
static int read_made(const char *path, const char *comment, char **ret, struct err *err)
{
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    SCOPED(mem) char *before = comment == NULL ? NULL : text_format("%s" MADE, comment);
    int rc = file_read_regular(path, HOOK_FILE_MAX_BYTES, &text, err);
    const char *line = rc < 0 ? NULL : buf_str(&text);

    if (rc < 0)
        return rc;
    if (comment == NULL)
        return 0;
    if (before == NULL || line == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    line = strstr(line, before);
    if (line == NULL)
        return 0;
    line += strlen(before);
    *ret = strndup(line, strcspn(line, "\r\n"));
    return *ret == NULL ? err_set(err, -ENOMEM, "out of memory") : 0;
}

int posix_hook_write(const char *path, struct bytes text, const char *comment, struct err *err)
{
    SCOPED(buf_value) struct buf whole = BUF_EMPTY;
    SCOPED(mem) char *made = NULL, *dir = dir_of(path);
    int rc =
        path_exists(path) ? read_made(path, comment, &made, err) : find_missing(path, &made, err);

    if (rc < 0)
        return rc;
    if (dir == NULL || buf_add(&whole, text.data, text.len) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    /* A name with a line of its own in it is not remembered: the directory stays then. */
    if (comment != NULL && made != NULL && made[strcspn(made, "\r\n")] == '\0' &&
        buf_addf(&whole, "%s" MADE "%s\n", comment, made) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    rc = dir_make_all(dir, 0755, err);
    return rc < 0 ? rc : file_replace(path, buf_bytes(&whole), 0644, err);
}

/* From the file's own directory up to `top`, which is on the way to it. */
static void remove_dirs(const char *path, const char *top)
{
    SCOPED(mem) char *dir = dir_of(path);

    while (dir != NULL && text_has_prefix(dir, top) && rmdir(dir) == 0) {
        char *above = dir_of(dir);

        free(dir);
        dir = above;
    }
}

int posix_hook_unlink(const char *path, const char *comment, struct err *err)
{
    SCOPED(mem) char *made = NULL;
    int rc = path_exists(path) ? read_made(path, comment, &made, err) : -ENOENT;

    if (rc == -ENOENT)
        return 0;
    if (rc < 0 && rc != -EINVAL && rc != -EFBIG) /* what is no file of ours goes all the same */
        return rc;
    if (unlink(path) < 0)
        return err_sys(err, -errno, "remove %s", path);
    if (made != NULL && made[0] == '/')
        remove_dirs(path, made);
    return 1;
}

/* The managers of these systems open no windows. */
int platform_hook_launcher(struct text_list *words)
{
    (void)words;
    return 0;
}
