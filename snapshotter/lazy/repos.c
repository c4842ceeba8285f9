/* SPDX-License-Identifier: Apache-2.0 */
/* repos.c – one registry_repo per repository: what it has learnt (a token, say) serves all layers
 * from there. */
#include "lazy/internal.h"

#include "base/threads.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Beyond these, the longest unused is opened anew when it is needed again. */
enum { LAZY_REPOS_MAX = 64 };

struct lazy_repo {
    char *name;                  /* fixed at creation: host/repository */
    struct registry_repo *repo;  /* fixed at creation: a reference */
    TAILQ_ENTRY(lazy_repo) link; /* lazy_repos->lock */
};

static void repo_free(struct lazy_repo *known)
{
    registry_repo_unref(known->repo);
    free(known->name);
    free(known);
}
DEFINE_SCOPED_PTR(lazy_repo, struct lazy_repo, repo_free)

struct lazy_repos {
    size_t refs;                                /* atomic */
    struct registry *registry;                  /* fixed at creation */
    const struct registry_keychain *keychain;   /* fixed at creation */
    pthread_mutex_t lock;                       /* a leaf */
    TAILQ_HEAD(lazy_repo_list, lazy_repo) list; /* lock; last used first */
    size_t count;                               /* lock */
};

/* A reference to the one that is known, which becomes the last used; NULL: none is. */
static struct registry_repo *ref_known_locked(struct lazy_repos *repos, const char *name)
{
    struct lazy_repo *known;

    TAILQ_FOREACH(known, &repos->list, link)
    {
        if (strcmp(known->name, name) != 0)
            continue;
        TAILQ_REMOVE(&repos->list, known, link);
        TAILQ_INSERT_HEAD(&repos->list, known, link);
        return registry_repo_ref(known->repo);
    }
    return NULL;
}

static struct registry_repo *ref_known(struct lazy_repos *repos, const char *name)
{
    LOCKED(&repos->lock);

    return ref_known_locked(repos, name);
}

static int open_repo(const struct lazy_repos *repos, const char *name, struct lazy_repo **ret,
                     struct err *err)
{
    SCOPED(lazy_repo) struct lazy_repo *repo = calloc(1, sizeof(*repo));
    size_t host_len = strcspn(name, "/");
    SCOPED(mem) char *host = strndup(name, host_len);
    int rc;

    if (repo == NULL || host == NULL || (repo->name = text_copy(name)) == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    rc = registry_repo_open(repos->registry, host, name + host_len + (name[host_len] == '/'),
                            repos->keychain, &repo->repo, err);
    if (rc < 0)
        return rc;
    *ret = TAKE(repo);
    return 0;
}

/* Into the table, unless another thread was quicker. Returns what to free, which may be NULL. */
static struct lazy_repo *add(struct lazy_repos *repos, struct lazy_repo *repo,
                             struct registry_repo **ret)
{
    struct lazy_repo *oldest;
    LOCKED(&repos->lock);

    *ret = ref_known_locked(repos, repo->name);
    if (*ret != NULL)
        return repo;
    *ret = registry_repo_ref(repo->repo);
    TAILQ_INSERT_HEAD(&repos->list, repo, link);
    if (++repos->count <= LAZY_REPOS_MAX)
        return NULL;
    oldest = TAILQ_LAST(&repos->list, lazy_repo_list);
    TAILQ_REMOVE(&repos->list, oldest, link);
    repos->count--;
    return oldest;
}

int lazy_repo_get(struct lazy_repos *repos, const char *name, struct registry_repo **ret,
                  struct err *err)
{
    SCOPED(lazy_repo) struct lazy_repo *spare = NULL;
    struct lazy_repo *opened = NULL;
    int rc;

    *ret = ref_known(repos, name);
    if (*ret != NULL)
        return 0;
    rc = open_repo(repos, name, &opened, err);
    if (rc < 0)
        return rc;
    spare = add(repos, opened, ret);
    return 0;
}

bool lazy_repos_wait_for_readers(const struct lazy_repos *repos)
{
    return registry_waits_for_readers(repos->registry);
}

int lazy_repos_new(struct registry *registry, const struct registry_keychain *keychain,
                   struct lazy_repos **ret, struct err *err)
{
    struct lazy_repos *repos = calloc(1, sizeof(*repos));

    if (repos == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    repos->refs = 1;
    repos->registry = registry;
    repos->keychain = keychain;
    (void)pthread_mutex_init(&repos->lock, NULL);
    TAILQ_INIT(&repos->list);
    *ret = repos;
    return 0;
}

struct lazy_repos *lazy_repos_ref(struct lazy_repos *repos)
{
    (void)__atomic_add_fetch(&repos->refs, 1, __ATOMIC_RELAXED);
    return repos;
}

void lazy_repos_unref(struct lazy_repos *repos)
{
    struct lazy_repo *known;

    if (repos == NULL || __atomic_sub_fetch(&repos->refs, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    while ((known = TAILQ_FIRST(&repos->list)) != NULL) {
        TAILQ_REMOVE(&repos->list, known, link);
        repo_free(known);
    }
    (void)pthread_mutex_destroy(&repos->lock);
    free(repos);
}
