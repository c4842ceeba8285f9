/* SPDX-License-Identifier: Apache-2.0 */
/* text.c – strings, lists and maps of strings. */
#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *text_format(const char *fmt, ...)
{
    va_list args, again;
    char *out = NULL;
    int need;

    va_start(args, fmt);
    va_copy(again, args);
    need = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (need >= 0)
        out = malloc((size_t)need + 1);
    if (out != NULL)
        (void)vsnprintf(out, (size_t)need + 1, fmt, again);
    va_end(again);
    return out;
}

char *text_copy(const char *s)
{
    return s == NULL ? NULL : strdup(s);
}

bool text_has_prefix(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool text_has_suffix(const char *s, const char *suffix)
{
    size_t len = strlen(s), suffix_len = strlen(suffix);

    return len >= suffix_len && strcmp(s + len - suffix_len, suffix) == 0;
}

static char lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

bool text_equal_nocase(const char *a, const char *b)
{
    while (*a != '\0' && lower(*a) == lower(*b)) {
        a++;
        b++;
    }
    return *a == '\0' && *b == '\0';
}

int text_parse_u64(const char *s, uint64_t *ret)
{
    uint64_t value = 0;

    if (*s == '\0')
        return -EINVAL;
    for (; *s != '\0'; s++) {
        if (*s < '0' || *s > '9' || __builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*s - '0'), &value))
            return -EINVAL;
    }
    *ret = value;
    return 0;
}

int text_parse_i64(const char *s, int64_t *ret)
{
    bool negative = *s == '-';
    uint64_t value;

    if (text_parse_u64(negative ? s + 1 : s, &value) < 0)
        return -EINVAL;
    if (value > (uint64_t)INT64_MAX + (negative ? 1 : 0))
        return -EINVAL;
    *ret = negative ? (int64_t)(0 - value) : (int64_t)value;
    return 0;
}

