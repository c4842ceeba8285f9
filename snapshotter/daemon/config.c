/* SPDX-License-Identifier: Apache-2.0 */
/* config.c – the values of a file into the struct. */
#include "daemon/config.h"

#include "base/files.h"
#include "daemon/config_internal.h"

#include <errno.h>
#include <string.h>

enum { CONFIG_FILE_MAX_BYTES = 1024 * 1024 };
enum { NOTES_MAX = 20 }; /* nobody reads more in a line */

struct config config_default(void)
{
    struct config config = {
        .plain_http_hosts = TEXT_LIST_EMPTY,
        .strings = TEXT_LIST_EMPTY,
        .unused = TEXT_LIST_EMPTY,
        .unknown = TEXT_LIST_EMPTY,
    };

    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_keys[i];

        if (key->type == CONFIG_BOOL)
            *config_bool(&config, key) = key->initial != 0;
        else if (key->type == CONFIG_INTEGER)
            *config_integer(&config, key) = key->initial;
        else
            *config_text(&config, key) = key->initial_text;
    }
    return config;
}

void config_fini(struct config *config)
{
    config_hosts_fini(config);
    config_streams_fini(config);
    text_list_fini(&config->plain_http_hosts);
    text_list_fini(&config->strings);
    text_list_fini(&config->unused);
    text_list_fini(&config->unknown);
}

/* ---- paths ----------------------------------------------------------------------------------- */

void config_join(const char *const *path, size_t depth, char out[CONFIG_PATH_BYTES])
{
    size_t len = 0;

    out[0] = '\0';
    for (size_t i = 0; i < depth && len < CONFIG_PATH_BYTES; i++)
        len += (size_t)snprintf(out + len, CONFIG_PATH_BYTES - len, "%s%s", i == 0 ? "" : ".",
                                path[i]);
}

int config_note(struct text_list *list, const char *const *path, size_t depth,
                const struct toml_value *value)
{
    char joined[CONFIG_PATH_BYTES], note[CONFIG_PATH_BYTES + 32];

    if (list->count > NOTES_MAX)
        return 0;
    if (list->count == NOTES_MAX)
        return text_list_add(list, "and more");
    config_join(path, depth, joined);
    (void)snprintf(note, sizeof(note), "%s (line %u)", joined, value->line);
    return text_list_add(list, note);
}

/* Keys match in any case, as they do in the reference. */
static bool is_part(const char *part, size_t len, const char *name)
{
    char copy[CONFIG_PATH_BYTES];

    (void)snprintf(copy, sizeof(copy), "%.*s", (int)len, part);
    return text_equal_nocase(copy, name);
}

enum match { MATCH_NONE, MATCH_ABOVE, MATCH_EXACT, MATCH_BELOW };

/* Where `path` is, seen from what `dotted` names. */
static enum match match(const char *dotted, const char *const *path, size_t depth)
{
    for (size_t i = 0;; i++) {
        size_t len = strcspn(dotted, ".");

        if (i == depth)
            return MATCH_ABOVE;
        if (!is_part(dotted, len, path[i]))
            return MATCH_NONE;
        if (dotted[len] == '\0')
            return i + 1 == depth ? MATCH_EXACT : MATCH_BELOW;
        dotted += len + 1;
    }
}

/* ---- values ---------------------------------------------------------------------------------- */

static bool is_printable_ascii(const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        if (*c < ' ' || *c > '~')
            return false;
    }
    return true;
}

