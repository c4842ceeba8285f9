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
#include "span/span.h"
#include "store/store.h"

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

/* soci.status.v1.Status, our own: proto/status.proto. */
#define RPC_STATUS_GET "/soci.status.v1.Status/Get"
struct lazy;
struct local;
struct rpc_status {
    const char *version, *revision;
    const char *config;                /* the file's path */
    const char *backend;               /* how layers are mounted */
    const struct text_list *addresses; /* of the sockets that are served */
    int64_t started_wall_ms, started_mono_ms;
    struct store *store;
    struct span_engine *engine;
    struct local *local; /* NULL: nothing is unpacked */
    struct lazy *lazy;
    struct snapshotter *snapshotter;
};
struct grpc_service rpc_status_service(struct rpc_status *status);

#endif
