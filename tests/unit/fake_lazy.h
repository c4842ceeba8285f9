/* SPDX-License-Identifier: Apache-2.0 */
/* fake_lazy.h – the lazy half as an array: what was mounted where, and switches that make it fail.
 */
#ifndef UNIT_FAKE_LAZY_H
#define UNIT_FAKE_LAZY_H

#include "test.h"

#include "base/clock.h"
#include "base/threads.h"
#include "snapshot/snapshot.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

enum { FAKE_LAZY_MAX = 64 };

struct fake_mount {
    uint64_t id; /* 0: free */
    char dir[256];
    bool healthy;
};

struct fake_lazy {
    pthread_mutex_t lock;
    struct fake_mount mounts[FAKE_LAZY_MAX]; /* lock */
    int mount_calls, remount_calls;          /* lock */
    int abandon_calls;                       /* lock */
    int64_t mount_takes_ms;                  /* fixed before calls */
    int mount_rc, remount_rc, unpack_rc;     /* fixed before calls */
    int unpack_calls;                        /* lock */
    bool unpack_until_cancelled;             /* fixed before calls */
    size_t lowers;                           /* of the last unpack */
    char mapped[FAKE_LAZY_MAX][256];         /* lock; "": free */
    int mapped_rc, mapped_calls;             /* lock */
    void (*during_mount)(void *arg);         /* fixed before calls; may be NULL */
    void (*during_mapped)(void *arg);        /* fixed before calls; may be NULL */
    void (*during_unpack)(void *arg);        /* fixed before calls; may be NULL */
    void *arg;
    char namespace_[64];       /* of the last mount */
    char lease[64];            /* the same; "": none */
    int abandoned_for_good;    /* lock; of abandon_calls */
    char abandoned_in[64];     /* lock; the last namespace */
    int notes;                 /* lock */
    int use_calls;             /* lock */
    size_t used;               /* lock; layers, in the last */
    uint64_t nearest;          /* lock; its first */
    char note[ERR_TEXT_BYTES]; /* lock; the last */
};

static inline struct fake_mount *fake_lazy_find(struct fake_lazy *fake, uint64_t id)
{
    size_t i;

    for (i = 0; i < FAKE_LAZY_MAX; i++) {
        if (fake->mounts[i].id == id)
            return &fake->mounts[i];
    }
    return NULL;
}

static inline void fake_lazy_put(struct fake_lazy *fake, uint64_t id, const char *dir)
{
    struct fake_mount *mount = fake_lazy_find(fake, 0);

    assert_non_null(mount);
    assert_null(fake_lazy_find(fake, id)); /* nobody mounts a snapshot twice */
    assert_true(path_exists(dir));
    mount->id = id;
    mount->healthy = true;
    (void)snprintf(mount->dir, sizeof(mount->dir), "%s", dir);
}

static inline int fake_lazy_mount(void *self, uint64_t id, const struct snapshot_layer *layer,
                                  struct text_map *ret_labels, struct err *err)
{
    struct fake_lazy *fake = self;

    if (fake->during_mount != NULL)
        fake->during_mount(fake->arg);
    if (fake->mount_takes_ms > 0)
        clock_sleep_ms(fake->mount_takes_ms);
    {
        LOCKED(&fake->lock);
        fake->mount_calls++;
        (void)snprintf(fake->namespace_, sizeof(fake->namespace_), "%s", layer->namespace_);
        (void)snprintf(fake->lease, sizeof(fake->lease), "%s",
                       layer->lease == NULL ? "" : layer->lease);
        if (fake->mount_rc == SNAPSHOT_UNPACK)
            assert_ok(text_map_set(ret_labels, "seen", "yes"));
        if (fake->mount_rc != 0)
            return err_set(err, fake->mount_rc, "the fake refuses");
        fake_lazy_put(fake, id, layer->dir);
    }
    assert_non_null(text_map_get(layer->labels, SNAPSHOT_LABEL_TARGET));
    return text_map_set(ret_labels, SNAPSHOT_LABEL_REMOTE "/fake", "remember me");
}

