/* SPDX-License-Identifier: Apache-2.0 */
/* clean.c – text of others made fit for a terminal: nothing in it moves the cursor, changes
 * colours, turns the direction of writing, or is more than one line. */
#include "report/internal.h"

#include "base/text.h"

/* How many bytes the character at `s` has; `len` are left, and they are UTF-8. */
static size_t character_bytes(const unsigned char *s, size_t len)
{
    size_t n = *s < 0x80 ? 1 : *s < 0xe0 ? 2 : *s < 0xf0 ? 3 : 4;

    return n > len ? len : n;
}

/* C1 controls (U+0080 to U+009F), marks of direction (U+200E, U+200F, U+202A to U+202E, U+2066 to
 * U+2069) and separators of lines (U+2028, U+2029). */
static bool is_obeyed(const unsigned char *s, size_t len)
{
    if (len == 1)
        return *s < 0x20 || *s == 0x7f;
    if (len == 2)
        return s[0] == 0xc2 && s[1] < 0xa0;
    if (len == 3 && s[0] == 0xe2 && s[1] == 0x80)
        return s[2] == 0x8e || s[2] == 0x8f || (s[2] >= 0xa8 && s[2] <= 0xae);
    return len == 3 && s[0] == 0xe2 && s[1] == 0x81 && s[2] >= 0xa6 && s[2] <= 0xa9;
}

void report_clean(char *ret, size_t size, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t left = strlen(text), used = 0;
    bool utf8 = text_is_utf8(bytes_of_str(text));

    while (left > 0 && size > 0) {
        size_t n = utf8 ? character_bytes(s, left) : 1;
        bool bad = is_obeyed(s, n) || (!utf8 && *s >= 0x80);
        bool is_gap = n == 1 && (*s == '\n' || *s == '\t' || *s == '\r');
        size_t wanted = bad ? 1 : n;

        if (used + wanted >= size)
            break;
        if (bad)
            ret[used] = is_gap ? ' ' : '?';
        else
            memcpy(ret + used, s, n);
        used += wanted;
        s += n;
        left -= n;
    }
    if (size > 0)
        ret[used] = '\0';
}

static bool starts_character(char c)
{
    return ((unsigned char)c & 0xc0) != 0x80;
}

size_t report_columns(const char *text)
{
    size_t count = 0;

    for (; *text != '\0'; text++)
        count += starts_character(*text);
    return count;
}

size_t report_fitting(const char *text, size_t columns)
{
    size_t at = 0;

    while (text[at] != '\0') {
        if (starts_character(text[at]) && columns-- == 0)
            break;
        at++;
    }
    return at;
}

void report_format_size(uint64_t bytes, char ret[REPORT_SIZE_BYTES])
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double size = (double)bytes;
    size_t unit = 0;

    if (bytes < 1024) {
        (void)snprintf(ret, REPORT_SIZE_BYTES, "%u B", (unsigned)bytes);
        return;
    }
    size /= 1024;
    while (size >= 1023.95 && unit + 1 < ARRAY_LEN(units)) { /* it would read 1024.0 */
        size /= 1024;
        unit++;
    }
    (void)snprintf(ret, REPORT_SIZE_BYTES, "%.1f %s", size, units[unit]);
}
