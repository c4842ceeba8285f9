/* SPDX-License-Identifier: Apache-2.0 */
/* nodes.c – node numbers, and what stat(2) shows of a node of the tree. */
#include "fs/internal.h"

#include <string.h>
#include <sys/sysmacros.h>

enum { NODE_BLOCK_BYTES = 4096 };

uint64_t node_state_dir(const struct tree *tree)
{
    return (uint64_t)tree_count(tree) + 1;
}

uint64_t node_state_file(const struct tree *tree)
{
    return (uint64_t)tree_count(tree) + 2;
}

bool node_is_valid(const struct tree *tree, uint64_t ino)
{
    return ino >= TREE_ROOT && ino <= node_state_file(tree);
}

void node_stat(const struct tree *tree, tree_id id, struct stat *ret)
{
    struct tree_node n;

    tree_get(tree, id, &n);
    memset(ret, 0, sizeof(*ret));
    /* Small numbers: overlayfs puts the layer into the high bits (xino). */
    ret->st_ino = id;
    ret->st_mode = n.mode;
    ret->st_nlink = n.nlink;
    ret->st_uid = n.uid;
    ret->st_gid = n.gid;
    ret->st_rdev = makedev(n.major, n.minor);
    ret->st_size = (off_t)n.size_bytes;
    ret->st_blksize = NODE_BLOCK_BYTES;
    ret->st_blocks = (blkcnt_t)((n.size_bytes + NODE_BLOCK_BYTES - 1) / NODE_BLOCK_BYTES *
                                (NODE_BLOCK_BYTES / 512));
    ret->st_mtim = (struct timespec){.tv_sec = n.mtime_sec, .tv_nsec = n.mtime_nsec};
    ret->st_atim = ret->st_ctim = ret->st_mtim;
}
