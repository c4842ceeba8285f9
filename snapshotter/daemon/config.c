/* SPDX-License-Identifier: Apache-2.0 */
/* config.c – the table of keys, and the values from a file into the struct. */
#include "daemon/config.h"

#include "base/files.h"
#include "base/log.h"
#include "daemon/config_toml.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { CONFIG_FILE_MAX_BYTES = 1024 * 1024 };
enum { CONFIG_PATH_BYTES = 256 };

#define MS_MAX INT64_C(86400000) /* a day */

enum config_type {
    CONFIG_BOOL,
    CONFIG_INTEGER, /* 0 in the file means the default, as in the reference */
};

/* One key. To add one: a line here, a field in struct config. */
struct config_key {
    const char *table; /* "" for the top */
    const char *name;
    enum config_type type;
    size_t offset;
    int64_t initial, min, max;
};

#define BOOL_KEY(table_, name_, field, initial_)                                                   \
    {                                                                                              \
        .table = (table_), .name = (name_), .type = CONFIG_BOOL,                                   \
        .offset = offsetof(struct config, field), .initial = (initial_), .max = 1                  \
    }
#define INTEGER_KEY(table_, name_, field, initial_, min_, max_)                                    \
    {                                                                                              \
        .table = (table_), .name = (name_), .type = CONFIG_INTEGER,                                \
        .offset = offsetof(struct config, field), .initial = (initial_), .min = (min_),            \
        .max = (max_)                                                                              \
    }

/* In the order in which they are printed: tables together, the top first. */
static const struct config_key keys[] = {
    /* A Prepare leaves its layer to containerd after so long. */
    INTEGER_KEY("", "mount_timeout_sec", mount_timeout_s, 30, 0, 86400),
    /* How a registry is talked to. */
    INTEGER_KEY("http", "DialTimeoutMsec", dial_timeout_ms, 3000, 0, MS_MAX),
    INTEGER_KEY("http", "ResponseHeaderTimeoutMsec", response_timeout_ms, 3000, 0, MS_MAX),
    INTEGER_KEY("http", "RequestTimeoutMsec", request_timeout_ms, 300000, 0, MS_MAX),
    INTEGER_KEY("http", "MaxRetries", max_retries, 8, -1, 1000),
    INTEGER_KEY("http", "MinWaitMsec", min_wait_ms, 30, 0, MS_MAX),
    INTEGER_KEY("http", "MaxWaitMsec", max_wait_ms, 300000, 0, MS_MAX),
    /* So long a read in a container waits for its bytes, whatever the network does: then EIO. */
    INTEGER_KEY("blob", "fetching_timeout_sec", fetching_timeout_s, 300, 0, 86400),
    /* Fetching what nobody has read yet. */
    BOOL_KEY("background_fetch", "disable", background_disabled, false),
    /* Indexes that refer to an image; on here, so that what `push` makes is used without further
       ado. */
    BOOL_KEY("pull_modes.soci_v1", "enable", v1_enabled, true),
    /* Indexes that an image names. */
    BOOL_KEY("pull_modes.soci_v2", "enable", v2_enabled, true),
    /* Layers that the client says are smaller are not mounted but unpacked. */
    INTEGER_KEY("snapshotter", "min_layer_size", min_layer_bytes, 0, INT64_MIN, INT64_MAX),
};

static void store(struct config *config, const struct config_key *key, int64_t value)
{
    char *at = (char *)config + key->offset;

    if (key->type == CONFIG_BOOL)
        *(bool *)at = value != 0;
    else
        *(int64_t *)(void *)at = value;
}

static int64_t load(const struct config *config, const struct config_key *key)
{
    const char *at = (const char *)config + key->offset;

    return key->type == CONFIG_BOOL ? *(const bool *)at : *(const int64_t *)(const void *)at;
}

struct config config_default(void)
{
    struct config config = {.plain_http_hosts = TEXT_LIST_EMPTY};

    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        store(&config, &keys[i], keys[i].initial);
    return config;
}

void config_fini(struct config *config)
{
    text_list_fini(&config->plain_http_hosts);
}

/* ---- reading --------------------------------------------------------------------------------- */

struct config_reader {
    struct config *config;
    size_t unknown;
};

/* The path as one would write it; cut when it is longer than any key of ours. */
static void join_path(const char *const *path, size_t depth, char out[CONFIG_PATH_BYTES])
{
    size_t len = 0;

    out[0] = '\0';
    for (size_t i = 0; i < depth && len < CONFIG_PATH_BYTES; i++)
        len += (size_t)snprintf(out + len, CONFIG_PATH_BYTES - len, "%s%s", i == 0 ? "" : ".",
                                path[i]);
}

