/* SPDX-License-Identifier: Apache-2.0 */
/* fuse_dir.c – lookup, stat, links and listings. */
#include "fs/fuse.h"

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

enum { NAME_MAX_BYTES = 255 };

/* ---- stat ------------------------------------------------------------------------------------ */

/* Render the state anew; its time moves when it changed, which is how the kernel notices. */
static int stat_state_file(struct fuse_mount *f, struct stat *ret)
{
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    int rc = state_render(f->mount->layer, &text);

    if (rc < 0)
        return rc;
    LOCKED(&f->lock);
    if (!bytes_equal(buf_bytes(&text), buf_bytes(&f->state_text))) {
        struct buf old = f->state_text;
        int64_t now = clock_wall_ns();

        f->state_text = text;
        text = old;
        f->state_time = (struct timespec){.tv_sec = now / 1000000000, .tv_nsec = now % 1000000000};
    }
    ret->st_mode = S_IFREG | 0400;
    ret->st_size = (off_t)f->state_text.len;
    ret->st_blocks = 8;
    ret->st_mtim = ret->st_ctim = f->state_time;
    return 0;
}

static int stat_node(struct fuse_mount *f, fuse_ino_t ino, struct stat *ret, double *ret_timeout)
{
    *ret_timeout = f->mount->fs->attr_timeout_s;
    if (ino <= tree_count(f->tree)) {
        node_stat(f->tree, (tree_id)ino, ret);
        return 0;
    }
    memset(ret, 0, sizeof(*ret));
    ret->st_ino = ino;
    ret->st_nlink = 1;
    ret->st_blksize = 4096;
    ret->st_mode = S_IFDIR | 0500;
    if (ino == node_state_dir(f->tree))
        return 0;
    *ret_timeout = 0;
    return stat_state_file(f, ret);
}

int fuse_stat(struct fuse_mount *f, fuse_ino_t ino, struct stat *ret, double *ret_timeout)
{
    int rc = stat_node(f, ino, ret, ret_timeout);

    if (rc == 0 && f->mount->has_ids) {
        ret->st_uid = idmap_outside(&f->mount->ids.uids, ret->st_uid);
        ret->st_gid = idmap_outside(&f->mount->ids.gids, ret->st_gid);
    }
    return rc;
}

void fuse_op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct fuse_mount *f = fuse_mount_of(req);
    struct stat st;
    double timeout;
    int rc;

    (void)fi;
    if (!node_is_valid(f->tree, ino)) {
        (void)fuse_reply_err(req, ESTALE);
        return;
    }
    rc = fuse_stat(f, ino, &st, &timeout);
    if (rc < 0)
        (void)fuse_reply_err(req, -rc);
    else
        (void)fuse_reply_attr(req, &st, timeout);
}

/* ---- lookup ---------------------------------------------------------------------------------- */

static fuse_ino_t parent_of(const struct fuse_mount *f, fuse_ino_t ino)
{
    if (ino == node_state_file(f->tree))
        return node_state_dir(f->tree);
    if (ino == node_state_dir(f->tree))
        return TREE_ROOT;
    return tree_parent(f->tree, (tree_id)ino);
}

/* 0: no such. */
static fuse_ino_t find(const struct fuse_mount *f, fuse_ino_t parent, const char *name)
{
    if (parent == TREE_ROOT && strcmp(name, STATE_DIR_NAME) == 0)
        return node_state_dir(f->tree);
    if (parent == node_state_dir(f->tree)) {
        char file[DIGEST_TEXT_BYTES + 5];

        state_file_name(f->mount->layer, file);
        return strcmp(name, file) == 0 ? node_state_file(f->tree) : 0;
    }
    if (parent == node_state_file(f->tree))
        return 0;
    return tree_lookup(f->tree, (tree_id)parent, name);
}

static int fill_entry(struct fuse_mount *f, fuse_ino_t ino, struct fuse_entry_param *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->ino = ino;
    ret->generation = 1;
    ret->entry_timeout =
        ino == 0 ? f->mount->fs->negative_timeout_s : f->mount->fs->entry_timeout_s;
    /* ino 0 is an answer too: there is no such name, and there will not be */
    return ino == 0 ? 0 : fuse_stat(f, ino, &ret->attr, &ret->attr_timeout);
}

void fuse_op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct fuse_mount *f = fuse_mount_of(req);
    struct fuse_entry_param entry;
    int rc;

    if (!node_is_valid(f->tree, parent)) {
        (void)fuse_reply_err(req, ESTALE);
        return;
    }
    if (strlen(name) > NAME_MAX_BYTES) {
        (void)fuse_reply_err(req, ENAMETOOLONG);
        return;
    }
    rc = fill_entry(f, find(f, parent, name), &entry);
    if (rc < 0)
        (void)fuse_reply_err(req, -rc);
    else
        (void)fuse_reply_entry(req, &entry);
}

