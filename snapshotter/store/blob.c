/* SPDX-License-Identifier: Apache-2.0 */
/* blob.c – small content by digest, one file each, written whole or not at all. */
#include "store/internal.h"

#include "base/files.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* New string; NULL: out of memory. */
static char *blob_path(const struct store *store, const struct digest *digest)
{
    char hex[2 * DIGEST_BYTES + 1];

    digest_hex(digest, hex);
    return path_join(store->blobs_dir, hex);
}

static int no_memory(const struct digest *digest, struct err *err)
{
    char text[DIGEST_TEXT_BYTES];

    digest_format(digest, text);
    return err_set(err, -ENOMEM, "blob %s: out of memory", text);
}

int store_blob_put(struct store *store, const struct digest *digest, struct bytes content,
                   struct err *err)
{
    SCOPED(mem) char *path = blob_path(store, digest);

    if (path == NULL)
        return no_memory(digest, err);
    if (path_exists(path))
        return 0;
    return file_replace(path, content, 0444, err);
}

int store_blob_open(struct store *store, const struct digest *digest, int *ret_fd, struct err *err)
{
    SCOPED(mem) char *path = blob_path(store, digest);
    int fd;

    if (path == NULL)
        return no_memory(digest, err);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return err_sys(err, -errno, "blob %s", path);
    *ret_fd = fd;
    return 0;
}

static int map_whole(int fd, size_t max_bytes, struct bytes *ret, struct err *err)
{
    struct stat st;
    void *at;

    if (fstat(fd, &st) < 0)
        return err_sys(err, -errno, "stat");
    if (st.st_size < 0 || (uint64_t)st.st_size > max_bytes)
        return err_set(err, -EFBIG, "%lld bytes are more than %zu", (long long)st.st_size,
                       max_bytes);
    *ret = bytes_of(NULL, 0);
    if (st.st_size == 0)
        return 0; /* nothing can be mapped */
    at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (at == MAP_FAILED)
        return err_sys(err, -errno, "map of %lld bytes", (long long)st.st_size);
    *ret = bytes_of(at, (size_t)st.st_size);
    return 0;
}

static int check_digest(const struct digest *digest, struct bytes content, struct err *err)
{
    struct digest seen;

    if (digest_of(content, &seen) < 0)
        return err_set(err, -ENOMEM, "digest: out of memory");
    return digest_equal(&seen, digest)
               ? 0
               : err_set(err, -EBADMSG, "the bytes do not match the digest");
}

int store_blob_map(struct store *store, const struct digest *digest, size_t max_bytes,
                   struct bytes *ret, struct err *err)
{
    SCOPED(fd) int fd = -1;
    SCOPED(blob_map) struct bytes content = {.data = NULL};
    char text[DIGEST_TEXT_BYTES];
    int rc = store_blob_open(store, digest, &fd, err);

    if (rc < 0)
        return rc;
    digest_format(digest, text);
    rc = map_whole(fd, max_bytes, &content, err);
    if (rc == 0)
        rc = check_digest(digest, content, err);
    if (rc == 0) {
        *ret = content;
        content = bytes_of(NULL, 0); /* the caller's */
        return 0;
    }
    if (rc != -EBADMSG)
        return err_prefix(err, rc, "blob %s", text);
    log_warn("stored blob is damaged, removing it", "digest=%s err=%s", text, err_text(err));
    rc = store_blob_remove(store, digest, err);
    return rc < 0 ? rc : err_set(err, -ENOENT, "blob %s: was damaged and is removed", text);
}

void store_blob_unmap(struct bytes *content)
{
    union { /* munmap() takes what mmap() gave */
        const uint8_t *data;
        void *at;
    } unconst = {.data = content->data};

    if (content->data != NULL)
        (void)munmap(unconst.at, content->len);
    *content = bytes_of(NULL, 0);
}

int store_blob_read(struct store *store, const struct digest *digest, size_t max_bytes,
                    struct buf *ret, struct err *err)
{
    SCOPED(blob_map) struct bytes content = {.data = NULL};
    int rc = store_blob_map(store, digest, max_bytes, &content, err);

    if (rc < 0)
        return rc;
    return buf_add(ret, content.data, content.len) == 0
               ? 0
               : err_set(err, -ENOMEM, "blob of %zu bytes: out of memory", content.len);
}

int store_blob_remove(struct store *store, const struct digest *digest, struct err *err)
{
    SCOPED(mem) char *path = blob_path(store, digest);

    if (path == NULL)
        return no_memory(digest, err);
    if (unlink(path) < 0 && errno != ENOENT)
        return err_sys(err, -errno, "%s", path);
    return 0;
}
