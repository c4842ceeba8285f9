/* SPDX-License-Identifier: Apache-2.0 */
/* lazy.c – the table of mounted snapshots, and the functions that snapshot/ calls. */
#include "lazy/internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/threads.h"

#include <errno.h>
#include <stdlib.h>

#define LAZY_MOUNT_TIMEOUT_MS 30000
/* A layer that cannot be mounted is asked for by every container start: not each of them goes to
 * the network. */
#define LAZY_RETRY_MS 5000

static const struct lazy_fs real_fs = {.mount = fs_mount,
                                       .unmount = fs_unmount,
                                       .abandon = fs_abandon,
                                       .clear = fs_clear_mounts,
                                       .layer = fs_mount_layer,
                                       .backend = fs_mount_backend};

/* ---- the table ------------------------------------------------------------------------------- */

static void entry_free(struct lazy_entry *entry)
{
    lazy_origin_remove(entry->origin);
    lazy_target_fini(&entry->target);
    free(entry->dir);
    free(entry->namespace_);
    free(entry);
}
DEFINE_SCOPED_PTR(lazy_entry, struct lazy_entry, entry_free)

/* From when its target is known, and so before anybody reads. */
static int entry_add_origin(struct lazy *lazy, struct lazy_entry *entry, struct err *err)
{
    return lazy_origin_add(lazy->origins, &entry->target.layer, entry->target.repository,
                           &entry->origin, err);
}

static struct lazy_entry *entry_new(uint64_t id, const char *dir)
{
    struct lazy_entry *entry = calloc(1, sizeof(*entry));

    if (entry == NULL)
        return NULL;
    entry->id = id;
    entry->dir = text_copy(dir);
    if (entry->dir == NULL) {
        entry_free(entry);
        return NULL;
    }
    return entry;
}

struct lazy_entry *lazy_entry_find_locked(struct lazy *lazy, uint64_t id)
{
    struct lazy_entry *entry;

    TAILQ_FOREACH(entry, &lazy->entries, link)
    {
        if (entry->id == id)
            break;
    }
    return entry;
}

static void entry_add(struct lazy *lazy, struct lazy_entry *entry)
{
    LOCKED(&lazy->lock);

    TAILQ_INSERT_TAIL(&lazy->entries, entry, link);
}

/* Out of the table; NULL: not in it, or busy, and whoever is busy with it ends it then. */
static struct lazy_entry *entry_take(struct lazy *lazy, uint64_t id)
{
    LOCKED(&lazy->lock);
    struct lazy_entry *entry = lazy_entry_find_locked(lazy, id);

    if (entry == NULL)
        return NULL;
    TAILQ_REMOVE(&lazy->entries, entry, link);
    if (!entry->busy)
        return entry;
    entry->dropped = true;
    return NULL;
}

/* ---- mount, unmount -------------------------------------------------------------------------- */

void lazy_take_down(struct lazy *lazy, struct fs_mount **mount, const char *dir, bool force)
{
    const struct lazy_options *o = &lazy->options;
    struct err err = ERR_NONE;

    if (*mount != NULL && o->fs_ops->unmount(o->fs, mount, force, &err) < 0)
        log_warn("layer not unmounted cleanly, detaching it", "dir=%s err=%s", dir, err_text(&err));
    if (o->fs_ops->clear(dir, &err) < 0)
        log_warn("mount left behind", "dir=%s err=%s", dir, err_text(&err));
}

static int mount_entry(struct lazy *lazy, struct lazy_entry *entry,
                       const struct snapshot_layer *layer, struct text_map *ret_labels,
                       struct err *err)
{
    int rc = entry_add_origin(lazy, entry, err);

