/* SPDX-License-Identifier: Apache-2.0 */
/* cri.h – runtime.v1.ImageService of the container runtime, passed on as it is: bytes in, bytes
 * out. A kubelet that pulls images by way of us shows us the credentials that it pulls them with,
 * which reach nobody else: they are what lazy layers are read with.
 *
 * They are kept in memory alone, the newest CRI_CREDENTIALS_MAX, by image, and wiped when they are
 * replaced, when the image is removed, and in the end. A look-up is by repository: the newest of
 * its images counts.
 *
 * The runtime's status comes back as grpc.h translates it: texts are kept, a few codes are not. */
#ifndef CRI_CRI_H
#define CRI_CRI_H

#include "base/attr.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "grpc/grpc.h"
#include "registry/registry.h"

enum { CRI_CREDENTIALS_MAX = 256 };
/* A pull lasts minutes and has a thread for as long: neither may these take all threads of the
 * server, nor pulls all of these. What is more is answered with ResourceExhausted. */
enum { CRI_CALLS_MAX = 32, CRI_PULLS_MAX = 24 };

struct cri_options {
    const char *address; /* of the runtime's socket, as grpc_channel_open() takes it; copied */
    const struct registry_keychain *first; /* asked before us, and outlives us; NULL: none */
};
/* The file in it: what follows unix:// or unix:, or all of it. Borrowed from `address`. */
const char *cri_socket_path(const char *address);
struct cri;
/* Never contacts the runtime. -EINVAL: the address makes no sense. */
MUST_CHECK int cri_new(const struct cri_options *options, struct cri **ret, struct err *err);
/* After the server of the service, and all repositories that have the keychain. NULL is fine. */
void cri_free(struct cri *cri);
DEFINE_SCOPED_PTR(cri, struct cri, cri_free)

/* While the runtime is not there: Unavailable, at once. */
struct grpc_service cri_image_service(struct cri *cri);
struct registry_keychain cri_keychain(struct cri *cri);

#endif
