/* SPDX-License-Identifier: Apache-2.0 */
/* wire.c – values of gRPC's headers: status text, timeout, content type. */
#include "internal.h"

#include <stdio.h>
#include <string.h>

int grpc_percent_encode(const char *text, struct buf *ret)
{
    static const char hex[] = "0123456789ABCDEF";
    const uint8_t *p;

    for (p = (const uint8_t *)text; *p != '\0'; p++) {
        char escaped[3] = {'%', hex[*p >> 4], hex[*p & 15]};
        bool is_plain = *p >= 0x20 && *p <= 0x7e && *p != '%';

        if ((is_plain ? buf_add_byte(ret, *p) : buf_add(ret, escaped, sizeof(escaped))) < 0)
            return -ENOMEM;
    }
    return 0;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

void grpc_percent_decode(struct bytes value, char *out, size_t out_bytes)
{
    size_t used = 0, i = 0;

    while (i < value.len && used + 1 < out_bytes) {
        uint8_t c = value.data[i++];

        if (c == '%' && value.len - i >= 2 && hex_digit(value.data[i]) >= 0 &&
            hex_digit(value.data[i + 1]) >= 0) {
            c = (uint8_t)(hex_digit(value.data[i]) << 4 | hex_digit(value.data[i + 1]));
            i += 2;
        }
        if (c == '\0')
            c = ' ';
        out[used++] = (char)c;
    }
    out[used] = '\0';
}

struct timeout_unit {
    char letter;
    int64_t ns;
};

static const struct timeout_unit timeout_units[] = {
    {'n', 1},          {'u', 1000},          {'m', 1000000},
    {'S', 1000000000}, {'M', 60000000000LL}, {'H', 3600000000000LL},
};

int grpc_timeout_parse(struct bytes value, int64_t *ret_ms)
{
    int64_t count = 0, ns_per_ms = 1000000;
    size_t i;

    if (value.len < 2 || value.len > GRPC_TIMEOUT_BYTES - 1)
        return -EINVAL;
    for (i = 0; i + 1 < value.len; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            return -EINVAL;
        count = count * 10 + (value.data[i] - '0');
    }
    for (i = 0; i < ARRAY_LEN(timeout_units); i++) {
        int64_t unit_ns = timeout_units[i].ns;

        if ((uint8_t)timeout_units[i].letter != value.data[value.len - 1])
            continue;
        /* 99999999 hours are more nanoseconds than 64 bits hold, so whole milliseconds are not
         * split. */
        *ret_ms = unit_ns >= ns_per_ms ? count * (unit_ns / ns_per_ms)
                                       : (count * unit_ns + ns_per_ms - 1) / ns_per_ms;
        return 0;
    }
    return -EINVAL;
}

void grpc_timeout_format(int64_t ms, char out[GRPC_TIMEOUT_BYTES])
{
    const int64_t max = 99999999;
    int64_t seconds, minutes;

    if (ms < 0)
        ms = 0;
    seconds = ms / 1000 + (ms % 1000 != 0);
    minutes = seconds / 60 + (seconds % 60 != 0);
    if (ms <= max)
        (void)snprintf(out, GRPC_TIMEOUT_BYTES, "%dm", (int)ms);
    else if (seconds <= max)
        (void)snprintf(out, GRPC_TIMEOUT_BYTES, "%dS", (int)seconds);
    else
        (void)snprintf(out, GRPC_TIMEOUT_BYTES, "%dM", (int)(minutes <= max ? minutes : max));
}

bool grpc_content_type_is_ok(struct bytes value)
{
    static const char type[] = "application/grpc";
    const size_t len = sizeof(type) - 1;

    if (value.len < len || memcmp(value.data, type, len) != 0)
        return false;
    return value.len == len || value.data[len] == '+' || value.data[len] == ';';
}
