/* SPDX-License-Identifier: Apache-2.0 */
/* layout.c – where each inode goes, and its content when that is a symlink's target or a directory.
 *
 * An inode lies within one block. What is inline follows it and must lie within one block too, so
 * inodes are moved on by some slots where that makes room; what has no room even so gets blocks of
 * its own. */
#include "erofs/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

/* As in directories, Linux's FT_*. */
static uint8_t type_of(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG:
        return 1;
    case S_IFDIR:
        return 2;
    case S_IFCHR:
        return 3;
    case S_IFBLK:
        return 4;
    case S_IFIFO:
        return 5;
    default:
        return 7; /* a symlink: a tar has no sockets */
    }
}

/* A compact inode has small numbers, and not its own time: that of the superblock. Linux 6.15 and
 * later would add what is in a field of it, where we have 0. */
static bool fits_compact(const struct writer *w, const struct tree_node *n)
{
    uint32_t uid, gid;

    inode_owner(w, n, &uid, &gid);
    return n->mtime_sec == w->mtime_sec && n->mtime_nsec == w->mtime_nsec && uid <= UINT16_MAX &&
           gid <= UINT16_MAX && n->nlink <= UINT16_MAX && n->size_bytes <= UINT32_MAX;
}

/* The time that most nodes have, if more than half of them have it; else that of some. One pass: a
 * node with the time in hand votes for it, any other against it, and at none it is the next one's
 * turn (Boyer and Moore). */
static void choose_mtime(struct writer *w)
{
    size_t votes = 0;

    for (tree_id id = TREE_ROOT; id <= tree_count(w->tree); id++) {
        struct tree_node n;

        tree_get(w->tree, id, &n);
        if (votes == 0) {
            w->mtime_sec = n.mtime_sec;
            w->mtime_nsec = n.mtime_nsec;
        }
        if (n.mtime_sec == w->mtime_sec && n.mtime_nsec == w->mtime_nsec)
            votes++;
        else
            votes--;
    }
}

static int content_bytes(const struct writer *w, tree_id id, const struct tree_node *n,
                         uint32_t *ret, struct err *err)
{
    *ret = 0;
    if (S_ISDIR(n->mode))
        return dir_bytes(w, id, ret, err);
    if (!S_ISLNK(n->mode))
        return 0;
    *ret = (uint32_t)n->size_bytes; /* the tree holds no target above 4 KiB */
    return n->size_bytes == 0 ? err_set(err, -EOPNOTSUPP, "a symlink without a target") : 0;
}

static uint64_t blocks_of(uint64_t bytes)
{
    return round_up_to(bytes, EROFS_BLOCK_BYTES) / EROFS_BLOCK_BYTES;
}

static bool is_in_one_block(uint64_t pos, uint64_t bytes)
{
    return pos / EROFS_BLOCK_BYTES == (pos + bytes - 1) / EROFS_BLOCK_BYTES;
}

/* The first slot from `pos` on where the inode's head and what is inline are each in one block.
 * False: there is none. */
static bool find_slot(uint64_t *pos, uint32_t head, uint32_t xattrs, uint32_t inlined)
{
    for (uint64_t at = *pos; at < *pos + EROFS_BLOCK_BYTES; at += INODE_SLOT_BYTES) {
        if (is_in_one_block(at, head) &&
            (inlined == 0 || is_in_one_block(at + head + xattrs, inlined))) {
            *pos = at;
            return true;
        }
    }
    return false;
}

/* From *pos to what is free behind it. */
static int place(struct writer *w, tree_id id, uint64_t *pos, struct err *err)
{
    struct place *p = &w->places[id];
    uint32_t xattrs, head;
    struct tree_node n;
    uint64_t end;
    int rc;

    tree_get(w->tree, id, &n);
    *p = (struct place){
        .block = NO_BLOCK, .type = type_of(n.mode), .is_compact = fits_compact(w, &n)};
    rc = inode_check_content(w, &n, err);
    if (rc == 0)
        rc = content_bytes(w, id, &n, &p->size, err);
    if (rc == 0)
        rc = xattrs_bytes(w, id, &xattrs, err);
    if (rc != 0)
        return rc;

    head = p->is_compact ? COMPACT_BYTES : EXTENDED_BYTES;
    if (p->size >= EROFS_BLOCK_BYTES || !find_slot(pos, head, xattrs, p->size)) {
        p->block = (uint32_t)w->data_blocks;
        w->data_blocks += blocks_of(p->size);
        (void)find_slot(pos, head, xattrs, 0);
    }
    end = *pos + head + xattrs + (p->block == NO_BLOCK ? p->size : 0);
    if (S_ISREG(n.mode) && n.size_bytes > 0)
        end = round_up_to(end, CHUNK_INDEX_BYTES) + CHUNK_INDEX_BYTES;
    if (end / INODE_SLOT_BYTES >= UINT32_MAX || w->data_blocks >= UINT32_MAX)
        return err_set(err, -EOPNOTSUPP, "too many files");
    p->nid = (uint32_t)(*pos / INODE_SLOT_BYTES);
    *pos = round_up_to(end, INODE_SLOT_BYTES);
    return 0;
}

int layout(struct writer *w, struct err *err)
{
    uint64_t pos = INODES_OFF, blocks;
    int rc = 0;

    w->places = calloc(tree_count(w->tree) + 1, sizeof(*w->places));
    if (w->places == NULL)
        return err_sys(err, -ENOMEM, "inodes");
    choose_mtime(w);
    for (tree_id id = TREE_ROOT; rc == 0 && id <= tree_count(w->tree); id++)
        rc = place(w, id, &pos, err);
    if (rc < 0)
        return rc;

    blocks = blocks_of(pos) + blocks_of(w->xattrs.shared_bytes) + w->data_blocks;
    if (blocks >= UINT32_MAX)
        return err_set(err, -EOPNOTSUPP, "too many files");
    w->inodes_end = pos;
    w->shared_block = (uint32_t)blocks_of(pos);
    w->data_block = w->shared_block + (uint32_t)blocks_of(w->xattrs.shared_bytes);
    return 0;
}
