/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h – between the structs of snapshot/ and those of the generated messages. */
#ifndef RPC_INTERNAL_H
#define RPC_INTERNAL_H

#include "grpc/grpc.h"
#include "proto/proto.h"
#include "snapshot/snapshot.h"

#include "proto/snapshots.pb-c.h"

/* The request as a message: -EINVAL, it is none. *ret_message is for SCOPED(proto). */
MUST_CHECK int rpc_request(const struct grpc_call *call, const ProtobufCMessageDescriptor *type,
                           void *ret_message, struct err *err);
MUST_CHECK int rpc_reply(struct grpc_call *call, const ProtobufCMessage *message, struct err *err);

/* Append a message that holds this one snapshot, a SnapshotInfoResponse or SnapshotListResponse:
 * they are the same bytes, and several of them one after the other are a SnapshotListResponse of
 * several. */
MUST_CHECK int rpc_pack_info(const struct snapdb_row *row, struct buf *ret, struct err *err);
MUST_CHECK int rpc_reply_mounts(struct grpc_call *call, const struct snapshot_mounts *mounts,
                                struct err *err);

#endif
