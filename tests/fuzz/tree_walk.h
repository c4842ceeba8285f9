/* SPDX-License-Identifier: Apache-2.0 */
/* tree_walk.h – ask a tree everything, and abort when two answers do not agree. */
#ifndef FUZZ_TREE_WALK_H
#define FUZZ_TREE_WALK_H

#include "tree/tree.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static inline void must(bool condition)
{
    if (!condition)
        abort();
}

static inline bool is_directory(const struct tree *tree, tree_id id)
{
    struct tree_node node;

    tree_get(tree, id, &node);
    return S_ISDIR(node.mode);
}

/* Names are sorted, found again, and what the kernel accepts. `names_of` counts the names of each
 * node. */
static inline uint32_t walk_dir(const struct tree *tree, tree_id dir, uint32_t *names_of)
{
    const char *name, *before = "";
    uint32_t subdirs = 0;
    tree_id id;
    size_t i;

    for (i = 0; tree_child(tree, dir, i, &name, &id); i++) {
        must(strcmp(before, name) < 0 && strchr(name, '/') == NULL && strlen(name) <= 255);
        must(strcmp(name, ".") != 0 && strcmp(name, "..") != 0);
        must(id > TREE_ROOT && id <= tree_count(tree));
        must(tree_lookup(tree, dir, name) == id);
        names_of[id]++;
        if (is_directory(tree, id)) {
            must(tree_parent(tree, id) == dir && id > dir);
            subdirs++;
        }
        before = name;
    }
    must(i == tree_child_count(tree, dir));
    return subdirs;
}

static inline void walk_attrs(const struct tree *tree, tree_id id)
{
    const char *name, *before = "";
    struct bytes value;

    for (size_t i = 0; tree_xattr(tree, id, i, &name, &value); i++) {
        must(tree_has_xattrs(tree));
        must((i == 0 && tree_is_opaque(tree, id)) || strncmp(name, "trusted.", 8) != 0);
        must(i <= 1 || strcmp(before, name) < 0);
        must(value.len == 0 || memchr(value.data, value.data[value.len - 1], value.len) != NULL);
        before = name;
    }
}

static inline void walk_tree(const struct tree *tree)
{
    size_t count = tree_count(tree);
    uint32_t *names_of = calloc(count + 1, sizeof(*names_of));

    must(names_of != NULL && count >= 1 && is_directory(tree, TREE_ROOT));
    names_of[TREE_ROOT] = 1;
    for (tree_id id = TREE_ROOT; id <= count; id++) {
        struct tree_node node;
        uint32_t subdirs = walk_dir(tree, id, names_of);

        tree_get(tree, id, &node);
        must(names_of[id] >= 1); /* parents come first, hard links aside */
        if (S_ISDIR(node.mode))
            must(names_of[id] == 1 && node.nlink == 2 + subdirs);
        else
            must(tree_child_count(tree, id) == 0 && !tree_is_opaque(tree, id));
        must(strlen(tree_link_target(tree, id)) == (S_ISLNK(node.mode) ? node.size_bytes : 0));
        walk_attrs(tree, id);
    }
    for (tree_id id = TREE_ROOT; id <= count; id++) {
        struct tree_node node;

        tree_get(tree, id, &node);
        must(S_ISDIR(node.mode) || node.nlink == names_of[id]);
    }
    free(names_of);
}

#endif