void fuse_op_readlink(fuse_req_t req, fuse_ino_t ino)
{
    struct fuse_mount *f = fuse_mount_of(req);
    struct tree_node node;

    if (ino == 0 || ino > tree_count(f->tree)) {
        (void)fuse_reply_err(req, EINVAL);
        return;
    }
    tree_get(f->tree, (tree_id)ino, &node);
    if (S_ISLNK(node.mode))
        (void)fuse_reply_readlink(req, tree_link_target(f->tree, (tree_id)ino));
    else
        (void)fuse_reply_err(req, EINVAL);
}

/* ---- listings -------------------------------------------------------------------------------- */

void fuse_op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct fuse_mount *f = fuse_mount_of(req);

    (void)ino;
    if (f->has_no_opendir) {
        (void)fuse_reply_err(req, ENOSYS);
        return;
    }
    fi->keep_cache = 1;
    fi->cache_readdir = 1;
    (void)fuse_reply_open(req, fi);
}

/* The i-th entry of a directory, with . and .. first. A name of NULL: one that is not to be shown.
 */
static bool entry_at(const struct fuse_mount *f, fuse_ino_t dir, size_t i,
                     char state_name[DIGEST_TEXT_BYTES + 5], const char **ret_name,
                     fuse_ino_t *ret_ino)
{
    tree_id id;

    if (i < 2) {
        *ret_name = i == 0 ? "." : "..";
        *ret_ino = i == 0 ? dir : parent_of(f, dir);
        return true;
    }
    if (dir == node_state_dir(f->tree)) {
        state_file_name(f->mount->layer, state_name);
        *ret_name = state_name;
        *ret_ino = node_state_file(f->tree);
        return i == 2;
    }
    if (!tree_child(f->tree, (tree_id)dir, i - 2, ret_name, &id))
        return false;
    *ret_ino = id;
    if (dir == TREE_ROOT && strcmp(*ret_name, STATE_DIR_NAME) == 0)
        *ret_name = NULL; /* what a lookup of it finds is ours */
    return true;
}

struct listing {
    struct fuse_mount *f;
    fuse_req_t req;
    bool has_attributes;
    char *data;
    size_t size, used;
};

/* False: it does not fit. */
static bool list_entry(struct listing *l, const char *name, fuse_ino_t ino, size_t next,
                       struct err *err)
{
    struct fuse_entry_param entry;
    size_t need;
    int rc = fill_entry(l->f, ino, &entry);

    if (rc < 0) {
        (void)err_set(err, rc, "%s", name);
        return false;
    }
    if (next <= 2)
        entry.ino = 0; /* . and .. are not looked up by being listed */
    if (l->has_attributes)
        need = fuse_add_direntry_plus(l->req, l->data + l->used, l->size - l->used, name, &entry,
                                      (off_t)next);
    else
        need = fuse_add_direntry(l->req, l->data + l->used, l->size - l->used, name, &entry.attr,
                                 (off_t)next);
    if (need > l->size - l->used)
        return false;
    l->used += need;
    return true;
}

/* Offsets are positions: a listing goes on wherever it is asked to, also after a restart. */
static void list(fuse_req_t req, fuse_ino_t dir, size_t size, off_t off, bool has_attributes)
{
    struct fuse_mount *f = fuse_mount_of(req);
    char state_name[DIGEST_TEXT_BYTES + 5];
    struct listing l = {.f = f, .req = req, .has_attributes = has_attributes, .size = size};
    SCOPED(mem) char *data = NULL;
    int64_t start_ns = clock_mono_ns();
    struct err err = ERR_NONE;
    const char *name;
    fuse_ino_t ino;

    if (!node_is_valid(f->tree, dir) || dir == node_state_file(f->tree) || off < 0) {
        (void)fuse_reply_err(req, EINVAL);
        return;
    }
    l.data = data = malloc(size);
    if (data == NULL) {
        (void)fuse_reply_err(req, ENOMEM);
        return;
    }
    for (size_t i = (size_t)off; entry_at(f, dir, i, state_name, &name, &ino); i++)
        if (name != NULL && !list_entry(&l, name, ino, i + 1, &err))
            break;
    metrics_since(layer_metrics(f->mount->layer), METRICS_NODE_READDIR, start_ns);
    if (l.used == 0 && err.code != 0)
        (void)fuse_reply_err(req, -err.code);
    else
        (void)fuse_reply_buf(req, l.data, l.used);
}

void fuse_op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
                     struct fuse_file_info *fi)
{
    (void)fi;
    list(req, ino, size, off, false);
}

void fuse_op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
                         struct fuse_file_info *fi)
{
    (void)fi;
    list(req, ino, size, off, true);
}

/* ---- the file system ------------------------------------------------------------------------- */

/* The figures of where the layer's bytes are kept: what a container may still use is not here. */
void fuse_op_statfs(fuse_req_t req, fuse_ino_t ino)
{
    struct fuse_mount *f = fuse_mount_of(req);
    struct statvfs st;

    (void)ino;
    if (fstatvfs(layer_fd(f->mount->layer), &st) < 0) {
        (void)fuse_reply_err(req, errno);
        return;
    }
    st.f_namemax = NAME_MAX_BYTES;
    (void)fuse_reply_statfs(req, &st);
}