    if (rc == 0)
        rc = lazy_mount_by_index(lazy, &entry->target, layer->labels, entry->dir, &entry->mount,
                                 err);
    if (rc == SNAPSHOT_UNPACK &&
        lazy_target_add_found(&entry->target, layer->namespace_, ret_labels) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    if (rc != 0)
        return rc;
    rc = lazy_target_add_labels(&entry->target, layer->namespace_, ret_labels);
    if (rc < 0) {
        lazy_take_down(lazy, &entry->mount, entry->dir, true);
        return err_set(err, rc, "out of memory");
    }
    return 0;
}

/* An image without an index is no failure. While it is mounted, the layer is counted for. */
static void count_mount(struct lazy *lazy, const struct lazy_entry *entry, int rc, int64_t start_ns)
{
    struct metrics *metrics = lazy->options.metrics;

    if (rc == 0) {
        SCOPED(metrics_layer)
        struct metrics_layer *layer = metrics_layer_ref(metrics, &entry->target.layer);

        metrics_since(layer, METRICS_MOUNT, start_ns);
    } else if (rc < 0 && rc != -ENOENT) {
        metrics_count(metrics_no_layer(metrics), METRICS_FUSE_MOUNT_FAILURES, 1);
    }
}

static int op_mount(void *self, uint64_t id, const struct snapshot_layer *layer,
                    struct text_map *ret_labels, struct err *err)
{
    const struct text_map *labels = layer->labels;
    struct lazy *lazy = self;
    SCOPED(lazy_entry) struct lazy_entry *entry = entry_new(id, layer->dir);
    int64_t start_ns = clock_mono_ns();
    int rc;

    if (entry == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    entry->namespace_ = text_copy(layer->namespace_); /* NULL: it is only shown */
    lazy_opening_begin(lazy);
    rc = lazy_target_from_prepare(labels, &entry->target, err);
    entry->target.on_nothing = layer->parent[0] == '\0';
    entry->target.lowers = layer->lowers;
    entry->target.namespace_ = layer->namespace_;
    entry->target.lease = layer->lease;
    lazy_claim_of_prepare(labels, layer->parent, &entry->target.claim);
    if (rc == 0)
        rc = mount_entry(lazy, entry, layer, ret_labels, err);
    entry->target.lowers = NULL;
    entry->target.namespace_ = entry->target.lease = NULL;
    count_mount(lazy, entry, rc, start_ns);
    if (rc == 0)
        entry_add(lazy, TAKE(entry));
    lazy_opening_end(lazy);
    if (rc != 0)
        lazy_note(lazy, rc < 0 ? LAZY_EVENT_DEFERRED : LAZY_EVENT_UNPACKED,
                  lazy_label_image(labels), lazy_label_layer(labels), err);
    return rc;
}

static int op_unpack(void *self, const struct snapshot_layer *how, struct text_map *ret_labels,
                     struct err *err)
{
    struct lazy *lazy = self;
    bool is_whole = lazy_whole_is(lazy, ret_labels); /* which has all that the row should */
    int rc = lazy_unpack(lazy, how, is_whole, err);

