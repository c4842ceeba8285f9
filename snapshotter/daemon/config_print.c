/* SPDX-License-Identifier: Apache-2.0 */
/* config_print.c – the configuration as TOML that reads back to the same. */
#include "daemon/config_internal.h"

#include <inttypes.h>
#include <string.h>

static int print_value(const struct config *config, const struct config_key *key, struct buf *ret)
{
    switch (key->type) {
    case CONFIG_BOOL:
        return buf_add_str(ret, *config_bool(config, key) ? "true" : "false");
    case CONFIG_INTEGER:
        return buf_addf(ret, "%" PRId64, *config_integer(config, key));
    case CONFIG_TEXT:
        break;
    }
    /* Printable ASCII, of which JSON and TOML escape the same. */
    return text_add_json(ret, bytes_of_str(*config_text(config, key)), false);
}

/* The part of a key's path that names its table. */
static size_t table_len(const char *path)
{
    const char *dot = strrchr(path, '.');

    return dot == NULL ? 0 : (size_t)(dot - path);
}

static int print_key(const struct config *config, const struct config_key *key, struct buf *ret)
{
    size_t table = table_len(key->path);
    int rc = buf_addf(ret, "%s = ", key->path + (table == 0 ? 0 : table + 1));

    if (rc == 0)
        rc = print_value(config, key, ret);
    return rc < 0 ? rc : buf_add_str(ret, "\n");
}

int config_print(const struct config *config, struct buf *ret)
{
    const char *last = "";
    int rc = 0;

    for (size_t i = 0; i < config_key_count && rc == 0; i++) {
        const char *path = config_keys[i].path;
        size_t len = table_len(path);

        if (len != table_len(last) || strncmp(last, path, len) != 0)
            rc = buf_addf(ret, "\n[%.*s]\n", (int)len, path);
        last = path;
        if (rc == 0)
            rc = print_key(config, &config_keys[i], ret);
    }
    if (rc == 0)
        rc = config_streams_print(config, ret);
    return rc < 0 ? rc : config_hosts_print(config, ret);
}
