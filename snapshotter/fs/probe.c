/* SPDX-License-Identifier: Apache-2.0 */
/* probe.c – whether this system can do what the backend `erofs` needs, found out by doing it: a
 * small layer becomes an image, is mounted from its file with its tar as the device, and looked at.
 * Kernels are built with and without most of that, so no version tells. */
#include "base/files.h"
#include "erofs/erofs.h"
#include "fs/internal.h"
#include "ztoc/ztoc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/xattr.h>

#define CONTENT "what is in the file"
#define ACL_NAME "system.posix_acl_access"
/* Version 2; user rw-, group r--, others r--: tag, permissions, and an id that none has. */
#define ACL_VALUE                                                                                  \
    "\2\0\0\0"                                                                                     \
    "\1\0\6\0\377\377\377\377"                                                                     \
    "\4\0\4\0\377\377\377\377"                                                                     \
    "\40\0\4\0\377\377\377\377"

enum { TAR_BLOCK_BYTES = 512 };

/* ---- a small layer --------------------------------------------------------------------------- */

static int add_header(struct buf *tar, const char *name, char type, size_t size)
{
    uint8_t raw[TAR_BLOCK_BYTES] = {0};
    char text[12];
    unsigned sum = 8 * ' '; /* where the sum goes, spaces count */

    memcpy(raw, name, strlen(name));
    memcpy(raw + 100, "0000644", 7);
    memcpy(raw + 257, "ustar\00000", 8);
    (void)snprintf(text, sizeof(text), "%011zo", size);
    memcpy(raw + 124, text, 11);
    raw[156] = (uint8_t)type;
    for (size_t i = 0; i < sizeof(raw); i++)
        sum += raw[i];
    (void)snprintf(text, sizeof(text), "%06o", sum);
    memcpy(raw + 148, text, 7);
    raw[155] = ' ';
    return buf_add(tar, raw, sizeof(raw));
}

static int add_entry(struct buf *tar, const char *name, char type, struct bytes content)
{
    int rc = add_header(tar, name, type, content.len);

    if (rc == 0)
        rc = buf_add(tar, content.data, content.len);
    return rc < 0 ? rc : buf_add_zeros(tar, (0 - content.len) % TAR_BLOCK_BYTES);
}

/* The record's own length counts itself; all of ours have two digits. */
static int add_record(struct buf *pax, const char *key, struct bytes value)
{
    int rc = buf_addf(pax, "%zu SCHILY.xattr.%s=",
                      3 + strlen("SCHILY.xattr.=") + strlen(key) + value.len + 1, key);

    if (rc == 0)
        rc = buf_add(pax, value.data, value.len);
    return rc < 0 ? rc : buf_add_byte(pax, '\n');
}

static int make_tar(struct buf *ret)
{
    SCOPED(buf_value) struct buf pax = BUF_EMPTY;
    int rc = add_record(&pax, "user.soci", bytes_of_str("user"));

    if (rc == 0)
        rc = add_record(&pax, "security.soci", bytes_of_str("security"));
    if (rc == 0)
        rc = add_record(&pax, ACL_NAME, bytes_of(ACL_VALUE, sizeof(ACL_VALUE) - 1));
    if (rc == 0)
        rc = add_entry(ret, "pax", 'x', buf_bytes(&pax));
    if (rc == 0)
        rc = add_entry(ret, "file", '0', bytes_of_str(CONTENT));
    if (rc == 0)
        rc = add_entry(ret, "dir/.wh..wh..opq", '0', bytes_of_str(""));
    return rc < 0 ? rc : buf_add_zeros(ret, (size_t)2 * TAR_BLOCK_BYTES);
}

static int make_ztoc(struct bytes tar, struct ztoc **ret, struct err *err)
{
    const struct ztoc_build_options options = {.span_size = ZTOC_DEFAULT_SPAN_SIZE};
    SCOPED(ztoc_builder) struct ztoc_builder *builder = NULL;
    SCOPED(buf_value) struct buf blob = BUF_EMPTY;
    int rc = ztoc_builder_new(ZTOC_UNCOMPRESSED, &options, &builder, err);

    if (rc == 0)
        rc = ztoc_builder_feed(builder, tar, err);
    if (rc == 0)
        rc = ztoc_builder_finish(builder, &blob, NULL, err);
    return rc < 0 ? rc : ztoc_parse(buf_bytes(&blob), ret, err);
}

static int collect(void *self, struct bytes piece, struct err *err)
{
    return buf_add(self, piece.data, piece.len) < 0 ? err_sys(err, -ENOMEM, "image") : 0;
}

