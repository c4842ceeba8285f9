/* SPDX-License-Identifier: Apache-2.0 */
/* builder.c – one pass over a layer: inflated, read as a tar, hashed by span.
 *
 * Compressed bytes are hashed as far as they belong to the current span: up to a checkpoint when
 * one is reported, and at the end of each piece. A byte that two spans share is hashed twice, so
 * the last byte of a piece is kept. */
#include "ztoc/internal.h"

#include "base/text.h"

#include <errno.h>
#include <stdlib.h>

static const char ztoc_version_text[] = "0.9";

struct ztoc_builder {
    enum ztoc_compression compression; /* fixed at creation, as are the next two */
    uint64_t span_size;
    char *build_tool;
    struct tar_parser *tar;
    struct zran_scan *scan; /* gzip only */
    struct table table;
    struct buf zinfo;
    struct hasher *hasher; /* of the current span */
    struct digest *digests;
    size_t digest_count, digest_cap;
    bool in_span;       /* the hasher has a span to itself */
    struct bytes piece; /* of the layer, being fed; its first byte is at piece_off */
    uint64_t piece_off;
    uint64_t hashed_off; /* the layer is hashed up to here */
    uint8_t last_byte;   /* before piece_off */
    bool has_xattrs, has_opaque;
};

static int add_entry(void *arg, const struct tar_entry *entry, struct err *err)
{
    static const char xattr_prefix[] = "SCHILY.xattr.", opaque[] = ".wh..wh..opq";
    struct ztoc_builder *builder = arg;
    struct bytes name = entry->name;
    size_t opaque_len = sizeof(opaque) - 1, prefix_len = sizeof(xattr_prefix) - 1;

    if (name.len >= opaque_len &&
        memcmp(name.data + name.len - opaque_len, opaque, opaque_len) == 0)
        builder->has_opaque = true;
    for (size_t i = 0; i < entry->record_count && !builder->has_xattrs; i++) {
        struct bytes key = entry->records[i].key;

        builder->has_xattrs =
            key.len >= prefix_len && memcmp(key.data, xattr_prefix, prefix_len) == 0;
    }
    return table_add(&builder->table, entry, err);
}

static int add_output(void *arg, struct bytes out, struct err *err)
{
    struct ztoc_builder *builder = arg;
    int rc = tar_parser_feed(builder->tar, out, err);

    if (tar_parser_is_at_end(builder->tar))
        zran_scan_relax(builder->scan);
    return rc;
}

/* ---- hashing the spans
 * -------------------------------------------------------------------------------------------- */

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, "ztoc: out of memory");
}

/* Hash from where we are up to byte `end` of the layer, which is not behind the piece. */
static int hash_to(struct ztoc_builder *builder, uint64_t end, struct err *err)
{
    const uint8_t *from = builder->piece.data + (builder->hashed_off - builder->piece_off);
    size_t len = (size_t)(end - builder->hashed_off);

    builder->hashed_off = end;
    return hasher_update(builder->hasher, bytes_of(from, len)) < 0 ? no_memory(err) : 0;
}

static int end_span(struct ztoc_builder *builder, struct err *err)
{
    if (builder->digest_count == builder->digest_cap) {
        size_t cap = builder->digest_cap == 0 ? 16 : builder->digest_cap * 2;
        struct digest *digests = realloc(builder->digests, cap * sizeof(*digests));

        if (digests == NULL)
            return no_memory(err);
        builder->digests = digests;
        builder->digest_cap = cap;
    }
    builder->in_span = false;
    return hasher_final(builder->hasher, &builder->digests[builder->digest_count++]) < 0
               ? no_memory(err)
               : 0;
}

/* A checkpoint: the span before it ends, one begins, with the byte before when they share it. */
static int add_point(void *arg, const struct zran_point *point,
                     const uint8_t window[ZRAN_WINDOW_BYTES], struct err *err)
{
    struct ztoc_builder *builder = arg;
    const uint8_t *shared = &builder->last_byte;
    int rc = zran_zinfo_add(&builder->zinfo, point, window);

    if (rc < 0)
        return err_sys(err, rc, "ztoc: checkpoint at offset %llu",
                       (unsigned long long)point->comp_off);
    if (builder->in_span) {
        rc = hash_to(builder, point->comp_off, err);
        if (rc == 0)
            rc = end_span(builder, err);
        if (rc < 0)
            return rc;
    }
    builder->in_span = true;
    builder->hashed_off = point->comp_off;
    if (point->bits == 0)
        return 0;
    if (point->comp_off > builder->piece_off)
        shared = builder->piece.data + (point->comp_off - 1 - builder->piece_off);
    return hasher_update(builder->hasher, bytes_of(shared, 1)) < 0 ? no_memory(err) : 0;
}

/* ---- the two kinds of layer
 * --------------------------------------------------------------------------------------- */

static int feed_gzip(struct ztoc_builder *builder, struct err *err)
{
    int rc = zran_scan_feed(builder->scan, builder->piece, err);

    if (rc == 0 && builder->in_span)
        rc = hash_to(builder, builder->piece_off + builder->piece.len, err);
    return rc;
}

