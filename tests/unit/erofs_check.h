/* SPDX-License-Identifier: Apache-2.0 */
/* erofs_check.h – reads an EROFS image as Linux does, and compares it with the tree that it was
 * made of: from the format's description alone, sharing nothing with the writer. What is wrong
 * ends the program, so that a fuzzer sees it too. */
#ifndef UNIT_EROFS_CHECK_H
#define UNIT_EROFS_CHECK_H

#include "erofs/erofs.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

enum { CHECK_BLOCK = 512 };

static inline void check(bool condition, const char *what)
{
    if (!condition) {
        (void)fprintf(stderr, "EROFS image: %s\n", what);
        abort();
    }
}

/* ---- numbers, within the image --------------------------------------------------------------- */

static inline const uint8_t *at(struct bytes image, uint64_t off, uint64_t len)
{
    check(off <= image.len && len <= image.len - off, "something is past its end");
    return image.data + off;
}

static inline uint64_t number(struct bytes image, uint64_t off, unsigned bytes)
{
    const uint8_t *p = at(image, off, bytes);
    uint64_t n = 0;

    while (bytes-- > 0)
        n = n << 8 | p[bytes];
    return n;
}

/* ---- inodes ---------------------------------------------------------------------------------- */

struct erofs_seen {
    uint64_t off, after; /* of the inode; of what follows its attributes */
    uint64_t xattrs_off, xattrs_bytes;
    unsigned format, mode, layout;
    uint32_t uid, gid, nlink, mtime_nsec, raw;
    uint64_t size, mtime_sec;
};

static inline struct erofs_seen read_inode(struct bytes image, uint64_t nid)
{
    struct erofs_seen s = {.off = number(image, 1024 + 40, 4) * CHECK_BLOCK + nid * 32};
    unsigned words = (unsigned)number(image, s.off + 2, 2);
    bool is_extended;

    s.format = (unsigned)number(image, s.off, 2);
    s.layout = s.format >> 1;
    is_extended = (s.format & 1) != 0;
    check(s.layout == 0 || s.layout == 2 || s.layout == 4, "an inode of an unknown kind");
    s.mode = (unsigned)number(image, s.off + 4, 2);
    s.raw = (uint32_t)number(image, s.off + 16, 4);
    s.size = number(image, s.off + 8, is_extended ? 8 : 4);
    s.nlink = (uint32_t)(is_extended ? number(image, s.off + 44, 4) : number(image, s.off + 6, 2));
    s.uid = (uint32_t)number(image, s.off + 24, is_extended ? 4 : 2);
    s.gid = (uint32_t)number(image, s.off + (is_extended ? 28 : 26), is_extended ? 4 : 2);
    /* a compact one's own time is 0 more than the superblock's, where a kernel looks at it */
    check(is_extended || number(image, s.off + 12, 4) == 0, "a compact inode with a time");
    s.mtime_sec = is_extended ? number(image, s.off + 32, 8) : number(image, 1024 + 24, 8);
    s.mtime_nsec =
        (uint32_t)(is_extended ? number(image, s.off + 40, 4) : number(image, 1024 + 32, 4));
    s.xattrs_off = s.off + (is_extended ? 64 : 32);
    s.xattrs_bytes = words == 0 ? 0 : 12 + 4 * (uint64_t)(words - 1);
    s.after = s.xattrs_off + s.xattrs_bytes;
    return s;
}

/* Where byte 0 of a directory's or symlink's content is; inline, it must end within its block. */
static inline uint64_t content_off(const struct erofs_seen *s)
{
    if (s->layout == 0)
        return (uint64_t)s->raw * CHECK_BLOCK;
    check(s->layout == 2 && s->size < CHECK_BLOCK, "content of an unknown kind");
    check(s->after / CHECK_BLOCK == (s->after + s->size - 1) / CHECK_BLOCK,
          "inline content over a block's end");
    return s->after;
}

/* ---- directories ----------------------------------------------------------------------------- */

struct erofs_name {
    const char *name;
    size_t len;
    uint64_t nid;
    unsigned type;
};

