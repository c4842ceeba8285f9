/* SPDX-License-Identifier: Apache-2.0 */
/* address.h – from --address to a listening socket. */
#ifndef DAEMON_ADDRESS_H
#define DAEMON_ADDRESS_H

#include "base/attr.h"
#include "base/err.h"

/* The path that `address` names: itself, or what follows unix://. NULL: fd://, the socket that the
 * service manager passes. -EINVAL: neither. */
MUST_CHECK int address_parse(const char *address, const char **ret_path, struct err *err);

/* Listen there. The socket's directory is made (0700), a socket that nobody listens on is replaced.
 * fd:// with no socket passed means the default path. *ret_path is where a socket was made, a new
 * string; NULL: it was passed. -EBUSY: another daemon listens there; -EINVAL: more than one was
 * passed. */
MUST_CHECK int address_listen(const char *address, int *ret_fd, char **ret_path, struct err *err);

#endif
