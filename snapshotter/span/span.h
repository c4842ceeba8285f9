/* SPDX-License-Identifier: Apache-2.0 */
/* span.h – the engine that gets spans: one fetch per span however many readers wait, readers before
 * background, digest verified before a byte is inflated, inflated on a pool, kept in the layer's
 * data file.
 *
 * A reader asks with span_set_want(). When every byte is there it gets 0 at once and reads the data
 * file itself (span_set_fd()); else its done() is called as soon as the last of its spans is in the
 * file. Nobody blocks: a FUSE thread can hand over a read and go on.
 *
 * What happens to a span: MISSING → (wanted or background) FETCHING → INFLATING → PRESENT. A
 * failure goes back to MISSING, each waiting reader is told, and the next read tries again: nothing
 * failed is ever kept. A span that does not match its digest is fetched once more (digest_retries)
 * and then refused
 * (-EBADMSG) the same way, with a log line. A span recorded by an earlier process is RECORDED: its
 * CRC is checked at first use, and it is PRESENT or MISSING after that.
 *
 * A reader is told before its span is whole when the bytes it asked for are in the file.
 *
 * How long a reader waits: a GET has read_budget_ms for all that its source does about it. A reader
 * that comes when it is under way already, be it for another reader or for the background, gets one
 * of its own when that fails. So a reader is told after two budgets at most, and never because of
 * something that began to fail before it came, with one exception: when a page could not be read
 * ahead the kernel asks again at once for it alone. Who asks within echo_ms for what failed after
 * more than a second is told the same, so that a reader does not wait for its budget twice.
 *
 * What an image read when it last started can be told ahead, span_set_prefer(), and be found out,
 * struct span_trace.
 *
 * Locks: span_engine->lock alone. No call out of the folder with it held, but to a layout's count,
 * at and find. */
#ifndef SPAN_SPAN_H
#define SPAN_SPAN_H

#include "base/bytes.h"
#include "base/err.h"
#include "digest/digest.h"
#include "metrics/metrics.h"
#include "store/store.h"

#include <stdbool.h>
#include <stdint.h>

/* ---- where compressed bytes come from -------------------------------------------------------- */

/* One range in the engine's storage; the source fills all of `buf` or fails. */
struct span_fetch {
    uint64_t comp_off;
    size_t len;
    uint8_t *buf;
    /* It must end within this, with all its attempts. Urgent: a reader waits. Otherwise waiting
     * between attempts is the engine's business: a source that would have to wait long fails. */
    int64_t budget_ms;
    bool urgent;
    bool
        again; /* what came before was wrong: not from where that came from, if there is a choice */
    /* Exactly once per successful start(), from a thread of the source's and never from inside
     * start(). It does not block, but calls start() for what comes next, of this source or another:
     * hold no lock meanwhile. */
    void (*done)(struct span_fetch *fetch, int rc, const struct err *err);
    /* So many bytes more have come, as often as the source likes, or never: then the engine does
     * not know how fast the link is, and keeps two GETs of background under way. Before done(), and
     * from the same thread; otherwise as done(). */
    void (*progress)(struct span_fetch *fetch, size_t len);
    void *source_data; /* the source's, until release() */
};
/* The registry in the daemon, an array in a test. Deadlines and retries of the transport are the
 * source's. start(), cancel() and release() do not block; any thread. */
struct span_source {
    /* 0, or <0: done() will not come. */
    int (*start)(void *self, struct span_fetch *fetch, struct err *err);
    /* Hurry: done() still comes. May cross done() on its way, or be called after it (then it does
     * nothing), but never after release(). */
    void (*cancel)(void *self, struct span_fetch *fetch);
    /* Once per successful start(), after done() and when no cancel() runs any more: here
     * source_data is freed. NULL: nothing to do. */
    void (*release)(void *self, struct span_fetch *fetch);
    void (*close)(void *self); /* after the last release(); may block */
    void *self;
};

/* ---- how a layer is cut into spans ----------------------------------------------------------- */

struct span_info {
    /* Of the compressed layer; neighbours share a byte when bits != 0. */
    uint64_t comp_off, comp_end;
    /* Of the tar; each span starts where the last ended. What it holds beyond is not looked at. */
    uint64_t uncomp_off, uncomp_end;
    uint8_t bits;
    struct digest digest; /* of the compressed bytes */
};
/* The layer's ztoc, as a table of functions; called from any thread. count, at and find are
 * look-ups in what never changes: they are called with a lock held. */
