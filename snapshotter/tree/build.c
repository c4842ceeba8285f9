/* SPDX-License-Identifier: Apache-2.0 */
/* build.c – the entries of the ztoc applied one after the other to a draft, as if the tar were
 * unpacked.
 *
 * What is aimed at is what containerd's overlayfs snapshotter has on disk after it applied the
 * layer:
 *
 * - Names are cleaned as text, from the root. Symlinks among the parents are followed inside the
 * layer. Missing parents are directories 0755 root:root.
 * - A later entry replaces an earlier one of the same name, and with a directory all that is in it.
 * Only a directory over a directory keeps what is there and changes owner, mode and times; extended
 * attributes are added.
 * - A hard link is another name of the node that its target names at that moment. Its own owner,
 * mode, times and extended attributes are applied to that node, which is what unpacking it does.
 * Without its target the layer is refused, as is one to a directory.
 * - An entry for the root itself changes nothing but the root's times.
 * - What is below something that is no directory is left out (unpacking fails; the reference does
 * the same as we).
 * - A sparse file is refused: what is stored of it is not in one piece.
 * - Whiteouts are ordinary names up to here; see compact.c. */
#include "base/text.h"
#include "tree/internal.h"

#include <stdlib.h>

static enum draft_kind kind_of(enum ztoc_type type)
{
    switch (type) {
    case ZTOC_DIR:
        return DRAFT_DIR;
    case ZTOC_SYMLINK:
        return DRAFT_SYMLINK;
    default:
        return DRAFT_OTHER;
    }
}

/* The directory that holds the entry, from its clean path without the last component. */
static int find_parent(struct draft *draft, const char *dir_path, uint32_t *ret, struct err *err)
{
    int rc;

    if (draft->last_dir != TREE_NONE && strcmp(draft->last_path, dir_path) == 0) {
        *ret = draft->last_dir;
        return 0;
    }
    rc = draft_walk(draft, dir_path, true, ret, err);
    if (rc < 0)
        return rc;
    memcpy(draft->last_path, dir_path, strlen(dir_path) + 1);
    draft->last_dir = *ret;
    return 0;
}

/* The node that a hard link's target names now. */
static int find_target(struct draft *draft, const char *linkname, uint32_t *ret, struct err *err)
{
    char path[TREE_PATH_BYTES];
    struct bytes last;
    uint32_t dir = TREE_NONE;
    int rc = path_clean(linkname, path, err);

    if (rc < 0)
        return rc;
    last = path_split_last(path);
    if (last.data == (const uint8_t *)path) /* no slash: in the root */
        dir = TREE_ROOT;
    else if ((rc = draft_walk(draft, path, false, &dir, err)) < 0)
        return rc;

    *ret = dir == TREE_NONE || last.len == 0 ? TREE_NONE : draft_lookup(draft, dir, last);
    if (*ret == TREE_NONE)
        return err_set(err, -EBADMSG, "a hard link to %.256s, which is not there", linkname);
    if (draft->nodes[*ret].kind == DRAFT_DIR)
        return err_set(err, -EBADMSG, "a hard link to %.256s, which is a directory", linkname);
    return 0;
}

/* Point the name at `node`. What it pointed at may be on the way to last_dir. */
static int point_name(struct draft *draft, uint32_t dir, struct bytes name, uint32_t node)
{
    if (draft_lookup(draft, dir, name) != TREE_NONE)
        draft->last_dir = TREE_NONE;
    return draft_set(draft, dir, name, node);
}

static int apply_hard_link(struct draft *draft, uint32_t dir, struct bytes name, uint32_t file,
                           const struct ztoc_file *f, struct err *err)
{
    uint32_t node = TREE_NONE;
    int rc = find_target(draft, f->linkname, &node, err);

    if (rc < 0 || dir == TREE_NONE)
        return rc;
    draft->nodes[node].attr = file;
    rc = draft_add_source(draft, node, file);
    return rc < 0 ? rc : point_name(draft, dir, name, node);
}

