/* SPDX-License-Identifier: Apache-2.0 */
/* ztoc.h – the table of contents of a layer: its files, its spans, and how to build, read and use
 * one.
 *
 * A ztoc is a FlatBuffer that travels beside an image. It lists every entry of the layer's tar with
 * its offset, and the spans: pieces of the compressed layer, each with a digest and a checkpoint to
 * start inflating from. docs/ztoc.md has the layout. Builds are byte for byte those of the
 * reference implementation, so equal layers have equal ztocs.
 *
 * A parsed ztoc is immutable, but for ztoc_drop_files() and ztoc_read_files(): any thread may read
 * it. Nothing here blocks but the callbacks that the caller gives. */
#ifndef ZTOC_ZTOC_H
#define ZTOC_ZTOC_H

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"
#include "digest/digest.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ztoc_compression { ZTOC_GZIP = 1, ZTOC_UNCOMPRESSED = 2 }; /* as on the wire */

enum { ZTOC_DEFAULT_SPAN_SIZE = 4 * 1024 * 1024 };
/* A larger one is not taken: a table of a million files, or 16 000 checkpoints, which are 64 GiB at
 * the default span size. It is held in memory while it is fetched. */
enum { ZTOC_MAX_BYTES = 512 * 1024 * 1024 };
/* The reference's: another one means other digests. */
#define ZTOC_DEFAULT_BUILD_TOOL "AWS SOCI CLI v0.2"

/* ---- a parsed ztoc --------------------------------------------------------------------------- */

struct ztoc;

/* Verify a whole ztoc and keep what is needed of it in a compact table and one arena of strings;
 * `blob` may go away afterwards. The windows are not kept: pread() them at ztoc_span.window_off of
 * the blob.
 *
 * What holds afterwards, whoever wrote the blob: entries are in the order of the tar and do not
 * overlap; the content of every regular file is inside ztoc_uncomp_size(); span k+1 starts where
 * span k ends in the tar (and where it ends, or one shared byte before, in the layer), span 0
 * starts at 0 of the tar, all of them are inside ztoc_comp_size(); no string holds a NUL. -EBADMSG:
 * one of them does not hold, or it is no ztoc; -ENOMEM. */
MUST_CHECK int ztoc_parse(struct bytes blob, struct ztoc **ret, struct err *err);
void ztoc_free(struct ztoc *toc); /* NULL is fine */
DEFINE_SCOPED_PTR(ztoc, struct ztoc, ztoc_free)

enum ztoc_compression ztoc_compression(const struct ztoc *toc);
const char *ztoc_version(const struct ztoc *toc);    /* "0.9"; "" when the writer left it out */
const char *ztoc_build_tool(const struct ztoc *toc); /* borrowed, as all strings here */
uint64_t ztoc_comp_size(const struct ztoc *toc);     /* bytes of the layer blob */
/* Bytes of the tar up to the end-of-archive marker. The layer may go on after it (padding, junk):
 * then the last span ends here all the same, and spans that lie wholly behind are listed but hold
 * no file. */
uint64_t ztoc_uncomp_size(const struct ztoc *toc);

/* ---- its files ------------------------------------------------------------------------------- */

enum ztoc_type {
    ZTOC_REG,
    ZTOC_DIR,
    ZTOC_SYMLINK,
    ZTOC_HARDLINK,
    ZTOC_CHAR,
    ZTOC_BLOCK,
    ZTOC_FIFO,
};

/* One entry of the tar: a view whose strings are borrowed from the ztoc. Names are as stored, never
 * cleaned: leading "./" and "/", "..", doubled and trailing slashes are all there, and so are
 * duplicates and whiteouts. */
struct ztoc_file {
    const char *name;
    const char *linkname; /* of symlinks and hard links; "" else */
    const char *uname, *gname;
    enum ztoc_type type;
    uint64_t uncomp_off;  /* of the first content byte in the tar */
    uint64_t uncomp_size; /* bytes of content; some headers of links have one all the same */
    int64_t mode;         /* the tar's number, with type bits and stray high ones: take & 07777 */
    uint32_t uid, gid;
    int64_t mtime_sec; /* since 1970; the year 1 when there is none, as the reference has it */
    uint32_t mtime_nsec;
    bool has_mtime; /* false: outside the years 0…9999, or unreadable */
    int64_t devmajor, devminor;
    size_t xattr_count; /* all PAX records, not only extended attributes */
};
/* A PAX record. Extended attributes are those whose key starts with "SCHILY.xattr.". */
struct ztoc_xattr {
    const char *key;    /* no two of one file are equal; sorted bytewise */
    struct bytes value; /* any bytes, NULs too */
};

size_t ztoc_file_count(const struct ztoc *toc);
void ztoc_file_at(const struct ztoc *toc, size_t i, struct ztoc_file *ret); /* i < count */
void ztoc_xattr_at(const struct ztoc *toc, size_t file, size_t i, struct ztoc_xattr *ret);
/* The first entry with exactly this stored name; SIZE_MAX: no such. Looks at every entry. */
size_t ztoc_find(const struct ztoc *toc, const char *name);

const char *ztoc_type_name(enum ztoc_type type); /* "reg", "dir", … as on the wire */

/* Most of a ztoc's memory is its files, and most of the time nobody wants to know of them. Dropped,
 * there are none; all else stays as it is, ztoc_clear_padding() too. Read again from the bytes that
 * were parsed before, they are the same; errors as for ztoc_parse(), and then nothing has changed.
 * Not while another thread looks at files. */
void ztoc_drop_files(struct ztoc *toc);
MUST_CHECK int ztoc_read_files(struct ztoc *toc, struct bytes blob, struct err *err);

