/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_layer.c – a layer becomes a ztoc, the ztoc is read, and what it says is held against the
 * layer. Exercises: gzip headers and deflate streams as they come, tar headers with their checksums
 * put right (else nothing would get past them), pax records, sparse maps, checkpoints at every
 * block, pieces of any size, the encoder, the parser, spans inflated one by one,
 * the table compared with the tar.
 *
 * Input: a byte of flags, a byte that sets the size of the pieces, then the layer. */
#include "ztoc/ztoc.h"
#include "zran/zran.h"

#include <stdlib.h>
#include <zlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PLAIN = 1, COMPRESS = 2, FIX_CHECKSUMS = 4, LARGE_SPANS = 8, TWO_MEMBERS = 16 }; /* flags */
enum { BLOCK = 512, CHECKSUM_OFF = 148, CHECKSUM_BYTES = 8 };

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

/* Every block that is not all zeros gets the checksum that it would have as a header. */
static void fix_checksums(struct buf *tar)
{
    for (size_t off = 0; off + BLOCK <= tar->len; off += BLOCK) {
        uint8_t *block = tar->data + off;
        unsigned sum = 0, digits;
        bool zero = true;

        for (size_t i = 0; i < BLOCK; i++) {
            bool own = i >= CHECKSUM_OFF && i < CHECKSUM_OFF + CHECKSUM_BYTES;

            sum += own ? ' ' : block[i];
            zero = zero && block[i] == 0;
        }
        if (zero || memcmp(block + 257, "ustar", 5) != 0)
            continue;
        for (digits = 0; digits < 6; digits++, sum >>= 3)
            block[CHECKSUM_OFF + 5 - digits] = (uint8_t)('0' + (sum & 7));
        block[CHECKSUM_OFF + 6] = '\0';
        block[CHECKSUM_OFF + 7] = ' ';
    }
}

/* One member, with a flush in the middle so that there are blocks. */
static void compress_member(struct buf *gz, uint8_t *in, size_t len, int level)
{
    z_stream z = {.next_in = in, .avail_in = (uInt)(len / 2)};

    CHECK(deflateInit2(&z, level, Z_DEFLATED, 31, 1, Z_DEFAULT_STRATEGY) == Z_OK);
    CHECK(buf_reserve(gz, deflateBound(&z, len) + 1000) == 0);
    z.next_out = gz->data + gz->len;
    z.avail_out = (uInt)(gz->cap - gz->len);
    CHECK(deflate(&z, Z_SYNC_FLUSH) != Z_STREAM_ERROR);
    z.avail_in += (uInt)(len - len / 2);
    CHECK(deflate(&z, Z_FINISH) == Z_STREAM_END);
    gz->len = gz->cap - z.avail_out;
    CHECK(deflateEnd(&z) == Z_OK);
}

static void make_layer(uint8_t flags, struct bytes in, struct buf *tar, struct buf *layer)
{
    size_t half = (flags & TWO_MEMBERS) != 0 ? in.len / 2 : 0;

    CHECK(buf_add(tar, in.data, in.len) == 0);
    if ((flags & FIX_CHECKSUMS) != 0)
        fix_checksums(tar);
    if ((flags & PLAIN) != 0 || (flags & COMPRESS) == 0) {
        CHECK(buf_add(layer, tar->data, tar->len) == 0);
        return;
    }
    CHECK(buf_reserve(tar, 1) == 0); /* data may be NULL */
    if (half > 0)
        compress_member(layer, tar->data, half, 9);
    compress_member(layer, tar->data + half, tar->len - half, flags >> 5);
}

static int build(enum ztoc_compression compression, uint64_t span_size, struct bytes layer,
                 size_t piece, struct buf *ret, struct ztoc_build_info *info)
{
    SCOPED(ztoc_builder) struct ztoc_builder *builder = NULL;
    struct ztoc_build_options options = {.span_size = span_size};
    struct err err = ERR_NONE;
    int rc = ztoc_builder_new(compression, &options, &builder, &err);

    for (size_t off = 0; rc == 0 && off < layer.len; off += piece) {
        size_t len = layer.len - off < piece ? layer.len - off : piece;

        rc = ztoc_builder_feed(builder, bytes_of(layer.data + off, len), &err);
    }
    if (rc == 0)
        rc = ztoc_builder_finish(builder, ret, info, &err);
    CHECK(rc == 0 || (rc < 0 && err.text[0] != '\0'));
    return rc;
}

/* The bytes of the tar as its spans give them. */
struct check_span {
    const struct buf *tar;
    uint64_t off;
};

static int check_output(void *arg, struct bytes out, struct err *err)
{
    struct check_span *check = arg;

    (void)err;
    CHECK(check->off <= check->tar->len && out.len <= check->tar->len - check->off);
    CHECK(memcmp(check->tar->data + check->off, out.data, out.len) == 0);
    check->off += out.len;
    return 0;
}

