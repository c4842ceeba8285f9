/* SPDX-License-Identifier: Apache-2.0 */
/* array_source.h – a layer in memory as a source of spans, which answers on a thread per fetch. */
#ifndef UNIT_ARRAY_SOURCE_H
#define UNIT_ARRAY_SOURCE_H

#include "test.h"

#include "base/clock.h"
#include "base/threads.h"
#include "span/span.h"

#include <errno.h>
#include <stdlib.h>

enum { DEADLINE_MS = 30000 };

struct array_source {
    struct bytes layer;
    unsigned fetches, closed; /* atomic */
};

struct array_fetch {
    const struct array_source *source;
    struct span_fetch *fetch;
};

static inline void *answer(void *arg)
{
    struct array_fetch *call = arg;
    struct span_fetch *fetch = call->fetch;

    memcpy(fetch->buf, call->source->layer.data + fetch->comp_off, fetch->len);
    free(call);
    fetch->done(fetch, 0, NULL);
    return NULL;
}

static inline int array_start(void *self, struct span_fetch *fetch, struct err *err)
{
    struct array_source *source = self;
    struct array_fetch *call = calloc(1, sizeof(*call));
    pthread_t thread;

    if (call == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    (void)__atomic_add_fetch(&source->fetches, 1, __ATOMIC_RELAXED);
    call->source = source;
    call->fetch = fetch;
    if (thread_start(&thread, "array", answer, call) < 0) {
        free(call);
        return err_set(err, -EAGAIN, "no thread");
    }
    return -pthread_detach(thread);
}

static inline void array_cancel(void *self, struct span_fetch *fetch)
{
    (void)self;
    (void)fetch;
}

static inline void array_close(void *self)
{
    (void)__atomic_add_fetch(&((struct array_source *)self)->closed, 1, __ATOMIC_RELEASE);
}

static inline unsigned closed(struct array_source *source)
{
    return __atomic_load_n(&source->closed, __ATOMIC_ACQUIRE);
}

static inline void wait_closed(struct array_source *source, unsigned count)
{
    int64_t deadline_ms = clock_mono_ms() + DEADLINE_MS;

    while (closed(source) < count && clock_mono_ms() < deadline_ms)
        clock_sleep_ms(1);
    assert_int_equal(closed(source), count);
}

#endif
