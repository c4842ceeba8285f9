/* SPDX-License-Identifier: Apache-2.0 */
/* look.c – directories that a layer uses but does not list. containerd makes them as they are in
 * the layers below. A mounted layer is the same for all images and makes them 0755 root:root, and
 * overlayfs shows the uppermost layer's: /tmp/x in a layer without /tmp would take the sticky bit
 * from /tmp. So a layer is mounted only where they do not look otherwise below. */
#include "lazy/internal.h"

#include "unpack/unpack.h"

#include <errno.h>
#include <stdlib.h>

/* What is known of directories: their names, and of made-up ones that no layer below has them. */
struct looks {
    const struct tree *tree;
    const struct text_list *lowers;
    const char **names; /* of each id; "": it is no directory, or the root */
    bool *absent;
};

static void looks_fini(struct looks *l)
{
    free(l->names);
    free(l->absent);
}
DEFINE_SCOPED_VALUE(looks, struct looks, looks_fini)

/* False: there is nothing to look for. */
static bool has_made_up(const struct tree *tree)
{
    for (tree_id id = TREE_ROOT; id <= tree_count(tree); id++)
        if (tree_is_made_up(tree, id))
            return true;
    return false;
}

static int looks_init(struct looks *l, struct err *err)
{
    size_t count = tree_count(l->tree);

    l->names = calloc(count + 1, sizeof(*l->names));
    l->absent = calloc(count + 1, sizeof(*l->absent));
    if (l->names == NULL || l->absent == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    for (tree_id dir = TREE_ROOT; dir <= count; dir++) {
        const char *name;
        tree_id id;

        for (size_t i = 0; tree_child(l->tree, dir, i, &name, &id); i++)
            l->names[id] = name;
    }
    return 0;
}

/* The path of a directory, from its end. */
static int path_of(const struct looks *l, tree_id dir, char path[PATH_MAX], const char **ret)
{
    size_t at = PATH_MAX - 1;

    path[at] = '\0';
    for (; dir != TREE_ROOT; dir = tree_parent(l->tree, dir)) {
        /* NOLINTNEXTLINE(*-core.NonNullParamChecker): all but the root have a name */
        size_t len = strlen(l->names[dir]);

        if (len + 1 > at)
            return -ENAMETOOLONG;
        at -= len;
        memcpy(path + at, l->names[dir], len);
        path[--at] = '/';
    }
    *ret = path + at + 1;
    return 0;
}

static int check_one(struct looks *l, tree_id dir, struct err *err)
{
    enum unpack_look look;
    char buffer[PATH_MAX];
    const char *path;
    int rc;

    l->absent[dir] = l->absent[tree_parent(l->tree, dir)];
    if (l->absent[dir])
        return 0;
    rc = path_of(l, dir, buffer, &path);
    if (rc < 0)
        return err_sys(err, rc, "directory");
    rc = unpack_look_below(path, l->lowers, &look, err);
    if (rc < 0)
        return err_prefix(err, rc, "directory %s", path);
    l->absent[dir] = look == UNPACK_LOOK_NONE;
    if (look == UNPACK_LOOK_OTHER)
        return err_set(err, -EOPNOTSUPP, "directory %s looks otherwise in a layer below", path);
    return 0;
}

int lazy_check_look(const struct tree *tree, const struct text_list *lowers, struct err *err)
{
    SCOPED(looks) struct looks l = {.tree = tree, .lowers = lowers};
    int rc;

    if (lowers == NULL || lowers->count == 0 || !has_made_up(tree))
        return 0;
    rc = looks_init(&l, err);
    for (tree_id id = TREE_ROOT; rc == 0 && id <= tree_count(tree); id++)
        if (tree_is_made_up(tree, id))
            rc = check_one(&l, id, err);
    return rc;
}
