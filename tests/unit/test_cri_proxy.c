/* SPDX-License-Identifier: Apache-2.0 */
/* test_cri_proxy.c – calls of the image service on their way to a runtime and back, over sockets.
 */
#include "test.h"

#include "base/clock.h"
#include "base/text.h"
#include "base/threads.h"
#include "cri/cri.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define SERVICE "/runtime.v1.ImageService/"
enum { PATIENCE_MS = 60000 };

/* ---- two servers ----------------------------------------------------------------------------- */

struct host {
    struct grpc_server *server;
    struct grpc_service service;
    pthread_t thread;
};

struct rig {
    char dir[64], runtime_path[96], path[96];
    struct host runtime, front;
    struct cri *cri;
    atomic_int waiting, cancelled; /* pulls in the runtime */
    atomic_bool release;
};

static void *run(void *host)
{
    struct err err = ERR_NONE;

    assert_ok(grpc_server_run(((struct host *)host)->server, &err));
    return NULL;
}

static void host_start(struct host *host, struct grpc_service service, const char *path)
{
    struct grpc_server_options options = {.services = &host->service, .service_count = 1};
    int fd = -1;

    host->service = service;
    assert_ok(grpc_server_new(&options, &host->server, NULL));
    assert_ok(grpc_listen_unix(path, 0600, &fd, NULL));
    assert_ok(grpc_server_add_listener(host->server, &fd, NULL));
    assert_int_equal(pthread_create(&host->thread, NULL, run, host), 0);
}

static void host_stop(struct host *host)
{
    if (host->server == NULL)
        return;
    grpc_server_stop(host->server);
    assert_int_equal(pthread_join(host->thread, NULL), 0);
    grpc_server_free(TAKE(host->server));
}

static int echo(void *rig, struct grpc_call *call, struct err *err)
{
    (void)rig;
    return grpc_reply(call, grpc_call_request(call), err);
}

static int three(void *rig, struct grpc_call *call, struct err *err)
{
    int rc = 0;

    (void)rig;
    for (int i = 0; i < 3 && rc == 0; i++)
        rc = grpc_reply(call, grpc_call_request(call), err);
    return rc;
}

static int no_such_image(void *rig, struct grpc_call *call, struct err *err)
{
    (void)rig;
    (void)call;
    return err_set(err, -ENOENT, "no such image, 100%%");
}

/* A request of "wait" takes until it is let go. */
static int pull(void *self, struct grpc_call *call, struct err *err)
{
    struct rig *rig = self;

    if (bytes_equal(grpc_call_request(call), bytes_of_str("wait"))) {
        atomic_fetch_add(&rig->waiting, 1);
        while (!atomic_load(&rig->release) && !grpc_call_is_cancelled(call))
            clock_sleep_ms(2);
        if (grpc_call_is_cancelled(call))
            atomic_fetch_add(&rig->cancelled, 1);
    }
    return echo(rig, call, err);
}

static const struct grpc_method methods[] = {
    {.path = SERVICE "ListImages", .handle = echo},
    {.path = SERVICE "StreamImages", .handle = three},
    {.path = SERVICE "ImageStatus", .handle = no_such_image},
    {.path = SERVICE "PullImage", .handle = pull},
    {.path = SERVICE "RemoveImage", .handle = echo},
};

static void runtime_start(struct rig *rig)
{
    host_start(
        &rig->runtime,
        (struct grpc_service){.methods = methods, .method_count = ARRAY_LEN(methods), .self = rig},
        rig->runtime_path);
}

static int find_known(void *self, const char *host, int cancel_fd, struct registry_credentials *ret,
                      struct err *err)
{
    const struct rig *rig = self;

    (void)err;
    (void)cancel_fd;
    if (strcmp(host, "known.example") == 0)
        ret->username = text_copy("known");
    return rig == NULL ? -EIO : 0;
}

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    const struct registry_keychain first = {.find = find_known, .self = rig};

    assert_non_null(rig);
    (void)snprintf(rig->dir, sizeof(rig->dir), "/tmp/test-cri-XXXXXX");
    assert_non_null(mkdtemp(rig->dir));
    (void)snprintf(rig->runtime_path, sizeof(rig->runtime_path), "%s/runtime", rig->dir);
    (void)snprintf(rig->path, sizeof(rig->path), "%s/front", rig->dir);
    assert_ok(cri_new(&(struct cri_options){.address = rig->runtime_path, .first = &first},
                      &rig->cri, NULL));
    host_start(&rig->front, cri_image_service(rig->cri), rig->path);
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    host_stop(&rig->front);
    host_stop(&rig->runtime);
    cri_free(rig->cri);
    assert_ok(dir_remove_all(rig->dir, NULL));
    free(rig);
    return 0;
}

/* ---- a client -------------------------------------------------------------------------------- */

static int count(void *counter, struct bytes message, struct err *err)
{
    (void)err;
    assert_true(bytes_equal(message, bytes_of("\x0a\x00\xff", 3)));
    ++*(int *)counter;
    return 0;
}

