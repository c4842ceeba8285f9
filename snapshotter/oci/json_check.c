/* SPDX-License-Identifier: Apache-2.0 */
/* json_check.c – is this text JSON, and small enough to make a tree of it?
 *
 * cJSON is lenient (control characters in strings, any bytes that are no UTF-8, U+0000 that cuts a
 * string short) and takes as much memory and stack as the text asks for. So the text is proved to
 * be what RFC 8259 says before cJSON sees it: one pass, no recursion, no allocation. */
#include "oci/internal.h"

#include <assert.h>
#include <errno.h>

struct checker {
    const uint8_t *start;
    const uint8_t *pos;
    const uint8_t *end;
    uint64_t in_object; /* one bit per open bracket, the innermost lowest: set for { */
    unsigned depth;
    size_t values;
    const char *fault; /* NULL: none so far */
};
static_assert(JSON_DEPTH_MAX <= 64, "one bit of in_object per level");

static bool fail(struct checker *c, const char *fault)
{
    if (c->fault == NULL)
        c->fault = fault;
    return false;
}

static int peek(const struct checker *c)
{
    return c->pos < c->end ? *c->pos : -1;
}

static bool accept(struct checker *c, int wanted)
{
    if (peek(c) != wanted)
        return false;
    c->pos++;
    return true;
}

static void skip_space(struct checker *c)
{
    while (accept(c, ' ') || accept(c, '\n') || accept(c, '\t') || accept(c, '\r'))
        ;
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

/* The four digits behind \u, or -1. */
static int32_t hex4(struct checker *c)
{
    int32_t value = 0;

    for (int i = 0; i < 4; i++) {
        int digit = peek(c);

        if (is_digit(digit))
            digit -= '0';
        else if ((digit | 0x20) >= 'a' && (digit | 0x20) <= 'f')
            digit = (digit | 0x20) - 'a' + 10;
        else
            return -1;
        value = value * 16 + digit;
        c->pos++;
    }
    return value;
}

static bool check_unicode_escape(struct checker *c)
{
    int32_t unit = hex4(c);

    if (unit < 0)
        return fail(c, "a \\u without four hex digits");
    if (unit == 0)
        return fail(c, "U+0000 in a string");
    if (unit < 0xd800 || unit > 0xdfff)
        return true;
    if (unit > 0xdbff || !accept(c, '\\') || !accept(c, 'u'))
        return fail(c, "half a surrogate pair");
    unit = hex4(c);
    return (unit >= 0xdc00 && unit <= 0xdfff) || fail(c, "half a surrogate pair");
}

static bool check_escape(struct checker *c)
{
    int what = peek(c);

    if (what < 0 || strchr("\"\\/bfnrtu", what) == NULL || what == '\0')
        return fail(c, "an unknown escape");
    c->pos++;
    return what != 'u' || check_unicode_escape(c);
}

/* Behind the opening quote. */
static bool check_string(struct checker *c)
{
    for (;;) {
        int byte = peek(c);

        if (byte < 0)
            return fail(c, "a string without an end");
        if (byte < 0x20)
            return fail(c, "a control character in a string");
        c->pos++;
        if (byte == '"')
            return true;
        if (byte == '\\' && !check_escape(c))
            return false;
    }
}

static bool skip_digits(struct checker *c)
{
    if (!is_digit(peek(c)))
        return fail(c, "a number without digits");
    while (is_digit(peek(c)))
        c->pos++;
    return true;
}

static bool check_number(struct checker *c)
{
    const uint8_t *first = c->pos;

    (void)accept(c, '-');
    if (!accept(c, '0') && !skip_digits(c))
        return false;
    if (accept(c, '.') && !skip_digits(c))
        return false;
    if (accept(c, 'e') || accept(c, 'E')) {
        if (!accept(c, '+'))
            (void)accept(c, '-');
        if (!skip_digits(c))
            return false;
    }
    return c->pos - first <= JSON_NUMBER_MAX_BYTES || fail(c, "a number of too many digits");
}

static bool check_word(struct checker *c, const char *word)
{
    for (; *word != '\0'; word++) {
        if (!accept(c, *word))
            return fail(c, "an unknown word");
    }
    return true;
}

static bool check_scalar(struct checker *c)
{
    switch (peek(c)) {
    case '"':
        c->pos++;
        return check_string(c);
    case 't':
        return check_word(c, "true");
    case 'f':
        return check_word(c, "false");
    case 'n':
        return check_word(c, "null");
    default:
        return check_number(c);
    }
}

static bool in_object(const struct checker *c)
{
    return c->depth > 0 && (c->in_object & 1) != 0;
}

static bool open_bracket(struct checker *c, bool object)
{
    if (c->depth == JSON_DEPTH_MAX)
        return fail(c, "too many levels");
    c->depth++;
    c->in_object = c->in_object << 1 | (object ? 1 : 0);
    c->pos++;
    return true;
}

/* "name" and the colon, where an object wants them. */
static bool check_name(struct checker *c)
{
    skip_space(c);
    if (!accept(c, '"'))
        return fail(c, "a member without a name");
    if (!check_string(c))
        return false;
    skip_space(c);
    return accept(c, ':') || fail(c, "a name without a colon");
}

/* After a value: closes the brackets that end here and eats the comma before the next value. True
 * with *ret_done: that was all. */
static bool finish_value(struct checker *c, bool *ret_done)
{
    for (;;) {
        skip_space(c);
        if (c->depth == 0) {
            *ret_done = true;
            return c->pos == c->end || fail(c, "something behind the end");
        }
        if (accept(c, ','))
            return !in_object(c) || check_name(c);
        if (!accept(c, in_object(c) ? '}' : ']'))
            return fail(c, "no comma and no end");
        c->depth--;
        c->in_object >>= 1;
    }
}

/* One value up to where the next one starts; a bracket counts as a value when it opens. */
static bool check_value(struct checker *c, bool *ret_done)
{
    bool object;

    if (++c->values > JSON_VALUES_MAX)
        return fail(c, "too many values");
    skip_space(c);
    object = peek(c) == '{';
    if (!object && peek(c) != '[')
        return check_scalar(c) && finish_value(c, ret_done);
    if (!open_bracket(c, object))
        return false;
    skip_space(c);
    if (peek(c) == (object ? '}' : ']'))
        return finish_value(c, ret_done);
    return !object || check_name(c);
}

int json_check(struct bytes text, struct err *err)
{
    struct checker c = {.start = text.data, .pos = text.data};
    bool done = false;

    if (text.len == 0)
        return err_set(err, -EBADMSG, "empty where JSON is expected");
    if (text.len > OCI_MANIFEST_MAX_BYTES)
        return err_set(err, -EBADMSG, "%zu bytes of JSON, at most %d are read", text.len,
                       OCI_MANIFEST_MAX_BYTES);
    if (!text_is_utf8(text))
        return err_set(err, -EBADMSG, "no JSON: not UTF-8");
    c.end = text.data + text.len;
    while (!done && check_value(&c, &done))
        ;
    if (!done || c.fault != NULL)
        return err_set(err, -EBADMSG, "no JSON: %s at byte %zu", c.fault,
                       (size_t)(c.pos - c.start));
    return 0;
}
