/* SPDX-License-Identifier: Apache-2.0 */
/* test_report_images.c – containerd's images beside those that the snapshotter speaks of. */
#include "test.h"

#include "report/report.h"

#include <errno.h>
#include <stdlib.h>

/* As users of this system have it: PowerShell 5 has no &&. */
#ifdef _WIN32
#define THEN "; "
#else
#define THEN " && "
#endif

#define APP "registry.example/team/app:1"
#define NONE                                                                                       \
    {                                                                                              \
        .row_count = 0                                                                             \
    }

/* The snapshotter's: APP of the manifest sha256:1111…, and an event of registry.example/plain:1. */
static void load(struct report *report)
{
    SCOPED(buf) struct buf *json = vector_load("report/two-images.json");

    *report = (struct report){.namespace_ = "finch"};
    assert_ok(report_parse_daemon(report, buf_bytes(json), NULL));
}

static void add(struct report *report, const char *name, const char *snapshotters,
                const char *manifest)
{
    const struct report_found found = {
        .name = name, .namespace_ = "finch", .snapshotters = snapshotters, .manifest = manifest};

    assert_ok(report_add_images(report, &found, 1, NULL));
}

static const struct report_image *find(const struct report *report, const char *name)
{
    for (size_t i = 0; i < report->image_count; i++)
        if (strcmp(report->images[i].image, name) == 0)
            return &report->images[i];
    fail_msg("no row of %s", name);
    return NULL;
}

static void an_image_of_another_snapshotter_is_a_row_that_says_how_to_mend_it(void **state)
{
    SCOPED(report) struct report report = NONE;
    const struct report_image *image;

    (void)state;
    load(&report);
    add(&report, "registry.example/old:1", "overlayfs", "");
    assert_int_equal(report.image_count, 2);
    image = find(&report, "registry.example/old:1");
    assert_int_equal(image->state, REPORT_IMAGE_NOT_LAZY);
    assert_string_equal(image->text, "not lazy: pulled with overlayfs");
    assert_string_equal(image->mend, "finch pull --snapshotter soci registry.example/old:1");
    assert_true(report_is_well(&report)); /* it is as it was asked for */
}

static void what_the_snapshotter_says_of_an_image_stays(void **state)
{
    SCOPED(report) struct report report = NONE;
    SCOPED(mem) char *manifest = NULL;
    const struct report_image *image;

    (void)state;
    load(&report);
    manifest = strdup(find(&report, APP)->manifest);
    add(&report, APP, "overlayfs,soci", manifest);
    assert_int_equal(report.image_count, 1);
    image = find(&report, APP);
    assert_int_equal(image->lazy, 5);
    assert_int_equal(image->state, REPORT_IMAGE_BROKEN); /* one of its layers is */
    assert_string_equal(image->snapshotters, "overlayfs,soci");
    assert_string_equal(image->text, "");
}

static void another_name_of_the_same_image_is_as_lazy(void **state)
{
    SCOPED(report) struct report report = NONE;
    SCOPED(mem) char *manifest = NULL;
    const struct report_image *image;

    (void)state;
    load(&report);
    manifest = strdup(find(&report, APP)->manifest);
    add(&report, "a/tag:2", "soci", manifest);
    assert_int_equal(report.image_count, 2);
    image = find(&report, "a/tag:2");
    assert_int_equal(image->lazy, 5);
    assert_string_equal(image->manifest, manifest);
    assert_string_equal(report.images[0].image, "a/tag:2"); /* by name */
}

static void one_that_came_through_without_an_index_says_so(void **state)
{
    SCOPED(report) struct report report = NONE;
    const struct report_image *image;

    (void)state;
    load(&report);
    add(&report, "registry.example/plain:1", "soci", "");
    add(&report, "registry.example/forgotten:1", "soci", "");
    image = find(&report, "registry.example/plain:1");
    assert_int_equal(image->state, REPORT_IMAGE_NOT_LAZY);
    assert_string_equal(image->text, "not lazy: the image has no SOCI index");
    assert_string_equal(image->mend,
                        "finch push --snapshotter soci registry.example/plain:1" THEN "finch rmi "
                        "registry.example/plain:1" THEN "finch pull --snapshotter soci "
                        "registry.example/plain:1");
    image = find(&report, "registry.example/forgotten:1"); /* of a time that nobody remembers */
    assert_string_equal(image->text, "not lazy: no SOCI index was of use when it was pulled");
}

static void what_is_not_unpacked_is_not_said_to_be_anything_else(void **state)
{
    SCOPED(report) struct report report = NONE;

    (void)state;
    load(&report);
    add(&report, "some/artifact:1", "", "");
    assert_int_equal(find(&report, "some/artifact:1")->state, REPORT_IMAGE_NOT_UNPACKED);
    assert_string_equal(find(&report, "some/artifact:1")->mend, "");
}

static void a_snapshotter_that_is_silent_leaves_images_unknown(void **state)
{
    SCOPED(report) struct report report = {.namespace_ = "finch"};

    (void)state;
    add(&report, APP, "soci", "");
    add(&report, "b:1", "soci-of-others", "");
    assert_int_equal(find(&report, APP)->state, REPORT_IMAGE_UNKNOWN);
    assert_string_equal(find(&report, "b:1")->text, "not lazy: pulled with soci-of-others");
    assert_string_equal(find(&report, "b:1")->mend,
                        "finch-soci enable" THEN "finch pull --snapshotter soci b:1");
}

