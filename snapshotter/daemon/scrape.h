/* SPDX-License-Identifier: Apache-2.0 */
/* scrape.h – metrics at the address that the configuration names. */
#ifndef DAEMON_SCRAPE_H
#define DAEMON_SCRAPE_H

#include "base/attr.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "daemon/config.h"
#include "lazy/lazy.h"
#include "metrics/metrics.h"

struct scrape;
/* *ret is NULL when no address is configured. Both are borrowed until scrape_stop(). An error's
 * text begins with key and line. */
MUST_CHECK int scrape_start(const struct config *config, struct metrics *metrics, struct lazy *lazy,
                            struct scrape **ret, struct err *err);
void scrape_stop(struct scrape *scrape); /* NULL is fine */
DEFINE_SCOPED_PTR(scrape, struct scrape, scrape_stop)

#endif
