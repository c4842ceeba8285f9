/* SPDX-License-Identifier: Apache-2.0 */
/* fuse_xattr.c – extended attributes.
 *
 * The kernel caches none, and asks a lot: overlayfs for one with each directory that it looks up,
 * `ls -l` for two with each file. Two answers end that where a layer has nothing to tell:
 *
 * - ENOSYS: never ask this mount again; the caller sees EOPNOTSUPP. To getxattr when no node of the
 * layer has any, and to both calls when the index says that the layer's attributes are not wanted:
 * but never where an opaque directory would be lost.
 * - EOPNOTSUPP for labels and ACLs when no node has such: `ls` then asks once per file system. */
#include "fs/fuse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool is_off(const struct fuse_mount *f)
{
    return layer_xattrs_disabled(f->mount->layer) && !tree_has_opaque(f->tree);
}

static bool next_xattr(const struct fuse_mount *f, fuse_ino_t ino, size_t i, const char **ret_name,
                       struct bytes *ret_value)
{
    return ino >= TREE_ROOT && ino <= tree_count(f->tree) &&
           tree_xattr(f->tree, (tree_id)ino, i, ret_name, ret_value);
}

static bool is_unsupported(const struct fuse_mount *f, const char *name)
{
    if (strcmp(name, XATTR_LABEL) == 0)
        return !f->has_labels;
    return !f->has_acls &&
           (strcmp(name, XATTR_ACL_ACCESS) == 0 || strcmp(name, XATTR_ACL_DEFAULT) == 0);
}

/* As both calls have it: with a size of 0 the length is asked for. */
static void reply_sized(fuse_req_t req, size_t size, const void *data, size_t len)
{
    if (size == 0)
        (void)fuse_reply_xattr(req, len);
    else if (len > size)
        (void)fuse_reply_err(req, ERANGE);
    else
        (void)fuse_reply_buf(req, data, len);
}

static void reply_value(fuse_req_t req, const char *name, struct bytes value, size_t size)
{
    const struct fs_mount *mount = fuse_mount_of(req)->mount;
    SCOPED(buf_value) struct buf mapped = BUF_EMPTY;
    int rc = mount->has_ids ? idmaps_xattr(&mount->ids, name, value, &mapped) : 0;

    if (rc < 0)
        (void)fuse_reply_err(req, -rc);
    else if (mount->has_ids)
        reply_sized(req, size, mapped.data, mapped.len);
    else
        reply_sized(req, size, value.data, value.len);
}

void fuse_op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
    struct fuse_mount *f = fuse_mount_of(req);
    struct bytes value;
    const char *has;

    if (is_off(f) || !tree_has_xattrs(f->tree)) {
        (void)fuse_reply_err(req, ENOSYS);
        return;
    }
    for (size_t i = 0; next_xattr(f, ino, i, &has, &value); i++) {
        if (strcmp(has, name) == 0) {
            reply_value(req, name, value, size);
            return;
        }
    }
    (void)fuse_reply_err(req, is_unsupported(f, name) ? EOPNOTSUPP : ENODATA);
}

void fuse_op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
    struct fuse_mount *f = fuse_mount_of(req);
    SCOPED(mem) char *names = NULL;
    struct bytes value;
    const char *name;
    size_t len = 0, used = 0;

    if (is_off(f)) {
        (void)fuse_reply_err(req, ENOSYS);
        return;
    }
    for (size_t i = 0; next_xattr(f, ino, i, &name, &value); i++)
        len += strlen(name) + 1;
    if (len > 0 && size >= len) {
        names = malloc(len);
        if (names == NULL) {
            (void)fuse_reply_err(req, ENOMEM);
            return;
        }
        for (size_t i = 0; next_xattr(f, ino, i, &name, &value); i++) {
            memcpy(names + used, name, strlen(name) + 1);
            used += strlen(name) + 1;
        }
    }
    reply_sized(req, size, names, len);
}
