/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_ztoc.c – a ztoc that nobody vouches for: parsed, walked from end to end, its windows
 * fetched, lookups tried; then written again by our encoder and parsed again, which must give the
 * same table. Exercises the FlatBuffer reader, both kinds of zinfo in both versions, the table, the
 * spans and the encoder. */
#include "ztoc/internal.h"

#include <errno.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

static void check_files(const struct ztoc *toc)
{
    struct ztoc_file file;
    struct ztoc_xattr xattr;
    uint64_t last = 0;

    for (size_t i = 0; i < ztoc_file_count(toc); i++) {
        ztoc_file_at(toc, i, &file);
        CHECK(strlen(file.name) + strlen(file.linkname) + strlen(file.uname) + strlen(file.gname) <
              SIZE_MAX);
        CHECK(strlen(ztoc_type_name(file.type)) > 0);
        CHECK(file.uncomp_off >= last && file.uncomp_off <= ztoc_uncomp_size(toc));
        CHECK(file.type != ZTOC_REG || file.uncomp_size <= ztoc_uncomp_size(toc) - file.uncomp_off);
        CHECK(file.mtime_nsec < 1000000000);
        last = file.uncomp_off;
        for (size_t k = 0; k < file.xattr_count; k++) {
            ztoc_xattr_at(toc, i, k, &xattr);
            CHECK(xattr.value.data[xattr.value.len] == '\0' &&
                  xattr.key[strlen(xattr.key)] == '\0');
        }
        if (i < 10)
            CHECK(ztoc_find(toc, file.name) <= i);
    }
}

static void check_spans(const struct ztoc *toc, struct bytes blob)
{
    uint64_t comp_end = 0, uncomp_end = 0;
    struct ztoc_span span;

    for (size_t i = 0; i < ztoc_span_count(toc); i++) {
        ztoc_span_at(toc, i, &span);
        CHECK(span.uncomp_off == uncomp_end && span.uncomp_off <= span.uncomp_end);
        CHECK(span.comp_off < span.comp_end &&
              (i == 0 || span.comp_off + (span.bits != 0) == comp_end));
        CHECK(span.bits <= 7);
        CHECK(span.window_off == UINT64_MAX ||
              (span.window_off <= blob.len && blob.len - span.window_off >= ZRAN_WINDOW_BYTES));
        if (span.uncomp_off < span.uncomp_end) {
            CHECK(ztoc_span_of(toc, span.uncomp_off) == i);
            CHECK(ztoc_span_of(toc, span.uncomp_end - 1) == i);
        }
        comp_end = span.comp_end;
        uncomp_end = span.uncomp_end;
    }
    CHECK(ztoc_span_count(toc) > 0 && comp_end == ztoc_comp_size(toc) &&
          uncomp_end >= ztoc_uncomp_size(toc));
    CHECK(ztoc_span_of(toc, UINT64_MAX) == ztoc_span_count(toc) - 1);
}

/* The zinfo of a parsed ztoc; version 1 becomes version 2. */
static void encode_zinfo(const struct ztoc *toc, struct bytes blob, struct buf *ret)
{
    static const uint8_t zeros[ZRAN_WINDOW_BYTES];
    struct zran_plain plain = {toc->span_size, toc->comp_size};

    if (toc->compression == ZTOC_UNCOMPRESSED) {
        CHECK(zran_plain_encode(&plain, ret) == 0);
        return;
    }
    CHECK(zran_zinfo_start(ret, toc->span_size) == 0);
    for (size_t i = 0; i < toc->span_count; i++) {
        uint64_t off = toc->window_offs[i];

        CHECK(zran_zinfo_add(ret, &toc->points[i],
                             off == ZRAN_NO_WINDOW ? zeros : blob.data + off) == 0);
    }
}

static void encode(const struct ztoc *toc, struct bytes blob, struct buf *ret)
{
    struct encode_input input = {
        .version = toc->version,
        .build_tool = toc->build_tool,
        .comp_size = toc->comp_size,
        .uncomp_size = toc->uncomp_size,
        .compression = toc->compression,
        .table = &toc->table,
        .digests = toc->digests,
        .span_count = toc->span_count,
    };
    struct err err = ERR_NONE;

    encode_zinfo(toc, blob, ret);
    CHECK(ztoc_encode(&input, ret, &err) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SCOPED(buf_value) struct buf first = BUF_EMPTY;
    SCOPED(buf_value) struct buf second = BUF_EMPTY;
    SCOPED(ztoc) struct ztoc *toc = NULL;
    SCOPED(ztoc) struct ztoc *again = NULL;
    struct bytes blob = bytes_of(data, size);
    struct err err = ERR_NONE;
    int rc = ztoc_parse(blob, &toc, &err);

    CHECK(rc == 0 || (rc == -EBADMSG && err.text[0] != '\0'));
    if (rc < 0)
        return 0;
    check_files(toc);
    check_spans(toc, blob);
    encode(toc, blob, &first);
    CHECK(ztoc_parse(buf_bytes(&first), &again, &err) == 0);
    check_files(again);
    check_spans(again, buf_bytes(&first));
    encode(again, buf_bytes(&first), &second);
    CHECK(bytes_equal(buf_bytes(&first), buf_bytes(&second)));
    return 0;
}
