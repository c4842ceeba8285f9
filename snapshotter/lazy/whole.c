/* SPDX-License-Identifier: Apache-2.0 */
/* whole.c – images of which nothing is mounted: all of their layers are downloaded and unpacked, at
 * the same time. */
#include "lazy/internal.h"

#include "base/clock.h"
#include "base/threads.h"

#include <errno.h>

/* containerd begins to fetch all that is above a layer that it gets, so that our doing the same
 * would only slow it down. By then it should be through. */
enum { REFUSED_MS = 60 * 1000 };

static bool is_refused(struct lazy *lazy, const struct digest *manifest)
{
    int64_t now_ms = clock_mono_ms();
    LOCKED(&lazy->lock);

    for (size_t i = 0; i < LAZY_REFUSED_MAX; i++) {
        const struct lazy_refused *refused = &lazy->refused[i];

        if (refused->until_ms > now_ms && digest_equal(&refused->manifest, manifest))
            return true;
    }
    return false;
}

static void refuse(struct lazy *lazy, const struct digest *manifest)
{
    LOCKED(&lazy->lock);

    lazy->refused[lazy->refused_next] =
        (struct lazy_refused){.manifest = *manifest, .until_ms = clock_mono_ms() + REFUSED_MS};
    lazy->refused_next = (lazy->refused_next + 1) % LAZY_REFUSED_MAX;
}

int lazy_whole_begin(struct lazy *lazy, const struct lazy_target *target,
                     struct registry_repo *repo, const struct text_map *labels, struct err *err)
{
    struct local_keep keep;
    const struct local_image image = {
        .repo = repo,
        .name = target->repository,
        .manifest = target->manifest,
        .keep = lazy_whole_keep(lazy, target->namespace_, target->lease, &keep),
        .sync_later = true};

    if (is_refused(lazy, &target->manifest))
        return err_set(err, -ENOENT, "another layer of the image was just left to containerd");
    lazy_begin_unpacking(lazy, &image, labels, NULL);
    (void)err_set(err, -ENOENT, "unpacking the whole image, %s",
                  lazy->options.whole == LAZY_WHOLE_ALWAYS
                      ? "as pull_modes.parallel_pull_unpack says"
                      : "which has no index");
    return SNAPSHOT_UNPACK;
}

bool lazy_whole_is(const struct lazy *lazy, const struct text_map *found)
{
    return lazy->options.whole != LAZY_WHOLE_NEVER && !lazy_label_has_index(found);
}

void lazy_whole_failed(struct lazy *lazy, const struct snapshot_layer *how)
{
    SCOPED(lazy_target) struct lazy_target target = {.image_ref = NULL};
    struct err ignored = ERR_NONE;

    if (lazy_target_from_prepare(how->labels, &target, &ignored) < 0)
        return;
    refuse(lazy, &target.manifest);
    lazy_abandon(lazy, how->namespace_, how->labels, true);
}

const struct local_keep *lazy_whole_keep(const struct lazy *lazy, const char *namespace_,
                                         const char *lease, struct local_keep *keep)
{
    *keep = (struct local_keep){.namespace_ = namespace_, .lease = lease};
    return lazy->options.keep_whole && namespace_ != NULL && namespace_[0] != '\0' ? keep : NULL;
}
