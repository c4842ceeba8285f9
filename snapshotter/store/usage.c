/* SPDX-License-Identifier: Apache-2.0 */
/* usage.c – what the store takes on disk. */
#include "store/internal.h"

#include "base/cleanup.h"
#include "base/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

enum { BLOCK_BYTES = 512 }; /* of st_blocks, whatever the file system has */

/* Files are sparse, so what counts are blocks. A file that goes meanwhile counts for nothing. */
static uint64_t bytes_at(int dir_fd, const char *name)
{
    struct stat st;

    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
        return 0;
    return (uint64_t)st.st_blocks * BLOCK_BYTES;
}

static uint64_t bytes_of_layer(int dir_fd, const char *layer)
{
    SCOPED(fd) int fd = openat(dir_fd, layer, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    return fd < 0 ? 0 : bytes_at(fd, "data") + bytes_at(fd, "map");
}

static int sum(const char *path, uint64_t (*bytes_of_one)(int dir_fd, const char *name),
               uint64_t *ret, struct err *err)
{
    SCOPED(dir) DIR *dir = opendir(path);
    const struct dirent *entry;

    *ret = 0;
    if (dir == NULL)
        return err_sys(err, -errno, "%s", path);
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.')
            *ret += bytes_of_one(dirfd(dir), entry->d_name);
    }
    return 0;
}

static uint64_t database_bytes(const struct store *store)
{
    static const char *const names[] = {"metadata.sqlite", "metadata.sqlite-wal",
                                        "metadata.sqlite-shm", "reserve"};
    SCOPED(mem) char *path = path_join(store->root, "snapshotter");
    SCOPED(fd) int fd = path == NULL ? -1 : open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    uint64_t bytes = 0;

    for (size_t i = 0; fd >= 0 && i < ARRAY_LEN(names); i++)
        bytes += bytes_at(fd, names[i]);
    return bytes;
}

int store_get_usage(struct store *store, struct store_usage *ret, struct err *err)
{
    int rc = sum(store->layers_dir, bytes_of_layer, &ret->layer_bytes, err);

    if (rc == 0)
        rc = sum(store->blobs_dir, bytes_at, &ret->blob_bytes, err);
    ret->database_bytes = database_bytes(store);
    return rc;
}
