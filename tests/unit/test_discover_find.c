/* SPDX-License-Identifier: Apache-2.0 */
/* test_discover_find.c – which index an image gets, and what is asked of its registry for that. */
#include "test.h"

#include "base/clock.h"
#include "base/text.h"
#include "base/threads.h"
#include "discover/discover.h"

#include <errno.h>
#include <stdlib.h>

enum { FAKE_THINGS_MAX = 32 };

/* A registry with one repository, in memory; what discover calls a registry_repo. */
struct registry_repo {
    pthread_mutex_t lock; /* all below */
    struct {
        struct digest digest;
        char *content;
        size_t reported_bytes; /* of a blob: what comes when asked; 0: all */
        int rc;
    } things[FAKE_THINGS_MAX];
    size_t thing_count;
    struct digest referrers[FAKE_THINGS_MAX]; /* in the order of the list */
    size_t referrer_count;
    bool from_tag;
    int referrers_rc;
    int refs;
    unsigned manifest_gets, referrer_gets, blob_gets;
    int64_t delay_ms;
};

static struct digest digest_of_text(const char *text)
{
    struct digest digest;

    assert_ok(digest_of(bytes_of_str(text), &digest));
    return digest;
}

/* Keeps the string. */
static struct digest fake_add(struct registry_repo *r, char *content)
{
    struct digest digest = digest_of_text(content);

    assert_true(r->thing_count < FAKE_THINGS_MAX);
    r->things[r->thing_count].digest = digest;
    r->things[r->thing_count++].content = content;
    return digest;
}

static int fake_find(struct registry_repo *r, const struct digest *digest, struct buf *ret,
                     struct err *err)
{
    for (size_t i = 0; i < r->thing_count; i++) {
        size_t len = strlen(r->things[i].content);

        if (!digest_equal(&r->things[i].digest, digest))
            continue;
        if (r->things[i].rc < 0)
            return err_set(err, r->things[i].rc, "told to fail");
        if (r->things[i].reported_bytes != 0)
            len = r->things[i].reported_bytes;
        return buf_add(ret, r->things[i].content, len);
    }
    return err_set(err, -ENOENT, "404");
}

static int fake_get_manifest(struct registry_repo *r, const char *reference, struct buf *ret,
                             char **ret_media_type, struct err *err)
{
    struct digest digest;
    LOCKED(&r->lock);

    assert_null(ret_media_type);
    r->manifest_gets++;
    if (r->delay_ms != 0)
        clock_sleep_ms(r->delay_ms);
    assert_ok(digest_parse(reference, &digest, err));
    return fake_find(r, &digest, ret, err);
}

static int fake_get_referrers(struct registry_repo *r, const struct digest *subject,
                              const char *artifact_type, struct oci_index **ret, bool *ret_from_tag,
                              struct err *err)
{
    struct oci_index *list;
    LOCKED(&r->lock);

    (void)subject;
    assert_string_equal(artifact_type, "application/vnd.amazon.soci.index.v1+json");
    r->referrer_gets++;
    if (r->referrers_rc < 0)
        return err_set(err, r->referrers_rc, "told to fail");
    list = oci_index_new();
    assert_non_null(list);
    for (size_t i = 0; i < r->referrer_count; i++) {
        struct oci_descriptor desc = {.media_type = NULL};

        desc.digest = r->referrers[i];
        assert_ok(oci_index_add(list, &desc));
    }
    *ret = list;
    *ret_from_tag = r->from_tag;
    return 0;
}

static int fake_get_blob(struct registry_repo *r, const struct digest *digest, size_t max_bytes,
                         struct buf *ret, struct err *err)
{
    LOCKED(&r->lock);

    r->blob_gets++;
    if (r->delay_ms != 0)
        clock_sleep_ms(r->delay_ms);
    assert_true(max_bytes > 0);
    return fake_find(r, digest, ret, err);
}

static struct registry_repo *fake_ref(struct registry_repo *r)
{
    LOCKED(&r->lock);

    r->refs++;
    return r;
}

static void fake_unref(struct registry_repo *r)
{
    LOCKED(&r->lock);

    r->refs--;
}

