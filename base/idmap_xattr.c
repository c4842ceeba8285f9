/* SPDX-License-Identifier: Apache-2.0 */
/* idmap_xattr.c – extended attributes that hold ids. The kernel translates these itself where it
 * maps a mount; formats from <linux/capability.h> and <linux/posix_acl_xattr.h>. */
#include "base/idmap.h"

#include <errno.h>
#include <string.h>

/* A capability: revision and flags, 16 bytes of sets, and in revision 3 the root that it is for. */
enum { CAP_SETS_BYTES = 16, CAP_V2_BYTES = 4 + CAP_SETS_BYTES, CAP_V3_BYTES = CAP_V2_BYTES + 4 };
#define CAP_REVISION_MASK 0xff000000u
#define CAP_V2 0x02000000u
#define CAP_V3 0x03000000u

static int map_capability(const struct idmap *uids, struct bytes value, struct buf *ret)
{
    uint32_t magic = value.len < 4 ? 0 : get_u32le(value.data), root = 0;
    uint8_t mapped[CAP_V3_BYTES];

    if (value.len == CAP_V3_BYTES && (magic & CAP_REVISION_MASK) == CAP_V3)
        root = get_u32le(value.data + CAP_V2_BYTES);
    else if (value.len != CAP_V2_BYTES || (magic & CAP_REVISION_MASK) != CAP_V2)
        return buf_add(ret, value.data, value.len);
    if (!idmap_has(uids, root))
        return -ENODATA;
    if (idmap_outside(uids, root) == root)
        return buf_add(ret, value.data, value.len);
    put_u32le(mapped, (magic & ~CAP_REVISION_MASK) | CAP_V3);
    memcpy(mapped + 4, value.data + 4, CAP_SETS_BYTES);
    put_u32le(mapped + CAP_V2_BYTES, idmap_outside(uids, root));
    return buf_add(ret, mapped, sizeof(mapped));
}

/* An ACL: its version, then entries of tag, permissions and id. */
enum { ACL_HEADER_BYTES = 4, ACL_ENTRY_BYTES = 8, ACL_VERSION = 2 };
enum { ACL_TAG_USER = 2, ACL_TAG_GROUP = 8 };

static void map_acl_entry(const struct idmaps *maps, uint8_t *entry)
{
    uint16_t tag = get_u16le(entry);
    uint32_t id = get_u32le(entry + 4);

    if (tag == ACL_TAG_USER)
        put_u32le(entry + 4, idmap_outside(&maps->uids, id));
    else if (tag == ACL_TAG_GROUP)
        put_u32le(entry + 4, idmap_outside(&maps->gids, id));
}

static int map_acl(const struct idmaps *maps, struct bytes value, struct buf *ret)
{
    size_t first = ret->len;
    int rc = buf_add(ret, value.data, value.len);

    if (rc < 0 || value.len < ACL_HEADER_BYTES || get_u32le(value.data) != ACL_VERSION ||
        (value.len - ACL_HEADER_BYTES) % ACL_ENTRY_BYTES != 0)
        return rc;
    for (size_t at = first + ACL_HEADER_BYTES; at < ret->len; at += ACL_ENTRY_BYTES)
        map_acl_entry(maps, ret->data + at);
    return 0;
}

int idmaps_xattr(const struct idmaps *maps, const char *name, struct bytes value, struct buf *ret)
{
    if (strcmp(name, "security.capability") == 0)
        return map_capability(&maps->uids, value, ret);
    if (strcmp(name, "system.posix_acl_access") == 0 ||
        strcmp(name, "system.posix_acl_default") == 0)
        return map_acl(maps, value, ret);
    return buf_add(ret, value.data, value.len);
}
