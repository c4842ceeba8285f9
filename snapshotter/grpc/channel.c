/* SPDX-License-Identifier: Apache-2.0 */
/* channel.c – the client's connection: made when it is needed, and moved on while a call waits. */
#include "client.h"

#include "base/clock.h"

#include <ctype.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

enum {
    INPUT_BYTES = 64 * 1024,
    OUTPUT_BYTES = 64 * 1024,
    CONNECT_TIMEOUT_MS = 10000, /* containerd's own client waits as long */
};

int grpc_channel_open(const struct grpc_channel_options *options, struct grpc_channel **ret,
                      struct err *err)
{
    SCOPED(grpc_channel) struct grpc_channel *channel = calloc(1, sizeof(*channel));
    int rc;

    if (channel == NULL)
        return err_set(err, -ENOMEM, "grpc channel: out of memory");
    channel->fd = channel->cancel_fd = -1;
    channel->connect_timeout_ms =
        options->connect_timeout_ms == 0 ? CONNECT_TIMEOUT_MS : options->connect_timeout_ms;
    channel->max_message_bytes =
        options->max_message_bytes == 0 ? GRPC_MESSAGE_MAX_BYTES : options->max_message_bytes;
    rc = grpc_address_parse(options->address, &channel->path, err);
    if (rc < 0)
        return rc;
    channel->user_agent =
        text_copy(options->user_agent == NULL ? "finch-soci" : options->user_agent);
    channel->input = malloc(INPUT_BYTES);
    if (channel->user_agent == NULL || channel->input == NULL)
        return err_set(err, -ENOMEM, "grpc channel: out of memory");
    channel->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (channel->cancel_fd < 0)
        return err_sys(err, -errno, "grpc channel: eventfd");
    *ret = TAKE(channel);
    return 0;
}

static void disconnect(struct grpc_channel *channel)
{
    struct grpc_stream *stream;

    /* The next connection counts its streams from the start. */
    for (stream = channel->streams; stream != NULL; stream = stream->next)
        stream->id = -1;
    nghttp2_session_del(TAKE(channel->session));
    if (channel->fd >= 0)
        (void)close(channel->fd);
    channel->fd = -1;
    channel->is_ready = channel->is_leaving = false;
    channel->out.len = channel->out_sent = 0;
}

void grpc_channel_close(struct grpc_channel *channel)
{
    if (channel == NULL)
        return;
    disconnect(channel);
    buf_fini(&channel->out);
    if (channel->cancel_fd >= 0)
        (void)close(channel->cancel_fd);
    free(channel->input);
    free(channel->user_agent);
    free(channel->path);
    free(channel);
}

void grpc_channel_cancel(struct grpc_channel *channel)
{
    uint64_t one = 1;
    int saved_errno = errno;
    ssize_t rc;

    do /* it fails only when the counter is full, and then it is readable */
        rc = write(channel->cancel_fd, &one, sizeof(one));
    while (rc < 0 && errno == EINTR);
    errno = saved_errno;
}

static bool is_cancelled(const struct grpc_channel *channel)
{
    struct pollfd cancel = {.fd = channel->cancel_fd, .events = POLLIN};

    return poll(&cancel, 1, 0) > 0;
}

static int cancelled(struct err *err)
{
    return err_set(err, -ECANCELED, "context canceled");
}

/* The connection is of no use any more. Its streams end, with what the user sees as the reason. */
static int lose(struct grpc_channel *channel, struct err *err, const char *what, const char *why)
{
    char text[ERR_TEXT_BYTES];
    struct grpc_stream *stream;

    (void)snprintf(text, sizeof(text), "connection error: desc = \"transport: %s: %s\"", what, why);
    for (stream = channel->streams; stream != NULL; stream = stream->next)
        grpc_stream_settle_code(stream, GRPC_UNAVAILABLE, text);
    disconnect(channel);
    return err_set(err, -EAGAIN, "%s", text);
}

/* ---- moving bytes ---------------------------------------------------------------------------- */

