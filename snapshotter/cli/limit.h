/* SPDX-License-Identifier: Apache-2.0 */
/* limit.h – the end of --timeout for what asks a registry; containerd is told of it by itself. */
#ifndef CLI_LIMIT_H
#define CLI_LIMIT_H

#include "cli/cli.h"
#include "registry/registry.h"

struct cli_limit;
/* From the moment of globals->deadline_ms on every call to `registry` ends with -ECANCELED. Without
 * one, *ret is NULL. The registry outlives it. */
MUST_CHECK int cli_limit_start(const struct cli_globals *globals, struct registry *registry,
                               struct cli_limit **ret, struct err *err);
/* What `rc` is when the time was up: -ETIMEDOUT, and err says so; else itself. NULL is fine. */
MUST_CHECK int cli_limit_judge(const struct cli_limit *limit, int rc, struct err *err);
void cli_limit_stop(struct cli_limit *limit); /* NULL is fine */
DEFINE_SCOPED_PTR(cli_limit, struct cli_limit, cli_limit_stop)

#endif
