/* SPDX-License-Identifier: Apache-2.0 */
/* walk.c – what is in the store, for whoever decides what may go. */
#include "store/internal.h"

#include <dirent.h>
#include <errno.h>

/* Both directories name what they hold by the hex of a digest; any other name is no business of the
 * caller's. */
static int walk(const char *path, int (*each)(void *arg, const struct digest *digest), void *arg,
                struct err *err)
{
    SCOPED(dir) DIR *dir = opendir(path);
    const struct dirent *entry;
    struct digest digest;
    int rc = 0;

    if (dir == NULL)
        return err_sys(err, -errno, "%s", path);
    while (rc == 0 && (entry = readdir(dir)) != NULL) {
        if (strlen(entry->d_name) == sizeof(digest.sha256) * 2 &&
            text_unhex(entry->d_name, digest.sha256, sizeof(digest.sha256)) == 0)
            rc = each(arg, &digest);
    }
    return rc;
}

int store_blob_walk(struct store *store, int (*each)(void *arg, const struct digest *digest),
                    void *arg, struct err *err)
{
    return walk(store->blobs_dir, each, arg, err);
}

int span_file_walk(struct store *store, int (*each)(void *arg, const struct digest *ztoc),
                   void *arg, struct err *err)
{
    return walk(store->layers_dir, each, arg, err);
}
