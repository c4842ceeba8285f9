/* SPDX-License-Identifier: Apache-2.0 */
/* test_lazy_mount.c – from a Prepare to a mount and back, and again after a restart. The registry
 * is two arrays, mounts are counted; store, layers and the span engine are the real ones. */
#include "test.h"

#include "base/clock.h"
#include "base/text.h"
#include "lazy/lazy.h"
#include "ztoc/ztoc.h"

#include <errno.h>
#include <stdlib.h>

/* A layer of 116 208 bytes. */
#define LAYER_FILE                                                                                 \
    "image/image/blobs/sha256/030a12a235a57c2a6fe293b55e1f8398d29b524450d4c894614ad69fab50114b"

/* ---- mounts, counted ------------------------------------------------------------------------- */

struct fs_mount {
    struct layer *layer;
};

struct fs {
    int mounted, mounts, unmounts, abandons, clears;
    int rc;       /* what the next mount returns */
    bool had_ids; /* the last one */
    void (*during_mount)(void *arg);
    void *arg;
};

static int fake_mount(struct fs *fs, struct layer *layer, const struct fs_mount_options *options,
                      struct fs_mount **ret, struct err *err)
{
    struct fs_mount *mount;

    assert_true(text_has_prefix(options->dir, "/mnt"));
    fs->mounts++;
    if (fs->during_mount != NULL)
        fs->during_mount(fs->arg);
    if (fs->rc < 0)
        return err_set(err, fs->rc, "told to fail");
    mount = calloc(1, sizeof(*mount));
    assert_non_null(mount);
    mount->layer = layer_ref(layer);
    fs->had_ids = options->ids != NULL;
    fs->mounted++;
    *ret = mount;
    return 0;
}

static void drop(struct fs *fs, struct fs_mount **mount)
{
    fs->mounted--;
    layer_unref((*mount)->layer);
    free(*mount);
    *mount = NULL;
}

static int fake_unmount(struct fs *fs, struct fs_mount **mount, bool force, struct err *err)
{
    (void)force;
    (void)err;
    fs->unmounts++;
    drop(fs, mount);
    return 0;
}

static void fake_abandon(struct fs *fs, struct fs_mount **mount)
{
    fs->abandons++;
    drop(fs, mount);
}

static int fake_clear(const char *dir, struct err *err)
{
    (void)err;
    assert_true(text_has_prefix(dir, "/mnt"));
    return 0;
}

static struct layer *fake_layer(const struct fs_mount *mount)
{
    return mount->layer;
}

static const char *fake_backend(const struct fs_mount *mount)
{
    (void)mount;
    return "array";
}

static const struct lazy_fs fake_fs = {.mount = fake_mount,
                                       .unmount = fake_unmount,
                                       .abandon = fake_abandon,
                                       .clear = fake_clear,
                                       .layer = fake_layer,
                                       .backend = fake_backend};

/* ---- a registry of one index and one ztoc ---------------------------------------------------- */

/* discover hands its repositories to these functions, which ask the one world there is. */
struct world {
    char root[64];
    struct store *store;
    struct registry *registry;
    struct discover *discover;
    struct span_engine *engine;
    struct layer_set *layers;
    struct fs fs;
    struct lazy *lazy;
    struct digest manifest, layer, index;
    char *index_json;
    struct buf *ztoc;
    bool offline;
    int ztoc_gets; /* atomic */
};
static struct world *the_world; /* set by the test that runs */

static int fake_get_manifest(struct registry_repo *repo, const char *reference, struct buf *ret,
                             char **ret_media_type, struct err *err)
{
    char index[DIGEST_TEXT_BYTES];

    (void)repo;
    (void)ret_media_type;
    digest_format(&the_world->index, index);
    if (the_world->offline || strcmp(reference, index) != 0)
        return err_set(err, the_world->offline ? -ETIMEDOUT : -ENOENT, "no answer");
    return buf_add_str(ret, the_world->index_json);
}

static int fake_get_referrers(struct registry_repo *repo, const struct digest *subject,
                              const char *artifact_type, struct oci_index **ret, bool *ret_from_tag,
                              struct err *err)
{
    struct oci_descriptor desc = {.digest = the_world->index};

    (void)repo;
    (void)subject;
    (void)artifact_type;
    if (the_world->offline)
        return err_set(err, -ETIMEDOUT, "no answer");
    *ret = oci_index_new();
    assert_non_null(*ret);
    *ret_from_tag = true;
    return oci_index_add(*ret, &desc);
}

