/* SPDX-License-Identifier: Apache-2.0 */
/* containerd.h – containerd's content, images and leases, asked for over its socket.
 *
 * A `struct containerd` is one connection and one namespace. One thread at a time uses it; threads
 * that work in parallel open one each (opening costs nothing and contacts nobody, the first call
 * dials). Every call blocks until containerd answers, the call's time is up or containerd_cancel().
 *
 * Errors of all calls: -ENOENT no such thing (containerd's text, as `content digest sha256:…: not
 * found`), -EAGAIN containerd is not there (text `connection error: desc = "transport: …"`),
 * -ETIMEDOUT, -ECANCELED, -EINVAL, -EPROTO, -EBADMSG an answer that does not parse, and what
 * grpc/grpc.h lists.
 *
 * Blobs that no label refers to vanish at containerd's next garbage collection. So: create a lease,
 * use it, write, set the labels that keep the blob, delete the lease. */
#ifndef CONTAINERD_CONTAINERD_H
#define CONTAINERD_CONTAINERD_H

#include "base/attr.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CONTAINERD_ADDRESS "/run/containerd/containerd.sock"
#define CONTAINERD_NAMESPACE "default"

struct containerd;
struct containerd_options {
    const char *address;    /* socket's path, with or without unix://; NULL: CONTAINERD_ADDRESS */
    const char *namespace_; /* NULL: CONTAINERD_NAMESPACE */
    int64_t connect_timeout_ms; /* 0: 10000 */
    int64_t
        call_timeout_ms; /* one call, or in reading and writing content one step of it; 0: 60000 */
    int64_t deadline_ms; /* moment on clock_mono_ms() after which every call fails; 0: none */
};
MUST_CHECK int containerd_open(const struct containerd_options *options, struct containerd **ret,
                               struct err *err);
void containerd_close(struct containerd *c); /* NULL is fine */
DEFINE_SCOPED_PTR(containerd, struct containerd, containerd_close)
/* Any thread, and safe in a signal handler: the call under way and all later ones fail with
 * -ECANCELED. */
void containerd_cancel(struct containerd *c);

/* ---- images ---------------------------------------------------------------------------------- */

struct containerd_image {
    char *name;
    struct text_map labels;
    char *media_type; /* of the target: a manifest or an index */
    char *digest;     /* "sha256:…" of the target */
    uint64_t size_bytes;
};
#define CONTAINERD_IMAGE_NONE                                                                      \
    {                                                                                              \
        .name = NULL                                                                               \
    }
void containerd_image_fini(struct containerd_image *image);
DEFINE_SCOPED_VALUE(containerd_image, struct containerd_image, containerd_image_fini)

/* *ret is empty on failure. -ENOENT: text `image "<name>": not found`. */
MUST_CHECK int containerd_image_get(struct containerd *c, const char *name,
                                    struct containerd_image *ret, struct err *err);
/* Filters in containerd's grammar, OR-ed (`target.digest==sha256:…`); none or NULL: all. each()
 * returns 0 to go on, else the walk ends with that value. */
MUST_CHECK int containerd_image_list(struct containerd *c, const struct text_list *filters,
                                     int (*each)(void *arg, const struct containerd_image *image),
                                     void *arg, struct err *err);
/* Set one label and leave the others; "" removes it. */
MUST_CHECK int containerd_image_set_label(struct containerd *c, const char *name, const char *key,
                                          const char *value, struct err *err);
struct containerd_target {
    const char *media_type;
    const char *digest; /* "sha256:…" */
    uint64_t size_bytes;
};
/* A new record, without labels. -EEXIST: there is one of that name. */
MUST_CHECK int containerd_image_create(struct containerd *c, const char *name,
                                       const struct containerd_target *to, struct err *err);
/* The record points to other content from then on; its labels stay. */
MUST_CHECK int containerd_image_set_target(struct containerd *c, const char *name,
                                           const struct containerd_target *to, struct err *err);

/* ---- content --------------------------------------------------------------------------------- */

struct containerd_content {
    uint64_t size_bytes;
    struct text_map labels;
};
void containerd_content_fini(struct containerd_content *content);
DEFINE_SCOPED_VALUE(containerd_content, struct containerd_content, containerd_content_fini)

/* `digest` is "sha256:…" everywhere. ret may be NULL: is it there? */
MUST_CHECK int containerd_content_info(struct containerd *c, const char *digest,
                                       struct containerd_content *ret, struct err *err);
/* each() as in containerd_image_list(). Filters as `labels."key"==value`. */
MUST_CHECK int containerd_content_list(struct containerd *c, const struct text_list *filters,
                                       int (*each)(void *arg, const char *digest,
                                                   const struct containerd_content *content),
                                       void *arg, struct err *err);

/* Where content goes while it is read: pieces in order, 1 MiB or so. 0 to go on, else the read ends
 * with that value. */
struct containerd_sink {
    int (*write)(void *self, struct bytes piece, struct err *err);
    void *self;
};
/* `len` bytes from `off_bytes` on; len 0: to the end. All of them, or an error (-EBADMSG:
 * containerd sent fewer, more or other ranges). The digest is not checked. */
MUST_CHECK int containerd_content_read(struct containerd *c, const char *digest, uint64_t off_bytes,
                                       uint64_t len_bytes, const struct containerd_sink *sink,
                                       struct err *err);
/* The whole blob, appended to *ret. -EFBIG: larger than `max_bytes`. The digest is not checked. */
MUST_CHECK int containerd_content_read_all(struct containerd *c, const char *digest,
                                           size_t max_bytes, struct buf *ret, struct err *err);

