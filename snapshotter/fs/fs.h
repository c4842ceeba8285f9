/* SPDX-License-Identifier: Apache-2.0 */
/* fs.h – a layer mounted as a file system. A mounted layer costs no thread of its own: a fixed pool
 * watches all FUSE descriptors, and a read that waits for the network is parked in the span engine,
 * not on a thread.
 *
 * What the kernel can do decides how (fs_options.backend). In any case each layer has one mount of
 * type fuse.rawBridge and source `soci`: users and Finch's own tests count them. */
#ifndef FS_FS_H
#define FS_FS_H

#include "base/err.h"
#include "base/idmap.h"
#include "layer/layer.h"

#include <stdbool.h>
#include <stdint.h>

struct fs_options {
    size_t threads;           /* 0: 2 per CPU, at most 8 */
    int64_t read_deadline_ms; /* a reader gets EIO after this; 0: never by itself (the source's
                                 budget decides) */
    /* So many seconds the kernel keeps attributes, names, and that there is no such name. 0: for as
     * long as it likes, because a layer does not change; negative: it asks each time. */
    int64_t attr_timeout_s, entry_timeout_s, negative_timeout_s;
    /* How layers are mounted: "fuse": the kernel asks for everything. "erofs", or NULL and "auto":
     * the kernel has the tree itself, and asks for bytes of files alone, where it can do that,
     * which is tried at the start; what it cannot do for one layer is done by fuse. */
    const char *backend;
    /* Where images are written to for the moment of a mount: a directory that is ours alone, on a
     * disk, with no comma in its absolute path; made, and what is in it is removed. NULL: no
     * images. */
    const char *image_dir;
    bool log_operations; /* every request of the kernel's, as libfuse describes it, at info */
};
struct fs;
MUST_CHECK int fs_new(const struct fs_options *options, struct fs **ret, struct err *err);
/* Every mount is unmounted or abandoned before. */
void fs_free(struct fs *fs);
const char *fs_backend(const struct fs *fs); /* "erofs" or "fuse": which is tried first */
DEFINE_SCOPED_PTR(fs, struct fs, fs_free)

struct fs_mount;
struct fs_mount_options {
    const char *dir; /* an existing directory, absolute */
    /* The layer's ids are those inside of a user namespace, and shown as those outside; copied.
     * NULL: shown as they are. A layer may be mounted as often as there are maps. */
    const struct idmaps *ids;
};
/* Mount `layer` (a reference is taken) at options->dir. Blocks until the kernel has it. -EMFILE: a
 * process can have about a thousand mounts, and has. */
MUST_CHECK int fs_mount(struct fs *fs, struct layer *layer, const struct fs_mount_options *options,
                        struct fs_mount **ret, struct err *err);
/* Take it away: MNT_DETACH, so that whoever has it open still finishes; then stop serving it when
 * the kernel lets go or at once when `force`. *mount is NULL afterwards, also on failure. Blocks
 * briefly. */
MUST_CHECK int fs_unmount(struct fs *fs, struct fs_mount **mount, bool force, struct err *err);
/* Stop serving without unmounting: at the end of the process. */
void fs_abandon(struct fs *fs, struct fs_mount **mount);
const char *fs_mount_backend(const struct fs_mount *mount); /* "erofs" or "fuse" */
struct layer *fs_mount_layer(const struct fs_mount *mount); /* borrowed */

/* Detach whatever is mounted at `dir` by this or an earlier process, as often as something is.
 * Nothing there: 0. */
MUST_CHECK int fs_clear_mounts(const char *dir, struct err *err);

#endif
