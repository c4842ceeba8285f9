/* SPDX-License-Identifier: Apache-2.0 */
/* mirrors.c – where else a host's images are to be had: what the options say, and a repository's
 * places there. */
#include "registry/internal.h"

#include <errno.h>

DEFINE_SCOPED_PTR(mirror_curlu, CURLU, curl_url_cleanup)

static inline void scoped_mirror_curl_text(char *const *text)
{
    curl_free(*text);
}

/* What is before a host may be a password, and what is behind a ? too: these are not shown. */
static int no_url(const struct registry_mirror *mirror, struct err *err)
{
    const char *url = mirror->url == NULL ? "" : mirror->url, *at = strrchr(url, '@');
    const char *shown = at == NULL ? url : at + 1;

    return err_set(
        err, -EINVAL,
        "mirror of %s: \"%s%.*s\" is no address: http://host or https://host[:port][/path]",
        mirror->host, at == NULL ? "" : "***@", (int)strcspn(shown, "?"), shown);
}

/* Only what a repository's path can be appended to. */
static bool is_plain_address(const char *url)
{
    const char *host = strstr(url, "://");

    return host != NULL && strpbrk(url, "?#@ \\\"<>") == NULL && host[3] != '\0' &&
           host[3] != '/' && strlen(url) < URL_MAX_BYTES / 2;
}

int mirror_base_parse(const struct registry_mirror *mirror, char **ret, struct err *err)
{
    SCOPED(mirror_curlu) CURLU *url = curl_url();
    SCOPED(mirror_curl_text) char *whole = NULL;
    const char *given = mirror->url, *path;
    size_t len;

    if (given == NULL || !is_plain_address(given) ||
        (strncasecmp(given, "http://", 7) != 0 && strncasecmp(given, "https://", 8) != 0))
        return no_url(mirror, err);
    if (url == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    if (curl_url_set(url, CURLUPART_URL, given, CURLU_DISALLOW_USER) != CURLUE_OK ||
        (mirror->insecure && curl_url_set(url, CURLUPART_SCHEME, "http", 0) != CURLUE_OK) ||
        curl_url_get(url, CURLUPART_URL, &whole, 0) != CURLUE_OK)
        return no_url(mirror, err);
    len = strlen(whole);
    while (whole[len - 1] == '/')
        len--;
    path = strchr(strstr(whole, "://") + 3, '/');
    *ret = path == NULL || (size_t)(path - whole) >= len ? text_format("%.*s/v2", (int)len, whole)
                                                         : strndup(whole, len);
    return *ret == NULL ? err_set(err, -ENOMEM, "out of memory") : 0;
}

static int init_mirror(struct mirror *mirror, const struct registry_mirror *from, struct err *err)
{
    int rc = mirror_base_parse(from, &mirror->base, err);

    if (rc < 0)
        return rc;
    mirror->of = strdup(from->host);
    mirror->host = url_host(mirror->base);
    mirror->timeout_ms = from->request_timeout_ms;
    atomic_init(&mirror->shun_until_ms, INT64_MIN);
    return mirror->of == NULL || mirror->host == NULL ? err_set(err, -ENOMEM, "out of memory") : 0;
}

int mirrors_init(struct registry *registry, const struct registry_options *options, struct err *err)
{
    if (options->mirror_count == 0)
        return 0;
    registry->mirrors = calloc(options->mirror_count, sizeof(registry->mirrors[0]));
    if (registry->mirrors == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < options->mirror_count; i++) {
        int rc;

        registry->mirror_count = i + 1;
        rc = init_mirror(&registry->mirrors[i], &options->mirrors[i], err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

void mirrors_fini(struct registry *registry)
{
    for (size_t i = 0; i < registry->mirror_count; i++) {
        free(registry->mirrors[i].of);
        free(registry->mirrors[i].base);
        free(registry->mirrors[i].host);
    }
    free(TAKE(registry->mirrors));
    registry->mirror_count = 0;
}

/* ---- of a repository ------------------------------------------------------------------------- */

static int add_mirror(struct registry_repo *repo, struct mirror *mirror, const char *repository,
                      struct err *err)
{
    SCOPED(mem) char *base = text_format("%s/%s", mirror->base, repository);
    struct registry_repo *at = NULL;
    int rc = base == NULL
                 ? err_set(err, -ENOMEM, "repository: out of memory")
                 : repo_new(repo->registry, mirror->host, &base, &repo->keychain, &at, err);

    if (rc < 0)
        return rc;
    at->mirror = mirror;
    repo->mirrors[repo->mirror_count++] = at;
    return 0;
}

static bool is_for(const struct mirror *mirror, const struct registry_repo *repo)
{
    return text_equal_nocase(mirror->of, repo->host);
}

int repo_add_mirrors(struct registry_repo *repo, const char *repository, struct err *err)
{
    struct registry *registry = repo->registry;
    int rc = 0;

    if (registry->mirror_count == 0)
        return 0;
    repo->mirrors = calloc(registry->mirror_count, sizeof(struct registry_repo *));
    if (repo->mirrors == NULL)
        return err_set(err, -ENOMEM, "repository: out of memory");
    for (size_t i = 0; i < registry->mirror_count && rc == 0; i++) {
        if (is_for(&registry->mirrors[i], repo) && repo->mirror_count < ENDPOINTS_MAX - 1)
            rc = add_mirror(repo, &registry->mirrors[i], repository, err);
    }
    return rc;
}

/* A mirror of several registries has to be told of which one: in the way of containerd. */
char *repo_address(const struct registry_repo *repo, const char *path)
{
    SCOPED(mem) char *url = text_format("%s/%s", repo->base, path);

    if (url == NULL || repo->mirror == NULL)
        return TAKE(url);
    return url_with_parameter(url, "ns", repo->mirror->of);
}
