/* SPDX-License-Identifier: Apache-2.0 */
/* walk.c – what is in the store, for whoever decides what may go. */
#include "store/internal.h"

#include "base/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

/* By the wall clock, as files are: one that was set back makes them young for a while. */
static bool is_older(int dir_fd, const char *name, int64_t min_age_ms)
{
    struct stat st;

    if (min_age_ms == 0)
        return true;
    return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           clock_wall_ms() - (int64_t)st.st_mtim.tv_sec * 1000 >= min_age_ms;
}

/* Both directories name what they hold by the hex of a digest; any other name is no business of the
 * caller's. */
static int walk(const char *path, int64_t min_age_ms,
                int (*each)(void *arg, const struct digest *digest), void *arg, struct err *err)
{
    SCOPED(dir) DIR *dir = opendir(path);
    const struct dirent *entry;
    struct digest digest;
    int rc = 0;

    if (dir == NULL)
        return err_sys(err, -errno, "%s", path);
    while (rc == 0 && (entry = readdir(dir)) != NULL) {
        if (strlen(entry->d_name) == sizeof(digest.sha256) * 2 &&
            text_unhex(entry->d_name, digest.sha256, sizeof(digest.sha256)) == 0 &&
            is_older(dirfd(dir), entry->d_name, min_age_ms))
            rc = each(arg, &digest);
    }
    return rc;
}

int store_blob_walk(struct store *store, int64_t min_age_ms,
                    int (*each)(void *arg, const struct digest *digest), void *arg, struct err *err)
{
    return walk(store->blobs_dir, min_age_ms, each, arg, err);
}

int span_file_walk(struct store *store, int (*each)(void *arg, const struct digest *ztoc),
                   void *arg, struct err *err)
{
    return walk(store->layers_dir, 0, each, arg, err);
}