static void check_spans(const struct ztoc *toc, const struct buf *tar, struct bytes layer,
                        const struct buf *blob)
{
    static const uint8_t zeros[ZRAN_WINDOW_BYTES];
    uint64_t comp_end = 0, uncomp_end = 0;

    for (size_t i = 0; i < ztoc_span_count(toc); i++) {
        struct check_span check = {.tar = tar};
        struct err err = ERR_NONE;
        struct digest digest;
        struct ztoc_span span;
        struct bytes comp;

        ztoc_span_at(toc, i, &span);
        CHECK(span.uncomp_off == uncomp_end && span.comp_end <= layer.len &&
              span.comp_off < span.comp_end);
        CHECK(i == 0 || span.comp_off + (span.bits != 0) == comp_end);
        comp = bytes_of(layer.data + span.comp_off, (size_t)(span.comp_end - span.comp_off));
        CHECK(digest_of(comp, &digest) == 0 && digest_equal(&digest, &span.digest));
        check.off = span.uncomp_off;
        if (ztoc_compression(toc) == ZTOC_GZIP && tar != NULL)
            CHECK(zran_inflate(span.bits,
                               span.window_off == UINT64_MAX ? zeros : blob->data + span.window_off,
                               comp, span.uncomp_end - span.uncomp_off, check_output, &check,
                               &err) == 0);
        comp_end = span.comp_end;
        uncomp_end = span.uncomp_end;
    }
    CHECK(comp_end == layer.len && uncomp_end >= ztoc_uncomp_size(toc));
}

/* A build lists entries whose size is not that of their content: sparse files, links with a size.
 * Their ztoc does not parse, in the reference neither. And a layer of no bytes has no span. */
static bool may_be_refused(const struct err *err)
{
    return strstr(err->text, "invalid toc entry") != NULL ||
           strstr(err->text, "outside the tar") != NULL ||
           strstr(err->text, ": a size of ") != NULL ||
           strstr(err->text, "spans up to number -1") != NULL;
}

/* The table that was made of a tar is that of this tar. */
static void check_comparison(const struct ztoc *toc, const struct buf *tar)
{
    SCOPED(ztoc_comparison) struct ztoc_comparison *c = NULL;
    struct err err = ERR_NONE;

    CHECK(ztoc_comparison_new(toc, &c, &err) == 0);
    CHECK(ztoc_comparison_feed(c, buf_bytes(tar), &err) == 0);
    CHECK(ztoc_comparison_finish(c, &err) == 0);
}

static void check_blob(const struct buf *blob, const struct ztoc_build_info *info,
                       const struct buf *tar, struct bytes layer)
{
    SCOPED(ztoc) struct ztoc *toc = NULL;
    struct err err = ERR_NONE;
    int rc = ztoc_parse(buf_bytes(blob), &toc, &err);

    if (rc < 0) {
        CHECK(rc == -EBADMSG && may_be_refused(&err));
        return;
    }
    CHECK(info->ztoc_size == blob->len && info->comp_size == layer.len &&
          info->comp_size == ztoc_comp_size(toc));
    CHECK(info->uncomp_size == ztoc_uncomp_size(toc) && info->file_count == ztoc_file_count(toc));
    CHECK(info->span_count == ztoc_span_count(toc));
    check_spans(toc, tar, layer, blob);
    if (tar != NULL)
        check_comparison(toc, tar);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    SCOPED(buf_value) struct buf layer = BUF_EMPTY;
    SCOPED(buf_value) struct buf blob = BUF_EMPTY;
    SCOPED(buf_value) struct buf again = BUF_EMPTY;
    enum ztoc_compression compression;
    struct ztoc_build_info info, info_again;
    uint64_t span_size;
    int rc;

    if (size < 2)
        return 0;
    make_layer(data[0], bytes_of(data + 2, size - 2), &tar, &layer);
    compression = (data[0] & PLAIN) != 0 ? ZTOC_UNCOMPRESSED : ZTOC_GZIP;
    span_size = (data[0] & LARGE_SPANS) != 0 ? 4096 : compression == ZTOC_GZIP ? 0 : 700;
    rc = build(compression, span_size, buf_bytes(&layer), (size_t)data[1] * 16 + 1, &blob, &info);
    /* In one piece it must come to the same. */
    CHECK(build(compression, span_size, buf_bytes(&layer), layer.len + 1, &again, &info_again) ==
          rc);
    if (rc < 0)
        return 0;
    CHECK(bytes_equal(buf_bytes(&blob), buf_bytes(&again)));
    check_blob(&blob, &info, (data[0] & (PLAIN | COMPRESS)) == 0 ? NULL : &tar, buf_bytes(&layer));
    return 0;
}