/* `len` bytes of the tar at uncomp_off are made what files are where blocks of the tar are shown:
 * from the end of each file to that of its last block, of 512 bytes, there are zeros. True: there
 * was something else. */
bool ztoc_clear_padding(const struct ztoc *toc, uint8_t *data, size_t len, uint64_t uncomp_off);

/* ---- its spans ------------------------------------------------------------------------------- */

struct ztoc_span {
    uint64_t comp_off, comp_end;     /* of the blob; neighbours share a byte when bits != 0 */
    uint64_t uncomp_off, uncomp_end; /* of the tar; empty at times: the last, odd writers' first */
    uint8_t bits;                    /* for zran_inflate(); 0 when not compressed */
    uint64_t window_off;  /* of its window in the ztoc blob; UINT64_MAX: zeros, or not compressed */
    struct digest digest; /* of the layer's bytes [comp_off, comp_end) */
};
size_t ztoc_span_count(const struct ztoc *toc); /* at least 1 */
void ztoc_span_at(const struct ztoc *toc, size_t i, struct ztoc_span *ret);
/* The span that holds byte `uncomp_off` of the tar; the last one for anything behind. */
size_t ztoc_span_of(const struct ztoc *toc, uint64_t uncomp_off);
uint64_t ztoc_span_size(const struct ztoc *toc); /* as asked for at the build */

/* ---- building -------------------------------------------------------------------------------- */

struct ztoc_build_options {
    uint64_t span_size;     /* bytes of tar; 0: a span per deflate block, for gzip only */
    const char *build_tool; /* NULL: ZTOC_DEFAULT_BUILD_TOOL */
};

/* What is worth telling about a finished build. */
struct ztoc_build_info {
    struct digest digest; /* of the ztoc blob */
    uint64_t ztoc_size;
    uint64_t comp_size, uncomp_size; /* as ztoc_comp_size() and ztoc_uncomp_size() */
    size_t file_count, span_count;
    bool has_xattrs; /* some entry has a SCHILY.xattr. record */
    bool has_opaque; /* some name ends in .wh..wh..opq */
};

/* One pass over the layer: inflating, reading the tar and hashing the spans happen in the same loop
 * over the same buffers. Memory is the file table plus 32 KiB per span. */
struct ztoc_builder;
/* -EINVAL: a span size of 0 for an uncompressed layer, or one past 2^63; -ENOMEM. */
MUST_CHECK int ztoc_builder_new(enum ztoc_compression compression,
                                const struct ztoc_build_options *options, struct ztoc_builder **ret,
                                struct err *err);
/* The next bytes of the layer blob, in pieces of any size. After a failure only ztoc_builder_free()
 * may follow. -EBADMSG: what the reference refuses too (not gzip, damaged, truncated, a bad tar
 * header, an entry type that has no place in a ztoc); the text says why and at which offset.
 * -EFBIG: the ztoc would exceed 2 GiB. -ENOMEM. */
MUST_CHECK int ztoc_builder_feed(struct ztoc_builder *builder, struct bytes comp, struct err *err);
/* The layer is complete: the ztoc is put into *ret_blob, which is empty before. ret_info may be
 * NULL. Errors as above. */
MUST_CHECK int ztoc_builder_finish(struct ztoc_builder *builder, struct buf *ret_blob,
                                   struct ztoc_build_info *ret_info, struct err *err);
void ztoc_builder_free(struct ztoc_builder *builder);
DEFINE_SCOPED_PTR(ztoc_builder, struct ztoc_builder, ztoc_builder_free)

/* ---- using it -------------------------------------------------------------------------------- */

/* Where the layer's compressed bytes come from. read_at() fills all of `len` or fails; it may
 * block. */
struct ztoc_source {
    int (*read_at)(void *self, void *buf, size_t len, uint64_t comp_off, struct err *err);
    void *self;
};
/* Where a file's bytes go, in order, in pieces. */
struct ztoc_sink {
    int (*write)(void *self, struct bytes piece, struct err *err);
    void *self;
};
/* Read the content of one file: fetch the spans that cover it one after the other, verify each,
 * inflate it. `blob` is the ztoc's own bytes (for the windows), the very ones that were parsed.
 * Entries other than regular files have no content: nothing is written. Hard links are not
 * followed. -EBADMSG: a span does not match its digest (nothing of it is written) or does not
 * inflate; -ENOMEM; what read_at() or write() returned. */
MUST_CHECK int ztoc_extract(const struct ztoc *toc, struct bytes blob,
                            const struct ztoc_source *layer, const struct ztoc_file *file,
                            const struct ztoc_sink *sink, struct err *err);

/* Is this the table of that tar? The tar is given once, from its start, with what comes after the
 * end of the archive; memory is that of one entry. -EBADMSG: an entry differs in its name, type,
 * offset, size, mode, owner, time, target, device number or extended attributes, there are more or
 * fewer of them, or it is no tar; the text says which and what. After a failure only
 * ztoc_comparison_free() may follow. -ENOMEM. */
struct ztoc_comparison;
MUST_CHECK int ztoc_comparison_new(const struct ztoc *toc, struct ztoc_comparison **ret,
                                   struct err *err); /* borrows the ztoc */
MUST_CHECK int ztoc_comparison_feed(struct ztoc_comparison *c, struct bytes uncomp,
                                    struct err *err);
MUST_CHECK int ztoc_comparison_finish(struct ztoc_comparison *c, struct err *err);
void ztoc_comparison_free(struct ztoc_comparison *c); /* NULL is fine */
DEFINE_SCOPED_PTR(ztoc_comparison, struct ztoc_comparison, ztoc_comparison_free)

#endif
