/* SPDX-License-Identifier: Apache-2.0 */
/* tree.c – questions to a finished tree. */
#include "tree/internal.h"

#include <stdlib.h>
#include <sys/stat.h>

/* The last second that 63 bits of nanoseconds reach: 2262. */
#define MTIME_MAX_SEC 9223372036
#define MTIME_MAX_NSEC 854775807

#define OPAQUE_NAME "trusted.overlay.opaque"

void tree_free(struct tree *tree)
{
    if (tree == NULL)
        return;
    free(tree->items);
    free(tree->children);
    free(tree->names);
    free(tree->attrs);
    free(tree);
}

size_t tree_count(const struct tree *tree)
{
    return tree->count;
}

static mode_t type_bits(enum ztoc_type type)
{
    switch (type) {
    case ZTOC_DIR:
        return S_IFDIR;
    case ZTOC_SYMLINK:
        return S_IFLNK;
    case ZTOC_CHAR:
        return S_IFCHR;
    case ZTOC_BLOCK:
        return S_IFBLK;
    case ZTOC_FIFO:
        return S_IFIFO;
    default:
        return S_IFREG;
    }
}

/* The number of nobody at all: chown(2) takes it for "as it is", and that is who unpacks. */
static uint32_t owner(uint32_t id)
{
    return id == UINT32_MAX ? 0 : id;
}

/* Owner, mode and times of the entry that set them last. Times that containerd cannot set are
 * 1970's beginning there, and here. */
static void apply_attr(const struct ztoc_file *f, struct tree_node *ret)
{
    bool in_range = f->has_mtime && f->mtime_sec >= 0 &&
                    (f->mtime_sec < MTIME_MAX_SEC ||
                     (f->mtime_sec == MTIME_MAX_SEC && f->mtime_nsec <= MTIME_MAX_NSEC));

    ret->mode = (mode_t)(f->mode & 07777);
    ret->uid = owner(f->uid);
    ret->gid = owner(f->gid);
    ret->mtime_sec = in_range ? f->mtime_sec : 0;
    ret->mtime_nsec = in_range ? f->mtime_nsec : 0;
}

/* What the entry that made the node says: type, content, device. */
static void apply_made(const struct ztoc_file *f, struct tree_node *ret)
{
    ret->mode |= type_bits(f->type);
    switch (f->type) {
    case ZTOC_REG:
        ret->size_bytes = f->uncomp_size;
        ret->uncomp_off = f->uncomp_off;
        break;
    case ZTOC_SYMLINK:
        ret->size_bytes = strlen(f->linkname);
        ret->mode = S_IFLNK | 0777; /* Linux has no other */
        break;
    case ZTOC_CHAR:
    case ZTOC_BLOCK:
        ret->major = (uint32_t)f->devmajor & 0xfff; /* what mknod(2) keeps */
        ret->minor = (uint32_t)f->devminor & 0xfffff;
        break;
    default:
        break;
    }
}

void tree_get(const struct tree *tree, tree_id id, struct tree_node *ret)
{
    const struct tree_item *item = &tree->items[id];
    struct ztoc_file f;

    *ret = (struct tree_node){.mode = 0755, .nlink = item->nlink};
    if (item->attr != TREE_NO_FILE) {
        ztoc_file_at(tree->toc, item->attr, &f);
        apply_attr(&f, ret);
    }
    if (id == TREE_ROOT) {
        ret->mode = 0755;
        ret->uid = ret->gid = 0;
    }
    if (item->is_whiteout) {
        ret->mode = S_IFCHR;
    } else if (item->file == TREE_NO_FILE) {
        ret->mode |= S_IFDIR;
    } else {
        ztoc_file_at(tree->toc, item->file, &f);
        apply_made(&f, ret);
    }
}

const char *tree_link_target(const struct tree *tree, tree_id id)
{
    const struct tree_item *item = &tree->items[id];
    struct ztoc_file f;

    if (item->file == TREE_NO_FILE || item->is_whiteout)
        return "";
    ztoc_file_at(tree->toc, item->file, &f);
    return f.type == ZTOC_SYMLINK ? f.linkname : "";
}

tree_id tree_lookup(const struct tree *tree, tree_id dir, const char *name)
{
    const struct tree_dirent *children = tree->children + tree->items[dir].first;
    size_t low = 0, high = tree->items[dir].child_count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = strcmp(name, tree->names + children[mid].name);

        if (order == 0)
            return children[mid].id;
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return TREE_NONE;
}

tree_id tree_parent(const struct tree *tree, tree_id dir)
{
    return tree->items[dir].parent;
}

bool tree_child(const struct tree *tree, tree_id dir, size_t i, const char **ret_name,
                tree_id *ret_id)
{
    const struct tree_item *item = &tree->items[dir];
    const struct tree_dirent *child;

    if (i >= item->child_count)
        return false;
    child = &tree->children[item->first + i];
    *ret_name = tree->names + child->name;
    *ret_id = child->id;
    return true;
}

size_t tree_child_count(const struct tree *tree, tree_id dir)
{
    return tree->items[dir].child_count;
}

/* Index of the first attribute of a node with this id or a higher one. */
static size_t first_attr(const struct tree *tree, tree_id id)
{
    size_t low = 0, high = tree->attr_count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (tree->attrs[mid].id < id)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

bool tree_xattr(const struct tree *tree, tree_id id, size_t i, const char **ret_name,
                struct bytes *ret_value)
{
    size_t first;

    if (tree->items[id].is_opaque) {
        if (i == 0) {
            *ret_name = OPAQUE_NAME;
            *ret_value = bytes_of("y", 1);
            return true;
        }
        i--;
    }
    first = first_attr(tree, id);
    if (i >= tree->attr_count - first || tree->attrs[first + i].id != id)
        return false;
    *ret_name = tree->attrs[first + i].name;
    *ret_value = tree->attrs[first + i].value;
    return true;
}

bool tree_is_opaque(const struct tree *tree, tree_id dir)
{
    return tree->items[dir].is_opaque;
}

bool tree_is_made_up(const struct tree *tree, tree_id dir)
{
    return dir != TREE_ROOT && tree->items[dir].file == TREE_NO_FILE;
}

bool tree_has_opaque(const struct tree *tree)
{
    return tree->has_opaque;
}

bool tree_has_xattrs(const struct tree *tree)
{
    return tree->has_opaque || tree->attr_count > 0;
}

bool tree_has_xattr(const struct tree *tree, const char *name)
{
    if (tree->has_opaque && strcmp(name, OPAQUE_NAME) == 0)
        return true;
    for (size_t i = 0; i < tree->attr_count; i++)
        if (strcmp(tree->attrs[i].name, name) == 0)
            return true;
    return false;
}