static inline int fake_lazy_unpack(void *self, const struct snapshot_layer *how,
                                   struct text_map *ret_labels, struct err *err)
{
    struct fake_lazy *fake = self;
    SCOPED(mem) char *file = path_join(how->dir, "unpacked");

    {
        LOCKED(&fake->lock);
        fake->unpack_calls++;
        fake->lowers = how->lowers->count;
    }
    if (fake->during_unpack != NULL)
        fake->during_unpack(fake->arg);
    while (fake->unpack_until_cancelled && !how->cancel.is_cancelled(how->cancel.self))
        clock_sleep_ms(5);
    if (fake->unpack_until_cancelled)
        return err_set(err, -ECANCELED, "the client gave up");
    if (fake->unpack_rc < 0)
        return err_set(err, fake->unpack_rc, "the fake cannot unpack");
    assert_non_null(text_map_get(how->labels, SNAPSHOT_LABEL_TARGET));
    assert_ok(text_map_set(ret_labels, "unpacked", "yes"));
    return file_replace(file, bytes_of_str("content"), 0644, err);
}

static inline void fake_lazy_abandon(void *self, const char *namespace_,
                                     const struct text_map *labels, bool for_good)
{
    struct fake_lazy *fake = self;
    LOCKED(&fake->lock);

    assert_non_null(text_map_get(labels, SNAPSHOT_LABEL_TARGET));
    (void)snprintf(fake->abandoned_in, sizeof(fake->abandoned_in), "%s", namespace_);
    fake->abandon_calls++;
    fake->abandoned_for_good += for_good;
}

static inline void fake_lazy_use(void *self, const uint64_t *ids, size_t count)
{
    struct fake_lazy *fake = self;
    LOCKED(&fake->lock);

    fake->use_calls++;
    fake->used = count;
    fake->nearest = ids[0];
}

static inline int fake_lazy_remount(void *self, uint64_t id, const char *dir,
                                    const struct text_map *labels, struct err *err)
{
    struct fake_lazy *fake = self;
    LOCKED(&fake->lock);

    fake->remount_calls++;
    assert_string_equal(text_map_get(labels, SNAPSHOT_LABEL_REMOTE "/fake"), "remember me");
    if (fake->remount_rc < 0)
        return err_set(err, fake->remount_rc, "the fake refuses");
    fake_lazy_put(fake, id, dir);
    return 0;
}

static inline void fake_lazy_unmount(void *self, uint64_t id, const char *dir)
{
    struct fake_lazy *fake = self;
    LOCKED(&fake->lock);
    struct fake_mount *mount = fake_lazy_find(fake, id);

    if (mount == NULL)
        return;
    assert_string_equal(mount->dir, dir);
    memset(mount, 0, sizeof(*mount));
}

static inline void fake_lazy_note(void *self, const struct text_map *labels, const struct err *why)
{
    struct fake_lazy *fake = self;
    LOCKED(&fake->lock);

    assert_non_null(text_map_get(labels, SNAPSHOT_LABEL_TARGET));
    fake->notes++;
    (void)snprintf(fake->note, sizeof(fake->note), "%s", err_text(why));
}

static inline void fake_lazy_release(void *self, uint64_t id)
{
    struct fake_lazy *fake = self;
    LOCKED(&fake->lock);
    struct fake_mount *mount = fake_lazy_find(fake, id);

    assert_non_null(mount);
    memset(mount, 0, sizeof(*mount));
}

static inline int fake_lazy_check(void *self, uint64_t id, struct err *err)
{
    struct fake_lazy *fake = self;
    LOCKED(&fake->lock);
    const struct fake_mount *mount = fake_lazy_find(fake, id);

    return mount != NULL && mount->healthy ? 0 : err_set(err, -EAGAIN, "the fake is not well");
}

/* The slot of a directory that a layer is mounted at once more; of "": a free one. */
static inline char *fake_lazy_find_mapped_locked(struct fake_lazy *fake, const char *dir)
{
    for (size_t i = 0; i < FAKE_LAZY_MAX; i++) {
        if (strcmp(fake->mapped[i], dir) == 0)
            return fake->mapped[i];
    }
    return NULL;
}

