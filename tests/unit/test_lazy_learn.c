/* SPDX-License-Identifier: Apache-2.0 */
/* What is read of an image's layers after a start is recorded, and known the next time. Store,
 * layers and the span engine are the real ones; nothing is ever fetched. */
#include "test.h"

#include "base/clock.h"
#include "base/text.h"
#include "lazy/internal.h"
#include "starts/starts.h"
#include "ztoc/ztoc.h"

#include <errno.h>
#include <stdlib.h>

#define LAYER_FILE                                                                                 \
    "image/image/blobs/sha256/030a12a235a57c2a6fe293b55e1f8398d29b524450d4c894614ad69fab50114b"
enum { SPAN_SIZE = 32768, WANTS_MAX = 8, LONG_MS = 3600 * 1000 };

struct world {
    char root[64];
    struct store *store;
    struct span_engine *engine;
    struct layer_set *layers;
    struct layer *layer;
    struct lazy_learn *learn;
    struct digest manifest;
    struct span_want wants[WANTS_MAX];
    size_t want_count;
};

/* ---- a source that gives nothing ------------------------------------------------------------- */

static int start(void *self, struct span_fetch *fetch, struct err *err)
{
    (void)self;
    (void)fetch;
    return err_set(err, -EAGAIN, "nothing is given here");
}

static void never(void *self, struct span_fetch *fetch)
{
    (void)self;
    (void)fetch;
}

static void close_source(void *self)
{
    (void)self;
}

/* ---- a world -----------------------------------------------------------------------------------
 */

static struct digest put_ztoc(struct world *w, const struct buf *layer)
{
    const struct ztoc_build_options options = {.span_size = SPAN_SIZE};
    SCOPED(ztoc_builder) struct ztoc_builder *builder = NULL;
    SCOPED(buf) struct buf *ztoc = buf_new();
    struct err err = ERR_NONE;
    struct digest digest;

    assert_ok(ztoc_builder_new(ZTOC_GZIP, &options, &builder, &err));
    assert_ok(ztoc_builder_feed(builder, buf_bytes(layer), &err));
    assert_ok(ztoc_builder_finish(builder, ztoc, NULL, &err));
    assert_ok(digest_of(buf_bytes(ztoc), &digest));
    assert_ok(store_blob_put(w->store, &digest, buf_bytes(ztoc), &err));
    return digest;
}

static void learn_anew(struct world *w, int64_t record_ms)
{
    struct err err = ERR_NONE;

    lazy_learn_free(w->learn);
    assert_ok(lazy_learn_new(w->layers, w->root, record_ms, &w->learn, &err));
}

static void world_start(struct world *w, int64_t record_ms)
{
    const struct span_engine_options engine = {.disable_background = true};
    SCOPED(buf) struct buf *bytes = vector_load(LAYER_FILE);
    struct layer_options options = {
        .source = {.start = start, .cancel = never, .close = close_source}};
    struct err err = ERR_NONE;

    *w = (struct world){.store = NULL};
    (void)strcpy(w->root, "/tmp/test_learn.XXXXXX");
    assert_non_null(mkdtemp(w->root));
    assert_ok(store_open(w->root, &w->store, &err));
    assert_ok(span_engine_new(&engine, &w->engine, &err));
    assert_ok(layer_set_new(w->store, w->engine, &w->layers, &err));
    assert_ok(digest_of(bytes_of_str("manifest"), &w->manifest));
    assert_ok(digest_of(buf_bytes(bytes), &options.layer));
    options.ztoc = put_ztoc(w, bytes);
    assert_ok(layer_open(w->layers, &options, &w->layer, &err));
    learn_anew(w, record_ms);
}

static void world_stop(struct world *w)
{
    struct err err = ERR_NONE;

    lazy_learn_free(w->learn);
    layer_unref(w->layer);
    layer_set_free(w->layers);
    span_engine_free(w->engine);
    store_close(w->store);
    assert_ok(dir_remove_all(w->root, &err));
}

static void begin(struct world *w)
{
    struct layer *layers[2] = {w->layer, w->layer}; /* twice in its image */

    lazy_learn_begin(w->learn, &w->manifest, layers, 2);
}

static void done(struct span_want *want, int rc, const struct err *err)
{
    (void)want;
    (void)rc;
    (void)err;
}

