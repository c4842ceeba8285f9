/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h – what of a request is looked into, and who remembers it. */
#ifndef CRI_INTERNAL_H
#define CRI_INTERNAL_H

#include "cri/cri.h"

#include <pthread.h>
#include <sys/queue.h>

/* ---- request.c ------------------------------------------------------------------------------- */

/* runtime.v1.AuthConfig. Borrowed; empty: not there. */
struct cri_auth {
    struct bytes username, password, auth, server_address, identity_token, registry_token;
};
struct cri_request {
    struct bytes image;
    struct cri_auth auth;
};
/* Of a PullImageRequest or a RemoveImageRequest, which has no auth. What else is in it is passed
 * over. -EBADMSG: it is no protobuf, or these fields are of another type. */
MUST_CHECK int cri_request_parse(struct bytes message, struct cri_request *ret, struct err *err);

/* ---- credentials.c --------------------------------------------------------------------------- */

struct cri_entry;
struct cri_credentials {
    pthread_mutex_t lock;                       /* a leaf */
    TAILQ_HEAD(cri_entries, cri_entry) entries; /* lock; newest first */
    size_t count;                               /* lock */
};
void cri_credentials_init(struct cri_credentials *credentials);
void cri_credentials_fini(struct cri_credentials *credentials);
/* In the place of what was known of the image; none in the request: forget that. -EINVAL, -EBADMSG:
 * the image or its credentials make no sense, or are for another registry: nothing is known of it
 * then; -EFBIG, -ENOMEM. No text holds a secret. */
MUST_CHECK int cri_remember(struct cri_credentials *credentials, const struct cri_request *request,
                            struct err *err);
void cri_forget(struct cri_credentials *credentials, struct bytes image);
/* *ret is as it was when nothing is known. 0 or -ENOMEM. */
MUST_CHECK int cri_find(struct cri_credentials *credentials, const char *host,
                        const char *repository, struct registry_credentials *ret, struct err *err);

#endif
