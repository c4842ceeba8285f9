/* SPDX-License-Identifier: Apache-2.0 */
/* filter.h – containerd's filters: which snapshots a List wants.
 *
 *   filters   any of the strings matches; none, or an empty string: all
 *   string    selector {"," selector}          all of them match
 *   selector  field {"." field} [op value]     without op: is it there?
 *   field     letters, digits and _, or quoted: kind, name, parent, labels.<key>
 *   op        == != ~=
 *   value     up to the next comma or space, or quoted "…"; after ~= also /…/ and |…|
 *   quoted    with the escapes of a Go string
 *
 * Regular expressions are the system's extended ones, translated from Go's where they differ and
 * bounded, see filter_regex.c. */
#ifndef SNAPSHOT_FILTER_H
#define SNAPSHOT_FILTER_H

#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"
#include "store/store.h"

#include <regex.h>
#include <stdbool.h>

struct filter;
/* -EINVAL: it does not parse. */
MUST_CHECK int filter_parse(const struct text_list *filters, struct filter **ret, struct err *err);
void filter_free(struct filter *filter);
DEFINE_SCOPED_PTR(filter, struct filter, filter_free)

bool filter_matches(const struct filter *filter, const struct snapdb_row *row);
/* A label and value that every match has, for a look-up by index. false: there is no such.
 * Borrowed. */
bool filter_label(const struct filter *filter, const char **ret_key, const char **ret_value);

/* ---- for the files behind it ----------------------------------------------------------------- */

enum filter_token_kind {
    FILTER_END,
    FILTER_FIELD,
    FILTER_QUOTED,
    FILTER_SEPARATOR, /* one of , . */
    FILTER_OPERATOR,  /* a run of = ! ~ */
    FILTER_VALUE,
    FILTER_ILLEGAL,
};
struct filter_token {
    enum filter_token_kind kind;
    const char *start;
    size_t len;
};
struct filter_lexer {
    const char *pos;
    bool wants_value; /* an operator was the last thing read that is not a quoted string */
};
struct filter_token filter_lex(struct filter_lexer *lexer);
/* The string that `quoted`, quotes and all, stands for, appended to *out. -EINVAL, -ENOMEM. */
MUST_CHECK int filter_unquote(struct filter_token quoted, struct buf *out);

/* -EINVAL: no expression, or one that is out of bounds. */
MUST_CHECK int filter_regex_compile(const char *pattern, regex_t *ret, struct err *err);

#endif
