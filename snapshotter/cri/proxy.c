/* SPDX-License-Identifier: Apache-2.0 */
/* proxy.c – calls of runtime.v1.ImageService, each on a connection of its own to the runtime. Their
 * messages go through unread, but for the requests that tell or end credentials. */
#include "cri/internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "base/threads.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SERVICE "/runtime.v1.ImageService/"
enum { WATCH_MS = 100, CONNECT_MS = 10000 };

/* A call under way, in its handler's storage. */
struct cri_call {
    struct grpc_call *call;
    struct grpc_channel *channel;
    bool is_pull;
    bool is_cancelled;         /* lock */
    LIST_ENTRY(cri_call) link; /* lock */
};

struct cri {
    struct registry_keychain first; /* fixed at creation, as the next; find is NULL: none */
    char *address;
    struct cri_credentials credentials;
    bool was_connected; /* atomic */
    pthread_t watcher;  /* fixed at creation */

    pthread_mutex_t lock;   /* a leaf, but for asking and cancelling calls, which block nowhere */
    pthread_cond_t changed; /* a call began, or `stop` */
    LIST_HEAD(, cri_call) calls;   /* lock */
    size_t call_count, pull_count; /* lock */
    bool stop;                     /* lock */
};

/* ---- cancellation ---------------------------------------------------------------------------- */

static void cancel_abandoned_locked(struct cri *cri)
{
    struct cri_call *c;

    LIST_FOREACH(c, &cri->calls, link)
    {
        if (c->is_cancelled || !grpc_call_is_cancelled(c->call))
            continue;
        c->is_cancelled = true;
        grpc_channel_cancel(c->channel);
    }
}

/* A handler that waits for the runtime does not see that its caller has gone. */
static void *watch(void *arg)
{
    struct cri *cri = arg;
    LOCKED(&cri->lock);

    while (!cri->stop) {
        cancel_abandoned_locked(cri);
        if (LIST_EMPTY(&cri->calls))
            (void)pthread_cond_wait(&cri->changed, &cri->lock);
        else
            (void)clock_cond_wait_until(&cri->changed, &cri->lock, clock_mono_ms() + WATCH_MS);
    }
    return NULL;
}

static int begin(struct cri *cri, struct cri_call *c, struct err *err)
{
    LOCKED(&cri->lock);

    if (cri->call_count >= CRI_CALLS_MAX || (c->is_pull && cri->pull_count >= CRI_PULLS_MAX))
        return err_set(err, -EFBIG, "too many calls of the image service at once");
    cri->call_count++;
    cri->pull_count += c->is_pull;
    LIST_INSERT_HEAD(&cri->calls, c, link);
    (void)pthread_cond_signal(&cri->changed);
    return 0;
}

static void end(struct cri *cri, struct cri_call *c)
{
    LOCKED(&cri->lock);

    cri->call_count--;
    cri->pull_count -= c->is_pull;
    LIST_REMOVE(c, link);
}

/* ---- the runtime ----------------------------------------------------------------------------- */

const char *cri_socket_path(const char *address)
{
    if (text_has_prefix(address, "unix://"))
        return address + strlen("unix://");
    return text_has_prefix(address, "unix:") ? address + strlen("unix:") : address;
}

