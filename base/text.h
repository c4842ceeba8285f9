/* SPDX-License-Identifier: Apache-2.0 */
/* text.h – strings: strict numbers, hex, JSON escapes, lists of strings. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include "base/attr.h"
#include "base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A new string, NULL when out of memory; the caller frees. */
char *text_format(const char *fmt, ...) PRINTF_LIKE(1, 2);
char *text_copy(const char *s); /* NULL in, NULL out */

bool text_has_prefix(const char *s, const char *prefix);
bool text_has_suffix(const char *s, const char *suffix);
bool text_equal_nocase(const char *a, const char *b); /* ASCII */

/* The whole string is a decimal number in range: 0, else -EINVAL and *ret is untouched. No sign, no
 * space and no leading '+' is accepted; text_parse_i64 accepts one '-'. */
MUST_CHECK int text_parse_u64(const char *s, uint64_t *ret);
MUST_CHECK int text_parse_i64(const char *s, int64_t *ret);

/* 2·len lower-case digits and a NUL. */
void text_hex(struct bytes in, char *out);
/* Exactly 2·len lower-case digits at `hex`: 0, else -EINVAL. */
MUST_CHECK int text_unhex(const char *hex, uint8_t *out, size_t len);

/* Append `s` as a JSON string with its quotes. Bytes that are no UTF-8 become U+FFFD, as in Go's
 * encoder; with `html`, < > & are escaped as Go's encoder escapes them by default (U+2028/2029
 * always are). 0 or -ENOMEM. */
MUST_CHECK int text_add_json(struct buf *out, struct bytes s, bool html);

bool text_is_utf8(struct bytes s);

/* A list of strings that owns its strings; starts as TEXT_LIST_EMPTY. */
struct text_list {
    char **items;
    size_t count;
    size_t cap;
};
#define TEXT_LIST_EMPTY                                                                            \
    {                                                                                              \
        .items = NULL, .count = 0, .cap = 0                                                        \
    }
MUST_CHECK int text_list_add(struct text_list *list, const char *s); /* copies; 0 or -ENOMEM */
MUST_CHECK int text_list_split(struct text_list *list, const char *s,
                               char sep); /* adds each part, empty ones too */
bool text_list_has(const struct text_list *list, const char *s);
void text_list_fini(struct text_list *list);
DEFINE_SCOPED_VALUE(text_list, struct text_list, text_list_fini)

/* A small map of strings (labels, annotations), in the order of insertion; starts as
 * TEXT_MAP_EMPTY. */
struct text_pair {
    char *key;
    char *value;
};
struct text_map {
    struct text_pair *items;
    size_t count;
    size_t cap;
};
#define TEXT_MAP_EMPTY                                                                             \
    {                                                                                              \
        .items = NULL, .count = 0, .cap = 0                                                        \
    }
const char *text_map_get(const struct text_map *map,
                         const char *key); /* borrowed; NULL: no such key */
MUST_CHECK int text_map_set(struct text_map *map, const char *key,
                            const char *value); /* copies, replaces */
void text_map_remove(struct text_map *map, const char *key);
MUST_CHECK int text_map_copy(struct text_map *to,
                             const struct text_map *from); /* adds all of `from` */
void text_map_sort(struct text_map *map);                  /* by key, bytewise */
void text_map_fini(struct text_map *map);
DEFINE_SCOPED_VALUE(text_map, struct text_map, text_map_fini)

#endif
