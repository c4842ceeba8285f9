/* SPDX-License-Identifier: Apache-2.0 */
/* chunks.c – a queue of framed messages on their way out. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

struct grpc_chunk {
    struct grpc_chunk *next;
    size_t len;
    size_t taken;
    uint8_t bytes[]; /* prefix and message */
};

int grpc_chunks_add(struct grpc_chunks *chunks, struct bytes message)
{
    size_t len = GRPC_PREFIX_BYTES + message.len;
    struct grpc_chunk *chunk;

    if (message.len > UINT32_MAX)
        return -ENOMEM;
    chunk = malloc(sizeof(*chunk) + len);
    if (chunk == NULL)
        return -ENOMEM;
    chunk->next = NULL;
    chunk->len = len;
    chunk->taken = 0;
    grpc_prefix_put(chunk->bytes, message.len);
    if (message.len > 0)
        memcpy(chunk->bytes + GRPC_PREFIX_BYTES, message.data, message.len);
    if (chunks->tail == NULL)
        chunks->head = chunk;
    else
        chunks->tail->next = chunk;
    chunks->tail = chunk;
    chunks->bytes += len;
    return 0;
}

static void drop_head(struct grpc_chunks *chunks)
{
    struct grpc_chunk *head = chunks->head;

    chunks->head = head->next;
    if (chunks->head == NULL)
        chunks->tail = NULL;
    free(head);
}

size_t grpc_chunks_take(struct grpc_chunks *chunks, uint8_t *out, size_t len)
{
    size_t total = 0;

    while (chunks->head != NULL && total < len) {
        struct grpc_chunk *head = chunks->head;
        size_t left = head->len - head->taken;
        size_t part = left < len - total ? left : len - total;

        memcpy(out + total, head->bytes + head->taken, part);
        head->taken += part;
        total += part;
        if (head->taken == head->len)
            drop_head(chunks);
    }
    chunks->bytes -= total;
    return total;
}

void grpc_chunks_drop_unbegun(struct grpc_chunks *chunks)
{
    struct grpc_chunk *begun = chunks->head;
    struct grpc_chunks rest = *chunks;

    *chunks = (struct grpc_chunks){.head = NULL};
    if (begun != NULL && begun->taken > 0) { /* it alone stays */
        rest.head = begun->next;
        begun->next = NULL;
        chunks->head = chunks->tail = begun;
        chunks->bytes = begun->len - begun->taken;
    }
    if (rest.head != NULL)
        grpc_chunks_fini(&rest);
}

void grpc_chunks_fini(struct grpc_chunks *chunks)
{
    while (chunks->head != NULL)
        drop_head(chunks);
    chunks->bytes = 0;
}