    if (rc < 0 && rc != -ECANCELED && is_whole)
        lazy_whole_failed(lazy, how);
    if (rc < 0)
        metrics_count(metrics_no_layer(lazy->options.metrics), METRICS_LOCAL_MOUNT_FAILURES, 1);
    if (rc < 0)
        lazy_note(self, LAZY_EVENT_DEFERRED, lazy_label_image(how->labels),
                  lazy_label_layer(how->labels), err);
    return rc;
}

static void op_abandon(void *self, const char *namespace_, const struct text_map *labels,
                       bool for_good)
{
    lazy_abandon(self, namespace_, labels, for_good);
}

static void op_use(void *self, const uint64_t *ids, size_t count)
{
    lazy_used(self, ids, count);
}

static void op_note(void *self, const struct text_map *labels, const struct err *why)
{
    lazy_note(self, LAZY_EVENT_DEFERRED, lazy_label_image(labels), lazy_label_layer(labels), why);
}

static void op_unmount(void *self, uint64_t id, const char *dir)
{
    struct lazy *lazy = self;
    SCOPED(lazy_entry) struct lazy_entry *entry = entry_take(lazy, id);
    struct fs_mount *none = NULL;

    lazy_take_down(lazy, entry == NULL ? &none : &entry->mount, dir, false);
    if (entry != NULL && entry->target.image_ref != NULL)
        lazy_collect_layer(lazy, &entry->target.ztoc);
}

static void op_collect(void *self)
{
    lazy_collect_old(self);
}

/* What was fetched stays: the next process mounts it again. */
static void op_release(void *self, uint64_t id)
{
    struct lazy *lazy = self;
    SCOPED(lazy_entry) struct lazy_entry *entry = entry_take(lazy, id);

    if (entry != NULL)
        lazy_take_down(lazy, &entry->mount, entry->dir, true);
}

static int op_mount_mapped(void *self, uint64_t id, const char *dir, const struct idmaps *ids,
                           struct err *err)
{
    return lazy_mount_mapped(self, id, dir, ids, err);
}

static void op_unmount_mapped(void *self, const char *dir)
{
    lazy_unmount_mapped(self, dir);
}

/* ---- after a restart ------------------------------------------------------------------------- */

static int mount_again(struct lazy *lazy, const struct lazy_entry *entry, bool online,
                       struct fs_mount **ret, struct err *err)
{
    if (entry->target.image_ref == NULL)
        return err_set(err, -ENOENT, "its labels do not say what to mount");
    return lazy_mount_known(lazy, &entry->target, entry->dir, online, ret, err);
}

static int op_remount(void *self, uint64_t id, const char *dir, const struct text_map *labels,
                      struct err *err)
{
    struct lazy *lazy = self;
    SCOPED(lazy_entry) struct lazy_entry *entry = entry_new(id, dir);
    int rc;

    if (entry == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    rc = lazy_target_from_row(labels, &entry->target, &entry->err);
    if (rc == 0)
        rc = entry_add_origin(lazy, entry, &entry->err);
    if (rc == 0)
        rc = mount_again(lazy, entry, false, &entry->mount, &entry->err);
    entry->namespace_ = text_copy(lazy_label_namespace(labels));
    if (rc < 0) {
        metrics_count(metrics_no_layer(lazy->options.metrics), METRICS_FUSE_MOUNT_FAILURES, 1);
        entry->err_ms = clock_wall_ms();
        lazy_note(lazy, LAZY_EVENT_FAILED, lazy_label_image(labels), lazy_label_layer(labels),
                  &entry->err);
    }
    if (rc < 0 && err != NULL)
        *err = entry->err;
    entry_add(lazy, TAKE(entry)); /* also when it failed: check() tries again */
    return rc;
}

/* Whose turn it is to mount this one again; NULL: nobody's, *ret_rc and err say why. */
static struct lazy_entry *claim(struct lazy *lazy, uint64_t id, int *ret_rc, struct err *err)
{
    LOCKED(&lazy->lock);
    struct lazy_entry *entry = lazy_entry_find_locked(lazy, id);

    if (entry == NULL) {
        *ret_rc = err_set(err, -EAGAIN, "not mounted");
        return NULL;
    }
    if (entry->mount != NULL) {
        *ret_rc = 0;
        return NULL;
    }
    if (entry->busy || clock_mono_ms() < entry->next_try_ms) {
        *ret_rc = err_set(err, -EAGAIN, "%s", err_text(&entry->err));
        return NULL;
    }
    entry->busy = true;
    return entry;
}

static int release(struct lazy *lazy, struct lazy_entry *entry, struct fs_mount **mount, int rc,
                   struct err *err)
{
    bool dropped;

