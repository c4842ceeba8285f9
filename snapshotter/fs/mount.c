/* SPDX-License-Identifier: Apache-2.0 */
/* mount.c – the life of a mount, whatever serves it.
 *
 * It ends in one of three ways: its owner unmounts it and the kernel lets go at once (the owner's
 * thread stops it), or lets go later, when the last process that uses it ends (it is an orphan
 * until then, and the reaper stops it), or the owner stops it by force or at the end of the
 * process. */
#include "fs/internal.h"

#include "base/clock.h"
#include "base/text.h"

#include <stdlib.h>

/* Nobody uses most mounts that are taken away: the kernel lets go within milliseconds. */
enum { FS_GONE_WAIT_MS = 500 };

/* ---- beginning ------------------------------------------------------------------------------- */

static void mount_free(struct fs_mount *mount)
{
    if (mount->backend_data != NULL)
        mount->backend->free(mount);
    (void)pthread_cond_destroy(&mount->changed);
    (void)pthread_mutex_destroy(&mount->lock);
    idmaps_fini(&mount->ids);
    free(mount->dir);
    free(mount);
}

static void link_mount(struct fs_mount *mount)
{
    struct fs *fs = mount->fs;

    LOCKED(&fs->lock);
    mount->next = fs->mounts;
    mount->link = &fs->mounts;
    if (mount->next != NULL)
        mount->next->link = &mount->next;
    fs->mounts = mount;
}

static void unlink_mount(struct fs_mount *mount)
{
    struct fs *fs = mount->fs;

    LOCKED(&fs->lock);
    if (mount->link == NULL)
        return;
    *mount->link = mount->next;
    if (mount->next != NULL)
        mount->next->link = mount->link;
}

