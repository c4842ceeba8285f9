/* SPDX-License-Identifier: Apache-2.0 */
/* test_doctor_images.c – what the machine says of images and their registries, read as hostile, and
 * the command for each. */
#include "test.h"

#include "doctor/doctor.h"

#include <errno.h>

static struct doctor_images images;

static int parse(const char *word, const char *text)
{
    SCOPED(text_list) struct text_list words = TEXT_LIST_EMPTY;
    struct err err = ERR_NONE;

    doctor_images_fini(&images);
    assert_ok(text_list_add(&words, word));
    return doctor_parse_images(bytes_of_str(text), &words, "finch", &images, &err);
}

static void each_problem_has_its_command(void **state)
{
    static const struct {
        const char *problem, *mend;
    } known[] = {
        {"no-index", "finch push --snapshotter soci r.example/app:1"},
        {"broken-index", "finch push --snapshotter soci r.example/app:1"},
        {"no-image", "finch push --snapshotter soci r.example/app:1"},
        {"no-platform", "finch push --all-platforms --snapshotter soci r.example/app:1"},
        {"refused", "finch login r.example"},
        {"credentials", "finch login r.example"},
        {"unreachable", "# its network, VPN or proxy - the machine sees: finch-soci vm run -- "
                        "curl -sSv https://r.example/v2/"},
        {"no-ranges", "# whoever runs r.example, or a proxy or mirror before it, has to have it "
                      "give byte ranges of blobs"},
        {"off", "finch-soci provision --force"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        SCOPED(mem)
        char *text =
            text_format("{\"registry\":\"r.example\",\"problem\":\"%s\"}\nend\n", known[i].problem);

        assert_ok(parse("r.example/app:1", text));
        assert_string_equal(images.items[0].mend, known[i].mend);
    }
}

static void an_index_whose_layers_are_all_too_small_is_made_anew_with_them(void **state)
{
    (void)state;
    assert_ok(parse("app:1", "{\"registry\":\"r\",\"problem\":\"no-layer\",\"layers\":[{\"state\":"
                             "\"no-ztoc\",\"sizeBytes\":5}]}\nend\n"));
    assert_string_equal(images.items[0].mend,
                        "finch push --snapshotter soci --soci-min-layer-size 0 app:1");
}

static void a_command_never_holds_what_the_machine_made_up(void **state)
{
    (void)state;
    assert_ok(parse("app:1", "{\"registry\":\"$(reboot)\",\"problem\":\"refused\"}\nend\n"));
    assert_string_equal(images.items[0].mend, "");
    assert_ok(parse("app:1", "{\"registry\":\"-x\",\"problem\":\"unreachable\"}\nend\n"));
    assert_null(strstr(images.items[0].mend, " -x"));
}

static void what_is_no_answer_is_told_as_it_came_and_clean(void **state)
{
    (void)state;
    assert_ok(parse("app:1", "soci-snapshotter-grpc: check: \033[2Jtoml\nend\n"));
    assert_string_equal(images.items[0].problem, "failed");
    assert_string_equal(images.items[0].text, "soci-snapshotter-grpc: check: ?[2Jtoml");
    assert_false(images.items[0].lazy);
}

static void an_answer_that_is_cut_off_is_refused(void **state)
{
    (void)state;
    assert_int_equal(parse("app:1", ""), -EBADMSG);
    assert_int_equal(parse("app:1", "{}\n"), -EBADMSG);
    assert_int_equal(parse("app:1", "{}\n{}\n"), -EBADMSG);
}

static void fields_of_another_type_are_as_good_as_missing(void **state)
{
    (void)state;
    assert_ok(parse("app:1", "{\"registry\":7,\"lazy\":\"yes\",\"layers\":{\"a\":1},\"problem\":[],"
                             "\"clockSkewSeconds\":1e300}\nend\n"));
    assert_false(images.items[0].lazy);
    assert_false(images.items[0].has_skew);
    assert_string_equal(images.items[0].registry, "");
}

static void what_no_shell_takes_for_one_word_is_not_asked_about(void **state)
{
    static const char *const bad[] = {"", "-x", "a b", "$(x)", "a;b", "a\nb", "caf\xc3\xa9"};
    struct err err = ERR_NONE;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(doctor_check_word(bad[i], &err), -EINVAL);
    assert_ok(doctor_check_word("localhost:5000/a/b:c@sha256:12", &err));
    assert_ok(doctor_check_word("registry.example/", &err));
}

static void one_registry_is_one_finding_and_a_missing_index_none(void **state)
{
    static const char text[] =
        "{\"registry\":\"r\",\"problem\":\"refused\",\"text\":\"no\",\"clockSkewSeconds\":100}\n"
        "{\"registry\":\"r\",\"problem\":\"refused\",\"text\":\"no again\"}\n"
        "{\"registry\":\"r\",\"problem\":\"no-index\"}\nend\n";
    SCOPED(text_list) struct text_list words = TEXT_LIST_EMPTY;
    SCOPED(mem) struct doctor *doctor = calloc(1, sizeof(*doctor));
    struct err err = ERR_NONE;

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_ok(text_list_add(&words, "r/app:1"));
    doctor_images_fini(&images);
    assert_ok(doctor_parse_images(bytes_of_str(text), &words, "finch", &images, &err));
    doctor_judge_images(doctor, &images, "finch");
    assert_int_equal(doctor->count, 2);
    assert_string_equal(doctor->findings[0].area, "registry");
    assert_string_equal(doctor->findings[0].mend, "finch login r");
    assert_string_equal(doctor->findings[1].area, "clock");
}

static void a_registry_without_ranges_is_a_finding_and_one_that_is_fine_is_told(void **state)
{
    static const char text[] = "{\"registry\":\"r\",\"reachable\":true,\"problem\":\"no-ranges\"}\n"
                               "{\"registry\":\"s\",\"reachable\":true,\"problem\":\"\"}\nend\n";
    SCOPED(text_list) struct text_list words = TEXT_LIST_EMPTY;
    SCOPED(mem) struct doctor *doctor = calloc(1, sizeof(*doctor));
    struct err err = ERR_NONE;

    (void)state;
    for (int i = 0; i < 2; i++)
        assert_ok(text_list_add(&words, "r/app:1"));
    doctor_images_fini(&images);
    assert_ok(doctor_parse_images(bytes_of_str(text), &words, "finch", &images, &err));
    doctor_judge_images(doctor, &images, "finch");
    assert_int_equal(doctor->count, 1);
    assert_non_null(strstr(doctor->findings[0].text, "r gives no parts of layers"));
    assert_int_equal(doctor->findings[0].mend[0], '#');
    assert_int_equal(doctor->fine_count, 1);
    assert_string_equal(doctor->fine[0].text, "s answers the machine");
}

static void an_image_that_is_there_already_is_not_lazy(void **state)
{
    SCOPED(buf_value) struct buf json = BUF_EMPTY;

    (void)state;
    assert_ok(parse("app:1", "{\"registry\":\"r\",\"lazy\":true,\"problem\":\"\"}\nend\n"));
    doctor_image_is_present(&images.items[0], "overlayfs");
    assert_string_equal(images.items[0].mend, "finch rmi app:1");
    assert_ok(doctor_images_encode(&images, &json));
    assert_non_null(strstr(buf_str(&json), "\"lazy\":false,\"problem\":\"present\""));
}

static int end(void **state)
{
    (void)state;
    doctor_images_fini(&images);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_problem_has_its_command),
        cmocka_unit_test(an_index_whose_layers_are_all_too_small_is_made_anew_with_them),
        cmocka_unit_test(a_command_never_holds_what_the_machine_made_up),
        cmocka_unit_test(what_is_no_answer_is_told_as_it_came_and_clean),
        cmocka_unit_test(an_answer_that_is_cut_off_is_refused),
        cmocka_unit_test(fields_of_another_type_are_as_good_as_missing),
        cmocka_unit_test(what_no_shell_takes_for_one_word_is_not_asked_about),
        cmocka_unit_test(one_registry_is_one_finding_and_a_missing_index_none),
        cmocka_unit_test(a_registry_without_ranges_is_a_finding_and_one_that_is_fine_is_told),
        cmocka_unit_test(an_image_that_is_there_already_is_not_lazy),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
