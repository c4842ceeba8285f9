/* SPDX-License-Identifier: Apache-2.0 */
/* loop.c – threads that wait on one epoll and serve whichever descriptor has a request. */
#include "fs/loop.h"

#include "base/threads.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

/* Requests in a row from one descriptor before others have a turn. */
enum { LOOP_BATCH = 32 };
#define TOKEN_STOP UINT64_MAX

struct fs_loop {
    int epoll_fd, stop_fd; /* fixed */
    struct fs_loop_options options;
    pthread_t *threads;
    size_t started;
    /* One buffer per thread; mapped, so that only what requests really fill is ever resident. */
    uint8_t *buffers;
    size_t buffers_taken; /* atomic */

    pthread_mutex_t lock;
    pthread_cond_t idle;         /* some channel's active became 0 */
    struct fs_channel *channels; /* lock; so are their fields below "the loop's" */
    uint64_t next_token;
};

/* Written under the lock, read between requests without. */
static bool is_dead(const struct fs_channel *channel)
{
    return __atomic_load_n(&channel->is_dead, __ATOMIC_RELAXED);
}

static void set_dead_locked(struct fs_loop *loop, struct fs_channel *channel)
{
    if (!is_dead(channel))
        (void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, channel->fd, NULL);
    __atomic_store_n(&channel->is_dead, true, __ATOMIC_RELAXED);
}

/* An event may be in the hands of a thread when its channel is removed: tokens, unlike addresses,
 * are never used twice. There are some hundred channels at most. NULL: removed or dead. */
static struct fs_channel *enter(struct fs_loop *loop, uint64_t token)
{
    LOCKED(&loop->lock);
    for (struct fs_channel *c = loop->channels; c != NULL; c = c->next) {
        if (c->token == token) {
            if (is_dead(c))
                return NULL;
            c->active++;
            return c;
        }
    }
    return NULL;
}

/* The last thread in a dead channel says so, once. */
static void leave(struct fs_loop *loop, struct fs_channel *channel)
{
    bool is_last;

    (void)pthread_mutex_lock(&loop->lock);
    is_last = is_dead(channel) && channel->active == 1 && !channel->is_reported;
    channel->is_reported = channel->is_reported || is_last;
    (void)pthread_mutex_unlock(&loop->lock);

    if (is_last)
        channel->gone(channel);

    LOCKED(&loop->lock);
    if (--channel->active == 0)
        (void)pthread_cond_broadcast(&loop->idle);
}

static void mark_dead(struct fs_loop *loop, struct fs_channel *channel)
{
    LOCKED(&loop->lock);
    set_dead_locked(loop, channel);
}

static int arm(struct fs_loop *loop, struct fs_channel *channel, int op)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = channel->token};

    return epoll_ctl(loop->epoll_fd, op, channel->fd, &event) < 0 ? -errno : 0;
}

static void serve(struct fs_loop *loop, uint64_t token, void *buffer)
{
    struct fs_channel *channel = enter(loop, token);
    int rc = 0;

    if (channel == NULL)
        return;
    for (int i = 0; i < LOOP_BATCH && rc == 0 && !is_dead(channel); i++)
        rc = channel->serve(channel, buffer);
    if (rc < 0 && rc != -EAGAIN)
        mark_dead(loop, channel);
    else if (rc == 0) /* what is left raises a new edge */
        (void)arm(loop, channel, EPOLL_CTL_MOD);
    leave(loop, channel);
}

static void *run(void *arg)
{
    struct fs_loop *loop = arg;
    struct epoll_event event;
    bool is_ticking = false;
    size_t index = __atomic_fetch_add(&loop->buffers_taken, 1, __ATOMIC_RELAXED);
    uint8_t *buffer = loop->buffers + index * LOOP_BUFFER_BYTES;

    for (;;) {
        int n = epoll_wait(loop->epoll_fd, &event, 1, is_ticking ? LOOP_TICK_MS : -1);

        if (n == 1 && event.data.u64 == TOKEN_STOP)
            break;
        if (n == 1)
            serve(loop, event.data.u64, buffer);
        if (loop->options.tick != NULL)
            is_ticking = loop->options.tick(loop->options.arg);
    }
    return NULL;
}

