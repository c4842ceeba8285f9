/* SPDX-License-Identifier: Apache-2.0 */
/* span_rig.h – a layer in memory, a source that does as a test says, and an engine over both. */
#ifndef UNIT_SPAN_RIG_H
#define UNIT_SPAN_RIG_H

#include "test.h"

#include "span/span.h"

#include <pthread.h>

enum { RIG_DEADLINE_MS = 30000 }; /* nothing takes that long unless it hangs */

/* ---- a layer --------------------------------------------------------------------------------- */

enum rig_kind { RIG_PLAIN, RIG_GZIP };

struct rig_layer {
    enum rig_kind kind;
    struct buf tar;  /* not really one */
    struct buf comp; /* the layer blob */
    size_t count;
    struct span_info *spans;
    uint8_t *windows; /* [count * 32768], gzip only */
};
/* About `count` spans of at least span_bytes; for RIG_PLAIN exactly. Always the same bytes. */
void rig_layer_init(struct rig_layer *layer, enum rig_kind kind, size_t count, size_t span_bytes);
void rig_layer_fini(struct rig_layer *layer);
struct span_layout rig_layout(struct rig_layer *layer);

/* ---- a source -------------------------------------------------------------------------------- */

enum rig_answer {
    RIG_GIVE,          /* the bytes */
    RIG_DAMAGE,        /* the bytes, one of them wrong */
    RIG_FAIL,          /* -ETIMEDOUT */
    RIG_HOLD,          /* nothing until rig_let_go() or cancel() */
    RIG_HOLD_AND_FAIL, /* the same, and then -ETIMEDOUT */
    RIG_NO_START       /* start() itself fails, -EAGAIN */
};
enum { RIG_CALLS_MAX = 512 };

struct rig_fetch; /* one that has no answer yet */

/* Answers come from a thread of its own, in the order of the calls. */
struct rig_source {
    const struct rig_layer *layer; /* fixed at creation */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct rig_fetch *queue; /* lock, as all below */
    enum rig_answer (*answer)(void *arg, size_t call, const struct span_fetch *fetch);
    void *answer_arg;
    size_t calls, answered, cancelled, released, held;
    struct {
        uint64_t comp_off;
        size_t len;
    } log[RIG_CALLS_MAX];
    bool let_go; /* what is held is answered */
    bool closed;
};
/* NULL: RIG_GIVE always. */
void rig_source_init(struct rig_source *source, const struct rig_layer *layer,
                     enum rig_answer (*answer)(void *arg, size_t call,
                                               const struct span_fetch *fetch),
                     void *arg);
void rig_source_fini(struct rig_source *source); /* fails the test when it was not closed */
struct span_source rig_span_source(struct rig_source *source);
void rig_let_go(struct rig_source *source); /* also what comes later is not held any more */
size_t rig_calls(struct rig_source *source);
void rig_wait_calls(struct rig_source *source,
                    size_t at_least); /* fails the test at the deadline */
void rig_wait_closed(struct rig_source *source);
/* How many calls covered this byte of the layer blob. */
size_t rig_calls_over(struct rig_source *source, uint64_t comp_off);

enum rig_answer rig_fail_all(void *arg, size_t call, const struct span_fetch *fetch);
enum rig_answer rig_hold_all(void *arg, size_t call, const struct span_fetch *fetch);

/* ---- all together ---------------------------------------------------------------------------- */

struct rig {
    char root[64];
    struct store *store;
    struct rig_layer layer;
    struct rig_source source;
    struct span_engine *engine;
    struct span_set *set;
};
struct rig_options {
    enum rig_kind kind;
    size_t count, span_bytes;
    struct span_engine_options engine;
    enum rig_answer (*answer)(void *arg, size_t call, const struct span_fetch *fetch);
    void *arg;
};
void rig_start(struct rig *rig, const struct rig_options *options);
void rig_stop(struct rig *rig);
/* Close and open again what a daemon that restarts would; the source starts from nothing. */
void rig_close_set(struct rig *rig);
void rig_open_set(struct rig *rig,
                  enum rig_answer (*answer)(void *, size_t, const struct span_fetch *), void *arg);

/* The same for a test that expects a failure: the rc of whatever failed, and then nothing is open.
 */
int rig_try_open_set(struct rig *rig, struct err *err);

/* Read through the set and compare with the tar: the rc of span_set_wait(), -EILSEQ when the bytes
 * differ. Any thread. */
int rig_read(struct rig *rig, uint64_t uncomp_off, size_t len, struct err *err);
int rig_read_span(struct rig *rig, size_t n, struct err *err);
void rig_wait_complete(struct rig *rig);

#endif