static int apply_node(struct draft *draft, uint32_t dir, struct bytes name, uint32_t file,
                      const struct ztoc_file *f)
{
    struct draft_node made = {
        .file = file, .attr = file, .parent = dir, .kind = (uint8_t)kind_of(f->type)};
    uint32_t node;
    int rc = 0;

    if (dir == TREE_NONE)
        return 0;
    node = draft_lookup(draft, dir, name);
    if (node != TREE_NONE && made.kind == DRAFT_DIR && draft->nodes[node].kind == DRAFT_DIR) {
        draft->nodes[node].file = file; /* it may have been made up */
        draft->nodes[node].attr = file;
    } else {
        rc = draft_add_node(draft, made, &node);
        if (rc == 0)
            rc = point_name(draft, dir, name, node);
    }
    if (rc == 0 && f->xattr_count > 0)
        rc = draft_add_source(draft, node, file);
    return rc;
}

static bool is_sparse(const struct ztoc *toc, uint32_t file, const struct ztoc_file *f)
{
    for (size_t i = 0; f->type == ZTOC_REG && i < f->xattr_count; i++) {
        struct ztoc_xattr record;

        ztoc_xattr_at(toc, file, i, &record);
        if (text_has_prefix(record.key, "GNU.sparse."))
            return true;
    }
    return false;
}

static int apply(struct draft *draft, uint32_t file, const struct ztoc_file *f, struct err *err)
{
    char path[TREE_PATH_BYTES];
    struct bytes name;
    uint32_t dir;
    int rc = path_clean(f->name, path, err);

    if (rc < 0)
        return rc;
    if (path[0] == '\0') {
        if (f->type == ZTOC_DIR)
            draft->nodes[TREE_ROOT].attr = file;
        return 0;
    }
    if (f->type == ZTOC_SYMLINK && strlen(f->linkname) >= TREE_PATH_BYTES)
        return err_set(err, -EBADMSG, "a symlink longer than Linux allows");
    if (is_sparse(draft->toc, file, f))
        return err_set(err, -EOPNOTSUPP, "sparse files are not supported");

    name = path_split_last(path);
    rc = find_parent(draft, name.data == (const uint8_t *)path ? "" : path, &dir, err);
    if (rc < 0)
        return rc;
    if (f->type == ZTOC_HARDLINK)
        return apply_hard_link(draft, dir, name, file, f, err);
    return apply_node(draft, dir, name, file, f);
}

static int apply_all(struct draft *draft, struct err *err)
{
    size_t count = ztoc_file_count(draft->toc);
    struct ztoc_file f;
    int rc;

    if (count >= TREE_NO_FILE)
        return err_set(err, -EFBIG, "%zu entries are too many", count);
    draft->link_bytes_left = (16u << 20) + 64 * (uint64_t)count;
    draft->made_up_left = (64u << 10) + 16 * (uint64_t)count;
    for (uint32_t i = 0; i < count; i++) {
        ztoc_file_at(draft->toc, i, &f);
        rc = apply(draft, i, &f, err);
        if (rc < 0)
            return err_prefix(err, rc, "entry %u (%.256s)", i, f.name);
    }
    return 0;
}

int tree_build(const struct ztoc *toc, struct tree **ret, struct err *err)
{
    SCOPED(draft) struct draft draft = {.toc = toc};
    SCOPED(tree) struct tree *tree = calloc(1, sizeof(*tree));
    int rc;

    if (tree == NULL)
        return err_sys(err, -ENOMEM, "file tree");
    tree->toc = toc;
    rc = draft_init(&draft, toc);
    if (rc < 0)
        return err_sys(err, rc, "file tree");
    rc = apply_all(&draft, err);
    if (rc < 0)
        return err_prefix(err, rc, "file tree");
    rc = tree_compact(&draft, tree);
    if (rc < 0)
        return err_sys(err, rc, "file tree");
    *ret = TAKE(tree);
    return 0;
}