/* A reader asks for it; it does not come. */
static void want_byte(struct world *w, uint64_t uncomp_off)
{
    struct span_want *want = &w->wants[w->want_count++];
    struct err err = ERR_NONE;

    assert_true(w->want_count <= WANTS_MAX);
    *want = (struct span_want){.uncomp_off = uncomp_off, .len = 1, .done = done};
    (void)!layer_want(w->layer, want, &err);
}

static struct starts_record *record(struct world *w)
{
    struct starts_record *ret = NULL;
    struct err err = ERR_NONE;
    int rc = starts_load(w->root, &w->manifest, &ret, &err);

    assert_true(rc == 0 || rc == -ENOENT);
    return ret;
}

static struct lazy_wanted wanted(struct world *w, int expected_rc)
{
    struct lazy_wanted ret = {.spans = NULL};

    assert_int_equal(lazy_learn_wanted(w->learn, &w->manifest, layer_digest(w->layer),
                                       layer_ztoc_digest(w->layer), &ret),
                     expected_rc);
    return ret;
}

/* ---- tests -------------------------------------------------------------------------------------
 */

static void what_a_start_reads_is_wanted_the_next_time_in_that_order(void **state)
{
    struct world w;
    struct lazy_wanted found;

    (void)state;
    world_start(&w, LONG_MS);
    begin(&w);
    want_byte(&w, layer_uncomp_bytes(w.layer) - 1);
    want_byte(&w, 0);
    learn_anew(&w, LONG_MS); /* the daemon ends meanwhile */
    found = wanted(&w, 0);
    assert_int_equal(found.count, 2);
    assert_true(found.spans[0].span > 0);
    assert_int_equal(found.spans[1].span, 0);
    assert_true(found.spans[0].rank < found.spans[1].rank);
    lazy_wanted_fini(&found);
    world_stop(&w);
}

static void a_recording_ends_by_itself(void **state)
{
    int64_t deadline_ms = clock_mono_ms() + 30000;
    struct starts_record *r;
    struct world w;

    (void)state;
    world_start(&w, 1);
    begin(&w);
    want_byte(&w, 0);
    while ((r = record(&w)) == NULL && clock_mono_ms() < deadline_ms)
        clock_sleep_ms(5);
    assert_non_null(r);
    assert_int_equal(r->touch_count, 1);
    assert_int_equal(r->layer_count, 1); /* though it is there twice */
    starts_record_free(r);
    world_stop(&w);
}

static void what_is_read_before_a_start_is_not_recorded(void **state)
{
    struct lazy_wanted found;
    struct world w;

    (void)state;
    world_start(&w, LONG_MS);
    want_byte(&w, layer_uncomp_bytes(w.layer) - 1);
    begin(&w);
    want_byte(&w, 0);
    learn_anew(&w, LONG_MS);
    found = wanted(&w, 0);
    assert_int_equal(found.count, 1);
    assert_int_equal(found.spans[0].span, 0);
    lazy_wanted_fini(&found);
    world_stop(&w);
}

static void a_start_that_reads_nothing_leaves_no_record_and_is_replaced_by_the_next(void **state)
{
    struct lazy_wanted found;
    struct world w;

    (void)state;
    world_start(&w, LONG_MS);
    begin(&w);
    learn_anew(&w, LONG_MS);
    assert_null(record(&w));
    begin(&w);
    begin(&w);
    want_byte(&w, 0);
    begin(&w); /* this one is being recorded: it goes on */
    want_byte(&w, layer_uncomp_bytes(w.layer) - 1);
    learn_anew(&w, LONG_MS);
    found = wanted(&w, 0);
    assert_int_equal(found.count, 2);
    assert_int_equal(found.spans[0].span, 0);
    lazy_wanted_fini(&found);
    world_stop(&w);
}

static void another_ztoc_of_the_layer_has_nothing_of_it(void **state)
{
    struct lazy_wanted found = {.spans = NULL};
    struct digest other;
    struct world w;

    (void)state;
    world_start(&w, LONG_MS);
    begin(&w);
    want_byte(&w, 0);
    learn_anew(&w, LONG_MS);
    assert_ok(digest_of(bytes_of_str("another ztoc"), &other));
    assert_ok(lazy_learn_wanted(w.learn, &w.manifest, layer_digest(w.layer), &other, &found));
    assert_int_equal(found.count, 0);
    assert_int_equal(lazy_learn_wanted(w.learn, &other, layer_digest(w.layer),
                                       layer_ztoc_digest(w.layer), &found),
                     -ENOENT);
    assert_int_equal(found.count, 0);
    world_stop(&w);
}