static int fake_get_blob(struct registry_repo *repo, const struct digest *digest, size_t max_bytes,
                         struct buf *ret, struct err *err)
{
    (void)repo;
    (void)digest;
    (void)max_bytes;
    if (the_world->offline)
        return err_set(err, -ETIMEDOUT, "no answer");
    (void)__atomic_add_fetch(&the_world->ztoc_gets, 1, __ATOMIC_SEQ_CST);
    return buf_add(ret, the_world->ztoc->data, the_world->ztoc->len);
}

static const struct discover_registry fake_registry = {
    .get_manifest = fake_get_manifest,
    .get_referrers = fake_get_referrers,
    .get_blob = fake_get_blob,
    .ref = registry_repo_ref,
    .unref = registry_repo_unref,
};

static void make_index(struct world *w, struct digest ztoc_for)
{
    char ztoc[DIGEST_TEXT_BYTES], layer[DIGEST_TEXT_BYTES], manifest[DIGEST_TEXT_BYTES];
    struct digest digest;

    assert_ok(digest_of(buf_bytes(w->ztoc), &digest));
    digest_format(&digest, ztoc);
    digest_format(&ztoc_for, layer);
    digest_format(&w->manifest, manifest);
    w->index_json = text_format(
        "{\"schemaVersion\":2,\"mediaType\":\"application/"
        "vnd.oci.image.manifest.v1+json\",\"config\":{\"mediaType\":"
        "\"application/vnd.amazon.soci.index.v1+json\",\"digest\":\"sha256:"
        "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\",\"size\":2},\"layers\":"
        "[{\"mediaType\":"
        "\"application/octet-stream\",\"digest\":\"%s\",\"size\":%zu,\"annotations\":{"
        "\"com.amazon.soci.image-layer-digest\":\"%s\",\"com.amazon.soci.image-layer-mediaType\":"
        "\"application/"
        "vnd.oci.image.layer.v1.tar+gzip\",\"com.amazon.soci.span-size\":\"4194304\"}}],"
        "\"subject\":{"
        "\"mediaType\":\"application/"
        "vnd.oci.image.manifest.v1+json\",\"digest\":\"%s\",\"size\":7},\"annotations\":{"
        "\"com.amazon.soci.build-tool-identifier\":\"test\"}}",
        ztoc, w->ztoc->len, layer, manifest);
    assert_non_null(w->index_json);
    assert_ok(digest_of(bytes_of_str(w->index_json), &w->index));
}

/* ---- a world --------------------------------------------------------------------------------- */

static void world_start(struct world *w)
{
    const struct registry_options registry = {.user_agent = "test", .max_retries = UINT32_MAX};
    const struct span_engine_options engine = {.disable_background = true};
    struct discover_options discover = {.registry = &fake_registry, .v1_enabled = true};
    struct lazy_options lazy = {.fs = &w->fs, .fs_ops = &fake_fs, .disable_background = true};
    struct err err = ERR_NONE;

    assert_ok(store_open(w->root, &w->store, &err));
    assert_ok(registry_new(&registry, &w->registry, &err));
    discover.store = w->store;
    assert_ok(discover_new(&discover, &w->discover, &err));
    assert_ok(span_engine_new(&engine, &w->engine, &err));
    assert_ok(layer_set_new(w->store, w->engine, &w->layers, &err));
    lazy.store = w->store;
    lazy.registry = w->registry;
    lazy.discover = w->discover;
    lazy.layers = w->layers;
    lazy.min_layer_bytes = 10;
    assert_ok(lazy_new(&lazy, &w->lazy, &err));
}

static void world_stop(struct world *w)
{
    lazy_free(w->lazy);
    layer_set_free(w->layers);
    span_engine_free(w->engine);
    discover_free(w->discover);
    registry_free(w->registry);
    store_close(w->store);
    assert_int_equal(w->fs.mounted, 0);
}

static struct buf *build_ztoc(const struct buf *layer)
{
    const struct ztoc_build_options options = {.span_size = 32768};
    SCOPED(ztoc_builder) struct ztoc_builder *builder = NULL;
    struct buf *ztoc = buf_new();
    struct err err = ERR_NONE;

    assert_non_null(ztoc);
    assert_ok(ztoc_builder_new(ZTOC_GZIP, &options, &builder, &err));
    assert_ok(ztoc_builder_feed(builder, buf_bytes(layer), &err));
    assert_ok(ztoc_builder_finish(builder, ztoc, NULL, &err));
    return ztoc;
}

static struct world *world_new(void)
{
    struct world *w = calloc(1, sizeof(*w));
    SCOPED(buf) struct buf *layer = vector_load(LAYER_FILE);

    assert_non_null(w);
    the_world = w;
    (void)strcpy(w->root, "/tmp/test_lazy.XXXXXX");
    assert_non_null(mkdtemp(w->root));
    w->ztoc = build_ztoc(layer);
    assert_ok(digest_of(buf_bytes(layer), &w->layer));
    assert_ok(digest_of(bytes_of_str("manifest"), &w->manifest));
    make_index(w, w->layer);
    world_start(w);
    return w;
}

