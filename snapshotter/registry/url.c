/* SPDX-License-Identifier: Apache-2.0 */
/* url.c – addresses: where a redirect leads, whom credentials are for, what may be shown. */
#include "registry/internal.h"

#include <errno.h>

DEFINE_SCOPED_PTR(curlu, CURLU, curl_url_cleanup)

static inline void scoped_curl_text(char *const *text)
{
    curl_free(*text);
}

/* NULL: not an address, or out of memory. */
static CURLU *parse(const char *url)
{
    SCOPED(curlu) CURLU *parsed = curl_url();

    if (parsed == NULL ||
        curl_url_set(parsed, CURLUPART_URL, url, CURLU_DISALLOW_USER) != CURLUE_OK)
        return NULL;
    return TAKE(parsed);
}

/* A part that may be absent: "". */
static int get_part(CURLU *parsed, CURLUPart part, unsigned flags, char **ret)
{
    SCOPED(curl_text) char *text = NULL;
    CURLUcode code = curl_url_get(parsed, part, &text, flags);

    if (code == CURLUE_OUT_OF_MEMORY)
        return -ENOMEM;
    *ret = strdup(code == CURLUE_OK ? text : "");
    return *ret == NULL ? -ENOMEM : 0;
}

static int scheme_check(CURLU *parsed, const char *base, struct err *err)
{
    SCOPED(mem) char *scheme = NULL;
    int rc = get_part(parsed, CURLUPART_SCHEME, 0, &scheme);

    if (rc < 0)
        return err_sys(err, rc, "address");
    if (strcmp(scheme, "https") == 0)
        return 0;
    if (strcmp(scheme, "http") != 0)
        return err_set(err, -EPROTO, "sent on to a place that is neither http nor https");
    if (text_has_prefix(base, "https:"))
        return err_set(err, -EPROTO, "sent on from https to http, which is not followed");
    return 0;
}

int url_resolve(const char *base, const char *location, char **ret, struct err *err)
{
    SCOPED(curlu) CURLU *parsed = parse(base);
    SCOPED(curl_text) char *whole = NULL;
    int rc;

    if (parsed == NULL)
        return err_set(err, -EPROTO, "no address to start from");
    if (strlen(location) > URL_MAX_BYTES ||
        curl_url_set(parsed, CURLUPART_URL, location, CURLU_DISALLOW_USER | CURLU_URLENCODE) !=
            CURLUE_OK)
        return err_set(err, -EPROTO, "sent on to what is no address");
    rc = scheme_check(parsed, base, err);
    if (rc < 0)
        return rc;
    if (curl_url_set(parsed, CURLUPART_FRAGMENT, NULL, 0) != CURLUE_OK ||
        curl_url_get(parsed, CURLUPART_URL, &whole, 0) != CURLUE_OK)
        return err_set(err, -ENOMEM, "address: out of memory");
    *ret = strdup(whole);
    return *ret == NULL ? err_set(err, -ENOMEM, "address: out of memory") : 0;
}

static char *origin(const char *url)
{
    SCOPED(curlu) CURLU *parsed = parse(url);
    SCOPED(mem) char *scheme = NULL;
    SCOPED(mem) char *host = NULL;
    SCOPED(mem) char *port = NULL;

    if (parsed == NULL || get_part(parsed, CURLUPART_SCHEME, 0, &scheme) < 0 ||
        get_part(parsed, CURLUPART_HOST, 0, &host) < 0 ||
        get_part(parsed, CURLUPART_PORT, CURLU_DEFAULT_PORT, &port) < 0)
        return NULL;
    return text_format("%s://%s:%s", scheme, host, port);
}

bool url_same_origin(const char *a, const char *b)
{
    SCOPED(mem) char *origin_a = origin(a);
    SCOPED(mem) char *origin_b = origin(b);

    return origin_a != NULL && origin_b != NULL && text_equal_nocase(origin_a, origin_b);
}

/* Without asking curl: this must work for whatever is to be shown. */
char *url_plain(const char *url)
{
    return strndup(url, strcspn(url, "?#"));
}

char *url_host(const char *url)
{
    const char *start = strstr(url, "://");

    if (start == NULL)
        return strdup("");
    start += strlen("://");
    return strndup(start, strcspn(start, "/?#"));
}

char *url_with_parameter(const char *url, const char *name, const char *value)
{
    SCOPED(curl_text) char *escaped = curl_easy_escape(NULL, value, 0);

    if (escaped == NULL)
        return NULL;
    return text_format("%s%c%s=%s", url, strchr(url, '?') == NULL ? '?' : '&', name, escaped);
}
