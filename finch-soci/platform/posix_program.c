/* SPDX-License-Identifier: Apache-2.0 */
/* posix_program.c – what others need to call us later: our program, our user, whole paths; and
 * where we print then. */
#include "platform/platform.h"

#include "base/cleanup.h"
#include "base/files.h"
#include "base/text.h"

#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <string.h>

#define PROGRAM "finch-soci"

/* Whether `path` leads to `real`. */
static bool is_same(const char *path, const char *real)
{
    SCOPED(mem) char *leads_to = realpath(path, NULL);

    return leads_to != NULL && strcmp(leads_to, real) == 0;
}

/* NULL: none in PATH is ours, or out of memory. */
static char *find_in_path(const char *real)
{
    SCOPED(text_list) struct text_list dirs = TEXT_LIST_EMPTY;
    const char *path = getenv("PATH");

    if (path == NULL || text_list_split(&dirs, path, ':') < 0)
        return NULL;
    for (size_t i = 0; i < dirs.count; i++) {
        SCOPED(mem) char *candidate = path_join(dirs.items[i], PROGRAM);

        if (dirs.items[i][0] == '/' && candidate != NULL && is_same(candidate, real))
            return TAKE(candidate);
    }
    return NULL;
}

char *platform_program(void)
{
    SCOPED(mem) char *dir = platform_program_dir();
    SCOPED(mem) char *real = dir == NULL ? NULL : path_join(dir, PROGRAM);
    char *found = real == NULL ? NULL : find_in_path(real);

    return found != NULL ? found : TAKE(real);
}

char *platform_user(void)
{
    const struct passwd *user = getpwuid(getuid()); /* there are no threads */

    return user == NULL ? NULL : text_copy(user->pw_name);
}

char *platform_absolute(const char *path)
{
    char here[PATH_MAX];

    if (*path == '/')
        return text_copy(path);
    return getcwd(here, sizeof(here)) == NULL ? NULL : path_join(here, path);
}

int platform_print_to(const char *path, struct err *err)
{
    /* Not blocking is for a pipe that nobody reads: files know nothing of it. */
    SCOPED(fd)
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);

    if (fd < 0)
        return err_sys(err, -errno, "%s", path);
    (void)fflush(stdout);
    if (dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0)
        return err_sys(err, -errno, "%s", path);
    return 0;
}