static const struct discover_registry fake_registry = {
    .get_manifest = fake_get_manifest,
    .get_referrers = fake_get_referrers,
    .get_blob = fake_get_blob,
    .ref = fake_ref,
    .unref = fake_unref,
};

/* ---- documents ------------------------------------------------------------------------------- */

static char *text_of(struct digest digest)
{
    char *text = malloc(DIGEST_TEXT_BYTES);

    assert_non_null(text);
    digest_format(&digest, text);
    return text;
}

/* An image manifest; `index` NULL: it names none. */
static char *manifest_json(const struct digest *index)
{
    SCOPED(mem) char *config = text_of(digest_of_text("config"));
    SCOPED(mem) char *layer = text_of(digest_of_text("layer"));
    SCOPED(mem) char *named = index == NULL ? NULL : text_of(*index);
    SCOPED(mem)
    char *annotations = index == NULL
                            ? text_copy("{}")
                            : text_format("{\"com.amazon.soci.index-digest\":\"%s\"}", named);

    return text_format(
        "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
        "\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"%s\","
        "\"size\":2},\"layers\":[{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\","
        "\"digest\":\"%s\",\"size\":777}],\"annotations\":%s}",
        config, layer, annotations);
}

/* A SOCI index v1 for `subject`, with one ztoc (the text `ztoc`) for a layer. */
static char *index_of_layer(struct digest subject, const char *layer_text, const char *ztoc,
                            const char *tool)
{
    SCOPED(mem) char *config = text_of(digest_of_text("{}"));
    SCOPED(mem) char *ztoc_digest = text_of(digest_of_text(ztoc));
    SCOPED(mem) char *layer = text_of(digest_of_text(layer_text));
    SCOPED(mem) char *of = text_of(subject);

    return text_format(
        "{\"schemaVersion\":2,\"mediaType\":\"application/"
        "vnd.oci.image.manifest.v1+json\",\"config\":{\"mediaType\":"
        "\"application/"
        "vnd.amazon.soci.index.v1+json\",\"digest\":\"%s\",\"size\":2},\"layers\":[{\"mediaType\":"
        "\"application/octet-stream\",\"digest\":\"%s\",\"size\":%zu,\"annotations\":{"
        "\"com.amazon.soci.image-layer-digest\":\"%s\",\"com.amazon.soci.image-layer-mediaType\":"
        "\"application/"
        "vnd.oci.image.layer.v1.tar+gzip\",\"com.amazon.soci.span-size\":\"4194304\"}}],"
        "\"subject\":{"
        "\"mediaType\":\"application/"
        "vnd.oci.image.manifest.v1+json\",\"digest\":\"%s\",\"size\":7},\"annotations\":{"
        "\"com.amazon.soci.build-tool-identifier\":\"%s\"}}",
        config, ztoc_digest, strlen(ztoc), layer, of, tool);
}

static char *index_json(struct digest subject, const char *ztoc, const char *tool)
{
    return index_of_layer(subject, "layer", ztoc, tool);
}

/* ---- a world: registry, store, discover ------------------------------------------------------ */

struct world {
    struct registry_repo repo;
    char root[64];
    struct store *store;
    struct discover *discover;
    struct digest manifest;
    int64_t now_ms; /* atomic */
};

static int64_t world_now(void *self)
{
    struct world *w = self;

    return __atomic_load_n(&w->now_ms, __ATOMIC_SEQ_CST);
}

static void world_discover(struct world *w, bool v1, bool v2, bool prefetch)
{
    const struct discover_options options = {
        .store = w->store,
        .registry = &fake_registry,
        .v1_enabled = v1,
        .v2_enabled = v2,
        .disable_prefetch = !prefetch,
        .now_ms = world_now,
        .now_self = w,
    };
    struct err err = ERR_NONE;

    assert_ok(discover_new(&options, &w->discover, &err));
}

static struct world *world_new(void)
{
    struct world *w = calloc(1, sizeof(*w));
    struct err err = ERR_NONE;

    assert_non_null(w);
    (void)pthread_mutex_init(&w->repo.lock, NULL);
    (void)strcpy(w->root, "/tmp/test_discover.XXXXXX");
    assert_non_null(mkdtemp(w->root));
    assert_ok(store_open(w->root, &w->store, &err));
    w->manifest = fake_add(&w->repo, manifest_json(NULL));
    return w;
}

