/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h – the finished tree, and the draft that the entries of the tar are applied to first.
 *
 * The draft is a file system in memory as a real one would be while a tar is unpacked into it:
 * names point to nodes, a name can be pointed elsewhere, and what no name reaches any more is left
 * behind. tree_compact() then walks it once from the root and makes the immutable arrays of struct
 * tree. */
#ifndef TREE_INTERNAL_H
#define TREE_INTERNAL_H

#include "tree/tree.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What Linux allows: a layer that exceeds it cannot be unpacked either. */
enum { TREE_NAME_MAX = 255, TREE_PATH_BYTES = 4096 /* with the NUL; of targets too */ };

/* No entry of the ztoc: a directory that was made up. */
#define TREE_NO_FILE UINT32_MAX

#define WHITEOUT_PREFIX ".wh."
#define WHITEOUT_OPAQUE ".wh..wh..opq"

/* ---- the finished tree ----------------------------------------------------------------------- */

struct tree_item {
    uint32_t file; /* the ztoc entry that made it, or TREE_NO_FILE */
    uint32_t attr; /* the ztoc entry that owner, mode and times are from, or TREE_NO_FILE */
    uint32_t nlink;
    uint32_t parent; /* of a directory */
    uint32_t first;  /* a directory: index of its first child in tree->children */
    uint32_t child_count : 30;
    uint32_t is_whiteout : 1;
    uint32_t is_opaque : 1;
};
static_assert(sizeof(struct tree_item) == 24, "a million entries are 24 MB");

struct tree_dirent {
    uint32_t name; /* offset in tree->names */
    tree_id id;
};

struct tree_attr {
    tree_id id;
    const char *name; /* without the SCHILY prefix, borrowed from the ztoc */
    struct bytes value;
};

struct tree {
    const struct ztoc *toc;
    struct tree_item *items; /* id 1 is items[1]; items[0] is not used */
    size_t count;
    struct tree_dirent *children; /* directory after directory, each sorted by name */
    size_t children_count;
    char *names;
    struct tree_attr *attrs; /* sorted by id and name */
    size_t attr_count;
    bool has_opaque;
};

/* ---- the draft ------------------------------------------------------------------------------- */

enum draft_kind { DRAFT_DIR, DRAFT_SYMLINK, DRAFT_OTHER };

struct draft_node {
    uint32_t file;
    uint32_t attr;
    uint32_t parent; /* of a directory */
    uint8_t kind;    /* enum draft_kind */
};

/* A name in a directory. Removed ones stay with node TREE_NONE. */
struct draft_name {
    uint32_t dir;
    uint32_t text; /* offset in draft->text */
    uint32_t node;
    uint32_t hash;
};

/* An entry whose extended attributes go to `node`. */
struct draft_source {
    uint32_t node;
    uint32_t file;
};

struct draft {
    const struct ztoc *toc;

    struct draft_node *nodes; /* nodes[TREE_ROOT] is the root; nodes[0] is not used */
    size_t node_count, node_cap;

    struct draft_name *names;
    size_t name_count, name_cap;
    uint32_t *slots;   /* open addressing: index in names + 1, or 0 */
    size_t slot_count; /* a power of two */
    uint64_t hash_key[2];
    struct buf text; /* the names' bytes, each with a NUL */

    struct draft_source *sources;
    size_t source_count, source_cap;

    /* The directory of the entry before: most entries share it. */
    char last_path[TREE_PATH_BYTES];
    uint32_t last_dir; /* TREE_NONE: not known */

    char *pending;            /* of draft_walk() */
    uint64_t link_bytes_left; /* how much more symlinks may cost, see walk.c */
    uint64_t made_up_left;    /* how many more directories may be made up, see walk.c */
};

/* names.c */
MUST_CHECK int draft_init(struct draft *draft, const struct ztoc *toc);
void draft_fini(struct draft *draft);
DEFINE_SCOPED_VALUE(draft, struct draft, draft_fini)
/* 0 or -ENOMEM, -EFBIG: more than 2^30 of them. */
MUST_CHECK int draft_add_node(struct draft *draft, struct draft_node node, uint32_t *ret);
MUST_CHECK int draft_add_source(struct draft *draft, uint32_t node, uint32_t file);
/* NULL: no such name, now or ever. Valid until the next draft_set(). */
struct draft_name *draft_find(const struct draft *draft, uint32_t dir, struct bytes name);
uint32_t draft_lookup(const struct draft *draft, uint32_t dir,
                      struct bytes name); /* TREE_NONE: no such */
MUST_CHECK int draft_set(struct draft *draft, uint32_t dir, struct bytes name, uint32_t node);

/* walk.c */
/* Resolve "." ".." and slashes by the text alone, as if from the root: "" is the root.
 * -EBADMSG: longer than Linux allows. */
MUST_CHECK int path_clean(const char *name, char out[TREE_PATH_BYTES], struct err *err);
/* Split a clean path at its last slash; `path` loses its last component. */
struct bytes path_split_last(char *path);
/* The directory that the clean path leads to, symlinks followed. With `create` what is missing is
 * made up. *ret is TREE_NONE when something on the way is no directory (or is missing). */
MUST_CHECK int draft_walk(struct draft *draft, const char *path, bool create, uint32_t *ret,
                          struct err *err);

/* compact.c */
MUST_CHECK int tree_compact(struct draft *draft, struct tree *tree);
/* attrs.c: `new_ids` is what each draft node became. */
MUST_CHECK int tree_collect_attrs(struct draft *draft, const uint32_t *new_ids, struct tree *tree);

#endif
