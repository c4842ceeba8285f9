/* SPDX-License-Identifier: Apache-2.0 */
/* Files that a person names become prefetch artifacts: which layer has a file, which spans, and
 * what is not found. */
#include "blob_store.h"
#include "make_layer.h"

enum { SPAN_BYTES = 4096, LAYERS_MAX = 4 };

/* An image of plain tars, the lowest first. */
struct image {
    struct world world;
    struct oci_manifest manifest;
    struct oci_descriptor layers[LAYERS_MAX];
    char media_type[64];
};

static void add_layer(struct image *image, struct buf *tar)
{
    struct oci_descriptor *layer = &image->layers[image->manifest.layer_count++];
    struct err err = ERR_NONE;

    tar_end(tar);
    (void)strcpy(image->media_type, "application/vnd.oci.image.layer.v1.tar");
    layer->media_type = image->media_type;
    layer->size_bytes = tar->len;
    assert_ok(digest_of(buf_bytes(tar), &layer->digest));
    assert_ok(content_write(&image->world, &layer->digest, buf_bytes(tar), NULL, &err));
    buf_fini(tar);
    *tar = (struct buf)BUF_EMPTY;
}

static void add_file(struct buf *tar, const char *name, size_t len)
{
    SCOPED(buf_value) struct buf noise = BUF_EMPTY;

    add_noise(&noise, len);
    tar_add(tar, name, '0', buf_bytes(&noise));
}

static int build(struct image *image, const char *files, struct index_built *ret)
{
    struct text_list list = TEXT_LIST_EMPTY;
    struct index_build_options options = {
        .content = {.read = content_read, .write = content_write, .self = &image->world},
        .output = {.line = print_line, .self = &image->world},
        .span_size_bytes = SPAN_BYTES,
        .threads = 1,
        .prefetch_files = &list,
    };
    struct oci_descriptor desc = {.media_type = (char[]){OCI_MEDIA_MANIFEST}, .size_bytes = 1};
    struct err err = ERR_NONE;
    int rc;

    assert_ok(text_list_split(&list, files, ','));
    image->manifest.layers = image->layers;
    rc = index_build(&options, &desc, &image->manifest, ret, &err);
    text_list_fini(&list);
    return rc;
}

/* The artifact of layer `n`; "": it has none. */
static const char *artifact(struct image *image, const struct index_built *built, size_t n)
{
    const struct soci_index_prefetch *prefetch =
        soci_index_find_prefetch(built->index, &image->layers[n].digest);

    return prefetch == NULL ? "" : text_of(&image->world, &prefetch->artifact);
}

#define HEAD "{\"version\":\"1.0\",\"prefetch_spans\":["

/* Spans of 4096: the content of a/one is [512, 1512), of a/two [2048, 12048), of a/last [12800,
 * 13800). */
static void base_layer(struct buf *tar)
{
    add_file(tar, "a/one", 1000);
    add_file(tar, "a/two", 10000);
    add_file(tar, "a/last", 1000);
    add_file(tar, "much", 40000);
    add_file(tar, "end", 10);
}

static void a_files_spans_are_those_from_its_first_byte_to_the_one_behind_its_last(void **state)
{
    SCOPED(index_built) struct index_built built = {.index = NULL};
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    struct image image = {.media_type = ""};

    (void)state;
    base_layer(&tar);
    add_layer(&image, &tar);
    assert_ok(build(&image, "/a/two,/end", &built));
    assert_string_equal(artifact(&image, &built, 0), HEAD "{\"start_span\":0,\"end_span\":2},"
                                                          "{\"start_span\":13,\"end_span\":13}]}");
    assert_non_null(strstr(buf_str(&image.world.lines), "Created prefetch artifact for layer "));
    assert_non_null(strstr(image.world.blobs[image.world.count - 1].labels,
                           "containerd.io/gc.ref.content.ztoc.1"));
    world_fini(&image.world);
}

static void what_touches_or_overlaps_is_one_range(void **state)
{
    SCOPED(index_built) struct index_built built = {.index = NULL};
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    struct image image = {.media_type = ""};

    (void)state;
    base_layer(&tar);
    add_layer(&image, &tar);
    assert_ok(build(&image, "a/last,a/one,/a//./x/../two,a/two", &built));
    assert_string_equal(artifact(&image, &built, 0), HEAD "{\"start_span\":0,\"end_span\":3}]}");
    world_fini(&image.world);
}

