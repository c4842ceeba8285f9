/* SPDX-License-Identifier: Apache-2.0 */
/* fuse.c – the backend `fuse`: the whole tree over one session, and what is agreed with the kernel.
 *
 * A layer never changes, so everything the kernel can keep it keeps for good: entries, attributes,
 * names that are not there, directory listings, symlinks, pages. Node ids are the tree's numbers
 * and there are no file handles.
 *
 * The kernel's readahead stays at its default of 128 KiB. With 1 MiB a large file is read no
 * faster, and a compiler started from a layer moves 124 MB of its mapped libraries instead of 86:
 * more that a reader waits for when it has to come over the network. */
#include "fs/fuse.h"

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
    struct fuse_mount *f = userdata;
    unsigned wanted = FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_READDIRPLUS | FUSE_CAP_CACHE_SYMLINKS |
                      /* the state file alone changes, and shows it by its time */
                      FUSE_CAP_AUTO_INVAL_DATA;

    f->has_labels = tree_has_xattr(f->tree, XATTR_LABEL);
    f->has_acls =
        tree_has_xattr(f->tree, XATTR_ACL_ACCESS) || tree_has_xattr(f->tree, XATTR_ACL_DEFAULT);
    /* Without it overlayfs shows no ACL of a lower layer. With it the kernel checks permissions
     * here too, as it does on any disk. */
    if (f->has_acls)
        wanted |= FUSE_CAP_POSIX_ACL;
    session_agree(f, conn, wanted);
}

/* The mount is read-only: what would change something does not come here. */
static const struct fuse_lowlevel_ops ops = {
    .init = op_init,
    .lookup = fuse_op_lookup,
    .getattr = fuse_op_getattr,
    .readlink = fuse_op_readlink,
    .opendir = fuse_op_opendir,
    .readdir = fuse_op_readdir,
    .readdirplus = fuse_op_readdirplus,
    .statfs = fuse_op_statfs,
    .getxattr = fuse_op_getxattr,
    .listxattr = fuse_op_listxattr,
    .open = fuse_op_open,
    .read = fuse_op_read,
};

static int fuse_start(struct fs_mount *mount, struct err *err)
{
    return session_start(mount, &ops, err);
}

const struct fs_backend fs_backend_fuse = {
    .name = "fuse",
    .kernel_mounts = 1,
    .keeps_tree = true,
    .start = fuse_start,
    .stop = session_stop,
    .free = session_free,
    .sweep = session_sweep,
};
