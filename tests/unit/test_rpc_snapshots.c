/* SPDX-License-Identifier: Apache-2.0 */
/* containerd's Snapshots service over a unix socket: each call, its answer on the wire, its status.
 */
#include "fake_lazy.h"

#include "grpc/grpc.h"
#include "proto/proto.h"
#include "rpc/rpc.h"

#include "proto/snapshots.pb-c.h"

#include <pthread.h>

struct rpc_fixture {
    struct snapshot_fixture model;
    struct grpc_server *server;
    struct grpc_channel *channel;
    pthread_t thread;
    char socket[128];
    char text[6][128]; /* see str() */
    struct rpc_version version;
    struct grpc_service services[3];
};

static void *serve(void *arg)
{
    struct rpc_fixture *f = arg;
    struct err err = ERR_NONE;

    assert_ok(grpc_server_run(f->server, &err));
    return NULL;
}

static int setup(void **state)
{
    struct rpc_fixture *f = calloc(1, sizeof(*f));
    struct grpc_server_options options = {.stop_grace_ms = 1000};
    struct grpc_channel_options dial = {.connect_timeout_ms = 5000};
    struct err err = ERR_NONE;
    int fd = -1;

    assert_non_null(f);
    (void)strcpy(f->model.root, "/tmp/test-rpc.XXXXXX");
    assert_non_null(mkdtemp(f->model.root));
    (void)pthread_mutex_init(&f->model.fake.lock, NULL);
    snapshot_fixture_open(&f->model);
    (void)snprintf(f->socket, sizeof(f->socket), "%s/sock", f->model.root);
    f->services[0] = rpc_snapshots_service(f->model.s);
    f->services[1] = rpc_health_service();
    f->version = (struct rpc_version){.version = "v1.2.3", .revision = "abc"};
    f->services[2] = rpc_version_service(&f->version);
    options.services = f->services;
    options.service_count = ARRAY_LEN(f->services);
    assert_ok(grpc_server_new(&options, &f->server, &err));
    assert_ok(grpc_listen_unix(f->socket, 0600, &fd, &err));
    assert_ok(grpc_server_add_listener(f->server, &fd, &err));
    assert_int_equal(pthread_create(&f->thread, NULL, serve, f), 0);
    dial.address = f->socket;
    assert_ok(grpc_channel_open(&dial, &f->channel, &err));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct rpc_fixture *f = *state;
    struct err err = ERR_NONE;

    grpc_channel_close(f->channel);
    grpc_server_stop(f->server);
    (void)pthread_join(f->thread, NULL);
    grpc_server_free(f->server);
    snapshot_fixture_close(&f->model);
    assert_ok(dir_remove_all(f->model.root, &err));
    free(f);
    return 0;
}

/* The status; *ret gets the answer's bytes. */
static int call_bytes(struct rpc_fixture *f, const char *method, struct bytes in, struct buf *ret)
{
    SCOPED(mem) char *path = text_format("/containerd.services.snapshots.v1.Snapshots/%s", method);
    SCOPED(text_map) struct text_map metadata = TEXT_MAP_EMPTY;
    struct grpc_request request = {
        .path = path, .metadata = &metadata, .message = in, .deadline_ms = clock_mono_ms() + 20000};
    struct grpc_status status = {.code = -1};
    struct err err = ERR_NONE;

    assert_ok(text_map_set(&metadata, "containerd-namespace", "finch"));
    (void)!grpc_unary(f->channel, &request, ret, &status, &err);
    return status.code;
}

static int call(struct rpc_fixture *f, const char *method, const ProtobufCMessage *in,
                struct buf *ret)
{
    SCOPED(buf_value) struct buf bytes = BUF_EMPTY;
    struct err err = ERR_NONE;

    assert_ok(proto_pack(in, &bytes, &err));
    return call_bytes(f, method, buf_bytes(&bytes), ret);
}

/* For calls whose answer has no content. */
static int call_empty(struct rpc_fixture *f, const char *method, const ProtobufCMessage *in)
{
    SCOPED(buf_value) struct buf answer = BUF_EMPTY;
    int code = call(f, method, in, &answer);

    assert_int_equal(answer.len, 0);
    return code;
}

/* The generated structs want strings that are not const. */
static char *str(struct rpc_fixture *f, size_t slot, const char *s)
{
    (void)snprintf(f->text[slot], sizeof(f->text[slot]), "%s", s);
    return f->text[slot];
}

