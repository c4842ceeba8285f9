/* SPDX-License-Identifier: Apache-2.0 */
/* image.c – the image as a whole: laid out first, then written from front to back. */
#include "erofs/internal.h"

#include <errno.h>
#include <stdlib.h>

#define EROFS_MAGIC 0xe0f5e1e2u
enum {
    COMPAT_MTIME = 2,     /* times are those of modification */
    INCOMPAT_CHUNKED = 4, /* some files are chunks */
    INCOMPAT_DEVICES = 8, /* there is a device table */
    SLOT_OF_DEVICE_TABLE = (SUPER_OFF + SUPER_BYTES) / DEVICE_SLOT_BYTES,
};
static_assert((SUPER_OFF + SUPER_BYTES) % DEVICE_SLOT_BYTES == 0, "counted in slots");

uint64_t erofs_device_bytes(uint64_t tar_bytes)
{
    return round_up_to(tar_bytes, EROFS_BLOCK_BYTES);
}

static int write_start(struct writer *w, struct err *err)
{
    uint64_t device_blocks = erofs_device_bytes(w->options->tar_bytes) / EROFS_BLOCK_BYTES;
    uint8_t super[SUPER_BYTES] = {0}, slot[DEVICE_SLOT_BYTES] = {0};
    int rc;

    put_u32le(super, EROFS_MAGIC);
    put_u32le(super + 8, COMPAT_MTIME);
    super[12] = BLOCK_BITS;
    put_u16le(super + 14, (uint16_t)w->places[TREE_ROOT].nid);
    put_u64le(super + 16, tree_count(w->tree));
    put_u64le(super + 24, (uint64_t)w->mtime_sec);
    put_u32le(super + 32, w->mtime_nsec);
    put_u32le(super + 36, w->data_block + (uint32_t)w->data_blocks);
    put_u32le(super + 44, w->shared_block);
    memcpy(super + 48, w->options->uuid, EROFS_UUID_BYTES);
    put_u32le(super + 80, INCOMPAT_CHUNKED | INCOMPAT_DEVICES);
    put_u16le(super + 86, 1); /* devices */
    put_u16le(super + 88, SLOT_OF_DEVICE_TABLE);
    put_u32le(slot + 64, (uint32_t)device_blocks);

    rc = out_fill(w->out, SUPER_OFF, err);
    if (rc == 0)
        rc = out_add(w->out, super, sizeof(super), err);
    return rc < 0 ? rc : out_add(w->out, slot, sizeof(slot), err);
}

static int write_blocks(struct writer *w, struct err *err)
{
    int rc = 0;

    for (tree_id id = TREE_ROOT; rc == 0 && id <= tree_count(w->tree); id++) {
        const struct place *p = &w->places[id];

        if (p->block == NO_BLOCK)
            continue;
        rc = out_fill(w->out, ((uint64_t)w->data_block + p->block) * EROFS_BLOCK_BYTES, err);
        if (rc == 0)
            rc = inode_write_content(w, id, err);
    }
    return rc;
}

static int write_all(struct writer *w, struct err *err)
{
    int rc = write_start(w, err);

    for (tree_id id = TREE_ROOT; rc == 0 && id <= tree_count(w->tree); id++)
        rc = inode_write(w, id, err);
    if (rc == 0)
        rc = out_fill(w->out, (uint64_t)w->shared_block * EROFS_BLOCK_BYTES, err);
    if (rc == 0)
        rc = xattrs_write_shared(w, err);
    if (rc == 0)
        rc = write_blocks(w, err);
    if (rc == 0) /* a kernel that maps the last page finds a whole block in it */
        rc = out_fill(w->out, round_up_to(w->out->pos, EROFS_BLOCK_BYTES), err);
    return rc < 0 ? rc : out_flush(w->out, err);
}

static void writer_fini(struct writer *w)
{
    xattrs_fini(&w->xattrs);
    free(w->places);
    free(w->out);
}
DEFINE_SCOPED_VALUE(writer, struct writer, writer_fini)

int erofs_write(const struct tree *tree, const struct erofs_options *options,
                const struct erofs_sink *sink, struct err *err)
{
    SCOPED(writer) struct writer w = {.tree = tree, .options = options};
    int rc;

    if (options->tar_bytes > (uint64_t)(UINT32_MAX - 1) * EROFS_BLOCK_BYTES)
        return err_set(err, -EOPNOTSUPP, "EROFS cannot hold a tar of %llu bytes",
                       (unsigned long long)options->tar_bytes);
    w.out = calloc(1, sizeof(*w.out));
    if (w.out == NULL)
        return err_sys(err, -ENOMEM, "EROFS image");
    w.out->sink = sink;
    rc = xattrs_collect(&w, err);
    if (rc == 0)
        rc = layout(&w, err);
    if (rc == -EOPNOTSUPP)
        return err_prefix(err, rc, "EROFS cannot hold");
    return rc < 0 ? rc : write_all(&w, err);
}