static void world_free(struct world *w)
{
    struct err err = ERR_NONE;

    discover_free(w->discover);
    store_close(w->store);
    assert_ok(dir_remove_all(w->root, &err));
    assert_int_equal(w->repo.refs, 0);
    for (size_t i = 0; i < w->repo.thing_count; i++)
        free(w->repo.things[i].content);
    free(w);
}

static void add_referrer(struct world *w, struct digest index)
{
    assert_true(w->repo.referrer_count < FAKE_THINGS_MAX);
    w->repo.referrers[w->repo.referrer_count++] = index;
}

static struct discover_image image_of(struct world *w, const char *index_digest)
{
    return (struct discover_image){.repo = &w->repo,
                                   .name = "host/repo",
                                   .manifest = w->manifest,
                                   .index_digest = index_digest};
}

/* Is it the digest of the index of that tool, and not of another thing? */
static void assert_index_of(const struct world *w, const struct digest *digest, const char *tool)
{
    for (size_t i = 0; i < w->repo.thing_count; i++) {
        if (!digest_equal(&w->repo.things[i].digest, digest))
            continue;
        assert_non_null(strstr(w->repo.things[i].content, tool));
        return;
    }
    fail_msg("the digest is that of nothing");
}

/* 0 and the build tool of the index that was found, in `tool`; or the error. */
static int find_as(struct world *w, const struct discover_image *image, char tool[32],
                   struct err *err)
{
    SCOPED(discover_index) struct discover_index *index = NULL;
    int rc = discover_find(w->discover, image, clock_mono_ms() + 10000, &index, err);

    if (rc < 0)
        return rc;
    (void)snprintf(tool, 32, "%s", discover_index_get(index)->build_tool);
    assert_index_of(w, discover_index_digest(index), tool);
    return 0;
}

static int find(struct world *w, char tool[32], struct err *err)
{
    const struct discover_image image = image_of(w, NULL);

    return find_as(w, &image, tool, err);
}

/* ---- which one ------------------------------------------------------------------------------- */

static void the_last_entry_of_a_tag_list_is_the_newest_and_wins(void **state)
{
    struct world *w = world_new();
    struct err err = ERR_NONE;
    char tool[32];

    (void)state;
    w->repo.from_tag = true;
    add_referrer(w, fake_add(&w->repo, index_json(w->manifest, "z1", "old")));
    add_referrer(w, fake_add(&w->repo, index_json(w->manifest, "z2", "new")));
    world_discover(w, true, true, false);
    assert_ok(find(w, tool, &err));
    assert_string_equal(tool, "new");
    world_free(w);
}

static void an_index_of_none_of_the_images_layers_is_passed_over(void **state)
{
    struct world *w = world_new();
    struct err err = ERR_NONE;
    char tool[32];

    (void)state;
    w->repo.from_tag = true;
    add_referrer(w, fake_add(&w->repo, index_json(w->manifest, "z1", "old")));
    add_referrer(w, fake_add(&w->repo, index_of_layer(w->manifest, "another", "z2", "new")));
    world_discover(w, true, true, false);
    assert_ok(find(w, tool, &err));
    assert_string_equal(tool, "old");
    world_free(w);
}

static void the_referrers_api_is_taken_in_its_own_order(void **state)
{
    struct world *w = world_new();
    struct err err = ERR_NONE;
    char tool[32];

    (void)state;
    add_referrer(w, fake_add(&w->repo, index_json(w->manifest, "z1", "first")));
    add_referrer(w, fake_add(&w->repo, index_json(w->manifest, "z2", "second")));
    world_discover(w, true, false, false);
    assert_ok(find(w, tool, &err));
    assert_string_equal(tool, "first");
    assert_int_equal(w->repo.manifest_gets, 2); /* the image, and the first index */
    world_free(w);
}

