/* SPDX-License-Identifier: Apache-2.0 */
/* kept.c – the last manifests of a repository, by digest: within one pull of an image several parts
 * of a process ask for the same one, and it cannot have changed. For a while only, so that what
 * was forbidden or deleted in the registry is not given out for long. */
#include "registry/internal.h"

#include "base/clock.h"
#include "base/text.h"

#include <errno.h>

/* An image's manifest has some kilobytes; one that is larger is asked for each time. */
enum { KEPT_MAX_BYTES = 64 * 1024 };

static void forget(struct kept_manifest *kept)
{
    buf_fini(&kept->content);
    free(kept->media_type);
    *kept = (struct kept_manifest){.content = BUF_EMPTY};
}

void kept_init(struct kept_manifests *kept)
{
    *kept = (struct kept_manifests){.next = 0};
    (void)pthread_mutex_init(&kept->lock, NULL);
}

void kept_fini(struct kept_manifests *kept)
{
    for (size_t i = 0; i < KEPT_MANIFESTS; i++)
        forget(&kept->items[i]);
    (void)pthread_mutex_destroy(&kept->lock);
}

/* Those that are too old go on the way. NULL: not there. */
static struct kept_manifest *find_locked(struct kept_manifests *kept, const struct digest *digest)
{
    int64_t now_ms = clock_mono_ms();
    struct kept_manifest *found = NULL;

    for (size_t i = 0; i < KEPT_MANIFESTS; i++) {
        struct kept_manifest *item = &kept->items[i];

        if (item->until_ms != 0 && item->until_ms <= now_ms)
            forget(item);
        else if (item->until_ms != 0 && digest_equal(&item->digest, digest))
            found = item;
    }
    return found;
}

bool kept_find(struct kept_manifests *kept, const struct digest *digest, struct buf *ret,
               char **ret_media_type)
{
    SCOPED(mem) char *media_type = NULL;
    const struct kept_manifest *found;
    LOCKED(&kept->lock);

    found = find_locked(kept, digest);
    if (found == NULL)
        return false;
    if (found->media_type != NULL && (media_type = text_copy(found->media_type)) == NULL)
        return false;
    if (buf_add(ret, found->content.data, found->content.len) < 0)
        return false;
    if (ret_media_type != NULL)
        *ret_media_type = TAKE(media_type);
    return true;
}

void kept_add(struct kept_manifests *kept, const struct digest *digest, struct bytes content,
              const char *media_type, int64_t keep_ms)
{
    struct kept_manifest item = {
        .digest = *digest, .content = BUF_EMPTY, .until_ms = clock_mono_ms() + keep_ms};

    if (keep_ms <= 0 || content.len > KEPT_MAX_BYTES)
        return;
    item.media_type = media_type == NULL ? NULL : text_copy(media_type);
    if ((media_type != NULL && item.media_type == NULL) ||
        buf_add(&item.content, content.data, content.len) < 0) {
        forget(&item);
        return;
    }
    LOCKED(&kept->lock);
    forget(&kept->items[kept->next]);
    kept->items[kept->next] = item;
    kept->next = (kept->next + 1) % KEPT_MANIFESTS;
}

void kept_drop(struct kept_manifests *kept, const struct digest *digest)
{
    struct kept_manifest *found;
    LOCKED(&kept->lock);

    while ((found = find_locked(kept, digest)) != NULL)
        forget(found);
}
