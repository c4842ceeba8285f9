/* SPDX-License-Identifier: Apache-2.0 */
/* erofs.c – the backend `erofs`: the kernel has the layer's tree as an image of its own, and asks
 * us for nothing but bytes of files.
 *
 * Two mounts lie on one another in the mount's directory: below a FUSE file system with one file,
 * the layer's tar; above it the image, whose device is that file. So whatever takes away what is
 * mounted there takes both; while someone uses the upper one, the kernel keeps the lower one for
 * it; and those who count FUSE mounts see one for each layer.
 *
 * A layer that is all on the disk, and was checked, has its tar there as a plain file: then that is
 * the image's device, and reads come to nobody but the kernel. The FUSE file system lies below all
 * the same, for those who count.
 *
 * The image's file has a name only until it is mounted: nothing is left that could be old. It is
 * on a disk, since the kernel mounts none that is on tmpfs, and written out before it is mounted: a
 * disk that is full or broken is noticed here and not by a reader. */
#include "fs/fuse.h"

#include "base/files.h"
#include "base/text.h"
#include "erofs/erofs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#define TAR_NAME "tar"
enum { TAR_INO = FUSE_ROOT_ID + 1 };
#define SYNC_ALL_PAGES                                                                             \
    (SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER)
/* In the image's UUID: to be changed when the same table makes another image. */
enum { IMAGE_VERSION = 1 };

/* ---- the file system with one file ----------------------------------------------------------- */

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
    struct fuse_mount *f = userdata;

    f->is_tar = true;
    session_agree(f, conn, 0);
}

static uint64_t tar_file_bytes(const struct fuse_mount *f)
{
    return erofs_device_bytes(layer_uncomp_bytes(f->mount->layer));
}

static void fill_stat(const struct fuse_mount *f, fuse_ino_t ino, struct stat *ret)
{
    *ret = (struct stat){.st_ino = ino, .st_nlink = 1, .st_mode = S_IFDIR | 0500};
    if (ino == TAR_INO) {
        ret->st_mode = S_IFREG | 0400;
        ret->st_size = (off_t)tar_file_bytes(f);
    }
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct fuse_entry_param entry = {
        .generation = 1, .attr_timeout = FS_FOREVER_S, .entry_timeout = FS_FOREVER_S};

    if (parent != FUSE_ROOT_ID || strcmp(name, TAR_NAME) != 0) {
        (void)fuse_reply_err(req, ENOENT);
        return;
    }
    entry.ino = TAR_INO;
    fill_stat(fuse_mount_of(req), TAR_INO, &entry.attr);
    (void)fuse_reply_entry(req, &entry);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct stat st;

    (void)fi;
    fill_stat(fuse_mount_of(req), ino, &st);
    (void)fuse_reply_attr(req, &st, FS_FOREVER_S);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
                    struct fuse_file_info *fi)
{
    struct fuse_mount *f = fuse_mount_of(req);
    uint64_t tar_bytes = layer_uncomp_bytes(f->mount->layer), end = tar_file_bytes(f);
    size_t zeros = 0;

    (void)fi;
    if (ino != TAR_INO || off < 0) {
        (void)fuse_reply_err(req, EIO);
        return;
    }
    if ((uint64_t)off >= end || size == 0) {
        (void)fuse_reply_buf(req, NULL, 0);
        return;
    }
    if (size > end - (uint64_t)off)
        size = (size_t)(end - (uint64_t)off);
    if ((uint64_t)off + size > tar_bytes) /* the tar ends within its last block */
        zeros = (uint64_t)off > tar_bytes ? size : (size_t)((uint64_t)off + size - tar_bytes);
    fuse_answer_bytes(req, (uint64_t)off, size - zeros, zeros);
}

static const struct fuse_lowlevel_ops tar_ops = {
    .init = op_init,
    .lookup = op_lookup,
    .getattr = op_getattr,
    .open = fuse_op_open,
    .read = op_read,
};

/* ---- the image ------------------------------------------------------------------------------- */

static int write_piece(void *self, struct bytes piece, struct err *err)
{
    return file_write_all(*(const int *)self, piece.data, piece.len, err);
}

