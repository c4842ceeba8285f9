/* SPDX-License-Identifier: Apache-2.0 */
/* rpc.h – the daemon's gRPC services: messages in, calls of the folders below, messages out.
 * Decides nothing.
 *
 *   const struct grpc_service services[] = {rpc_snapshots_service(snapshotter),
 * rpc_health_service()}; options.services = services;   with what they were made of, alive until
 * the server was freed
 *
 * Errors keep their errno; grpc/ makes the status of it. A request that is no message of its type,
 * or lacks what it must hold, is -EINVAL. The namespace is that of the header
 * `containerd-namespace`. */
#ifndef RPC_RPC_H
#define RPC_RPC_H

#include "grpc/grpc.h"
#include "snapshot/snapshot.h"

#include <stddef.h>

/* containerd.services.snapshots.v1.Snapshots */
struct grpc_service rpc_snapshots_service(struct snapshotter *snapshotter);

/* grpc.health.v1.Health: always SERVING for "" and for the Snapshots service; who watches is told
 * NOT_SERVING when the server stops. */
struct grpc_service rpc_health_service(void);

/* containerd.services.version.v1.Version */
struct rpc_version {
    const char *version;
    const char *revision;
};
struct grpc_service rpc_version_service(struct rpc_version *version);

#endif
