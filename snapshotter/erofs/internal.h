/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h – the image's format as far as we write it, and what the files of erofs/ share.
 *
 * All numbers are little-endian (Linux: fs/erofs/erofs_fs.h). From the start of the image:
 *
 *   1024  superblock, 128 bytes
 *   1152  device table: one slot of 128 bytes, the tar
 *   1280  inodes, in the order of the tree's ids, each at a multiple of 32: its number. After each
 *         its extended attributes, then where its content is (a file) or all of that (a symlink or
 *         small directory)
 *         extended attributes that several inodes have
 *         blocks of larger directories and long symlinks
 *
 * Each part but the first three starts at a block. */
#ifndef EROFS_INTERNAL_H
#define EROFS_INTERNAL_H

#include "erofs/erofs.h"

#include <assert.h>
#include <stddef.h>

enum {
    BLOCK_BITS = 9,
    SUPER_OFF = 1024,
    SUPER_BYTES = 128,
    DEVICE_SLOT_BYTES = 128,
    INODES_OFF = SUPER_OFF + SUPER_BYTES + DEVICE_SLOT_BYTES,
    INODE_SLOT_BYTES = 32, /* what inode numbers count */
    COMPACT_BYTES = 32,
    EXTENDED_BYTES = 64,
    CHUNK_INDEX_BYTES = 8,
    XATTR_BODY_BYTES = 12,
    XATTR_ENTRY_BYTES = 4,
    DIRENT_BYTES = 12,
};
static_assert(1 << BLOCK_BITS == EROFS_BLOCK_BYTES, "one number, two forms");
static_assert(INODES_OFF % INODE_SLOT_BYTES == 0, "inode numbers count from the image's start");

/* How an inode's content is found. */
enum layout_kind { LAYOUT_PLAIN = 0, LAYOUT_INLINE = 2, LAYOUT_CHUNKS = 4 };

#define NO_BLOCK UINT32_MAX

/* ---- out.c: bytes on their way to the sink --------------------------------------------------- */

struct out {
    const struct erofs_sink *sink;
    uint64_t pos; /* in the image */
    size_t used;
    uint8_t data[64 * 1024];
};
MUST_CHECK int out_add(struct out *out, const void *data, size_t len, struct err *err);
/* Zeros up to a position that is not behind. */
MUST_CHECK int out_fill(struct out *out, uint64_t pos, struct err *err);
MUST_CHECK int out_flush(struct out *out, struct err *err);

/* ---- xattr.c ---------------------------------------------------------------------------------
 */

/* Equal attributes, of one inode or of many. */
struct xattr_group {
    const char *name; /* borrowed from the tree, as is the value */
    struct bytes value;
    uint32_t shared_id; /* its place in the shared area, in words; NO_BLOCK: it is inline */
};
struct xattrs {
    struct xattr_group *groups;
    size_t group_count;
    uint32_t *group_of; /* of each attribute, in the order of ids and of tree_xattr() */
    uint32_t *first;    /* of each id: its first in group_of; one more than there are ids */
    uint64_t shared_bytes;
    struct buf mapped; /* of xattr_value() */
};

struct writer {
    const struct tree *tree;
    const struct erofs_options *options;
    struct xattrs xattrs;
    struct place *places; /* of each id */
    int64_t mtime_sec;    /* of all compact inodes */
    uint32_t mtime_nsec;
    uint64_t inodes_end;
    uint32_t shared_block; /* where the shared attributes start */
    uint32_t data_block;   /* where the blocks of directories and symlinks start */
    uint64_t data_blocks;  /* how many those are */
    struct out *out;
};

MUST_CHECK int xattrs_collect(struct writer *w, struct err *err);
void xattrs_fini(struct xattrs *xattrs);
/* What an inode's attributes take after it, header included; 0: it has none. */
MUST_CHECK int xattrs_bytes(struct writer *w, tree_id id, uint32_t *ret, struct err *err);
MUST_CHECK int xattrs_write(struct writer *w, tree_id id, struct err *err);
MUST_CHECK int xattrs_write_shared(struct writer *w, struct err *err);

/* ---- dir.c -----------------------------------------------------------------------------------
 */

/* Of the directory's content. -EOPNOTSUPP: 4 GiB or more. */
MUST_CHECK int dir_bytes(const struct writer *w, tree_id dir, uint32_t *ret, struct err *err);
MUST_CHECK int dir_write(struct writer *w, tree_id dir, struct err *err);

/* ---- layout.c: where each inode goes --------------------------------------------------------- */

struct place {
    uint32_t nid;   /* offset in the image / INODE_SLOT_BYTES */
    uint32_t size;  /* of a directory's or symlink's content */
    uint32_t block; /* where that starts, from w->data_block on; NO_BLOCK: after the inode */
    uint8_t type;   /* as in directories */
    bool is_compact;
};
MUST_CHECK int layout(struct writer *w, struct err *err);

/* ---- inode.c ---------------------------------------------------------------------------------
 */

/* Owners as the image has them. */
void inode_owner(const struct writer *w, const struct tree_node *n, uint32_t *ret_uid,
                 uint32_t *ret_gid);
/* Does the kernel find it there? */
MUST_CHECK int inode_check_content(const struct writer *w, const struct tree_node *n,
                                   struct err *err);
MUST_CHECK int inode_write(struct writer *w, tree_id id, struct err *err);
/* The directory's or symlink's content. */
MUST_CHECK int inode_write_content(struct writer *w, tree_id id, struct err *err);

static inline uint64_t round_up_to(uint64_t n, uint64_t unit)
{
    return (n + unit - 1) / unit * unit;
}

#endif