static int prepare_over(struct rpc_fixture *f, const char *method, const char *key,
                        const char *parent, const char *target, struct buf *answer)
{
    Wire__SnapshotPrepareRequest in;
    Wire__Pair label;
    Wire__Pair *labels[] = {&label};

    wire__snapshot_prepare_request__init(&in);
    wire__pair__init(&label);
    in.snapshotter = str(f, 0, "soci");
    in.key = str(f, 1, key);
    in.parent = str(f, 2, parent);
    if (target != NULL) {
        label.key = str(f, 3, SNAPSHOT_LABEL_TARGET);
        label.value = str(f, 4, target);
        in.labels = labels;
        in.n_labels = 1;
    }
    return call(f, method, &in.base, answer);
}

static int prepare_code(struct rpc_fixture *f, const char *key, const char *parent,
                        const char *target)
{
    SCOPED(buf_value) struct buf answer = BUF_EMPTY;

    return prepare_over(f, "Prepare", key, parent, target, &answer);
}

static int commit_code(struct rpc_fixture *f, const char *name, const char *key, const char *parent)
{
    Wire__SnapshotCommitRequest in;

    wire__snapshot_commit_request__init(&in);
    in.name = str(f, 0, name);
    in.key = str(f, 1, key);
    in.parent = str(f, 2, parent);
    return call_empty(f, "Commit", &in.base);
}

static int key_call(struct rpc_fixture *f, const char *method, const char *key, struct buf *answer)
{
    Wire__SnapshotKeyRequest in;

    wire__snapshot_key_request__init(&in);
    in.key = str(f, 0, key);
    return call(f, method, &in.base, answer);
}

static int key_code(struct rpc_fixture *f, const char *method, const char *key)
{
    SCOPED(buf_value) struct buf answer = BUF_EMPTY;

    return key_call(f, method, key, &answer);
}

static void prepare_answers_the_mounts(void **state)
{
    struct rpc_fixture *f = *state;
    SCOPED(buf_value) struct buf answer = BUF_EMPTY, again = BUF_EMPTY;
    SCOPED(proto) Wire__SnapshotMountsResponse *out = NULL;
    SCOPED(mem) char *lower = text_format("lowerdir=%s/snapshotter/snapshots/1/fs", f->model.root);
    struct err err = ERR_NONE;

    assert_int_equal(prepare_code(f, "k1", "", NULL), GRPC_OK);
    assert_int_equal(commit_code(f, "l1", "k1", ""), GRPC_OK);
    assert_int_equal(prepare_over(f, "Prepare", "k2", "l1", NULL, &answer), GRPC_OK);
    assert_ok(
        proto_unpack(&wire__snapshot_mounts_response__descriptor, buf_bytes(&answer), &out, &err));
    assert_int_equal(out->n_mounts, 1);
    assert_string_equal(out->mounts[0]->type, "overlay");
    assert_string_equal(out->mounts[0]->source, "overlay");
    assert_string_equal(out->mounts[0]->target, "");
    assert_int_equal(out->mounts[0]->n_options, 3);
    assert_string_equal(out->mounts[0]->options[2], lower);
    assert_int_equal(key_call(f, "Mounts", "k2", &again), GRPC_OK);
    assert_true(bytes_equal(buf_bytes(&answer), buf_bytes(&again)));
}

static void a_layer_with_a_target_already_exists(void **state)
{
    struct rpc_fixture *f = *state;

    assert_int_equal(prepare_code(f, "finch/1/k", "", "sha256:1"), GRPC_ALREADY_EXISTS);
    assert_string_equal(f->model.fake.namespace_, "finch");
    assert_int_equal(key_code(f, "Stat", "sha256:1"), GRPC_OK);
    assert_int_equal(key_code(f, "Stat", "finch/1/k"), GRPC_NOT_FOUND);
}

static void refusals_have_the_codes_that_containerd_knows(void **state)
{
    struct rpc_fixture *f = *state;

    assert_int_equal(prepare_code(f, "k1", "", NULL), GRPC_OK);
    assert_int_equal(prepare_code(f, "k1", "", NULL), GRPC_ALREADY_EXISTS);
    assert_int_equal(prepare_code(f, "k2", "nobody", NULL), GRPC_NOT_FOUND);
    assert_int_equal(prepare_code(f, "k2", "k1", NULL), GRPC_INVALID_ARGUMENT);
    assert_int_equal(key_code(f, "Mounts", "nobody"), GRPC_NOT_FOUND);
    assert_int_equal(commit_code(f, "l1", "nobody", ""), GRPC_NOT_FOUND);
    assert_int_equal(commit_code(f, "l1", "k1", ""), GRPC_OK);
    assert_int_equal(commit_code(f, "l2", "l1", ""), GRPC_FAILED_PRECONDITION);
    assert_int_equal(key_code(f, "Mounts", "l1"), GRPC_FAILED_PRECONDITION);
    assert_int_equal(prepare_code(f, "k3", "l1", NULL), GRPC_OK);
    assert_int_equal(commit_code(f, "l1", "k3", ""), GRPC_ALREADY_EXISTS);
    assert_int_equal(key_code(f, "Remove", "l1"), GRPC_FAILED_PRECONDITION);
    assert_int_equal(key_code(f, "Remove", "nobody"), GRPC_NOT_FOUND);
    assert_int_equal(key_code(f, "Stat", "nobody"), GRPC_NOT_FOUND);
    assert_int_equal(key_code(f, "Usage", "nobody"), GRPC_NOT_FOUND);
}

