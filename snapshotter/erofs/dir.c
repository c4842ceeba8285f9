/* SPDX-License-Identifier: Apache-2.0 */
/* dir.c – the content of a directory: blocks that each hold some entries, the names behind them.
 * Names are in bytewise order through the whole directory, `.` and `..` among them, since the
 * kernel halves its way to a name. */
#include "erofs/internal.h"

#include <errno.h>

/* An entry and a name of one byte. */
enum { BLOCK_DIRENTS_MAX = EROFS_BLOCK_BYTES / (DIRENT_BYTES + 1) };

struct dir_entry {
    const char *name;
    size_t len;
    tree_id id;
};

struct dir_walk {
    const struct tree *tree;
    tree_id dir;
    size_t i;      /* of the next child */
    unsigned dots; /* how many of `.` and `..` were given */
};

static bool entry_now(const struct dir_walk *walk, struct dir_entry *ret)
{
    static const char *const dots[] = {".", ".."};
    bool has_child = tree_child(walk->tree, walk->dir, walk->i, &ret->name, &ret->id);

    if (walk->dots < 2 && (!has_child || strcmp(dots[walk->dots], ret->name) < 0)) {
        ret->name = dots[walk->dots];
        ret->id = walk->dots == 0 ? walk->dir : tree_parent(walk->tree, walk->dir);
    } else if (!has_child) {
        return false;
    }
    ret->len = strlen(ret->name);
    return true;
}

static void step(struct dir_walk *walk, const struct dir_entry *entry)
{
    if (entry->name[0] == '.' && (entry->len == 1 || (entry->len == 2 && entry->name[1] == '.')))
        walk->dots++;
    else
        walk->i++;
}

struct dir_block {
    struct dir_entry entries[BLOCK_DIRENTS_MAX];
    size_t count;
    size_t bytes;
};

/* As many entries as a block holds. False: there are no more. */
static bool next_block(struct dir_walk *walk, struct dir_block *ret)
{
    struct dir_entry entry;

    ret->count = ret->bytes = 0;
    while (entry_now(walk, &entry) && ret->bytes + DIRENT_BYTES + entry.len <= EROFS_BLOCK_BYTES) {
        ret->entries[ret->count++] = entry;
        ret->bytes += DIRENT_BYTES + entry.len;
        step(walk, &entry);
    }
    return ret->count > 0;
}

int dir_bytes(const struct writer *w, tree_id dir, uint32_t *ret, struct err *err)
{
    struct dir_walk walk = {.tree = w->tree, .dir = dir};
    struct dir_block block;
    uint64_t bytes = 0;

    while (next_block(&walk, &block))
        bytes = round_up_to(bytes, EROFS_BLOCK_BYTES) + block.bytes;
    if (bytes > UINT32_MAX)
        return err_set(err, -EOPNOTSUPP, "a directory of %llu bytes", (unsigned long long)bytes);
    *ret = (uint32_t)bytes;
    return 0;
}

static void encode_block(const struct writer *w, const struct dir_block *block,
                         uint8_t out[EROFS_BLOCK_BYTES])
{
    size_t name_off = block->count * DIRENT_BYTES;

    for (size_t i = 0; i < block->count; i++) {
        const struct dir_entry *e = &block->entries[i];
        uint8_t *p = out + i * DIRENT_BYTES;

        put_u64le(p, w->places[e->id].nid);
        put_u16le(p + 8, (uint16_t)name_off);
        p[10] = w->places[e->id].type;
        p[11] = 0;
        memcpy(out + name_off, e->name, e->len);
        name_off += e->len;
    }
}

int dir_write(struct writer *w, tree_id dir, struct err *err)
{
    struct dir_walk walk = {.tree = w->tree, .dir = dir};
    uint64_t start = w->out->pos;
    struct dir_block block;
    uint64_t written = 0;
    int rc = 0;

    while (rc == 0 && next_block(&walk, &block)) {
        uint8_t raw[EROFS_BLOCK_BYTES];

        encode_block(w, &block, raw);
        rc = out_fill(w->out, start + round_up_to(written, EROFS_BLOCK_BYTES), err);
        if (rc == 0)
            rc = out_add(w->out, raw, block.bytes, err);
        written = w->out->pos - start;
    }
    return rc;
}
