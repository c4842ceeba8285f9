/* SPDX-License-Identifier: Apache-2.0 */
/* health.c – grpc.health.v1.Health: is the daemon there, and a word to those who watch when it
 * goes.
 *
 * What is served is served from the first call to the stop, so the only news is NOT_SERVING at the
 * end; a watcher costs no thread until then. */
#include "rpc/rpc.h"

#include "rpc/internal.h"

#include "proto/health.pb-c.h"

#include <errno.h>
#include <string.h>

static const char *const served[] = {
    "", /* the daemon as a whole */
    "containerd.services.snapshots.v1.Snapshots",
};

static bool is_served(const char *service)
{
    for (size_t i = 0; i < ARRAY_LEN(served); i++) {
        if (strcmp(served[i], service) == 0)
            return true;
    }
    return false;
}

static int reply_status(struct grpc_call *call, Wire__HealthStatus status, struct err *err)
{
    Wire__HealthCheckResponse response;

    wire__health_check_response__init(&response);
    response.status = status;
    return rpc_reply(call, &response.base, err);
}

static int handle_check(void *self, struct grpc_call *call, struct err *err)
{
    SCOPED(proto) Wire__HealthCheckRequest *in = NULL;
    int rc = rpc_request(call, &wire__health_check_request__descriptor, &in, err);

    (void)self;
    if (rc < 0)
        return rc;
    if (!is_served(in->service))
        return err_set(err, -ENOENT, "unknown service");
    return reply_status(call, WIRE__HEALTH_STATUS__HEALTH_SERVING, err);
}

static int handle_watch(void *self, struct grpc_call *call, struct err *err)
{
    SCOPED(proto) Wire__HealthCheckRequest *in = NULL;
    int rc = rpc_request(call, &wire__health_check_request__descriptor, &in, err);

    (void)self;
    if (rc < 0)
        return rc;
    return reply_status(call,
                        is_served(in->service) ? WIRE__HEALTH_STATUS__HEALTH_SERVING
                                               : WIRE__HEALTH_STATUS__HEALTH_SERVICE_UNKNOWN,
                        err);
}

/* The request is gone by now; to whoever watches an unknown service this is true as well. */
static void end_watch(void *self, struct grpc_call *call)
{
    struct err ignored = ERR_NONE; /* the stream's end says the same */

    (void)self;
    (void)!reply_status(call, WIRE__HEALTH_STATUS__HEALTH_NOT_SERVING, &ignored);
}

static const struct grpc_method methods[] = {
    {.path = "/grpc.health.v1.Health/Check", .handle = handle_check},
    {.path = "/grpc.health.v1.Health/Watch", .handle = handle_watch, .on_stop = end_watch},
};

struct grpc_service rpc_health_service(void)
{
    return (struct grpc_service){.methods = methods, .method_count = ARRAY_LEN(methods)};
}
