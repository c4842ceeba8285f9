/* SPDX-License-Identifier: Apache-2.0 */
/* erofs.h – the tree of a layer as an image of EROFS, Linux's read-only file system: names, inodes,
 * extended attributes, directories, and for each file where its bytes are in the layer's tar. The
 * tar is the image's only extra device, so the image has no file's content.
 *
 * Blocks have 512 bytes, because that is how a tar aligns. The same tree and options make the same
 * image, byte for byte. Nothing here blocks but the sink. */
#ifndef EROFS_EROFS_H
#define EROFS_EROFS_H

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/idmap.h"
#include "tree/tree.h"

#include <stdbool.h>
#include <stdint.h>

enum { EROFS_BLOCK_BYTES = 512, EROFS_UUID_BYTES = 16 };

/* Where the image's bytes go, in order, in pieces. */
struct erofs_sink {
    int (*write)(void *self, struct bytes piece, struct err *err);
    void *self;
};

struct erofs_options {
    uint64_t tar_bytes; /* of the layer's tar */
    bool no_xattrs;     /* leave all extended attributes out */
    /* Owners, ACLs and capabilities are those inside of a user namespace: show them as those
     * outside. NULL: as they are. */
    const struct idmaps *ids;
    uint8_t uuid[EROFS_UUID_BYTES]; /* overlayfs takes note when two lower layers have the same */
};

/* The size that the device with the tar must have: EROFS reads whole blocks, and what is read past
 * the tar must be zeros. */
uint64_t erofs_device_bytes(uint64_t tar_bytes);

/* -EOPNOTSUPP: EROFS cannot hold this layer, and err says what of it: content that does not start
 * at a block of the tar or leaves it, a tar or file or attribute that is too large, an attribute in
 * a name space without a number, a symlink to nowhere. -ENOMEM; what the sink returned. Memory is
 * 20 bytes per node and 68 per extended attribute. */
MUST_CHECK int erofs_write(const struct tree *tree, const struct erofs_options *options,
                           const struct erofs_sink *sink, struct err *err);

#endif
