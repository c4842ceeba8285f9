/* SPDX-License-Identifier: Apache-2.0 */
/* version.c – containerd.services.version.v1.Version, which tools ask of any plugin. */
#include "rpc/rpc.h"

#include "rpc/internal.h"

#include "proto/version.pb-c.h"

/* The generated struct wants strings that may be written to; packing writes to none. */
static char *as_field(const char *text)
{
    return (char *)(uintptr_t)text;
}

/* The request is google.protobuf.Empty: whatever it holds means nothing. */
static int handle_version(void *self, struct grpc_call *call, struct err *err)
{
    const struct rpc_version *version = self;
    Wire__VersionResponse response;

    wire__version_response__init(&response);
    response.version = as_field(version->version);
    response.revision = as_field(version->revision);
    return rpc_reply(call, &response.base, err);
}

static const struct grpc_method methods[] = {
    {.path = "/containerd.services.version.v1.Version/Version", .handle = handle_version},
};

struct grpc_service rpc_version_service(struct rpc_version *version)
{
    return (struct grpc_service){
        .methods = methods, .method_count = ARRAY_LEN(methods), .self = version};
}
