/* SPDX-License-Identifier: Apache-2.0 */
/* reference.c – image names as people write them: [host/]path[:tag][@digest]. */
#include "oci/internal.h"

#include <errno.h>

enum { REFERENCE_NAME_MAX_BYTES = 255 }; /* host and path together, as in Docker */
enum { REFERENCE_TAG_MAX_BYTES = 128 };

#define DEFAULT_HOST "docker.io"
#define LEGACY_HOST "index.docker.io"
#define OFFICIAL_PREFIX "library/"

static bool is_lower(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_alnum(char c)
{
    return is_lower(c) || (c >= 'A' && c <= 'Z');
}

/* Lower-case words joined by one dot, one or two underscores, or any number of hyphens. */
static bool is_path_component(const char *s, size_t len)
{
    size_t pos = 0;

    for (;;) {
        size_t word = pos, joint;

        while (pos < len && is_lower(s[pos]))
            pos++;
        if (pos == word)
            return false;
        if (pos == len)
            return true;
        joint = pos;
        while (pos < len && s[pos] == s[joint] && !is_lower(s[pos]))
            pos++;
        if (s[joint] != '-' && !(s[joint] == '_' && pos - joint <= 2) &&
            !(s[joint] == '.' && pos - joint == 1))
            return false;
    }
}

static bool is_repository(const char *s)
{
    for (;;) {
        size_t len = strcspn(s, "/");

        if (!is_path_component(s, len))
            return false;
        if (s[len] == '\0')
            return true;
        s += len + 1;
    }
}

static bool is_tag(const char *s)
{
    size_t len = strlen(s);

    if (len == 0 || len > REFERENCE_TAG_MAX_BYTES || (!is_alnum(s[0]) && s[0] != '_'))
        return false;
    for (size_t i = 1; i < len; i++) {
        if (!is_alnum(s[i]) && s[i] != '_' && s[i] != '.' && s[i] != '-')
            return false;
    }
    return true;
}

static bool is_port(const char *s)
{
    uint64_t port;

    return strlen(s) <= 5 && text_parse_u64(s, &port) == 0 && port > 0 && port <= 65535;
}

/* Labels of letters, digits and inner hyphens; `len` ends before the port. */
static bool is_domain(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bool inner = i > 0 && i + 1 < len && s[i - 1] != '.' && s[i + 1] != '.';

        if (!is_alnum(s[i]) && !(inner && (s[i] == '-' || s[i] == '.')))
            return false;
    }
    return len > 0;
}

/* [::1], with hex digits and colons inside; a zone is for a machine's own use and refused. */
static size_t bracket_len(const char *s)
{
    size_t len = strspn(s + 1, "0123456789abcdefABCDEF:.");

    return len > 0 && s[1 + len] == ']' ? len + 2 : 0;
}

static bool is_host(const char *s)
{
    size_t len = *s == '[' ? bracket_len(s) : strcspn(s, ":");

    if (*s == '[' ? len == 0 : !is_domain(s, len))
        return false;
    return s[len] == '\0' || (s[len] == ':' && is_port(s + len + 1));
}

/* The first part is a host when it cannot be part of a path of Docker's own registry. */
static bool looks_like_host(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (s[i] == '.' || s[i] == ':' || s[i] == '[' || (s[i] >= 'A' && s[i] <= 'Z'))
            return true;
    }
    return len == strlen("localhost") && memcmp(s, "localhost", len) == 0;
}

/* Cuts @digest and :tag off `name` and into `ref`. A colon before the last slash is a port. */
static int split_suffixes(char *name, struct oci_reference *ref, struct err *err)
{
    char *at = strchr(name, '@');
    char *slash, *colon;

    if (at != NULL) {
        struct digest ignored;
        *at = '\0';
        if (digest_parse(at + 1, &ignored, err) < 0)
            return err_prefix(err, -EINVAL, "the digest");
        ref->digest = strdup(at + 1);
        if (ref->digest == NULL)
            return err_set(err, -ENOMEM, "out of memory");
    }
    slash = strrchr(name, '/');
    colon = strchr(slash == NULL ? name : slash, ':');
    if (colon == NULL)
        return 0;
    *colon = '\0';
    if (!is_tag(colon + 1))
        return err_set(err, -EINVAL, "the tag is none");
    ref->tag = strdup(colon + 1);
    return ref->tag == NULL ? err_set(err, -ENOMEM, "out of memory") : 0;
}

static int split_name(const char *name, struct oci_reference *ref)
{
    size_t first = strcspn(name, "/");
    bool has_host = name[first] == '/' && looks_like_host(name, first);
    const char *path = has_host ? name + first + 1 : name;
    bool official;

    if (has_host && text_has_prefix(name, LEGACY_HOST "/"))
        ref->host = strdup(DEFAULT_HOST);
    else
        ref->host = has_host ? strndup(name, first) : strdup(DEFAULT_HOST);
    if (ref->host == NULL)
        return -ENOMEM;
    official = strcmp(ref->host, DEFAULT_HOST) == 0 && strchr(path, '/') == NULL;
    ref->repository = text_format("%s%s", official ? OFFICIAL_PREFIX : "", path);
    return ref->repository == NULL ? -ENOMEM : 0;
}

/* 64 hex digits are an image's id where Docker is concerned, and a name nowhere. */
static bool is_image_id(const char *name)
{
    return strlen(name) == (size_t)2 * DIGEST_BYTES &&
           strspn(name, "0123456789abcdef") == strlen(name);
}

static int parse_parts(const char *text, struct oci_reference *ref, struct err *err)
{
    SCOPED(mem) char *name = strdup(text);
    int rc;

    if (name == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    rc = split_suffixes(name, ref, err);
    if (rc < 0)
        return rc;
    if (is_image_id(name))
        return err_set(err, -EINVAL, "64 hex digits are an id and no name");
    if (split_name(name, ref) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    if (!is_host(ref->host))
        return err_set(err, -EINVAL, "the host is none");
    if (!is_repository(ref->repository))
        return err_set(err, -EINVAL,
                       "the name is none (lower-case letters, digits, . _ - / make one)");
    if (strlen(ref->host) + 1 + strlen(ref->repository) > REFERENCE_NAME_MAX_BYTES)
        return err_set(err, -EINVAL, "longer than %d characters", REFERENCE_NAME_MAX_BYTES);
    return 0;
}

int oci_reference_parse(const char *text, struct oci_reference *ret, struct err *err)
{
    SCOPED(oci_reference) struct oci_reference ref = {.host = NULL};
    int rc = parse_parts(text, &ref, err);

    if (rc < 0)
        return err_prefix(err, rc, "image reference \"%.200s\"", text);
    *ret = ref;
    memset(&ref, 0, sizeof(ref));
    return 0;
}

void oci_reference_fini(struct oci_reference *ref)
{
    free(ref->host);
    free(ref->repository);
    free(ref->tag);
    free(ref->digest);
    memset(ref, 0, sizeof(*ref));
}
