/* SPDX-License-Identifier: Apache-2.0 */
/* config_hosts.c – [[resolver.host."name".mirrors]]: how single registries are reached. */
#include "daemon/config_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_MAX_S = 86400 };

/* resolver.host.<name>.mirrors.<n>.<key> */
enum { HOST_DEPTH = 3, MIRRORS_DEPTH = 4, MIRROR_DEPTH = 5, MIRROR_KEY_DEPTH = 6 };

/* As far as a name from a file must be checked before it is compared with others: printable ASCII.
 */
static bool is_host_name(const char *host)
{
    for (const char *c = host; *c != '\0'; c++) {
        if (*c <= ' ' || *c > '~')
            return false;
    }
    return host[0] != '\0';
}

/* An address with its scheme: what a bare name or a number with a port means is not guessed. The
 * registry's client looks at the rest of it. */
static bool is_address(const char *url)
{
    const char *host = strstr(url, "://");

    return (text_has_prefix(url, "http://") || text_has_prefix(url, "https://")) &&
           is_host_name(url) && host[3] != '/' && host[3] != '\0';
}

/* The one with that number, which is new when its first key comes. NULL: out of memory. */
static struct config_mirror *get_mirror(struct config *config, const char *of, const char *number)
{
    struct config_mirror *list, *mirror;
    size_t at = config->mirror_count;

    for (size_t i = 0; i < config->mirror_count; i++) {
        mirror = &config->mirrors[i];
        if (strcmp(mirror->of, of) == 0 && strcmp(mirror->number, number) == 0)
            return mirror;
    }
    list = realloc(config->mirrors, (config->mirror_count + 1) * sizeof(*list));
    if (list == NULL)
        return NULL;
    config->mirrors = list;
    /* By host, whatever the order of tables whose names differ in case alone. */
    while (at > 0 && strcmp(list[at - 1].of, of) > 0)
        at--;
    memmove(&list[at + 1], &list[at], (config->mirror_count - at) * sizeof(*list));
    mirror = &list[at];
    *mirror = (struct config_mirror){.of = text_copy(of), .number = text_copy(number)};
    config->mirror_count++; /* config_fini() frees what there is of it */
    return mirror->of == NULL || mirror->number == NULL ? NULL : mirror;
}

static int read_insecure(struct config_mirror *mirror, const struct toml_value *value,
                         struct err *err)
{
    if (value->kind != TOML_BOOL)
        return err_set(err, -EINVAL, "toml: line %u: insecure must be true or false", value->line);
    mirror->insecure = value->boolean;
    return 0;
}

static int read_address(struct config_mirror *mirror, const struct toml_value *value,
                        struct err *err)
{
    if (value->kind != TOML_STRING)
        return err_set(err, -EINVAL, "toml: line %u: host must be a string", value->line);
    if (!is_address(value->string))
        return err_set(err, -ERANGE,
                       "line %u: resolver.host.\"%.100s\".mirrors: host = \"%.100s\" must be an "
                       "address with http:// or https://",
                       value->line, mirror->of, value->string);
    free(mirror->url);
    mirror->url = text_copy(value->string);
    return mirror->url == NULL ? err_set(err, -ENOMEM, "out of memory") : 0;
}

static int read_timeout(struct config_mirror *mirror, const struct toml_value *value,
                        struct err *err)
{
    if (value->kind != TOML_INTEGER)
        return err_set(err, -EINVAL, "toml: line %u: request_timeout_sec must be a whole number",
                       value->line);
    if (value->integer > TIMEOUT_MAX_S)
        return err_set(err, -ERANGE,
                       "line %u: resolver.host.\"%.100s\".mirrors: request_timeout_sec must be at "
                       "most %d",
                       value->line, mirror->of, TIMEOUT_MAX_S);
    mirror->request_timeout_s = value->integer < 0 ? -1 : value->integer;
    return 0;
}