static void world_free(struct world *w)
{
    struct err err = ERR_NONE;

    world_stop(w);
    assert_ok(dir_remove_all(w->root, &err));
    buf_free(w->ztoc);
    free(w->index_json);
    free(w);
}

static void add_digest(struct text_map *labels, const char *key, const struct digest *digest)
{
    char text[DIGEST_TEXT_BYTES];

    digest_format(digest, text);
    assert_ok(text_map_set(labels, key, text));
}

/* Prepare's labels → mount(); what it leaves for the row is added to `row`. */
static int mount_with_id(struct world *w, uint64_t id, const struct digest *layer, const char *size,
                         struct text_map *row, struct err *err)
{
    SCOPED(text_map) struct text_map labels = TEXT_MAP_EMPTY;
    const struct snapshot_lazy ops = lazy_ops(w->lazy);
    const struct snapshot_layer asked = {
        .dir = "/mnt", .parent = "sha256:below", .namespace_ = "ns", .labels = &labels};

    assert_ok(
        text_map_set(&labels, "containerd.io/snapshot/cri.image-ref", "registry.invalid/app:1"));
    add_digest(&labels, "containerd.io/snapshot/cri.manifest-digest", &w->manifest);
    add_digest(&labels, "containerd.io/snapshot/cri.layer-digest", layer);
    if (size != NULL)
        assert_ok(text_map_set(&labels, "containerd.io/snapshot/remote/soci.size", size));
    return ops.mount(ops.self, id, &asked, row, err);
}

static int mount_as(struct world *w, const struct digest *layer, const char *size,
                    struct text_map *row, struct err *err)
{
    return mount_with_id(w, 7, layer, size, row, err);
}

static int mount_it(struct world *w, struct text_map *row, struct err *err)
{
    return mount_as(w, &w->layer, NULL, row, err);
}

static int check(struct world *w, struct err *err)
{
    const struct snapshot_lazy ops = lazy_ops(w->lazy);

    return ops.check(ops.self, 7, err);
}

static int remount(struct world *w, const struct text_map *row, struct err *err)
{
    const struct snapshot_lazy ops = lazy_ops(w->lazy);

    return ops.remount(ops.self, 7, "/mnt", row, err);
}

static bool has_blob(struct world *w, const struct digest *digest)
{
    SCOPED(fd) int fd = -1;

    return store_blob_open(w->store, digest, &fd, NULL) == 0;
}

static struct digest ztoc_of(const struct world *w)
{
    struct digest ztoc;

    assert_ok(digest_of(buf_bytes(w->ztoc), &ztoc));
    return ztoc;
}

static void forget_ztoc(struct world *w)
{
    struct digest ztoc = ztoc_of(w);
    struct err err = ERR_NONE;

    assert_ok(store_blob_remove(w->store, &ztoc, &err));
}

/* ---- mount ----------------------------------------------------------------------------------- */

static void a_layer_with_a_ztoc_is_mounted_and_served(void **state)
{
    struct world *w = world_new();
    SCOPED(text_map) struct text_map row = TEXT_MAP_EMPTY;
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(mount_it(w, &row, &err));
    assert_int_equal(w->fs.mounted, 1);
    assert_int_equal(w->ztoc_gets, 1);
    assert_ok(check(w, &err));
    assert_non_null(text_map_get(&row, "containerd.io/snapshot/remote/soci.ztoc.digest"));
    world_free(w);
}

static void a_layer_without_a_ztoc_is_left_alone(void **state)
{
    struct world *w = world_new();
    SCOPED(text_map) struct text_map row = TEXT_MAP_EMPTY;
    struct digest other;
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(digest_of(bytes_of_str("another layer"), &other));
    assert_int_equal(mount_as(w, &other, NULL, &row, &err), -ENOENT);
    assert_string_equal(err.text, "layer has no ztoc in the index");
    assert_int_equal(w->fs.mounts, 0);
    assert_int_equal(row.count, 0);
    assert_int_equal(check(w, &err), -EAGAIN);
    world_free(w);
}

static void a_ztoc_of_another_layer_is_refused(void **state)
{
    struct world *w = world_new();
    SCOPED(text_map) struct text_map row = TEXT_MAP_EMPTY;
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(mount_as(w, &w->layer, "123456", &row, &err),
                     -EBADMSG); /* its ztoc says something else */
    assert_int_equal(w->fs.mounts, 0);
    world_free(w);
}

static void a_layer_below_the_limit_is_not_mounted(void **state)
{
    struct world *w = world_new();
    SCOPED(text_map) struct text_map row = TEXT_MAP_EMPTY;
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(mount_as(w, &w->layer, "9", &row, &err), -ENOENT);
    assert_int_equal(w->fs.mounts, 0);
    world_free(w);
}