static void a_layer_that_cannot_serve_makes_prepare_unavailable(void **state)
{
    struct rpc_fixture *f = *state;

    assert_int_equal(prepare_code(f, "k", "", "sha256:1"), GRPC_ALREADY_EXISTS);
    fake_lazy_find(&f->model.fake, 1)->healthy = false;
    assert_int_equal(prepare_code(f, "c", "sha256:1", NULL), GRPC_UNAVAILABLE);
}

static void bytes_that_are_no_request_are_refused(void **state)
{
    static const char *const methods[] = {"Prepare", "View",   "Mounts", "Commit", "Remove",
                                          "Stat",    "Update", "List",   "Usage"};
    struct rpc_fixture *f = *state;
    size_t i;

    for (i = 0; i < ARRAY_LEN(methods); i++) {
        SCOPED(buf_value) struct buf answer = BUF_EMPTY;
        assert_int_equal(call_bytes(f, methods[i], bytes_of("\x12\xff", 2), &answer),
                         GRPC_INVALID_ARGUMENT);
    }
    assert_int_equal(prepare_code(f, "", "", NULL), GRPC_INVALID_ARGUMENT);
    assert_int_equal(key_code(f, "Stat", ""), GRPC_INVALID_ARGUMENT);
}

static void unknown_fields_are_skipped(void **state)
{
    struct rpc_fixture *f = *state;
    SCOPED(buf_value) struct buf answer = BUF_EMPTY;

    /* key (2) = "k", then field 100 as a string and field 101 as a number */
    assert_int_equal(
        call_bytes(f, "Prepare", bytes_of("\x12\x01k\xa2\x06\x01z\xa8\x06\x05", 10), &answer),
        GRPC_OK);
    assert_int_equal(key_code(f, "Stat", "k"), GRPC_OK);
}

static void stat_tells_all_of_a_snapshot(void **state)
{
    struct rpc_fixture *f = *state;
    SCOPED(buf_value) struct buf answer = BUF_EMPTY;
    SCOPED(proto) Wire__SnapshotInfoResponse *out = NULL;
    int64_t now_sec = clock_wall_ms() / 1000;
    struct err err = ERR_NONE;

    assert_int_equal(prepare_code(f, "k", "", "sha256:1"), GRPC_ALREADY_EXISTS);
    assert_int_equal(key_call(f, "Stat", "sha256:1", &answer), GRPC_OK);
    assert_ok(
        proto_unpack(&wire__snapshot_info_response__descriptor, buf_bytes(&answer), &out, &err));
    assert_string_equal(out->info->name, "sha256:1");
    assert_string_equal(out->info->parent, "");
    assert_int_equal(out->info->kind, WIRE__SNAPSHOT_KIND__SNAPSHOT_COMMITTED);
    assert_in_range(out->info->created_at->seconds, now_sec - 5, now_sec + 60);
    assert_int_equal(out->info->created_at->seconds, out->info->updated_at->seconds);
    assert_int_equal(out->info->n_labels, 3);
}

static void update_answers_the_new_state(void **state)
{
    struct rpc_fixture *f = *state;
    SCOPED(buf_value) struct buf answer = BUF_EMPTY;
    SCOPED(proto) Wire__SnapshotInfoResponse *out = NULL;
    Wire__SnapshotUpdateRequest in;
    Wire__FieldMask mask;
    Wire__SnapshotInfo info;
    Wire__Pair label;
    Wire__Pair *labels[] = {&label};
    char *paths[] = {str(f, 5, "labels.a")};
    struct err err = ERR_NONE;

    wire__snapshot_update_request__init(&in);
    wire__field_mask__init(&mask);
    wire__pair__init(&label);
    assert_int_equal(prepare_code(f, "k", "", NULL), GRPC_OK);
    wire__snapshot_info__init(&info);
    info.name = str(f, 0, "k");
    label.key = str(f, 1, "a");
    label.value = str(f, 2, "1");
    info.labels = labels;
    info.n_labels = 1;
    in.info = &info;
    mask.paths = paths;
    mask.n_paths = 1;
    in.update_mask = &mask;
    assert_int_equal(call(f, "Update", &in.base, &answer), GRPC_OK);
    assert_ok(
        proto_unpack(&wire__snapshot_info_response__descriptor, buf_bytes(&answer), &out, &err));
    assert_int_equal(out->info->n_labels, 1);
    assert_string_equal(out->info->labels[0]->value, "1");
    paths[0] = str(f, 5, "parent");
    assert_int_equal(call(f, "Update", &in.base, &answer), GRPC_INVALID_ARGUMENT);
    in.info = NULL;
    assert_int_equal(call(f, "Update", &in.base, &answer), GRPC_INVALID_ARGUMENT);
}

