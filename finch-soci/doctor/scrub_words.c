/* SPDX-License-Identifier: Apache-2.0 */
/* scrub_words.c – secrets that are single words, by what they look like or what stands before them:
 *   logins            ann:secret@host with no :// in front
 *   words of HTTP     what follows Bearer or Basic
 *   options           --password secret, NAME_OF_A_TOKEN secret; password secret, as in .netrc
 *   tokens            AKIA…, eyJ…, ghp_… */
#include "doctor/internal.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

bool doctor_is_name_char(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '.';
}

static bool starts_nocase(const char *text, const char *word)
{
    return strncasecmp(text, word, strlen(word)) == 0;
}

/* ---- logins ---------------------------------------------------------------------------------- */

/* How much of the run of `len` is user and password, with the @; 0: it has none. An image's name
 * may have a digest behind an @. */
static size_t login_bytes(const char *run, size_t len)
{
    const char *colon = memchr(run, ':', len);
    size_t found = 0;

    if (colon == NULL || colon == run)
        return 0;
    for (size_t i = (size_t)(colon - run) + 1; i < len; i++)
        found = run[i] == '@' ? i + 1 : found;
    return found > 0 && text_has_prefix(run + found, "sha") ? 0 : found;
}

int doctor_scrub_logins(const char *in, struct buf *out)
{
    int rc = 0;

    while (*in != '\0' && rc == 0) {
        size_t len = strcspn(in, " \t\"'`<>()[]{},;=/\\");
        size_t login = login_bytes(in, len);

        if (login > 0)
            rc = buf_add_str(out, DOCTOR_GONE "@");
        if (rc == 0)
            rc = buf_add(out, in + login, len - login);
        in += len;
        if (rc == 0 && *in != '\0')
            rc = buf_add_byte(out, (uint8_t)*in++);
    }
    return rc;
}

/* ---- words of HTTP --------------------------------------------------------------------------- */

int doctor_scrub_schemes(const char *in, struct buf *out)
{
    bool at_word = true;
    int rc = 0;

    while (*in != '\0' && rc == 0) {
        size_t word = !at_word                      ? 0
                      : starts_nocase(in, "bearer") ? 6
                      : starts_nocase(in, "basic")  ? 5
                                                    : 0;
        size_t blanks = word == 0 ? 0 : strspn(in + word, " \t");

        word += blanks;
        at_word = !isalnum((unsigned char)*in);
        if (blanks == 0) {
            rc = buf_add_byte(out, (uint8_t)*in++);
            continue;
        }
        rc = buf_add(out, in, word);
        if (rc == 0)
            rc = buf_add_str(out, DOCTOR_GONE);
        in += word;
        in += strcspn(in, " \t\"'\\,");
    }
    return rc;
}

/* ---- options --------------------------------------------------------------------------------- */

static bool is_variable(const char *word, size_t len)
{
    bool has_line = false;

    for (size_t i = 0; i < len; i++) {
        if (!isupper((unsigned char)word[i]) && !isdigit((unsigned char)word[i]) && word[i] != '_')
            return false;
        has_line = has_line || word[i] == '_';
    }
    return has_line;
}

static bool is_one_of(const char *word, size_t len, const char *const *all)
{
    for (; *all != NULL; all++) {
        if (strlen(*all) == len && strncasecmp(word, *all, len) == 0)
            return true;
    }
    return false;
}

/* Prose speaks of tokens and secrets, too: there a digit makes the next word one. */
static bool is_secret_next(const char *line, const char *word, size_t len, const char *next)
{
    static const char *const always[] = {"password", "passwd", "passphrase", NULL};
    static const char *const perhaps[] = {"token", "secret", NULL};
    static const char *const of_login[] = {"-p", "-u", "--user", "--username", NULL};

    if (word[0] == '-')
        return (len > 2 && word[1] == '-' && doctor_is_secret_name(word + 2, len - 2) &&
                !is_one_of(word, len, of_login)) ||
               (is_one_of(word, len, of_login) &&
                (strstr(line, "login") != NULL || strstr(line, "curl") != NULL));
    if (is_variable(word, len))
        return doctor_is_secret_name(word, len);
    return is_one_of(word, len, always) ||
           (is_one_of(word, len, perhaps) && strcspn(next, "0123456789") < strcspn(next, " \t"));
}

int doctor_scrub_options(const char *in, struct buf *out)
{
    const char *line = in;
    int rc = 0;

    while (*in != '\0' && rc == 0) {
        size_t len = strcspn(in, " \t"), blanks = strspn(in + len, " \t");
        const char *next = in + len + blanks;
        bool is_secret = blanks > 0 && *next != '\0' && strchr(":=", *next) == NULL &&
                         is_secret_next(line, in, len, next);

        rc = buf_add(out, in, len + blanks);
        in = next;
        if (rc < 0 || !is_secret)
            continue;
        rc = buf_add_str(out, DOCTOR_GONE);
        in += strcspn(in, " \t\"'");
    }
    return rc;
}

/* ---- tokens by their looks ------------------------------------------------------------------- */

int doctor_scrub_tokens(const char *in, struct buf *out)
{
    static const char *const starts[] = {
        "AKIA",      "ASIA",  "eyJ",   "ghp_",        "gho_",    "ghs_", "ghu_",  "ghr_", "glpat-",
        "dckr_pat_", "xoxb-", "xoxp-", "github_pat_", "sha256~", "npm_", "ya29.", "AIza", "pypi-"};
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
        while (doctor_is_name_char(in[len]) || in[len] == '+' || in[len] == '/' || in[len] == '=')
            len++;
        rc = len >= 12 ? buf_add_str(out, DOCTOR_GONE) : buf_add(out, in, len);
        in += len;
    }
    return rc;
}
