/* SPDX-License-Identifier: Apache-2.0 */
/* convert.c – rows and mounts as messages. */
#include "rpc/internal.h"

#include <errno.h>
#include <stdlib.h>

int rpc_request(const struct grpc_call *call, const ProtobufCMessageDescriptor *type,
                void *ret_message, struct err *err)
{
    int rc = proto_unpack(type, grpc_call_request(call), ret_message, err);

    return rc < 0 ? err_prefix(err, -EINVAL, "request") : 0;
}

int rpc_reply(struct grpc_call *call, const ProtobufCMessage *message, struct err *err)
{
    SCOPED(buf_value) struct buf bytes = BUF_EMPTY;
    int rc = proto_pack(message, &bytes, err);

    return rc < 0 ? rc : grpc_reply(call, buf_bytes(&bytes), err);
}

static Wire__SnapshotKind kind_of(enum snapdb_kind kind)
{
    switch (kind) {
    case SNAPDB_VIEW:
        return WIRE__SNAPSHOT_KIND__SNAPSHOT_VIEW;
    case SNAPDB_ACTIVE:
        return WIRE__SNAPSHOT_KIND__SNAPSHOT_ACTIVE;
    case SNAPDB_COMMITTED:
        return WIRE__SNAPSHOT_KIND__SNAPSHOT_COMMITTED;
    }
    return WIRE__SNAPSHOT_KIND__SNAPSHOT_UNKNOWN;
}

int rpc_pack_info(const struct snapdb_row *row, struct buf *ret, struct err *err)
{
    SCOPED(proto_pairs) struct proto_pairs labels = PROTO_PAIRS_NONE;
    Wire__SnapshotInfoResponse response = WIRE__SNAPSHOT_INFO_RESPONSE__INIT;
    Wire__SnapshotInfo info;
    Wire__Timestamp created = proto_time(row->created_ns), updated = proto_time(row->updated_ns);

    if (proto_pairs_of(&row->labels, &labels) < 0)
        return err_set(err, -ENOMEM, "snapshot %s: out of memory", row->name);
    wire__snapshot_info__init(&info);
    info.name = row->name;
    info.parent = row->parent;
    info.kind = kind_of(row->kind);
    info.created_at = &created;
    info.updated_at = &updated;
    info.n_labels = labels.count;
    info.labels = labels.items;
    response.info = &info;
    return proto_pack(&response.base, ret, err);
}

int rpc_reply_mounts(struct grpc_call *call, const struct snapshot_mounts *mounts, struct err *err)
{
    /* One block: the messages, then the pointers to them that the answer wants. */
    SCOPED(mem)
    Wire__Mount *items = calloc(mounts->count + 1, sizeof(*items) + sizeof(Wire__Mount *));
    Wire__SnapshotMountsResponse response = WIRE__SNAPSHOT_MOUNTS_RESPONSE__INIT;
    Wire__Mount **pointers;
    size_t i;

    if (items == NULL)
        return err_set(err, -ENOMEM, "mounts: out of memory");
    pointers = (Wire__Mount **)(void *)(items + mounts->count);
    for (i = 0; i < mounts->count; i++) {
        const struct snapshot_mount *mount = &mounts->items[i];
        wire__mount__init(&items[i]);
        items[i].type = mount->type;
        items[i].source = mount->source;
        items[i].n_options = mount->options.count;
        items[i].options = mount->options.items;
        pointers[i] = &items[i];
    }
    response.n_mounts = mounts->count;
    response.mounts = pointers;
    return rpc_reply(call, &response.base, err);
}
