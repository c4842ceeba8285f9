/* SPDX-License-Identifier: Apache-2.0 */
/* snapshots.c – the calls of containerd.services.snapshots.v1.Snapshots. */
#include "rpc/rpc.h"

#include "rpc/internal.h"

#include <errno.h>
#include <stdint.h>

/* As many snapshots to a message of List as the reference sends. */
enum { LIST_BATCH = 100 };

static int reply_empty(struct grpc_call *call, struct err *err)
{
    return grpc_reply(call, bytes_of(NULL, 0), err);
}

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, "request: out of memory");
}

/* Every key of containerd's has a name in it. */
static int need(const char *value, const char *what, struct err *err)
{
    return value[0] == '\0' ? err_set(err, -EINVAL, "request: no %s", what) : 0;
}

/* ---- Prepare, View, Mounts ------------------------------------------------------------------- */

typedef int (*prepare_function)(struct snapshotter *s,
                                const struct snapshot_prepare_request *request,
                                struct snapshot_mounts *ret, struct err *err);

static bool has_gone(void *call)
{
    return grpc_call_is_cancelled(call);
}

static int prepare_with(struct snapshotter *s, struct grpc_call *call, prepare_function prepare,
                        struct err *err)
{
    SCOPED(proto) Wire__SnapshotPrepareRequest *in = NULL;
    SCOPED(text_map) struct text_map labels = TEXT_MAP_EMPTY;
    SCOPED(snapshot_mounts) struct snapshot_mounts mounts = {.items = NULL, .count = 0};
    const char *namespace_ = grpc_call_metadata(call, "containerd-namespace");
    struct snapshot_prepare_request request = {.labels = &labels,
                                               .cancel = {.is_cancelled = has_gone, .self = call}};
    int rc = rpc_request(call, &wire__snapshot_prepare_request__descriptor, &in, err);

    if (rc == 0)
        rc = need(in->key, "key", err);
    if (rc < 0)
        return rc;
    if (proto_pairs_to_map(in->n_labels, in->labels, &labels) < 0)
        return no_memory(err);
    request.key = in->key;
    request.parent = in->parent;
    request.namespace_ = namespace_ == NULL ? "" : namespace_;
    request.lease = grpc_call_metadata(call, "containerd-lease");
    rc = prepare(s, &request, &mounts, err);
    return rc < 0 ? rc : rpc_reply_mounts(call, &mounts, err);
}

static int handle_prepare(void *service, struct grpc_call *call, struct err *err)
{
    return prepare_with(service, call, snapshot_prepare, err);
}

static int handle_view(void *service, struct grpc_call *call, struct err *err)
{
    return prepare_with(service, call, snapshot_view, err);
}

static int key_request(const struct grpc_call *call, Wire__SnapshotKeyRequest **ret,
                       struct err *err)
{
    int rc = rpc_request(call, &wire__snapshot_key_request__descriptor, ret, err);

    return rc < 0 ? rc : need((*ret)->key, "key", err);
}

static int handle_mounts(void *service, struct grpc_call *call, struct err *err)
{
    SCOPED(proto) Wire__SnapshotKeyRequest *in = NULL;
    SCOPED(snapshot_mounts) struct snapshot_mounts mounts = {.items = NULL, .count = 0};
    int rc = key_request(call, &in, err);

    if (rc == 0)
        rc = snapshot_mounts(service, in->key, &mounts, err);
    return rc < 0 ? rc : rpc_reply_mounts(call, &mounts, err);
}

/* ---- Commit, Remove, Cleanup ----------------------------------------------------------------- */

static int handle_commit(void *service, struct grpc_call *call, struct err *err)
{
    SCOPED(proto) Wire__SnapshotCommitRequest *in = NULL;
    SCOPED(text_map) struct text_map labels = TEXT_MAP_EMPTY;
    int rc = rpc_request(call, &wire__snapshot_commit_request__descriptor, &in, err);

    if (rc < 0)
        return rc;
    if (proto_pairs_to_map(in->n_labels, in->labels, &labels) < 0)
        return no_memory(err);
    rc = snapshot_commit(service, in->name, in->key, in->parent, &labels, err);
    return rc < 0 ? rc : reply_empty(call, err);
}

static int handle_remove(void *service, struct grpc_call *call, struct err *err)
{
    SCOPED(proto) Wire__SnapshotKeyRequest *in = NULL;
    int rc = key_request(call, &in, err);

    if (rc == 0)
        rc = snapshot_remove(service, in->key, err);
    return rc < 0 ? rc : reply_empty(call, err);
}

static int handle_cleanup(void *service, struct grpc_call *call, struct err *err)
{
    int rc = snapshot_cleanup(service, err);

    return rc < 0 ? rc : reply_empty(call, err);
}

/* ---- Stat, Update, Usage --------------------------------------------------------------------- */