static void usage_and_cleanup_answer(void **state)
{
    struct rpc_fixture *f = *state;
    SCOPED(buf_value) struct buf answer = BUF_EMPTY;
    SCOPED(proto) Wire__SnapshotUsageResponse *out = NULL;
    Wire__SnapshotCleanupRequest cleanup;
    struct err err = ERR_NONE;

    wire__snapshot_cleanup_request__init(&cleanup);
    assert_int_equal(prepare_code(f, "k", "", NULL), GRPC_OK);
    assert_int_equal(key_call(f, "Usage", "k", &answer), GRPC_OK);
    assert_ok(
        proto_unpack(&wire__snapshot_usage_response__descriptor, buf_bytes(&answer), &out, &err));
    assert_int_equal(out->inodes, 1);
    assert_int_equal(key_code(f, "Remove", "k"), GRPC_OK);
    assert_int_equal(call_empty(f, "Cleanup", &cleanup.base), GRPC_OK);
    assert_false(has_dir(&f->model, "1"));
}

/* ---- List ------------------------------------------------------------------------------------ */

struct listed {
    size_t messages, infos, largest;
};

static int count_infos(void *arg, struct bytes message, struct err *err)
{
    struct listed *listed = arg;
    SCOPED(proto) Wire__SnapshotListResponse *out = NULL;

    assert_ok(proto_unpack(&wire__snapshot_list_response__descriptor, message, &out, err));
    listed->messages++;
    listed->infos += out->n_info;
    if (out->n_info > listed->largest)
        listed->largest = out->n_info;
    return 0;
}

static int list(struct rpc_fixture *f, const char *filter, struct listed *listed)
{
    SCOPED(buf_value) struct buf bytes = BUF_EMPTY;
    Wire__SnapshotListRequest in;
    struct grpc_request request = {.path = "/containerd.services.snapshots.v1.Snapshots/List",
                                   .deadline_ms = clock_mono_ms() + 20000};
    struct grpc_status status = {.code = -1};
    char *filters[] = {str(f, 0, filter)};
    struct err err = ERR_NONE;

    wire__snapshot_list_request__init(&in);
    in.filters = filters;
    in.n_filters = 1;
    assert_ok(proto_pack(&in.base, &bytes, &err));
    request.message = buf_bytes(&bytes);
    memset(listed, 0, sizeof(*listed));
    (void)!grpc_server_stream(f->channel, &request, count_infos, listed, &status, &err);
    return status.code;
}

static void an_empty_list_is_a_stream_without_messages(void **state)
{
    struct rpc_fixture *f = *state;
    struct listed listed;

    assert_int_equal(list(f, "", &listed), GRPC_OK);
    assert_int_equal(listed.messages, 0);
}

static void a_long_list_comes_in_batches_of_a_hundred(void **state)
{
    struct rpc_fixture *f = *state;
    struct listed listed;
    int i;

    for (i = 0; i < 201; i++) {
        SCOPED(mem) char *key = text_format("k%d", i);
        assert_int_equal(prepare_code(f, key, "", NULL), GRPC_OK);
    }
    assert_int_equal(list(f, "", &listed), GRPC_OK);
    assert_int_equal(listed.infos, 201);
    assert_int_equal(listed.messages, 3);
    assert_int_equal(listed.largest, 100);
    assert_int_equal(list(f, "name==k7", &listed), GRPC_OK);
    assert_int_equal(listed.infos, 1);
}

static void a_list_with_a_bad_filter_is_refused(void **state)
{
    struct rpc_fixture *f = *state;
    struct listed listed;

    assert_int_equal(list(f, "name=x", &listed), GRPC_INVALID_ARGUMENT);
    assert_int_equal(listed.messages, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(prepare_answers_the_mounts),
        T(a_layer_with_a_target_already_exists),
        T(refusals_have_the_codes_that_containerd_knows),
        T(a_layer_that_cannot_serve_makes_prepare_unavailable),
        T(bytes_that_are_no_request_are_refused),
        T(unknown_fields_are_skipped),
        T(stat_tells_all_of_a_snapshot),
        T(update_answers_the_new_state),
        T(usage_and_cleanup_answer),
        T(an_empty_list_is_a_stream_without_messages),
        T(a_long_list_comes_in_batches_of_a_hundred),
        T(a_list_with_a_bad_filter_is_refused),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
