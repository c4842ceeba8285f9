/* SPDX-License-Identifier: Apache-2.0 */
/* scrub.c – secrets taken out of text that will be sent to others. What only looks like a secret
 * goes too: a log without a word is better than a token in a mail.
 *
 * Line by line, several rules, each of which writes the line anew:
 *   private keys            from BEGIN to END
 *   blocks                  scrub_blocks.c
 *   addresses               user and password before the host, and everything behind a ?
 *   names and values        name=value, name: value, "name":"value", where the name tells of a
 *                           secret
 *   single words            scrub_words.c */
#include "doctor/internal.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

/* ---- characters ------------------------------------------------------------------------------ */

static bool is_end_of_address(char c)
{
    return c == '\0' || isspace((unsigned char)c) || strchr("\"'<>\\`)]},;", c) != NULL;
}

/* ---- addresses ------------------------------------------------------------------------------- */

/* How much of the text before the host is user and password, with the @; 0: there is none. */
static size_t userinfo_bytes(const char *text)
{
    size_t n = 0, found = 0;

    for (; !is_end_of_address(text[n]) && text[n] != '/' && text[n] != '?'; n++)
        found = text[n] == '@' ? n + 1 : found;
    return found;
}

/* Does a query begin here: ?name= */
static bool is_query(const char *text)
{
    size_t n = 1;

    while (doctor_is_name_char(text[n]) || text[n] == '%')
        n++;
    return text[0] == '?' && n > 1 && text[n] == '=';
}

static int scrub_addresses(const char *in, struct buf *out)
{
    int rc = 0;
    bool in_address = false;

    while (*in != '\0' && rc == 0) {
        if (text_has_prefix(in, "://")) {
            size_t user = userinfo_bytes(in + 3);

            rc = buf_add_str(out, user > 0 ? "://" DOCTOR_GONE "@" : "://");
            in += 3 + user;
            in_address = true;
            continue;
        }
        in_address = in_address && !is_end_of_address(*in);
        if ((*in == '?' && (in_address || is_query(in))) ||
            (in_address && strncasecmp(in, "%3F", 3) == 0)) {
            rc = buf_add_str(out, "?" DOCTOR_GONE);
            while (!is_end_of_address(*in))
                in++;
            in_address = false;
            continue;
        }
        rc = buf_add_byte(out, (uint8_t)*in++);
    }
    return rc;
}

/* ---- names and values ------------------------------------------------------------------------ */

static bool contains_nocase(const char *text, size_t len, const char *word)
{
    size_t n = strlen(word);

    for (size_t i = 0; i + n <= len; i++) {
        if (strncasecmp(text + i, word, n) == 0)
            return true;
    }
    return false;
}

bool doctor_is_secret_name(const char *name, size_t len)
{
    static const char *const parts[] = {
        "password",   "passwd",        "passphrase",  "secret",    "token",
        "apikey",     "api_key",       "api-key",     "accesskey", "access_key",
        "access-key", "privatekey",    "private_key", "session",   "signature",
        "cookie",     "authorization", "credential",  "username",  "certificate-data",
        "key-data"};
    static const char *const whole[] = {"auths", "sig",    "user",    "key",
                                        "env",   "header", "headers", "username"};
    static const char *const ends[] = {"auth", "pass", "pwd", "_key", "-key", ".key"};
    static const char *const harmless[] = {"credsStore", "credHelpers", "creds_helpers",
                                           "credentials_ttl", "DOCKER_CONFIG"};

    for (size_t i = 0; i < ARRAY_LEN(harmless); i++) {
        if (strlen(harmless[i]) == len && strncmp(name, harmless[i], len) == 0)
            return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (contains_nocase(name, len, parts[i]))
            return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(whole); i++) {
        if (strlen(whole[i]) == len && strncasecmp(name, whole[i], len) == 0)
            return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        size_t n = strlen(ends[i]);

        if (len >= n && strncasecmp(name + len - n, ends[i], n) == 0)
            return true;
    }
    return false;
}

/* Behind the name: quotes, blanks, and then : or =. 0: nothing is said of it. */
static size_t separator_bytes(const char *text)
{
    size_t n = strspn(text, "\\\"' \t"), sign = strspn(text + n, ":=");

    return sign == 0 ? 0 : n + sign;
}

/* The value ends with the quote that it began with, or that its name began with. Headers and
 * objects take all of the line. */
