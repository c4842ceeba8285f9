/* SPDX-License-Identifier: Apache-2.0 */
/* tree.h – what the entries of a ztoc mean as a file system: names cleaned, later entries over
 * earlier ones, missing parents made up, hard links joined, whiteouts and opaque markers as
 * overlayfs wants them. The measure is the same layer unpacked by containerd's overlayfs
 * snapshotter; build.c, compact.c and attrs.c tell the rules. Immutable once built; any thread.
 *
 * A node is a number: a function of the ztoc alone, so it means the same in the next process. The
 * root is 1. Parents come before their children. An id given to these functions must be one of
 * 1 … tree_count(). */
#ifndef TREE_TREE_H
#define TREE_TREE_H

#include "base/bytes.h"
#include "base/err.h"
#include "ztoc/ztoc.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { TREE_ROOT = 1, TREE_NONE = 0 };
typedef uint32_t tree_id;

struct tree;
/* Borrows toc for its life. -EBADMSG: a hard link without its target or to a directory, a name or
 * target longer than Linux allows, symlinks in a circle among the parents; -EFBIG: more than 2^30
 * entries, or far more parents without an entry than there are entries; -EOPNOTSUPP: a sparse file;
 * -ENOMEM. Time and memory are in proportion to the ztoc's size. */
MUST_CHECK int tree_build(const struct ztoc *toc, struct tree **ret, struct err *err);
void tree_free(struct tree *tree);
DEFINE_SCOPED_PTR(tree, struct tree, tree_free)

struct tree_node {
    mode_t mode; /* type and permission bits; a whiteout is a character device 0/0 */
    uint32_t uid, gid;
    uint32_t nlink;
    uint32_t major, minor;
    uint64_t size_bytes; /* a symlink: length of its target */
    uint64_t uncomp_off; /* of the first content byte in the tar; only for regular files */
    int64_t mtime_sec;
    uint32_t mtime_nsec;
};
size_t tree_count(const struct tree *tree); /* ids are 1 … count */
void tree_get(const struct tree *tree, tree_id id, struct tree_node *ret);
const char *tree_link_target(const struct tree *tree,
                             tree_id id); /* borrowed; "" when no symlink */
tree_id tree_lookup(const struct tree *tree, tree_id dir,
                    const char *name); /* TREE_NONE: no such */
/* Of a directory; the root's is the root. Of anything else: the first directory that names it. */
tree_id tree_parent(const struct tree *tree, tree_id dir);

/* The entries of a directory, sorted bytewise by name, without . and .. ; i from 0. False: past the
 * end. */
bool tree_child(const struct tree *tree, tree_id dir, size_t i, const char **ret_name,
                tree_id *ret_id);
size_t tree_child_count(const struct tree *tree, tree_id dir);

/* Extended attributes as getxattr and listxattr show them: SCHILY.xattr. records without that
 * prefix, but for those that containerd would not set (`trusted.`, …), and trusted.overlay.opaque=y
 * on an opaque directory. i from 0. False: past the end. */
bool tree_xattr(const struct tree *tree, tree_id id, size_t i, const char **ret_name,
                struct bytes *ret_value);
bool tree_is_opaque(const struct tree *tree, tree_id dir);
bool tree_is_made_up(const struct tree *tree, tree_id dir); /* a directory without an entry; not the
                                                               root, which never needs one */
bool tree_has_opaque(const struct tree *tree);              /* some directory is */
bool tree_has_xattrs(const struct tree *tree); /* some node has one, opaque markers counted */
bool tree_has_xattr(const struct tree *tree, const char *name); /* some node has this one */

#endif
