/* SPDX-License-Identifier: Apache-2.0 */
/* registry.c – the client and its repositories. */
#include "registry/internal.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>

static const struct registry_options defaults = {
    .user_agent = "soci",
    .dial_timeout_ms = 3000,
    .response_timeout_ms = 3000,
    .request_timeout_ms = 300 * 1000,
    .max_retries = 8,
    .min_wait_ms = 30,
    .max_wait_ms = 300 * 1000,
};

static int64_t or_default(int64_t value, int64_t default_value)
{
    return value > 0 ? value : default_value;
}

static void fill_in_defaults(struct registry_options *options)
{
    options->dial_timeout_ms = or_default(options->dial_timeout_ms, defaults.dial_timeout_ms);
    options->response_timeout_ms =
        or_default(options->response_timeout_ms, defaults.response_timeout_ms);
    options->request_timeout_ms =
        or_default(options->request_timeout_ms, defaults.request_timeout_ms);
    options->min_wait_ms = or_default(options->min_wait_ms, defaults.min_wait_ms);
    options->max_wait_ms = or_default(options->max_wait_ms, defaults.max_wait_ms);
    if (options->max_retries == 0)
        options->max_retries = defaults.max_retries;
    else if (options->max_retries == UINT_MAX)
        options->max_retries = 0;
}

static void free_parts(struct registry *registry)
{
    for (size_t i = 0; i < registry->idle_count; i++)
        curl_easy_cleanup(registry->idle[i]);
    (void)curl_multi_cleanup(registry->multi);
    (void)pthread_cond_destroy(&registry->settled);
    (void)pthread_mutex_destroy(&registry->lock);
    free(registry->user_agent);
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
    registry->options = *options;
    fill_in_defaults(&registry->options);
    registry->user_agent = strdup(user_agent);
    (void)pthread_mutex_init(&registry->lock, NULL);
    (void)pthread_cond_init(&registry->settled, NULL);
    TAILQ_INIT(&registry->inbox);
    TAILQ_INIT(&registry->answered);
    TAILQ_INIT(&registry->live);
    rc = registry->user_agent == NULL ? err_set(err, -ENOMEM, "registry client: out of memory")
                                      : net_start(registry, err);
    if (rc < 0) {
        free_parts(registry);
        return rc;
    }
    *ret = registry;
    return 0;
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

static int fill_repo(struct registry_repo *repo, const char *host, const char *repository)
{
    const struct registry_options *options = &repo->registry->options;
    const char *api = is_docker_hub(host) ? "registry-1.docker.io" : host;
    bool plain =
        options->plain_http || (options->http_loopback && host_is_loopback(host)) ||
        (options->plain_http_hosts != NULL && text_list_has(options->plain_http_hosts, host));

    repo->host = strdup(host);
    repo->base = text_format("%s://%s/v2/%s", plain ? "http" : "https", api, repository);
    return repo->host == NULL || repo->base == NULL ? -ENOMEM : 0;
}

int registry_repo_open(struct registry *registry, const char *host, const char *repository,
                       const struct registry_keychain *keychain, struct registry_repo **ret,
                       struct err *err)
{
    SCOPED(registry_repo) struct registry_repo *repo = NULL;
    int rc = check_names(host, repository, err);

    if (rc < 0)
        return rc;
    repo = calloc(1, sizeof(*repo));
    if (repo == NULL)
        return err_set(err, -ENOMEM, "repository: out of memory");
    atomic_init(&repo->refs, 1);
    repo->registry = registry;
    if (keychain != NULL)
        repo->keychain = *keychain;
    if (fill_repo(repo, host, repository) < 0)
        return err_set(err, -ENOMEM, "repository: out of memory");
    *ret = TAKE(repo);
    return 0;
}

struct registry_repo *registry_repo_ref(struct registry_repo *repo)
{
    (void)atomic_fetch_add_explicit(&repo->refs, 1, memory_order_relaxed);
    return repo;
}

void registry_repo_unref(struct registry_repo *repo)
{
    if (repo == NULL || atomic_fetch_sub_explicit(&repo->refs, 1, memory_order_acq_rel) > 1)
        return;
    auth_fini(&repo->auth);
    free(repo->host);
    free(repo->base);
    free(repo);
}