static int reply_info(struct grpc_call *call, const struct snapdb_row *row, struct err *err)
{
    SCOPED(buf_value) struct buf bytes = BUF_EMPTY;
    int rc = rpc_pack_info(row, &bytes, err);

    return rc < 0 ? rc : grpc_reply(call, buf_bytes(&bytes), err);
}

static int handle_stat(void *service, struct grpc_call *call, struct err *err)
{
    SCOPED(proto) Wire__SnapshotKeyRequest *in = NULL;
    SCOPED(snapdb_row) struct snapdb_row row = {.id = 0};
    int rc = key_request(call, &in, err);

    if (rc == 0)
        rc = snapshot_stat(service, in->key, &row, err);
    return rc < 0 ? rc : reply_info(call, &row, err);
}

static int handle_update(void *service, struct grpc_call *call, struct err *err)
{
    SCOPED(proto) Wire__SnapshotUpdateRequest *in = NULL;
    SCOPED(text_map) struct text_map labels = TEXT_MAP_EMPTY;
    SCOPED(text_list) struct text_list paths = TEXT_LIST_EMPTY;
    SCOPED(snapdb_row) struct snapdb_row row = {.id = 0};
    int rc = rpc_request(call, &wire__snapshot_update_request__descriptor, &in, err);

    if (rc == 0)
        rc = need(in->info == NULL ? "" : in->info->name, "name", err);
    if (rc < 0 || in->info == NULL)
        return rc;
    if (proto_pairs_to_map(in->info->n_labels, in->info->labels, &labels) < 0 ||
        (in->update_mask != NULL &&
         proto_strings_to_list(in->update_mask->n_paths, in->update_mask->paths, &paths) < 0))
        return no_memory(err);
    rc = snapshot_update(service, in->info->name, &labels, &paths, &row, err);
    return rc < 0 ? rc : reply_info(call, &row, err);
}

static int handle_usage(void *service, struct grpc_call *call, struct err *err)
{
    SCOPED(proto) Wire__SnapshotKeyRequest *in = NULL;
    Wire__SnapshotUsageResponse out = WIRE__SNAPSHOT_USAGE_RESPONSE__INIT;
    uint64_t bytes = 0, inodes = 0;
    int rc = key_request(call, &in, err);

    if (rc == 0)
        rc = snapshot_usage(service, in->key, &bytes, &inodes, err);
    if (rc < 0)
        return rc;
    out.size = (int64_t)bytes;
    out.inodes = (int64_t)inodes;
    return rpc_reply(call, &out.base, err);
}

/* ---- List ------------------------------------------------------------------------------------ */

struct listing {
    struct grpc_call *call;
    struct buf batch;
    size_t count; /* in the batch */
    struct err *err;
};

static int send_batch(struct listing *listing)
{
    int rc = grpc_reply(listing->call, buf_bytes(&listing->batch), listing->err);

    listing->batch.len = 0;
    listing->count = 0;
    return rc;
}

static int list_row(void *arg, const struct snapdb_row *row)
{
    struct listing *listing = arg;
    int rc = rpc_pack_info(row, &listing->batch, listing->err);

    if (rc < 0 || ++listing->count < LIST_BATCH)
        return rc;
    return send_batch(listing);
}

static int handle_list(void *service, struct grpc_call *call, struct err *err)
{
    SCOPED(proto) Wire__SnapshotListRequest *in = NULL;
    SCOPED(text_list) struct text_list filters = TEXT_LIST_EMPTY;
    struct listing listing = {.call = call, .batch = BUF_EMPTY, .err = err};
    int rc = rpc_request(call, &wire__snapshot_list_request__descriptor, &in, err);

    if (rc < 0)
        return rc;
    if (proto_strings_to_list(in->n_filters, in->filters, &filters) < 0)
        return no_memory(err);
    rc = snapshot_list(service, &filters, list_row, &listing, err);
    if (rc == 0 && listing.count > 0)
        rc = send_batch(&listing);
    buf_fini(&listing.batch);
    return rc;
}

/* ---- the table ------------------------------------------------------------------------------- */

#define PATH(method) "/containerd.services.snapshots.v1.Snapshots/" method

static const struct grpc_method methods[] = {
    {.path = PATH("Prepare"), .handle = handle_prepare},
    {.path = PATH("View"), .handle = handle_view},
    {.path = PATH("Mounts"), .handle = handle_mounts},
    {.path = PATH("Commit"), .handle = handle_commit},
    {.path = PATH("Remove"), .handle = handle_remove},
    {.path = PATH("Stat"), .handle = handle_stat},
    {.path = PATH("Update"), .handle = handle_update},
    {.path = PATH("List"), .handle = handle_list},
    {.path = PATH("Usage"), .handle = handle_usage},
    {.path = PATH("Cleanup"), .handle = handle_cleanup},
};

struct grpc_service rpc_snapshots_service(struct snapshotter *snapshotter)
{
    return (struct grpc_service){
        .methods = methods, .method_count = ARRAY_LEN(methods), .self = snapshotter};
}
