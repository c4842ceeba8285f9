/* SPDX-License-Identifier: Apache-2.0 */
/* scrub.c – secrets taken out of text that will be sent to others. What only looks like a secret
 * goes too: a log without a word is better than a token in a mail.
 *
 * Line by line, several rules, each of which writes the line anew:
 *   private keys            from BEGIN to END
 *   addresses               user and password before the host, and everything behind a ?
 *   words of HTTP           what follows Bearer or Basic
 *   names and values        name=value, name: value, "name":"value", where the name tells of a
 * secret systemd's Environment=  the value of every variable that is not known to be harmless
 *   tokens by their looks   AKIA…, eyJ…, ghp_… */
#include "doctor/internal.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#define GONE "***"

/* ---- characters ------------------------------------------------------------------------------ */

static bool is_name_char(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '.';
}

static bool is_end_of_address(char c)
{
    return c == '\0' || isspace((unsigned char)c) || strchr("\"'<>\\`)]},;", c) != NULL;
}

static bool starts_nocase(const char *text, const char *word)
{
    return strncasecmp(text, word, strlen(word)) == 0;
}

static int add(struct buf *out, const char *text, size_t len)
{
    return buf_add(out, text, len);
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

    while (is_name_char(text[n]) || text[n] == '%')
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

            rc = buf_add_str(out, user > 0 ? "://" GONE "@" : "://");
            in += 3 + user;
            in_address = true;
            continue;
        }
        in_address = in_address && !is_end_of_address(*in);
        if (*in == '?' && (in_address || is_query(in))) {
            rc = buf_add_str(out, "?" GONE);
            while (!is_end_of_address(*in))
                in++;
            in_address = false;
            continue;
        }
        rc = buf_add_byte(out, (uint8_t)*in++);
    }
    return rc;
}

/* ---- words of HTTP --------------------------------------------------------------------------- */

static int scrub_schemes(const char *in, struct buf *out)
{
    bool at_word = true;
    int rc = 0;

    while (*in != '\0' && rc == 0) {
        size_t word = !at_word                       ? 0
                      : starts_nocase(in, "bearer ") ? 7
                      : starts_nocase(in, "basic ")  ? 6
                                                     : 0;

        at_word = !isalnum((unsigned char)*in);
        if (word == 0) {
            rc = buf_add_byte(out, (uint8_t)*in++);
            continue;
        }
        rc = add(out, in, word);
        if (rc == 0)
            rc = buf_add_str(out, GONE);
        in += word;
        in += strcspn(in, " \t\"'\\,");
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

static bool is_secret_name(const char *name, size_t len)
{
    static const char *const parts[] = {
        "password",   "passwd",        "passphrase",  "secret",    "token",
        "apikey",     "api_key",       "api-key",     "accesskey", "access_key",
        "access-key", "privatekey",    "private_key", "session",   "signature",
        "cookie",     "authorization", "credential",  "username",  "certificate-data",
        "key-data"};
    static const char *const whole[] = {"auth", "auths", "sig", "pwd", "pass", "user", "key"};
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
                          : isspace((unsigned char)value[n]) || strchr(",;&\"'}", value[n]) != NULL)
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

        while (is_name_char(in[len]))
            len++;
        if (len == 0) {
            before = *in;
            rc = buf_add_byte(out, (uint8_t)*in++);
            continue;
        }
        gap = is_secret_name(in, len) ? separator_bytes(in + len) : 0;
        rc = add(out, in, len + gap);
        if (gap > 0 && rc == 0) {
            const char *name = in, *value = in + len + gap;
            size_t blank = strspn(value, " \t\\"), skip;

            quote = value[blank] == '"' || value[blank] == '\'' ? value[blank] : '\0';
            blank += quote == '\0' ? 0 : 1;
            /* "NAME=a b": the whole assignment is quoted, with no quote between name and sign */
            if (quote == '\0' && (before == '"' || before == '\'') && strchr(":=", in[len]) != NULL)
                quote = before;
            rc = add(out, value, blank);
            skip = value_bytes(name, len, value + blank, quote);
            if (rc == 0 && skip > 0)
                rc = buf_add_str(out, GONE);
            in = value + blank + skip;
        } else {
            in += len + gap;
        }
        before = '\0';
    }
    return rc;
}

