/* SPDX-License-Identifier: Apache-2.0 */
/* parser.c – the stream as a state machine: headers, their extensions, content to skip, the end of
 * the archive.
 *
 * An entry may be preceded by headers that only describe it: a pax header (x) and GNU long names
 * (L, K). Of each kind the last one counts, long names go before pax records, and all of it is
 * forgotten after the entry. */
#include "tar/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

enum state {
    STATE_HEADER,  /* a block that is a header, or of zeros */
    STATE_ZEROS,   /* the block after one of zeros */
    STATE_META,    /* the body of an x, L or K header */
    STATE_SPARSE,  /* the blocks of a sparse map in the content */
    STATE_CONTENT, /* to be skipped */
    STATE_PADDING, /* up to the next block */
    STATE_END,
};

struct tar_parser {
    struct tar_events events; /* fixed at creation */
    enum state state;
    uint64_t pos;          /* bytes consumed */
    uint64_t header_off;   /* of the header being read, or last read */
    uint64_t entry_off;    /* of the first header of the entry to come */
    bool has_extension;    /* entry_off is that of an x, L or K before */
    uint64_t content_left; /* bytes of META, SPARSE and CONTENT */
    uint64_t padding_left;
    uint8_t block[TAR_BLOCK_BYTES]; /* the strings of `header` point into it */
    size_t block_len;
    struct tar_header header;
    char meta_type;      /* x, L or K */
    struct buf pax_body; /* `pax` points into it */
    struct buf long_name, long_link;
    struct buf sparse_map;
    struct tar_pax pax;
};

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
    return parser->state == STATE_END;
}

uint64_t tar_parser_consumed(const struct tar_parser *parser)
{
    return parser->pos;
}

static int refuse(const struct tar_parser *parser, int code, const char *why, struct err *err)
{
    return err_set(err, code, "tar: header at offset %" PRIu64 ": %s", parser->header_off, why);
}