/* Keys match in any case, as they do in the reference. */
static const struct config_key *find_key(const char *path)
{
    char name[CONFIG_PATH_BYTES];

    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        (void)snprintf(name, sizeof(name), "%s%s%s", keys[i].table,
                       keys[i].table[0] == '\0' ? "" : ".", keys[i].name);
        if (text_equal_nocase(name, path))
            return &keys[i];
    }
    return NULL;
}

static int read_key(struct config *config, const struct config_key *key, const char *path,
                    const struct toml_value *value, struct err *err)
{
    if (key->type == CONFIG_BOOL && value->kind != TOML_BOOL)
        return err_set(err, -EINVAL, "line %u: %s must be true or false", value->line, path);
    if (key->type == CONFIG_BOOL) {
        store(config, key, value->boolean);
        return 0;
    }
    if (value->kind != TOML_INTEGER)
        return err_set(err, -EINVAL, "line %u: %s must be a whole number", value->line, path);
    if (value->integer < key->min || value->integer > key->max)
        return err_set(err, -EINVAL, "line %u: %s must be between %" PRId64 " and %" PRId64,
                       value->line, path, key->min, key->max);
    store(config, key, value->integer == 0 ? key->initial : value->integer);
    return 0;
}

/* [[resolver.host."name".mirrors]] insecure = true: the registry `name` itself is spoken to in
 * plain HTTP. */
static bool is_mirror_insecure(const char *const *path, size_t depth)
{
    return depth == 6 && strcmp(path[0], "resolver") == 0 && strcmp(path[1], "host") == 0 &&
           strcmp(path[3], "mirrors") == 0 && strcmp(path[5], "insecure") == 0;
}

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
        return err_set(err, -EINVAL, "line %u: insecure must be true or false", value->line);
    if (!is_host_name(host))
        return err_set(err, -EINVAL, "line %u: resolver.host has a table for no host", value->line);
    if (!value->boolean || text_list_has(&config->plain_http_hosts, host))
        return 0;
    return text_list_add(&config->plain_http_hosts, host) < 0
               ? err_set(err, -ENOMEM, "out of memory")
               : 0;
}

static int on_value(void *self, const char *const *path, size_t depth,
                    const struct toml_value *value, struct err *err)
{
    struct config_reader *reader = self;
    char joined[CONFIG_PATH_BYTES];
    const struct config_key *key;

    if (is_mirror_insecure(path, depth))
        return read_insecure(reader->config, path[2], value, err);
    join_path(path, depth, joined);
    key = find_key(joined);
    if (key != NULL)
        return read_key(reader->config, key, joined, value, err);
    if (reader->unknown++ == 0)
        log_debug("configuration has keys that mean nothing here", "first=%s line=%u", joined,
                  value->line);
    return 0;
}

int config_parse(struct bytes text, struct config *config, struct err *err)
{
    struct config_reader reader = {.config = config};
    const struct toml_visitor visitor = {.value = on_value, .self = &reader};

    if (!text_is_utf8(text))
        return err_set(err, -EINVAL, "toml: not UTF-8");
    return toml_walk((const char *)text.data, text.len, &visitor, err);
}

int config_load(const char *path, bool may_be_missing, struct config *config, struct err *err)
{
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    int rc = file_read(path, CONFIG_FILE_MAX_BYTES, &text, err);

    if (rc == -ENOENT && may_be_missing)
        return 0;
    if (rc < 0)
        return err_prefix(err, rc, "failed to open config file \"%s\"", path);
    rc = config_parse(buf_bytes(&text), config, err);
    return rc < 0 ? err_prefix(err, rc, "failed to load config file \"%s\"", path) : 0;
}

/* ---- printing -------------------------------------------------------------------------------- */

static int print_key(const struct config *config, const struct config_key *key, struct buf *ret)
{
    int64_t value = load(config, key);

    if (key->type == CONFIG_BOOL)
        return buf_addf(ret, "%s = %s\n", key->name, value != 0 ? "true" : "false");
    return buf_addf(ret, "%s = %" PRId64 "\n", key->name, value);
}

static int print_hosts(const struct text_list *hosts, struct buf *ret)
{
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

int config_print(const struct config *config, struct buf *ret)
{
    const char *table = "";
    int rc = 0;

    for (size_t i = 0; i < ARRAY_LEN(keys) && rc == 0; i++) {
        if (strcmp(table, keys[i].table) != 0)
            rc = buf_addf(ret, "\n[%s]\n", keys[i].table);
        table = keys[i].table;
        if (rc == 0)
            rc = print_key(config, &keys[i], ret);
    }
    return rc == 0 ? print_hosts(&config->plain_http_hosts, ret) : rc;
}