static void a_registry_that_does_not_answer_leaves_nothing_behind(void **state)
{
    struct world *w = world_new();
    SCOPED(text_map) struct text_map row = TEXT_MAP_EMPTY;
    struct err err = ERR_NONE;

    (void)state;
    w->offline = true;
    assert_int_equal(mount_it(w, &row, &err), -ETIMEDOUT);
    assert_int_equal(w->fs.mounts, 0);
    assert_int_equal(row.count, 0);
    world_free(w);
}

static void a_mount_that_fails_leaves_nothing_behind(void **state)
{
    struct world *w = world_new();
    SCOPED(text_map) struct text_map row = TEXT_MAP_EMPTY;
    struct err err = ERR_NONE;

    (void)state;
    w->fs.rc = -EOPNOTSUPP;
    assert_int_equal(mount_it(w, &row, &err), -EOPNOTSUPP);
    assert_int_equal(row.count, 0);
    assert_int_equal(check(w, &err), -EAGAIN);
    w->fs.rc = 0;
    assert_ok(mount_it(w, &row, &err));
    world_free(w);
}

static void an_unmounted_layer_is_no_longer_served(void **state)
{
    struct world *w = world_new();
    SCOPED(text_map) struct text_map row = TEXT_MAP_EMPTY;
    struct snapshot_lazy ops = lazy_ops(w->lazy);
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(mount_it(w, &row, &err));
    ops.unmount(ops.self, 7, "/mnt");
    ops.unmount(ops.self, 7, "/mnt"); /* once more does no harm */
    assert_int_equal(w->fs.mounted, 0);
    assert_int_equal(w->fs.unmounts, 1);
    assert_int_equal(check(w, &err), -EAGAIN);
    world_free(w);
}

/* ---- what is kept goes ----------------------------------------------------------------------- */

static void a_ztoc_stays_while_a_snapshot_needs_it_and_goes_with_the_last(void **state)
{
    struct world *w = world_new();
    SCOPED(text_map) struct text_map row = TEXT_MAP_EMPTY;
    SCOPED(text_map) struct text_map other = TEXT_MAP_EMPTY;
    struct snapshot_lazy ops = lazy_ops(w->lazy);
    struct digest ztoc = ztoc_of(w);
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(mount_it(w, &row, &err));
    assert_ok(mount_with_id(w, 8, &w->layer, NULL, &other, &err));
    assert_int_equal(w->ztoc_gets, 1);
    ops.unmount(ops.self, 7, "/mnt");
    assert_true(has_blob(w, &ztoc));
    ops.collect(ops.self);
    assert_true(has_blob(w, &ztoc));
    ops.unmount(ops.self, 8, "/mnt");
    assert_false(has_blob(w, &ztoc));
    assert_false(has_blob(w, &w->index));
    world_free(w);
}

static struct digest unused; /* a blob that no snapshot needs */
static bool unused_was_there;

static void unmount_eight(void *lazy)
{
    struct snapshot_lazy ops = lazy_ops(lazy);

    ops.unmount(ops.self, 8, "/mnt");
    ops.collect(ops.self);
    unused_was_there = has_blob(the_world, &unused);
}

/* The ztoc that the mount has read must be there at the next start. */
static void nothing_is_removed_while_a_layer_is_being_mounted(void **state)
{
    struct world *w = world_new();
    SCOPED(text_map) struct text_map row = TEXT_MAP_EMPTY;
    struct snapshot_lazy ops = lazy_ops(w->lazy);
    struct digest ztoc = ztoc_of(w);
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(mount_with_id(w, 8, &w->layer, NULL, &row, &err));
    text_map_fini(&row);
    assert_ok(digest_of(bytes_of_str("unused"), &unused));
    assert_ok(store_blob_put(w->store, &unused, bytes_of_str("unused"), &err));
    w->fs.during_mount = unmount_eight;
    w->fs.arg = w->lazy;
    assert_ok(mount_it(w, &row, &err));
    assert_true(unused_was_there);
    assert_true(has_blob(w, &ztoc));
    ops.collect(ops.self);
    assert_true(has_blob(w, &unused)); /* it may be of an image that is just being pulled */
    ops.unmount(ops.self, 7, "/mnt");
    assert_false(has_blob(w, &unused));
    world_free(w);
}

/* ---- for user namespaces ------------------------------------------------------------------- */

static int mount_mapped(struct world *w, uint64_t id, const char *dir, struct err *err)
{
    const struct snapshot_lazy ops = lazy_ops(w->lazy);
    SCOPED(idmaps) struct idmaps ids = IDMAPS_EMPTY;

    assert_ok(idmaps_parse("0:100000:65536", "", &ids, err));
    return ops.mount_mapped(ops.self, id, dir, &ids, err);
}

