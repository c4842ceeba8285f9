/* SPDX-License-Identifier: Apache-2.0 */
/* fs.c – the life of mounts, whatever serves them.
 *
 * A mount ends in one of three ways: its owner unmounts it and the kernel lets go at once (the
 * owner's thread stops it), or lets go later, when the last process that uses it ends (it is an
 * orphan until then, and the reaper stops it), or the owner stops it by force or at the end of the
 * process. */
#include "fs/internal.h"

#include "base/clock.h"
#include "base/text.h"

#include <stdlib.h>

enum { FS_THREADS_MAX = 8 };
/* Nobody uses most mounts that are taken away: the kernel lets go within milliseconds. */
enum { FS_GONE_WAIT_MS = 500 };

/* ---- all mounts ------------------------------------------------------------------------------ */

/* Mounts stay in the list while they have a reference, so one that is found there can be had,
 * unless its last one is just going. */
static struct fs_mount *ref_next(struct fs *fs, struct fs_mount *after)
{
    LOCKED(&fs->lock);
    for (struct fs_mount *m = after == NULL ? fs->mounts : after->next; m != NULL; m = m->next) {
        size_t refs = __atomic_load_n(&m->refs, __ATOMIC_RELAXED);

        while (refs > 0)
            if (__atomic_compare_exchange_n(&m->refs, &refs, refs + 1, true, __ATOMIC_ACQ_REL,
                                            __ATOMIC_RELAXED))
                return m;
    }
    return NULL;
}

/* As a walk: lets go of `mount`, and NULL ends it. */
static struct fs_mount *walk_next(struct fs *fs, struct fs_mount *mount)
{
    struct fs_mount *next = ref_next(fs, mount);

    fs_mount_unref(mount);
    return next;
}

/* Between requests, by any thread of the loop's: true while reads wait. */
static bool sweep(void *arg)
{
    struct fs *fs = arg;
    int64_t now = clock_mono_ms();
    int64_t next = __atomic_load_n(&fs->next_sweep_ms, __ATOMIC_RELAXED);
    struct fs_mount *mount = NULL;

    if (__atomic_load_n(&fs->waiting, __ATOMIC_RELAXED) == 0)
        return false;
    if (now < next || !__atomic_compare_exchange_n(&fs->next_sweep_ms, &next, now + LOOP_TICK_MS,
                                                   false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        return true;
    while ((mount = walk_next(fs, mount)) != NULL)
        mount->backend->sweep(mount, now);
    return true;
}

void fs_sweep_soon(struct fs *fs)
{
    __atomic_store_n(&fs->next_sweep_ms, 0, __ATOMIC_RELAXED);
}

static size_t thread_count(const struct fs_options *options)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    size_t wanted = cpus < 1 ? 2 : 2 * (size_t)cpus;

    if (options->threads > 0)
        return options->threads;
    return wanted < FS_THREADS_MAX ? wanted : FS_THREADS_MAX;
}

static double timeout_s(int64_t configured)
{
    if (configured == 0)
        return FS_FOREVER_S;
    return configured < 0 ? 0 : (double)configured;
}

/* ---- which backend --------------------------------------------------------------------------- */

static int choose_backend(struct fs *fs, const struct fs_options *options, struct err *err)
{
    const char *wanted = options->backend == NULL ? "auto" : options->backend;
    struct err why = ERR_NONE;

    fs->backend = &fs_backend_fuse;
    if (options->image_dir == NULL || strcmp(wanted, fs_backend_fuse.name) == 0)
        return 0;
    fs->image_dir = text_copy(options->image_dir);
    if (fs->image_dir == NULL)
        return err_sys(err, -ENOMEM, "file systems");
    if (probe_erofs(fs, &why) == 0)
        fs->backend = &fs_backend_erofs;
    else if (strcmp(wanted, fs_backend_erofs.name) == 0)
        log_warn("this system cannot mount layers as configured", "backend=%s err=%s", wanted,
                 err_text(&why));
    else
        log_info("this system cannot mount images of EROFS", "err=%s", err_text(&why));
    return 0;
}

const char *fs_backend(const struct fs *fs)
{
    return fs->backend->name;
}

int fs_new(const struct fs_options *options, struct fs **ret, struct err *err)
{
    SCOPED(fs) struct fs *fs = calloc(1, sizeof(*fs));
    struct fs_loop_options loop = {.threads = thread_count(options), .tick = sweep, .arg = fs};
    int rc;

    if (fs == NULL)
        return err_sys(err, -ENOMEM, "file systems");
    fs->read_deadline_ms = options->read_deadline_ms;
    fs->attr_timeout_s = timeout_s(options->attr_timeout_s);
    fs->entry_timeout_s = timeout_s(options->entry_timeout_s);
    fs->negative_timeout_s = timeout_s(options->negative_timeout_s);
    fs->log_operations = options->log_operations;
    (void)pthread_mutex_init(&fs->lock, NULL);
    read_buffers_init(&fs->buffers);
    rc = pool_new("soci-fs-reap", 1, &fs->reaper, err);
    if (rc == 0)
        rc = fs_loop_new(&loop, &fs->loop, err);
    if (rc == 0)
        rc = choose_backend(fs, options, err);
    if (rc < 0)
        return rc;
    log_info("layers will be mounted", "backend=%s", fs->backend->name);
    *ret = TAKE(fs);
    return 0;
}

/* ---- one mount ------------------------------------------------------------------------------- */

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

struct layer *fs_mount_layer(const struct fs_mount *mount)
{
    return mount->layer;
}

static bool has_mounts(struct fs *fs)
{
    LOCKED(&fs->lock);
    return fs->mounts != NULL;
}

/* Stop an orphan that someone still uses. The others are the reaper's, or have reads that end now.
 */
static void stop_orphan(struct fs_mount *mount)
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

void fs_free(struct fs *fs)
{
    if (fs == NULL)
        return;
    while (has_mounts(fs)) {
        struct fs_mount *mount = NULL;

        while ((mount = walk_next(fs, mount)) != NULL)
            stop_orphan(mount);
        clock_sleep_ms(1);
    }
    fs_loop_free(fs->loop);
    pool_free(fs->reaper);
    read_buffers_fini(&fs->buffers);
    (void)pthread_mutex_destroy(&fs->lock);
    free(fs->image_dir);
    free(fs);
}
