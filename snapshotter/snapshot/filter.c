/* SPDX-License-Identifier: Apache-2.0 */
/* filter.c – parsing filters, and asking whether a snapshot matches. */
#include "snapshot/filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum op { OP_PRESENT, OP_EQUAL, OP_NOT_EQUAL, OP_MATCHES };

struct selector {
    char *field; /* the first part of the path */
    char *rest;  /* the other parts, with dots between: a label's key */
    enum op op;
    char *value;
    regex_t regex; /* set when op is OP_MATCHES */
    struct selector *next;
};

/* The selectors of one string. */
struct alternative {
    struct selector *selectors;
    struct alternative *next;
};

struct filter {
    struct alternative *alternatives;
    bool matches_all;
};

static void selector_free(struct selector *selector)
{
    if (selector->op == OP_MATCHES)
        regfree(&selector->regex);
    free(selector->field);
    free(selector->rest);
    free(selector->value);
    free(selector);
}
DEFINE_SCOPED_PTR(selector, struct selector, selector_free)

void filter_free(struct filter *filter)
{
    while (filter->alternatives != NULL) {
        struct alternative *alternative = filter->alternatives;
        filter->alternatives = alternative->next;
        while (alternative->selectors != NULL) {
            struct selector *selector = alternative->selectors;
            alternative->selectors = selector->next;
            selector_free(selector);
        }
        free(alternative);
    }
    free(filter);
}

/* ---- parsing --------------------------------------------------------------------------------- */

struct parser {
    const char *input;
    struct filter_lexer lexer;
    struct err *err;
};

static int refuse(const struct parser *p, const char *at, const char *what)
{
    return err_set(p->err, -EINVAL, "filter %s: %s at byte %zu", p->input, what,
                   (size_t)(at - p->input));
}

static int no_memory(const struct parser *p)
{
    return err_set(p->err, -ENOMEM, "filter: out of memory");
}

/* The text of a word, appended to *out. */
static int add_text(const struct parser *p, struct filter_token token, struct buf *out)
{
    int rc = token.kind == FILTER_QUOTED ? filter_unquote(token, out)
                                         : buf_add(out, token.start, token.len);

    if (rc == -EINVAL)
        return refuse(p, token.start, "bad escape in a quoted string");
    return rc < 0 ? no_memory(p) : 0;
}

static int parse_field(struct parser *p, struct buf *out)
{
    struct filter_token token = filter_lex(&p->lexer);

    if (token.kind == FILTER_QUOTED && *token.start != '"')
        return refuse(p, token.start, "this quote is for regular expressions only");
    if (token.kind != FILTER_FIELD && token.kind != FILTER_QUOTED)
        return refuse(p, token.start, "a field name is expected");
    return add_text(p, token, out);
}

static int parse_path(struct parser *p, struct selector *selector)
{
    SCOPED(buf_value) struct buf field = BUF_EMPTY, rest = BUF_EMPTY;
    int rc = parse_field(p, &field);

    while (rc == 0 && *p->lexer.pos == '.') {
        (void)filter_lex(&p->lexer);
        if (rest.len > 0 && buf_add_byte(&rest, '.') < 0)
            return no_memory(p);
        rc = parse_field(p, &rest);
    }
    if (rc < 0)
        return rc;
    if (buf_str(&field) == NULL || buf_str(&rest) == NULL)
        return no_memory(p);
    selector->field = (char *)TAKE(field.data);
    selector->rest = (char *)TAKE(rest.data);
    return 0;
}

static int parse_operator(struct parser *p, enum op *ret)
{
    struct filter_token token = filter_lex(&p->lexer);

    if (token.kind == FILTER_OPERATOR && token.len == 2 && token.start[1] == '=') {
        *ret = *token.start == '=' ? OP_EQUAL : *token.start == '!' ? OP_NOT_EQUAL : OP_MATCHES;
        return 0;
    }
    return refuse(p, token.start, "one of == != ~= is expected");
}

static int parse_value(struct parser *p, enum op op, struct selector *selector)
{
    SCOPED(buf_value) struct buf value = BUF_EMPTY;
    struct filter_token token = filter_lex(&p->lexer);
    int rc;

    if (token.kind != FILTER_VALUE && token.kind != FILTER_QUOTED)
        return refuse(p, token.start, "a value is expected");
    if (token.kind == FILTER_QUOTED && *token.start != '"' && op != OP_MATCHES)
        return refuse(p, token.start, "this quote is for regular expressions only");
    rc = add_text(p, token, &value);
    if (rc < 0)
        return rc;
    if (buf_str(&value) == NULL)
        return no_memory(p);
    selector->value = (char *)TAKE(value.data);
    if (op == OP_MATCHES) {
        rc = filter_regex_compile(selector->value, &selector->regex, p->err);
        if (rc < 0)
            return err_prefix(p->err, rc, "filter %s", p->input);
    }
    selector->op = op; /* from now on selector_free() releases the regex too */
    return 0;
}

