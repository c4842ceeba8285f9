/* SPDX-License-Identifier: Apache-2.0 */
/* service.h – the parts of the daemon, put together. */
#ifndef DAEMON_SERVICE_H
#define DAEMON_SERVICE_H

#include "base/attr.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "daemon/config.h"
#include "daemon/options.h"
#include "daemon/passed.h"

#include <stdbool.h>

struct service;
/* Build everything from the disk upwards, mount again what was mounted, listen on options->address
 * and on the sockets in `passed`, which are moved out. Needs no network. -EBUSY: another daemon has
 * the root or the socket. The error's text begins with what failed. */
MUST_CHECK int service_start(const struct options *options, const struct config *config,
                             struct passed *passed, struct service **ret, struct err *err);
/* Serve until service_stop(); then calls under way get a few seconds. */
MUST_CHECK int service_run(struct service *service, struct err *err);
/* Any thread, and safe in a signal handler. */
void service_stop(struct service *service);
/* After service_run(). Sync what is kept and take everything down. Mounts stay for the next daemon;
 * those that no container uses are taken away when `unmount`. NULL is fine. */
void service_free(struct service *service, bool unmount);

#endif