static void a_broken_or_missing_index_is_passed_over_for_the_next(void **state)
{
    struct world *w = world_new();
    struct err err = ERR_NONE;
    char tool[32];

    (void)state;
    add_referrer(w, fake_add(&w->repo, text_copy("{\"schemaVersion\":2,")));
    add_referrer(w, digest_of_text("an index that is gone"));
    add_referrer(w, fake_add(&w->repo, index_json(w->manifest, "z", "good")));
    world_discover(w, true, true, false);
    assert_ok(find(w, tool, &err));
    assert_string_equal(tool, "good");
    world_free(w);
}

static void an_index_for_another_image_is_not_taken(void **state)
{
    struct world *w = world_new();
    struct err err = ERR_NONE;
    char tool[32];

    (void)state;
    add_referrer(w, fake_add(&w->repo, index_json(digest_of_text("other"), "z", "theirs")));
    world_discover(w, true, true, false);
    assert_int_equal(find(w, tool, &err), -EBADMSG);
    assert_non_null(strstr(err.text, "another image"));
    world_free(w);
}

static void no_more_than_eight_broken_indexes_are_tried(void **state)
{
    struct world *w = world_new();
    struct err err = ERR_NONE;
    char tool[32];

    (void)state;
    for (int i = 0; i < 12; i++) {
        SCOPED(mem) char *text = text_format("gone %d", i);

        add_referrer(w, digest_of_text(text));
    }
    world_discover(w, true, false, false);
    assert_int_equal(find(w, tool, &err), -ENOENT);
    assert_int_equal(w->repo.manifest_gets, 9); /* the image too */
    world_free(w);
}

static void the_index_that_the_manifest_names_comes_before_the_referrers(void **state)
{
    struct world *w = world_new();
    struct err err = ERR_NONE;
    struct digest named = fake_add(&w->repo, index_json(digest_of_text("any"), "z1", "named"));
    char tool[32];

    (void)state;
    w->manifest = fake_add(&w->repo, manifest_json(&named));
    add_referrer(w, fake_add(&w->repo, index_json(w->manifest, "z2", "referrer")));
    world_discover(w, true, true, false);
    assert_ok(find(w, tool, &err));
    assert_string_equal(tool, "named");
    assert_int_equal(w->repo.referrer_gets, 0);
    world_free(w);
}

static void a_named_index_that_is_gone_leaves_the_referrers(void **state)
{
    struct world *w = world_new();
    struct err err = ERR_NONE;
    struct digest gone = digest_of_text("gone");
    char tool[32];

    (void)state;
    w->manifest = fake_add(&w->repo, manifest_json(&gone));
    add_referrer(w, fake_add(&w->repo, index_json(w->manifest, "z", "referrer")));
    world_discover(w, true, true, false);
    assert_ok(find(w, tool, &err));
    assert_string_equal(tool, "referrer");
    world_free(w);
}

static void the_clients_own_choice_counts_even_when_all_is_switched_off(void **state)
{
    struct world *w = world_new();
    struct err err = ERR_NONE;
    SCOPED(mem) char *named = text_of(fake_add(&w->repo, index_json(w->manifest, "z", "chosen")));
    const struct discover_image image = image_of(w, named);
    char tool[32];

    (void)state;
    world_discover(w, false, false, false);
    assert_ok(find_as(w, &image, tool, &err));
    assert_string_equal(tool, "chosen");
    assert_int_equal(w->repo.manifest_gets, 2);
    world_free(w);
}

static void the_manifest_tells_how_large_a_layer_is(void **state)
{
    struct world *w = world_new();
    SCOPED(discover_index) struct discover_index *index = NULL;
    struct err err = ERR_NONE;
    const struct discover_image image = image_of(w, NULL);
    struct digest layer = digest_of_text("layer"), other = digest_of_text("other");

    (void)state;
    add_referrer(w, fake_add(&w->repo, index_json(w->manifest, "z", "one")));
    world_discover(w, true, true, false);
    assert_ok(discover_find(w->discover, &image, clock_mono_ms() + 10000, &index, &err));
    assert_int_equal(discover_index_layer_bytes(index, &layer), 777);
    assert_int_equal(discover_index_layer_bytes(index, &other), 0);
    discover_index_unref(TAKE(index));
    world_free(w);
}

/* ---- none ------------------------------------------------------------------------------------ */