/* A channel would wait for a socket that is missing. */
static int check_there(struct cri *cri, struct err *err)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    const char *path = cri_socket_path(cri->address);
    SCOPED(fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return err_sys(err, -errno, "socket");
    (void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
    if (connect(fd, (const struct sockaddr *)&at, sizeof(at)) == 0 || errno == EAGAIN) {
        __atomic_store_n(&cri->was_connected, true, __ATOMIC_RELAXED);
        return 0;
    }
    if (!__atomic_load_n(&cri->was_connected, __ATOMIC_RELAXED))
        return err_set(err, -EAGAIN, "server is not initialized yet: %s: %s", path,
                       strerror(errno));
    return err_set(err, -EAGAIN, "image service at %s: %s", path, strerror(errno));
}

static int on_message(void *call, struct bytes message, struct err *err)
{
    return grpc_reply(call, message, err);
}

static int forward(struct cri *cri, struct grpc_call *call, const char *path, bool is_pull,
                   struct err *err)
{
    SCOPED(grpc_channel) struct grpc_channel *channel = NULL;
    const struct grpc_channel_options options = {.address = cri->address,
                                                 .connect_timeout_ms = CONNECT_MS};
    int64_t deadline_ms = grpc_call_deadline_ms(call);
    const struct grpc_request request = {
        .path = path,
        .message = grpc_call_request(call),
        .deadline_ms = deadline_ms == INT64_MAX ? 0 : deadline_ms,
    };
    struct cri_call c = {.call = call, .is_pull = is_pull};
    int rc = check_there(cri, err);

    if (rc == 0)
        rc = grpc_channel_open(&options, &channel, err);
    c.channel = channel;
    if (rc == 0)
        rc = begin(cri, &c, err);
    if (rc < 0)
        return rc;
    rc = grpc_server_stream(channel, &request, on_message, call, NULL, err);
    end(cri, &c);
    return rc;
}

/* ---- methods --------------------------------------------------------------------------------- */

static int handle_list(void *cri, struct grpc_call *call, struct err *err)
{
    return forward(cri, call, SERVICE "ListImages", false, err);
}

static int handle_stream(void *cri, struct grpc_call *call, struct err *err)
{
    return forward(cri, call, SERVICE "StreamImages", false, err);
}

static int handle_status(void *cri, struct grpc_call *call, struct err *err)
{
    return forward(cri, call, SERVICE "ImageStatus", false, err);
}

static int handle_fs_info(void *cri, struct grpc_call *call, struct err *err)
{
    return forward(cri, call, SERVICE "ImageFsInfo", false, err);
}

/* Remembered before: the pull asks for layers. What we cannot read is the runtime's to refuse. */
static int handle_pull(void *self, struct grpc_call *call, struct err *err)
{
    struct cri *cri = self;
    struct cri_request request;
    struct err why = ERR_NONE;
    int rc = cri_request_parse(grpc_call_request(call), &request, &why);

    if (rc == 0)
        rc = cri_remember(&cri->credentials, &request, &why);
    if (rc < 0)
        log_warn("credentials of a pull not kept", "err=%s", err_text(&why));
    return forward(cri, call, SERVICE "PullImage", true, err);
}

static int handle_remove(void *self, struct grpc_call *call, struct err *err)
{
    struct cri *cri = self;
    struct cri_request request;
    int rc = forward(cri, call, SERVICE "RemoveImage", false, err);

    if (rc == 0 && cri_request_parse(grpc_call_request(call), &request, NULL) == 0)
        cri_forget(&cri->credentials, request.image);
    return rc;
}

static const struct grpc_method methods[] = {
    {.path = SERVICE "ListImages", .handle = handle_list},
    {.path = SERVICE "StreamImages", .handle = handle_stream},
    {.path = SERVICE "ImageStatus", .handle = handle_status},
    {.path = SERVICE "PullImage", .handle = handle_pull},
    {.path = SERVICE "RemoveImage", .handle = handle_remove},
    {.path = SERVICE "ImageFsInfo", .handle = handle_fs_info},
};

struct grpc_service cri_image_service(struct cri *cri)
{
    return (struct grpc_service){
        .methods = methods, .method_count = ARRAY_LEN(methods), .self = cri};
}

/* ---- the keychain ---------------------------------------------------------------------------- */

static int find(void *self, const char *host, int cancel_fd, struct registry_credentials *ret,
                struct err *err)
{
    struct cri *cri = self;

    return cri->first.find == NULL ? 0
                                   : cri->first.find(cri->first.self, host, cancel_fd, ret, err);
}

static bool is_empty(const struct registry_credentials *c)
{
    return c->username == NULL && c->password == NULL && c->identity_token == NULL &&
           c->registry_token == NULL;
}

static int find_in(void *self, const char *host, const char *repository, int cancel_fd,
                   struct registry_credentials *ret, struct err *err)
{
    struct cri *cri = self;
    int rc = find(cri, host, cancel_fd, ret, err);

    return rc < 0 || !is_empty(ret) ? rc : cri_find(&cri->credentials, host, repository, ret, err);
}

struct registry_keychain cri_keychain(struct cri *cri)
{
    return (struct registry_keychain){.find = find, .find_in = find_in, .self = cri};
}

/* ---- the whole ------------------------------------------------------------------------------- */

static int check_address(const char *address, struct err *err)
{
    SCOPED(grpc_channel) struct grpc_channel *channel = NULL;
    const struct grpc_channel_options options = {.address = address};

    if (strlen(cri_socket_path(address)) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
        return err_set(err, -EINVAL, "%s: too long for a socket", address);
    return grpc_channel_open(&options, &channel, err);
}

int cri_new(const struct cri_options *options, struct cri **ret, struct err *err)
{
    struct cri *cri = NULL;
    int rc = check_address(options->address, err);

    if (rc < 0)
        return rc;
    cri = calloc(1, sizeof(*cri));
    if (cri == NULL || (cri->address = text_copy(options->address)) == NULL) {
        free(cri);
        return err_set(err, -ENOMEM, "out of memory");
    }
    if (options->first != NULL)
        cri->first = *options->first;
    LIST_INIT(&cri->calls);
    (void)pthread_mutex_init(&cri->lock, NULL);
    cri_credentials_init(&cri->credentials);
    rc = clock_cond_init(&cri->changed);
    if (rc == 0)
        rc = thread_start(&cri->watcher, "cri-watcher", watch, cri);
    if (rc < 0) {
        free(cri->address);
        free(cri);
        return err_sys(err, rc, "image service");
    }
    *ret = cri;
    return 0;
}

void cri_free(struct cri *cri)
{
    if (cri == NULL)
        return;
    {
        LOCKED(&cri->lock);
        cri->stop = true;
        (void)pthread_cond_signal(&cri->changed);
    }
    (void)pthread_join(cri->watcher, NULL);
    cri_credentials_fini(&cri->credentials);
    (void)pthread_cond_destroy(&cri->changed);
    (void)pthread_mutex_destroy(&cri->lock);
    free(cri->address);
    free(cri);
}
