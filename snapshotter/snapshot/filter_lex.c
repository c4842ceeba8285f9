/* SPDX-License-Identifier: Apache-2.0 */
/* filter_lex.c – the words of a filter, and what a quoted one stands for. */
#include "snapshot/filter.h"

#include <errno.h>
#include <string.h>

static bool is_field_byte(char c)
{
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (unsigned char)c >= 0x80; /* letters of other scripts */
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_value_byte(char c)
{
    return c != ',' && (unsigned char)c > ' ' && c != 0x7f;
}

static bool is_one_of(char c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

static struct filter_token token(struct filter_lexer *lexer, enum filter_token_kind kind,
                                 const char *end)
{
    struct filter_token result = {.kind = kind, .start = lexer->pos};

    result.len = (size_t)(end - lexer->pos);
    lexer->pos = end;
    return result;
}

/* To behind the closing quote; NULL: there is none on this line. */
static const char *skip_quoted(const char *pos)
{
    char quote = *pos++;

    for (; *pos != quote; pos++) {
        if (*pos == '\\')
            pos++;
        if (*pos == '\0' || *pos == '\n')
            return NULL;
    }
    return pos + 1;
}

static const char *skip_while(const char *pos, bool (*wanted)(char c))
{
    while (wanted(*pos))
        pos++;
    return pos;
}

struct filter_token filter_lex(struct filter_lexer *lexer)
{
    const char *end;

    lexer->pos = skip_while(lexer->pos, is_space);
    if (*lexer->pos == '\0')
        return token(lexer, FILTER_END, lexer->pos);
    if (is_one_of(*lexer->pos, "\"/|")) {
        end = skip_quoted(lexer->pos);
        return end == NULL ? token(lexer, FILTER_ILLEGAL, lexer->pos)
                           : token(lexer, FILTER_QUOTED, end);
    }
    if (is_one_of(*lexer->pos, ",.")) {
        lexer->wants_value = false;
        return token(lexer, FILTER_SEPARATOR, lexer->pos + 1);
    }
    if (is_one_of(*lexer->pos, "=!~")) {
        lexer->wants_value = true;
        return token(lexer, FILTER_OPERATOR, lexer->pos + strspn(lexer->pos, "=!~"));
    }
    if (lexer->wants_value) {
        lexer->wants_value = false;
        end = skip_while(lexer->pos, is_value_byte);
        return token(lexer, end == lexer->pos ? FILTER_ILLEGAL : FILTER_VALUE, end);
    }
    end = skip_while(lexer->pos, is_field_byte);
    return token(lexer, end == lexer->pos ? FILTER_ILLEGAL : FILTER_FIELD, end);
}

/* ---- quoted strings -------------------------------------------------------------------------- */

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 16;
}

/* Exactly `count` digits of this base, 8 or 16. */
static int take_number(const char **pos, const char *end, size_t count, unsigned base,
                       uint32_t *ret)
{
    if ((size_t)(end - *pos) < count)
        return -EINVAL;
    for (*ret = 0; count > 0; count--, ++*pos) {
        int digit = digit_of(**pos);
        if (digit >= (int)base)
            return -EINVAL;
        *ret = *ret * base + (uint32_t)digit;
    }
    return 0;
}

static int add_utf8(struct buf *out, uint32_t rune)
{
    uint8_t text[4];
    size_t len = rune < 0x80 ? 1 : rune < 0x800 ? 2 : rune < 0x10000 ? 3 : 4, i;
    static const uint8_t first[] = {0, 0, 0xc0, 0xe0, 0xf0};

    if (rune == 0 || rune > 0x10ffff || (rune >= 0xd800 && rune <= 0xdfff))
        return -EINVAL; /* our strings hold no NUL */
    for (i = len - 1; i > 0; i--, rune >>= 6)
        text[i] = (uint8_t)(0x80 | (rune & 0x3f));
    text[0] = (uint8_t)(first[len] | rune);
    return buf_add(out, text, len);
}

static int add_byte(struct buf *out, uint32_t value)
{
    return value == 0 || value > 0xff ? -EINVAL : buf_add_byte(out, (uint8_t)value);
}

/* *pos is behind the backslash. */
static int add_escape(const char **pos, const char *end, char quote, struct buf *out)
{
    static const char letters[] = "abfnrtv", meant[] = "\a\b\f\n\r\t\v";
    char c = *(*pos)++;
    uint32_t value;
    int rc;

    if (c == '\\' || c == quote)
        return buf_add_byte(out, (uint8_t)c);
    if (is_one_of(c, letters))
        return buf_add_byte(out, (uint8_t)meant[strchr(letters, c) - letters]);
    if (c == 'x') {
        rc = take_number(pos, end, 2, 16, &value);
        return rc < 0 ? rc : add_byte(out, value);
    }
    if (c == 'u' || c == 'U') {
        rc = take_number(pos, end, c == 'u' ? 4 : 8, 16, &value);
        return rc < 0 ? rc : add_utf8(out, value);
    }
    --*pos;
    rc = take_number(pos, end, 3, 8, &value);
    return rc < 0 ? rc : add_byte(out, value);
}

int filter_unquote(struct filter_token quoted, struct buf *out)
{
    const char *pos = quoted.start + 1, *end = quoted.start + quoted.len - 1;
    int rc = 0;

    while (rc == 0 && pos < end) {
        if (*pos != '\\') {
            rc = buf_add_byte(out, (uint8_t)*pos++);
            continue;
        }
        pos++; /* the closing quote is not escaped, so there is one more byte */
        rc = add_escape(&pos, end, *quoted.start, out);
    }
    return rc;
}