static void a_mounted_layer_is_mounted_once_more_for_each_namespace(void **state)
{
    struct world *w = world_new();
    SCOPED(text_map) struct text_map row = TEXT_MAP_EMPTY;
    struct snapshot_lazy ops = lazy_ops(w->lazy);
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(mount_it(w, &row, &err));
    assert_ok(mount_mapped(w, 7, "/mnt/a", &err));
    assert_ok(mount_mapped(w, 7, "/mnt/b", &err));
    assert_ok(mount_mapped(w, 7, "/mnt/a", &err)); /* is there already */
    assert_int_equal(w->fs.mounted, 3);
    assert_int_equal(w->ztoc_gets, 1);
    assert_true(w->fs.had_ids);
    ops.unmount_mapped(ops.self, "/mnt/a");
    ops.unmount_mapped(ops.self, "/mnt/a"); /* once more does no harm */
    assert_int_equal(w->fs.mounted, 2);
    world_free(w); /* the other one goes with the rest */
}

static void a_layer_that_is_not_mounted_is_not_mounted_once_more(void **state)
{
    struct world *w = world_new();
    SCOPED(text_map) struct text_map row = TEXT_MAP_EMPTY;
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(mount_mapped(w, 7, "/mnt/a", &err), -EAGAIN);
    assert_ok(mount_it(w, &row, &err));
    assert_int_equal(mount_mapped(w, 8, "/mnt/a", &err), -EAGAIN);
    w->fs.rc = -EIO;
    assert_int_equal(mount_mapped(w, 7, "/mnt/a", &err), -EIO);
    assert_int_equal(w->fs.mounted, 1);
    w->fs.rc = 0;
    assert_ok(mount_mapped(w, 7, "/mnt/a", &err)); /* the failure left nothing in the way */
    world_free(w);
}

static void the_second_mount_outlives_the_first(void **state)
{
    struct world *w = world_new();
    SCOPED(text_map) struct text_map row = TEXT_MAP_EMPTY;
    struct snapshot_lazy ops = lazy_ops(w->lazy);
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(mount_it(w, &row, &err));
    assert_ok(mount_mapped(w, 7, "/mnt/a", &err));
    ops.unmount(ops.self, 7, "/mnt");
    assert_int_equal(w->fs.mounted, 1);
    ops.unmount_mapped(ops.self, "/mnt/a");
    assert_int_equal(w->fs.mounted, 0);
    world_free(w);
}

/* ---- a restart ------------------------------------------------------------------------------- */

static void after_a_restart_the_layer_comes_from_disk_alone(void **state)
{
    struct world *w = world_new();
    SCOPED(text_map) struct text_map row = TEXT_MAP_EMPTY;
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(mount_it(w, &row, &err));
    world_stop(w);
    assert_int_equal(w->fs.abandons, 1);
    w->offline = true;
    world_start(w);
    assert_ok(remount(w, &row, &err));
    assert_int_equal(w->fs.mounted, 1);
    assert_int_equal(w->ztoc_gets, 1);
    assert_ok(check(w, &err));
    world_free(w);
}

static void a_released_layer_is_unmounted_and_what_it_needs_stays(void **state)
{
    struct world *w = world_new();
    SCOPED(text_map) struct text_map row = TEXT_MAP_EMPTY;
    struct snapshot_lazy ops = lazy_ops(w->lazy);
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(mount_it(w, &row, &err));
    ops.release(ops.self, 7);
    ops.release(ops.self, 7); /* once more does no harm */
    world_stop(w);
    assert_int_equal(w->fs.unmounts, 1);
    assert_int_equal(w->fs.abandons, 0);
    w->offline = true;
    world_start(w);
    assert_ok(remount(w, &row, &err));
    world_free(w);
}

static void a_lost_ztoc_is_fetched_again_when_the_layer_is_asked_for(void **state)
{
    struct world *w = world_new();
    SCOPED(text_map) struct text_map row = TEXT_MAP_EMPTY;
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(mount_it(w, &row, &err));
    world_stop(w);
    world_start(w);
    forget_ztoc(w);
    assert_int_equal(remount(w, &row, &err), -ENOENT);
    assert_int_equal(w->fs.mounted, 0);
    assert_int_equal(w->ztoc_gets, 1); /* a start asks nothing of the network */
    assert_ok(check(w, &err));
    assert_int_equal(w->fs.mounted, 1);
    assert_int_equal(w->ztoc_gets, 2);
    world_free(w);
}

