/* SPDX-License-Identifier: Apache-2.0 */
/* stale.c – mounts that an earlier process left behind. */
#include "snapshot/internal.h"

#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

enum { MOUNT_POINT_FIELD = 5 }; /* of a line of mountinfo, counted from 1 */

/* The kernel writes space, tab, newline and backslash as \ooo. */
static void unescape(char *s)
{
    char *to = s;

    while (*s != '\0') {
        if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
            s[3] >= '0' && s[3] <= '7') {
            *to++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
            s += 4;
        } else {
            *to++ = *s++;
        }
    }
    *to = '\0';
}

static char *mount_point_of(char *line)
{
    char *rest = NULL, *field = strtok_r(line, " ", &rest);
    int n;

    for (n = 1; field != NULL && n < MOUNT_POINT_FIELD; n++)
        field = strtok_r(NULL, " ", &rest);
    if (field != NULL)
        unescape(field);
    return field;
}

static int find_below(const char *dir, struct text_list *points, struct err *err)
{
    SCOPED(file) FILE *info = fopen("/proc/self/mountinfo", "re");
    SCOPED(mem) char *line = NULL;
    size_t cap = 0, dir_len = strlen(dir);

    if (info == NULL)
        return err_sys(err, -errno, "/proc/self/mountinfo");
    while (getline(&line, &cap, info) > 0) {
        const char *point = mount_point_of(line);
        if (point == NULL || strncmp(point, dir, dir_len) != 0 || point[dir_len] != '/')
            continue;
        if (text_list_add(points, point) < 0)
            return err_set(err, -ENOMEM, "out of memory");
    }
    return ferror(info) ? err_set(err, -EIO, "/proc/self/mountinfo") : 0;
}

int stale_mounts_detach(const char *dir, struct err *err)
{
    SCOPED(text_list) struct text_list points = TEXT_LIST_EMPTY;
    SCOPED(mem) char *real = realpath(dir, NULL); /* as the kernel lists them */
    size_t i;
    int rc;

    if (real == NULL)
        return errno == ENOENT ? 0 : err_sys(err, -errno, "%s", dir);
    rc = find_below(real, &points, err);
    if (rc < 0)
        return rc;
    for (i = points.count; i-- > 0;) { /* what was mounted later may be on top */
        if (umount2(points.items[i], MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
            return err_sys(err, -errno, "%s", points.items[i]);
        log_debug("detached a mount of an earlier process", "dir=%s", points.items[i]);
    }
    return 0;
}