static int feed_plain(struct ztoc_builder *builder, struct err *err)
{
    uint64_t end = builder->piece_off + builder->piece.len;
    int rc = tar_parser_feed(builder->tar, builder->piece, err);

    while (rc == 0 && builder->hashed_off < end) {
        uint64_t span_left = builder->span_size - builder->hashed_off % builder->span_size;
        uint64_t piece_left = end - builder->hashed_off;

        builder->in_span = true;
        rc = hash_to(builder,
                     builder->hashed_off + (span_left < piece_left ? span_left : piece_left), err);
        if (rc == 0 && builder->hashed_off % builder->span_size == 0)
            rc = end_span(builder, err);
    }
    return rc;
}

/* ---- the builder
 * --------------------------------------------------------------------------------------------------
 */

static int init_gzip(struct ztoc_builder *builder, struct err *err)
{
    struct zran_scan_events events = {add_output, add_point, builder};

    if (zran_zinfo_start(&builder->zinfo, builder->span_size) < 0)
        return no_memory(err);
    return zran_scan_new(builder->span_size, &events, &builder->scan, err);
}

int ztoc_builder_new(enum ztoc_compression compression, const struct ztoc_build_options *options,
                     struct ztoc_builder **ret, struct err *err)
{
    SCOPED(ztoc_builder) struct ztoc_builder *builder = calloc(1, sizeof(*builder));
    int rc;

    if (builder == NULL)
        return no_memory(err);
    if (options->span_size > INT64_MAX ||
        (options->span_size == 0 && compression == ZTOC_UNCOMPRESSED))
        return err_set(err, -EINVAL, "ztoc: no span size: %llu",
                       (unsigned long long)options->span_size);
    builder->compression = compression;
    builder->span_size = options->span_size;
    builder->build_tool =
        text_copy(options->build_tool != NULL ? options->build_tool : ZTOC_DEFAULT_BUILD_TOOL);
    builder->hasher = hasher_new();
    if (builder->build_tool == NULL || builder->hasher == NULL)
        return no_memory(err);
    rc = tar_parser_new(&(struct tar_events){add_entry, builder}, &builder->tar, err);
    if (rc == 0 && compression == ZTOC_GZIP)
        rc = init_gzip(builder, err);
    if (rc == 0)
        *ret = TAKE(builder);
    return rc;
}

void ztoc_builder_free(struct ztoc_builder *builder)
{
    if (builder == NULL)
        return;
    tar_parser_free(builder->tar);
    zran_scan_free(builder->scan);
    hasher_free(builder->hasher);
    table_fini(&builder->table);
    buf_fini(&builder->zinfo);
    free(builder->digests);
    free(builder->build_tool);
    free(builder);
}

int ztoc_builder_feed(struct ztoc_builder *builder, struct bytes comp, struct err *err)
{
    int rc;

    if (comp.len == 0)
        return 0;
    builder->piece = comp;
    rc = builder->compression == ZTOC_GZIP ? feed_gzip(builder, err) : feed_plain(builder, err);
    builder->piece_off += comp.len;
    builder->last_byte = comp.data[comp.len - 1];
    builder->piece = (struct bytes){0};
    return rc;
}

/* What the last bytes leave open. */
static int finish_streams(struct ztoc_builder *builder, struct err *err)
{
    struct zran_plain plain = {builder->span_size, builder->piece_off};
    int rc = 0;

    if (builder->compression == ZTOC_GZIP)
        rc = zran_scan_finish(builder->scan, err);
    else if (zran_plain_encode(&plain, &builder->zinfo) < 0)
        rc = no_memory(err);
    if (rc == 0)
        rc = tar_parser_finish(builder->tar, err);
    if (rc == 0 && builder->in_span)
        rc = end_span(builder, err);
    return rc;
}

int ztoc_builder_finish(struct ztoc_builder *builder, struct buf *ret_blob,
                        struct ztoc_build_info *ret_info, struct err *err)
{
    int rc = finish_streams(builder, err);
    struct encode_input input = {
        .version = ztoc_version_text,
        .build_tool = builder->build_tool,
        .comp_size = builder->piece_off,
        .uncomp_size = tar_parser_consumed(builder->tar),
        .compression = builder->compression,
        .table = &builder->table,
        .digests = builder->digests,
        .span_count = builder->digest_count,
    };
    struct ztoc_build_info info = {
        .comp_size = input.comp_size,
        .uncomp_size = input.uncomp_size,
        .file_count = builder->table.count,
        .span_count = input.span_count,
        .has_xattrs = builder->has_xattrs,
        .has_opaque = builder->has_opaque,
    };

    if (rc == 0)
        rc = ztoc_encode(&input, &builder->zinfo, err);
    if (rc == 0 && digest_of(buf_bytes(&builder->zinfo), &info.digest) < 0)
        rc = no_memory(err);
    if (rc < 0)
        return rc;
    buf_fini(ret_blob);
    *ret_blob = builder->zinfo;
    builder->zinfo = (struct buf)BUF_EMPTY;
    info.ztoc_size = ret_blob->len;
    if (ret_info != NULL)
        *ret_info = info;
    return 0;
}