static void a_layer_that_cannot_heal_is_refused_and_not_tried_each_time(void **state)
{
    struct world *w = world_new();
    SCOPED(text_map) struct text_map row = TEXT_MAP_EMPTY;
    struct err err = ERR_NONE;
    int tries;

    (void)state;
    assert_ok(mount_it(w, &row, &err));
    world_stop(w);
    world_start(w);
    w->fs.rc = -EIO;
    assert_int_equal(remount(w, &row, &err), -EIO);
    assert_int_equal(check(w, &err), -EAGAIN);
    tries = w->fs.mounts;
    assert_int_equal(check(w, &err), -EAGAIN);
    assert_non_null(strstr(err.text, "told to fail"));
    assert_int_equal(w->fs.mounts, tries);
    world_free(w);
}

static void labels_of_another_program_cannot_be_mounted_again(void **state)
{
    struct world *w = world_new();
    SCOPED(text_map) struct text_map row = TEXT_MAP_EMPTY;
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(remount(w, &row, &err), -ENOENT);
    assert_int_equal(check(w, &err), -EAGAIN);
    assert_int_equal(w->fs.mounts, 0);
    world_free(w);
}

/* ---- layers that are not what their image says ------------------------------------------------
 */

static void refuse_it(struct world *w)
{
    struct digest ztoc = ztoc_of(w);
    struct err err = ERR_NONE;

    assert_ok(store_refuse(w->store, &w->layer, &ztoc, NULL, "its table is forged", &err));
}

static void a_layer_that_was_refused_is_not_mounted_but_left_to_who_fetches_it_whole(void **state)
{
    struct world *w = world_new();
    SCOPED(text_map) struct text_map row = TEXT_MAP_EMPTY;
    SCOPED(mem) struct lazy_event *events = NULL;
    struct err err = ERR_NONE;
    size_t count = 0;

    (void)state;
    refuse_it(w);
    assert_int_equal(mount_it(w, &row, &err), -EBADMSG);
    assert_non_null(strstr(err_text(&err), "its table is forged"));
    assert_int_equal(w->fs.mounts, 0);
    assert_ok(lazy_get_events(w->lazy, &events, &count, &err));
    assert_int_equal(count, 1);
    assert_int_equal(events[0].kind, LAZY_EVENT_DEFERRED);
    world_free(w);
}

static void nor_is_it_after_a_restart(void **state)
{
    struct world *w = world_new();
    SCOPED(text_map) struct text_map row = TEXT_MAP_EMPTY;
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(mount_it(w, &row, &err));
    refuse_it(w);
    world_stop(w);
    world_start(w);
    assert_int_equal(remount(w, &row, &err), -EBADMSG);
    assert_int_equal(check(w, &err), -EAGAIN);
    assert_non_null(strstr(err_text(&err), "its table is forged"));
    assert_int_equal(w->fs.mounted, 0);
    world_free(w);
}

/* ---- how it is ------------------------------------------------------------------------------- */

static void mounted_layers_are_listed_with_what_they_are(void **state)
{
    struct world *w = world_new();
    SCOPED(text_map) struct text_map row = TEXT_MAP_EMPTY;
    SCOPED(lazy_layers) struct lazy_layers layers = {.items = NULL, .count = 0};
    char index[DIGEST_TEXT_BYTES];
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(mount_it(w, &row, &err));
    assert_ok(lazy_list(w->lazy, &layers, &err));
    assert_int_equal(layers.count, 1);
    assert_int_equal(layers.items[0].id, 7);
    assert_int_equal(layers.items[0].state, LAZY_LAYER_MOUNTED);
    assert_string_equal(layers.items[0].backend, "array");
    assert_int_equal(layers.items[0].size_bytes, 116208);
    assert_int_equal(layers.items[0].present_bytes, 0);
    assert_string_equal(layers.items[0].dir, "/mnt");
    assert_string_equal(layers.items[0].image, "registry.invalid/app:1");
    assert_string_equal(layers.items[0].namespace_, "ns");
    digest_format(&w->index, index);
    assert_string_equal(layers.items[0].index, index); /* found, not named */
    assert_true(digest_equal(&layers.items[0].layer, &w->layer));
    assert_int_equal(layers.items[0].last_error.code, 0);
    world_free(w);
}

/* The row says it, but nothing goes by that: a lost ztoc is looked for as when it was found. */
static void after_a_restart_the_index_is_known(void **state)
{
    struct world *w = world_new();
    SCOPED(text_map) struct text_map row = TEXT_MAP_EMPTY;
    SCOPED(lazy_layers) struct lazy_layers layers = {.items = NULL, .count = 0};
    char index[DIGEST_TEXT_BYTES];
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(mount_it(w, &row, &err));
    world_stop(w);
    w->offline = true;
    world_start(w);
    assert_ok(remount(w, &row, &err));
    assert_ok(lazy_list(w->lazy, &layers, &err));
    digest_format(&w->index, index);
    assert_string_equal(layers.items[0].index, index);
    assert_null(text_map_get(&row, "containerd.io/snapshot/remote/soci.index.digest"));
    world_free(w);
}

