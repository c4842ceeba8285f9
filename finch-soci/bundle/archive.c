/* SPDX-License-Identifier: Apache-2.0 */
/* archive.c – a tar in gzip, read into memory as far as its manifest names what is in it. */
#include "internal.h"

#include "base/text.h"
#include "tar/tar.h"

#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

enum { PIECE_BYTES = 128 * 1024 };

struct archive {
    struct bundle *bundle;
    struct buf manifest;
    bool has_manifest;            /* it was parsed */
    bool in_manifest;             /* its content is coming */
    struct bundle_entry *current; /* whose content is coming; NULL: a directory's, or nothing's */
    uint64_t total_bytes;
};

/* ---- tar ------------------------------------------------------------------------------------- */

static bool is_named(struct bytes name, const char *wanted)
{
    if (name.len > 2 && name.data[0] == '.' && name.data[1] == '/')
        name = bytes_of(name.data + 2, name.len - 2);
    return bytes_equal(name, bytes_of_str(wanted));
}

static struct bundle_entry *find(struct bundle *bundle, struct bytes name)
{
    for (size_t i = 0; i < bundle->count; i++) {
        if (is_named(name, bundle->entries[i].name))
            return &bundle->entries[i];
    }
    return NULL;
}

/* The manifest is complete when the next entry begins, or the archive ends. */
static int finish_manifest(struct archive *archive, struct err *err)
{
    if (!archive->in_manifest)
        return 0;
    archive->in_manifest = false;
    archive->has_manifest = true;
    return bundle_parse_manifest(buf_bytes(&archive->manifest), archive->bundle, err);
}

static int on_entry(void *arg, const struct tar_entry *entry, struct err *err)
{
    struct archive *archive = arg;
    int rc = finish_manifest(archive, err);

    archive->current = NULL;
    if (rc < 0 || entry->type == '5')
        return rc;
    if (entry->type != '0')
        return err_set(err, -EBADMSG, "%.*s is no file", (int)entry->name.len,
                       (const char *)entry->name.data);
    if (!archive->has_manifest) {
        if (!is_named(entry->name, BUNDLE_MANIFEST) || entry->size > BUNDLE_MANIFEST_MAX_BYTES)
            return err_set(err, -EBADMSG, "it does not begin with %s", BUNDLE_MANIFEST);
        archive->in_manifest = true;
        return 0;
    }
    archive->current = find(archive->bundle, entry->name);
    if (archive->current == NULL || archive->current->seen || archive->current->size != entry->size)
        return err_set(err, -EBADMSG, "%.*s is not what the manifest says", (int)entry->name.len,
                       (const char *)entry->name.data);
    archive->current->seen = true;
    return 0;
}

static int on_content(void *arg, struct bytes piece, struct err *err)
{
    struct archive *archive = arg;
    struct buf *to = archive->in_manifest       ? &archive->manifest
                     : archive->current != NULL ? &archive->current->content
                                                : NULL;

    if (to == NULL)
        return err_set(err, -EBADMSG, "content of no file");
    return buf_add(to, piece.data, piece.len) < 0 ? err_set(err, -ENOMEM, "out of memory") : 0;
}

/* ---- gzip ------------------------------------------------------------------------------------ */

static void end_inflate(z_stream *stream)
{
    (void)inflateEnd(stream);
}
DEFINE_SCOPED_VALUE(inflate, z_stream, end_inflate)

/* One member, as tools/bundle makes it; the whole of it, with its checksum. */
static int inflate_all(struct archive *archive, z_stream *stream, struct tar_parser *tar,
                       struct err *err)
{
    SCOPED(mem) uint8_t *piece = malloc(PIECE_BYTES);
    int status = Z_OK, rc = 0;

    if (piece == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    while (status == Z_OK && rc == 0) {
        size_t got;

        stream->next_out = piece;
        stream->avail_out = PIECE_BYTES;
        status = inflate(stream, Z_NO_FLUSH);
        got = PIECE_BYTES - stream->avail_out;
        archive->total_bytes += got;
        if (archive->total_bytes > BUNDLE_TAR_MAX_BYTES)
            return err_set(err, -EFBIG, "more than %d bytes in it", BUNDLE_TAR_MAX_BYTES);
        rc = tar_parser_feed(tar, bytes_of(piece, got), err);
    }
    if (rc == 0 && (status != Z_STREAM_END || stream->avail_in != 0))
        rc = err_set(err, -EBADMSG, "it is damaged, or cut off: %s",
                     stream->msg == NULL ? "no end" : stream->msg);
    return rc;
}

static int read_through(struct archive *archive, struct bytes gzip, struct err *err)
{
    const struct tar_events events = {.entry = on_entry, .arg = archive};
    SCOPED(tar_parser) struct tar_parser *tar = NULL;
    SCOPED(inflate)
    z_stream stream = {.next_in = (uint8_t *)(uintptr_t)gzip.data, /* read alone */
                       .avail_in = (unsigned)gzip.len};
    int rc = tar_parser_new(&events, &tar, err);

    if (rc < 0)
        return rc;
    tar_parser_want_content(tar, on_content);
    if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK)
        return err_set(err, -ENOMEM, "out of memory");
    rc = inflate_all(archive, &stream, tar, err);
    if (rc == 0)
        rc = tar_parser_finish(tar, err);
    return rc == 0 ? finish_manifest(archive, err) : rc;
}

int bundle_read_archive(struct bytes gzip, struct bundle *ret, struct err *err)
{
    struct archive archive = {.bundle = ret, .manifest = BUF_EMPTY};
    int rc;

    if (gzip.len == 0 || gzip.len > BUNDLE_GZIP_MAX_BYTES)
        return err_set(err, gzip.len == 0 ? -EBADMSG : -EFBIG, "it has %zu bytes", gzip.len);
    rc = read_through(&archive, gzip, err);
    buf_fini(&archive.manifest);
    if (rc == 0 && !archive.has_manifest)
        rc = err_set(err, -EBADMSG, "nothing is in it");
    return rc;
}
