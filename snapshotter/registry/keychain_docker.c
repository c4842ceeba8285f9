/* SPDX-License-Identifier: Apache-2.0 */
/* keychain_docker.c – user names and passwords in the configuration of Docker's client. */
#include "registry/internal.h"

#include "base/files.h"
#include "base/log.h"
#include "registry/keychain.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <sys/stat.h>

enum { CONFIG_MAX_BYTES = 1024 * 1024 };
/* Docker Hub's name in config.json and for helpers. */
#define DOCKER_HUB_SERVER "https://index.docker.io/v1/"

DEFINE_SCOPED_PTR(config_json, cJSON, cJSON_Delete)

/* ---- what is meant by a host ----------------------------------------------------------------- */

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

static bool is_object(const cJSON *item)
{
    return cJSON_IsObject(item);
}

static bool is_string(const cJSON *item)
{
    return cJSON_IsString(item);
}

bool registry_address_is_of(const char *address, const char *host)
{
    return key_is_for(address, host);
}

/* The key that is spelled as the host comes before those that merely mean it. */
static const cJSON *find_entry(const cJSON *map, const char *host, bool (*fits)(const cJSON *item))
{
    const cJSON *entry = cJSON_GetObjectItemCaseSensitive(map, host);
    const cJSON *other;

    if (fits(entry))
        return entry;
    cJSON_ArrayForEach(other, map)
    {
        if (other->string != NULL && key_is_for(other->string, host) && fits(other))
            return other;
    }
    return NULL;
}

/* ---- what the file itself holds -------------------------------------------------------------- */

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

int registry_credentials_decode(const char *auth, struct registry_credentials *ret, struct err *err)
{
    struct registry_credentials c = {.username = NULL};
    int rc = use_auth(auth, &c, "the request", err);

    if (rc < 0) {
        registry_credentials_fini(&c);
        return rc;
    }
    registry_forget(ret->username);
    registry_forget(ret->password);
    ret->username = c.username;
    ret->password = c.password;
    return 0;
}

/* 0 or -ENOMEM; a text that is not there leaves *place as it was. */
static int keep(char **place, const cJSON *entry, const char *name)
{
    const char *value = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, name));

    if (value == NULL || *value == '\0')
        return 0;
    *place = strdup(value);
    return *place == NULL ? -ENOMEM : 0;
}

static int use_entry(const cJSON *entry, const char *host, struct registry_credentials *ret,
                     struct err *err)
{
    const char *auth = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, "auth"));

    if (keep(&ret->registry_token, entry, "registrytoken") < 0 ||
        keep(&ret->identity_token, entry, "identitytoken") < 0)
        return err_set(err, -ENOMEM, "out of memory");
    if (auth != NULL && *auth != '\0')
        return use_auth(auth, ret, host, err);
    if (keep(&ret->username, entry, "username") < 0 || keep(&ret->password, entry, "password") < 0)
        return err_set(err, -ENOMEM, "out of memory");
    return 0;
}

/* ---- a helper -------------------------------------------------------------------------------- */

/* One for the host wins, and an empty name there means none, as in Docker's client. NULL: none. */
static const char *helper_for(const cJSON *tree, const char *host)
{
    const cJSON *helper =
        find_entry(cJSON_GetObjectItemCaseSensitive(tree, "credHelpers"), host, is_string);
    const char *name;

    if (helper == NULL)
        helper = cJSON_GetObjectItemCaseSensitive(tree, "credsStore");
    name = cJSON_GetStringValue(helper);
    return name == NULL || *name == '\0' ? NULL : name;
}

bool registry_credentials_are_empty(const struct registry_credentials *cred)
{
    return cred->username == NULL && cred->password == NULL && cred->identity_token == NULL &&
           cred->registry_token == NULL;
}

/* ---- the look-up ----------------------------------------------------------------------------- */

/* What a helper does not know may still be in the file: a login of before it was set up. */
int docker_config_look_up(struct bytes json, const char *host, const struct helper_asker *asker,
                          struct registry_credentials *ret, struct err *err)
{
    SCOPED(config_json)
    cJSON *tree = json.len == 0 ? NULL : cJSON_ParseWithLength((const char *)json.data, json.len);
    const char *helper;
    int rc = 0;

    if (!cJSON_IsObject(tree))
        return err_set(err, -EBADMSG, "no JSON object");
    helper = helper_for(tree, host);
    if (helper != NULL)
        rc = asker->ask(asker->self, helper, host, ret, err);
    if (rc == 0 && registry_credentials_are_empty(ret)) {
        helper = NULL;
        rc = use_entry(find_entry(cJSON_GetObjectItemCaseSensitive(tree, "auths"), host, is_object),
                       host, ret, err);
    }
    if (rc == 0)
        log_debug("credentials looked up", "host=%s found=%s", host,
                  registry_credentials_are_empty(ret) ? "none"
                  : helper != NULL                    ? "by helper"
                                                      : "in file");
    return rc;
}

/* ---- where, and whom ------------------------------------------------------------------------- */

struct question {
    const char *dir; /* of config.json */
    const struct guest *guest;
    int cancel_fd;
};

static int ask_helper(void *self, const char *name, const char *host,
                      struct registry_credentials *ret, struct err *err)
{
    const struct question *q = self;
    SCOPED(text_list) struct text_list environment = TEXT_LIST_EMPTY;
    bool is_hub = text_equal_nocase(one_name(host), "docker.io");
    const struct helper_call call = {
        .name = name,
        .host = is_hub ? DOCKER_HUB_SERVER : host,
        .environment = &environment,
        .cancel_fd = q->cancel_fd,
    };

    if (guest_environment(q->guest, q->dir, &environment) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    return helper_get(&call, ret, err);
}

/* A pipe in its place would hold up all look-ups. */
static int read_config(const char *path, struct buf *ret, struct err *err)
{
    struct stat st;

    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return err_set(err, -EBADMSG, "no regular file");
    return file_read(path, CONFIG_MAX_BYTES, ret, err);
}

static int find_in(struct question *q, const char *host, struct registry_credentials *ret,
                   struct err *err)
{
    const struct helper_asker asker = {.ask = ask_helper, .self = q};
    SCOPED(mem) char *path = path_join(q->dir, "config.json");
    SCOPED(buf_value) struct buf json = BUF_EMPTY;
    int rc = path == NULL ? err_set(err, -ENOMEM, "out of memory") : read_config(path, &json, err);

    if (rc == -ENOENT)
        return 0;
    if (rc == 0)
        rc = docker_config_look_up(buf_bytes(&json), host, &asker, ret, err);
    if (json.len > 0)
        explicit_bzero(json.data, json.len);
    return rc < 0 ? err_prefix(err, rc, "credentials in %s", path == NULL ? q->dir : path) : 0;
}

static int find(void *self, const char *host, int cancel_fd, struct registry_credentials *ret,
                struct err *err)
{
    SCOPED(guest) struct guest guest = {.uid = NULL};
    SCOPED(mem) char *dir = NULL;
    struct question question = {.guest = &guest, .cancel_fd = cancel_fd};
    int rc;

    (void)self;
    if (guest_read(&guest) < 0 || guest_config_dir(&guest, &dir) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    if (dir == NULL)
        return 0;
    question.dir = dir;
    rc = find_in(&question, host, ret, err);
    if (rc < 0)
        registry_credentials_fini(ret);
    return rc;
}

const struct registry_keychain registry_keychain_docker = {.find = find, .self = NULL};