static int make_image(struct bytes tar, struct buf *ret, struct err *err)
{
    const struct erofs_options options = {.tar_bytes = tar.len};
    const struct erofs_sink sink = {.write = collect, .self = ret};
    SCOPED(ztoc) struct ztoc *toc = NULL;
    SCOPED(tree) struct tree *tree = NULL;
    int rc = make_ztoc(tar, &toc, err);

    if (rc == 0)
        rc = tree_build(toc, &tree, err);
    if (rc == 0)
        rc = erofs_write(tree, &options, &sink, err);
    tree_free(TAKE(tree)); /* before what it borrows from */
    return rc;
}

/* ---- looked at ------------------------------------------------------------------------------- */

static int check_xattr(const char *path, const char *name, struct bytes want, struct err *err)
{
    char value[64];
    ssize_t len = lgetxattr(path, name, value, sizeof(value));

    if (len < 0)
        return err_sys(err, -errno, "%s", name);
    if (!bytes_equal(bytes_of(value, (size_t)len), want))
        return err_set(err, -EBADMSG, "%s is not what was written", name);
    return 0;
}

static int check_file(const char *path, struct err *err)
{
    SCOPED(buf_value) struct buf content = BUF_EMPTY;
    int rc = file_read(path, sizeof(CONTENT), &content, err);

    if (rc == 0 && !bytes_equal(buf_bytes(&content), bytes_of_str(CONTENT)))
        rc = err_set(err, -EBADMSG, "a file is not what was written");
    if (rc == 0)
        rc = check_xattr(path, "user.soci", bytes_of_str("user"), err);
    if (rc == 0)
        rc = check_xattr(path, "security.soci", bytes_of_str("security"), err);
    if (rc == 0)
        rc = check_xattr(path, ACL_NAME, bytes_of(ACL_VALUE, sizeof(ACL_VALUE) - 1), err);
    return rc;
}

static int check_mount(const char *dir, struct err *err)
{
    SCOPED(mem) char *file = path_join(dir, "file"), *opaque = path_join(dir, "dir");
    int rc;

    if (file == NULL || opaque == NULL)
        return err_sys(err, -ENOMEM, "EROFS");
    rc = check_file(file, err);
    return rc < 0 ? rc : check_xattr(opaque, "trusted.overlay.opaque", bytes_of_str("y"), err);
}

/* ---- all of it ------------------------------------------------------------------------------- */

struct paths {
    char *tar, *image, *dir;
};

static void paths_fini(struct paths *p)
{
    free(p->tar);
    free(p->image);
    free(p->dir);
}
DEFINE_SCOPED_VALUE(paths, struct paths, paths_fini)

static int write_files(const struct paths *p, struct err *err)
{
    SCOPED(buf_value) struct buf tar = BUF_EMPTY, image = BUF_EMPTY;
    int rc = make_tar(&tar);

    if (rc < 0)
        return err_sys(err, rc, "EROFS");
    rc = make_image(buf_bytes(&tar), &image, err);
    if (rc == 0)
        rc = file_replace(p->tar, buf_bytes(&tar), 0600, err);
    if (rc == 0)
        rc = file_replace(p->image, buf_bytes(&image), 0600, err);
    return rc < 0 ? rc : dir_make_all(p->dir, 0700, err);
}

static int try_mount(const struct paths *p, struct err *err)
{
    int rc = kernel_mount_erofs(p->image, p->tar, p->dir, err);

    if (rc < 0)
        return rc;
    rc = check_mount(p->dir, err);
    if (fs_clear_mounts(p->dir, NULL) < 0)
        log_warn("a mount that was tried stays", "dir=%s", p->dir);
    return rc;
}

/* As it is when nothing is tried or mounted. */
static int empty(const struct fs *fs, const struct paths *p, struct err *err)
{
    int rc = fs_clear_mounts(p->dir, err);

    if (rc == 0)
        rc = dir_remove_all(fs->image_dir, err);
    return rc < 0 ? rc : dir_make_all(fs->image_dir, 0700, err);
}

int probe_erofs(struct fs *fs, struct err *err)
{
    SCOPED(paths)
    struct paths p = {
        .tar = path_join(fs->image_dir, "probe.tar"),
        .image = path_join(fs->image_dir, "probe.erofs"),
        .dir = path_join(fs->image_dir, "probe"),
    };
    struct err ignored = ERR_NONE;
    int rc;

    if (p.tar == NULL || p.image == NULL || p.dir == NULL)
        return err_sys(err, -ENOMEM, "EROFS");
    if (strchr(fs->image_dir, ',') != NULL)
        return err_set(err, -EOPNOTSUPP, "%s: a comma cannot be in a mount's options",
                       fs->image_dir);
    rc = empty(fs, &p, err);
    if (rc == 0)
        rc = write_files(&p, err);
    if (rc == 0)
        rc = try_mount(&p, err);
    if (empty(fs, &p, &ignored) < 0)
        log_warn("files of a mount that was tried stay", "dir=%s err=%s", fs->image_dir,
                 err_text(&ignored));
    return rc;
}
