/* SPDX-License-Identifier: Apache-2.0 */
/* rpc.h – containerd's Snapshots service: its messages in, snapshot/'s calls, messages out. Decides
 * nothing.
 *
 *   options.methods = rpc_snapshots_methods(&options.method_count);
 *   options.service = snapshotter;   a struct snapshotter *, alive until the server was freed
 *
 * Errors keep their errno; grpc/ makes the status of it. A request that is no message of its type,
 * or lacks what it must hold, is -EINVAL. The namespace is that of the header
 * `containerd-namespace`. */
#ifndef RPC_RPC_H
#define RPC_RPC_H

#include "grpc/grpc.h"
#include "snapshot/snapshot.h"

#include <stddef.h>

/* Borrowed for ever. */
const struct grpc_method *rpc_snapshots_methods(size_t *ret_count);

#endif
