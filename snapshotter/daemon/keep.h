/* SPDX-License-Identifier: Apache-2.0 */
/* keep.h – layers that the daemon unpacks are kept in containerd's content store as they came, so
 * that the image can be pushed and saved from here.
 *
 * Keeping never fails a pull, nor holds it up for long: what cannot be kept in time is not, with
 * one line in the log for its image, and after a wait in vain nothing is tried for a minute. Any
 * thread. */
#ifndef DAEMON_KEEP_H
#define DAEMON_KEEP_H

#include "base/attr.h"
#include "base/err.h"
#include "local/local.h"

struct keep;
struct keep_options {
    const char *address; /* containerd's socket; lives as long as keep */
    int64_t patience_ms; /* so long a layer waits for containerd, and a second more for each 16 MiB
                            of it; 0: 10 s */
    int64_t pause_ms;    /* after a wait in vain; 0: a minute */
};
/* -EINVAL: the address makes no sense. Contacts nobody. */
MUST_CHECK int keep_new(const struct keep_options *options, struct keep **ret, struct err *err);
/* Whoever waits for containerd does not any more, and nothing is kept from now on. */
void keep_stop(struct keep *keep);
/* All that was begun has ended. NULL is fine. */
void keep_free(struct keep *keep);
/* Valid as long as keep. */
const struct local_keeper *keep_ops(const struct keep *keep);

#endif
