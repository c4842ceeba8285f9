/* SPDX-License-Identifier: Apache-2.0 */
/* keychain.h – the parts behind the keychain of Docker's config.json.
 *
 *   keychain_docker.c   what config.json says about a host
 *     ├▶ helper.c       asks a credential helper
 *     └▶ guest.c        where config.json is, and what a helper finds in its environment */
#ifndef REGISTRY_KEYCHAIN_H
#define REGISTRY_KEYCHAIN_H

#include "base/bytes.h"
#include "base/text.h"
#include "registry/registry.h"

/* ---- keychain_docker.c ----------------------------------------------------------------------- */

bool registry_credentials_are_empty(const struct registry_credentials *cred);
/* Who runs a helper; as helper_get(). */
struct helper_asker {
    int (*ask)(void *self, const char *helper, const char *host, struct registry_credentials *ret,
               struct err *err);
    void *self;
};
/* What the text of a config.json says of `host`, into `ret`, which is empty; released by the caller
 * also after a failure. -EBADMSG: it makes no sense; -ENOMEM; or what ask() said. */
MUST_CHECK int docker_config_look_up(struct bytes json, const char *host,
                                     const struct helper_asker *asker,
                                     struct registry_credentials *ret, struct err *err);

/* ---- guest.c --------------------------------------------------------------------------------- */

/* The user for whom this machine was made, if it is a virtual machine of Lima's: in Finch, the
 * credentials of a daemon that runs as root are those of that user. */
struct guest {
    char *uid; /* NULL: no such machine */
    char *home;
};
/* From lima.env, which only root may read; when it cannot be read, nothing. 0 or -ENOMEM. */
MUST_CHECK int guest_read(struct guest *ret);
void guest_fini(struct guest *guest);
DEFINE_SCOPED_VALUE(guest, struct guest, guest_fini)
/* The directory of config.json; *ret NULL: there is none. 0 or -ENOMEM. */
MUST_CHECK int guest_config_dir(const struct guest *guest, char **ret);
/* What a helper is run with: our own environment, completed. 0 or -ENOMEM. */
MUST_CHECK int guest_environment(const struct guest *guest, const char *config_dir,
                                 struct text_list *ret);

/* ---- helper.c -------------------------------------------------------------------------------- */

/* A question to docker-credential-<name>. */
struct helper_call {
    const char *name;
    const char *host;
    const struct text_list *environment;
    int cancel_fd;      /* as in registry_keychain */
    int64_t timeout_ms; /* 0: 15000 */
};
/* Nothing known of the host: 0, and *ret is as it was. -EINVAL: the name is none; -EBADMSG: the
 * answer makes no sense; -EAGAIN: it fails, now at least; -ETIMEDOUT, -EFBIG, -ECANCELED, -ENOMEM.
 */
MUST_CHECK int helper_get(const struct helper_call *call, struct registry_credentials *ret,
                          struct err *err);
/* What a helper printed: as helper_get(). */
MUST_CHECK int helper_answer_parse(struct bytes json, struct registry_credentials *ret,
                                   struct err *err);

#endif
