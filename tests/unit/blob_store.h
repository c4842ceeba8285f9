/* SPDX-License-Identifier: Apache-2.0 */
/* blob_store.h – a content store that is an array, and the lines that were printed, for tests of
 * index/. */
#ifndef UNIT_BLOB_STORE_H
#define UNIT_BLOB_STORE_H

#include "test.h"

#include "index/index.h"

#include <errno.h>
#include <stdlib.h>

enum { BLOBS_MAX = 20, LABELS_BYTES = 512 };

struct world {
    struct {
        struct digest digest;
        struct buf content;
        char labels[LABELS_BYTES];
    } blobs[BLOBS_MAX];
    size_t count;
    struct buf lines;
};

static inline int content_read(void *self, const struct digest *digest,
                               int (*sink)(void *arg, struct bytes part, struct err *err),
                               void *arg, struct err *err)
{
    struct world *w = self;

    for (size_t i = 0; i < w->count; i++) {
        if (digest_equal(&w->blobs[i].digest, digest))
            return sink(arg, buf_bytes(&w->blobs[i].content), err);
    }
    return err_set(err, -ENOENT, "not found");
}

static inline int content_write(void *self, const struct digest *digest, struct bytes content,
                                const struct text_map *labels, struct err *err)
{
    struct world *w = self;
    struct digest real;
    size_t used = 0;

    (void)err;
    for (size_t i = 0; i < w->count; i++) {
        if (digest_equal(&w->blobs[i].digest, digest))
            return 0;
    }
    assert_true(w->count < BLOBS_MAX);
    assert_ok(digest_of(content, &real));
    assert_true(digest_equal(&real, digest));
    w->blobs[w->count].digest = *digest;
    assert_ok(buf_add(&w->blobs[w->count].content, content.data, content.len));
    for (size_t i = 0; labels != NULL && i < labels->count; i++) {
        char *text = w->blobs[w->count].labels;

        used += (size_t)snprintf(text + used, LABELS_BYTES - used, "%s ", labels->items[i].key);
        assert_true(used < LABELS_BYTES);
    }
    w->count++;
    return 0;
}

static inline void print_line(void *self, const char *line)
{
    assert_ok(buf_addf(&((struct world *)self)->lines, "%s\n", line));
}

static inline const char *text_of(struct world *w, const struct digest *digest)
{
    for (size_t i = 0; i < w->count; i++) {
        if (digest_equal(&w->blobs[i].digest, digest))
            return buf_str(&w->blobs[i].content);
    }
    fail_msg("no such blob");
    return NULL;
}

static inline void world_fini(struct world *w)
{
    for (size_t i = 0; i < w->count; i++)
        buf_fini(&w->blobs[i].content);
    buf_fini(&w->lines);
}

#endif
