/* SPDX-License-Identifier: Apache-2.0 */
/* userxattr.c – whether overlayfs must be told to keep its marks in user.* attributes. */
#include "snapshot/internal.h"

#include "base/files.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>

/* The first user namespace maps all ids to themselves: the line is "0 0 4294967295". */
static bool in_user_namespace(void)
{
    SCOPED(file) FILE *map = fopen("/proc/self/uid_map", "re");
    char line[128], *pos = line;

    if (map == NULL || fgets(line, sizeof(line), map) == NULL)
        return false;
    return strtoul(pos, &pos, 10) != 0 || strtoul(pos, &pos, 10) != 0 ||
           strtoul(pos, &pos, 10) != 4294967295ul;
}

static bool try_in(const char *dir)
{
    static const char *const names[] = {"lower", "upper", "work", "merged"};
    SCOPED(mem) char *merged = path_join(dir, "merged");
    SCOPED(mem)
    char *options =
        text_format("lowerdir=%s/lower,upperdir=%s/upper,workdir=%s/work,userxattr", dir, dir, dir);
    size_t i;

    for (i = 0; i < ARRAY_LEN(names); i++) {
        SCOPED(mem) char *path = path_join(dir, names[i]);
        if (path == NULL || mkdir(path, 0755) < 0)
            return false;
    }
    if (merged == NULL || options == NULL || mount("overlay", merged, "overlay", 0, options) < 0)
        return false;
    (void)umount2(merged, MNT_DETACH);
    return true;
}

bool userxattr_is_needed(const char *dir)
{
    SCOPED(mem) char *trial = NULL;
    struct err ignored = ERR_NONE; /* what stays is collected at the next start */
    bool taken;

    if (!in_user_namespace())
        return false;
    trial = text_format("%s/new-XXXXXX", dir);
    if (trial == NULL || mkdtemp(trial) == NULL)
        return false;
    taken = try_in(trial);
    (void)!dir_remove_all(trial, &ignored);
    return taken;
}
