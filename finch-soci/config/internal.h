/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h – what the files of config/ share: the text as an array of parse events, and edits as
 * splices. */
#ifndef CONFIG_INTERNAL_H
#define CONFIG_INTERNAL_H

#include "config/config.h"

#include <yaml.h>

/* ---- events.c -------------------------------------------------------------------------------- */

/* One event of libyaml's, with its place in bytes. Strings are the parser's, kept in `raw`. */
struct yaml_at {
    yaml_event_t raw;
    size_t start, end; /* byte offsets into the text */
    size_t partner;    /* of a start: its end; of an end: its start; else itself */
};

/* A text, parsed. Nodes are named by the index of their first event. */
struct yaml_text {
    struct bytes text; /* borrowed */
    struct yaml_at *items;
    size_t count;
};
void yaml_text_fini(struct yaml_text *yaml);
DEFINE_SCOPED_VALUE(yaml_text, struct yaml_text, yaml_text_fini)
MUST_CHECK int yaml_text_parse(struct bytes text, struct yaml_text *ret, struct err *err);

#define YAML_NONE SIZE_MAX

/* The first document's value: YAML_NONE when there is none, or it is null. */
size_t yaml_top(const struct yaml_text *yaml);
size_t yaml_next(const struct yaml_text *yaml, size_t node); /* behind it: a sibling or an end */
/* Where an alias leads; any other node itself. YAML_NONE: to no anchor before it. */
size_t yaml_resolve(const struct yaml_text *yaml, size_t node);
bool yaml_is(const struct yaml_text *yaml, size_t node, yaml_event_type_t type);
bool yaml_is_null(const struct yaml_text *yaml, size_t node);
/* Of a scalar, aliases followed; NULL: it is none, or holds a NUL byte. */
const char *yaml_scalar(const struct yaml_text *yaml, size_t node);
bool yaml_is_flow(const struct yaml_text *yaml, size_t collection);
/* A key of a mapping by its name: the key's node, its value is behind it. YAML_NONE: not there. */
size_t yaml_find_key(const struct yaml_text *yaml, size_t mapping, const char *name);
/* As that, and also in what merge keys bring in; `*ret_value` is the value's node. */
bool yaml_find_value(const struct yaml_text *yaml, size_t mapping, const char *name,
                     size_t *ret_value);
bool yaml_is_shared(const struct yaml_text *yaml, size_t node); /* its anchor has aliases */
unsigned yaml_line(const struct yaml_text *yaml, size_t node);  /* from 1 */

/* ---- read.c ---------------------------------------------------------------------------------- */

/* Refuses what Finch refuses of the top: no mapping, a key twice. *ret YAML_NONE: an empty
 * document. */
MUST_CHECK int finch_config_top(const struct yaml_text *yaml, size_t *ret, struct err *err);
/* A list of strings; null is an empty one. */
MUST_CHECK int finch_config_strings(const struct yaml_text *yaml, size_t value, const char *key,
                                    struct text_list *ret, struct err *err);

/* ---- splice.c -------------------------------------------------------------------------------- */

/* A text with pieces cut out and put in. Offsets are of the old text; splices do not overlap. */
struct splice {
    size_t at, cut; /* bytes */
    char *put;
};
struct splices {
    struct bytes text;
    struct splice *items; /* by `at`; those of one place in the order of their coming */
    size_t count;
    const char *line_end; /* of the text's first line */
    int rc;               /* remembers -ENOMEM */
};
#define SPLICES_OF(text_)                                                                          \
    {                                                                                              \
        .text = (text_), .items = NULL, .count = 0, .line_end = splice_line_end(text_), .rc = 0    \
    }
void splices_fini(struct splices *splices);
DEFINE_SCOPED_VALUE(splices, struct splices, splices_fini)
const char *splice_line_end(struct bytes text);
void splice_add(struct splices *s, size_t at, size_t cut, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* Whole lines, at the start of a line: `fmt` has no line end. One is added in front where the text
 * ends without. */
void splice_add_line(struct splices *s, size_t at, const char *indent, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
MUST_CHECK int splices_apply(const struct splices *s, struct buf *ret, struct err *err);

size_t splice_line_start(struct bytes text, size_t at); /* of the line that holds `at` */
size_t splice_line_after(struct bytes text, size_t at); /* behind its end */
/* What stands in front of `at` in its line when those are spaces alone: new, NULL: something else
 * does, or -ENOMEM. */
char *splice_indent(struct bytes text, size_t at);

/* ---- list.c ---------------------------------------------------------------------------------- */

/* Changes to the list `seq`, for which all items are scalars. */
void list_append(struct splices *s, const struct yaml_text *yaml, size_t seq);
void list_prepend(struct splices *s, const struct yaml_text *yaml, size_t seq);
/* Every item that is `soci`. -EINVAL: its line holds more than it. */
MUST_CHECK int list_remove(struct splices *s, const struct yaml_text *yaml, size_t seq,
                           struct err *err);

/* ---- verify.c -------------------------------------------------------------------------------- */

/* Does `after` mean what `before` means, but for the list of snapshotters, which is `wanted`? 0, or
 * -EINVAL. */
MUST_CHECK int finch_config_verify(const struct yaml_text *before, struct bytes after,
                                   const struct text_list *wanted, struct err *err);

#endif
