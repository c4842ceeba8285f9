/* SPDX-License-Identifier: Apache-2.0 */
/* verdict.c – what was found out about a whole layer, as bytes and as files: docs/verdicts.md. */
#include "store/internal.h"

#include "base/files.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { VERDICT_VERSION = 1 };
static const uint8_t magic[8] = {'S', 'O', 'C', 'I', 'c', 'h', 'e', 'k'};

/* ---- as bytes -------------------------------------------------------------------------------- */

size_t verdict_encode(const struct verdict *verdict, uint8_t out[VERDICT_BYTES_MAX])
{
    size_t text_bytes = strnlen(verdict->text, sizeof(verdict->text) - 1);
    uint8_t *p = out;

    memcpy(p, magic, sizeof(magic));
    put_u32le(p += sizeof(magic), VERDICT_VERSION);
    put_u32le(p += 4, (uint32_t)verdict->kind);
    memcpy(p += 4, verdict->layer.sha256, DIGEST_BYTES);
    memcpy(p += DIGEST_BYTES, verdict->ztoc.sha256, DIGEST_BYTES);
    memcpy(p += DIGEST_BYTES, verdict->digest.sha256, DIGEST_BYTES);
    put_u32le(p += DIGEST_BYTES, (uint32_t)text_bytes);
    memcpy(p += 4, verdict->text, text_bytes);
    p += text_bytes;
    put_u32le(p, (uint32_t)crc32_z(0, out, (size_t)(p - out)));
    return (size_t)(p + 4 - out);
}

static void take_digest(struct reader *r, struct digest *ret)
{
    struct bytes raw = reader_take(r, DIGEST_BYTES);

    if (raw.len == DIGEST_BYTES)
        memcpy(ret->sha256, raw.data, DIGEST_BYTES);
}

int verdict_parse(struct bytes raw, struct verdict *ret, struct err *err)
{
    struct reader r = reader_of(raw);
    struct verdict verdict = {.kind = 0};
    struct bytes seen_magic = reader_take(&r, sizeof(magic)), text;
    uint32_t version = reader_u32le(&r), kind = reader_u32le(&r), text_bytes;

    take_digest(&r, &verdict.layer);
    take_digest(&r, &verdict.ztoc);
    take_digest(&r, &verdict.digest);
    text_bytes = reader_u32le(&r);
    if (reader_failed(&r) || text_bytes >= sizeof(verdict.text) ||
        reader_left(&r) != text_bytes + 4)
        return err_set(err, -EBADMSG, "verdict: %zu bytes hold none", raw.len);
    text = reader_take(&r, text_bytes);
    if (!bytes_equal(seen_magic, bytes_of(magic, sizeof(magic))))
        return err_set(err, -EBADMSG, "verdict: not one");
    if (reader_u32le(&r) != crc32_z(0, raw.data, raw.len - 4))
        return err_set(err, -EBADMSG, "verdict: damaged");
    if (version != VERDICT_VERSION || (kind != VERDICT_CHECKED && kind != VERDICT_REFUSED) ||
        memchr(text.data, '\0', text.len) != NULL)
        return err_set(err, -EBADMSG, "verdict: version %u is not known", (unsigned)version);
    verdict.kind = (enum verdict_kind)kind;
    memcpy(verdict.text, text.data, text.len);
    *ret = verdict;
    return 0;
}

int verdict_read(const char *path, const struct digest *layer, const struct digest *ztoc,
                 struct verdict *ret, struct err *err)
{
    SCOPED(buf_value) struct buf raw = BUF_EMPTY;
    struct verdict verdict;
    int rc = file_read(path, VERDICT_BYTES_MAX, &raw, err);

    if (rc == 0)
        rc = verdict_parse(buf_bytes(&raw), &verdict, err);
    if (rc < 0)
        return rc == -EFBIG ? -EBADMSG : rc;
    if (!digest_equal(&verdict.layer, layer) || !digest_equal(&verdict.ztoc, ztoc))
        return err_set(err, -EBADMSG, "verdict: of another layer");
    *ret = verdict;
    return 0;
}

int verdict_write(const char *path, const struct verdict *verdict, struct err *err)
{
    uint8_t raw[VERDICT_BYTES_MAX];

    return file_replace(path, bytes_of(raw, verdict_encode(verdict, raw)), 0600, err);
}

/* ---- what is not to be served ---------------------------------------------------------------- */

static bool is_older(const struct stat *a, const struct stat *b)
{
    return a->st_mtim.tv_sec < b->st_mtim.tv_sec ||
           (a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec < b->st_mtim.tv_nsec);
}

/* Whoever makes an image that is refused must not fill the disk with that. */
static void drop_oldest(const struct store *store)
{
    SCOPED(dir) DIR *dir = opendir(store->refused_dir);
    char name[NAME_MAX + 1] = "";
    struct stat oldest = {.st_size = 0}, st;
    struct dirent *entry;
    size_t count = 0;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.' ||
            fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        if (count++ == 0 || is_older(&st, &oldest)) {
            oldest = st;
            (void)snprintf(name, sizeof(name), "%s", entry->d_name);
        }
    }
    if (count >= STORE_REFUSED_MAX)
        (void)unlinkat(dirfd(dir), name, 0);
}

int store_refuse(struct store *store, const struct digest *layer, const struct digest *ztoc,
                 const struct digest *claim, const char *why, struct err *err)
{
    SCOPED(mem) char *path = store_layer_path(store->refused_dir, layer, ztoc);
    struct verdict verdict = {.kind = VERDICT_REFUSED, .layer = *layer, .ztoc = *ztoc};
    int rc;

    if (path == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    if (claim != NULL)
        verdict.digest = *claim;
    (void)snprintf(verdict.text, sizeof(verdict.text), "%s", why);
    rc = dir_make_all(store->refused_dir, 0700, err);
    if (rc == 0 && !path_exists(path))
        drop_oldest(store);
    return rc < 0 ? rc : verdict_write(path, &verdict, err);
}

int store_refused(struct store *store, const struct digest *layer, const struct digest *ztoc,
                  const struct digest *claim, struct err *err)
{
    static const struct digest any = {{0}};
    SCOPED(mem) char *path = store_layer_path(store->refused_dir, layer, ztoc);
    struct verdict verdict;
    int rc;

    if (path == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    rc = verdict_read(path, layer, ztoc, &verdict, err);
    if (rc == -ENOENT)
        return 0;
    if (rc < 0)
        return err_prefix(err, rc, "%s", path);
    if (verdict.kind == VERDICT_REFUSED && claim != NULL && !digest_equal(&verdict.digest, &any) &&
        !digest_equal(&verdict.digest, claim))
        return 0;
    return err_set(err, -EBADMSG, "%s", verdict.text);
}
