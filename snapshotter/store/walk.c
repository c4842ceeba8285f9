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

static bool is_digest(const char *hex, size_t len, struct digest *ret)
{
    return len == 2 * DIGEST_BYTES && text_unhex(hex, ret->sha256, sizeof(ret->sha256)) == 0;
}

/* Names that are no digests are no business of the caller's. */
int store_blob_walk(struct store *store, int64_t min_age_ms,
                    int (*each)(void *arg, const struct digest *digest), void *arg, struct err *err)
{
    SCOPED(dir) DIR *dir = opendir(store->blobs_dir);
    const struct dirent *entry;
    struct digest digest;
    int rc = 0;

    if (dir == NULL)
        return err_sys(err, -errno, "%s", store->blobs_dir);
    while (rc == 0 && (entry = readdir(dir)) != NULL) {
        if (is_digest(entry->d_name, strlen(entry->d_name), &digest) &&
            is_older(dirfd(dir), entry->d_name, min_age_ms))
            rc = each(arg, &digest);
    }
    return rc;
}

static bool is_pair(const char *name, struct digest *ret_layer, struct digest *ret_ztoc)
{
    const char *dash = strchr(name, '-');

    return dash != NULL && is_digest(name, (size_t)(dash - name), ret_layer) &&
           is_digest(dash + 1, strlen(dash + 1), ret_ztoc);
}

int span_file_walk(struct store *store,
                   int (*each)(void *arg, const struct digest *layer, const struct digest *ztoc),
                   void *arg, struct err *err)
{
    SCOPED(dir) DIR *dir = opendir(store->layers_dir);
    const struct dirent *entry;
    struct digest layer, ztoc;
    int rc = 0;

    if (dir == NULL)
        return err_sys(err, -errno, "%s", store->layers_dir);
    while (rc == 0 && (entry = readdir(dir)) != NULL) {
        if (is_pair(entry->d_name, &layer, &ztoc))
            rc = each(arg, &layer, &ztoc);
    }
    return rc;
}
