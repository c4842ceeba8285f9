/* SPDX-License-Identifier: Apache-2.0 */
/* tar.h – a tar stream, pushed in pieces, becomes entries with everything that headers of any
 * dialect say about them.
 *
 * Dialects: V7, ustar, pax, GNU (long names, not its sparse files), star. What is accepted, what is
 * refused and what an odd header means follows the reference implementation, because the digest of
 * a ztoc depends on it: see docs/ztoc.md. Content is skipped unless it is asked for.
 *
 * Pure computation: nothing here blocks, and a parser is used by one thread at a time. */
#ifndef TAR_TAR_H
#define TAR_TAR_H

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TAR_BLOCK_BYTES = 512 };

/* A PAX record. The key holds no NUL; the value may. */
struct tar_record {
    struct bytes key, value;
};

/* What one entry's headers say; strings are borrowed for the call. No name holds a NUL but one that
 * comes from GNU.sparse.name. */
struct tar_entry {
    char type; /* '0' file, '1' hard link, '2' symlink, '3' character device, '4' block device, '5'
                  directory, '6' fifo */
    struct bytes name, linkname, uname, gname;
    uint64_t header_off; /* of the first of its headers in the stream */
    uint64_t uncomp_off; /* of the first content byte: the end of all headers and of a sparse map */
    uint64_t size; /* as the headers say. Only files ('0') have content; a sparse one has less than
                      this */
    int64_t mode;  /* all bits of the number */
    int64_t uid, gid;
    int64_t mtime_sec;
    uint32_t mtime_nsec; /* counts forward, also before 1970 */
    int64_t devmajor, devminor;
    const struct tar_record *records; /* sorted bytewise by key, no two equal */
    size_t record_count;
};

struct tar_events {
    /* An entry; its content follows in the stream. 0, or <0 which ends the parse with that code. */
    int (*entry)(void *arg, const struct tar_entry *entry, struct err *err);
    void *arg;
};

struct tar_parser;
MUST_CHECK int tar_parser_new(const struct tar_events *events, struct tar_parser **ret,
                              struct err *err);
/* Before the first byte: give the content of files too, with the `arg` of the events. The pieces
 * are those of the file that was reported last, in order; of a sparse one, what is stored.
 * content() returns 0, or <0 as entry(). */
void tar_parser_want_content(struct tar_parser *parser,
                             int (*content)(void *arg, struct bytes piece, struct err *err));
/* Before the first byte: pass over headers for all entries that follow (type g), whatever they say.
 * They are refused otherwise, as the reference does. */
void tar_parser_pass_over_global(struct tar_parser *parser);
/* The next bytes, in pieces of any size; the result does not depend on how they are cut. What comes
 * after the end of the archive is ignored. After a failure only tar_parser_free() may follow.
 * -EBADMSG: not a tar header, damaged, or an entry that is not supported; the text says why and at
 * which offset. */
MUST_CHECK int tar_parser_feed(struct tar_parser *parser, struct bytes in, struct err *err);
/* There are no more bytes. -EBADMSG: it ends inside a header or inside content. An end without the
 * two blocks of zeros is fine. */
MUST_CHECK int tar_parser_finish(struct tar_parser *parser, struct err *err);
/* Was the end-of-archive marker seen? */
bool tar_parser_is_at_end(const struct tar_parser *parser);
/* Bytes up to and with the end-of-archive marker; all bytes so far while it was not seen. */
uint64_t tar_parser_consumed(const struct tar_parser *parser);
void tar_parser_free(struct tar_parser *parser);
DEFINE_SCOPED_PTR(tar_parser, struct tar_parser, tar_parser_free)

/* A name as a tar or a person has it: "/a/./b/../c//" is "a/c", and "../.." is "". Nothing leads
 * above the root. 0 or -ENOMEM. */
MUST_CHECK int tar_path_clean(struct bytes name, struct buf *ret);

#endif