static int parse_selector(struct parser *p, struct selector **ret)
{
    SCOPED(selector) struct selector *selector = calloc(1, sizeof(*selector));
    enum op op = OP_PRESENT;
    int rc;

    if (selector == NULL)
        return no_memory(p);
    rc = parse_path(p, selector);
    if (rc == 0 && *p->lexer.pos != ',' && *p->lexer.pos != '\0') {
        rc = parse_operator(p, &op);
        if (rc == 0)
            rc = parse_value(p, op, selector);
    }
    if (rc == 0)
        *ret = TAKE(selector);
    return rc;
}

/* No spaces are taken behind a value, as in containerd. */
static int parse_selectors(struct parser *p, struct alternative *alternative)
{
    struct selector **tail = &alternative->selectors;

    for (;;) {
        struct selector *selector = NULL;
        int rc = parse_selector(p, &selector);

        if (rc < 0 || selector == NULL)
            return rc;
        *tail = selector;
        tail = &selector->next;
        if (*p->lexer.pos == '\0')
            return 0;
        if (*p->lexer.pos != ',')
            return refuse(p, p->lexer.pos, "a comma is expected");
        (void)filter_lex(&p->lexer);
    }
}

int filter_parse(const struct text_list *filters, struct filter **ret, struct err *err)
{
    SCOPED(filter) struct filter *filter = calloc(1, sizeof(*filter));
    size_t i;

    if (filter == NULL)
        return err_set(err, -ENOMEM, "filter: out of memory");
    filter->matches_all = filters->count == 0;
    for (i = 0; i < filters->count; i++) {
        const char *input = filters->items[i];
        struct parser p = {.input = input, .lexer = {.pos = input}, .err = err};
        struct alternative *alternative;
        int rc;

        if (*input == '\0') {
            filter->matches_all = true;
            continue;
        }
        alternative = calloc(1, sizeof(*alternative));
        if (alternative == NULL)
            return no_memory(&p);
        alternative->next = filter->alternatives;
        filter->alternatives = alternative;
        rc = parse_selectors(&p, alternative);
        if (rc < 0)
            return rc;
    }
    *ret = TAKE(filter);
    return 0;
}

/* ---- matching -------------------------------------------------------------------------------- */

static const char *kind_name(enum snapdb_kind kind)
{
    switch (kind) {
    case SNAPDB_VIEW:
        return "view";
    case SNAPDB_ACTIVE:
        return "active";
    case SNAPDB_COMMITTED:
        return "committed";
    }
    return NULL;
}

/* NULL: there is no such field. */
static const char *field_value(const struct selector *selector, const struct snapdb_row *row)
{
    if (strcmp(selector->field, "labels") == 0)
        return text_map_get(&row->labels, selector->rest);
    if (strcmp(selector->field, "name") == 0)
        return row->name;
    if (strcmp(selector->field, "parent") == 0)
        return row->parent;
    return strcmp(selector->field, "kind") == 0 ? kind_name(row->kind) : NULL;
}

/* What is not there counts as empty for != and ~=, as in containerd. */
static bool selector_matches(const struct selector *selector, const struct snapdb_row *row)
{
    const char *value = field_value(selector, row);
    const char *text = value == NULL ? "" : value;

    switch (selector->op) {
    case OP_PRESENT:
        return value != NULL;
    case OP_EQUAL:
        return value != NULL && strcmp(value, selector->value) == 0;
    case OP_NOT_EQUAL:
        return strcmp(text, selector->value) != 0;
    case OP_MATCHES:
        return regexec(&selector->regex, text, 0, NULL, 0) == 0;
    }
    return false;
}

bool filter_matches(const struct filter *filter, const struct snapdb_row *row)
{
    const struct alternative *alternative;

    for (alternative = filter->alternatives; alternative != NULL; alternative = alternative->next) {
        const struct selector *selector = alternative->selectors;
        while (selector != NULL && selector_matches(selector, row))
            selector = selector->next;
        if (selector == NULL)
            return true;
    }
    return filter->matches_all;
}

bool filter_label(const struct filter *filter, const char **ret_key, const char **ret_value)
{
    const struct alternative *only = filter->alternatives;
    const struct selector *selector;

    if (filter->matches_all || only == NULL || only->next != NULL)
        return false;
    for (selector = only->selectors; selector != NULL; selector = selector->next) {
        if (selector->op != OP_EQUAL || strcmp(selector->field, "labels") != 0)
            continue;
        *ret_key = selector->rest;
        *ret_value = selector->value;
        return true;
    }
    return false;
}
