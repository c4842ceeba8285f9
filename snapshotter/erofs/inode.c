/* SPDX-License-Identifier: Apache-2.0 */
/* inode.c – inodes, with what follows them, and content that has blocks of its own. */
#include "erofs/internal.h"

#include <errno.h>
#include <sys/stat.h>

/* A file is one chunk: the smallest power of two of blocks that holds it. */
enum { CHUNK_BITS_MAX = 31, CHUNK_HAS_INDEX = 0x20, TAR_DEVICE = 1 };

void inode_owner(const struct writer *w, const struct tree_node *n, uint32_t *ret_uid,
                 uint32_t *ret_gid)
{
    const struct idmaps *ids = w->options->ids;

    *ret_uid = ids == NULL ? n->uid : idmap_outside(&ids->uids, n->uid);
    *ret_gid = ids == NULL ? n->gid : idmap_outside(&ids->gids, n->gid);
}

static bool has_chunk(const struct tree_node *n)
{
    return S_ISREG(n->mode) && n->size_bytes > 0;
}

int inode_check_content(const struct writer *w, const struct tree_node *n, struct err *err)
{
    uint64_t end;

    if (!has_chunk(n))
        return 0;
    if (n->uncomp_off % EROFS_BLOCK_BYTES != 0)
        return err_set(err, -EOPNOTSUPP, "content at %llu, which is no block of the tar",
                       (unsigned long long)n->uncomp_off);
    if (__builtin_add_overflow(n->uncomp_off, n->size_bytes, &end) || end > w->options->tar_bytes)
        return err_set(err, -EOPNOTSUPP, "content at %llu that leaves the tar",
                       (unsigned long long)n->uncomp_off);
    if (n->size_bytes > (uint64_t)EROFS_BLOCK_BYTES << CHUNK_BITS_MAX)
        return err_set(err, -EOPNOTSUPP, "a file of %llu bytes", (unsigned long long)n->size_bytes);
    return 0;
}

static uint16_t chunk_format(uint64_t size_bytes)
{
    unsigned bits = 0;

    while (((uint64_t)EROFS_BLOCK_BYTES << bits) < size_bytes)
        bits++;
    return (uint16_t)(bits | CHUNK_HAS_INDEX);
}

/* Linux's new_encode_dev(): 12 bits of major in the middle of 20 of minor. */
static uint32_t encode_device(const struct tree_node *n)
{
    return (n->minor & 0xff) | n->major << 8 | (n->minor & ~0xffu) << 12;
}

static enum layout_kind kind_of(const struct place *p, const struct tree_node *n)
{
    if (has_chunk(n))
        return LAYOUT_CHUNKS;
    return p->size > 0 && p->block == NO_BLOCK ? LAYOUT_INLINE : LAYOUT_PLAIN;
}

/* What 32 bits say about the content. */
static uint32_t union_of(const struct writer *w, const struct place *p, const struct tree_node *n)
{
    if (has_chunk(n))
        return chunk_format(n->size_bytes);
    if (S_ISCHR(n->mode) || S_ISBLK(n->mode))
        return encode_device(n);
    return p->block == NO_BLOCK ? 0 : w->data_block + p->block;
}

static int write_head(struct writer *w, tree_id id, const struct tree_node *n, uint32_t xattrs,
                      struct err *err)
{
    const struct place *p = &w->places[id];
    uint64_t size = S_ISDIR(n->mode) ? p->size : n->size_bytes;
    uint8_t raw[EXTENDED_BYTES] = {0};
    uint32_t uid, gid;

    inode_owner(w, n, &uid, &gid);
    put_u16le(raw, (uint16_t)((p->is_compact ? 0 : 1) | kind_of(p, n) << 1));
    put_u16le(raw + 2,
              (uint16_t)(xattrs == 0 ? 0 : (xattrs - XATTR_BODY_BYTES) / XATTR_ENTRY_BYTES + 1));
    put_u16le(raw + 4, (uint16_t)n->mode);
    put_u32le(raw + 16, union_of(w, p, n));
    put_u32le(raw + 20, id);
    if (p->is_compact) {
        put_u16le(raw + 6, (uint16_t)n->nlink);
        put_u32le(raw + 8, (uint32_t)size);
        put_u16le(raw + 24, (uint16_t)uid);
        put_u16le(raw + 26, (uint16_t)gid);
        return out_add(w->out, raw, COMPACT_BYTES, err);
    }
    put_u64le(raw + 8, size);
    put_u32le(raw + 24, uid);
    put_u32le(raw + 28, gid);
    put_u64le(raw + 32, (uint64_t)n->mtime_sec);
    put_u32le(raw + 40, n->mtime_nsec);
    put_u32le(raw + 44, n->nlink);
    return out_add(w->out, raw, EXTENDED_BYTES, err);
}

static int write_chunk(struct writer *w, const struct tree_node *n, struct err *err)
{
    uint8_t raw[CHUNK_INDEX_BYTES] = {0};
    int rc = out_fill(w->out, round_up_to(w->out->pos, CHUNK_INDEX_BYTES), err);

    put_u16le(raw + 2, TAR_DEVICE);
    put_u32le(raw + 4, (uint32_t)(n->uncomp_off / EROFS_BLOCK_BYTES));
    return rc < 0 ? rc : out_add(w->out, raw, sizeof(raw), err);
}

int inode_write_content(struct writer *w, tree_id id, struct err *err)
{
    if (w->places[id].size == 0)
        return 0;
    if (tree_link_target(w->tree, id)[0] == '\0')
        return dir_write(w, id, err);
    return out_add(w->out, tree_link_target(w->tree, id), w->places[id].size, err);
}

int inode_write(struct writer *w, tree_id id, struct err *err)
{
    const struct place *p = &w->places[id];
    struct tree_node n;
    uint32_t xattrs;
    int rc = xattrs_bytes(w, id, &xattrs, err);

    tree_get(w->tree, id, &n);
    if (rc == 0)
        rc = out_fill(w->out, (uint64_t)p->nid * INODE_SLOT_BYTES, err);
    if (rc == 0)
        rc = write_head(w, id, &n, xattrs, err);
    if (rc == 0)
        rc = xattrs_write(w, id, err);
    if (rc == 0 && has_chunk(&n))
        rc = write_chunk(w, &n, err);
    if (rc == 0 && p->block == NO_BLOCK)
        rc = inode_write_content(w, id, err);
    return rc;
}
