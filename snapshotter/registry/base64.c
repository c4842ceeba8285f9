/* SPDX-License-Identifier: Apache-2.0 */
/* base64.c – RFC 4648, for user names and passwords. */
#include "registry/internal.h"

#include <errno.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_encode(struct bytes in)
{
    char *out = malloc(in.len / 3 * 4 + 5), *at = out;

    if (out == NULL)
        return NULL;
    for (size_t i = 0; i < in.len; i += 3) {
        size_t left = in.len - i;
        uint32_t group = (uint32_t)in.data[i] << 16;

        group |= left > 1 ? (uint32_t)in.data[i + 1] << 8 : 0;
        group |= left > 2 ? in.data[i + 2] : 0;
        *at++ = alphabet[group >> 18];
        *at++ = alphabet[group >> 12 & 63];
        *at++ = alphabet[group >> 6 & 63];
        *at++ = alphabet[group & 63];
        if (left < 3)
            at[-1] = '=';
        if (left < 2)
            at[-2] = '=';
    }
    *at = '\0';
    return out;
}

/* Four characters: bytes in them, or -EINVAL. Padding belongs to the last group only. */
static int decode_group(const char *text, bool last, uint8_t out[3])
{
    uint32_t group = 0;
    int padded = !last || text[3] != '=' ? 0 : text[2] == '=' ? 2 : 1;

    for (int i = 0; i < 4 - padded; i++) {
        const char *digit = text[i] == '\0' ? NULL : strchr(alphabet, text[i]);
        if (digit == NULL)
            return -EINVAL;
        group |= (uint32_t)(digit - alphabet) << (18 - 6 * i);
    }
    out[0] = (uint8_t)(group >> 16);
    out[1] = (uint8_t)(group >> 8);
    out[2] = (uint8_t)group;
    return 3 - padded;
}

int base64_decode(const char *text, struct buf *ret)
{
    size_t len = strlen(text);

    if (len % 4 != 0)
        return -EINVAL;
    for (size_t i = 0; i < len; i += 4) {
        uint8_t out[3];
        int count = decode_group(text + i, i + 4 == len, out);
        int rc = count < 0 ? count : buf_add(ret, out, (size_t)count);

        if (rc < 0)
            return rc;
    }
    return 0;
}
