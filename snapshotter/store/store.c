/* SPDX-License-Identifier: Apache-2.0 */
/* store.c – the root directory: made when missing, and held by one process at a time. */
#include "store/internal.h"

#include "base/cleanup.h"
#include "base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* flock(2) goes away with the process, however it ends, so a stale lock cannot exist. */
static int lock_root(const char *root, int *ret_fd, struct err *err)
{
    SCOPED(mem) char *path = path_join(root, "lock");
    SCOPED(fd) int fd = -1;

    if (path == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_sys(err, -errno, "%s", path);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? err_set(err, -EBUSY, "another process uses it")
                                    : err_sys(err, -errno, "%s", path);
    *ret_fd = take_fd(&fd);
    return 0;
}

int store_open(const char *root, struct store **ret, struct err *err)
{
    SCOPED(store) struct store *store = calloc(1, sizeof(*store));
    int rc;

    if (store == NULL)
        return err_set(err, -ENOMEM, "store: out of memory");
    store->lock_fd = -1;
    store->root = strdup(root);
    if (store->root == NULL)
        return err_set(err, -ENOMEM, "store: out of memory");
    rc = dir_make_all(root, 0700, err);
    if (rc == 0)
        rc = lock_root(root, &store->lock_fd, err);
    if (rc < 0)
        return err_prefix(err, rc, "store %s", root);
    *ret = TAKE(store);
    return 0;
}

void store_close(struct store *store)
{
    if (store == NULL)
        return;
    if (store->lock_fd >= 0)
        (void)close(store->lock_fd);
    free(store->root);
    free(store);
}

const char *store_root(const struct store *store)
{
    return store->root;
}
