/* SPDX-License-Identifier: Apache-2.0 */
/* install.c – an unpacked layer becomes a snapshot's directory. */
#include "local/internal.h"

#include "base/files.h"
#include "unpack/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int look_as(const char *fs_dir, const char *dir, struct err *err)
{
    struct stat st;

    if (stat(dir, &st) < 0)
        return err_sys(err, -errno, "%s", dir);
    if (chown(fs_dir, st.st_uid, st.st_gid) < 0 || chmod(fs_dir, st.st_mode & 07777) < 0)
        return err_sys(err, -errno, "%s", fs_dir);
    return 0;
}

/* What was unpacked is synced already; what is done here is a handful of inodes and the name. */
static int sync_around(const char *dir, struct err *err)
{
    SCOPED(mem) char *above = text_format("%s/..", dir);
    int rc;

    if (above == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    rc = dir_sync(dir, err);
    return rc < 0 ? rc : dir_sync(above, err);
}

int local_layer_install(struct local_layer *layer, const char *dir, const struct text_list *lowers,
                        struct err *err)
{
    int rc = look_as(layer->fs_dir, dir, err);

    if (rc == 0)
        rc = unpack_inherit(layer->fs_dir, &layer->made, lowers, err);
    if (rc < 0)
        return rc;
    if (rename(layer->fs_dir, dir) < 0) /* -ENOTEMPTY: somebody put something there */
        return err_sys(err, -errno, "%s", dir);
    if (layer->sync_in == NULL)
        return sync_around(dir, err);
    workers_sync_later(layer->sync_in);
    return 0;
}
