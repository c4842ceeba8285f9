/* SPDX-License-Identifier: Apache-2.0 */
/* loop.h – a fixed pool of threads over one epoll, for all FUSE descriptors together.
 *
 * Edges, not levels: each request that arrives wakes one thread, which takes requests from that
 * descriptor until there is none, or so many that others must have a turn. So one busy mount gets
 * several threads, and none of them starves another. A request buffer belongs to a thread, not to a
 * mount. */
#ifndef FS_LOOP_H
#define FS_LOOP_H

#include "base/attr.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One FUSE request with the header that the kernel insists on having room for: 1 MiB of data at
 * most. */
enum { LOOP_BUFFER_BYTES = (1 << 20) + 4096 };

/* A descriptor in its owner's storage, from fs_loop_add() to fs_loop_remove(). */
struct fs_channel {
    int fd; /* does not block */
    /* Take one request and answer it or put it aside; never waits for anything but the disk.
     * Several threads at once. `buffer` has LOOP_BUFFER_BYTES. 0: there may be more; -EAGAIN: there
     * was none; anything else: the descriptor is dead. */
    int (*serve)(struct fs_channel *channel, void *buffer);
    /* Once, after the last serve() of a dead descriptor. Not after fs_loop_remove() was called. */
    void (*gone)(struct fs_channel *channel);
    /* the loop's */
    struct fs_channel *next;
    uint64_t token;
    unsigned active;
    bool is_dead; /* atomic */
    bool is_reported;
};

struct fs_loop_options {
    size_t threads;
    /* Called by any of the threads between requests, at least every LOOP_TICK_MS while it returns
     * true. */
    bool (*tick)(void *arg);
    void *arg;
};
enum { LOOP_TICK_MS = 500 };

struct fs_loop;
MUST_CHECK int fs_loop_new(const struct fs_loop_options *options, struct fs_loop **ret,
                           struct err *err);
void fs_loop_free(struct fs_loop *loop); /* every channel was removed before */
DEFINE_SCOPED_PTR(fs_loop, struct fs_loop, fs_loop_free)

MUST_CHECK int fs_loop_add(struct fs_loop *loop, struct fs_channel *channel, struct err *err);
/* Returns when no serve() or gone() of the channel runs, and none will. Not from one of them. */
void fs_loop_remove(struct fs_loop *loop, struct fs_channel *channel);

#endif
