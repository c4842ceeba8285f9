/* SPDX-License-Identifier: Apache-2.0 */
/* registry.c – the client and its repositories. */
#include "registry/internal.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <unistd.h>

static const struct registry_options defaults = {
    .user_agent = "soci",
    .dial_timeout_ms = 3000,
    .response_timeout_ms = 3000,
    .request_timeout_ms = 300 * 1000,
    .max_retries = 8,
    .min_wait_ms = 30,
    .max_wait_ms = 300 * 1000,
    .credentials_ttl_ms = 3600 * 1000,
};

static int64_t or_default(int64_t value, int64_t default_value)
{
    return value == 0 ? default_value : value;
}

static int64_t positive_or(int64_t value, int64_t default_value)
{
    return value > 0 ? value : default_value;
}

static unsigned retries_or(unsigned retries, unsigned default_retries)
{
    if (retries == UINT_MAX)
        return 0;
    return retries == 0 ? default_retries : retries;
}

static void set_timeouts(struct registry_options *options)
{
    options->dial_timeout_ms = positive_or(options->dial_timeout_ms, defaults.dial_timeout_ms);
    options->response_timeout_ms =
        positive_or(options->response_timeout_ms, defaults.response_timeout_ms);
    options->credentials_ttl_ms =
        options->credentials_ttl_ms < 0
            ? INT64_MAX / 2
            : positive_or(options->credentials_ttl_ms, defaults.credentials_ttl_ms);
}

static void set_limits(struct registry *registry, const struct registry_options *options)
{
    struct request_limits *limits = &registry->limits, *blob = &registry->blob_limits;
    int64_t timeout_ms = or_default(options->request_timeout_ms, defaults.request_timeout_ms);
    int64_t blob_timeout_ms = or_default(options->blob_request_timeout_ms, timeout_ms);

    limits->timeout_ms = timeout_ms < 0 ? 0 : timeout_ms;
    limits->max_retries = retries_or(options->max_retries, defaults.max_retries);
    limits->min_wait_ms = positive_or(options->min_wait_ms, defaults.min_wait_ms);
    limits->max_wait_ms = positive_or(options->max_wait_ms, defaults.max_wait_ms);
    blob->timeout_ms = blob_timeout_ms < 0 ? 0 : blob_timeout_ms;
    blob->max_retries = retries_or(options->blob_max_retries, limits->max_retries);
    blob->min_wait_ms = positive_or(options->blob_min_wait_ms, limits->min_wait_ms);
    blob->max_wait_ms = positive_or(options->blob_max_wait_ms, limits->max_wait_ms);
    registry->all_limits = *blob;
    registry->all_limits.timeout_ms = 0;
}

static void free_parts(struct registry *registry)
{
    for (size_t i = 0; i < registry->idle_count; i++)
        curl_easy_cleanup(registry->idle[i]);
    (void)curl_multi_cleanup(registry->multi);
    (void)pthread_cond_destroy(&registry->settled);
    (void)pthread_mutex_destroy(&registry->lock);
    free(registry->user_agent);
    mirrors_fini(registry);
    roots_fini(&registry->roots);
    if (registry->cancel_fd >= 0)
        (void)close(registry->cancel_fd);
    free(registry);
    curl_global_cleanup();
}

int registry_new(const struct registry_options *options, struct registry **ret, struct err *err)
{
    struct registry *registry;
    const char *user_agent =
        options->user_agent == NULL ? defaults.user_agent : options->user_agent;
    int rc;

    /* Counted by libcurl, and safe in any thread since 7.84. */
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return err_set(err, -ENOMEM, "registry client: libcurl does not start");
    registry = calloc(1, sizeof(*registry));
    if (registry == NULL) {
        curl_global_cleanup();
        return err_set(err, -ENOMEM, "registry client: out of memory");
    }
    registry->cancel_fd = -1;
    registry->options = *options;
    set_timeouts(&registry->options);
    set_limits(registry, options);
    registry->user_agent = strdup(user_agent);
    (void)pthread_mutex_init(&registry->lock, NULL);
    (void)pthread_cond_init(&registry->settled, NULL);
    TAILQ_INIT(&registry->inbox);
    TAILQ_INIT(&registry->answered);
    TAILQ_INIT(&registry->live);
    rc = registry->user_agent == NULL ? err_set(err, -ENOMEM, "registry client: out of memory")
                                      : mirrors_init(registry, options, err);
    if (rc == 0)
        rc = net_start(registry, err);
    if (rc < 0) {
        free_parts(registry);
        return rc;
    }
    *ret = registry;
    return 0;
}

bool registry_waits_for_readers(const struct registry *registry)
{
    return registry->options.blob_until_budget;
}

