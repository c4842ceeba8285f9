/* SPDX-License-Identifier: Apache-2.0 */
/* client.c – the connection, and one call over it. */
#include "internal.h"

#include "base/clock.h"
#include "proto/version.pb-c.h"

#include <stdlib.h>

enum {
    CALL_TIMEOUT_MS = 60000
}; /* containerd's own calls take milliseconds; a commit may sync a big blob */

#define METADATA_NAMESPACE "containerd-namespace"
#define METADATA_LEASE "containerd-lease"

int containerd_open(const struct containerd_options *options, struct containerd **ret,
                    struct err *err)
{
    SCOPED(containerd) struct containerd *c = calloc(1, sizeof(*c));
    struct grpc_channel_options channel = {
        .address = options->address == NULL ? CONTAINERD_ADDRESS : options->address,
        .connect_timeout_ms = options->connect_timeout_ms,
    };
    const char *namespace_ =
        options->namespace_ == NULL ? CONTAINERD_NAMESPACE : options->namespace_;
    int rc;

    if (c == NULL || text_map_set(&c->metadata, METADATA_NAMESPACE, namespace_) < 0)
        return err_set(err, -ENOMEM, "containerd: out of memory");
    c->call_timeout_ms = options->call_timeout_ms == 0 ? CALL_TIMEOUT_MS : options->call_timeout_ms;
    c->deadline_ms = options->deadline_ms;
    rc = grpc_channel_open(&channel, &c->channel, err);
    if (rc < 0)
        return rc;
    *ret = TAKE(c);
    return 0;
}

void containerd_close(struct containerd *c)
{
    if (c == NULL)
        return;
    grpc_channel_close(c->channel);
    text_map_fini(&c->metadata);
    free(c);
}

void containerd_cancel(struct containerd *c)
{
    grpc_channel_cancel(c->channel);
}

int containerd_use_lease(struct containerd *c, const char *id, struct err *err)
{
    if (id == NULL) {
        text_map_remove(&c->metadata, METADATA_LEASE);
        return 0;
    }
    if (text_map_set(&c->metadata, METADATA_LEASE, id) < 0)
        return err_set(err, -ENOMEM, "lease %s: out of memory", id);
    return 0;
}

void containerd_forget_lease(struct containerd *c, const char *id)
{
    const char *in_use = text_map_get(&c->metadata, METADATA_LEASE);

    if (in_use != NULL && strcmp(in_use, id) == 0)
        text_map_remove(&c->metadata, METADATA_LEASE);
}

char *containerd_lend(const char *s)
{
    return (char *)(uintptr_t)s;
}

int containerd_request(struct containerd *c, const char *path, const ProtobufCMessage *message,
                       struct buf *packed, struct grpc_request *ret, struct err *err)
{
    int rc = proto_pack(message, packed, err);

    if (rc < 0)
        return rc;
    *ret = (struct grpc_request){
        .path = path,
        .metadata = &c->metadata,
        .message = buf_bytes(packed),
        .deadline_ms = c->deadline_ms,
        .step_timeout_ms = c->call_timeout_ms,
    };
    return 0;
}

int containerd_call(struct containerd *c, const struct containerd_method *method,
                    const ProtobufCMessage *message, void *ret_reply, struct grpc_status *status,
                    struct err *err)
{
    SCOPED(buf_value) struct buf packed = BUF_EMPTY;
    SCOPED(buf_value) struct buf response = BUF_EMPTY;
    struct grpc_request request;
    int rc = containerd_request(c, method->path, message, &packed, &request, err);

    if (rc == 0)
        rc = grpc_unary(c->channel, &request, &response, status, err);
    if (rc < 0 || ret_reply == NULL)
        return rc;
    return proto_unpack(method->reply, buf_bytes(&response), ret_reply, err);
}

/* What grpc_server_stream()'s callback needs. */
struct unpacking {
    const ProtobufCMessageDescriptor *type;
    int (*each)(void *arg, const ProtobufCMessage *reply, struct err *err);
    void *arg;
};

static int unpack_one(void *arg, struct bytes message, struct err *err)
{
    const struct unpacking *unpacking = arg;
    SCOPED(proto) ProtobufCMessage *reply = NULL;
    int rc = proto_unpack(unpacking->type, message, &reply, err);

    return rc < 0 ? rc : unpacking->each(unpacking->arg, reply, err);
}

int containerd_stream(struct containerd *c, const struct containerd_method *method,
                      const ProtobufCMessage *message,
                      int (*each)(void *arg, const ProtobufCMessage *reply, struct err *err),
                      void *arg, struct err *err)
{
    struct unpacking unpacking = {.type = method->reply, .each = each, .arg = arg};
    SCOPED(buf_value) struct buf packed = BUF_EMPTY;
    struct grpc_request request;
    int rc = containerd_request(c, method->path, message, &packed, &request, err);

    return rc < 0 ? rc
                  : grpc_server_stream(c->channel, &request, unpack_one, &unpacking, NULL, err);
}

int containerd_label_paths(const struct text_map *labels, struct text_list *ret)
{
    size_t i;

    for (i = 0; i < labels->count; i++) {
        SCOPED(mem) char *path = text_format("labels.%s", labels->items[i].key);

        if (path == NULL || text_list_add(ret, path) < 0)
            return -ENOMEM;
    }
    return 0;
}

int containerd_version(struct containerd *c, char **ret, struct err *err)
{
    static const struct containerd_method method = {
        .path = CONTAINERD_SERVICE "version.v1.Version/Version",
        .reply = &wire__version_response__descriptor,
    };
    SCOPED(proto) Wire__VersionResponse *reply = NULL;
    Wire__Empty empty;
    int rc;

    wire__empty__init(&empty);
    rc = containerd_call(c, &method, &empty.base, &reply, NULL, err);
    if (rc < 0)
        return err_prefix(err, rc, "containerd's version");
    *ret = text_copy(reply->version);
    return *ret == NULL ? err_set(err, -ENOMEM, "containerd's version: out of memory") : 0;
}