static void no_command_has_a_name_that_a_shell_would_take_for_more(void **state)
{
    static const char *const names[] = {"a:1;reboot", "$(reboot)", "-rf",     "a b", "a\nb",
                                        "`x`",        "a'b",       "\033[2J", ""};
    SCOPED(report) struct report report = NONE;

    (void)state;
    load(&report);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        add(&report, names[i], "overlayfs", "");
        assert_int_equal(report.image_count, i + 2);
    }
    for (size_t i = 0; i < report.image_count; i++) {
        assert_string_equal(report.images[i].mend, "");
        assert_null(strchr(report.images[i].image, '\033'));
        assert_null(strchr(report.images[i].image, '\n'));
    }
}

static void a_namespace_that_is_not_finchs_has_another_command(void **state)
{
    const struct report_found found = {
        .name = "a:1", .namespace_ = "k8s.io", .snapshotters = "overlayfs", .manifest = ""};
    const struct report_found hostile = {
        .name = "b:1", .namespace_ = "x;reboot", .snapshotters = "overlayfs", .manifest = ""};
    SCOPED(report) struct report report = NONE;

    (void)state;
    assert_ok(report_add_images(&report, &found, 1, NULL));
    assert_ok(report_add_images(&report, &hostile, 1, NULL));
    assert_string_equal(find(&report, "a:1")->mend,
                        "finch-soci enable" THEN "nerdctl --namespace k8s.io pull --snapshotter "
                        "soci a:1");
    assert_string_equal(find(&report, "b:1")->mend, "");
}

static void more_images_than_anybody_has_are_cut(void **state)
{
    SCOPED(mem) struct report_found *found = calloc(2 * REPORT_IMAGES_MAX, sizeof(*found));
    SCOPED(report) struct report report = NONE;

    (void)state;
    assert_non_null(found);
    for (size_t i = 0; i < 2 * REPORT_IMAGES_MAX; i++)
        found[i] = (struct report_found){
            .name = "a:1", .namespace_ = "finch", .snapshotters = "overlayfs", .manifest = ""};
    load(&report);
    assert_ok(report_add_images(&report, found, 2 * REPORT_IMAGES_MAX, NULL));
    assert_int_equal(report.image_count, REPORT_IMAGES_MAX);
}

static void printed_it_has_its_reason_where_others_have_counts(void **state)
{
    const struct report_style style = {.width = 0};
    SCOPED(report) struct report report = {.namespace_ = "finch"};
    SCOPED(buf_value) struct buf text = BUF_EMPTY;

    (void)state;
    add(&report, "r/old:1", "overlayfs", "");
    add(&report, "r/x:1", "", "");
    assert_ok(report_print(&report, &style, &text));
    assert_string_equal(buf_str(&text),
                        "\nIMAGE    LAYERS  HERE\n"
                        "r/old:1  not lazy: pulled with overlayfs\n"
                        "         mend: finch-soci enable" THEN "finch pull --snapshotter "
                        "soci r/old:1\n"
                        "r/x:1    not unpacked\n");
}

static void nothing_listed_is_not_the_same_as_nothing_known(void **state)
{
    const struct report_style style = {.width = 0};
    SCOPED(report) struct report report = {.namespace_ = "finch"};
    SCOPED(buf_value) struct buf before = BUF_EMPTY;
    SCOPED(buf_value) struct buf after = BUF_EMPTY;

    (void)state;
    assert_ok(report_print(&report, &style, &before));
    assert_int_equal(before.len, 0);
    assert_ok(report_add_images(&report, NULL, 0, NULL));
    assert_ok(report_print(&report, &style, &after));
    assert_string_equal(buf_str(&after), "\nNo image is there yet in namespace finch.\n");
}

static void as_json_it_has_every_field(void **state)
{
    SCOPED(report) struct report report = {.namespace_ = "finch"};
    SCOPED(buf_value) struct buf text = BUF_EMPTY;

    (void)state;
    add(&report, "r/old:1", "overlayfs,native", "sha256:1");
    assert_ok(report_encode(&report, &text));
    assert_non_null(
        strstr(buf_str(&text),
               "\"images\":[{\"image\":\"r/old:1\",\"manifest\":\"sha256:1\",\"index\":\"\","
               "\"state\":\"not-lazy\",\"snapshotters\":[\"overlayfs\",\"native\"],"
               "\"text\":\"not lazy: pulled with overlayfs,native\","
               "\"mend\":\"finch-soci enable" THEN "finch pull --snapshotter soci r/old:1\","
               "\"lazy\":0,"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_image_of_another_snapshotter_is_a_row_that_says_how_to_mend_it),
        cmocka_unit_test(what_the_snapshotter_says_of_an_image_stays),
        cmocka_unit_test(another_name_of_the_same_image_is_as_lazy),
        cmocka_unit_test(one_that_came_through_without_an_index_says_so),
        cmocka_unit_test(what_is_not_unpacked_is_not_said_to_be_anything_else),
        cmocka_unit_test(a_snapshotter_that_is_silent_leaves_images_unknown),
        cmocka_unit_test(no_command_has_a_name_that_a_shell_would_take_for_more),
        cmocka_unit_test(a_namespace_that_is_not_finchs_has_another_command),
        cmocka_unit_test(more_images_than_anybody_has_are_cut),
        cmocka_unit_test(printed_it_has_its_reason_where_others_have_counts),
        cmocka_unit_test(nothing_listed_is_not_the_same_as_nothing_known),
        cmocka_unit_test(as_json_it_has_every_field),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
