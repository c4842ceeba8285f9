/* SPDX-License-Identifier: Apache-2.0 */
/* snapdb_aside.c – a broken database goes out of the way together with the snapshots that only it
 * could explain. Nothing is deleted: what containers wrote can be looked for there. */
#include "store/snapdb_internal.h"

#include "base/clock.h"
#include "base/files.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static const char snapshots_name[] = "snapshots";
/* The log without its database means nothing, and a new database beside the old log would be read
 * with it. */
static const char *const database_names[] = {"metadata.sqlite-shm", "metadata.sqlite-wal",
                                             "metadata.sqlite"};

bool snapdb_has_directories(const char *dir)
{
    SCOPED(mem) char *path = path_join(dir, snapshots_name);
    SCOPED(dir) DIR *snapshots = path == NULL ? NULL : opendir(path);
    struct dirent *entry;
    uint64_t id;

    while (snapshots != NULL && (entry = readdir(snapshots)) != NULL) {
        if (text_parse_u64(entry->d_name, &id) == 0)
            return true;
    }
    return false;
}

static int move(const char *name, const char *from, const char *to, struct err *err)
{
    SCOPED(mem) char *old_path = path_join(from, name);
    SCOPED(mem) char *new_path = path_join(to, name);

    if (old_path == NULL || new_path == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    if (rename(old_path, new_path) < 0 && errno != ENOENT)
        return err_sys(err, -errno, "%s", old_path);
    return 0;
}

/* The directories go first: what a crash leaves then is still a database that is broken. */
static int move_all(const char *from, const char *to, struct err *err)
{
    int rc = move(snapshots_name, from, to, err);

    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(database_names); i++)
        rc = move(database_names[i], from, to, err);
    if (rc == 0)
        rc = dir_sync(to, err);
    return rc == 0 ? dir_sync(from, err) : rc;
}

int snapdb_set_aside(const char *dir, const struct err *why, struct err *err)
{
    SCOPED(mem)
    char *aside = text_format("%s/set-aside-%lld", dir, (long long)(clock_wall_ms() / 1000));
    int rc =
        aside == NULL ? err_set(err, -ENOMEM, "out of memory") : dir_make_all(aside, 0700, err);

    if (rc == 0)
        rc = move_all(dir, aside, err);
    if (rc < 0)
        return err_prefix(err, rc, "%s; and it cannot be set aside", err_text(why));
    log_error("the snapshot database is broken: it and all snapshots are set aside, images have to "
              "be removed and pulled again",
              "dir=%s err=%s", aside, err_text(why));
    return 0;
}
