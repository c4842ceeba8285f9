/* SPDX-License-Identifier: Apache-2.0 */
/* fuse_read.c – open and read. */
#include "fs/fuse.h"

#include <errno.h>

/* There are no file handles: ENOSYS says that opening is not worth a request, and pages are kept.
 */
void fuse_op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct fuse_mount *f = fuse_mount_of(req);

    if (f->has_no_open) {
        (void)fuse_reply_err(req, ENOSYS);
    } else {
        fi->keep_cache = ino != node_state_file(f->tree);
        (void)fuse_reply_open(req, fi);
    }
}

/* What was there when the size was asked for last, so that size and text agree. */
static void read_state(fuse_req_t req, size_t size, off_t off)
{
    struct fuse_mount *f = fuse_mount_of(req);
    struct buf text = BUF_EMPTY;
    int rc;

    (void)pthread_mutex_lock(&f->lock);
    rc = buf_add(&text, f->state_text.data, f->state_text.len);
    (void)pthread_mutex_unlock(&f->lock);
    if (rc < 0)
        (void)fuse_reply_err(req, ENOMEM);
    else if ((uint64_t)off >= text.len)
        (void)fuse_reply_buf(req, NULL, 0);
    else
        (void)fuse_reply_buf(req, (const char *)text.data + off,
                             size < text.len - (size_t)off ? size : text.len - (size_t)off);
    buf_fini(&text);
}

void fuse_op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
    struct fuse_mount *f = fuse_mount_of(req);
    struct tree_node node;
    uint64_t left;

    (void)fi;
    if (ino == node_state_file(f->tree)) {
        read_state(req, size, off);
        return;
    }
    if (!node_is_valid(f->tree, ino) || ino == node_state_dir(f->tree)) {
        (void)fuse_reply_err(req, EIO);
        return;
    }
    tree_get(f->tree, (tree_id)ino, &node);
    if (!S_ISREG(node.mode)) {
        (void)fuse_reply_err(req, EIO);
        return;
    }
    left = off < 0 || (uint64_t)off >= node.size_bytes ? 0 : node.size_bytes - (uint64_t)off;
    if (left == 0 || size == 0)
        (void)fuse_reply_buf(req, NULL, 0);
    else
        fuse_answer_bytes(req, node.uncomp_off + (uint64_t)off, size < left ? size : (size_t)left,
                          0);
}
