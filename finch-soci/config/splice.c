/* SPDX-License-Identifier: Apache-2.0 */
/* splice.c – pieces cut out of a text and put into it, and where its lines are. */
#include "config/internal.h"

#include "base/system.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void splices_fini(struct splices *s)
{
    for (size_t i = 0; i < s->count; i++)
        free(s->items[i].put);
    free(s->items);
    s->items = NULL;
    s->count = 0;
}

/* ---- lines ----------------------------------------------------------------------------------- */

/* A carriage return alone ends a line too. */
static bool is_line_end(struct bytes text, size_t at)
{
    if (text.data[at] == '\n')
        return true;
    return text.data[at] == '\r' && (at + 1 == text.len || text.data[at + 1] != '\n');
}

const char *splice_line_end(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '\n')
            return i > 0 && text.data[i - 1] == '\r' ? "\r\n" : "\n";
        if (is_line_end(text, i))
            return "\r";
    }
    return "\n";
}

size_t splice_line_start(struct bytes text, size_t at)
{
    while (at > 0 && !is_line_end(text, at - 1))
        at--;
    /* A byte order mark is in front of the first line. */
    return at == 0 && text.len >= 3 && memcmp(text.data, "\xEF\xBB\xBF", 3) == 0 ? 3 : at;
}

size_t splice_line_after(struct bytes text, size_t at)
{
    while (at < text.len && !is_line_end(text, at))
        at++;
    return at < text.len ? at + 1 : at;
}

char *splice_indent(struct bytes text, size_t at)
{
    size_t start = splice_line_start(text, at);

    for (size_t i = start; i < at; i++) {
        if (text.data[i] != ' ')
            return NULL;
    }
    return text_format("%*s", (int)(at - start), "");
}

/* ---- splices --------------------------------------------------------------------------------- */

static void insert(struct splices *s, const struct splice *splice)
{
    struct splice *more = system_resize(s->items, s->count + 1, sizeof(*more));
    size_t place = s->count;

    if (more == NULL || splice->put == NULL) {
        s->items = more == NULL ? s->items : more;
        free(splice->put);
        s->rc = -ENOMEM;
        return;
    }
    s->items = more;
    while (place > 0 && more[place - 1].at > splice->at)
        place--;
    memmove(&more[place + 1], &more[place], (s->count - place) * sizeof(*more));
    more[place] = *splice;
    s->count++;
}

static PRINTF_LIKE(1, 0) char *format(const char *fmt, va_list args)
{
    char *text = NULL;

    return vasprintf(&text, fmt, args) < 0 ? NULL : text;
}

void splice_add(struct splices *s, size_t at, size_t cut, const char *fmt, ...)
{
    struct splice splice = {.at = at, .cut = cut};
    va_list args;

    va_start(args, fmt);
    splice.put = format(fmt, args);
    va_end(args);
    insert(s, &splice);
}

/* The last line of a text may have no end; then the new one has none either. */
void splice_add_line(struct splices *s, size_t at, const char *indent, const char *fmt, ...)
{
    bool unended = at > 0 && !is_line_end(s->text, at - 1) && at != splice_line_start(s->text, at);
    SCOPED(mem) char *line = NULL;
    va_list args;

    va_start(args, fmt);
    line = format(fmt, args);
    va_end(args);
    if (line == NULL)
        s->rc = -ENOMEM;
    else
        splice_add(s, at, 0, "%s%s%s%s", unended ? s->line_end : "", indent, line,
                   unended ? "" : s->line_end);
}

int splices_apply(const struct splices *s, struct buf *ret, struct err *err)
{
    size_t from = 0;
    int rc = s->rc;

    ret->len = 0;
    for (size_t i = 0; i < s->count && rc == 0; i++) {
        const struct splice *splice = &s->items[i];

        if (splice->at < from || splice->cut > s->text.len - splice->at)
            return err_set(err, -EINVAL, "edits overlap");
        rc = buf_add(ret, s->text.data + from, splice->at - from);
        if (rc == 0)
            rc = buf_add_str(ret, splice->put);
        from = splice->at + splice->cut;
    }
    if (rc == 0)
        rc = buf_add(ret, s->text.data + from, s->text.len - from);
    return rc < 0 ? err_set(err, rc, "out of memory") : 0;
}