static size_t value_bytes(const char *name, size_t name_len, const char *value, char quote)
{
    size_t n = 0;

    if (*value == '{' || *value == '[' || contains_nocase(name, name_len, "authorization") ||
        contains_nocase(name, name_len, "cookie"))
        return quote == '\0' || *value == '{' || *value == '[' ? strlen(value)
                                                               : strcspn(value, (char[]){quote, 0});
    while (value[n] != '\0') {
        if (quote != '\0' ? value[n] == quote && (n == 0 || value[n - 1] != '\\')
                          : isspace((unsigned char)value[n]) || strchr("&\"'}", value[n]) != NULL)
            break;
        n++;
    }
    return n;
}

static int scrub_names(const char *in, struct buf *out)
{
    char before = '\0'; /* the name */
    int rc = 0;

    while (*in != '\0' && rc == 0) {
        size_t len = 0, gap;
        char quote;

        while (doctor_is_name_char(in[len]))
            len++;
        if (len == 0) {
            before = *in;
            rc = buf_add_byte(out, (uint8_t)*in++);
            continue;
        }
        gap = doctor_is_secret_name(in, len) ? separator_bytes(in + len) : 0;
        rc = buf_add(out, in, len + gap);
        if (gap > 0 && rc == 0) {
            const char *name = in, *value = in + len + gap;
            size_t blank = strspn(value, " \t\\"), skip;

            quote = (char)(value[blank] == '"' || value[blank] == '\'' ? value[blank] : '\0');
            blank += quote == '\0' ? 0 : 1;
            /* "NAME=a b": the whole assignment is quoted, with no quote between name and sign */
            if (quote == '\0' && (before == '"' || before == '\'') && strchr(":=", in[len]) != NULL)
                quote = before;
            rc = buf_add(out, value, blank);
            skip = value_bytes(name, len, value + blank, quote);
            if (rc == 0 && skip > 0)
                rc = buf_add_str(out, DOCTOR_GONE);
            in = value + blank + skip;
        } else {
            in += len + gap;
        }
        before = '\0';
    }
    return rc;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int scrub_by_rules(const char *line, struct buf *out)
{
    static int (*const rules[])(const char *in, struct buf *out) = {
        doctor_scrub_environment, scrub_addresses, doctor_scrub_logins, doctor_scrub_schemes,
        doctor_scrub_options,     scrub_names,     doctor_scrub_tokens};
    SCOPED(mem) char *text = text_copy(line);
    int rc = text == NULL ? -ENOMEM : 0;

    for (size_t i = 0; i < ARRAY_LEN(rules) && rc == 0; i++) {
        SCOPED(buf_value) struct buf anew = BUF_EMPTY;
        const char *done;

        rc = rules[i](text, &anew);
        done = rc == 0 ? buf_str(&anew) : NULL;
        free(text);
        text = done == NULL ? NULL : text_copy(done);
        rc = text == NULL ? -ENOMEM : 0;
    }
    return rc == 0 ? buf_add_str(out, text) : rc;
}

static int scrub_line(struct doctor_block *block, const char *line, struct buf *out)
{
    int rc = doctor_scrub_in_block(block, line, out);

    return rc == 0 ? scrub_by_rules(line, out) : rc < 0 ? rc : 0;
}

int doctor_scrub(struct bytes text, struct buf *ret)
{
    struct doctor_block block = {.env_indent = 0};
    bool in_key = false;
    int rc = 0;

    while (text.len > 0 && rc == 0) {
        struct bytes bytes = doctor_next_line(&text);
        SCOPED(buf_value) struct buf line = BUF_EMPTY;
        const char *plain;

        rc = buf_add(&line, bytes.data, bytes.len);
        for (size_t i = 0; i < line.len && rc == 0; i++)
            line.data[i] = line.data[i] == '\0' ? ' ' : line.data[i];
        plain = rc == 0 ? buf_str(&line) : NULL;
        if (plain == NULL)
            return -ENOMEM;
        if (strstr(plain, "-----BEGIN ") != NULL && strstr(plain, "PRIVATE KEY") != NULL)
            in_key = true;
        rc = in_key ? 0 : scrub_line(&block, plain, ret);
        if (rc == 0 && strstr(plain, "-----END ") != NULL && in_key) {
            in_key = false;
            rc = buf_add_str(ret, "(a private key) " DOCTOR_GONE);
        } else if (in_key) {
            continue;
        }
        if (rc == 0)
            rc = buf_add_byte(ret, '\n');
    }
    return rc;
}
