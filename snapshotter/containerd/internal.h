/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h – one call to containerd: pack, send with namespace and lease, unpack. */
#ifndef CONTAINERD_INTERNAL_H
#define CONTAINERD_INTERNAL_H

#include "containerd/containerd.h"
#include "grpc/grpc.h"
#include "proto/proto.h"

struct containerd {
    struct grpc_channel *channel;
    struct text_map metadata; /* namespace, and the lease in use */
    int64_t call_timeout_ms;  /* fixed */
    int64_t deadline_ms;      /* fixed; 0: none */
};

#define CONTAINERD_SERVICE "/containerd.services."

struct containerd_method {
    const char *path;
    const ProtobufCMessageDescriptor *reply; /* what the answer unpacks as */
};

/* A unary call. *ret_reply: as proto_unpack(), for SCOPED(proto); NULL to drop the answer. `status`
 * may be NULL. */
MUST_CHECK int containerd_call(struct containerd *c, const struct containerd_method *method,
                               const ProtobufCMessage *message, void *ret_reply,
                               struct grpc_status *status, struct err *err);
/* Later calls belong to no lease if they belonged to that one. */
void containerd_forget_lease(struct containerd *c, const char *id);

/* The request of a call, from `message` packed into *packed. */
MUST_CHECK int containerd_request(struct containerd *c, const char *path,
                                  const ProtobufCMessage *message, struct buf *packed,
                                  struct grpc_request *ret, struct err *err);

/* A stream of answers, each unpacked and given to each(). */
MUST_CHECK int containerd_stream(struct containerd *c, const struct containerd_method *method,
                                 const ProtobufCMessage *message,
                                 int (*each)(void *arg, const ProtobufCMessage *reply,
                                             struct err *err),
                                 void *arg, struct err *err);

/* "labels.<key>" for each of `labels`: the paths of an update that leaves other labels alone. */
MUST_CHECK int containerd_label_paths(const struct text_map *labels, struct text_list *ret);

/* Protobuf messages want char * for strings that they only read. */
char *containerd_lend(const char *s);

#endif
