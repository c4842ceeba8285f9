/* SPDX-License-Identifier: Apache-2.0 */
/* probe.h – `soci-snapshotter-grpc probe`: what this kernel can do, found out by doing it, in a
 * mount namespace of the process's own that ends with it. As JSON it is documented in
 * docs/doctor.md. */
#ifndef DAEMON_PROBE_H
#define DAEMON_PROBE_H

#include "base/attr.h"
#include "base/err.h"

#include <stdbool.h>

/* Prints to stdout. The exit code: 0 FUSE works, 3 it does not, 1 nothing could be tried. */
int probe_main(const char *root, bool json);

/* Each in a directory of its own that is there. 0 it works; else why it does not. */
MUST_CHECK int probe_fuse(const char *dir, struct err *err);
/* Does the kernel send again what was read and not answered (FUSE_NOTIFY_RESEND)? */
MUST_CHECK int probe_resend(const char *dir, struct err *err);
/* Is an EROFS image mounted from a plain file? Not from one on tmpfs, whatever the kernel. */
MUST_CHECK int probe_erofs_file(const char *dir, struct err *err);

#endif
