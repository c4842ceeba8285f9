/* SPDX-License-Identifier: Apache-2.0 */
/* store.c – the daemon's root directory: made, locked against a second process, swept of what a
 * crash left. */
#include "store/internal.h"

#include "base/files.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

/* flock(2) goes away with the process, however it ends, so a stale lock cannot exist. */
static int take_lock(struct store *store, struct err *err)
{
    SCOPED(mem) char *path = path_join(store->root, "lock");

    if (path == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    store->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (store->lock_fd < 0)
        return err_sys(err, -errno, "%s", path);
    if (flock(store->lock_fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? err_set(err, -EBUSY, "another process uses it")
                                    : err_sys(err, -errno, "%s", path);
    return 0;
}

static int make_dirs(const struct store *store, struct err *err)
{
    int rc = dir_make_all(store->blobs_dir, 0700, err);

    if (rc == 0)
        rc = dir_make_all(store->layers_dir, 0700, err);
    return rc;
}

static bool is_blob_name(const char *name)
{
    uint8_t raw[DIGEST_BYTES];

    return strlen(name) == 2 * sizeof(raw) && text_unhex(name, raw, sizeof(raw)) == 0;
}

/* Files that a crash left half written have names that no blob has. What cannot be removed is only
 * dirt. */
static void sweep_blobs(const struct store *store)
{
    SCOPED(dir) DIR *dir = opendir(store->blobs_dir);
    struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.' || is_blob_name(entry->d_name))
            continue;
        log_debug("removing a half-written blob", "path=%s/%s", store->blobs_dir, entry->d_name);
        (void)unlinkat(dirfd(dir), entry->d_name, 0);
    }
}

/* NULL: errno says why not. Links in it stay as they are. */
static char *absolute(const char *path)
{
    SCOPED(mem) char *here = path[0] == '/' ? NULL : getcwd(NULL, 0);

    if (path[0] == '/')
        return text_copy(path);
    return here == NULL ? NULL : path_join(here, path);
}

static int open_in(struct store *store, const char *given, struct err *err)
{
    const char *root;
    int rc;

    if (given[0] == '\0')
        return err_set(err, -EINVAL, "no directory is named");
    root = store->root = absolute(given);
    if (root == NULL)
        return err_sys(err, -errno, "the current directory");
    store->blobs_dir = path_join(root, "content/blobs/sha256");
    store->layers_dir = path_join(root, "layers");
    store->refused_dir = path_join(root, "refused");
    if (store->blobs_dir == NULL || store->layers_dir == NULL || store->refused_dir == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    rc = dir_make_all(root, 0700, err);
    if (rc == 0)
        rc = take_lock(store, err);
    if (rc == 0)
        rc = make_dirs(store, err);
    if (rc == 0)
        sweep_blobs(store);
    return rc;
}

int store_open(const char *root, struct store **ret, struct err *err)
{
    SCOPED(store) struct store *store = calloc(1, sizeof(*store));
    int rc;

    if (store == NULL)
        return err_set(err, -ENOMEM, "store %s: out of memory", root);
    store->lock_fd = -1;
    rc = open_in(store, root, err);
    if (rc < 0)
        return err_prefix(err, rc, "store %s", root);
    *ret = TAKE(store);
    return 0;
}

void store_close(struct store *store)
{
    if (store == NULL)
        return;
    scoped_fd(&store->lock_fd);
    free(store->root);
    free(store->blobs_dir);
    free(store->layers_dir);
    free(store->refused_dir);
    free(store);
}

const char *store_root(const struct store *store)
{
    return store->root;
}
