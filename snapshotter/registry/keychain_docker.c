/* SPDX-License-Identifier: Apache-2.0 */
/* keychain_docker.c – user names and passwords in the configuration of Docker's client. */
#include "registry/internal.h"

#include "base/files.h"

#include <cjson/cJSON.h>
#include <errno.h>

enum { CONFIG_MAX_BYTES = 1024 * 1024 };

DEFINE_SCOPED_PTR(config_json, cJSON, cJSON_Delete)

/* NULL: neither variable is set, or out of memory. */
static char *config_path(void)
{
    const char *dir = getenv("DOCKER_CONFIG");
    const char *home = getenv("HOME");

    if (dir != NULL && *dir != '\0')
        return path_join(dir, "config.json");
    return home == NULL || *home == '\0' ? NULL : path_join(home, ".docker/config.json");
}

/* Docker Hub goes by several names; its key is https://index.docker.io/v1/. */
static const char *one_name(const char *host)
{
    return text_equal_nocase(host, "index.docker.io") ||
                   text_equal_nocase(host, "registry-1.docker.io")
               ? "docker.io"
               : host;
}

/* host, https://host, https://host/v1/ … */
static bool key_is_for(const char *key, const char *host)
{
    const char *start = strstr(key, "://");
    SCOPED(mem) char *name = NULL;

    start = start == NULL ? key : start + strlen("://");
    name = strndup(start, strcspn(start, "/"));
    return name != NULL && text_equal_nocase(one_name(name), one_name(host));
}

/* The key that is spelled as the host comes before those that merely mean it. */
static const cJSON *find_entry(const cJSON *auths, const char *host)
{
    const cJSON *entry = cJSON_GetObjectItemCaseSensitive(auths, host);
    const cJSON *other;

    if (cJSON_IsObject(entry))
        return entry;
    cJSON_ArrayForEach(other, auths)
    {
        if (other->string != NULL && key_is_for(other->string, host) && cJSON_IsObject(other))
            return other;
    }
    return NULL;
}

static int use_pair(const char *pair, struct registry_credentials *ret, const char *host,
                    struct err *err)
{
    const char *colon = strchr(pair, ':');

    if (colon == NULL)
        return err_set(err, -EBADMSG, "auth of %s is no user:password", host);
    ret->username = strndup(pair, (size_t)(colon - pair));
    ret->password = strdup(colon + 1);
    return ret->username == NULL || ret->password == NULL ? err_set(err, -ENOMEM, "out of memory")
                                                          : 0;
}

/* auth: base64 of user:password. */
static int use_auth(const char *text, struct registry_credentials *ret, const char *host,
                    struct err *err)
{
    SCOPED(buf_value) struct buf plain = BUF_EMPTY;
    const char *pair;
    int rc = base64_decode(text, &plain);

    if (rc == -EINVAL)
        return err_set(err, -EBADMSG, "auth of %s is no base64", host);
    pair = rc < 0 ? NULL : buf_str(&plain);
    if (pair == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    rc = use_pair(pair, ret, host, err);
    explicit_bzero(plain.data, plain.cap);
    return rc;
}

static int use_entry(const cJSON *entry, struct registry_credentials *ret, const char *host,
                     struct err *err)
{
    const char *auth = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, "auth"));
    const char *user = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, "username"));
    const char *word = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, "password"));

    if (auth != NULL && *auth != '\0')
        return use_auth(auth, ret, host, err);
    ret->username = strdup(user == NULL ? "" : user);
    ret->password = strdup(word == NULL ? "" : word);
    return ret->username == NULL || ret->password == NULL ? err_set(err, -ENOMEM, "out of memory")
                                                          : 0;
}

static int look_up(struct bytes json, const char *host, struct registry_credentials *ret,
                   struct err *err)
{
    SCOPED(config_json)
    cJSON *tree = json.len == 0 ? NULL : cJSON_ParseWithLength((const char *)json.data, json.len);

    if (!cJSON_IsObject(tree))
        return err_set(err, -EBADMSG, "no JSON object");
    return use_entry(find_entry(cJSON_GetObjectItemCaseSensitive(tree, "auths"), host), ret, host,
                     err);
}

static int find(void *self, const char *host, struct registry_credentials *ret, struct err *err)
{
    SCOPED(mem) char *path = config_path();
    SCOPED(buf_value) struct buf json = BUF_EMPTY;
    int rc = path == NULL ? -ENOENT : file_read(path, CONFIG_MAX_BYTES, &json, err);

    (void)self;
    if (rc == -ENOENT)
        return use_entry(NULL, ret, host, err);
    if (rc == 0)
        rc = look_up(buf_bytes(&json), host, ret, err);
    if (json.len > 0)
        explicit_bzero(json.data, json.len);
    if (rc < 0) {
        registry_credentials_fini(ret);
        return err_prefix(err, rc, "credentials in %s", path);
    }
    return 0;
}

const struct registry_keychain registry_keychain_docker = {.find = find, .self = NULL};
