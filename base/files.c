/* SPDX-License-Identifier: Apache-2.0 */
/* files.c – names of files. What is done to files is in posix_files.c and windows_files.c. */
#include "base/files.h"

#include "base/text.h"

#include <string.h>

char *path_join(const char *dir, const char *name)
{
    size_t len = strlen(dir);

    return text_format("%s%s%s", dir, len > 0 && path_is_separator(dir[len - 1]) ? "" : "/", name);
}

/* The last separator; NULL: there is none. */
static const char *last_separator(const char *path)
{
    const char *last = NULL;

    for (; *path != '\0'; path++) {
        if (path_is_separator(*path))
            last = path;
    }
    return last;
}

const char *path_name(const char *path)
{
    const char *last = last_separator(path);

    return last == NULL ? path : last + 1;
}

char *path_parent(const char *path)
{
    const char *last = last_separator(path);

    if (last == NULL)
        return text_copy(".");
    if (last == path || last[-1] == ':') /* of a drive */
        last++;
    return text_format("%.*s", (int)(last - path), path);
}