static int read_mirror(struct config *config, const char *const *path,
                       const struct toml_value *value, struct err *err)
{
    const char *key = path[MIRROR_KEY_DEPTH - 1], *of = path[HOST_DEPTH - 1];
    struct config_mirror *mirror;

    if (!is_host_name(of))
        return err_set(err, -EINVAL, "toml: line %u: resolver.host has a table for no host",
                       value->line);
    mirror = get_mirror(config, of, path[MIRROR_DEPTH - 1]);
    if (mirror == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    if (text_equal_nocase(key, "host"))
        return read_address(mirror, value, err);
    if (text_equal_nocase(key, "insecure"))
        return read_insecure(mirror, value, err);
    if (text_equal_nocase(key, "request_timeout_sec"))
        return read_timeout(mirror, value, err);
    return TOML_SKIP;
}

int config_hosts_value(struct config *config, const char *const *path, size_t depth,
                       const struct toml_value *value, struct err *err)
{
    bool is_list = depth == MIRRORS_DEPTH;

    if (depth >= MIRRORS_DEPTH && !text_equal_nocase(path[MIRRORS_DEPTH - 1], "mirrors"))
        return TOML_SKIP;
    if (depth >= MIRROR_KEY_DEPTH)
        return depth > MIRROR_KEY_DEPTH ? TOML_SKIP : read_mirror(config, path, value, err);
    if (value->kind != (is_list ? TOML_ARRAY : TOML_TABLE))
        return err_set(err, -EINVAL, "toml: line %u: %s must be %s", value->line,
                       depth == MIRROR_DEPTH ? "a mirror" : path[depth - 1],
                       is_list ? "an array of tables" : "a table");
    return 0;
}

/* Of the registry and not of somebody else: no address, or the registry's own. */
static bool is_about_itself(const struct config_mirror *mirror)
{
    const char *host = mirror->url == NULL ? mirror->of : strstr(mirror->url, "://") + 3;
    SCOPED(mem) char *name = strndup(host, strcspn(host, "/"));

    return name != NULL && text_equal_nocase(name, mirror->of);
}

int config_hosts_finish(struct config *config, struct err *err)
{
    int rc = 0;

    for (size_t i = 0; i < config->mirror_count && rc == 0; i++) {
        const struct config_mirror *mirror = &config->mirrors[i];

        if (mirror->insecure && is_about_itself(mirror) &&
            !text_list_has(&config->plain_http_hosts, mirror->of))
            rc = text_list_add(&config->plain_http_hosts, mirror->of);
    }
    return rc < 0 ? err_set(err, rc, "out of memory") : 0;
}

/* TOML's strings escape as JSON's do. */
static int print_text(const char *before, const char *text, const char *after, struct buf *ret)
{
    int rc = buf_add_str(ret, before);

    if (rc == 0)
        rc = text_add_json(ret, bytes_of_str(text), false);
    return rc == 0 ? buf_add_str(ret, after) : rc;
}

static int print_mirror(const struct config_mirror *mirror, struct buf *ret)
{
    int rc = print_text("\n[[resolver.host.", mirror->of, ".mirrors]]\n", ret);

    if (rc == 0 && mirror->url != NULL)
        rc = print_text("host = ", mirror->url, "\n", ret);
    if (rc == 0)
        rc = buf_addf(ret, "insecure = %s\n", mirror->insecure ? "true" : "false");
    if (rc == 0 && mirror->request_timeout_s != 0)
        rc = buf_addf(ret, "request_timeout_sec = %" PRId64 "\n", mirror->request_timeout_s);
    return rc;
}

int config_hosts_print(const struct config *config, struct buf *ret)
{
    int rc = 0;

    for (size_t i = 0; i < config->mirror_count && rc == 0; i++)
        rc = print_mirror(&config->mirrors[i], ret);
    return rc;
}

void config_hosts_fini(struct config *config)
{
    for (size_t i = 0; i < config->mirror_count; i++) {
        free(config->mirrors[i].of);
        free(config->mirrors[i].number);
        free(config->mirrors[i].url);
    }
    free(TAKE(config->mirrors));
    config->mirror_count = 0;
}