static void a_layer_that_is_not_mounted_again_is_listed_with_the_reason(void **state)
{
    struct world *w = world_new();
    SCOPED(text_map) struct text_map row = TEXT_MAP_EMPTY;
    SCOPED(lazy_layers) struct lazy_layers layers = {.items = NULL, .count = 0};
    SCOPED(mem) struct lazy_event *events = NULL;
    size_t count = 0;
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(remount(w, &row, &err), -ENOENT);
    assert_ok(lazy_list(w->lazy, &layers, &err));
    assert_int_equal(layers.count, 1);
    assert_int_equal(layers.items[0].state, LAZY_LAYER_NOT_MOUNTED);
    assert_string_equal(layers.items[0].backend, "");
    assert_string_equal(layers.items[0].image, "");
    assert_false(layers.items[0].has_digests);
    assert_string_equal(layers.items[0].last_error.text, err.text);
    assert_true(layers.items[0].last_error_ms > 0);
    assert_ok(lazy_get_events(w->lazy, &events, &count, &err));
    assert_int_equal(count, 1);
    assert_int_equal(events[0].kind, LAZY_EVENT_FAILED);
    world_free(w);
}

#define INDEX_LABEL "containerd.io/snapshot/remote/soci.used-index.digest"

static void an_unpacked_layer_is_what_its_row_says(void **state)
{
    SCOPED(lazy_layer) struct lazy_layer layer = {.dir = NULL}, nothing = {.dir = NULL};
    SCOPED(snapdb_row) struct snapdb_row row = {.id = 9}, empty = {.id = 10};
    struct digest manifest = {.sha256 = {1}}, digest = {.sha256 = {2}}, index = {.sha256 = {3}};
    char text[DIGEST_TEXT_BYTES];
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(text_map_set(&row.labels, "containerd.io/snapshot/cri.image-ref", "r/a:1"));
    add_digest(&row.labels, "containerd.io/snapshot/cri.manifest-digest", &manifest);
    add_digest(&row.labels, "containerd.io/snapshot/cri.layer-digest", &digest);
    assert_ok(text_map_set(&row.labels, "containerd.io/snapshot/remote/soci.size", "55"));
    assert_ok(lazy_layer_of_row(&row, &layer, &err));
    assert_int_equal(layer.id, 9);
    assert_int_equal(layer.state, LAZY_LAYER_UNPACKED);
    assert_string_equal(layer.backend, "local");
    assert_string_equal(layer.image, "r/a:1");
    assert_int_equal(layer.size_bytes, 55);
    assert_int_equal(layer.present_bytes, 55);
    assert_string_equal(layer.index, "");
    lazy_layer_fini(&layer);
    assert_ok(text_map_set(&row.labels, INDEX_LABEL, "sha256:junk"));
    assert_ok(lazy_layer_of_row(&row, &layer, &err));
    assert_string_equal(layer.index, "");
    lazy_layer_fini(&layer);
    add_digest(&row.labels, INDEX_LABEL, &index);
    assert_ok(text_map_set(&row.labels, "containerd.io/snapshot/remote/namespace", "n"));
    digest_format(&index, text);
    assert_ok(lazy_layer_of_row(&row, &layer, &err));
    assert_string_equal(layer.index, text);
    assert_string_equal(layer.namespace_, "n");
    assert_ok(lazy_layer_of_row(&empty, &nothing, &err));
    assert_string_equal(nothing.image, "");
    assert_false(nothing.has_digests);
}

static void equal_reasons_of_an_image_are_one_event(void **state)
{
    struct world *w = world_new();
    SCOPED(mem) struct lazy_event *events = NULL;
    size_t count = 0;
    struct err err = ERR_NONE;

    (void)state;
    w->offline = true;
    for (int i = 0; i < 3; i++) {
        SCOPED(text_map) struct text_map row = TEXT_MAP_EMPTY;

        assert_true(mount_it(w, &row, &err) < 0);
    }
    assert_ok(lazy_get_events(w->lazy, &events, &count, &err));
    assert_int_equal(count, 1);
    assert_int_equal(events[0].kind, LAZY_EVENT_DEFERRED);
    assert_int_equal(events[0].count, 3);
    assert_string_equal(events[0].image, "registry.invalid/app:1");
    assert_string_equal(events[0].text, err.text);
    world_free(w);
}

