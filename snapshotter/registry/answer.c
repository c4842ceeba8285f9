/* SPDX-License-Identifier: Apache-2.0 */
/* answer.c – the headers of a response, line by line, and the few values in them that have a
 * grammar. */
#include "registry/internal.h"

#include <errno.h>

void answer_fini(struct answer *answer)
{
    free(answer->location);
    free(answer->content_type);
    free(answer->content_range);
    free(answer->link);
    free(answer->boundary);
    challenge_fini(&answer->challenge);
    memset(answer, 0, sizeof(*answer));
    answer->retry_after_ms = -1;
}

static int set_text(char **place, const char *value)
{
    char *copy = strdup(value);

    if (copy == NULL)
        return -ENOMEM;
    free(*place);
    *place = copy;
    return 0;
}

/* HTTP/1.1 206 Partial Content: what came before (100 Continue, a proxy's 200) does not count any
 * more. */
static int start_anew(struct answer *answer, const char *line)
{
    size_t header_bytes = answer->header_bytes;
    const char *code = strchr(line, ' ');

    answer_fini(answer);
    answer->header_bytes = header_bytes;
    if (code == NULL || code[1] < '1' || code[1] > '5' || strspn(code + 1, "0123456789") != 3)
        return -EPROTO;
    answer->status = (code[1] - '0') * 100 + (code[2] - '0') * 10 + (code[3] - '0');
    return 0;
}

static int set_length(struct answer *answer, const char *value)
{
    uint64_t length;

    if (text_parse_u64(value, &length) < 0)
        return -EPROTO;
    if (answer->has_content_length && answer->content_length != length)
        return -EPROTO;
    answer->content_length = length;
    answer->has_content_length = true;
    return 0;
}

char *boundary_parse(const char *parameters)
{
    const char *at = parameters;

    while ((at = strchr(at, ';')) != NULL) {
        at += 1 + strspn(at + 1, " \t");
        if (strncasecmp(at, "boundary=", strlen("boundary=")) != 0)
            continue;
        at += strlen("boundary=");
        return *at == '"' ? strndup(at + 1, strcspn(at + 1, "\""))
                          : strndup(at, strcspn(at, "; \t"));
    }
    return NULL;
}

static int set_type(struct answer *answer, char *value)
{
    free(answer->boundary);
    answer->boundary = boundary_parse(value);
    value[strcspn(value, "; \t")] = '\0';
    return set_text(&answer->content_type, value);
}

static void set_date(struct answer *answer, const char *value)
{
    time_t date = curl_getdate(value, NULL);

    answer->date_s = date < 0 ? 0 : (int64_t)date;
}

static int add_header(struct answer *answer, const char *name, char *value)
{
    if (text_equal_nocase(name, "Location"))
        return set_text(&answer->location, value);
    if (text_equal_nocase(name, "Content-Type"))
        return set_type(answer, value);
    if (text_equal_nocase(name, "Content-Range"))
        return set_text(&answer->content_range, value);
    if (text_equal_nocase(name, "Content-Length"))
        return set_length(answer, value);
    if (text_equal_nocase(name, "Link"))
        return set_text(&answer->link, value);
    if (text_equal_nocase(name, "WWW-Authenticate"))
        return challenge_add(&answer->challenge, value);
    if (text_equal_nocase(name, "Retry-After"))
        answer->retry_after_ms = retry_after_parse(value);
    else if (text_equal_nocase(name, "Date"))
        set_date(answer, value);
    else if (text_equal_nocase(name, "Content-Encoding"))
        answer->is_encoded = !text_equal_nocase(value, "identity") && *value != '\0';
    else if (text_equal_nocase(name, "OCI-Subject"))
        answer->has_subject = true;
    return 0;
}

static void trim_end(char *s, size_t len)
{
    while (len > 0 && strchr("\r\n \t", s[len - 1]) != NULL)
        s[--len] = '\0';
}

int answer_add_line(struct answer *answer, struct bytes line)
{
    SCOPED(mem) char *text = NULL;
    char *colon, *value;

    answer->header_bytes += line.len;
    if (answer->header_bytes > ANSWER_HEADERS_MAX_BYTES ||
        (line.len > 0 && memchr(line.data, '\0', line.len) != NULL))
        return -EPROTO;
    text = strndup((const char *)line.data, line.len);
    if (text == NULL)
        return -ENOMEM;
    trim_end(text, line.len);
    if (text_has_prefix(text, "HTTP/"))
        return start_anew(answer, text);
    colon = strchr(text, ':');
    if (colon == NULL)
        return 0; /* the empty line at the end, or nothing we know */
    *colon = '\0';
    value = colon + 1 + strspn(colon + 1, " \t");
    return add_header(answer, text, value);
}

/* Digits up to `end`, which *pos is behind of afterwards. */
static bool take_number(const char **pos, char end, uint64_t *ret)
{
    char digits[24];
    size_t len = strspn(*pos, "0123456789");

    if (len == 0 || len >= sizeof(digits) || (*pos)[len] != end)
        return false;
    memcpy(digits, *pos, len);
    digits[len] = '\0';
    *pos += len + (end == '\0' ? 0 : 1);
    return text_parse_u64(digits, ret) == 0;
}

int content_range_parse(const char *text, struct content_range *ret)
{
    struct content_range range = {.total = UINT64_MAX};
    const char *pos = text + strlen("bytes ");

    if (strncasecmp(text, "bytes ", strlen("bytes ")) != 0)
        return -EPROTO;
    pos += strspn(pos, " ");
    if (!take_number(&pos, '-', &range.first) || !take_number(&pos, '/', &range.last))
        return -EPROTO;
    if (strcmp(pos, "*") != 0 && !take_number(&pos, '\0', &range.total))
        return -EPROTO;
    if (range.first > range.last || range.last >= range.total)
        return -EPROTO;
    *ret = range;
    return 0;
}

int64_t retry_after_parse(const char *text)
{
    uint64_t seconds;

    if (text_parse_u64(text, &seconds) < 0) {
        time_t date = curl_getdate(text, NULL), now = time(NULL);

        if (date < 0)
            return -1;
        seconds = date < now ? 0 : (uint64_t)(date - now);
    }
    return (int64_t)(seconds > INT32_MAX ? INT32_MAX : seconds) * 1000;
}

char *link_next(const char *link)
{
    while ((link = strchr(link, '<')) != NULL) {
        const char *end = strchr(link, '>');
        size_t parameters;

        if (end == NULL)
            return NULL;
        parameters = strcspn(end, ",<");
        for (size_t i = 0; i < parameters; i++) {
            if (strncasecmp(end + i, "rel=next", 8) == 0 ||
                strncasecmp(end + i, "rel=\"next\"", 10) == 0)
                return strndup(link + 1, (size_t)(end - link - 1));
        }
        link = end;
    }
    return NULL;
}
