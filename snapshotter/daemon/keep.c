/* SPDX-License-Identifier: Apache-2.0 */
/* keep.c – a layer to containerd while it is unpacked, as long as that goes well. */
#include "daemon/keep.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "base/threads.h"
#include "containerd/containerd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define KEEP_PATIENCE_MS INT64_C(10000)
#define KEEP_PAUSE_MS INT64_C(60000)
#define KEEP_CONNECT_MS INT64_C(2000) /* who pulls is its client, so it is there */
#define KEEP_LONG_MS INT64_C(1000)
enum { KEEP_BYTES_PER_MS = 16 * 1024 * 1024 / 1000 }; /* a slower store is given up */

/* A layer that is being kept. */
struct kept {
    struct keep *keep;                     /* fixed at creation, as is all up to `patience_ms` */
    struct containerd *containerd;         /* its own: one thread at a time may use one */
    char *namespace_, *lease, *name, *ref; /* lease NULL: none */
    struct digest layer, manifest;
    uint64_t size_bytes;
    int64_t patience_ms;
    struct containerd_layer *to; /* the layer's thread's, as the next; NULL: given up */
    int64_t waited_ms;           /* for containerd, so far */
    TAILQ_ENTRY(kept) link;      /* lock */
};

struct keep {
    struct keep_options options; /* fixed at creation, as is ops */
    struct local_keeper ops;
    pthread_mutex_t lock;
    TAILQ_HEAD(, kept) list; /* lock */
    int64_t paused_until_ms; /* lock; nothing is begun before */
    struct digest warned_of; /* lock; the image of the last warning */
    int64_t quiet_until_ms;  /* lock; no other one of the same image before */
    bool stopping;           /* lock */
};

/* ---- giving up ------------------------------------------------------------------------------- */

/* An image of which one layer is missing is of no use, so one line for all of them is enough. */
static enum log_level level_of(struct keep *keep, const struct digest *manifest)
{
    int64_t now_ms = clock_mono_ms();
    LOCKED(&keep->lock);

    if (keep->stopping ||
        (now_ms < keep->quiet_until_ms && digest_equal(&keep->warned_of, manifest)))
        return LOG_LEVEL_DEBUG;
    keep->warned_of = *manifest;
    keep->quiet_until_ms = now_ms + keep->options.pause_ms;
    return LOG_LEVEL_WARN;
}

static void tell(const struct kept *kept, const char *why)
{
    enum log_level level = level_of(kept->keep, &kept->manifest);
    char layer[DIGEST_TEXT_BYTES];

    digest_format(&kept->layer, layer);
    log_at(level,
           "layer is not kept in containerd's content store, its image cannot be pushed or saved "
           "from here",
           "layer=%s image=%s namespace=%s err=%s", layer, kept->name, kept->namespace_, why);
}

static void pause_keeping(struct keep *keep)
{
    LOCKED(&keep->lock);

    keep->paused_until_ms = clock_mono_ms() + keep->options.pause_ms;
}

/* After each call that may have waited. One that did, and in vain, is not made again soon; nor does
 * it wait for containerd to clean up. */
static void settle(struct kept *kept, int rc, int64_t began_ms, struct err *err)
{
    int64_t took_ms = clock_mono_ms() - began_ms;

    kept->waited_ms += took_ms;
    if (rc == 0 && kept->waited_ms > kept->patience_ms)
        rc = err_set(err, -ETIMEDOUT, "waited for it for more than %lld ms",
                     (long long)kept->patience_ms);
    if (rc == 0)
        return;
    if (rc == -ETIMEDOUT || took_ms >= KEEP_LONG_MS)
        pause_keeping(kept->keep);
    tell(kept, err_text(err));
    if (rc == -ETIMEDOUT)
        containerd_cancel(kept->containerd);
    containerd_layer_close(TAKE(kept->to));
}

/* ---- beginning ------------------------------------------------------------------------------- */

/* The same layer may be there several times at once, and there is only one upload of a name. */
static bool enter(struct keep *keep, struct kept *kept, unsigned *ret_twins)
{
    const struct kept *other;
    LOCKED(&keep->lock);

    if (keep->stopping || clock_mono_ms() < keep->paused_until_ms)
        return false;
    *ret_twins = 0;
    TAILQ_FOREACH(other, &keep->list, link)
    {
        *ret_twins += digest_equal(&other->layer, &kept->layer) ? 1 : 0;
    }
    TAILQ_INSERT_TAIL(&keep->list, kept, link);
    return true;
}

static void leave(struct keep *keep, struct kept *kept)
{
    LOCKED(&keep->lock);

    TAILQ_REMOVE(&keep->list, kept, link);
}

static void kept_free(struct kept *kept)
{
    containerd_layer_close(kept->to);
    containerd_close(kept->containerd);
    free(kept->namespace_);
    free(kept->lease);
    free(kept->name);
    free(kept->ref);
    free(kept);
}

static struct kept *kept_new(struct keep *keep, const struct local_kept *layer)
{
    struct kept *kept = calloc(1, sizeof(*kept));
    struct containerd_options options = {.address = keep->options.address};
    struct err ignored = ERR_NONE;

