/* SPDX-License-Identifier: Apache-2.0 */
/* whiteout.c – what says that something in a layer below is gone: in tars a file name, in overlayfs
 * a device or an attribute. */
#include "unpack/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/xattr.h>

#define WHITEOUT_PREFIX ".wh."
#define WHITEOUT_OPAQUE ".wh..wh..opq"

static int make_opaque(struct unpack *u, struct err *err)
{
    const char *key = u->userxattr ? "user.overlay.opaque" : "trusted.overlay.opaque";

    if (fsetxattr(u->place.fd, key, "y", 1, 0) < 0)
        return err_sys(err, -errno, "attribute %s", key);
    return 1;
}

/* What the layer has under that name itself stays visible. */
static int hide(struct unpack *u, const char *hidden, const struct tar_entry *entry,
                struct err *err)
{
    if (mknodat(u->place.fd, hidden, S_IFCHR, 0) < 0)
        return errno == EEXIST ? 1 : err_sys(err, -errno, "whiteout");
    if (entry->uid < 0 || entry->uid >= UINT32_MAX || entry->gid < 0 || entry->gid >= UINT32_MAX)
        return err_set(err, -EBADMSG, "its owner is out of range");
    if (fchownat(u->place.fd, hidden, (uid_t)entry->uid, (gid_t)entry->gid, AT_SYMLINK_NOFOLLOW) <
        0)
        return err_sys(err, -errno, "owner of a whiteout");
    return 1;
}

int whiteout_make(struct unpack *u, const char *name, const struct tar_entry *entry,
                  struct err *err)
{
    const char *hidden = name + strlen(WHITEOUT_PREFIX);

    if (!text_has_prefix(name, WHITEOUT_PREFIX))
        return 0;
    if (strcmp(name, WHITEOUT_OPAQUE) == 0)
        return make_opaque(u, err);
    if (hidden[0] == '\0' || strcmp(hidden, ".") == 0 || strcmp(hidden, "..") == 0)
        return err_set(err, -EBADMSG, "a whiteout of nothing");
    return hide(u, hidden, entry, err);
}