void registry_free(struct registry *registry)
{
    if (registry == NULL)
        return;
    net_stop(registry);
    free_parts(registry);
}

/* ---- repositories ---------------------------------------------------------------------------- */

bool host_is_loopback(const char *host)
{
    size_t len = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
    char name[64];
    struct in_addr v4;

    if (len >= sizeof(name) || strlen(host) < len)
        return false;
    memcpy(name, host, len);
    name[len] = '\0';
    if (text_equal_nocase(name, "localhost") || strcmp(name, "[::1]") == 0)
        return true;
    return inet_pton(AF_INET, name, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
}

static bool is_docker_hub(const char *host)
{
    return strcmp(host, "docker.io") == 0 || strcmp(host, "index.docker.io") == 0;
}

static bool is_made_of(const char *s, const char *also)
{
    for (; *s != '\0'; s++) {
        bool letter = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z');
        if (!letter && !(*s >= '0' && *s <= '9') && strchr(also, *s) == NULL)
            return false;
    }
    return true;
}

static int check_names(const char *host, const char *repository, struct err *err)
{
    if (*host == '\0' || !is_made_of(host, ".:-[]"))
        return err_set(err, -EINVAL, "no host: \"%.100s\"", host);
    if (*repository == '\0' || *repository == '/' || strstr(repository, "..") != NULL ||
        !is_made_of(repository, "._-/"))
        return err_set(err, -EINVAL, "no repository: \"%.200s\"", repository);
    return 0;
}

bool host_is_plain(const struct registry *registry, const char *host)
{
    const struct registry_options *options = &registry->options;

    return options->plain_http || (options->http_loopback && host_is_loopback(host)) ||
           (options->plain_http_hosts != NULL && text_list_has(options->plain_http_hosts, host));
}

int repo_new(struct registry *registry, const char *host, char **base,
             const struct registry_keychain *keychain, struct registry_repo **ret, struct err *err)
{
    SCOPED(registry_repo) struct registry_repo *repo = calloc(1, sizeof(*repo));

    if (repo == NULL)
        return err_set(err, -ENOMEM, "repository: out of memory");
    atomic_init(&repo->refs, 1);
    atomic_init(&repo->shun_until_ms, INT64_MIN);
    TAILQ_INIT(&repo->elsewhere);
    kept_init(&repo->kept);
    repo->registry = registry;
    repo->base = TAKE(*base);
    if (keychain != NULL)
        repo->keychain = *keychain;
    repo->host = strdup(host);
    if (repo->host == NULL)
        return err_set(err, -ENOMEM, "repository: out of memory");
    *ret = TAKE(repo);
    return 0;
}

int registry_repo_open(struct registry *registry, const char *host, const char *repository,
                       const struct registry_keychain *keychain, struct registry_repo **ret,
                       struct err *err)
{
    SCOPED(registry_repo) struct registry_repo *repo = NULL;
    SCOPED(mem) char *base = NULL;
    const char *api = is_docker_hub(host) ? "registry-1.docker.io" : host;
    const char *scheme = host_is_plain(registry, host) ? "http" : "https";
    int rc = check_names(host, repository, err);

    if (rc < 0)
        return rc;
    base = text_format("%s://%s/v2/%s", scheme, api, repository);
    if (base == NULL)
        return err_set(err, -ENOMEM, "repository: out of memory");
    rc = repo_new(registry, host, &base, keychain, &repo, err);
    if (rc == 0 && (repo->repository = strdup(repository)) == NULL)
        rc = err_set(err, -ENOMEM, "repository: out of memory");
    if (rc == 0)
        rc = repo_add_mirrors(repo, repository, err);
    if (rc == 0)
        *ret = TAKE(repo);
    return rc;
}

struct registry_repo *registry_repo_ref(struct registry_repo *repo)
{
    (void)atomic_fetch_add_explicit(&repo->refs, 1, memory_order_relaxed);
    return repo;
}

static void free_others(struct registry_repo *repo)
{
    struct registry_repo *other;

    while ((other = TAILQ_FIRST(&repo->elsewhere)) != NULL) {
        TAILQ_REMOVE(&repo->elsewhere, other, elsewhere_link);
        registry_repo_unref(other);
    }
    for (size_t i = 0; i < repo->mirror_count; i++)
        registry_repo_unref(repo->mirrors[i]);
    free(repo->mirrors);
}

void registry_repo_unref(struct registry_repo *repo)
{
    if (repo == NULL || atomic_fetch_sub_explicit(&repo->refs, 1, memory_order_acq_rel) > 1)
        return;
    free_others(repo);
    kept_fini(&repo->kept);
    auth_fini(&repo->auth);
    free(repo->host);
    free(repo->repository);
    free(repo->base);
    free(repo);
}
