/* SPDX-License-Identifier: Apache-2.0 */
/* parser.c – the stream as a state machine: header blocks, bodies of extended headers, content to
 * skip, the end of the archive. */
#include "tar/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

int tar_parser_new(const struct tar_events *events, struct tar_parser **ret, struct err *err)
{
    struct tar_parser *parser = calloc(1, sizeof(*parser));

    if (parser == NULL)
        return err_set(err, -ENOMEM, "tar: out of memory");
    parser->events = *events;
    *ret = parser;
    return 0;
}

void tar_parser_free(struct tar_parser *parser)
{
    if (parser == NULL)
        return;
    tar_pax_fini(&parser->pax);
    buf_fini(&parser->pax_body);
    buf_fini(&parser->long_name);
    buf_fini(&parser->long_link);
    buf_fini(&parser->sparse_map);
    free(parser);
}

bool tar_parser_is_at_end(const struct tar_parser *parser)
{
    return parser->state == TAR_AT_END;
}

void tar_parser_want_content(struct tar_parser *parser,
                             int (*content)(void *arg, struct bytes piece, struct err *err))
{
    parser->content = content;
}

void tar_parser_pass_over_global(struct tar_parser *parser)
{
    parser->pass_over_global = true;
}

uint64_t tar_parser_consumed(const struct tar_parser *parser)
{
    return parser->pos;
}

bool tar_is_zero_block(const uint8_t *block)
{
    return block[0] == 0 && memcmp(block, block + 1, TAR_BLOCK_BYTES - 1) == 0;
}

/* Collect a block, then act on it. Takes from *in, possibly nothing more than a part of a block. */
static int feed_block(struct tar_parser *parser, struct bytes *in, struct err *err)
{
    size_t len = TAR_BLOCK_BYTES - parser->block_len;

    if (parser->block_len == 0 && parser->state == TAR_IN_HEADER)
        parser->header_off = parser->pos;
    if (len > in->len)
        len = in->len;
    memcpy(parser->block + parser->block_len, in->data, len);
    *in = bytes_of(in->data + len, in->len - len);
    parser->block_len += len;
    parser->pos += len;
    if (parser->block_len < TAR_BLOCK_BYTES)
        return 0;
    parser->block_len = 0;
    if (parser->state == TAR_IN_HEADER)
        return tar_take_header(parser, err);
    if (!tar_is_zero_block(parser->block))
        return tar_refuse(parser, -EBADMSG, "a block of zeros, and then one that is not", err);
    parser->state = TAR_AT_END;
    return 0;
}

/* Take up to `want` bytes of what is left of the content. */
static struct bytes take_content(struct tar_parser *parser, struct bytes *in, uint64_t want)
{
    struct bytes taken = *in;

    if (want > parser->content_left)
        want = parser->content_left;
    if (taken.len > want)
        taken.len = (size_t)want;
    *in = bytes_of(in->data + taken.len, in->len - taken.len);
    parser->content_left -= taken.len;
    parser->pos += taken.len;
    return taken;
}

static int feed_meta(struct tar_parser *parser, struct bytes *in, struct err *err)
{
    struct bytes part = take_content(parser, in, UINT64_MAX);

    if (buf_add(tar_meta_body(parser), part.data, part.len) < 0)
        return tar_refuse(parser, -ENOMEM, "out of memory", err);
    return parser->content_left > 0 ? 0 : tar_finish_meta(parser, err);
}

/* The map is read in whole blocks, until it has as many numbers as it says. */
static int feed_sparse(struct tar_parser *parser, struct bytes *in, struct err *err)
{
    struct buf *map = &parser->sparse_map;
    struct bytes part = take_content(parser, in, TAR_BLOCK_BYTES - map->len % TAR_BLOCK_BYTES);
    const char *why;
    bool more;

    if (buf_add(map, part.data, part.len) < 0)
        return tar_refuse(parser, -ENOMEM, "out of memory", err);
    if (map->len % TAR_BLOCK_BYTES != 0 && parser->content_left > 0)
        return 0;
    if (map->len == 0 || map->len % TAR_BLOCK_BYTES != 0)
        return tar_refuse(parser, -EBADMSG, "its sparse map is cut off", err);
    why = tar_sparse_check_content(buf_bytes(map), parser->header.size, &more);
    if (why != NULL)
        return tar_refuse(parser, -EBADMSG, why, err);
    if (more && (parser->content_left == 0 || map->len >= TAR_MAX_META_BYTES))
        return tar_refuse(parser, -EBADMSG, "its sparse map is cut off or over 1 MiB", err);
    if (more)
        return 0;
    parser->state = TAR_IN_CONTENT;
    return tar_report_entry(parser, err);
}

/* A global header has content too, which is nobody's. */
static int feed_content(struct tar_parser *parser, struct bytes *in, struct err *err)
{
    struct bytes piece = take_content(parser, in, UINT64_MAX);

    if (parser->content_left == 0)
        parser->state = TAR_IN_PADDING;
    if (piece.len == 0 || parser->content == NULL || parser->header.type == TAR_GLOBAL)
        return 0;
    return parser->content(parser->events.arg, piece, err);
}

static void skip_padding(struct tar_parser *parser, struct bytes *in)
{
    size_t len = in->len < parser->padding_left ? in->len : (size_t)parser->padding_left;

    *in = bytes_of(in->data + len, in->len - len);
    parser->padding_left -= len;
    parser->pos += len;
}

/* One step; states that have nothing left to take pass on without input. */
static int step(struct tar_parser *parser, struct bytes *in, struct err *err)
{
    switch (parser->state) {
    case TAR_IN_HEADER:
    case TAR_IN_ZEROS:
        return feed_block(parser, in, err);
    case TAR_IN_META:
        return feed_meta(parser, in, err);
    case TAR_IN_SPARSE:
        return feed_sparse(parser, in, err);
    case TAR_IN_CONTENT:
        return feed_content(parser, in, err);
    case TAR_IN_PADDING:
        skip_padding(parser, in);
        if (parser->padding_left == 0)
            parser->state = TAR_IN_HEADER;
        return 0;
    case TAR_AT_END:
        break;
    }
    *in = (struct bytes){0};
    return 0;
}

int tar_parser_feed(struct tar_parser *parser, struct bytes in, struct err *err)
{
    while (in.len > 0) {
        int rc = step(parser, &in, err);

        if (rc < 0)
            return rc;
    }
    return 0;
}

int tar_parser_finish(struct tar_parser *parser, struct err *err)
{
    struct bytes none = {0};
    int rc;

    /* What is complete without another byte, like an empty extended header, must still be looked
     * at. */
    while (parser->content_left == 0 &&
           (parser->state == TAR_IN_META || parser->state == TAR_IN_SPARSE)) {
        rc = step(parser, &none, err);
        if (rc < 0)
            return rc;
    }
    if ((parser->state == TAR_IN_HEADER || parser->state == TAR_IN_ZEROS) && parser->block_len > 0)
        return err_set(err, -EBADMSG, "tar: ends at offset %" PRIu64 ", inside a header",
                       parser->pos);
    if (parser->content_left > 0)
        return err_set(err, -EBADMSG,
                       "tar: ends at offset %" PRIu64 ", %" PRIu64
                       " bytes before the end of an entry",
                       parser->pos, parser->content_left);
    return 0;
}
