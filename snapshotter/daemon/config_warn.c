/* SPDX-License-Identifier: Apache-2.0 */
/* config_warn.c – what a file asks for and does not get. */
#include "daemon/config_internal.h"

#include "base/log.h"

#include <string.h>

static int add(struct buf *ret, const char *text)
{
    int rc = ret->len > 0 ? buf_add_str(ret, ", ") : 0;

    return rc < 0 ? rc : buf_add_str(ret, text);
}

static int add_all(struct buf *ret, const struct text_list *list)
{
    int rc = 0;

    for (size_t i = 0; i < list->count && rc == 0; i++)
        rc = add(ret, list->items[i]);
    return rc;
}

int config_list_unused(const struct config *config, struct buf *ret)
{
    int rc = 0;

    for (size_t i = 0; i < config_key_count && rc == 0; i++) {
        const struct config_key *key = &config_keys[i];

        if (key->use != CONFIG_UNUSED || config->lines[i] == 0 || config_is_initial(config, key))
            continue;
        rc = add(ret, key->path);
        if (rc == 0)
            rc = buf_addf(ret, " (line %u)", config->lines[i]);
    }
    return rc < 0 ? rc : add_all(ret, &config->unused);
}

int config_list_unknown(const struct config *config, struct buf *ret)
{
    return add_all(ret, &config->unknown);
}

/* The file says, and does not only leave it at the default, that layers are to be kept. */
static void warn_of_layers(const struct config *config)
{
    static const char key[] = "pull_modes.parallel_pull_unpack.discard_unpacked_layers";
    const struct config_parallel *parallel = &config->parallel;
    unsigned line = config_line(config, key);

    if (line != 0 && !parallel->discard_unpacked_layers && !config_keeps_layers(config) &&
        (parallel->enable || parallel->as_fallback))
        log_warn("layers that are unpacked are not kept: only a content_store of type containerd "
                 "can take them",
                 "key=%s line=%u", key, line);
}

void config_warn(const struct config *config)
{
    SCOPED(buf_value) struct buf unused = BUF_EMPTY;
    SCOPED(buf_value) struct buf unknown = BUF_EMPTY;

    if (config_list_unused(config, &unused) < 0 || config_list_unknown(config, &unknown) < 0)
        log_warn("configuration was not looked through for keys without meaning",
                 "err=out of memory");
    if (unused.len > 0)
        log_warn("configuration has keys that have no meaning here", "keys=%s", buf_str(&unused));
    if (unknown.len > 0)
        log_warn("configuration has keys that are not known", "keys=%s", buf_str(&unknown));
    if (strcmp(config->content_store_type, "containerd") == 0)
        log_warn("indexes and ztocs are kept in the daemon's own store all the same",
                 "key=content_store.type line=%u", config_line(config, "content_store.type"));
    warn_of_layers(config);
}