static inline int fake_lazy_mount_mapped(void *self, uint64_t id, const char *dir,
                                         const struct idmaps *ids, struct err *err)
{
    struct fake_lazy *fake = self;
    char *slot;

    if (fake->during_mapped != NULL)
        fake->during_mapped(fake->arg);
    LOCKED(&fake->lock);
    fake->mapped_calls++;
    if (fake->mapped_rc < 0)
        return err_set(err, fake->mapped_rc, "the fake refuses");
    if (fake_lazy_find(fake, id) == NULL)
        return err_set(err, -EAGAIN, "the fake has not mounted it");
    assert_true(path_exists(dir));
    assert_true(ids->uids.count > 0 && ids->gids.count > 0);
    if (fake_lazy_find_mapped_locked(fake, dir) != NULL)
        return 0;
    slot = fake_lazy_find_mapped_locked(fake, "");
    assert_non_null(slot);
    (void)snprintf(slot, sizeof(fake->mapped[0]), "%s", dir);
    return 0;
}

static inline void fake_lazy_unmount_mapped(void *self, const char *dir)
{
    struct fake_lazy *fake = self;
    LOCKED(&fake->lock);
    char *slot = fake_lazy_find_mapped_locked(fake, dir);

    if (slot != NULL)
        slot[0] = '\0';
}

static inline size_t fake_lazy_count_mapped(struct fake_lazy *fake)
{
    size_t i, count = 0;
    LOCKED(&fake->lock);

    for (i = 0; i < FAKE_LAZY_MAX; i++)
        count += fake->mapped[i][0] != '\0';
    return count;
}

static inline struct snapshot_lazy fake_lazy_ops(struct fake_lazy *fake)
{
    return (struct snapshot_lazy){.mount = fake_lazy_mount,
                                  .unpack = fake_lazy_unpack,
                                  .abandon = fake_lazy_abandon,
                                  .use = fake_lazy_use,
                                  .remount = fake_lazy_remount,
                                  .unmount = fake_lazy_unmount,
                                  .mount_mapped = fake_lazy_mount_mapped,
                                  .unmount_mapped = fake_lazy_unmount_mapped,
                                  .check = fake_lazy_check,
                                  .note = fake_lazy_note,
                                  .release = fake_lazy_release,
                                  .self = fake};
}

static inline size_t fake_lazy_count(struct fake_lazy *fake)
{
    size_t i, count = 0;
    LOCKED(&fake->lock);

    for (i = 0; i < FAKE_LAZY_MAX; i++)
        count += fake->mounts[i].id != 0;
    return count;
}

/* ---- a snapshotter on a root of its own, with the fake behind it ----------------------------- */

struct snapshot_fixture {
    char root[64];
    struct store *store;
    struct snapshotter *s;
    struct fake_lazy fake;
};

static inline void snapshot_fixture_open(struct snapshot_fixture *f)
{
    struct err err = ERR_NONE;
    struct snapshotter_options options = {.lazy = fake_lazy_ops(&f->fake)};
    int rc;

    assert_ok(store_open(f->root, &f->store, &err));
    options.store = f->store;
    rc = snapshotter_new(&options, &f->s, &err);
    if (rc < 0)
        fail_msg("%s", err_text(&err));
}

static inline void snapshot_fixture_close(struct snapshot_fixture *f)
{
    snapshotter_free(f->s);
    store_close(f->store);
    f->s = NULL;
    f->store = NULL;
}

/* As a new process finds things: rows and directories as they were, no mount alive. */
static inline void snapshot_fixture_restart(struct snapshot_fixture *f)
{
    snapshot_fixture_close(f);
    memset(f->fake.mounts, 0, sizeof(f->fake.mounts));
    memset(f->fake.mapped, 0, sizeof(f->fake.mapped));
    snapshot_fixture_open(f);
}

static inline int snapshot_fixture_setup(void **state)
{
    struct snapshot_fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    (void)strcpy(f->root, "/tmp/test-snapshot.XXXXXX");
    assert_non_null(mkdtemp(f->root));
    (void)pthread_mutex_init(&f->fake.lock, NULL);
    snapshot_fixture_open(f);
    *state = f;
    return 0;
}

