/* SPDX-License-Identifier: Apache-2.0 */
/* credentials.c – what images were pulled with, newest first. */
#include "cri/internal.h"

#include "base/text.h"
#include "base/threads.h"
#include "oci/oci.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Longer than any token that is in use. */
enum { IMAGE_MAX_BYTES = 4096, SECRET_MAX_BYTES = 64 * 1024 };

struct cri_entry {
    struct oci_reference image; /* fixed at creation, as the next */
    struct registry_credentials credentials;
    TAILQ_ENTRY(cri_entry) link; /* lock */
};

static void entry_free(struct cri_entry *entry)
{
    registry_credentials_fini(&entry->credentials);
    oci_reference_fini(&entry->image);
    free(entry);
}
DEFINE_SCOPED_PTR(cri_entry, struct cri_entry, entry_free)

void cri_credentials_init(struct cri_credentials *credentials)
{
    (void)pthread_mutex_init(&credentials->lock, NULL);
    TAILQ_INIT(&credentials->entries);
    credentials->count = 0;
}

static void remove_locked(struct cri_credentials *credentials, struct cri_entry *entry)
{
    TAILQ_REMOVE(&credentials->entries, entry, link);
    credentials->count--;
    entry_free(entry);
}

void cri_credentials_fini(struct cri_credentials *credentials)
{
    while (!TAILQ_EMPTY(&credentials->entries))
        remove_locked(credentials, TAILQ_FIRST(&credentials->entries));
    (void)pthread_mutex_destroy(&credentials->lock);
}

/* ---- from a request -------------------------------------------------------------------------- */

/* *ret stays NULL for nothing. A string with a NUL is none. */
static int copy(struct bytes text, size_t max_bytes, const char *what, char **ret, struct err *err)
{
    if (text.len == 0)
        return 0;
    if (text.len > max_bytes)
        return err_set(err, -EFBIG, "%s has %zu bytes", what, text.len);
    if (memchr(text.data, '\0', text.len) != NULL)
        return err_set(err, -EINVAL, "%s has a NUL in it", what);
    *ret = strndup((const char *)text.data, text.len);
    return *ret == NULL ? err_set(err, -ENOMEM, "out of memory") : 0;
}

static int read_image(struct bytes text, struct oci_reference *ret, struct err *err)
{
    SCOPED(mem) char *image = NULL;
    int rc = copy(text, IMAGE_MAX_BYTES, "image", &image, err);

    if (rc < 0)
        return rc;
    return image == NULL ? err_set(err, -EINVAL, "no image") : oci_reference_parse(image, ret, err);
}

/* A kubelet may say for which server its credentials are. */
static int check_server(struct bytes address, const char *host, struct err *err)
{
    SCOPED(mem) char *text = NULL;
    int rc = copy(address, IMAGE_MAX_BYTES, "server_address", &text, err);

    if (rc < 0 || text == NULL || registry_address_is_of(text, host))
        return rc;
    return err_set(err, -EINVAL, "its credentials are for another server than %s", host);
}

static int decode(struct bytes auth, struct registry_credentials *ret, struct err *err)
{
    char *text = NULL;
    int rc = copy(auth, SECRET_MAX_BYTES, "auth", &text, err);

    if (rc == 0 && text != NULL)
        rc = registry_credentials_decode(text, ret, err);
    if (text != NULL)
        explicit_bzero(text, strlen(text));
    free(text);
    return rc;
}

static int read_credentials(const struct cri_auth *auth, const char *host,
                            struct registry_credentials *ret, struct err *err)
{
    const struct {
        struct bytes from;
        const char *what;
        char **to;
    } fields[] = {
        {auth->username, "username", &ret->username},
        {auth->password, "password", &ret->password},
        {auth->identity_token, "identity_token", &ret->identity_token},
        {auth->registry_token, "registry_token", &ret->registry_token},
    };
    int rc = check_server(auth->server_address, host, err);

    for (size_t i = 0; i < ARRAY_LEN(fields) && rc == 0; i++)
        rc = copy(fields[i].from, SECRET_MAX_BYTES, fields[i].what, fields[i].to, err);
    return rc < 0 || ret->username != NULL ? rc : decode(auth->auth, ret, err);
}

static bool is_empty(const struct registry_credentials *c)
{
    return c->username == NULL && c->password == NULL && c->identity_token == NULL &&
           c->registry_token == NULL;
}

/* ---- the list -------------------------------------------------------------------------------- */

static bool is_same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool is_in(const struct oci_reference *image, const char *host, const char *repository)
{
    return strcmp(image->host, host) == 0 && strcmp(image->repository, repository) == 0;
}

static void forget_locked(struct cri_credentials *credentials, const struct oci_reference *image)
{
    struct cri_entry *entry, *next;

    for (entry = TAILQ_FIRST(&credentials->entries); entry != NULL; entry = next) {
        next = TAILQ_NEXT(entry, link);
        if (is_in(&entry->image, image->host, image->repository) &&
            is_same(entry->image.tag, image->tag) && is_same(entry->image.digest, image->digest))
            remove_locked(credentials, entry);
    }
}

int cri_remember(struct cri_credentials *credentials, const struct cri_request *request,
                 struct err *err)
{
    SCOPED(cri_entry) struct cri_entry *entry = calloc(1, sizeof(*entry));
    int rc = entry == NULL ? err_set(err, -ENOMEM, "out of memory")
                           : read_image(request->image, &entry->image, err);

    if (rc < 0)
        return rc;
    rc = read_credentials(&request->auth, entry->image.host, &entry->credentials, err);
    LOCKED(&credentials->lock);
    forget_locked(credentials, &entry->image);
    if (rc < 0 || is_empty(&entry->credentials))
        return rc;
    if (credentials->count == CRI_CREDENTIALS_MAX)
        remove_locked(credentials, TAILQ_LAST(&credentials->entries, cri_entries));
    TAILQ_INSERT_HEAD(&credentials->entries, entry, link);
    credentials->count++;
    entry = NULL;
    return 0;
}

void cri_forget(struct cri_credentials *credentials, struct bytes image)
{
    SCOPED(oci_reference) struct oci_reference reference = {.host = NULL};

    if (read_image(image, &reference, NULL) < 0)
        return; /* an image's ID, perhaps */
    LOCKED(&credentials->lock);
    forget_locked(credentials, &reference);
}

static int copy_credentials(const struct registry_credentials *from,
                            struct registry_credentials *ret)
{
    struct registry_credentials c = {
        .username = text_copy(from->username),
        .password = text_copy(from->password),
        .identity_token = text_copy(from->identity_token),
        .registry_token = text_copy(from->registry_token),
    };

    if ((c.username == NULL) != (from->username == NULL) ||
        (c.password == NULL) != (from->password == NULL) ||
        (c.identity_token == NULL) != (from->identity_token == NULL) ||
        (c.registry_token == NULL) != (from->registry_token == NULL)) {
        registry_credentials_fini(&c);
        return -ENOMEM;
    }
    *ret = c;
    return 0;
}

int cri_find(struct cri_credentials *credentials, const char *host, const char *repository,
             struct registry_credentials *ret, struct err *err)
{
    const struct cri_entry *entry;
    LOCKED(&credentials->lock);

    TAILQ_FOREACH(entry, &credentials->entries, link)
    {
        if (!is_in(&entry->image, host, repository))
            continue;
        return copy_credentials(&entry->credentials, ret) < 0
                   ? err_set(err, -ENOMEM, "out of memory")
                   : 0;
    }
    return 0;
}