/* ---- systemd's variables --------------------------------------------------------------------- */

static bool is_known_variable(const char *name, size_t len)
{
    static const char *const known[] = {"PATH",     "HOME",   "LANG",     "DOCKER_CONFIG",
                                        "SUDO_UID", "TMPDIR", "NO_PROXY", "no_proxy"};

    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (strlen(known[i]) == len && strncmp(name, known[i], len) == 0)
            return true;
    }
    return (len > 5 && strncmp(name, "SOCI_", 5) == 0) ||
           (len > 11 && strncmp(name, "CONTAINERD_", 11) == 0);
}

/* Environment=A=1 "B=2 3": of the others only the names stay. */
static int scrub_environment(const char *in, struct buf *out)
{
    const char *equals = strstr(in, "Environment=");
    int rc;

    if (equals == NULL || strspn(in, " \t#;") != (size_t)(equals - in))
        return buf_add_str(out, in);
    equals += strlen("Environment=");
    rc = add(out, in, (size_t)(equals - in));
    while (*equals != '\0' && rc == 0) {
        char quote = *equals == '"' || *equals == '\'' ? *equals : '\0';
        const char *name = equals + (quote == '\0' ? 0 : 1);
        size_t len = strcspn(name, "= \t\"'"), all;

        all = quote == '\0' ? strcspn(name, " \t") : strcspn(name, (char[]){quote, 0});
        if (is_known_variable(name, len))
            rc = buf_addf(out, "%.*s", (int)all, name);
        else if (all > 0)
            rc = buf_addf(out, "%.*s=" GONE, (int)len, name);
        equals = name + all + (quote != '\0' && name[all] == quote ? 1 : 0);
        all = strspn(equals, " \t");
        if (rc == 0)
            rc = add(out, equals, all);
        equals += all;
    }
    return rc;
}

/* ---- tokens by their looks ------------------------------------------------------------------- */

static int scrub_tokens(const char *in, struct buf *out)
{
    static const char *const starts[] = {"AKIA",  "ASIA",  "eyJ",        "ghp_",   "gho_",
                                         "ghs_",  "ghu_",  "ghr_",       "glpat-", "dckr_pat_",
                                         "xoxb-", "xoxp-", "github_pat_"};
    bool at_word = true;
    int rc = 0;

    while (*in != '\0' && rc == 0) {
        size_t len = 0;

        for (size_t i = 0; i < ARRAY_LEN(starts) && at_word && len == 0; i++)
            len = text_has_prefix(in, starts[i]) ? strlen(starts[i]) : 0;
        at_word = !isalnum((unsigned char)*in);
        if (len == 0) {
            rc = buf_add_byte(out, (uint8_t)*in++);
            continue;
        }
        while (is_name_char(in[len]) || in[len] == '+' || in[len] == '/' || in[len] == '=')
            len++;
        rc = len >= 12 ? buf_add_str(out, GONE) : add(out, in, len);
        in += len;
    }
    return rc;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int scrub_line(const char *line, struct buf *out)
{
    static int (*const rules[])(const char *in, struct buf *out) = {
        scrub_environment, scrub_addresses, scrub_schemes, scrub_names, scrub_tokens};
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

int doctor_scrub(struct bytes text, struct buf *ret)
{
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
        rc = in_key ? 0 : scrub_line(plain, ret);
        if (rc == 0 && strstr(plain, "-----END ") != NULL && in_key) {
            in_key = false;
            rc = buf_add_str(ret, "(a private key) " GONE);
        } else if (in_key) {
            continue;
        }
        if (rc == 0)
            rc = buf_add_byte(ret, '\n');
    }
    return rc;
}