static void with_both_ways_off_nothing_is_asked(void **state)
{
    struct world *w = world_new();
    struct err err = ERR_NONE;
    char tool[32];

    (void)state;
    world_discover(w, false, false, false);
    assert_int_equal(find(w, tool, &err), -ENOENT);
    assert_int_equal(w->repo.manifest_gets + w->repo.referrer_gets, 0);
    world_free(w);
}

static void a_digest_that_is_none_is_refused_without_asking(void **state)
{
    struct world *w = world_new();
    struct err err = ERR_NONE;
    const struct discover_image image = image_of(w, "sha256:123");
    char tool[32];

    (void)state;
    world_discover(w, true, true, false);
    assert_int_equal(find_as(w, &image, tool, &err), -EINVAL);
    assert_int_equal(w->repo.manifest_gets + w->repo.referrer_gets, 0);
    world_free(w);
}

static void a_registry_that_does_not_answer_is_asked_once(void **state)
{
    struct world *w = world_new();
    struct err err = ERR_NONE;
    char tool[32];

    (void)state;
    w->repo.things[0].rc = -ETIMEDOUT;
    world_discover(w, true, true, false);
    assert_int_equal(find(w, tool, &err), -ETIMEDOUT);
    assert_int_equal(find(w, tool, &err), -ETIMEDOUT);
    assert_int_equal(w->repo.manifest_gets, 1);
    assert_int_equal(w->repo.referrer_gets, 0);
    world_free(w);
}

static void an_index_pushed_later_is_seen_after_a_minute(void **state)
{
    struct world *w = world_new();
    struct err err = ERR_NONE;
    char tool[32];

    (void)state;
    world_discover(w, true, true, false);
    assert_int_equal(find(w, tool, &err), -ENOENT);
    add_referrer(w, fake_add(&w->repo, index_json(w->manifest, "z", "late")));
    assert_int_equal(find(w, tool, &err), -ENOENT);
    __atomic_store_n(&w->now_ms, 60000, __ATOMIC_SEQ_CST);
    assert_ok(find(w, tool, &err));
    assert_string_equal(tool, "late");
    world_free(w);
}

static void a_slow_registry_costs_no_more_than_the_deadline(void **state)
{
    struct world *w = world_new();
    struct err err = ERR_NONE;
    struct discover_index *index = NULL;
    const struct discover_image image = image_of(w, NULL);
    int64_t start_ms = clock_mono_ms();

    (void)state;
    w->repo.delay_ms = 3000;
    world_discover(w, true, true, false);
    assert_int_equal(discover_find(w->discover, &image, start_ms + 30, &index, &err), -ETIMEDOUT);
    assert_null(index);
    assert_true(clock_mono_ms() - start_ms < 2500);
    world_free(w);
}

/* ---- once ------------------------------------------------------------------------------------ */

struct asker {
    struct world *w;
    int rc;
};

static void *ask(void *arg)
{
    struct asker *a = arg;
    struct err err = ERR_NONE;
    char tool[32];

    a->rc = find(a->w, tool, &err);
    return NULL;
}

static void many_layers_share_one_look_up(void **state)
{
    enum { ASKERS = 10 };
    struct world *w = world_new();
    struct asker askers[ASKERS];
    pthread_t threads[ASKERS];

    (void)state;
    w->repo.delay_ms = 20;
    add_referrer(w, fake_add(&w->repo, index_json(w->manifest, "z", "one")));
    world_discover(w, true, true, false);
    for (int i = 0; i < ASKERS; i++) {
        askers[i] = (struct asker){.w = w, .rc = 1};
        assert_ok(thread_start(&threads[i], "asker", ask, &askers[i]));
    }
    for (int i = 0; i < ASKERS; i++) {
        (void)pthread_join(threads[i], NULL);
        assert_int_equal(askers[i].rc, 0);
    }
    assert_int_equal(w->repo.manifest_gets, 2);
    assert_int_equal(w->repo.referrer_gets, 1);
    world_free(w);
}

