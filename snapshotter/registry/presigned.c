/* SPDX-License-Identifier: Apache-2.0 */
/* presigned.c – until when an address is signed, by its query: as Amazon S3, Google, CloudFront and
 * Azure write it. */
#include "registry/internal.h"

#include "base/clock.h"

#include <errno.h>
#include <time.h>

enum { PARAMETER_MAX_BYTES = 64 };
/* No signature of theirs lasts longer than a week; what does is a mistake, and needs no care. */
enum { LIFE_MAX_S = 7 * 24 * 3600 };

/* The value of a parameter, as it is; escaped characters do not occur in what is looked for, but
 * for %3A. False: none, or too long. */
static bool find_parameter(const char *query, const char *name, char out[PARAMETER_MAX_BYTES])
{
    size_t len = strlen(name);

    for (const char *at = query; at != NULL; at = strchr(at, '&')) {
        size_t value_len;

        at += *at == '&' ? 1 : 0;
        if (strncasecmp(at, name, len) != 0 || at[len] != '=')
            continue;
        at += len + 1;
        value_len = strcspn(at, "&#");
        if (value_len >= PARAMETER_MAX_BYTES)
            return false;
        memcpy(out, at, value_len);
        out[value_len] = '\0';
        return true;
    }
    return false;
}

/* 20231114T221320Z */
static bool parse_compact_date(const char *text, int64_t *ret_s)
{
    char plain[CLOCK_RFC3339_BYTES];
    uint32_t nsec;

    if (strlen(text) != strlen("20231114T221320Z") || text[8] != 'T')
        return false;
    (void)snprintf(plain, sizeof(plain), "%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", text, text + 4, text + 6,
                   text + 9, text + 11, text + 13);
    return text[15] == 'Z' && clock_parse_rfc3339(plain, ret_s, &nsec) == 0;
}

/* X-Amz-Date and X-Amz-Expires, or Google's. */
static bool find_signed_for(const char *query, const char *whose, int64_t now_s, int64_t *ret_s)
{
    char name[32], date[PARAMETER_MAX_BYTES], expires[PARAMETER_MAX_BYTES];
    uint64_t seconds;
    int64_t since_s;

    (void)snprintf(name, sizeof(name), "X-%s-Date", whose);
    if (!find_parameter(query, name, date) || !parse_compact_date(date, &since_s))
        return false;
    (void)snprintf(name, sizeof(name), "X-%s-Expires", whose);
    if (!find_parameter(query, name, expires) || text_parse_u64(expires, &seconds) < 0 ||
        seconds > LIFE_MAX_S)
        return false;
    *ret_s = since_s + (int64_t)seconds - now_s;
    /* It was made for us just now: with another idea of now somebody's clock is wrong. */
    if (*ret_s <= 0 || *ret_s > (int64_t)seconds)
        *ret_s = (int64_t)seconds;
    return true;
}

/* Expires=SECONDS since 1970 */
static bool find_expires(const char *query, int64_t now_s, int64_t *ret_s)
{
    char text[PARAMETER_MAX_BYTES];
    uint64_t until_s;

    if (!find_parameter(query, "Expires", text) || text_parse_u64(text, &until_s) < 0 ||
        until_s > INT64_MAX / 2)
        return false;
    *ret_s = (int64_t)until_s - now_s;
    return true;
}

static void unescape_colons(char *text)
{
    char *to = text;

    for (const char *from = text; *from != '\0';) {
        bool is_colon = strncasecmp(from, "%3A", 3) == 0;

        *to++ = (char)(is_colon ? ':' : *from);
        from += is_colon ? 3 : 1;
    }
    *to = '\0';
}

/* se=2023-11-14T22:13:20Z, of Azure's shared access signatures (which have sig= too) */
static bool find_shared_access(const char *query, int64_t now_s, int64_t *ret_s)
{
    char text[PARAMETER_MAX_BYTES], signature[PARAMETER_MAX_BYTES];
    int64_t until_s;
    uint32_t nsec;

    if (!find_parameter(query, "se", text) || !find_parameter(query, "sv", signature))
        return false;
    unescape_colons(text);
    if (clock_parse_rfc3339(text, &until_s, &nsec) < 0)
        return false;
    *ret_s = until_s - now_s;
    return true;
}

int64_t presigned_life_s(const char *url, int64_t now_s)
{
    const char *query = strchr(url, '?');
    int64_t life_s;

    if (query == NULL)
        return -1;
    query++;
    if (!find_signed_for(query, "Amz", now_s, &life_s) &&
        !find_signed_for(query, "Goog", now_s, &life_s) && !find_expires(query, now_s, &life_s) &&
        !find_shared_access(query, now_s, &life_s))
        return -1;
    return life_s > 0 && life_s <= LIFE_MAX_S ? life_s : -1;
}
