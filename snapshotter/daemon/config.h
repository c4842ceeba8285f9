/* SPDX-License-Identifier: Apache-2.0 */
/* config.h – config.toml as a struct. The keys are those of the SOCI snapshotter; docs of each
 * stand in the table in config.c. A key that is not known is ignored, so that one file serves
 * several versions. */
#ifndef DAEMON_CONFIG_H
#define DAEMON_CONFIG_H

#include "base/attr.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>

struct config {
    bool v1_enabled, v2_enabled;
    bool background_disabled;
    int64_t mount_timeout_s;
    int64_t min_layer_bytes;
    int64_t dial_timeout_ms, response_timeout_ms, request_timeout_ms;
    int64_t fetching_timeout_s;
    int64_t max_retries; /* negative: none */
    int64_t min_wait_ms, max_wait_ms;
    struct text_list plain_http_hosts; /* registries that a mirror entry calls insecure */
};

/* The defaults; nothing to release in them. */
struct config config_default(void);
void config_fini(struct config *config);
DEFINE_SCOPED_VALUE(config, struct config, config_fini)

/* What the text says, over what is in *config. -EINVAL: the text names key and line. */
MUST_CHECK int config_parse(struct bytes text, struct config *config, struct err *err);
/* The same from a file. A file that is not there is an error unless `may_be_missing`. */
MUST_CHECK int config_load(const char *path, bool may_be_missing, struct config *config,
                           struct err *err);
/* Append the configuration as TOML. 0 or -ENOMEM. */
MUST_CHECK int config_print(const struct config *config, struct buf *ret);

#endif
