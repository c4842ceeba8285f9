/* SPDX-License-Identifier: Apache-2.0 */
/* registry_config.h – registries as the configuration wants them asked: timeouts, retries, mirrors,
 * plain HTTP. */
#ifndef DAEMON_REGISTRY_CONFIG_H
#define DAEMON_REGISTRY_CONFIG_H

#include "daemon/config.h"
#include "registry/registry.h"

/* `config` outlives the registry. `in_a_hurry`: for a person who waits, an answer within ten
 * seconds or none. */
MUST_CHECK int config_open_registry(const struct config *config, bool in_a_hurry,
                                    struct registry **ret, struct err *err);

#endif
