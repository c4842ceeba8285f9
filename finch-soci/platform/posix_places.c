/* SPDX-License-Identifier: Apache-2.0 */
/* posix_places.c – the user's directory, and our own program's. */
#include "platform/internal.h"

#include "base/files.h"
#include "base/text.h"

#include <pwd.h>

char *platform_home(void)
{
    const char *home = getenv("HOME");
    const struct passwd *user;

    if (home != NULL && *home == '/')
        return text_copy(home);
    user = getpwuid(getuid()); /* at start, before there are threads */
    return user == NULL ? NULL : text_copy(user->pw_dir);
}

char *platform_program_dir(void)
{
    SCOPED(mem) char *program = posix_executable();

    return program == NULL ? NULL : path_parent(program);
}

char *platform_path_of_ssh(const char *path)
{
    return text_copy(path);
}

char *platform_wsl(void)
{
    return NULL;
}

bool platform_is_admin(void)
{
    return geteuid() == 0;
}