/* 1: all sent, 0: the socket takes no more now, or a negative errno. */
static int send_all(struct grpc_channel *channel)
{
    for (;;) {
        const uint8_t *data;
        ssize_t len;

        if (channel->out_sent == channel->out.len)
            channel->out_sent = channel->out.len = 0;
        while (channel->out_sent == 0 && channel->out.len < OUTPUT_BYTES) {
            len = nghttp2_session_mem_send(channel->session, &data);
            if (len < 0 || buf_add(&channel->out, data, (size_t)len) < 0)
                return -EPROTO;
            if (len == 0)
                break;
        }
        if (channel->out.len == 0)
            return 1;
        len = send(channel->fd, channel->out.data + channel->out_sent,
                   channel->out.len - channel->out_sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (len < 0 && errno == EAGAIN)
            return 0;
        if (len < 0 && errno != EINTR)
            return -errno;
        channel->out_sent += len > 0 ? (size_t)len : 0;
    }
}

void grpc_channel_send_some(struct grpc_channel *channel)
{
    if (channel->fd >= 0)
        (void)send_all(channel); /* a failure shows again at the next step */
}

static int receive(struct grpc_channel *channel, struct err *err)
{
    ssize_t len = recv(channel->fd, channel->input, INPUT_BYTES, MSG_DONTWAIT);

    if (len < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (len <= 0)
        return lose(channel, err, "error reading from server", len == 0 ? "EOF" : strerror(errno));
    len = nghttp2_session_mem_recv(channel->session, channel->input, (size_t)len);
    if (len < 0)
        return lose(channel, err, "error reading from server", nghttp2_strerror((int)len));
    return 0;
}

static int poll_timeout(int64_t until_ms)
{
    int64_t left_ms;

    if (until_ms == INT64_MAX)
        return -1;
    left_ms = until_ms - clock_mono_ms();
    if (left_ms <= 0)
        return 0;
    return left_ms > INT32_MAX ? INT32_MAX : (int)left_ms;
}

int grpc_channel_step(struct grpc_channel *channel, int64_t until_ms, struct err *err)
{
    struct pollfd fds[2] = {{.fd = channel->cancel_fd, .events = POLLIN}};
    int rc = send_all(channel);

    if (rc < 0)
        return lose(channel, err, "error writing to server", strerror(-rc));
    if (nghttp2_session_want_read(channel->session) == 0 &&
        nghttp2_session_want_write(channel->session) == 0)
        return lose(channel, err, "error reading from server", "the connection was ended");
    fds[1] = (struct pollfd){.fd = channel->fd, .events = POLLIN};
    if (rc == 0)
        fds[1].events |= POLLOUT;
    rc = poll(fds, ARRAY_LEN(fds), poll_timeout(until_ms));
    if (rc < 0 && errno != EINTR)
        return lose(channel, err, "poll", strerror(errno));
    if (rc < 0)
        return 0;
    if (rc == 0)
        return err_set(err, -ETIMEDOUT, "context deadline exceeded");
    if (fds[0].revents != 0)
        return cancelled(err);
    if ((fds[1].revents & (POLLIN | POLLHUP | POLLERR)) != 0)
        return receive(channel, err);
    return 0;
}

/* ---- connecting ------------------------------------------------------------------------------ */

/* A call's own deadline, before the connection's time is up, is worded as such. */
static int not_connected(struct grpc_channel *channel, int64_t deadline_ms, const char *why,
                         struct err *err)
{
    int rc = lose(channel, err, "Error while dialing", why);

    if (clock_mono_ms() < deadline_ms)
        return rc;
    return err_prefix(err, -ETIMEDOUT,
                      "context deadline exceeded while waiting for connections to become ready");
}

static int dial(struct grpc_channel *channel, int64_t until_ms, int64_t deadline_ms,
                struct err *err)
{
    char why[ERR_TEXT_BYTES];
    char reason[128];
    int dial_errno;
    int rc = grpc_dial(channel->path, channel->cancel_fd, until_ms, &channel->fd, &dial_errno);

    if (rc == -ECANCELED)
        return cancelled(err);
    if (rc == 0)
        return 0;
    (void)snprintf(reason, sizeof(reason), "%s", strerror(dial_errno));
    reason[0] = (char)tolower((unsigned char)reason[0]);
    (void)snprintf(why, sizeof(why), "dial unix %s: connect: %s", channel->path, reason);
    return not_connected(channel, deadline_ms, why, err);
}

static int wait_for_settings(struct grpc_channel *channel, int64_t until_ms, int64_t deadline_ms,
                             struct err *err)
{
    while (!channel->is_ready) {
        int rc = grpc_channel_step(channel, until_ms, err);

        if (rc == -ETIMEDOUT)
            return not_connected(channel, deadline_ms, "the server does not say anything", err);
        if (rc < 0) {
            disconnect(channel);
            return rc;
        }
    }
    return 0;
}

int grpc_channel_connect(struct grpc_channel *channel, int64_t deadline_ms, struct err *err)
{
    int64_t until_ms = clock_mono_ms() + channel->connect_timeout_ms;
    int rc;

    if (is_cancelled(channel))
        return cancelled(err);
    /* A server that went away while nobody looked shows now, and is dialed anew. */
    while (channel->fd >= 0 && grpc_channel_step(channel, 0, NULL) == 0)
        ;
    if (channel->is_leaving && channel->streams != NULL)
        return err_set(err, -EAGAIN,
                       "connection error: desc = \"transport: the server is shutting down\"");
    if (channel->is_leaving)
        disconnect(channel);
    if (channel->fd >= 0)
        return 0;
    if (deadline_ms < until_ms)
        until_ms = deadline_ms;
    rc = dial(channel, until_ms, deadline_ms, err);
    if (rc < 0)
        return rc;
    if (grpc_client_session_new(channel) < 0) {
        disconnect(channel);
        return err_set(err, -ENOMEM, "grpc channel: out of memory");
    }
    return wait_for_settings(channel, until_ms, deadline_ms, err);
}
