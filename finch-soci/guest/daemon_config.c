/* SPDX-License-Identifier: Apache-2.0 */
/* daemon_config.c – the daemon's config.toml, and single keys of other people's TOML. */
#include "internal.h"

#include <errno.h>

#define FIRST_LINE "# Written by finch-soci. Change it and it is yours: it is not touched again.\n"
static const char own_text[] =
    FIRST_LINE "[pull_modes.soci_v1]\n"
               "enable = true # indexes that refer to an image, as `finch push` makes them\n";

/* ---- a key is set ---------------------------------------------------------------------------- */

struct line {
    size_t start, end; /* `end` is behind the newline */
};

static bool next(struct bytes text, struct line *line)
{
    const uint8_t *newline;

    line->start = line->end;
    if (line->start >= text.len)
        return false;
    newline = memchr(text.data + line->start, '\n', text.len - line->start);
    line->end = newline == NULL ? text.len : (size_t)(newline - text.data) + 1;
    return true;
}

/* Without spaces, quotes and comments, in lower case. */
static void plain_of(struct bytes text, const struct line *line, char *out, size_t size)
{
    size_t n = 0;

    for (size_t i = line->start; i < line->end && n + 1 < size && text.data[i] != '#'; i++) {
        char c = (char)text.data[i];

        if (strchr(" \t\r\n\"'", c) == NULL)
            out[n++] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    out[n] = '\0';
}

/* Where the key stands and where it would go. */
struct found {
    bool has_key, has_table, is_odd;
    struct line key;
    size_t table_end; /* behind the table's header; of the top: its start */
};

static bool is_key(const char *plain, const char *key)
{
    size_t len = strlen(key);

    return strncmp(plain, key, len) == 0 && plain[len] == '=';
}

/* The first part of a dotted name, as key of an inline table or a dotted key: we do not edit such.
 */
static bool is_odd(const char *plain, const char *table)
{
    size_t len = strcspn(table, ".");

    return len > 0 && strncmp(plain, table, len) == 0 && (plain[len] == '=' || plain[len] == '.');
}

static void find(struct bytes text, const char *table, const char *key, struct found *ret)
{
    struct line line = {.end = 0};
    char current[256] = "", plain[256] = "", header[256];

    (void)snprintf(header, sizeof(header), "[%s]", table);
    *ret = (struct found){.has_table = table[0] == '\0'};
    while (next(text, &line)) {
        plain_of(text, &line, plain, sizeof(plain));
        if (plain[0] == '[') {
            memcpy(current, plain, sizeof(current));
            if (strcmp(current, header) == 0) {
                ret->has_table = true;
                ret->table_end = line.end;
            }
        } else if (strcmp(current, table[0] == '\0' ? "" : header) == 0 && is_key(plain, key)) {
            ret->has_key = true;
            ret->key = line;
        } else if (current[0] == '\0' && is_odd(plain, table)) {
            ret->is_odd = true;
        }
    }
}

static int splice(struct bytes text, size_t from, size_t to, const char *put, struct buf *ret)
{
    int rc = buf_add(ret, text.data, from);

    if (rc == 0 && from > 0 && text.data[from - 1] != '\n')
        rc = buf_add_byte(ret, '\n');
    rc = rc == 0 ? buf_add_str(ret, put) : rc;
    return rc == 0 && to < text.len ? buf_add(ret, text.data + to, text.len - to) : rc;
}

int toml_set(struct bytes text, const char *table, const char *key, const char *value,
             struct buf *ret, struct err *err)
{
    SCOPED(mem) char *put = NULL;
    struct found found;
    int rc;

    find(text, table, key, &found);
    if (found.is_odd)
        return err_set(err, -EINVAL, "%s.%s cannot be set: it is written in one line with others",
                       table, key);
    put = found.has_table ? text_format("%s = %s\n", key, value)
                          : text_format("[%s]\n%s = %s\n", table, key, value);
    if (put == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    if (found.has_key)
        rc = splice(text, found.key.start, found.key.end, put, ret);
    else if (found.has_table)
        rc = splice(text, found.table_end, found.table_end, put, ret);
    else
        rc = splice(text, text.len, text.len, put, ret);
    return rc < 0 ? err_set(err, rc, "out of memory") : 0;
}

/* ---- the daemon's ---------------------------------------------------------------------------- */

int daemon_config_want(const struct guest_facts *facts, bool force, bool *ret_set, struct buf *ret,
                       struct err *err)
{
    struct bytes there = guest_text(facts, GUEST_DAEMON_CONFIG);
    const struct guest_file *file = guest_file(facts, GUEST_DAEMON_CONFIG);
    bool is_first = there.len >= sizeof(FIRST_LINE) - 1 &&
                    memcmp(there.data, FIRST_LINE, sizeof(FIRST_LINE) - 1) == 0;
    int rc;

    *ret_set = true;
    if (!guest_has(facts, GUEST_DAEMON_CONFIG) ||
        (is_first && guest_is_ours(facts, GUEST_DAEMON_CONFIG))) {
        rc = buf_add_str(ret, own_text);
        return rc < 0 ? err_set(err, rc, "out of memory") : 0;
    }
    *ret_set = force && file->is_whole;
    if (!*ret_set)
        return 0;
    rc = toml_set(there, "pull_modes.soci_v1", "enable", "true", ret, err);
    return rc < 0 ? err_prefix(err, rc, "%s", GUEST_DAEMON_CONFIG) : 0;
}
