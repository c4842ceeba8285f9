/* SPDX-License-Identifier: Apache-2.0 */
/* ssh_config.c – how to reach a machine, from the file that Lima writes for OpenSSH. */
#include "lima/lima.h"

#include "base/text.h"

#include <errno.h>
#include <strings.h>

enum { WORDS_MAX = 8 };

void lima_ssh_fini(struct lima_ssh *ssh)
{
    free(ssh->host);
    free(ssh->user);
    free(ssh->identity);
    free(ssh->known_hosts);
    *ssh = (struct lima_ssh){.port = 0};
}

/* ---- a line ---------------------------------------------------------------------------------- */

/* Its words, in place: `Key value`, `Key=value`, quotes around what has spaces, # for the rest. */
struct line {
    char *words[WORDS_MAX];
    size_t count;
};

static bool is_gap(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* One word from *at on, quotes removed; NULL: there is none, or its quote does not end. */
static char *take_word(char **at, bool is_key)
{
    char *start = *at, *end;
    char quote = *start;

    if (quote == '"' || quote == '\'') { /* the second is what Lima writes on Windows */
        start++;
        end = strchr(start, quote);
        if (end == NULL)
            return NULL;
    } else {
        end = start;
        while (*end != '\0' && !is_gap(*end) && !(is_key && *end == '='))
            end++;
    }
    *at = *end == '\0' ? end : end + 1;
    *end = '\0';
    return start;
}

static struct line split(char *text)
{
    struct line line = {.count = 0};
    char *at = text;

    while (line.count < WORDS_MAX) {
        while (is_gap(*at) || (line.count == 1 && *at == '='))
            at++;
        if (*at == '\0' || *at == '#')
            break;
        line.words[line.count] = take_word(&at, line.count == 0);
        if (line.words[line.count] == NULL)
            return (struct line){.count = 0};
        line.count++;
    }
    return line;
}

/* ---- the file -------------------------------------------------------------------------------- */

struct found {
    struct lima_ssh ssh;
    bool checks, says_checks; /* StrictHostKeyChecking */
    bool is_ours;             /* in a Host section that matches */
};

/* As ssh_config has patterns: * any text, ? any character. */
static bool is_like(const char *s, const char *pattern)
{
    const char *star = NULL, *from = NULL; /* where the last * may take more */

    while (*s != '\0') {
        if (*pattern == '*') {
            star = ++pattern;
            from = s;
        } else if (*pattern == *s || *pattern == '?') {
            pattern++;
            s++;
        } else if (star != NULL) {
            pattern = star;
            s = ++from;
        } else {
            return false;
        }
    }
    return pattern[strspn(pattern, "*")] == '\0';
}

static bool matches(const struct line *line, const char *host)
{
    bool found = false;

    for (size_t i = 1; i < line->count; i++) {
        const char *pattern = line->words[i];

        if (pattern[0] == '!' && is_like(host, pattern + 1))
            return false;
        found = found || is_like(host, pattern);
    }
    return found;
}

/* The first value of a key wins. */
static int set_text(char **to, const char *value)
{
    if (*to == NULL)
        *to = text_copy(value);
    return *to == NULL ? -ENOMEM : 0;
}

static int set_port(unsigned *to, const char *value, struct err *err)
{
    uint64_t port = 0;

    if (text_parse_u64(value, &port) < 0 || port < 1 || port > 65535)
        return err_set(err, -EBADMSG, "Port %s is none", value);
    if (*to == 0)
        *to = (unsigned)port;
    return 0;
}

static int take_line(const struct line *line, const char *host, struct found *found,
                     struct err *err)
{
    const char *key = line->words[0], *value = line->count > 1 ? line->words[1] : "";
    int rc = 0;

    if (strcasecmp(key, "Host") == 0)
        found->is_ours = matches(line, host);
    else if (strcasecmp(key, "Match") == 0)
        found->is_ours = false; /* Lima writes none, and what they ask is not known here */
    else if (!found->is_ours)
        return 0;
    else if (strcasecmp(key, "Hostname") == 0)
        rc = set_text(&found->ssh.host, value);
    else if (strcasecmp(key, "User") == 0)
        rc = set_text(&found->ssh.user, value);
    else if (strcasecmp(key, "IdentityFile") == 0)
        rc = set_text(&found->ssh.identity, value);
    else if (strcasecmp(key, "UserKnownHostsFile") == 0)
        rc = set_text(&found->ssh.known_hosts, value);
    else if (strcasecmp(key, "Port") == 0)
        return set_port(&found->ssh.port, value, err);
    else if (strcasecmp(key, "StrictHostKeyChecking") == 0 && !found->says_checks) {
        found->says_checks = true;
        found->checks = strcasecmp(value, "no") != 0 && strcasecmp(value, "off") != 0;
    }
    return rc < 0 ? err_set(err, rc, "out of memory") : 0;
}

/* Keys of a machine on loopback cannot be known beforehand, so Lima has them not checked; where its
 * file says otherwise, they are. */
static int finish(struct found *found, const char *host, struct err *err)
{
    if (!found->checks ||
        (found->ssh.known_hosts != NULL && strcmp(found->ssh.known_hosts, "/dev/null") == 0)) {
        free(found->ssh.known_hosts);
        found->ssh.known_hosts = NULL;
    } else if (found->ssh.known_hosts == NULL) {
        return err_set(err, -EBADMSG,
                       "host keys are to be checked, and UserKnownHostsFile is not said");
    }
    if (found->ssh.host == NULL || found->ssh.identity == NULL || found->ssh.user == NULL)
        return err_set(err, -EBADMSG, "no %s for %s",
                       found->ssh.host == NULL   ? "Hostname"
                       : found->ssh.user == NULL ? "User"
                                                 : "IdentityFile",
                       host);
    if (found->ssh.port == 0)
        found->ssh.port = 22;
    return 0;
}

static int read_lines(char *text, const char *host, struct found *found, struct err *err)
{
    unsigned number = 0;
    char *next = text;
    int rc = 0;

    while (rc == 0 && next != NULL && *next != '\0') {
        char *current = next;
        struct line line;

        next = strchr(current, '\n');
        if (next != NULL)
            *next++ = '\0';
        number++;
        line = split(current);
        if (line.count > 0)
            rc = take_line(&line, host, found, err);
    }
    return rc < 0 ? err_prefix(err, rc, "line %u", number) : 0;
}

int lima_parse_ssh_config(struct bytes text, const char *host, struct lima_ssh *ret,
                          struct err *err)
{
    SCOPED(mem) char *copy = NULL;
    struct found found = {.is_ours = true,
                          .checks = true}; /* what stands before any Host is for all */
    int rc;

    if (text.len > 0 && memchr(text.data, '\0', text.len) != NULL)
        return err_set(err, -EBADMSG, "not a text");
    copy = text.len == 0 ? strdup("") : strndup((const char *)text.data, text.len);
    if (copy == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    rc = read_lines(copy, host, &found, err);
    if (rc == 0)
        rc = finish(&found, host, err);
    if (rc < 0) {
        lima_ssh_fini(&found.ssh);
        return rc;
    }
    *ret = found.ssh;
    return 0;
}