static bool is_zero_block(const uint8_t *block)
{
    return block[0] == 0 && memcmp(block, block + 1, TAR_BLOCK_BYTES - 1) == 0;
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

static bool is_supported(char type)
{
    return has_content(type) || is_meta(type) || (type >= '1' && type <= '6');
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

static void expect_content(struct tar_parser *parser, enum state state, uint64_t len)
{
    parser->state = state;
    parser->content_left = len;
    parser->padding_left = (0 - len) % TAR_BLOCK_BYTES;
}

static int report_entry(struct tar_parser *parser, struct err *err)
{
    struct tar_header *header = &parser->header;
    int rc;

    if (header->size < 0)
        return refuse(parser, -EBADMSG, "its size is negative", err);
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
        return refuse(parser, -EBADMSG, why, err);
    if (kind == TAR_SPARSE_IN_RECORDS)
        return report_entry(parser, err);
    parser->sparse_map.len = 0;
    parser->state = STATE_SPARSE; /* the entry is reported behind the map */
    return 0;
}

/* All headers of an entry are there: put them together. */
static int finish_headers(struct tar_parser *parser, struct err *err)
{
    struct tar_header *header = &parser->header;
    const char *why = tar_pax_merge(&parser->pax, header);
    enum tar_sparse sparse = tar_sparse_kind(&parser->pax);

    if (why != NULL)
        return refuse(parser, -EBADMSG, why, err);
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
        return refuse(parser, -EBADMSG, "its size is negative", err);
    expect_content(parser, STATE_CONTENT, has_content(header->type) ? (uint64_t)header->size : 0);
    return sparse == TAR_SPARSE_NONE ? report_entry(parser, err)
                                     : start_sparse(parser, sparse, err);
}

static struct buf *meta_body(struct tar_parser *parser)
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
static int finish_meta(struct tar_parser *parser, struct err *err)
{
    struct buf *body = meta_body(parser);
    const char *why;
    int rc;

    parser->state = STATE_PADDING;
    if (parser->meta_type != 'x') {
        body->len = body->len == 0 ? 0 : strnlen((const char *)body->data, body->len);
        return 0;
    }
    why = tar_pax_parse(buf_bytes(body), &parser->pax, &rc);
    return why == NULL ? 0 : refuse(parser, rc, why, err);
}

static int start_meta(struct tar_parser *parser, struct err *err)
{
    if (parser->header.size < 0 || parser->header.size > TAR_MAX_META_BYTES)
        return refuse(parser, -EBADMSG, "an extended header or long name over 1 MiB", err);
    parser->meta_type = parser->header.type;
    if (parser->meta_type == 'x')
        tar_pax_fini(&parser->pax); /* it points into the body that is about to go */
    meta_body(parser)->len = 0;
    parser->has_extension = true;
    expect_content(parser, STATE_META, (uint64_t)parser->header.size);
    return 0;
}

static int take_header(struct tar_parser *parser, struct err *err)
{
    struct tar_header *header = &parser->header;
    const char *why;
    char text[64];

    if (is_zero_block(parser->block)) {
        parser->state = STATE_ZEROS;
        return 0;
    }
    why = tar_header_parse(parser->block, header);
    if (why != NULL)
        return refuse(parser, -EBADMSG, why, err);
    if (!is_supported(header->type)) {
        (void)snprintf(text, sizeof(text), "unsupported input tar entry '%c' (type 0x%02x)",
                       header->type >= ' ' && header->type <= '~' ? header->type : '?',
                       (unsigned)(uint8_t)header->type);
        return refuse(parser, -EBADMSG, text, err);
    }
    if (!parser->has_extension)
        parser->entry_off = parser->header_off;
    if (is_meta(header->type))
        return start_meta(parser, err);
    if (has_content(header->type) && header->size < 0)
        return refuse(parser, -EBADMSG, "its size is negative", err);
    return finish_headers(parser, err);
}

/* Collect a block, then act on it. Takes from *in, possibly nothing more than a part of a block. */
static int feed_block(struct tar_parser *parser, struct bytes *in, struct err *err)
{
    size_t len = TAR_BLOCK_BYTES - parser->block_len;

    if (parser->block_len == 0 && parser->state == STATE_HEADER)
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
    if (parser->state == STATE_HEADER)
        return take_header(parser, err);
    if (!is_zero_block(parser->block))
        return refuse(parser, -EBADMSG, "a block of zeros, and then one that is not", err);
    parser->state = STATE_END;
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

    if (buf_add(meta_body(parser), part.data, part.len) < 0)
        return refuse(parser, -ENOMEM, "out of memory", err);
    return parser->content_left > 0 ? 0 : finish_meta(parser, err);
}

/* The map is read in whole blocks, until it has as many numbers as it says. */
static int feed_sparse(struct tar_parser *parser, struct bytes *in, struct err *err)
{
    struct buf *map = &parser->sparse_map;
    struct bytes part = take_content(parser, in, TAR_BLOCK_BYTES - map->len % TAR_BLOCK_BYTES);
    const char *why;
    bool more;

    if (buf_add(map, part.data, part.len) < 0)
        return refuse(parser, -ENOMEM, "out of memory", err);
    if (map->len % TAR_BLOCK_BYTES != 0 && parser->content_left > 0)
        return 0;
    if (map->len == 0 || map->len % TAR_BLOCK_BYTES != 0)
        return refuse(parser, -EBADMSG, "its sparse map is cut off", err);
    why = tar_sparse_check_content(buf_bytes(map), parser->header.size, &more);
    if (why != NULL)
        return refuse(parser, -EBADMSG, why, err);
    if (more && (parser->content_left == 0 || map->len >= TAR_MAX_META_BYTES))
        return refuse(parser, -EBADMSG, "its sparse map is cut off or over 1 MiB", err);
    if (more)
        return 0;
    parser->state = STATE_CONTENT;
    return report_entry(parser, err);
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
    case STATE_HEADER:
    case STATE_ZEROS:
        return feed_block(parser, in, err);
    case STATE_META:
        return feed_meta(parser, in, err);
    case STATE_SPARSE:
        return feed_sparse(parser, in, err);
    case STATE_CONTENT:
        (void)take_content(parser, in, UINT64_MAX);
        if (parser->content_left == 0)
            parser->state = STATE_PADDING;
        return 0;
    case STATE_PADDING:
        skip_padding(parser, in);
        if (parser->padding_left == 0)
            parser->state = STATE_HEADER;
        return 0;
    case STATE_END:
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
           (parser->state == STATE_META || parser->state == STATE_SPARSE)) {
        rc = step(parser, &none, err);
        if (rc < 0)
            return rc;
    }
    if ((parser->state == STATE_HEADER || parser->state == STATE_ZEROS) && parser->block_len > 0)
        return err_set(err, -EBADMSG, "tar: ends at offset %" PRIu64 ", inside a header",
                       parser->pos);
    if (parser->content_left > 0)
        return err_set(err, -EBADMSG,
                       "tar: ends at offset %" PRIu64 ", %" PRIu64
                       " bytes before the end of an entry",
                       parser->pos, parser->content_left);
    return 0;
}
