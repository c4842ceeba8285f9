/* SPDX-License-Identifier: Apache-2.0 */
/* challenge.c – WWW-Authenticate: which credentials a registry wants (RFC 9110, 11.6.1). */
#include "registry/internal.h"

#include <errno.h>

void challenge_fini(struct challenge *challenge)
{
    free(challenge->realm);
    free(challenge->service);
    free(challenge->scope);
    memset(challenge, 0, sizeof(*challenge));
}

static bool is_token_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static const char *skip_space(const char *s)
{
    while (*s == ' ' || *s == '\t')
        s++;
    return s;
}

/* A token or a quoted string at *pos: new and *pos behind it. 0, -EINVAL, -ENOMEM. */
static int take_value(const char **pos, char **ret)
{
    const char *s = *pos;
    size_t len = 0;
    char *out = malloc(strlen(s) + 1);

    if (out == NULL)
        return -ENOMEM;
    if (*s != '"') {
        while (is_token_char(*s))
            out[len++] = *s++;
    } else {
        for (s++; *s != '"'; s++) {
            if (*s == '\\' && s[1] != '\0')
                s++;
            if (*s == '\0') {
                free(out);
                return -EINVAL;
            }
            out[len++] = *s;
        }
        s++;
    }
    out[len] = '\0';
    *pos = s;
    *ret = out;
    return 0;
}

static enum challenge_kind kind_of(const char *name, size_t len)
{
    if (len == 5 && strncasecmp(name, "Basic", len) == 0)
        return CHALLENGE_BASIC;
    return len == 6 && strncasecmp(name, "Bearer", len) == 0 ? CHALLENGE_BEARER : CHALLENGE_NONE;
}

static void set_parameter(struct challenge *challenge, const char *name, size_t len, char **value)
{
    char **place = NULL;

    if (len == 5 && strncasecmp(name, "realm", len) == 0)
        place = &challenge->realm;
    else if (len == 7 && strncasecmp(name, "service", len) == 0)
        place = &challenge->service;
    else if (len == 5 && strncasecmp(name, "scope", len) == 0)
        place = &challenge->scope;
    if (place != NULL && *place == NULL)
        *place = TAKE(*value);
}

/* The parameters of one challenge, up to the next scheme or the end. A name without = is the next
 * scheme. */
static int take_parameters(const char **pos, struct challenge *challenge)
{
    for (;;) {
        const char *name = *pos + strspn(*pos, " \t,");
        const char *end = name, *equals;
        SCOPED(mem) char *value = NULL;
        int rc;

        while (is_token_char(*end))
            end++;
        equals = skip_space(end);
        if (*equals != '=' || end == name) {
            *pos = name;
            return 0;
        }
        equals = skip_space(equals + 1);
        rc = take_value(&equals, &value);
        if (rc < 0)
            return rc;
        set_parameter(challenge, name, (size_t)(end - name), &value);
        *pos = equals;
    }
}

int challenge_add(struct challenge *ret, const char *value)
{
    const char *pos = value + strspn(value, " \t,");

    while (is_token_char(*pos)) {
        struct challenge found = {.kind = CHALLENGE_NONE};
        const char *name = pos;
        int rc;

        while (is_token_char(*pos))
            pos++;
        found.kind = kind_of(name, (size_t)(pos - name));
        rc = take_parameters(&pos, &found);
        if (rc == 0 && found.kind > ret->kind) {
            challenge_fini(ret);
            *ret = found;
        } else {
            challenge_fini(&found);
        }
        if (rc < 0)
            return rc == -EINVAL ? 0 : rc;
    }
    return 0;
}
