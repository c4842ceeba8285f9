/* SPDX-License-Identifier: Apache-2.0 */
/* number.c – the ways in which tar writes numbers. */
#include "tar/internal.h"

static bool is_filler(uint8_t c)
{
    return c == ' ' || c == '\0';
}

bool tar_parse_octal(struct bytes field, int64_t *ret)
{
    uint64_t value = 0;

    while (field.len > 0 && is_filler(field.data[0]))
        field = bytes_of(field.data + 1, field.len - 1);
    while (field.len > 0 && is_filler(field.data[field.len - 1]))
        field.len--;
    for (size_t i = 0; i < field.len && field.data[i] != '\0'; i++) {
        if (field.data[i] < '0' || field.data[i] > '7' || value >> 61 != 0)
            return false;
        value = value << 3 | (uint64_t)(field.data[i] - '0');
    }
    *ret = (int64_t)value;
    return true;
}

bool tar_parse_number(struct bytes field, int64_t *ret)
{
    uint8_t invert;
    uint64_t value = 0;

    if (field.len == 0 || (field.data[0] & 0x80) == 0)
        return tar_parse_octal(field, ret);
    /* -a - 1 is ~a: a negative number is read as its complement and turned round at the end. */
    invert = (field.data[0] & 0x40) != 0 ? 0xff : 0;
    for (size_t i = 0; i < field.len; i++) {
        uint8_t digit = field.data[i] ^ invert;

        if (value >> 56 != 0)
            return false;
        value = value << 8 | (i == 0 ? digit & 0x7f : digit);
    }
    if (value >> 63 != 0)
        return false;
    *ret = invert != 0 ? ~(int64_t)value : (int64_t)value;
    return true;
}

bool tar_parse_decimal(struct bytes text, int64_t *ret)
{
    bool negative = text.len > 0 && text.data[0] == '-';
    int64_t value = 0;
    size_t i = negative || (text.len > 0 && text.data[0] == '+') ? 1 : 0;

    if (i == text.len)
        return false;
    for (; i < text.len; i++) {
        int digit = text.data[i] - '0';

        if (digit < 0 || digit > 9 || __builtin_mul_overflow(value, (int64_t)10, &value) ||
            __builtin_add_overflow(value, negative ? -digit : digit, &value))
            return false;
    }
    *ret = value;
    return true;
}

bool tar_parse_time(struct bytes text, int64_t *ret_sec, uint32_t *ret_nsec)
{
    const uint8_t *dot = text.len == 0 ? NULL : memchr(text.data, '.', text.len);
    struct bytes seconds = bytes_of(text.data, dot == NULL ? text.len : (size_t)(dot - text.data));
    uint32_t nsec = 0, scale = 100000000;
    int64_t sec;

    if (!tar_parse_decimal(seconds, &sec))
        return false;
    for (size_t i = seconds.len + 1; i < text.len; i++, scale /= 10) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        nsec += (uint32_t)(text.data[i] - '0') * scale;
    }
    if (seconds.data[0] == '-' && nsec != 0) {
        /* The fraction of a negative time points backwards. Before the first second there is
         * nothing: no time then. */
        if (sec > INT64_MIN)
            sec--;
        nsec = 1000000000 - nsec;
    }
    *ret_sec = sec;
    *ret_nsec = nsec;
    return true;
}
