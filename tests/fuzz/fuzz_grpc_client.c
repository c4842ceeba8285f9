/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_grpc_client.c – the client's side of a connection: what a server may say to a conversation
 * (stream 1) and to a call whose answers are awaited (stream 3). The first byte of the input says
 * in which order they are looked at; the rest is the server's, all of it there before it is read,
 * and then the end. */
#include "grpc/client.h"

#include <stdlib.h>
#include <sys/socket.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A channel whose server is `peer`, with the handshake behind it. */
static struct grpc_channel *connected(int *peer)
{
    struct grpc_channel_options options = {.address = "/nowhere", .max_message_bytes = 100000};
    struct grpc_channel *channel = NULL;
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 ||
        grpc_channel_open(&options, &channel, NULL) < 0)
        abort();
    channel->fd = pair[0];
    channel->is_ready = true;
    channel->connect_timeout_ms = 1; /* it is not found again */
    *peer = pair[1];
    if (grpc_client_session_new(channel) < 0)
        abort();
    return channel;
}

static void converse(struct grpc_stream *stream)
{
    SCOPED(buf_value) struct buf message = BUF_EMPTY;
    int rc;

    do {
        if (grpc_stream_send(stream, bytes_of("hello", 5), NULL) < 0)
            grpc_stream_close_send(stream);
        rc = grpc_stream_recv(stream, &message, NULL, NULL);
    } while (rc == 1);
}

static void drain(struct grpc_stream *stream)
{
    SCOPED(buf_value) struct buf message = BUF_EMPTY;

    grpc_stream_close_send(stream);
    while (grpc_stream_recv(stream, &message, NULL, NULL) == 1)
        ;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct grpc_request request = {.path = "/t.T/Say"};
    struct grpc_stream *first = NULL, *second = NULL;
    struct grpc_channel *channel;
    int peer;

    if (size == 0 || size > 65536)
        return 0;
    channel = connected(&peer);
    if (grpc_stream_open(channel, &request, &first, NULL) < 0 ||
        grpc_stream_open(channel, &request, &second, NULL) < 0)
        abort();
    if (send(peer, data + 1, size - 1, MSG_NOSIGNAL) < 0 || shutdown(peer, SHUT_WR) < 0)
        abort();
    if ((data[0] & 1) != 0)
        converse(first);
    drain(second);
    if ((data[0] & 2) != 0)
        drain(first);
    grpc_stream_close(first);
    grpc_stream_close(second);
    grpc_channel_close(channel);
    (void)close(peer);
    return 0;
}
