/* SPDX-License-Identifier: Apache-2.0 */
/* buffers.h – memory for one read each, so that answers to reads cost neither page faults each time
 * nor a megabyte per thread for good. */
#ifndef FS_BUFFERS_H
#define FS_BUFFERS_H

#include <pthread.h>
#include <stddef.h>

enum { READ_BUFFER_BYTES = 1 << 20 }; /* the largest read that we agree on with the kernel */
enum { READ_BUFFERS_KEPT = 2 };

struct read_buffers {
    pthread_mutex_t lock;
    void *spare[READ_BUFFERS_KEPT]; /* lock */
    size_t count;                   /* lock */
};

void read_buffers_init(struct read_buffers *buffers);
void read_buffers_fini(struct read_buffers *buffers);
/* READ_BUFFER_BYTES, page aligned; NULL: out of memory. Any thread. */
void *read_buffers_take(struct read_buffers *buffers);
void read_buffers_give(struct read_buffers *buffers, void *buffer);

#endif