static int call(const struct rig *rig, const char *path, struct bytes message, int64_t timeout_ms,
                struct grpc_status *status)
{
    const struct grpc_channel_options options = {.address = rig->path};
    const struct grpc_request request = {
        .path = path, .message = message, .deadline_ms = clock_mono_ms() + timeout_ms};
    SCOPED(grpc_channel) struct grpc_channel *channel = NULL;
    SCOPED(buf_value) struct buf answer = BUF_EMPTY;
    int rc;

    assert_ok(grpc_channel_open(&options, &channel, NULL));
    rc = grpc_unary(channel, &request, &answer, status, NULL);
    if (rc == 0)
        assert_true(bytes_equal(buf_bytes(&answer), message));
    return rc;
}

/* ---- through --------------------------------------------------------------------------------- */

static void messages_go_through_as_they_are(void **state)
{
    struct rig *rig = *state;
    struct grpc_status status;

    runtime_start(rig);
    assert_ok(call(rig, SERVICE "ListImages", bytes_of("\x0a\x00\xff", 3), PATIENCE_MS, &status));
    assert_ok(call(rig, SERVICE "ListImages", bytes_of(NULL, 0), PATIENCE_MS, &status));
    /* also what is no request: that is for the runtime to say */
    assert_ok(call(rig, SERVICE "PullImage", bytes_of("\xff", 1), PATIENCE_MS, &status));
    assert_ok(call(rig, SERVICE "RemoveImage", bytes_of("\xff", 1), PATIENCE_MS, &status));
}

static void a_stream_comes_message_by_message(void **state)
{
    struct rig *rig = *state;
    const struct grpc_channel_options options = {.address = rig->path};
    const struct grpc_request request = {.path = SERVICE "StreamImages",
                                         .message = bytes_of("\x0a\x00\xff", 3)};
    SCOPED(grpc_channel) struct grpc_channel *channel = NULL;
    int messages = 0;

    runtime_start(rig);
    assert_ok(grpc_channel_open(&options, &channel, NULL));
    assert_ok(grpc_server_stream(channel, &request, count, &messages, NULL, NULL));
    assert_int_equal(messages, 3);
}

static void an_error_keeps_its_code_and_text(void **state)
{
    struct rig *rig = *state;
    struct grpc_status status;

    runtime_start(rig);
    assert_int_equal(call(rig, SERVICE "ImageStatus", bytes_of(NULL, 0), PATIENCE_MS, &status),
                     -ENOENT);
    assert_int_equal(status.code, GRPC_NOT_FOUND);
    assert_string_equal(status.text, "no such image, 100%");
    assert_int_equal(call(rig, SERVICE "ImageFsInfo", bytes_of(NULL, 0), PATIENCE_MS, &status),
                     -EOPNOTSUPP);
}

static void a_runtime_that_is_not_there_is_unavailable_until_it_is(void **state)
{
    struct rig *rig = *state;
    struct grpc_status status;

    assert_int_equal(call(rig, SERVICE "ListImages", bytes_of(NULL, 0), PATIENCE_MS, &status),
                     -EAGAIN);
    assert_int_equal(status.code, GRPC_UNAVAILABLE);
    assert_non_null(strstr(status.text, "server is not initialized yet"));
    runtime_start(rig);
    assert_ok(call(rig, SERVICE "ListImages", bytes_of(NULL, 0), PATIENCE_MS, &status));
    host_stop(&rig->runtime);
    assert_int_equal(call(rig, SERVICE "ListImages", bytes_of(NULL, 0), PATIENCE_MS, &status),
                     -EAGAIN);
    assert_non_null(strstr(status.text, "Connection refused"));
    assert_null(strstr(status.text, "initialized"));
}

/* ---- pulls ----------------------------------------------------------------------------------- */

struct waiter {
    struct rig *rig;
    pthread_t thread;
    int64_t timeout_ms;
    int rc;
};

static void *wait_in_pull(void *arg)
{
    struct waiter *waiter = arg;

    waiter->rc =
        call(waiter->rig, SERVICE "PullImage", bytes_of_str("wait"), waiter->timeout_ms, NULL);
    return NULL;
}

static void begin(struct waiter *waiter, struct rig *rig, int64_t timeout_ms)
{
    *waiter = (struct waiter){.rig = rig, .timeout_ms = timeout_ms};
    assert_int_equal(pthread_create(&waiter->thread, NULL, wait_in_pull, waiter), 0);
}

static void wait_until(atomic_int *number, int wanted)
{
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;

    while (atomic_load(number) != wanted) {
        assert_true(clock_mono_ms() < until_ms);
        clock_sleep_ms(2);
    }
}

static void a_caller_that_has_gone_ends_the_call_in_the_runtime(void **state)
{
    struct rig *rig = *state;
    struct waiter waiter;

    runtime_start(rig);
    begin(&waiter, rig, 2000);
    assert_int_equal(pthread_join(waiter.thread, NULL), 0);
    assert_int_equal(waiter.rc, -ETIMEDOUT);
    if (atomic_load(&rig->waiting) > 0)
        wait_until(&rig->cancelled, 1);
}