void text_hex(struct bytes in, char *out)
{
    static const char digits[] = "0123456789abcdef";
    size_t i;

    for (i = 0; i < in.len; i++) {
        *out++ = digits[in.data[i] >> 4];
        *out++ = digits[in.data[i] & 15];
    }
    *out = '\0';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int text_unhex(const char *hex, uint8_t *out, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++) {
        int high = hex_value(hex[2 * i]);
        int low = high < 0 ? -1 : hex_value(hex[2 * i + 1]);
        if (low < 0)
            return -EINVAL;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return 0;
}

/* Length of the UTF-8 sequence at s (1 to 4), 0 when it is none. Rejects overlong forms, surrogates
 * and anything past U+10FFFF, as Go's decoder does. */
static size_t utf8_len(const uint8_t *s, size_t left)
{
    uint8_t c = s[0];
    uint8_t low = 0x80, high = 0xbf;
    size_t len, i;

    if (c < 0x80)
        return 1;
    if (c < 0xc2 || c > 0xf4)
        return 0;
    len = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    if (len > left)
        return 0;
    if (c == 0xe0)
        low = 0xa0;
    else if (c == 0xed)
        high = 0x9f;
    else if (c == 0xf0)
        low = 0x90;
    else if (c == 0xf4)
        high = 0x8f;
    if (s[1] < low || s[1] > high)
        return 0;
    for (i = 2; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    }
    return len;
}

bool text_is_utf8(struct bytes s)
{
    size_t pos = 0;

    while (pos < s.len) {
        size_t len = utf8_len(s.data + pos, s.len - pos);
        if (len == 0)
            return false;
        pos += len;
    }
    return true;
}

static int add_json_ascii(struct buf *out, uint8_t c, bool html)
{
    switch (c) {
    case '"':
        return buf_add_str(out, "\\\"");
    case '\\':
        return buf_add_str(out, "\\\\");
    case '\b':
        return buf_add_str(out, "\\b");
    case '\f':
        return buf_add_str(out, "\\f");
    case '\n':
        return buf_add_str(out, "\\n");
    case '\r':
        return buf_add_str(out, "\\r");
    case '\t':
        return buf_add_str(out, "\\t");
    default:
        if (c < 0x20 || (html && (c == '<' || c == '>' || c == '&')))
            return buf_addf(out, "\\u%04x", c);
        return buf_add_byte(out, c);
    }
}

static bool is_line_separator(const uint8_t *s, size_t len)
{
    return len == 3 && s[0] == 0xe2 && s[1] == 0x80 && (s[2] == 0xa8 || s[2] == 0xa9);
}

int text_add_json(struct buf *out, struct bytes s, bool html)
{
    size_t pos = 0;
    int rc = buf_add_byte(out, '"');

    while (rc == 0 && pos < s.len) {
        const uint8_t *at = s.data + pos;
        size_t len = utf8_len(at, s.len - pos);

        if (len == 0)
            rc = buf_add_str(out, "\\ufffd");
        else if (len == 1)
            rc = add_json_ascii(out, *at, html);
        else if (is_line_separator(at, len))
            rc = buf_addf(out, "\\u%04x", 0x2000u | (at[2] & 0x3fu));
        else
            rc = buf_add(out, at, len);
        pos += len == 0 ? 1 : len;
    }
    return rc == 0 ? buf_add_byte(out, '"') : rc;
}

/* Room for one more item in an array that doubles. */
static int grow(void **items, size_t *cap, size_t count, size_t item_bytes)
{
    size_t want = *cap == 0 ? 8 : *cap * 2;
    size_t total;
    void *bigger;

    if (count < *cap)
        return 0;
    if (__builtin_mul_overflow(want, item_bytes, &total))
        return -ENOMEM;
    bigger = realloc(*items, total);
    if (bigger == NULL)
        return -ENOMEM;
    *items = bigger;
    *cap = want;
    return 0;
}

static int list_add_taken(struct text_list *list, char *s)
{
    void *items = list->items;
    int rc = s == NULL ? -ENOMEM : grow(&items, &list->cap, list->count, sizeof(*list->items));

    if (rc < 0) {
        free(s);
        return rc;
    }
    list->items = items;
    list->items[list->count++] = s;
    return 0;
}

int text_list_add(struct text_list *list, const char *s)
{
    return list_add_taken(list, strdup(s));
}

/* Up to `len` bytes of it. */
static char *copy_part(const char *s, size_t len)
{
    char *part = malloc(len + 1);

    if (part != NULL) {
        memcpy(part, s, len);
        part[len] = '\0';
    }
    return part;
}

int text_list_split(struct text_list *list, const char *s, char sep)
{
    for (;;) {
        const char *end = strchr(s, sep);
        int rc = list_add_taken(list, copy_part(s, end == NULL ? strlen(s) : (size_t)(end - s)));

        if (rc < 0 || end == NULL)
            return rc;
        s = end + 1;
    }
}

bool text_list_has(const struct text_list *list, const char *s)
{
    size_t i;

    for (i = 0; i < list->count; i++) {
        if (strcmp(list->items[i], s) == 0)
            return true;
    }
    return false;
}

void text_list_fini(struct text_list *list)
{
    size_t i;

    for (i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct text_list)TEXT_LIST_EMPTY;
}

static struct text_pair *map_find(const struct text_map *map, const char *key)
{
    size_t i;

    for (i = 0; i < map->count; i++) {
        if (strcmp(map->items[i].key, key) == 0)
            return &map->items[i];
    }
    return NULL;
}

const char *text_map_get(const struct text_map *map, const char *key)
{
    const struct text_pair *pair = map_find(map, key);
    return pair == NULL ? NULL : pair->value;
}

int text_map_set(struct text_map *map, const char *key, const char *value)
{
    struct text_pair *pair = map_find(map, key);
    SCOPED(mem) char *new_value = strdup(value);
    SCOPED(mem) char *new_key = NULL;
    void *items = map->items;
    int rc;

    if (new_value == NULL)
        return -ENOMEM;
    if (pair != NULL) {
        free(pair->value);
        pair->value = TAKE(new_value);
        return 0;
    }
    new_key = strdup(key);
    if (new_key == NULL)
        return -ENOMEM;
    rc = grow(&items, &map->cap, map->count, sizeof(*map->items));
    if (rc < 0)
        return rc;
    map->items = items;
    map->items[map->count++] = (struct text_pair){.key = TAKE(new_key), .value = TAKE(new_value)};
    return 0;
}

void text_map_remove(struct text_map *map, const char *key)
{
    struct text_pair *pair = map_find(map, key);
    size_t index;

    if (pair == NULL)
        return;
    free(pair->key);
    free(pair->value);
    index = (size_t)(pair - map->items);
    memmove(pair, pair + 1, (map->count - index - 1) * sizeof(*pair));
    map->count--;
}

int text_map_copy(struct text_map *to, const struct text_map *from)
{
    size_t i;

    for (i = 0; i < from->count; i++) {
        int rc = text_map_set(to, from->items[i].key, from->items[i].value);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(((const struct text_pair *)a)->key, ((const struct text_pair *)b)->key);
}

void text_map_sort(struct text_map *map)
{
    if (map->count > 1)
        qsort(map->items, map->count, sizeof(*map->items), compare_keys);
}

void text_map_fini(struct text_map *map)
{
    size_t i;

    for (i = 0; i < map->count; i++) {
        free(map->items[i].key);
        free(map->items[i].value);
    }
    free(map->items);
    *map = (struct text_map)TEXT_MAP_EMPTY;
}
