/* SPDX-License-Identifier: Apache-2.0 */
/* signals.h – SIGTERM and SIGINT as a call on a thread of ours, where anything may be done. */
#ifndef DAEMON_SIGNALS_H
#define DAEMON_SIGNALS_H

#include "base/attr.h"
#include "base/cleanup.h"
#include "base/err.h"

/* In main(), before there are threads: SIGTERM and SIGINT wait until signals_start(), SIGPIPE is
 * ignored. */
void signals_hold(void);

struct signals;
/* From now on the first SIGTERM or SIGINT gives one call of on_signal(). The second ends the
 * process at once: whoever sends it is tired of waiting. */
MUST_CHECK int signals_start(void (*on_signal)(void *self, int number), void *self,
                             struct signals **ret, struct err *err);
/* The signal that came, 0: none yet. */
int signals_received(const struct signals *signals);
/* No call follows. NULL is fine. */
void signals_stop(struct signals *signals);
DEFINE_SCOPED_PTR(signals, struct signals, signals_stop)

#endif