void fs_mount_unref(struct fs_mount *mount)
{
    if (mount == NULL || __atomic_sub_fetch(&mount->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    unlink_mount(mount);
    mount_free(mount);
}

static int copy_options(struct fs_mount *mount, const struct fs_mount_options *options)
{
    mount->dir = text_copy(options->dir);
    mount->has_ids = options->ids != NULL;
    if (mount->dir == NULL || (mount->has_ids && idmaps_copy(&mount->ids, options->ids) < 0))
        return -ENOMEM;
    return 0;
}

static int mount_new(struct fs *fs, const struct fs_backend *backend, struct layer *layer,
                     const struct fs_mount_options *options, struct fs_mount **ret)
{
    struct fs_mount *mount = calloc(1, sizeof(*mount));

    if (mount == NULL)
        return -ENOMEM;
    if (copy_options(mount, options) < 0 || clock_cond_init(&mount->changed) < 0) {
        idmaps_fini(&mount->ids);
        free(mount->dir);
        free(mount);
        return -ENOMEM;
    }
    (void)pthread_mutex_init(&mount->lock, NULL);
    mount->fs = fs;
    mount->refs = 1;
    mount->backend = backend;
    mount->layer = layer_ref(layer);
    *ret = mount;
    return 0;
}

static int start_with_tree(struct fs_mount *mount, struct err *err)
{
    int rc = layer_hold_tree(mount->layer, err);

    if (rc < 0)
        return rc;
    rc = mount->backend->start(mount, err);
    if (rc < 0 || !mount->backend->keeps_tree)
        layer_release_tree(mount->layer);
    return rc;
}

static int mount_with(struct fs *fs, const struct fs_backend *backend, struct layer *layer,
                      const struct fs_mount_options *options, struct fs_mount **ret,
                      struct err *err)
{
    struct fs_mount *mount = NULL;
    int rc = mount_new(fs, backend, layer, options, &mount);

    if (rc < 0)
        return err_sys(err, rc, "mount %s", options->dir);
    rc = start_with_tree(mount, err);
    if (rc < 0) {
        layer_unref(TAKE(mount->layer));
        fs_mount_unref(mount);
        return err_prefix(err, rc, "%s", backend->name);
    }
    link_mount(mount);
    *ret = mount;
    return 0;
}

int fs_mount(struct fs *fs, struct layer *layer, const struct fs_mount_options *options,
             struct fs_mount **ret, struct err *err)
{
    struct err why = ERR_NONE;

    if (fs->backend == &fs_backend_fuse)
        return mount_with(fs, fs->backend, layer, options, ret, err);
    if (mount_with(fs, fs->backend, layer, options, ret, &why) == 0)
        return 0;
    log_info("a layer is mounted in another way", "backend=%s dir=%s err=%s", fs_backend_fuse.name,
             options->dir, err_text(&why));
    return mount_with(fs, &fs_backend_fuse, layer, options, ret, err);
}

const char *fs_mount_backend(const struct fs_mount *mount)
{
    return mount->backend->name;
}

struct layer *fs_mount_layer(const struct fs_mount *mount)
{
    return mount->layer;
}

/* ---- its end --------------------------------------------------------------------------------- */

/* Stop serving, let go of the layer. The mount itself stays while it has a reference. */
static void mount_stop(struct fs_mount *mount)
{
    mount->backend->stop(mount);
    if (mount->backend->keeps_tree)
        layer_release_tree(mount->layer);
    layer_unref(TAKE(mount->layer)); /* the last one brings the done() of every read that waits */
}

static void run_stop(struct pool_job *job)
{
    struct fs_mount *mount =
        (struct fs_mount *)(void *)((char *)job - offsetof(struct fs_mount, stop_job));

    mount_stop(mount);
    fs_mount_unref(mount);
}

void fs_mount_set_gone(struct fs_mount *mount)
{
    LOCKED(&mount->lock);
    mount->is_gone = true;
    (void)pthread_cond_broadcast(&mount->changed);
    if (mount->is_orphan) {
        mount->stop_job.run = run_stop;
        pool_submit(mount->fs->reaper, &mount->stop_job, POOL_URGENT);
    }
}

/* Wait a little for the kernel. False: it keeps the mount for someone, who may take long. */
static bool wait_gone_or_orphan(struct fs_mount *mount)
{
    int64_t deadline = clock_mono_ms() + FS_GONE_WAIT_MS;

    LOCKED(&mount->lock);
    while (!mount->is_gone)
        if (clock_cond_wait_until(&mount->changed, &mount->lock, deadline) == -ETIMEDOUT)
            break;
    mount->is_orphan = !mount->is_gone;
    return mount->is_gone;
}

static int detach(const struct fs_mount *mount, struct err *err)
{
    int rc = 0;

    for (unsigned i = 0; rc == 0 && i < mount->backend->kernel_mounts; i++)
        rc = kernel_detach(mount->dir, err);
    return rc;
}

int fs_unmount(struct fs *fs, struct fs_mount **mount, bool force, struct err *err)
{
    struct fs_mount *m = TAKE(*mount);
    int rc = detach(m, err);

    (void)fs;
    if (rc == 0 && !force && !wait_gone_or_orphan(m)) {
        log_debug("a mount that was taken away is still in use", "dir=%s", m->dir);
        return 0;
    }
    mount_stop(m);
    fs_mount_unref(m);
    return rc;
}

void fs_abandon(struct fs *fs, struct fs_mount **mount)
{
    struct fs_mount *m = TAKE(*mount);

    (void)fs;
    mount_stop(m);
    fs_mount_unref(m);
}

void fs_mount_stop_orphan(struct fs_mount *mount)
{
    bool is_ours;

    (void)pthread_mutex_lock(&mount->lock);
    is_ours = mount->is_orphan && !mount->is_gone;
    mount->is_orphan = false; /* from here on not the reaper's */
    (void)pthread_mutex_unlock(&mount->lock);
    if (is_ours) {
        mount_stop(mount);
        fs_mount_unref(mount); /* the owner's */
    }
}