    (void)pthread_mutex_lock(&lazy->lock);
    entry->busy = false;
    entry->next_try_ms = clock_mono_ms() + LAZY_RETRY_MS;
    dropped = entry->dropped;
    if (rc < 0 && err != NULL) {
        entry->err = *err;
        entry->err_ms = clock_wall_ms();
    }
    if (!dropped)
        entry->mount = TAKE(*mount);
    (void)pthread_mutex_unlock(&lazy->lock);
    if (!dropped)
        return rc < 0 ? -EAGAIN : 0;
    lazy_take_down(lazy, mount, entry->dir, true);
    entry_free(entry);
    return err_set(err, -EAGAIN, "the snapshot went away");
}

static int op_check(void *self, uint64_t id, struct err *err)
{
    struct lazy *lazy = self;
    struct fs_mount *mount = NULL;
    struct err why = ERR_NONE;
    int rc = 0;
    struct lazy_entry *entry = claim(lazy, id, &rc, err);

    if (entry == NULL)
        return rc;
    lazy_opening_begin(lazy);
    rc = mount_again(lazy, entry, true, &mount, &why);
    lazy_opening_end(lazy);
    if (rc == 0)
        log_info("layer mounted again", "id=%llu", (unsigned long long)id);
    rc = release(lazy, entry, &mount, rc, &why);
    return rc < 0 ? err_set(err, rc, "%s", err_text(&why)) : 0;
}

/* ---- the whole ------------------------------------------------------------------------------- */

struct snapshot_lazy lazy_ops(struct lazy *lazy)
{
    return (struct snapshot_lazy){
        .mount = op_mount,
        .unpack = op_unpack,
        .abandon = op_abandon,
        .remount = op_remount,
        .unmount = op_unmount,
        .mount_mapped = op_mount_mapped,
        .unmount_mapped = op_unmount_mapped,
        .check = op_check,
        .use = op_use,
        .note = op_note,
        .release = op_release,
        .collect = op_collect,
        .self = lazy,
    };
}

int lazy_new(const struct lazy_options *options, struct lazy **ret, struct err *err)
{
    struct lazy *lazy = calloc(1, sizeof(*lazy));
    int rc;

    if (lazy == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    rc = lazy_origins_new(&lazy->origins, err);
    if (rc == 0)
        rc = lazy_repos_new(options->registry, options->keychain, &lazy->repos, err);
    if (rc == 0 && options->record_ms > 0)
        rc = lazy_learn_new(options->layers, store_root(options->store), options->record_ms,
                            &lazy->learn, err);
    if (rc < 0) {
        lazy_repos_unref(lazy->repos);
        lazy_origins_unref(lazy->origins);
        free(lazy);
        return rc;
    }
    lazy->options = *options;
    if (lazy->options.fs_ops == NULL)
        lazy->options.fs_ops = &real_fs;
    if (lazy->options.mount_timeout_ms == 0)
        lazy->options.mount_timeout_ms = LAZY_MOUNT_TIMEOUT_MS;
    (void)pthread_mutex_init(&lazy->lock, NULL);
    (void)pthread_mutex_init(&lazy->events.lock, NULL);
    (void)pthread_cond_init(&lazy->collected, NULL);
    TAILQ_INIT(&lazy->entries);
    TAILQ_INIT(&lazy->mapped);
    if (options->layers != NULL)
        layer_set_tell(options->layers, lazy_was_checked, lazy);
    *ret = lazy;
    return 0;
}

void lazy_free(struct lazy *lazy)
{
    struct lazy_entry *entry;

    if (lazy == NULL)
        return;
    if (lazy->options.layers != NULL)
        layer_set_tell(lazy->options.layers, NULL, NULL);
    lazy_learn_free(lazy->learn);
    lazy_end_mapped(lazy);
    while ((entry = TAILQ_FIRST(&lazy->entries)) != NULL) {
        TAILQ_REMOVE(&lazy->entries, entry, link);
        if (entry->mount != NULL)
            lazy->options.fs_ops->abandon(lazy->options.fs, &entry->mount);
        entry_free(entry);
    }
    lazy_repos_unref(lazy->repos);
    lazy_origins_unref(lazy->origins);
    (void)pthread_cond_destroy(&lazy->collected);
    (void)pthread_mutex_destroy(&lazy->events.lock);
    (void)pthread_mutex_destroy(&lazy->lock);
    free(lazy);
}