struct span_layout {
    size_t (*count)(void *self);
    void (*at)(void *self, size_t n, struct span_info *ret);
    size_t (*find)(void *self, uint64_t uncomp_off); /* the span that holds this byte of the tar */
    /* NULL: spans are not compressed. Else the 32 KiB before the span; may read a file. */
    int (*window)(void *self, size_t n, uint8_t *ret, struct err *err);
    void *self;
};

/* ---- the engine ------------------------------------------------------------------------------ */

struct span_engine_options {
    size_t inflate_threads; /* 0: as many as CPUs */
    size_t max_fetches;     /* under way at once in all, demand not counted; 0: 6 */
    /* Compressed bytes held by fetches; demand may exceed it by one span. 0: 64 MiB. */
    size_t max_memory_bytes;
    bool disable_background;
    int64_t
        silence_ms; /* after span_set_start_background() the background of all sets waits; 0: not */
    int64_t period_ms; /* from one background GET's start to the next one's; 0: see schedule.c */
    unsigned digest_retries; /* how often a span is fetched again whose bytes do not match; 0: 1 */
    int64_t read_budget_ms;  /* see above; 0: 300 000 */
    int64_t echo_ms;         /* see above; 0: 100 */
    /* One background GET covers adjacent spans up to so many compressed bytes. 0: 4 MiB. */
    size_t background_bytes;
    size_t max_preferred_sets; /* preferred spans of so many sets are fetched at once; 0: any */
};
struct span_engine;
MUST_CHECK int span_engine_new(const struct span_engine_options *options, struct span_engine **ret,
                               struct err *err);
void span_engine_free(struct span_engine *engine); /* every set is closed before */
DEFINE_SCOPED_PTR(span_engine, struct span_engine, span_engine_free)

/* ---- the spans of one layer ------------------------------------------------------------------ */

struct span_set;
enum { SPAN_COMP_BYTES_MAX = 256 * 1024 * 1024 }; /* a span is fetched into memory whole */
struct span_set_options {
    const char *name; /* the layer digest's text, for log lines; copied */
    struct span_layout layout;
    struct span_source source; /* owned by the set on success: span_set_close() calls its close() */
    struct span_file *file;    /* owned by the set on success */
    struct metrics_layer *metrics; /* borrowed, until the set is closed; NULL: none */
    /* The last span that was missing is there; may come again, when one was damaged meanwhile. From
     * a thread of the engine's: does not block. NULL: nobody wants to know. */
    void (*completed)(void *arg);
    void *completed_arg;
};
/* -EBADMSG: the layout has gaps or goes backwards; -EFBIG: a span is too large; -ENOMEM. */
MUST_CHECK int span_set_open(struct span_engine *engine, const struct span_set_options *options,
                             struct span_set **ret, struct err *err);
/* Readers still waiting are told -ECANCELED; returns when nothing of the set runs any more. Not
 * from a done(). */
void span_set_close(struct span_set *set);
DEFINE_SCOPED_PTR(span_set, struct span_set, span_set_close)

/* A read in the caller's storage, untouched from span_set_want() to done(). */
struct span_want {
    uint64_t uncomp_off;
    size_t len; /* > 0, inside the tar */
    /* Once, from a thread of the engine's; must not block on the network. rc 0: all bytes are in
     * the file. May free the want. */
    void (*done)(struct span_want *want, int rc, const struct err *err);
    /* the engine's */
    struct span_want *next;
    size_t first, last;
    uint64_t came; /* when so many GETs had been started */
    int rc;
};
/* 0: every byte is in the file now, done() will not be called. 1: done() will be. <0: neither,
 * -EINVAL outside the tar, -ECANCELED the set is closing, -ETIMEDOUT it has failed just
 * now, -ENOMEM. Never blocks on the network or
 * on inflating. */
MUST_CHECK int span_set_want(struct span_set *set, struct span_want *want, struct err *err);
/* As above, but waits: 0 or a negative errno. For tools and tests; not from a thread of the
 * engine's. */
MUST_CHECK int span_set_wait(struct span_set *set, uint64_t uncomp_off, size_t len,
                             int64_t deadline_ms, struct err *err);
/* Let the background fetch what is missing from now on: in order, but behind the last reader first.
 * After an error it goes on by itself, later each time; a span whose bytes were refused is left to
 * readers. */