static inline int snapshot_fixture_teardown(void **state)
{
    struct snapshot_fixture *f = *state;
    struct err err = ERR_NONE;

    snapshot_fixture_close(f);
    assert_ok(dir_remove_all(f->root, &err));
    free(f);
    return 0;
}

/* ---- short ways to call it ------------------------------------------------------------------- */

/* `target` NULL: no target label. */
static inline int prepare_with(struct snapshot_fixture *f, const char *key, const char *parent,
                               const char *target, struct snapshot_mounts *mounts, struct err *err)
{
    SCOPED(text_map) struct text_map labels = TEXT_MAP_EMPTY;
    struct snapshot_prepare_request request = {
        .key = key, .parent = parent, .namespace_ = "ns", .labels = &labels};

    assert_ok(text_map_set(&labels, "given", "yes"));
    assert_ok(text_map_set(&labels, "empty", ""));
    if (target != NULL)
        assert_ok(text_map_set(&labels, SNAPSHOT_LABEL_TARGET, target));
    return snapshot_prepare(f->s, &request, mounts, err);
}

static inline int prepare(struct snapshot_fixture *f, const char *key, const char *parent,
                          const char *target)
{
    SCOPED(snapshot_mounts) struct snapshot_mounts mounts = {.items = NULL, .count = 0};
    struct err err = ERR_NONE;
    int rc = prepare_with(f, key, parent, target, &mounts, &err);

    assert_int_equal(mounts.count, rc == 0 ? 1 : 0);
    assert_int_equal(rc, err.code);
    return rc;
}

static inline int view(struct snapshot_fixture *f, const char *key, const char *parent)
{
    SCOPED(snapshot_mounts) struct snapshot_mounts mounts = {.items = NULL, .count = 0};
    struct snapshot_prepare_request request = {.key = key, .parent = parent, .namespace_ = ""};
    struct err err = ERR_NONE;

    return snapshot_view(f->s, &request, &mounts, &err);
}

static inline int commit(struct snapshot_fixture *f, const char *name, const char *key,
                         const char *parent)
{
    SCOPED(text_map) struct text_map labels = TEXT_MAP_EMPTY;
    struct err err = ERR_NONE;

    assert_ok(text_map_set(&labels, "committed", "yes"));
    assert_ok(text_map_set(&labels, "empty", ""));
    return snapshot_commit(f->s, name, key, parent, &labels, &err);
}

/* A committed snapshot as containerd makes it from a layer that it unpacked. */
static inline void add_layer(struct snapshot_fixture *f, const char *name, const char *parent)
{
    SCOPED(mem) char *key = text_format("extract-%s", name);

    assert_ok(prepare(f, key, parent, NULL));
    assert_ok(commit(f, name, key, ""));
}

static inline int stat_row(struct snapshot_fixture *f, const char *key, struct snapdb_row *row)
{
    struct err err = ERR_NONE;

    return snapshot_stat(f->s, key, row, &err);
}

static inline bool has_row(struct snapshot_fixture *f, const char *key)
{
    SCOPED(snapdb_row) struct snapdb_row row = {.id = 0};
    int rc = stat_row(f, key, &row);

    assert_true(rc == 0 || rc == -ENOENT);
    return rc == 0;
}

static inline uint64_t id_of(struct snapshot_fixture *f, const char *key)
{
    SCOPED(snapdb_row) struct snapdb_row row = {.id = 0};

    assert_ok(stat_row(f, key, &row));
    return row.id;
}

static inline bool has_dir(struct snapshot_fixture *f, const char *name)
{
    SCOPED(mem) char *path = text_format("%s/snapshotter/snapshots/%s", f->root, name);

    return path_exists(path);
}

static inline bool has_id_dir(struct snapshot_fixture *f, uint64_t id, const char *leaf)
{
    SCOPED(mem) char *name = text_format("%llu/%s", (unsigned long long)id, leaf);

    return has_dir(f, name);
}

#endif
