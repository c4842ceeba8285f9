/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h – what the files of ztoc/ share: the file table, the spans, the FlatBuffer's fields.
 */
#ifndef ZTOC_INTERNAL_H
#define ZTOC_INTERNAL_H

#include "tar/tar.h"
#include "zran/zran.h"
#include "ztoc/padding.h"
#include "ztoc/ztoc.h"

/* ---- the FlatBuffer's fields, by table ------------------------------------------------------- */

enum {
    ROOT_VERSION,
    ROOT_BUILD_TOOL,
    ROOT_COMP_SIZE,
    ROOT_UNCOMP_SIZE,
    ROOT_TOC,
    ROOT_INFO,
    ROOT_FIELDS
};
enum { TOC_FILES, TOC_FIELDS };
enum { INFO_ALGORITHM, INFO_MAX_SPAN, INFO_DIGESTS, INFO_CHECKPOINTS, INFO_FIELDS };
enum {
    FILE_NAME,
    FILE_TYPE,
    FILE_UNCOMP_OFF,
    FILE_UNCOMP_SIZE,
    FILE_LINKNAME,
    FILE_MODE,
    FILE_UID,
    FILE_GID,
    FILE_UNAME,
    FILE_GNAME,
    FILE_MTIME,
    FILE_DEVMAJOR,
    FILE_DEVMINOR,
    FILE_XATTRS,
    FILE_FIELDS
};
enum { XATTR_KEY, XATTR_VALUE, XATTR_FIELDS };

/* ---- table.c: the file table, filled by a build or by a parse -------------------------------- */

/* A layer may have a million entries: what they all have is in 64 bytes, what few have is apart.
 * Strings are offsets into one arena, each with a NUL behind it; offset 0 is the empty one. */
struct table_entry {
    uint64_t uncomp_off;
    uint64_t uncomp_size;
    int64_t mtime_sec;
    uint32_t mtime_nsec; /* TABLE_NO_MTIME: there is none */
    uint32_t uid, gid;
    uint32_t mode; /* unless rare */
    uint32_t name, linkname, uname, gname;
    uint32_t rare; /* index of a table_rare, or TABLE_NO_RARE */
    uint8_t type;  /* enum ztoc_type */
};
#define TABLE_NO_MTIME UINT32_MAX
#define TABLE_NO_RARE UINT32_MAX

struct table_rare {
    int64_t mode, devmajor, devminor;
    uint32_t xattr_first, xattr_count;
};

struct table_xattr {
    uint32_t key, value, value_len;
};

extern const char table_type_chars[]; /* tar's type of each enum ztoc_type, and a NUL */

/* Starts zeroed. */
struct table {
    struct table_entry *entries;
    size_t count, cap;
    struct table_rare *rares;
    size_t rare_count, rare_cap;
    struct table_xattr *xattrs;
    size_t xattr_count, xattr_cap;
    struct buf arena;
    uint32_t last_uname, last_gname; /* owners repeat: the same string is not kept twice in a row */
};

/* Copies the entry and what it points to. A time outside the years 0…9999 is none.
 * -EBADMSG: a NUL in a name; -EFBIG: more than a ztoc can hold; -ENOMEM. */
MUST_CHECK int table_add(struct table *table, const struct tar_entry *entry, struct err *err);
void table_get(const struct table *table, size_t i, struct ztoc_file *ret);
void table_get_xattr(const struct table *table, size_t file, size_t i, struct ztoc_xattr *ret);
/* Give back what growing reserved ahead. */
void table_trim(struct table *table);
void table_fini(struct table *table);
DEFINE_SCOPED_VALUE(table, struct table, table_fini)

/* ---- the parsed ztoc ------------------------------------------------------------------------- */

struct ztoc {
    enum ztoc_compression compression;
    char *version, *build_tool;
    uint64_t comp_size, uncomp_size, span_size;
    struct table table; /* empty when the files were dropped */
    struct padding padding;
    size_t span_count;
    struct zran_point *points; /* span_count of them; NULL when not compressed */
    uint64_t *window_offs;     /* in the ztoc blob; NULL when not compressed */
    struct digest *digests;
};

/* ---- parse.c, spans.c ------------------------------------------------------------------------ */

struct flatbuf;
struct flatbuf_table;
/* spans.c: fill the spans of `toc`, whose sizes and compression are there already, from the table
 * CompressionInfo. */
MUST_CHECK int spans_parse(struct flatbuf *fb, struct flatbuf_table info, struct ztoc *toc,
                           struct err *err);

/* ---- encode.c -------------------------------------------------------------------------------- */

struct encode_input {
    const char *version, *build_tool;
    uint64_t comp_size, uncomp_size;
    enum ztoc_compression compression;
    const struct table *table;
    const struct digest *digests; /* one per span */
    size_t span_count;
};
/* The ztoc as the reference writes it. *blob holds the zinfo and becomes the ztoc: the windows are
 * most of it, and are moved to their place rather than copied. On failure its content is lost.
 * -EFBIG, -ENOMEM. */
MUST_CHECK int ztoc_encode(const struct encode_input *input, struct buf *blob, struct err *err);

#endif