void span_set_start_background(struct span_set *set);
/* Spans that will be wanted, by what is known of earlier starts. They are fetched like the
 * background and before it, lowest rank first over all sets, neighbours of nearly the same rank in
 * one GET: they yield to readers, but neither a silence nor a period holds them, and they are
 * fetched where the background is disabled too. Equal ranks: in the order of the sets. Adds to what
 * was preferred before; of a span that is named again the lower rank counts. -EINVAL: not a span of
 * the set, or no rank; then nothing is added. -ENOMEM. */
#define SPAN_RANK_NONE UINT32_MAX
#define SPAN_RANK_MAX (UINT32_MAX - 1)
struct span_preferred {
    uint32_t span, rank;
};
MUST_CHECK int span_set_prefer(struct span_set *set, const struct span_preferred *spans,
                               size_t count, struct err *err);
/* Replace the source after credentials or images changed: the old one is closed when its fetches
 * are done, and those of them that fail are tried with the new one while a reader waits. -ENOMEM:
 * the new one is closed, the old one stays. */
MUST_CHECK int span_set_replace_source(struct span_set *set, struct span_source source,
                                       struct err *err);

int span_set_fd(const struct span_set *set);
/* Compressed bytes of the spans that are present or recorded; a byte that two spans share counts
 * twice. */
uint64_t span_set_present_bytes(struct span_set *set);
bool span_set_is_complete(struct span_set *set); /* all of them */
/* Span n is perhaps not what its record's CRC says: find out, and fetch it again if so. -ENOMEM. */
MUST_CHECK int span_set_doubt(struct span_set *set, size_t n, struct err *err);
/* What the layer has behind the end of its tar, in order: fetched for this call alone, which blocks
 * on the network. Of a set one call at a time; none runs when it is closed. -ECANCELED, or what the
 * source returned; -EAGAIN: bytes that do not match their digest; -EBADMSG: they do, and do not
 * inflate; -ENOMEM; what write() returned. */
struct span_sink {
    int (*write)(void *self, struct bytes piece, struct err *err);
    void *self;
};
MUST_CHECK int span_set_read_behind(struct span_set *set, const struct span_sink *sink,
                                    struct err *err);
/* That call ends soon, and so do all that follow. */
void span_set_cancel_behind(struct span_set *set);
/* Of the last fetch that failed; code 0 when none did since the last one that went well. */
void span_set_last_error(struct span_set *set, struct err *ret);
int64_t span_set_last_error_ms(struct span_set *set); /* when, on clock_wall_ms(); 0: none */

/* ---- what is read ---------------------------------------------------------------------------- */

/* The first time that each span is asked for by a reader, whether it is present or not, in several
 * sets, from the first of all until window_ms later. What is not traced pays a load for it. */
struct span_trace;
struct span_trace_options {
    int64_t window_ms;
    size_t max_touches; /* what comes after so many is not noted */
};
struct span_touch {
    uint32_t tag;   /* of the set */
    uint32_t span;  /* of the set's */
    uint32_t at_ms; /* since the first touch of all */
};
MUST_CHECK int span_trace_new(struct span_engine *engine, const struct span_trace_options *options,
                              struct span_trace **ret, struct err *err);
/* From now on. The set may be closed before the trace is. -ENOMEM. */
MUST_CHECK int span_trace_add(struct span_trace *trace, struct span_set *set, uint32_t tag,
                              struct err *err);
/* Since the first touch; -1: there was none yet. */
int64_t span_trace_age_ms(struct span_trace *trace);
/* Nothing is noted from now on. In the order in which they came; borrowed, and NULL when there is
 * none. */
const struct span_touch *span_trace_stop(struct span_trace *trace, size_t *ret_count);
void span_trace_free(struct span_trace *trace); /* before the engine; NULL is fine */
DEFINE_SCOPED_PTR(span_trace, struct span_trace, span_trace_free)

/* ---- how it is ------------------------------------------------------------------------------- */

/* All sets together. A moment's view, in no time: the lock is held for a walk over what is open. */
struct span_engine_status {
    size_t layers; /* sets that are open */
    size_t waiting_readers;
    size_t queued_spans; /* wanted, and waiting for memory */
    size_t fetching_spans;
    uint64_t fetching_bytes;          /* compressed bytes of those */
    size_t background_fetching_spans; /* of the fetching ones, those that no reader waits for */
    size_t inflating_spans;           /* of fetches that arrived and are not whole in the file */
    size_t background_missing_spans;  /* that the background has yet to fetch, or is fetching */
    uint64_t memory_bytes;            /* held by fetches */
    uint64_t bytes_per_s;             /* as measured lately; 0: not known yet */
};
void span_engine_get_status(struct span_engine *engine, struct span_engine_status *ret);

#endif
