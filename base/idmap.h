/* SPDX-License-Identifier: Apache-2.0 */
/* idmap.h – the user and group ids of a user namespace: which ids of the host stand for those that
 * a container sees. */
#ifndef BASE_IDMAP_H
#define BASE_IDMAP_H

#include "base/attr.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the kernel shows for an id without a name in a namespace (/proc/sys/kernel/overflowuid). */
enum { IDMAP_OVERFLOW_ID = 65534 };
enum { IDMAP_RANGES_MAX = 340 }; /* the kernel's limit for one namespace */

struct idmap_range {
    uint32_t inside, outside, length; /* length is 1 or more, and neither side reaches 2^32 - 1 */
};
/* Ranges ordered by `inside`; they overlap on neither side. */
struct idmap {
    struct idmap_range *ranges;
    size_t count;
};
/* Of users and of groups. */
struct idmaps {
    struct idmap uids, gids;
};
#define IDMAPS_EMPTY                                                                               \
    {                                                                                              \
        .uids = {.ranges = NULL, .count = 0}, .gids = {.ranges = NULL, .count = 0 }                \
    }

/* Of containerd's form `container:host:length`, comma separated. NULL or "": every id is itself.
 * *ret only on success. -EINVAL: not such a list, or not one that the kernel would take; -ENOMEM.
 */
MUST_CHECK int idmap_parse(const char *text, struct idmap *ret, struct err *err);
void idmap_fini(struct idmap *map);
MUST_CHECK int idmaps_parse(const char *uids, const char *gids, struct idmaps *ret,
                            struct err *err);
MUST_CHECK int idmaps_copy(struct idmaps *to, const struct idmaps *from); /* 0 or -ENOMEM */
void idmaps_fini(struct idmaps *maps);
DEFINE_SCOPED_VALUE(idmaps, struct idmaps, idmaps_fini)

/* The host's id; IDMAP_OVERFLOW_ID where there is none. */
uint32_t idmap_outside(const struct idmap *map, uint32_t inside);
bool idmap_has(const struct idmap *map, uint32_t inside);
/* The value of extended attribute `name` with its ids as the host's, appended to *ret: file
 * capabilities become those of the namespace's root, ACLs name the host's users. Any other
 * attribute stays as it is, and what is no ACL and no capability too. 0; -ENODATA: nobody outside
 * stands for whose capability it is; -ENOMEM. */
MUST_CHECK int idmaps_xattr(const struct idmaps *maps, const char *name, struct bytes value,
                            struct buf *ret);
/* As /proc/<pid>/uid_map takes it; 0 or -ENOMEM. */
MUST_CHECK int idmap_format(const struct idmap *map, struct buf *ret);

#endif
