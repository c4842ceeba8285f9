/* SPDX-License-Identifier: Apache-2.0 */
/* config_hosts.c – [[resolver.host."name".mirrors]]: how single registries are reached. */
#include "daemon/config_internal.h"

#include <errno.h>
#include <string.h>

/* resolver.host.<name>.mirrors.<n>.<key> */
enum { HOST_DEPTH = 3, MIRRORS_DEPTH = 4, MIRROR_DEPTH = 5, MIRROR_KEY_DEPTH = 6 };

/* As far as a name from a file must be checked before it is compared with others: printable ASCII.
 */
static bool is_host_name(const char *host)
{
    for (const char *c = host; *c != '\0'; c++) {
        if (*c <= ' ' || *c > '~')
            return false;
    }
    return host[0] != '\0';
}

static int read_insecure(struct config *config, const char *host, const struct toml_value *value,
                         struct err *err)
{
    if (value->kind != TOML_BOOL)
        return err_set(err, -EINVAL, "toml: line %u: insecure must be true or false", value->line);
    if (!is_host_name(host))
        return err_set(err, -EINVAL, "toml: line %u: resolver.host has a table for no host",
                       value->line);
    if (!value->boolean || text_list_has(&config->plain_http_hosts, host))
        return 0;
    return text_list_add(&config->plain_http_hosts, host) < 0
               ? err_set(err, -ENOMEM, "out of memory")
               : 0;
}

static int read_mirror(struct config *config, const char *const *path, size_t depth,
                       const struct toml_value *value, struct err *err)
{
    const char *key = path[MIRROR_KEY_DEPTH - 1];

    if (text_equal_nocase(key, "insecure"))
        return read_insecure(config, path[HOST_DEPTH - 1], value, err);
    if (text_equal_nocase(key, "host") && value->kind != TOML_STRING)
        return err_set(err, -EINVAL, "toml: line %u: host must be a string", value->line);
    if (text_equal_nocase(key, "request_timeout_sec") && value->kind != TOML_INTEGER)
        return err_set(err, -EINVAL, "toml: line %u: request_timeout_sec must be a whole number",
                       value->line);
    if (!text_equal_nocase(key, "host") && !text_equal_nocase(key, "request_timeout_sec"))
        return TOML_SKIP;
    return config_note(&config->unused, path, depth, value) < 0
               ? err_set(err, -ENOMEM, "out of memory")
               : 0;
}

int config_hosts_value(struct config *config, const char *const *path, size_t depth,
                       const struct toml_value *value, struct err *err)
{
    bool is_list = depth == MIRRORS_DEPTH;

    if (depth >= MIRRORS_DEPTH && !text_equal_nocase(path[MIRRORS_DEPTH - 1], "mirrors"))
        return TOML_SKIP;
    if (depth >= MIRROR_KEY_DEPTH)
        return depth > MIRROR_KEY_DEPTH ? TOML_SKIP : read_mirror(config, path, depth, value, err);
    if (value->kind != (is_list ? TOML_ARRAY : TOML_TABLE))
        return err_set(err, -EINVAL, "toml: line %u: %s must be %s", value->line,
                       depth == MIRROR_DEPTH ? "a mirror" : path[depth - 1],
                       is_list ? "an array of tables" : "a table");
    return 0;
}

int config_hosts_print(const struct config *config, struct buf *ret)
{
    const struct text_list *hosts = &config->plain_http_hosts;
    int rc = 0;

    for (size_t i = 0; i < hosts->count && rc == 0; i++) {
        rc = buf_add_str(ret, "\n[[resolver.host.");
        if (rc == 0)
            rc = text_add_json(ret, bytes_of_str(hosts->items[i]),
                               false); /* TOML's strings escape alike */
        if (rc == 0)
            rc = buf_add_str(ret, ".mirrors]]\ninsecure = true\n");
    }
    return rc;
}
