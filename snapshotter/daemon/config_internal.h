/* SPDX-License-Identifier: Apache-2.0 */
/* config_internal.h – the table of keys, and who reads what is in no table. */
#ifndef DAEMON_CONFIG_INTERNAL_H
#define DAEMON_CONFIG_INTERNAL_H

#include "daemon/config.h"
#include "daemon/config_toml.h"

enum config_type { CONFIG_BOOL, CONFIG_INTEGER, CONFIG_TEXT };

enum config_use {
    CONFIG_USED,
    CONFIG_UNUSED, /* nothing here to govern: a warning when it is not the default */
    CONFIG_SILENT, /* the same, but not worth a word */
};

/* The only values of a text, and what is said around any other. */
struct config_choice {
    const char *values[3]; /* the last may be NULL */
    const char *before, *after;
};

/* One key. To add one: a line in config_keys.c, a field in struct config, a line in docs/config.md.
 */
struct config_key {
    const char *path; /* with its tables, "." between */
    enum config_type type;
    enum config_use use;
    size_t offset;
    int64_t initial, min, max;
    const char *initial_text;
    const struct config_choice *choice; /* NULL: any text */
};

extern const struct config_key config_keys[];
extern const size_t config_key_count;

static inline bool *config_bool(const struct config *config, const struct config_key *key)
{
    return (bool *)(uintptr_t)((const char *)config + key->offset);
}
static inline int64_t *config_integer(const struct config *config, const struct config_key *key)
{
    return (int64_t *)(uintptr_t)((const char *)config + key->offset);
}
static inline const char **config_text(const struct config *config, const struct config_key *key)
{
    return (const char **)(uintptr_t)((const char *)config + key->offset);
}
bool config_is_initial(const struct config *config, const struct config_key *key);
/* Where it was set; 0: it was not. */
unsigned config_line(const struct config *config, const char *path);

/* The path as one would write it, cut when it is longer than any key of ours. */
enum { CONFIG_PATH_BYTES = 256 };
void config_join(const char *const *path, size_t depth, char out[CONFIG_PATH_BYTES]);
/* Add "path (line n)" to a list, which has an end. 0 or -ENOMEM. */
MUST_CHECK int config_note(struct text_list *list, const char *const *path, size_t depth,
                           const struct toml_value *value);

/* Values of the right type that make no sense: -ERANGE, the text begins with the line. */
MUST_CHECK int config_check(const struct config *config, struct err *err);

/* Tables whose names are the user's own, each in a file. Called for every value from resolver.host
 * or …decompress_streams down. 0; TOML_SKIP: not known, to be reported as such; <0. */
MUST_CHECK int config_hosts_value(struct config *config, const char *const *path, size_t depth,
                                  const struct toml_value *value, struct err *err);
/* After the last value: plain_http_hosts. 0 or -ENOMEM. */
MUST_CHECK int config_hosts_finish(struct config *config, struct err *err);
MUST_CHECK int config_hosts_print(const struct config *config, struct buf *ret);
void config_hosts_fini(struct config *config);
MUST_CHECK int config_streams_value(struct config *config, const char *const *path, size_t depth,
                                    const struct toml_value *value, struct err *err);
MUST_CHECK int config_streams_check(const struct config *config, struct err *err);
MUST_CHECK int config_streams_print(const struct config *config, struct buf *ret);
void config_streams_fini(struct config *config);

#endif
