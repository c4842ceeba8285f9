/* SPDX-License-Identifier: Apache-2.0 */
/* registry_config.c – registries as the configuration wants them asked. */
#include "daemon/registry_config.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <version.h>

/* A person waits for the answer. */
enum { HURRY_BUDGET_MS = 10000, HURRY_WAIT_MS = 2000 };

static unsigned retries(int64_t configured)
{
    return configured < 0 ? UINT_MAX : (unsigned)configured;
}

/* *ret is new, and what the options then point to. */
static int add_mirrors(const struct config *config, struct registry_options *options,
                       struct registry_mirror **ret)
{
    struct registry_mirror *list = calloc(config->mirror_count + 1, sizeof(*list));

    if (list == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < config->mirror_count; i++) {
        const struct config_mirror *mirror = &config->mirrors[i];

        if (mirror->url == NULL)
            continue;
        list[options->mirror_count++] =
            (struct registry_mirror){.host = mirror->of,
                                     .url = mirror->url,
                                     .insecure = mirror->insecure,
                                     .request_timeout_ms = mirror->request_timeout_s * 1000};
    }
    options->mirrors = list;
    *ret = list;
    return 0;
}

/* Who looks for an image's index and who unpacks its layers ask in the same minute. */
enum { KEEP_MANIFESTS_MS = 60000 };

/* No end where the file has less than 0, or more than a century. 0 is over at once. */
static int64_t ttl_ms(int64_t ttl_s)
{
    if (ttl_s < 0 || ttl_s > INT64_C(100) * 366 * 86400)
        return -1;
    return ttl_s == 0 ? 1 : ttl_s * 1000;
}

int config_open_registry(const struct config *config, bool in_a_hurry, struct registry **ret,
                         struct err *err)
{
    SCOPED(mem) struct registry_mirror *mirrors = NULL;
    struct registry_options options = {
        .user_agent = "soci-snapshotter/" SOCI_VERSION,
        .dial_timeout_ms = config->http.dial_timeout_ms,
        .response_timeout_ms = config->http.response_timeout_ms,
        .request_timeout_ms = config->http.request_timeout_ms,
        .max_retries = retries(config->http.max_retries),
        .min_wait_ms = config->http.min_wait_ms,
        .max_wait_ms = config->http.max_wait_ms,
        .blob_max_retries = retries(config->blob.max_retries),
        .blob_min_wait_ms = config->blob.min_wait_ms,
        .blob_max_wait_ms = config->blob.max_wait_ms,
        .blob_until_budget = !config_has_blob_retries(config),
        /* Who waits is gone after the mount's timeout, and the next one must not find a question
         * asleep that would be answered now. */
        .call_budget_ms = config->http.request_timeout_ms,
        .call_longest_wait_ms = config->mount_timeout_s * 1000 / 3,
        .credentials_ttl_ms = ttl_ms(config->auth_client_ttl_s),
        .keep_manifests_ms = in_a_hurry ? 0 : KEEP_MANIFESTS_MS,
        .http_loopback = true,
        .plain_http_hosts = &config->plain_http_hosts,
    };

    if (add_mirrors(config, &options, &mirrors) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    if (in_a_hurry) {
        options.max_retries = 1;
        options.call_budget_ms = HURRY_BUDGET_MS;
        options.call_longest_wait_ms = HURRY_WAIT_MS;
    }
    return registry_new(&options, ret, err);
}