static int read_text(struct config *config, const struct config_key *key,
                     const struct toml_value *value, struct err *err)
{
    if (value->is_lossy || !is_printable_ascii(value->string))
        return err_set(err, -EINVAL, "toml: line %u: %s must be printable ASCII", value->line,
                       key->path);
    if (value->string[0] == '\0') {
        *config_text(config, key) = key->initial_text;
        return 0;
    }
    if (text_list_add(&config->strings, value->string) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    *config_text(config, key) = config->strings.items[config->strings.count - 1];
    return 0;
}

static int read_key(struct config *config, const struct config_key *key,
                    const struct toml_value *value, struct err *err)
{
    static const enum toml_kind kinds[] = {TOML_BOOL, TOML_INTEGER, TOML_STRING};
    static const char *const names[] = {"true or false", "a whole number", "a string"};

    if (value->kind != kinds[key->type])
        return err_set(err, -EINVAL, "toml: line %u: %s must be %s", value->line, key->path,
                       names[key->type]);
    config->lines[key - config_keys] = value->line;
    if (key->type == CONFIG_BOOL)
        *config_bool(config, key) = value->boolean;
    else if (key->type == CONFIG_INTEGER)
        *config_integer(config, key) = value->integer == 0 ? key->initial : value->integer;
    else
        return read_text(config, key, value, err);
    return 0;
}

/* Something that is no key: a table on the way to one, or unknown. */
static int read_other(struct config *config, bool is_above, const char *const *path, size_t depth,
                      const struct toml_value *value, struct err *err)
{
    char joined[CONFIG_PATH_BYTES];

    if (is_above && value->kind == TOML_TABLE)
        return 0;
    if (is_above) {
        config_join(path, depth, joined);
        return err_set(err, -EINVAL, "toml: line %u: %s must be a table", value->line, joined);
    }
    return config_note(&config->unknown, path, depth, value) < 0
               ? err_set(err, -ENOMEM, "out of memory")
               : TOML_SKIP;
}

/* Tables with names of the user's own. */
static const struct {
    const char *path;
    int (*value)(struct config *config, const char *const *path, size_t depth,
                 const struct toml_value *value, struct err *err);
} readers[] = {
    {"resolver.host", config_hosts_value},
    {"pull_modes.parallel_pull_unpack.decompress_streams", config_streams_value},
};

static int on_value(void *self, const char *const *path, size_t depth,
                    const struct toml_value *value, struct err *err)
{
    struct config *config = self;
    bool is_above = false;

    for (size_t i = 0; i < ARRAY_LEN(readers); i++) {
        enum match m = match(readers[i].path, path, depth);

        if (m == MATCH_EXACT || m == MATCH_BELOW) {
            int rc = readers[i].value(config, path, depth, value, err);

            return rc == TOML_SKIP ? read_other(config, false, path, depth, value, err) : rc;
        }
    }
    for (size_t i = 0; i < config_key_count; i++) {
        enum match m = match(config_keys[i].path, path, depth);

        if (m == MATCH_EXACT)
            return read_key(config, &config_keys[i], value, err);
        is_above = is_above || m == MATCH_ABOVE;
    }
    return read_other(config, is_above, path, depth, value, err);
}

int config_parse(struct bytes text, struct config *config, struct err *err)
{
    const struct toml_visitor visitor = {.value = on_value, .self = config};
    int rc;

    if (!text_is_utf8(text))
        return err_set(err, -EINVAL, "toml: not UTF-8");
    rc = toml_walk((const char *)text.data, text.len, &visitor, err);
    if (rc == 0)
        rc = config_hosts_finish(config, err);
    return rc < 0 ? rc : config_check(config, err);
}

bool config_has_blob_retries(const struct config *config)
{
    return config->blob.max_retries != 0 || config_line(config, "http.MaxRetries") != 0;
}

int config_load(const char *path, bool may_be_missing, struct config *config, struct err *err)
{
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    int rc = file_read_regular(path, CONFIG_FILE_MAX_BYTES, &text, err);

    if (rc == -ENOENT && may_be_missing)
        return 0;
    if (rc < 0)
        return err_prefix(err, rc, "failed to open config file \"%s\"", path);
    rc = config_parse(buf_bytes(&text), config, err);
    if (rc == -ERANGE)
        return err_prefix(err, rc, "config file at \"%s\": failed to parse config", path);
    return rc < 0 ? err_prefix(err, rc, "failed to load config file \"%s\"", path) : 0;
}
