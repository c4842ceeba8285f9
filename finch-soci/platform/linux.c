/* SPDX-License-Identifier: Apache-2.0 */
/* linux.c – what is particular to Linux: Finch has no virtual machine there. */
#include "platform/platform.h"

#include "base/text.h"

#include <pwd.h>
#include <string.h>
#include <unistd.h>
#include <stdlib.h>

const char *const platform_finch_root = NULL;
const bool platform_has_vm = false;

char *platform_home(void)
{
    const char *home = getenv("HOME");
    const struct passwd *user;

    if (home != NULL && *home == '/')
        return text_copy(home);
    user = getpwuid(getuid()); /* at start, before there are threads */
    return user == NULL ? NULL : text_copy(user->pw_dir);
}

/* The packages' Finch has one file for all users; with a machine it is each user's own. */
char *platform_finch_config(bool with_vm)
{
    SCOPED(mem) char *home = NULL;

    if (!with_vm)
        return text_copy("/etc/finch/finch.yaml");
    home = platform_home();
    return home == NULL ? NULL : text_format("%s/.finch/finch.yaml", home);
}

char *platform_program_dir(void)
{
    char *path = realpath("/proc/self/exe", NULL);
    char *slash = path == NULL ? NULL : strrchr(path, '/');

    if (slash != NULL)
        slash[slash == path ? 1 : 0] = '\0';
    return path;
}

bool platform_is_admin(void)
{
    return geteuid() == 0;
}