static void what_snapshot_decides_is_one_event_of_the_image_however_many_layers(void **state)
{
    struct world *w = world_new();
    const struct snapshot_lazy ops = lazy_ops(w->lazy);
    SCOPED(mem) struct lazy_event *events = NULL;
    struct err err = ERR_NONE, why = ERR_NONE;
    size_t count = 0;

    (void)state;
    (void)err_set(&why, -ENOENT, "in parallel");
    for (uint8_t i = 1; i <= 5; i++) {
        SCOPED(text_map) struct text_map labels = TEXT_MAP_EMPTY;
        struct digest layer = {.sha256 = {i}};

        assert_ok(text_map_set(&labels, "containerd.io/snapshot/cri.image-ref", "r/a:1"));
        add_digest(&labels, "containerd.io/snapshot/cri.layer-digest", &layer);
        ops.note(ops.self, &labels, &why);
    }
    assert_ok(lazy_get_events(w->lazy, &events, &count, &err));
    assert_int_equal(count, 1);
    assert_int_equal(events[0].kind, LAZY_EVENT_DEFERRED);
    assert_int_equal(events[0].count, 5);
    assert_string_equal(events[0].image, "r/a:1");
    assert_string_equal(events[0].text, "in parallel");
    world_free(w);
}

static void only_the_newest_events_are_kept(void **state)
{
    struct world *w = world_new();
    const struct snapshot_lazy ops = lazy_ops(w->lazy);
    SCOPED(mem) struct lazy_event *events = NULL;
    struct err err = ERR_NONE;
    char image[32];
    size_t count = 0;

    (void)state;
    for (int i = 0; i < 3 * LAZY_EVENTS_MAX; i++) {
        SCOPED(text_map) struct text_map labels = TEXT_MAP_EMPTY, row = TEXT_MAP_EMPTY;
        const struct snapshot_layer asked = {
            .dir = "/mnt", .parent = "sha256:below", .namespace_ = "ns", .labels = &labels};

        (void)snprintf(image, sizeof(image), "r/a:%d", i);
        assert_ok(text_map_set(&labels, "containerd.io/snapshot/cri.image-ref", image));
        assert_int_equal(ops.mount(ops.self, 7, &asked, &row, &err), -ENOENT);
    }
    assert_ok(lazy_get_events(w->lazy, &events, &count, &err));
    assert_int_equal(count, LAZY_EVENTS_MAX);
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(image, sizeof(image), "r/a:%zu", 3 * LAZY_EVENTS_MAX - 1 - i);
        assert_string_equal(events[i].image, image);
        assert_int_equal(events[i].count, 1);
    }
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_layer_with_a_ztoc_is_mounted_and_served),
        cmocka_unit_test(a_layer_without_a_ztoc_is_left_alone),
        cmocka_unit_test(a_ztoc_of_another_layer_is_refused),
        cmocka_unit_test(a_layer_below_the_limit_is_not_mounted),
        cmocka_unit_test(a_registry_that_does_not_answer_leaves_nothing_behind),
        cmocka_unit_test(a_mount_that_fails_leaves_nothing_behind),
        cmocka_unit_test(an_unmounted_layer_is_no_longer_served),
        cmocka_unit_test(a_mounted_layer_is_mounted_once_more_for_each_namespace),
        cmocka_unit_test(a_layer_that_is_not_mounted_is_not_mounted_once_more),
        cmocka_unit_test(the_second_mount_outlives_the_first),
        cmocka_unit_test(a_ztoc_stays_while_a_snapshot_needs_it_and_goes_with_the_last),
        cmocka_unit_test(nothing_is_removed_while_a_layer_is_being_mounted),
        cmocka_unit_test(after_a_restart_the_layer_comes_from_disk_alone),
        cmocka_unit_test(a_released_layer_is_unmounted_and_what_it_needs_stays),
        cmocka_unit_test(a_lost_ztoc_is_fetched_again_when_the_layer_is_asked_for),
        cmocka_unit_test(a_layer_that_cannot_heal_is_refused_and_not_tried_each_time),
        cmocka_unit_test(labels_of_another_program_cannot_be_mounted_again),
        cmocka_unit_test(a_layer_that_was_refused_is_not_mounted_but_left_to_who_fetches_it_whole),
        cmocka_unit_test(nor_is_it_after_a_restart),
        cmocka_unit_test(mounted_layers_are_listed_with_what_they_are),
        cmocka_unit_test(after_a_restart_the_index_is_known),
        cmocka_unit_test(a_layer_that_is_not_mounted_again_is_listed_with_the_reason),
        cmocka_unit_test(an_unpacked_layer_is_what_its_row_says),
        cmocka_unit_test(equal_reasons_of_an_image_are_one_event),
        cmocka_unit_test(what_snapshot_decides_is_one_event_of_the_image_however_many_layers),
        cmocka_unit_test(only_the_newest_events_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
