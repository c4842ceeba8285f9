/* SPDX-License-Identifier: Apache-2.0 */
/* filter_regex.c – Go's regular expressions by means of the C library's.
 *
 * Go's (RE2's) syntax and POSIX' extended one agree on literals, . [] * + ? | () ^ $ and classes
 * like [[:alpha:]]; lazy quantifiers match the same strings. \d \w \s and their opposites, escaped
 * punctuation and (?:…) are translated. The rest is refused rather than misread: flags, counted
 * repetition, other escapes, backslashes in brackets. What differs silently: `.` also takes a
 * newline, and a byte rather than a character.
 *
 * RE2 promises linear time. The C library keeps to that once back-references are out, but compiling
 * copies the operand of each +, also of nested ones, and the length bounds the rest. */
#include "snapshot/filter.h"

#include <errno.h>
#include <string.h>

enum { REGEX_MAX_BYTES = 256 };
enum { REGEX_MAX_PLUS = 8 }; /* nested, these are 2^8 copies */

static const struct {
    char letter;
    const char *set;
} letter_sets[] = {
    {'d', "[0-9]"},         {'D', "[^0-9]"},      {'w', "[A-Za-z0-9_]"},
    {'W', "[^A-Za-z0-9_]"}, {'s', "[ \t\n\f\r]"}, {'S', "[^ \t\n\f\r]"},
};

static int add_escaped(struct buf *out, char c)
{
    size_t i;

    for (i = 0; i < ARRAY_LEN(letter_sets); i++) {
        if (letter_sets[i].letter == c)
            return buf_add_str(out, letter_sets[i].set);
    }
    if (c == '\0' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
        return -EINVAL;
    /* Only where it is special: the C library has meanings of its own for \< and others. */
    if (strchr(".[]*+?|()^$\\{}", c) != NULL && buf_add_byte(out, '\\') < 0)
        return -ENOMEM;
    return buf_add_byte(out, (uint8_t)c);
}

/* The end of the bracket expression at `pos`, behind its ]; NULL: not one that both understand. */
static const char *skip_bracket(const char *pos)
{
    pos += pos[1] == '^' ? 2 : 1;
    if (*pos == ']')
        pos++; /* first in the list it is literal */
    for (; *pos != ']'; pos++) {
        if (*pos == '\0' || *pos == '\\')
            return NULL;
        if (*pos != '[')
            continue;
        if (pos[1] == '.' || pos[1] == '=')
            return NULL;
        if (pos[1] == ':') {
            pos = strstr(pos + 2, ":]");
            if (pos == NULL)
                return NULL;
            pos++;
        }
    }
    return pos + 1;
}

/* Appends what stands at *pos and steps over it. */
static int translate_one(const char **pos, struct buf *out)
{
    const char *end;
    int rc;

    switch (**pos) {
    case '\\':
        rc = add_escaped(out, (*pos)[1]);
        *pos += 2;
        return rc;
    case '{':
        return -EINVAL;
    case '(':
        if ((*pos)[1] == '?' && (*pos)[2] != ':')
            return -EINVAL;
        *pos += (*pos)[1] == '?' ? 3 : 1;
        return buf_add_byte(out, '(');
    case '[':
        end = skip_bracket(*pos);
        if (end == NULL)
            return -EINVAL;
        rc = buf_add(out, *pos, (size_t)(end - *pos));
        *pos = end;
        return rc;
    default:
        return buf_add_byte(out, (uint8_t) * (*pos)++);
    }
}

int filter_regex_compile(const char *pattern, regex_t *ret, struct err *err)
{
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    const char *pos = pattern, *text;
    size_t plus = 0;
    int rc = strlen(pattern) > REGEX_MAX_BYTES ? -EINVAL : 0;

    while (rc == 0 && *pos != '\0') {
        plus += *pos == '+';
        rc = plus > REGEX_MAX_PLUS ? -EINVAL : translate_one(&pos, &out);
    }
    text = rc == 0 ? buf_str(&out) : NULL;
    if (rc == -ENOMEM || (rc == 0 && text == NULL))
        return err_set(err, -ENOMEM, "out of memory");
    if (rc == 0)
        rc = regcomp(ret, text, REG_EXTENDED | REG_NOSUB);
    if (rc == REG_ESPACE)
        return err_set(err, -ENOMEM, "out of memory");
    return rc == 0 ? 0 : err_set(err, -EINVAL, "regular expression %s is not supported", pattern);
}