static void names_that_are_stored_with_a_dot_before_them_are_found(void **state)
{
    SCOPED(index_built) struct index_built built = {.index = NULL};
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    struct image image = {.media_type = ""};

    (void)state;
    add_file(&tar, "./etc/x", 5000);
    add_layer(&image, &tar);
    assert_ok(build(&image, "etc/x", &built));
    assert_string_equal(artifact(&image, &built, 0), HEAD "{\"start_span\":0,\"end_span\":1}]}");
    world_fini(&image.world);
}

static void the_topmost_layer_that_has_it_counts_and_in_it_the_last_entry(void **state)
{
    SCOPED(index_built) struct index_built built = {.index = NULL};
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    struct image image = {.media_type = ""};

    (void)state;
    base_layer(&tar);
    add_layer(&image, &tar);
    add_file(&tar, "a/two", 100);
    add_file(&tar, "between", 9000);
    add_file(&tar, "a/two", 100);
    add_layer(&image, &tar);
    add_file(&tar, "other", 100);
    add_layer(&image, &tar);
    assert_ok(build(&image, "a/two,much", &built));
    assert_int_equal(built.index->prefetch_count, 2);
    assert_string_equal(artifact(&image, &built, 0), HEAD "{\"start_span\":3,\"end_span\":13}]}");
    assert_string_equal(artifact(&image, &built, 1), HEAD "{\"start_span\":2,\"end_span\":2}]}");
    assert_string_equal(artifact(&image, &built, 2), "");
    world_fini(&image.world);
}

static void a_hard_link_is_the_file_that_it_names(void **state)
{
    SCOPED(index_built) struct index_built built = {.index = NULL};
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    struct image image = {.media_type = ""};
    uint8_t *h;

    (void)state;
    base_layer(&tar);
    h = tar_header(&tar, "link", '1', 0);
    memcpy(h + AT_LINKNAME, "a/last", 6);
    tar_sum(h);
    add_layer(&image, &tar);
    assert_ok(build(&image, "link", &built));
    assert_string_equal(artifact(&image, &built, 0), HEAD "{\"start_span\":3,\"end_span\":3}]}");
    world_fini(&image.world);
}

static void a_file_that_a_layer_above_takes_away_is_in_no_layer(void **state)
{
    SCOPED(index_built) struct index_built built = {.index = NULL};
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    struct image image = {.media_type = ""};

    (void)state;
    base_layer(&tar);
    add_layer(&image, &tar);
    tar_text(&tar, "a/.wh.one", '0', "");
    tar_text(&tar, ".wh.end", '0', "");
    add_layer(&image, &tar);
    assert_ok(build(&image, "a/one,end,a/last", &built));
    assert_string_equal(artifact(&image, &built, 0), HEAD "{\"start_span\":3,\"end_span\":3}]}");
    assert_int_equal(built.index->prefetch_count, 1);
    world_fini(&image.world);
}

static void what_no_layer_has_leaves_the_index_as_it_is(void **state)
{
    SCOPED(index_built) struct index_built built = {.index = NULL}, plain = {.index = NULL};
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    struct image image = {.media_type = ""};

    (void)state;
    base_layer(&tar);
    add_layer(&image, &tar);
    assert_ok(build(&image, "a/three,a,/,..", &built));
    assert_int_equal(built.index->prefetch_count, 0);
    assert_ok(build(&image, "", &plain));
    assert_true(digest_equal(&built.digest, &plain.digest));
    world_fini(&image.world);
}

static void a_layer_that_the_image_has_twice_has_one_artifact(void **state)
{
    SCOPED(index_built) struct index_built built = {.index = NULL};
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    struct image image = {.media_type = ""};

    (void)state;
    for (int i = 0; i < 2; i++) {
        base_layer(&tar);
        add_layer(&image, &tar);
    }
    assert_ok(build(&image, "a/one", &built));
    assert_int_equal(built.index->ztoc_count, 2);
    assert_int_equal(built.index->prefetch_count, 1);
    world_fini(&image.world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_files_spans_are_those_from_its_first_byte_to_the_one_behind_its_last),
        cmocka_unit_test(what_touches_or_overlaps_is_one_range),
        cmocka_unit_test(names_that_are_stored_with_a_dot_before_them_are_found),
        cmocka_unit_test(the_topmost_layer_that_has_it_counts_and_in_it_the_last_entry),
        cmocka_unit_test(a_hard_link_is_the_file_that_it_names),
        cmocka_unit_test(a_file_that_a_layer_above_takes_away_is_in_no_layer),
        cmocka_unit_test(what_no_layer_has_leaves_the_index_as_it_is),
        cmocka_unit_test(a_layer_that_the_image_has_twice_has_one_artifact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