static void another_repository_does_not_speak_for_this_one(void **state)
{
    struct world *w = world_new();
    struct err err = ERR_NONE;
    struct discover_image image = image_of(w, NULL);
    char tool[32];

    (void)state;
    add_referrer(w, fake_add(&w->repo, index_json(w->manifest, "z", "one")));
    world_discover(w, true, true, false);
    assert_ok(find_as(w, &image, tool, &err));
    image.name = "other/repo";
    w->repo.referrer_count = 0;
    assert_int_equal(find_as(w, &image, tool, &err), -ENOENT);
    world_free(w);
}

/* ---- ztocs ----------------------------------------------------------------------------------- */

static int fetch(struct world *w, const char *ztoc, uint64_t ztoc_bytes, struct err *err)
{
    const struct discover_image image = image_of(w, NULL);
    struct digest digest = digest_of_text(ztoc);

    return discover_fetch_ztoc(w->discover, &image, &digest, ztoc_bytes, clock_mono_ms() + 10000,
                               err);
}

static bool is_stored(struct world *w, const char *content)
{
    struct digest digest = digest_of_text(content);
    SCOPED(buf_value) struct buf got = BUF_EMPTY;

    return store_blob_read(w->store, &digest, 1000, &got, NULL) == 0;
}

static unsigned blob_gets(struct world *w)
{
    LOCKED(&w->repo.lock);

    return w->repo.blob_gets;
}

static void a_ztoc_is_fetched_once_and_kept(void **state)
{
    struct world *w = world_new();
    struct err err = ERR_NONE;

    (void)state;
    (void)fake_add(&w->repo, text_copy("ztoc"));
    world_discover(w, true, true, false);
    assert_ok(fetch(w, "ztoc", 4, &err));
    assert_ok(fetch(w, "ztoc", 4, &err));
    assert_int_equal(blob_gets(w), 1);
    assert_true(is_stored(w, "ztoc"));
    world_free(w);
}

static void the_ztocs_of_an_index_are_fetched_before_anyone_asks(void **state)
{
    struct world *w = world_new();
    struct err err = ERR_NONE;
    int64_t deadline_ms = clock_mono_ms() + 10000;
    char tool[32];

    (void)state;
    (void)fake_add(&w->repo, text_copy("ztoc"));
    add_referrer(w, fake_add(&w->repo, index_json(w->manifest, "ztoc", "one")));
    world_discover(w, true, true, true);
    assert_ok(find(w, tool, &err));
    while (!is_stored(w, "ztoc") && clock_mono_ms() < deadline_ms)
        clock_sleep_ms(1);
    assert_ok(fetch(w, "ztoc", 4, &err));
    assert_int_equal(blob_gets(w), 1);
    world_free(w);
}

static void a_ztoc_of_another_size_is_refused_and_not_kept(void **state)
{
    struct world *w = world_new();
    struct err err = ERR_NONE;

    (void)state;
    (void)fake_add(&w->repo, text_copy("ztoc"));
    w->repo.things[1].reported_bytes = 3;
    world_discover(w, true, true, false);
    assert_int_equal(fetch(w, "ztoc", 4, &err), -EBADMSG);
    assert_false(is_stored(w, "ztoc"));
    world_free(w);
}

static void a_ztoc_of_absurd_size_is_not_asked_for(void **state)
{
    struct world *w = world_new();
    struct err err = ERR_NONE;

    (void)state;
    world_discover(w, true, true, false);
    assert_int_equal(fetch(w, "ztoc", UINT64_MAX, &err), -EFBIG);
    assert_int_equal(fetch(w, "ztoc", 0, &err), -EFBIG);
    assert_int_equal(blob_gets(w), 0);
    world_free(w);
}

static void a_ztoc_that_is_gone_makes_the_image_be_looked_up_anew(void **state)
{
    struct world *w = world_new();
    struct err err = ERR_NONE;
    char tool[32];

    (void)state;
    add_referrer(w, fake_add(&w->repo, index_json(w->manifest, "gone", "stale")));
    world_discover(w, true, true, false);
    assert_ok(find(w, tool, &err));
    assert_int_equal(fetch(w, "gone", 4, &err), -ENOENT);
    w->repo.referrers[0] = fake_add(&w->repo, index_json(w->manifest, "new", "fresh"));
    assert_ok(find(w, tool, &err));
    assert_string_equal(tool, "fresh");
    world_free(w);
}