static inline int compare_names(const char *a, size_t a_len, const char *b, size_t b_len)
{
    int order = memcmp(a, b, a_len < b_len ? a_len : b_len);

    return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

static inline uint64_t block_bytes(const struct erofs_seen *dir, uint64_t block)
{
    uint64_t left = dir->size - block * CHECK_BLOCK;

    return left < CHECK_BLOCK ? left : CHECK_BLOCK;
}

static inline uint64_t names_in_block(struct bytes image, const struct erofs_seen *dir,
                                      uint64_t block)
{
    uint64_t names_off = number(image, content_off(dir) + block * CHECK_BLOCK + 8, 2);

    check(names_off >= 12 && names_off % 12 == 0 && names_off < block_bytes(dir, block),
          "a directory block without entries");
    return names_off / 12;
}

static inline struct erofs_name name_in_block(struct bytes image, const struct erofs_seen *dir,
                                              uint64_t block, uint64_t i)
{
    uint64_t off = content_off(dir) + block * CHECK_BLOCK, bytes = block_bytes(dir, block);
    uint64_t start = number(image, off + 12 * i + 8, 2), end = bytes;
    struct erofs_name n = {.nid = number(image, off + 12 * i, 8),
                           .type = (unsigned)number(image, off + 12 * i + 10, 1)};

    if (i + 1 < names_in_block(image, dir, block))
        end = number(image, off + 12 * (i + 1) + 8, 2);
    check(start < end && end <= bytes, "names of a directory out of order");
    n.name = (const char *)at(image, off + start, end - start);
    n.len = strnlen(n.name, (size_t)(end - start)); /* the last one of a block may be padded */
    check(n.len > 0 && n.len <= 255, "a name of a length that cannot be");
    return n;
}

/* As the kernel looks: the last block whose first name is not after it, then in that. 0: no such.
 */
static inline uint64_t find_name(struct bytes image, const struct erofs_seen *dir, const char *name)
{
    uint64_t low = 0, high = (dir->size + CHECK_BLOCK - 1) / CHECK_BLOCK, count, block;

    while (high - low > 1) {
        uint64_t mid = low + (high - low) / 2;
        struct erofs_name n = name_in_block(image, dir, mid, 0);

        if (compare_names(n.name, n.len, name, strlen(name)) <= 0)
            low = mid;
        else
            high = mid;
    }
    block = low;
    count = names_in_block(image, dir, block);
    for (low = 0, high = count; low < high;) {
        uint64_t mid = low + (high - low) / 2;
        struct erofs_name n = name_in_block(image, dir, block, mid);
        int order = compare_names(n.name, n.len, name, strlen(name));

        if (order == 0)
            return n.nid;
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return 0;
}

/* ---- extended attributes --------------------------------------------------------------------- */

static inline uint64_t entry_size(struct bytes image, uint64_t off)
{
    return (4 + number(image, off, 1) + number(image, off + 2, 2) + 3) / 4 * 4;
}

static inline bool is_entry(struct bytes image, uint64_t off, const char *name, struct bytes value)
{
    static const char *const prefixes[] = {
        NULL, "user.",    "system.posix_acl_access", "system.posix_acl_default", "trusted.",
        NULL, "security."};
    uint64_t len = number(image, off, 1), prefix = number(image, off + 1, 1);
    const char *start;

    check(prefix < ARRAY_LEN(prefixes) && prefixes[prefix] != NULL, "an attribute's name space");
    start = prefixes[prefix];
    return strncmp(name, start, strlen(start)) == 0 && strlen(name) == strlen(start) + len &&
           memcmp(at(image, off + 4, len), name + strlen(start), len) == 0 &&
           bytes_equal(value,
                       bytes_of(at(image, off + 4 + len, value.len), number(image, off + 2, 2)));
}

/* How many an inode has; *ret_found: one of them is this. */
static inline size_t walk_xattrs(struct bytes image, const struct erofs_seen *s, const char *name,
                                 struct bytes value, bool *ret_found)
{
    uint64_t shared_area = number(image, 1024 + 44, 4) * CHECK_BLOCK, off, shared;
    size_t count = 0;

    *ret_found = false;
    if (s->xattrs_bytes == 0)
        return 0;
    shared = number(image, s->xattrs_off + 4, 1);
    for (uint64_t i = 0; i < shared; i++, count++) {
        off = shared_area + 4 * number(image, s->xattrs_off + 12 + 4 * i, 4);
        *ret_found = *ret_found || is_entry(image, off, name, value);
    }
    off = s->xattrs_off + 12 + 4 * shared;
    for (; off < s->after; off += entry_size(image, off), count++)
        *ret_found = *ret_found || is_entry(image, off, name, value);
    check(off == s->after, "attributes longer than their inode says");
    return count;
}

static inline void check_xattrs(struct bytes image, const struct tree *tree, tree_id id,
                                const struct erofs_seen *s, const struct erofs_options *options)
{
    const char *name;
    struct bytes value;
    size_t i = 0;
    bool found;

    for (; !options->no_xattrs && tree_xattr(tree, id, i, &name, &value); i++) {
        check(walk_xattrs(image, s, name, value, &found) > 0 && (found || options->ids != NULL),
              "an attribute is missing");
    }
    if (options->ids == NULL)
        check(walk_xattrs(image, s, "", bytes_of("", 0), &found) == i, "attributes too many");
}

/* ---- against the tree ------------------------------------------------------------------------ */

static inline void check_times_and_owner(const struct erofs_seen *s, const struct tree_node *n,
                                         const struct erofs_options *options)
{
    const struct idmaps *ids = options->ids;

    check(s->mode == n->mode && s->nlink == n->nlink, "mode or number of links");
    check(s->mtime_sec == (uint64_t)n->mtime_sec && s->mtime_nsec == n->mtime_nsec, "time");
    check(s->uid == (ids == NULL ? n->uid : idmap_outside(&ids->uids, n->uid)), "user");
    check(s->gid == (ids == NULL ? n->gid : idmap_outside(&ids->gids, n->gid)), "group");
}

static inline void check_file(struct bytes image, const struct erofs_seen *s,
                              const struct tree_node *n)
{
    uint64_t index_off = (s->after + 7) / 8 * 8;

    check(s->size == n->size_bytes, "size");
    if (s->size == 0)
        return;
    check(s->layout == 4 && (s->raw & ~0x3fu) == 0 && (s->raw & 0x20) != 0, "a file is no chunk");
    check((UINT64_C(512) << (s->raw & 0x1f)) >= s->size, "a file of several chunks");
    check(number(image, index_off, 2) == 0 && number(image, index_off + 2, 2) == 1, "device");
    check(number(image, index_off + 4, 4) * CHECK_BLOCK == n->uncomp_off, "place in the tar");
}

static inline void check_special(const struct erofs_seen *s, const struct tree_node *n)
{
    check(s->size == 0 && s->layout == 0, "size");
    if (S_ISFIFO(n->mode))
        return;
    check(((s->raw >> 8) & 0xfff) == n->major, "major");
    check(((s->raw & 0xff) | ((s->raw >> 12) & 0xfff00)) == n->minor, "minor");
}

static inline void check_link(struct bytes image, const struct tree *tree, tree_id id,
                              const struct erofs_seen *s)
{
    const char *target = tree_link_target(tree, id);

    check(s->size == strlen(target), "length of a target");
    check(memcmp(at(image, content_off(s), s->size), target, strlen(target)) == 0, "target");
}

static inline unsigned type_in_dir(unsigned mode)
{
    static const unsigned types[16] = {[1] = 5, [2] = 3, [4] = 2, [6] = 4, [8] = 1, [10] = 7};

    return types[(mode >> 12) & 15];
}

/* `nids` fills with the inode numbers of ids as they are met. */
static inline void check_dir(struct bytes image, const struct tree *tree, tree_id dir,
                             const struct erofs_seen *s, uint64_t *nids)
{
    uint64_t seen = 0, blocks = (s->size + CHECK_BLOCK - 1) / CHECK_BLOCK;
    struct erofs_name before = {.name = "", .len = 0};
    const char *name;
    tree_id id;

    for (uint64_t b = 0; b < blocks; b++) {
        for (uint64_t i = 0; i < names_in_block(image, s, b); i++, seen++) {
            struct erofs_name n = name_in_block(image, s, b, i);

            check(seen == 0 || compare_names(before.name, before.len, n.name, n.len) < 0,
                  "names that are not sorted");
            check(n.type == type_in_dir(read_inode(image, n.nid).mode), "type in a directory");
            before = n;
        }
    }
    check(seen == tree_child_count(tree, dir) + 2, "number of names");
    check(find_name(image, s, ".") == nids[dir], ".");
    check(find_name(image, s, "..") == nids[tree_parent(tree, dir)], "..");
    check(find_name(image, s, "no such name") == 0 || tree_lookup(tree, dir, "no such name") != 0,
          "a name that is not there is found");
    for (size_t i = 0; tree_child(tree, dir, i, &name, &id); i++) {
        uint64_t nid = find_name(image, s, name);

        check(nid != 0, "a name is not found");
        check(nids[id] == 0 || nids[id] == nid, "two inodes for one node");
        nids[id] = nid;
    }
}

static inline void check_node(struct bytes image, const struct tree *tree, tree_id id,
                              const struct erofs_options *options, uint64_t *nids)
{
    struct erofs_seen s = read_inode(image, nids[id]);
    struct tree_node n;

    tree_get(tree, id, &n);
    check_times_and_owner(&s, &n, options);
    check_xattrs(image, tree, id, &s, options);
    if (S_ISDIR(n.mode))
        check_dir(image, tree, id, &s, nids);
    else if (S_ISLNK(n.mode))
        check_link(image, tree, id, &s);
    else if (S_ISREG(n.mode))
        check_file(image, &s, &n);
    else
        check_special(&s, &n);
}

static inline void check_erofs(struct bytes image, const struct tree *tree,
                               const struct erofs_options *options)
{
    uint64_t *nids = calloc(tree_count(tree) + 1, sizeof(*nids));

    check(nids != NULL, "memory");
    check(number(image, 1024, 4) == 0xe0f5e1e2u && number(image, 1024 + 12, 1) == 9, "start");
    check(number(image, 1024 + 80, 4) == (4 | 8), "features");
    check(number(image, 1024 + 86, 2) == 1, "number of devices");
    check(number(image, number(image, 1024 + 88, 2) * 128 + 64, 4) ==
              (options->tar_bytes + CHECK_BLOCK - 1) / CHECK_BLOCK,
          "blocks of the device");
    check(image.len % CHECK_BLOCK == 0 && number(image, 1024 + 36, 4) == image.len / CHECK_BLOCK,
          "number of blocks");
    nids[TREE_ROOT] = number(image, 1024 + 14, 2);
    for (tree_id id = TREE_ROOT; id <= tree_count(tree); id++) {
        check(nids[id] != 0, "a node that no directory has");
        check_node(image, tree, id, options, nids);
    }
    free(nids);
}

#endif
