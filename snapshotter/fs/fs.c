/* SPDX-License-Identifier: Apache-2.0 */
/* fs.c – all mounts of a process: which backend they have, their threads, walks over them, their
 * end. */
#include "fs/internal.h"

#include "base/clock.h"
#include "base/text.h"

#include <stdlib.h>

enum { FS_THREADS_MAX = 8 };

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

/* ---- the end --------------------------------------------------------------------------------- */

static bool has_mounts(struct fs *fs)
{
    LOCKED(&fs->lock);
    return fs->mounts != NULL;
}

void fs_free(struct fs *fs)
{
    if (fs == NULL)
        return;
    while (has_mounts(fs)) {
        struct fs_mount *mount = NULL;

        while ((mount = walk_next(fs, mount)) != NULL)
            fs_mount_stop_orphan(mount);
        clock_sleep_ms(1);
    }
    fs_loop_free(fs->loop);
    pool_free(fs->reaper);
    read_buffers_fini(&fs->buffers);
    (void)pthread_mutex_destroy(&fs->lock);
    free(fs->image_dir);
    free(fs);
}