static void fill_options(const struct fs_mount *mount, struct erofs_options *ret)
{
    const struct digest *layer = layer_digest(mount->layer);
    const struct digest *ztoc = layer_ztoc_digest(mount->layer);

    *ret = (struct erofs_options){
        .tar_bytes = layer_uncomp_bytes(mount->layer),
        .no_xattrs =
            layer_xattrs_disabled(mount->layer) && !tree_has_opaque(layer_tree(mount->layer)),
        .ids = mount->has_ids ? &mount->ids : NULL,
    };
    for (size_t i = 0; i < EROFS_UUID_BYTES; i++)
        ret->uuid[i] = layer->sha256[i] ^ ztoc->sha256[i];
    ret->uuid[0] ^= IMAGE_VERSION;
}

/* Below the directory of images, with a name that nothing else has. */
static char *image_path(struct fs_mount *mount)
{
    char hex[2 * DIGEST_BYTES + 1];

    digest_hex(layer_digest(mount->layer), hex);
    return text_format("%s/%s-%zu", mount->fs->image_dir, hex,
                       __atomic_add_fetch(&mount->fs->images, 1, __ATOMIC_RELAXED));
}

static int write_image(struct fs_mount *mount, const char *path, struct err *err)
{
    SCOPED(fd) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    const struct erofs_sink sink = {.write = write_piece, .self = &fd};
    struct erofs_options options;
    int rc;

    if (fd < 0)
        return err_sys(err, -errno, "%s", path);
    fill_options(mount, &options);
    rc = erofs_write(layer_tree(mount->layer), &options, &sink, err);
    /* All of the file's pages, and no journal, which takes several times as long: nobody will look
     * for this file after a power loss. */
    if (rc == 0 && sync_file_range(fd, 0, 0, SYNC_ALL_PAGES) < 0)
        rc = err_sys(err, -errno, "sync of %s", path);
    return rc;
}

/* ---- start ----------------------------------------------------------------------------------- */

static void take_back_session(struct fs_mount *mount)
{
    if (kernel_detach(mount->dir, NULL) < 0)
        log_warn("a mount that failed stays", "dir=%s", mount->dir);
    session_stop(mount);
    session_free(mount);
}

/* -ENOENT: the layer has no such file. */
static int mount_on_file(const struct fs_mount *mount, const char *image, struct err *err)
{
    const char *file = layer_checked_file(mount->layer);
    int rc = file == NULL ? -ENOENT : kernel_mount_erofs_on_disk(image, file, mount->dir, err);

    if (rc == 0)
        log_debug("a layer is mounted from its file", "dir=%s file=%s", mount->dir, file);
    else if (rc != -ENOENT)
        log_warn("a layer that is on the disk is not mounted from there", "dir=%s err=%s",
                 mount->dir, err_text(err));
    return rc;
}

static int mount_image(const struct fs_mount *mount, const char *image, struct err *err)
{
    SCOPED(mem) char *tar = path_join(mount->dir, TAR_NAME);

    if (mount_on_file(mount, image, err) == 0)
        return 0;
    if (tar == NULL)
        return err_sys(err, -ENOMEM, "mount");
    return kernel_mount_erofs(image, tar, mount->dir, err);
}

static int start_with_image(struct fs_mount *mount, const char *image, struct err *err)
{
    int rc = write_image(mount, image, err);

    if (rc == 0)
        rc = session_start(mount, &tar_ops, err);
    if (rc < 0)
        return rc;
    rc = mount_image(mount, image, err);
    if (rc < 0)
        take_back_session(mount);
    return rc;
}

static int erofs_start(struct fs_mount *mount, struct err *err)
{
    SCOPED(mem) char *image = image_path(mount);
    int rc;

    if (image == NULL)
        return err_sys(err, -ENOMEM, "mount");
    rc = start_with_image(mount, image, err);
    (void)unlink(image);
    return rc;
}

const struct fs_backend fs_backend_erofs = {
    .name = "erofs",
    .kernel_mounts = 2,
    .start = erofs_start,
    .stop = session_stop,
    .free = session_free,
    .sweep = session_sweep,
};