/* ---- quiet ----------------------------------------------------------------------------------- */

struct noted {
    struct discover_later later; /* first */
    int runs, canceled;          /* atomic */
};

static void note_run(struct discover_later *later, bool canceled)
{
    struct noted *n = (struct noted *)later;

    (void)__atomic_add_fetch(canceled ? &n->canceled : &n->runs, 1, __ATOMIC_SEQ_CST);
}

static void what_is_to_be_done_later_waits_for_the_ztocs(void **state)
{
    struct world *w = world_new();
    struct noted n = {.later = {.run = note_run}};
    struct err err = ERR_NONE;
    const struct discover_image image = image_of(w, NULL);
    struct digest ztoc = fake_add(&w->repo, text_copy("ztoc"));
    int64_t deadline_ms = clock_mono_ms() + 10000;

    (void)state;
    world_discover(w, true, true, false);
    w->repo.delay_ms = 2000;
    assert_int_equal(discover_fetch_ztoc(w->discover, &image, &ztoc, 4, clock_mono_ms() + 20, &err),
                     -ETIMEDOUT);
    discover_when_quiet(w->discover, &n.later);
    assert_int_equal(__atomic_load_n(&n.runs, __ATOMIC_SEQ_CST), 0);
    while (__atomic_load_n(&n.runs, __ATOMIC_SEQ_CST) == 0 && clock_mono_ms() < deadline_ms)
        clock_sleep_ms(1);
    assert_int_equal(__atomic_load_n(&n.runs, __ATOMIC_SEQ_CST), 1);
    world_free(w);
    assert_int_equal(n.canceled, 0);
}

static void what_is_to_be_done_later_is_done_at_once_when_all_is_quiet(void **state)
{
    struct world *w = world_new();
    struct noted n = {.later = {.run = note_run}};

    (void)state;
    world_discover(w, true, true, false);
    discover_when_quiet(w->discover, &n.later);
    assert_int_equal(n.runs, 1);
    discover_stop(w->discover);
    discover_when_quiet(w->discover, &n.later);
    assert_int_equal(n.canceled, 1);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_entry_of_a_tag_list_is_the_newest_and_wins),
        cmocka_unit_test(an_index_of_none_of_the_images_layers_is_passed_over),
        cmocka_unit_test(the_referrers_api_is_taken_in_its_own_order),
        cmocka_unit_test(a_broken_or_missing_index_is_passed_over_for_the_next),
        cmocka_unit_test(an_index_for_another_image_is_not_taken),
        cmocka_unit_test(no_more_than_eight_broken_indexes_are_tried),
        cmocka_unit_test(the_index_that_the_manifest_names_comes_before_the_referrers),
        cmocka_unit_test(a_named_index_that_is_gone_leaves_the_referrers),
        cmocka_unit_test(the_clients_own_choice_counts_even_when_all_is_switched_off),
        cmocka_unit_test(the_manifest_tells_how_large_a_layer_is),
        cmocka_unit_test(with_both_ways_off_nothing_is_asked),
        cmocka_unit_test(a_digest_that_is_none_is_refused_without_asking),
        cmocka_unit_test(a_registry_that_does_not_answer_is_asked_once),
        cmocka_unit_test(an_index_pushed_later_is_seen_after_a_minute),
        cmocka_unit_test(a_slow_registry_costs_no_more_than_the_deadline),
        cmocka_unit_test(many_layers_share_one_look_up),
        cmocka_unit_test(another_repository_does_not_speak_for_this_one),
        cmocka_unit_test(a_ztoc_is_fetched_once_and_kept),
        cmocka_unit_test(the_ztocs_of_an_index_are_fetched_before_anyone_asks),
        cmocka_unit_test(a_ztoc_of_another_size_is_refused_and_not_kept),
        cmocka_unit_test(a_ztoc_of_absurd_size_is_not_asked_for),
        cmocka_unit_test(a_ztoc_that_is_gone_makes_the_image_be_looked_up_anew),
        cmocka_unit_test(what_is_to_be_done_later_waits_for_the_ztocs),
        cmocka_unit_test(what_is_to_be_done_later_is_done_at_once_when_all_is_quiet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