/* Bytes that containerd_content_write() asks for: fill `buf` with at most `len` from where it
 * stopped; the count, which is 0 only at the end, or a negative errno. */
struct containerd_source {
    ssize_t (*read)(void *self, void *buf, size_t len, struct err *err);
    void *self;
};
struct containerd_write_request {
    const char *digest; /* what it must be; containerd checks: -EBUSY when the bytes are others */
    uint64_t size_bytes;
    const char
        *ref; /* names the upload among others, as "soci-<digest>"; NULL: made from the digest */
    const struct text_map *labels; /* NULL: none */
};
/* Store a blob. There already: its labels are set as asked, others are left, and that is success.
 * Another writer of the same ref: -EAGAIN. A failed upload leaves nothing behind. */
MUST_CHECK int containerd_content_write(struct containerd *c,
                                        const struct containerd_write_request *request,
                                        struct bytes content, struct err *err);
MUST_CHECK int containerd_content_write_from(struct containerd *c,
                                             const struct containerd_write_request *request,
                                             const struct containerd_source *source,
                                             struct err *err);
/* The same at the pace of who has the bytes. What is not committed is forgotten when the upload is
 * closed. Errors as above, and any of them is the end of it; -EEXIST: the blob is stored already
 * (at the open, or by somebody else meanwhile), its labels as they are. */
struct containerd_upload;
/* `request->labels` is not used. */
MUST_CHECK int containerd_upload_open(struct containerd *c,
                                      const struct containerd_write_request *request,
                                      struct containerd_upload **ret, struct err *err);
/* Another namespace has it: there is nothing to add, only to commit. */
bool containerd_upload_is_full(const struct containerd_upload *upload);
/* The next bytes, in pieces of any size. containerd works on the last of them while the caller goes
 * on, so the error may be of earlier ones. */
MUST_CHECK int containerd_upload_add(struct containerd_upload *upload, struct bytes bytes,
                                     struct err *err);
MUST_CHECK int containerd_upload_commit(struct containerd_upload *upload,
                                        const struct text_map *labels, struct err *err);
/* Blocks until containerd has let go of it, unless it does not answer. NULL is fine. */
void containerd_upload_close(struct containerd_upload *upload);
DEFINE_SCOPED_PTR(containerd_upload, struct containerd_upload, containerd_upload_close)
/* Set these labels and leave the others; a value "" removes that label. */
MUST_CHECK int containerd_content_set_labels(struct containerd *c, const char *digest,
                                             const struct text_map *labels, struct err *err);
/* -ENOENT is an error here, for the caller to ignore. */
MUST_CHECK int containerd_content_delete(struct containerd *c, const char *digest, struct err *err);

/* ---- leases ---------------------------------------------------------------------------------- */

/* Keeps what is written under it until it is deleted or `expire_ms` from now (0: 24 hours).
 * *ret_id: the caller frees. */
MUST_CHECK int containerd_lease_create(struct containerd *c, int64_t expire_ms, char **ret_id,
                                       struct err *err);
/* All later calls of `c` belong to that lease; NULL: to none. -ENOMEM. */
MUST_CHECK int containerd_use_lease(struct containerd *c, const char *id, struct err *err);
/* Already gone is success. When it is the one in use, none is in use afterwards. */
MUST_CHECK int containerd_lease_delete(struct containerd *c, const char *id, struct err *err);

/* ---- layers ---------------------------------------------------------------------------------- */

/* A layer of an image, stored as containerd's own pull leaves it: with its labels, and kept by a
 * lease until the image's manifest does. */
struct containerd_layer_request {
    const char *digest;
    uint64_t size_bytes;
    const char *host, *repository; /* where it comes from: "localhost:5000", "library/app" */
    const char *manifest;          /* digest of the image's, which need not be there */
    /* Under which the image is pulled. NULL, or not there any more: one is made unless the manifest
     * refers to the layer, and deleted when it does in the end, else it ends after an hour. */
    const char *lease;
    const char *ref; /* as in struct containerd_write_request */
};
struct containerd_layer;
/* `c` is the layer's until it is closed. */
MUST_CHECK int containerd_layer_open(struct containerd *c,
                                     const struct containerd_layer_request *request,
                                     struct containerd_layer **ret, struct err *err);
/* False: containerd has them already, so only the end is missing. */
bool containerd_layer_wants_bytes(const struct containerd_layer *layer);
/* As containerd_upload_add(). */
MUST_CHECK int containerd_layer_add(struct containerd_layer *layer, struct bytes bytes,
                                    struct err *err);
/* All of them are there; `diff_id` is the digest of the unpacked layer. */
MUST_CHECK int containerd_layer_finish(struct containerd_layer *layer, const char *diff_id,
                                       struct err *err);
/* Without a finish before, nothing of it stays. NULL is fine. */
void containerd_layer_close(struct containerd_layer *layer);
DEFINE_SCOPED_PTR(containerd_layer, struct containerd_layer, containerd_layer_close)
/* A label's list of repositories, sorted and separated by commas, with one more. `known` may be
 * NULL. New string; -ENOMEM. */
MUST_CHECK int containerd_source_add(const char *known, const char *repository, char **ret);

/* ---- the daemon itself ----------------------------------------------------------------------- */

/* "1.6.20"; the caller frees. */
MUST_CHECK int containerd_version(struct containerd *c, char **ret, struct err *err);

#endif
