/* SPDX-License-Identifier: Apache-2.0 */
/* builder.c – one pass over a layer: inflated, read as a tar, hashed by span.
 *
 * A byte that two spans share is hashed twice, so the last byte consumed is kept. */
#include "ztoc/internal.h"

#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
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
    uint8_t last_byte;  /* of what a scan has consumed: the next span may share it */
    uint64_t comp_size; /* bytes fed */
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

/* ---- hashing the spans ----------------------------------------------------------------------- */

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, "ztoc: out of memory");
}

static int hash(struct ztoc_builder *builder, struct bytes comp, struct err *err)
{
    return hasher_update(builder->hasher, comp) < 0 ? no_memory(err) : 0;
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

/* ---- a gzip layer, as the scan reports it ---------------------------------------------------- */

static int add_input(void *arg, struct bytes comp, struct err *err)
{
    struct ztoc_builder *builder = arg;

    builder->last_byte = comp.data[comp.len - 1];
    return builder->in_span ? hash(builder, comp, err) : 0; /* the first header is in no span */
}

static int add_output(void *arg, struct bytes out, struct err *err)
{
    struct ztoc_builder *builder = arg;
    int rc = tar_parser_feed(builder->tar, out, err);

    if (tar_parser_is_at_end(builder->tar))
        zran_scan_relax(builder->scan);
    return rc;
}

/* A checkpoint: the span before it ends, one begins, with the byte before when they share it. */
static int add_point(void *arg, const struct zran_point *point,
                     const uint8_t window[ZRAN_WINDOW_BYTES], struct err *err)
{
    struct ztoc_builder *builder = arg;
    int rc = zran_zinfo_add(&builder->zinfo, point, window);

    if (rc < 0)
        return err_sys(err, rc, "ztoc: checkpoint at offset %" PRIu64, point->comp_off);
    rc = builder->in_span ? end_span(builder, err) : 0;
    builder->in_span = true;
    if (rc == 0 && point->bits != 0)
        rc = hash(builder, bytes_of(&builder->last_byte, 1), err);
    return rc;
}

/* ---- a layer that is not compressed ---------------------------------------------------------- */

static int feed_plain(struct ztoc_builder *builder, struct bytes in, struct err *err)
{
    uint64_t off = builder->comp_size; /* in the layer */
    int rc = tar_parser_feed(builder->tar, in, err);

    while (rc == 0 && in.len > 0) {
        uint64_t span_left = builder->span_size - off % builder->span_size;
        size_t len = in.len < span_left ? in.len : (size_t)span_left;

        builder->in_span = true;
        rc = hash(builder, bytes_of(in.data, len), err);
        if (rc == 0 && len == span_left)
            rc = end_span(builder, err);
        in = bytes_of(in.data + len, in.len - len);
        off += len;
    }
    return rc;
}

/* ---- the builder ----------------------------------------------------------------------------- */

static int init_gzip(struct ztoc_builder *builder, struct err *err)
{
    struct zran_scan_events events = {add_input, add_output, add_point, builder};

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
        return err_set(err, -EINVAL, "ztoc: no span size: %" PRIu64, options->span_size);
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

    rc = builder->compression == ZTOC_GZIP ? zran_scan_feed(builder->scan, comp, err)
                                           : feed_plain(builder, comp, err);
    builder->comp_size += comp.len;
    return rc;
}

/* What the last bytes leave open. */
static int finish_streams(struct ztoc_builder *builder, struct err *err)
{
    struct zran_plain plain = {builder->span_size, builder->comp_size};
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
        .comp_size = builder->comp_size,
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