static int start_threads(struct fs_loop *loop)
{
    void *buffers = mmap(NULL, loop->options.threads * LOOP_BUFFER_BYTES, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (buffers == MAP_FAILED)
        return -ENOMEM;
    loop->buffers = buffers;
    loop->threads = calloc(loop->options.threads, sizeof(*loop->threads));
    if (loop->threads == NULL)
        return -ENOMEM;
    for (; loop->started < loop->options.threads; loop->started++) {
        int rc = thread_start(&loop->threads[loop->started], "soci-fs", run, loop);

        if (rc < 0)
            return rc;
    }
    return 0;
}

static int open_descriptors(struct fs_loop *loop)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = TOKEN_STOP};

    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    loop->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->epoll_fd < 0 || loop->stop_fd < 0 ||
        epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->stop_fd, &event) < 0)
        return -errno;
    return 0;
}

int fs_loop_new(const struct fs_loop_options *options, struct fs_loop **ret, struct err *err)
{
    SCOPED(fs_loop) struct fs_loop *loop = calloc(1, sizeof(*loop));
    int rc;

    if (loop == NULL)
        return err_sys(err, -ENOMEM, "event loop");
    loop->options = *options;
    loop->epoll_fd = loop->stop_fd = -1;
    (void)pthread_mutex_init(&loop->lock, NULL);
    (void)pthread_cond_init(&loop->idle, NULL);
    rc = open_descriptors(loop);
    if (rc == 0)
        rc = start_threads(loop);
    if (rc < 0)
        return err_sys(err, rc, "event loop");
    *ret = TAKE(loop);
    return 0;
}

void fs_loop_free(struct fs_loop *loop)
{
    if (loop == NULL)
        return;
    if (loop->stop_fd >= 0)
        (void)eventfd_write(loop->stop_fd, 1); /* never read: it wakes every thread */
    for (size_t i = 0; i < loop->started; i++)
        (void)pthread_join(loop->threads[i], NULL);
    free(loop->threads);
    if (loop->buffers != NULL)
        (void)munmap(loop->buffers, loop->options.threads * LOOP_BUFFER_BYTES);
    if (loop->stop_fd >= 0)
        (void)close(loop->stop_fd);
    if (loop->epoll_fd >= 0)
        (void)close(loop->epoll_fd);
    (void)pthread_cond_destroy(&loop->idle);
    (void)pthread_mutex_destroy(&loop->lock);
    free(loop);
}

int fs_loop_add(struct fs_loop *loop, struct fs_channel *channel, struct err *err)
{
    int rc;

    (void)pthread_mutex_lock(&loop->lock);
    channel->token = loop->next_token++;
    channel->active = 0;
    channel->is_dead = channel->is_reported = false;
    channel->next = loop->channels;
    loop->channels = channel;
    rc = arm(loop, channel, EPOLL_CTL_ADD);
    if (rc < 0)
        loop->channels = channel->next;
    (void)pthread_mutex_unlock(&loop->lock);
    return rc < 0 ? err_sys(err, rc, "event loop") : 0;
}

void fs_loop_remove(struct fs_loop *loop, struct fs_channel *channel)
{
    LOCKED(&loop->lock);
    set_dead_locked(loop, channel);
    channel->is_reported = true; /* whoever is in it need not */
    while (channel->active > 0)
        (void)pthread_cond_wait(&loop->idle, &loop->lock);
    for (struct fs_channel **c = &loop->channels; *c != NULL; c = &(*c)->next) {
        if (*c == channel) {
            *c = channel->next;
            break;
        }
    }
}
