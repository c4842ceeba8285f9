/* SPDX-License-Identifier: Apache-2.0 */
/* registry_fixture.h – a client, a server that does what the test says, one repository. */
#ifndef UNIT_REGISTRY_FIXTURE_H
#define UNIT_REGISTRY_FIXTURE_H

#include "test.h"

#include "base/clock.h"
#include "base/text.h"
#include "base/threads.h"
#include "http_server.h"
#include "registry/registry.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { PATIENCE_MS = 10 * 1000 }; /* of most tests: machines may be busy */
enum { IMPATIENCE_MS = 300 };     /* of those that wait for it to end */
enum { MAX_RETRIES = 3 };
enum { DEADLINE_MS = 30 * 1000 }; /* of a test that hangs */

struct fixture {
    struct http_server *server;
    struct http_server *elsewhere; /* another host, for redirects */
    struct registry *registry;
    struct registry_repo *repo;
    struct digest digest; /* of content */
    char digest_text[DIGEST_TEXT_BYTES];
    uint8_t content[100 * 1000];
    int64_t patience_ms; /* fixed at creation: of the client, before it takes silence for the end */
    struct buf trace;    /* lock */
    pthread_mutex_t lock;
    atomic_uint seen;         /* for handlers to count with */
    atomic_bool failed[1024]; /* for handlers that fail once */
};

static inline void fixture_trace(void *self, const char *line)
{
    struct fixture *f = self;
    LOCKED(&f->lock);

    assert_ok(buf_addf(&f->trace, "%s\n", line));
}

static inline struct fixture *fixture_make(int64_t patience_ms, http_handler *handle,
                                           http_handler *elsewhere,
                                           const struct registry_keychain *keychain)
{
    struct fixture *f = calloc(1, sizeof(*f));
    const struct registry_options options = {
        .user_agent = "test/1",
        .response_timeout_ms = patience_ms,
        .max_retries = MAX_RETRIES,
        .min_wait_ms = 1,
        .max_wait_ms = 2000,
        .http_loopback = true,
        .trace = fixture_trace,
        .trace_self = f,
    };
    struct err err = ERR_NONE;

    assert_non_null(f);
    f->patience_ms = patience_ms;
    (void)pthread_mutex_init(&f->lock, NULL);
    for (size_t i = 0; i < sizeof(f->content); i++)
        f->content[i] = (uint8_t)(i * 7 + i / 251);
    assert_ok(digest_of(bytes_of(f->content, sizeof(f->content)), &f->digest));
    digest_format(&f->digest, f->digest_text);
    f->server = http_server_start(handle, f);
    if (elsewhere != NULL)
        f->elsewhere = http_server_start(elsewhere, f);
    assert_ok(registry_new(&options, &f->registry, &err));
    assert_ok(registry_repo_open(f->registry, http_server_host(f->server), "team/app", keychain,
                                 &f->repo, &err));
    return f;
}

static inline struct fixture *fixture_open(http_handler *handle, http_handler *elsewhere,
                                           const struct registry_keychain *keychain)
{
    return fixture_make(PATIENCE_MS, handle, elsewhere, keychain);
}

static inline void fixture_close(struct fixture *f)
{
    registry_repo_unref(f->repo);
    registry_free(f->registry);
    http_server_stop(f->server);
    if (f->elsewhere != NULL)
        http_server_stop(f->elsewhere);
    buf_fini(&f->trace);
    (void)pthread_mutex_destroy(&f->lock);
    free(f);
}
DEFINE_SCOPED_PTR(fixture, struct fixture, fixture_close)

static inline bool fixture_traced(struct fixture *f, const char *text)
{
    LOCKED(&f->lock);

    return f->trace.len > 0 && strstr(buf_str(&f->trace), text) != NULL;
}

static inline struct bytes fixture_content(const struct fixture *f)
{
    return bytes_of(f->content, sizeof(f->content));
}

/* ---- one fetch of the blob, awaited ---------------------------------------------------------- */

struct fetched {
    struct registry_fetch fetch;
    pthread_mutex_t lock;
    pthread_cond_t settled;
    unsigned done; /* lock: how often */
    int rc;        /* lock */
    struct err err;
    uint8_t buf[100 * 1000];
};

static inline void fetched_done(struct registry_fetch *fetch, int rc, const struct err *err)
{
    struct fetched *got = fetch->arg;
    LOCKED(&got->lock);

    got->done++;
    got->rc = rc;
    got->err = *err;
    (void)pthread_cond_broadcast(&got->settled);
}

static inline void fetched_init(struct fetched *got, uint64_t off, size_t len)
{
    memset(got, 0, sizeof(*got));
    (void)pthread_mutex_init(&got->lock, NULL);
    assert_ok(clock_cond_init(&got->settled));
    got->fetch = (struct registry_fetch){
        .off = off, .len = len, .buf = got->buf, .done = fetched_done, .arg = got};
}

static inline int fetched_wait(struct fetched *got)
{
    int64_t until_ms = clock_mono_ms() + DEADLINE_MS;
    LOCKED(&got->lock);

    while (got->done == 0) {
        if (clock_cond_wait_until(&got->settled, &got->lock, until_ms) == -ETIMEDOUT)
            fail_msg("the fetch never ended");
    }
    assert_int_equal(got->done, 1);
    return got->rc;
}

/* The blob's bytes from off on; when it succeeds they must be right. */
static inline int fetch_range(struct fixture *f, struct registry_blob *blob, uint64_t off,
                              size_t len, struct err *err)
{
    struct fetched *got = malloc(sizeof(*got));
    int rc;

    assert_non_null(got);
    fetched_init(got, off, len);
    assert_ok(registry_blob_fetch(blob, &got->fetch, err));
    rc = fetched_wait(got);
    *err = got->err;
    if (rc == 0)
        assert_memory_equal(got->buf, f->content + off, len);
    free(got);
    return rc;
}

static inline struct registry_blob *open_blob(struct fixture *f)
{
    struct registry_blob *blob = NULL;
    struct err err = ERR_NONE;

    assert_ok(registry_blob_open(f->repo, &f->digest, sizeof(f->content), &blob, &err));
    return blob;
}

/* As fetch_range() with a blob opened for it alone. */
static inline int fetch_once(struct fixture *f, uint64_t off, size_t len, struct err *err)
{
    SCOPED(registry_blob) struct registry_blob *blob = open_blob(f);

    return fetch_range(f, blob, off, len, err);
}

#define assert_text_has(text, part)                                                                \
    do {                                                                                           \
        if (strstr((text), (part)) == NULL)                                                        \
            fail_msg("\"%s\" does not say \"%s\"", (text), (part));                                \
    } while (0)

#endif
