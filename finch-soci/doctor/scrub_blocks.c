/* SPDX-License-Identifier: Apache-2.0 */
/* scrub_blocks.c – secrets that only the lines before tell of:
 *   systemd's Environment=   the value of every variable that is not known to be harmless, in the
 *                            lines that it goes on in, too
 *   [….header] of TOML       what is sent to a registry
 *   env: of YAML             variables again */
#include "doctor/internal.h"

#include <string.h>
#include <strings.h>

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

/* A=1 "B=2 3": of those that are not known only the names stay. A \ at the end goes on in the next
 * line. */
static int scrub_variables(const char *in, struct buf *out)
{
    int rc = 0;

    while (*in != '\0' && rc == 0) {
        char quote = (char)(*in == '"' || *in == '\'' ? *in : '\0');
        const char *name = in + (quote == '\0' ? 0 : 1);
        size_t len = strcspn(name, "= \t\"'"), all;

        all = quote == '\0' ? strcspn(name, " \t") : strcspn(name, (char[]){quote, 0});
        if (is_known_variable(name, len) || strcmp(name, "\\") == 0)
            rc = buf_addf(out, "%.*s", (int)all, name);
        else if (all > 0)
            rc = buf_addf(out, "%.*s=" DOCTOR_GONE, (int)len, name);
        in = name + all + (quote != '\0' && name[all] == quote ? 1 : 0);
        all = strspn(in, " \t");
        if (rc == 0)
            rc = buf_add(out, in, all);
        in += all;
    }
    return rc;
}

int doctor_scrub_environment(const char *in, struct buf *out)
{
    const char *equals = strstr(in, "Environment=");
    int rc;

    if (equals == NULL || strspn(in, " \t#;") != (size_t)(equals - in))
        return buf_add_str(out, in);
    equals += strlen("Environment=");
    rc = buf_add(out, in, (size_t)(equals - in));
    return rc < 0 ? rc : scrub_variables(equals, out);
}

/* ---- blocks ---------------------------------------------------------------------------------- */

static size_t indent_of(const char *line)
{
    return strspn(line, " \t");
}

/* "…header]", "…header"]", of a table. */
static bool begins_headers(const char *line)
{
    size_t len = strcspn(line, "]");

    while (len > 0 && strchr("\"' \t", line[len - 1]) != NULL)
        len--;
    return (len >= 6 && strncasecmp(line + len - 6, "header", 6) == 0) ||
           (len >= 7 && strncasecmp(line + len - 7, "headers", 7) == 0);
}

static bool begins_env(const char *word)
{
    return strncmp(word, "env:", 4) == 0 && word[4 + strspn(word + 4, " \t\r")] == '\0';
}

static bool goes_on(const char *line)
{
    size_t len = strlen(line);

    return len > 0 && line[len - 1] == '\\';
}

enum block_kind { BLOCK_NONE, BLOCK_HEADERS, BLOCK_ENV, BLOCK_VARIABLES };

static enum block_kind enter_line(struct doctor_block *block, const char *line)
{
    size_t indent = indent_of(line);
    const char *word = line + indent;
    bool goes_on_from_before = block->in_environment;

    block->in_environment =
        (goes_on_from_before || strncmp(word, "Environment=", 12) == 0) && goes_on(line);
    if (goes_on_from_before)
        return BLOCK_VARIABLES;
    if (*word == '\0' || *word == '#')
        return BLOCK_NONE;
    if (*word == '[') {
        block->in_headers = begins_headers(word);
        return BLOCK_NONE;
    }
    if (block->in_headers)
        return BLOCK_HEADERS;
    if (indent < block->env_indent)
        block->env_indent = 0;
    if (begins_env(word)) {
        block->env_indent = indent + 1;
        return BLOCK_NONE;
    }
    return block->env_indent > 0 && !is_known_variable(word, strcspn(word, ":")) ? BLOCK_ENV
                                                                                 : BLOCK_NONE;
}

/* Only what is before `sign` stays. */
static int scrub_behind(const char *line, char sign, struct buf *out)
{
    size_t len = strcspn(line, (char[]){sign, 0});
    int rc = line[len] == '\0' ? 0 : buf_add(out, line, len + 1);

    return rc < 0 ? rc : buf_add_str(out, line[len] == '\0' ? DOCTOR_GONE : " " DOCTOR_GONE);
}

int doctor_scrub_in_block(struct doctor_block *block, const char *line, struct buf *out)
{
    int rc = 0;

    switch (enter_line(block, line)) {
    case BLOCK_NONE:
        return 0;
    case BLOCK_HEADERS:
        rc = scrub_behind(line, '=', out);
        break;
    case BLOCK_ENV:
        rc = scrub_behind(line, ':', out);
        break;
    case BLOCK_VARIABLES:
        rc = scrub_variables(line, out);
        break;
    }
    return rc < 0 ? rc : 1;
}