static void our_end_ends_the_calls_in_the_runtime(void **state)
{
    struct rig *rig = *state;
    struct waiter waiter;

    runtime_start(rig);
    begin(&waiter, rig, PATIENCE_MS);
    wait_until(&rig->waiting, 1);
    host_stop(&rig->front);
    assert_int_equal(pthread_join(waiter.thread, NULL), 0);
    assert_true(waiter.rc < 0);
    wait_until(&rig->cancelled, 1);
}

static void pulls_have_a_number_and_leave_room_for_other_calls(void **state)
{
    struct rig *rig = *state;
    struct waiter waiters[CRI_PULLS_MAX];
    struct grpc_status status;

    runtime_start(rig);
    for (int i = 0; i < CRI_PULLS_MAX; i++)
        begin(&waiters[i], rig, PATIENCE_MS);
    wait_until(&rig->waiting, CRI_PULLS_MAX);
    assert_int_equal(call(rig, SERVICE "PullImage", bytes_of_str("wait"), PATIENCE_MS, &status),
                     -EFBIG);
    assert_int_equal(status.code, GRPC_RESOURCE_EXHAUSTED);
    assert_ok(call(rig, SERVICE "ListImages", bytes_of(NULL, 0), PATIENCE_MS, &status));
    atomic_store(&rig->release, true);
    for (int i = 0; i < CRI_PULLS_MAX; i++) {
        assert_int_equal(pthread_join(waiters[i].thread, NULL), 0);
        assert_ok(waiters[i].rc);
    }
    assert_ok(call(rig, SERVICE "PullImage", bytes_of_str("wait"), PATIENCE_MS, &status));
}

/* ---- credentials ----------------------------------------------------------------------------- */

#define PULL(host) "\x0a\x11\x0a\x0f" host "/b\x12\x06\x0a\x01u\x12\x01p"
#define REMOVE(host) "\x0a\x11\x0a\x0f" host "/b"

static void assert_user(struct rig *rig, const char *host, const char *repository, const char *user)
{
    struct registry_keychain keychain = cri_keychain(rig->cri);
    struct registry_credentials c = {.username = NULL};

    assert_ok(keychain.find_in(keychain.self, host, repository, -1, &c, NULL));
    if (user == NULL)
        assert_null(c.username);
    else
        assert_string_equal(c.username == NULL ? "" : c.username, user);
    registry_credentials_fini(&c);
}

static void a_pull_leaves_its_credentials_until_the_image_is_removed(void **state)
{
    struct rig *rig = *state;
    struct registry_keychain keychain = cri_keychain(rig->cri);
    struct registry_credentials c = {.username = NULL};

    runtime_start(rig);
    assert_ok(
        call(rig, SERVICE "PullImage", bytes_of_str(PULL("other.example")), PATIENCE_MS, NULL));
    assert_user(rig, "other.example", "b", "u");
    assert_user(rig, "other.example", "c", NULL);
    assert_ok(keychain.find(keychain.self, "other.example", -1, &c, NULL)); /* for mirrors */
    assert_null(c.username);
    assert_ok(
        call(rig, SERVICE "RemoveImage", bytes_of_str(REMOVE("other.example")), PATIENCE_MS, NULL));
    assert_user(rig, "other.example", "b", NULL);
}

static void what_the_keychain_before_us_knows_counts(void **state)
{
    struct rig *rig = *state;

    runtime_start(rig);
    assert_ok(
        call(rig, SERVICE "PullImage", bytes_of_str(PULL("known.example")), PATIENCE_MS, NULL));
    assert_user(rig, "known.example", "b", "known");
}

static void an_address_that_makes_no_sense_is_refused(void **state)
{
    char path[200];
    struct cri_options options = {.address = "tcp://127.0.0.1:1"};
    struct cri *cri = NULL;

    (void)state;
    assert_int_equal(cri_new(&options, &cri, NULL), -EINVAL);
    memset(path, 'a', sizeof(path));
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    options.address = path;
    assert_int_equal(cri_new(&options, &cri, NULL), -EINVAL);
    assert_null(cri);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(messages_go_through_as_they_are),
        TEST(a_stream_comes_message_by_message),
        TEST(an_error_keeps_its_code_and_text),
        TEST(a_runtime_that_is_not_there_is_unavailable_until_it_is),
        TEST(a_caller_that_has_gone_ends_the_call_in_the_runtime),
        TEST(our_end_ends_the_calls_in_the_runtime),
        TEST(pulls_have_a_number_and_leave_room_for_other_calls),
        TEST(a_pull_leaves_its_credentials_until_the_image_is_removed),
        TEST(what_the_keychain_before_us_knows_counts),
        cmocka_unit_test(an_address_that_makes_no_sense_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