    if (kept == NULL)
        return NULL;
    kept->keep = keep;
    kept->layer = layer->layer;
    kept->manifest = layer->manifest;
    kept->size_bytes = layer->size_bytes;
    kept->patience_ms =
        keep->options.patience_ms + (int64_t)(layer->size_bytes / (uint64_t)KEEP_BYTES_PER_MS);
    kept->namespace_ = text_copy(layer->namespace_);
    kept->lease = layer->lease == NULL ? NULL : text_copy(layer->lease);
    kept->name = text_copy(layer->name);
    options.namespace_ = layer->namespace_;
    options.call_timeout_ms = kept->patience_ms;
    options.connect_timeout_ms = KEEP_CONNECT_MS;
    if (kept->namespace_ == NULL || kept->name == NULL ||
        containerd_open(&options, &kept->containerd, &ignored) < 0) {
        kept_free(kept);
        return NULL;
    }
    return kept;
}

static int open_layer(struct kept *kept, unsigned twins, struct err *err)
{
    char layer[DIGEST_TEXT_BYTES], manifest[DIGEST_TEXT_BYTES];
    size_t host_len = strcspn(kept->name, "/");
    SCOPED(mem) char *host = strndup(kept->name, host_len);
    struct containerd_layer_request request = {
        .digest = layer,
        .size_bytes = kept->size_bytes,
        .host = host,
        .repository = kept->name + host_len + (kept->name[host_len] == '/'),
        .manifest = manifest,
        .lease = kept->lease,
    };

    digest_format(&kept->layer, layer);
    digest_format(&kept->manifest, manifest);
    kept->ref = twins == 0 ? text_format("soci-layer-%s", layer)
                           : text_format("soci-layer-%s-%u", layer, twins);
    if (host == NULL || kept->ref == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    request.ref = kept->ref;
    return containerd_layer_open(kept->containerd, &request, &kept->to, err);
}

static void *op_begin(void *self, const struct local_kept *layer)
{
    struct keep *keep = self;
    struct kept *kept = kept_new(keep, layer);
    int64_t began_ms = clock_mono_ms();
    struct err err = ERR_NONE;
    unsigned twins = 0;

    if (kept == NULL)
        return NULL;
    if (!enter(keep, kept, &twins)) {
        tell(kept, "containerd did not answer in time a moment ago");
        kept_free(kept);
        return NULL;
    }
    settle(kept, open_layer(kept, twins, &err), began_ms, &err);
    return kept;
}

/* ---- going on, and the end ------------------------------------------------------------------- */

static void op_add(void *self, struct bytes comp)
{
    struct kept *kept = self;
    int64_t began_ms = clock_mono_ms();
    struct err err = ERR_NONE;

    if (kept->to == NULL || !containerd_layer_wants_bytes(kept->to))
        return;
    settle(kept, containerd_layer_add(kept->to, comp, &err), began_ms, &err);
}

static void op_end(void *self, const struct digest *diff_id)
{
    struct kept *kept = self;
    int64_t began_ms = clock_mono_ms();
    char text[DIGEST_TEXT_BYTES];
    struct err err = ERR_NONE;
    int rc;

    if (kept->to != NULL && diff_id != NULL) {
        digest_format(diff_id, text);
        rc = containerd_layer_finish(kept->to, text, &err);
        if (rc < 0)
            settle(kept, rc, began_ms, &err);
        else
            log_debug("layer is kept in containerd's content store",
                      "ref=%s image=%s namespace=%s waited_ms=%lld", kept->ref, kept->name,
                      kept->namespace_, (long long)(kept->waited_ms + clock_mono_ms() - began_ms));
    }
    leave(kept->keep, kept);
    kept_free(kept);
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* Contacts nobody. */
static int check_address(const char *address, struct err *err)
{
    const struct containerd_options options = {.address = address};
    SCOPED(containerd) struct containerd *containerd = NULL;

    return containerd_open(&options, &containerd, err);
}

int keep_new(const struct keep_options *options, struct keep **ret, struct err *err)
{
    struct keep *keep;
    int rc = check_address(options->address, err);

    if (rc < 0)
        return rc;
    keep = calloc(1, sizeof(*keep));
    if (keep == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    keep->options = *options;
    if (keep->options.patience_ms == 0)
        keep->options.patience_ms = KEEP_PATIENCE_MS;
    if (keep->options.pause_ms == 0)
        keep->options.pause_ms = KEEP_PAUSE_MS;
    keep->ops =
        (struct local_keeper){.begin = op_begin, .add = op_add, .end = op_end, .self = keep};
    (void)pthread_mutex_init(&keep->lock, NULL);
    TAILQ_INIT(&keep->list);
    *ret = keep;
    return 0;
}

/* What is in the list has not left yet, and so has its connection. */
void keep_stop(struct keep *keep)
{
    const struct kept *kept;
    LOCKED(&keep->lock);

    keep->stopping = true;
    TAILQ_FOREACH(kept, &keep->list, link)
    {
        containerd_cancel(kept->containerd);
    }
}

void keep_free(struct keep *keep)
{
    if (keep == NULL)
        return;
    (void)pthread_mutex_destroy(&keep->lock);
    free(keep);
}

const struct local_keeper *keep_ops(const struct keep *keep)
{
    return &keep->ops;
}
