/* SPDX-License-Identifier: Apache-2.0 */
/* address.h – from --address, and what the service manager passes, to listening sockets. */
#ifndef DAEMON_ADDRESS_H
#define DAEMON_ADDRESS_H

#include "base/attr.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"
#include "daemon/passed.h"

/* The path that `address` names: itself, or what follows unix://. NULL: fd://, the sockets that the
 * service manager passes. -EINVAL: neither. */
MUST_CHECK int address_parse(const char *address, const char **ret_path, struct err *err);

enum { ADDRESS_SOCKETS_MAX = 8 };
struct address_sockets {
    int fds[ADDRESS_SOCKETS_MAX]; /* -1: moved out */
    size_t count;
    char *made; /* path of the one that was made here; NULL: none was */
};
#define ADDRESS_SOCKETS_NONE                                                                       \
    {                                                                                              \
        .count = 0, .made = NULL                                                                   \
    }
/* Listen at `address`, and take all listening sockets out of `passed`: a unit's socket is served
 * whatever --address says, since clients were told of it. The address's socket is not made when one
 * was passed that is bound there. Its directory is made (0700), a socket that nobody listens on is
 * replaced. fd:// with no socket passed means the default path. *ret starts as
 * ADDRESS_SOCKETS_NONE. -EBUSY: another daemon listens there; -EINVAL: more were passed than can be
 * served. */
MUST_CHECK int address_listen(const char *address, struct passed *passed,
                              struct address_sockets *ret, struct err *err);
/* Does whoever connects to `path` come to one of them, which are all still here? */
bool address_is_served(const struct address_sockets *sockets, const char *path);
/* Add where each of them is bound to *ret; an abstract name begins with '@'. 0 or -ENOMEM. */
MUST_CHECK int address_names(const struct address_sockets *sockets, struct text_list *ret,
                             struct err *err);
/* Closes what was not moved out. The file of a socket stays. */
void address_sockets_fini(struct address_sockets *sockets);
DEFINE_SCOPED_VALUE(address_sockets, struct address_sockets, address_sockets_fini)

#endif
