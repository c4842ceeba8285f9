/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h – what the files of tar/ share: numbers, one header block, pax records, sparse maps.
 */
#ifndef TAR_INTERNAL_H
#define TAR_INTERNAL_H

#include "tar/tar.h"

enum {
    TAR_MAX_META_BYTES = 1 << 20
}; /* a pax header, a long name, a sparse map: the reference's limit */

/* ---- number.c -------------------------------------------------------------------------------- */

/* Octal digits with spaces and NULs around them; nothing but those is 0. False: something else is
 * in there. */
bool tar_parse_octal(struct bytes field, int64_t *ret);
/* The same, or base 256 when the first byte has its high bit: big-endian two's complement with a
 * 7-bit first byte. False also: it does not fit. */
bool tar_parse_number(struct bytes field, int64_t *ret);
/* Decimal digits after an optional sign, all of the text, in range. */
bool tar_parse_decimal(struct bytes text, int64_t *ret);
/* Seconds, and digits after a dot of which nine count. *ret_nsec counts forward: "-0.5" is (-1,
 * 500000000). */
bool tar_parse_time(struct bytes text, int64_t *ret_sec, uint32_t *ret_nsec);

/* ---- header.c -------------------------------------------------------------------------------- */

enum { TAR_NAME_BYTES = 155 + 1 + 100 }; /* prefix, slash, name */

/* The fields of a header block; the name is put together in `name_space`, other strings are
 * borrowed from the block. The size is signed here. */
struct tar_header {
    char type; /* any byte */
    char name_space[TAR_NAME_BYTES];
    int64_t size;
    struct tar_entry entry; /* all but type, offsets, size and records */
};
/* NULL, or why the block is no header (a text of static life). */
const char *tar_header_parse(const uint8_t block[TAR_BLOCK_BYTES], struct tar_header *ret);

/* ---- pax.c ----------------------------------------------------------------------------------- */

/* The records of one pax header; starts zeroed. They point into the body they were parsed from. */
struct tar_pax {
    struct tar_record *records; /* sorted, unique */
    size_t count;
    struct buf sparse_map; /* what GNU.sparse.map is made of when the map came as single numbers */
};
/* NULL; or why the body is no pax header. *ret_rc is then -EBADMSG, or -ENOMEM. */
const char *tar_pax_parse(struct bytes body, struct tar_pax *ret, int *ret_rc);
void tar_pax_fini(struct tar_pax *pax);
/* The value of a record; len 0 when there is none. */
struct bytes tar_pax_get(const struct tar_pax *pax, const char *key);
/* Put what the records say over what the header says. NULL; or why it cannot be. */
const char *tar_pax_merge(const struct tar_pax *pax, struct tar_header *header);

/* ---- sparse.c -------------------------------------------------------------------------------- */

/* GNU's sparse files in pax headers. The map says which parts of the file are stored; the reference
 * lists such entries after checking the map, so we do. */
enum tar_sparse {
    TAR_SPARSE_NONE,
    TAR_SPARSE_IN_RECORDS, /* formats 0.0 and 0.1 */
    TAR_SPARSE_IN_CONTENT, /* format 1.0: the map is the first blocks of the content */
};
enum tar_sparse tar_sparse_kind(const struct tar_pax *pax);
/* Name and real size from the records. NULL; or why it cannot be. */
const char *tar_sparse_merge(const struct tar_pax *pax, struct tar_header *header);
/* NULL when the map of format 0.1 fits a file of `size` bytes; else why not. */
const char *tar_sparse_check_records(const struct tar_pax *pax, int64_t size);
/* The same for format 1.0, given the blocks read so far. *ret_more: another block is needed to
 * tell. */
const char *tar_sparse_check_content(struct bytes map, int64_t size, bool *ret_more);

/* ---- parser.c and entry.c -------------------------------------------------------------------- */

enum tar_state {
    TAR_IN_HEADER,  /* a block that is a header, or of zeros */
    TAR_IN_ZEROS,   /* the block after one of zeros */
    TAR_IN_META,    /* the body of an x, L or K header */
    TAR_IN_SPARSE,  /* the blocks of a sparse map in the content */
    TAR_IN_CONTENT, /* to be skipped */
    TAR_IN_PADDING, /* up to the next block */
    TAR_AT_END,
};

struct tar_parser {
    struct tar_events events; /* fixed at creation */
    int (*content)(void *arg, struct bytes piece,
                   struct err *err); /* fixed before the first byte; may be NULL */
    bool pass_over_global;           /* fixed before the first byte */
    enum tar_state state;
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

enum { TAR_GLOBAL = 'g' }; /* the type of a header for all entries that follow */

bool tar_is_zero_block(const uint8_t *block);
/* Set the error: the header and its offset, then why. Returns `code`. */
int tar_refuse(const struct tar_parser *parser, int code, const char *why, struct err *err);
/* A header block is complete, in parser->block. */
int tar_take_header(struct tar_parser *parser, struct err *err);
/* Where the body of the extended header that is being read goes, and what to do when it is
 * there. */
struct buf *tar_meta_body(struct tar_parser *parser);
int tar_finish_meta(struct tar_parser *parser, struct err *err);
/* All is known about the entry: tell the receiver. */
int tar_report_entry(struct tar_parser *parser, struct err *err);

#endif
