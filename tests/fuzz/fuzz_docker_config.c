/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_docker_config.c – any bytes as Docker's config.json: which helper is for a host, and what
 * the file itself knows of it, in base64 or as it is. The first byte says what the helper answers.
 */
#include "registry/keychain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
    if (!condition)
        abort();
}

enum answer { KNOWS_NOBODY, KNOWS_SOMEBODY, FAILS, ANSWERS };
struct helper {
    enum answer answer;
    bool was_asked;
};

static int ask(void *self, const char *helper, const char *host, struct registry_credentials *ret,
               struct err *err)
{
    struct helper *h = self;

    must(helper[0] != '\0' && host[0] != '\0' && !h->was_asked);
    h->was_asked = true;
    if (h->answer == FAILS)
        return err_set(err, -EAGAIN, "told to fail");
    if (h->answer == KNOWS_NOBODY)
        return 0;
    ret->identity_token = strdup("token");
    return ret->identity_token == NULL ? -ENOMEM : 0;
}

static bool is_set(const char *text)
{
    return text != NULL && text[0] != '\0';
}

/* What a helper knows is all: nothing of the file joins it. */
static void check_found(const struct registry_credentials *cred, const struct helper *helper)
{
    must(!helper->was_asked || helper->answer != FAILS);
    must(cred->registry_token == NULL || is_set(cred->registry_token));
    must(cred->identity_token == NULL || is_set(cred->identity_token));
    if (helper->was_asked && helper->answer == KNOWS_SOMEBODY)
        must(cred->username == NULL && cred->password == NULL && cred->registry_token == NULL &&
             is_set(cred->identity_token) && strcmp(cred->identity_token, "token") == 0);
}

static void check_error(int rc, const struct err *err)
{
    must(rc == -EBADMSG || rc == -EAGAIN || rc == -ENOMEM);
    must(err->code == rc);
    for (const char *at = err_text(err); *at != '\0'; at++)
        must(*at >= ' ' && *at <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const hosts[] = {"docker.io", "registry.example:5000", "[::1]:5000"};
    enum answer answer = size == 0 ? KNOWS_NOBODY : data[0] % ANSWERS;

    for (size_t i = 0; size > 0 && i < ARRAY_LEN(hosts); i++) {
        struct helper helper = {.answer = answer};
        const struct helper_asker asker = {.ask = ask, .self = &helper};
        struct registry_credentials cred = {.username = NULL};
        struct err err = ERR_NONE;
        int rc = docker_config_look_up(bytes_of(data + 1, size - 1), hosts[i], &asker, &cred, &err);

        if (rc < 0)
            check_error(rc, &err);
        else
            check_found(&cred, &helper);
        registry_credentials_fini(&cred);
    }
    return 0;
}