static void a_broken_record_is_none_and_goes(void **state)
{
    char hex[2 * DIGEST_BYTES + 1];
    SCOPED(mem) char *dir = NULL;
    SCOPED(mem) char *path = NULL;
    struct lazy_wanted found;
    struct err err = ERR_NONE;
    struct world w;

    (void)state;
    world_start(&w, LONG_MS);
    digest_hex(&w.manifest, hex);
    dir = text_format("%s/starts", w.root);
    path = text_format("%s/%s", dir, hex);
    assert_ok(dir_make_all(dir, 0700, &err));
    assert_ok(file_replace(path, bytes_of_str("no record"), 0600, &err));
    found = wanted(&w, -ENOENT);
    assert_int_equal(found.count, 0);
    assert_false(path_exists(path));
    begin(&w);
    want_byte(&w, 0);
    learn_anew(&w, LONG_MS);
    found = wanted(&w, 0);
    assert_int_equal(found.count, 1);
    lazy_wanted_fini(&found);
    world_stop(&w);
}

/* ---- from an index -----------------------------------------------------------------------------
 */

#define HEAD "{\"version\":\"1.0\",\"prefetch_spans\":["

static void an_artifact_says_what_comes_first_and_what_has_no_priority_leads(void **state)
{
    const char *json = HEAD "{\"start_span\":0,\"end_span\":1},"
                            "{\"start_span\":4,\"end_span\":5,\"priority\":3},"
                            "{\"start_span\":9,\"end_span\":9,\"priority\":7},"
                            "{\"start_span\":8,\"end_span\":8,\"priority\":4294967294}]}";
    SCOPED(lazy_wanted) struct lazy_wanted found = {.spans = NULL};
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(lazy_wanted_parse(bytes_of_str(json), 10, &found, &err));
    assert_int_equal(found.count, 6);
    assert_int_equal(found.spans[2].span, 4);
    assert_int_equal(found.spans[3].rank, found.spans[2].rank + 1); /* 5 behind 4 */
    assert_int_equal(found.spans[4].rank, found.spans[2].rank + 4); /* priority 7 behind 3 */
    assert_true(found.spans[5].rank > found.spans[4].rank);
    assert_true(found.spans[0].rank < found.spans[2].rank);
    assert_int_equal(found.spans[1].rank, found.spans[0].rank + 1);
}

static void an_artifact_of_another_layer_is_refused(void **state)
{
    struct lazy_wanted found = {.spans = NULL};
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(lazy_wanted_parse(bytes_of_str(HEAD "{\"start_span\":0,\"end_span\":10}]}"),
                                       10, &found, &err),
                     -EBADMSG);
    assert_int_equal(
        lazy_wanted_parse(bytes_of_str(HEAD "{\"start_span\":0,\"end_span\":4294967294}]}"), 10,
                          &found, &err),
        -EBADMSG);
    assert_int_equal(lazy_wanted_parse(bytes_of_str(HEAD "{\"start_span\":0,\"end_span\":0}]}"), 0,
                                       &found, &err),
                     -EBADMSG);
    assert_null(found.spans);
}

static void ranges_on_top_of_each_other_are_refused(void **state)
{
    const char *json = HEAD "{\"start_span\":0,\"end_span\":9},{\"start_span\":3,\"end_span\":4}]}";
    struct lazy_wanted found = {.spans = NULL};
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(lazy_wanted_parse(bytes_of_str(json), 10, &found, &err), -EBADMSG);
    assert_null(found.spans);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_start_reads_is_wanted_the_next_time_in_that_order),
        cmocka_unit_test(a_recording_ends_by_itself),
        cmocka_unit_test(what_is_read_before_a_start_is_not_recorded),
        cmocka_unit_test(a_start_that_reads_nothing_leaves_no_record_and_is_replaced_by_the_next),
        cmocka_unit_test(another_ztoc_of_the_layer_has_nothing_of_it),
        cmocka_unit_test(a_broken_record_is_none_and_goes),
        cmocka_unit_test(an_artifact_says_what_comes_first_and_what_has_no_priority_leads),
        cmocka_unit_test(an_artifact_of_another_layer_is_refused),
        cmocka_unit_test(ranges_on_top_of_each_other_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
