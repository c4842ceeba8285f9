/* SPDX-License-Identifier: Apache-2.0 */
/* entry.c – from header blocks to an entry.
 *
 * An entry may be preceded by headers that only describe it: a pax header (x) and GNU long names
 * (L, K). Of each kind the last one counts, long names go before pax records, and all of it is
 * forgotten after the entry. */
#include "tar/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

int tar_refuse(const struct tar_parser *parser, int code, const char *why, struct err *err)
{
    return err_set(err, code, "tar: header at offset %" PRIu64 ": %s", parser->header_off, why);
}

/* Links, devices, directories and fifos have no content, whatever size their header has. */
static bool has_content(char type)
{
    return type == '0' || type == '\0';
}

static bool is_meta(char type)
{
    return type == 'x' || type == 'L' || type == 'K';
}

static bool is_supported(const struct tar_parser *parser, char type)
{
    return has_content(type) || is_meta(type) || (type >= '1' && type <= '6') ||
           (type == TAR_GLOBAL && parser->pass_over_global);
}

/* Forget what the headers before an entry said about it. */
static void forget_extensions(struct tar_parser *parser)
{
    tar_pax_fini(&parser->pax);
    parser->pax_body.len = 0;
    parser->long_name.len = 0;
    parser->long_link.len = 0;
    parser->has_extension = false;
}

static void expect_content(struct tar_parser *parser, enum tar_state state, uint64_t len)
{
    parser->state = state;
    parser->content_left = len;
    parser->padding_left = (0 - len) % TAR_BLOCK_BYTES;
}

int tar_report_entry(struct tar_parser *parser, struct err *err)
{
    struct tar_header *header = &parser->header;
    int rc;

    if (header->size < 0)
        return tar_refuse(parser, -EBADMSG, "its size is negative", err);
    header->entry.type = header->type;
    header->entry.size = (uint64_t)header->size;
    header->entry.header_off = parser->entry_off;
    header->entry.uncomp_off = parser->pos;
    rc = parser->events.entry(parser->events.arg, &header->entry, err);
    forget_extensions(parser);
    return rc;
}

/* A sparse file: its size is that of the whole, fewer bytes are stored. */
static int start_sparse(struct tar_parser *parser, enum tar_sparse kind, struct err *err)
{
    struct tar_header *header = &parser->header;
    const char *why = tar_sparse_merge(&parser->pax, header);

    if (why == NULL && !has_content(header->type))
        why = "it has a sparse map but cannot have content";
    if (why == NULL && kind == TAR_SPARSE_IN_RECORDS)
        why = tar_sparse_check_records(&parser->pax, header->size);
    if (why != NULL)
        return tar_refuse(parser, -EBADMSG, why, err);
    if (kind == TAR_SPARSE_IN_RECORDS)
        return tar_report_entry(parser, err);
    parser->sparse_map.len = 0;
    parser->state = TAR_IN_SPARSE; /* the entry is reported behind the map */
    return 0;
}

/* All headers of an entry are there: put them together. */
static int finish_headers(struct tar_parser *parser, struct err *err)
{
    struct tar_header *header = &parser->header;
    const char *why = tar_pax_merge(&parser->pax, header);
    enum tar_sparse sparse = tar_sparse_kind(&parser->pax);

    if (why != NULL)
        return tar_refuse(parser, -EBADMSG, why, err);
    if (parser->long_name.len > 0)
        header->entry.name = buf_bytes(&parser->long_name);
    if (parser->long_link.len > 0)
        header->entry.linkname = buf_bytes(&parser->long_link);
    if (header->type == '\0') { /* before there was a type for directories */
        struct bytes name = header->entry.name;
        bool is_dir = name.len > 0 && name.data[name.len - 1] == '/';

        header->type = is_dir ? '5' : '0';
    }
    if (has_content(header->type) && header->size < 0)
        return tar_refuse(parser, -EBADMSG, "its size is negative", err);
    expect_content(parser, TAR_IN_CONTENT, has_content(header->type) ? (uint64_t)header->size : 0);
    return sparse == TAR_SPARSE_NONE ? tar_report_entry(parser, err)
                                     : start_sparse(parser, sparse, err);
}

struct buf *tar_meta_body(struct tar_parser *parser)
{
    switch (parser->meta_type) {
    case 'L':
        return &parser->long_name;
    case 'K':
        return &parser->long_link;
    default:
        return &parser->pax_body;
    }
}

/* The body of an x, L or K header is complete. */
int tar_finish_meta(struct tar_parser *parser, struct err *err)
{
    struct buf *body = tar_meta_body(parser);
    const char *why;
    int rc;

    parser->state = TAR_IN_PADDING;
    if (parser->meta_type != 'x') {
        body->len = body->len == 0 ? 0 : strnlen((const char *)body->data, body->len);
        return 0;
    }
    why = tar_pax_parse(buf_bytes(body), &parser->pax, &rc);
    return why == NULL ? 0 : tar_refuse(parser, rc, why, err);
}

static int start_meta(struct tar_parser *parser, struct err *err)
{
    if (parser->header.size < 0 || parser->header.size > TAR_MAX_META_BYTES)
        return tar_refuse(parser, -EBADMSG, "an extended header or long name over 1 MiB", err);
    parser->meta_type = parser->header.type;
    if (parser->meta_type == 'x')
        tar_pax_fini(&parser->pax); /* it points into the body that is about to go */
    tar_meta_body(parser)->len = 0;
    parser->has_extension = true;
    expect_content(parser, TAR_IN_META, (uint64_t)parser->header.size);
    return 0;
}

/* As an entry of its own: what the headers before it say is about it, and so about nothing. */
static int start_global(struct tar_parser *parser, struct err *err)
{
    if (parser->header.size < 0 || parser->header.size > TAR_MAX_META_BYTES)
        return tar_refuse(parser, -EBADMSG, "an extended header over 1 MiB", err);
    forget_extensions(parser);
    expect_content(parser, TAR_IN_CONTENT, (uint64_t)parser->header.size);
    return 0;
}

int tar_take_header(struct tar_parser *parser, struct err *err)
{
    struct tar_header *header = &parser->header;
    const char *why;
    char text[64];

    if (tar_is_zero_block(parser->block)) {
        parser->state = TAR_IN_ZEROS;
        return 0;
    }
    why = tar_header_parse(parser->block, header);
    if (why != NULL)
        return tar_refuse(parser, -EBADMSG, why, err);
    if (!is_supported(parser, header->type)) {
        (void)snprintf(text, sizeof(text), "unsupported input tar entry '%c' (type 0x%02x)",
                       header->type >= ' ' && header->type <= '~' ? header->type : '?',
                       (unsigned)(uint8_t)header->type);
        return tar_refuse(parser, -EBADMSG, text, err);
    }
    if (header->type == TAR_GLOBAL)
        return start_global(parser, err);
    if (!parser->has_extension)
        parser->entry_off = parser->header_off;
    if (is_meta(header->type))
        return start_meta(parser, err);
    if (has_content(header->type) && header->size < 0)
        return tar_refuse(parser, -EBADMSG, "its size is negative", err);
    return finish_headers(parser, err);
}
