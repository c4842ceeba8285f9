/* SPDX-License-Identifier: Apache-2.0 */
/* unpack.h – a layer's bytes become files in a directory, as containerd's overlayfs snapshotter
 * would have them.
 *
 * The layer (gzip, zstd where that is built in, or plain tar; told apart by the first bytes) is
 * pushed in pieces. Modes, owners, times, extended attributes, links and devices are the tar's. A
 * whiteout becomes a 0/0 character device, an opaque marker `trusted.overlay.opaque=y`. A directory
 * that the tar does not list is made 0755 root:root; unpack_inherit() gives it the look of the same
 * directory in the layers below.
 *
 * A layer is hostile. Nothing is ever made, changed or linked to outside the directory: the way to
 * an entry is gone component by component, symlinks on it lead where they would if the directory
 * were `/`, and the last component is never followed. Refused are devices whose numbers do not
 * exist, sparse files, and what tar/ refuses.
 *
 * Memory does not grow with the layer. Calls block on the disk; an object is used by one thread at
 * a time. */
#ifndef UNPACK_UNPACK_H
#define UNPACK_UNPACK_H

#include "base/attr.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"
#include "digest/digest.h"

#include <stdbool.h>

/* What unpacks layers of these kinds: a program and its arguments, with NULL at the end, which gets
 * the layer and gives the tar. NULL: it is done here. So too, with a warning, when the program
 * cannot be run. */
struct unpack_programs {
    const char *const *gzip, *const *zstd;
};

struct unpack_options {
    const char *dir;     /* exists and is empty; nobody else changes it meanwhile */
    struct digest layer; /* of the layer as it is stored, which unpack_finish() insists on */
    const struct unpack_programs *programs; /* NULL: none; lives as long as the object */
    bool userxattr; /* in a user namespace: opaque markers are user.overlay.opaque, and there are no
                       devices */
};

struct unpack;
/* -ENOENT and other errors of the directory, -ENOMEM. */
MUST_CHECK int unpack_new(const struct unpack_options *options, struct unpack **ret,
                          struct err *err);
/* The next bytes of the layer, in pieces of any size. After a failure only unpack_free() may
 * follow, and the caller removes what is in the directory. -EBADMSG: damaged, or not a layer;
 * -EOPNOTSUPP: not supported here; -ENOSPC and other errors of the disk. */
MUST_CHECK int unpack_feed(struct unpack *u, struct bytes comp, struct err *err);
/* The layer is complete: compare its digest, and finish the directories. *ret_diff_id is the digest
 * of the tar. -EBADMSG also: cut off, or another digest. */
MUST_CHECK int unpack_finish(struct unpack *u, struct digest *ret_diff_id, struct err *err);
/* After that: sync the file system, so that losing power loses nothing of the layer. */
MUST_CHECK int unpack_sync(const struct unpack *u, struct err *err);
/* Directories that the layer uses but does not list, parents before children; for unpack_inherit().
 * Borrowed. */
const struct text_list *unpack_made_dirs(const struct unpack *u);
void unpack_free(struct unpack *u); /* NULL is fine */
DEFINE_SCOPED_PTR(unpack, struct unpack, unpack_free)

/* Give each of `made` in `dir` owner, mode and extended attributes of the nearest directory of that
 * name in `lowers` (paths, nearest layer first). What is no directory there ends the search for
 * that one; one that no layer has stays as it is. */
MUST_CHECK int unpack_inherit(const char *dir, const struct text_list *made,
                              const struct text_list *lowers, struct err *err);

/* What unpack_inherit() would find of one of them. */
enum unpack_look {
    UNPACK_LOOK_NONE,  /* no layer has it */
    UNPACK_LOOK_PLAIN, /* 0755 root:root and nothing else, as it was made */
    UNPACK_LOOK_OTHER
};
MUST_CHECK int unpack_look_below(const char *path, const struct text_list *lowers,
                                 enum unpack_look *ret, struct err *err);

/* Is zstd built in? */
bool unpack_has_zstd(void);

#endif
