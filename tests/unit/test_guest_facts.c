/* SPDX-License-Identifier: Apache-2.0 */
/* test_guest_facts.c – what a machine tells of itself, and what is refused of it. */
#include "guest_rig.h"

#include <errno.h>

static int parse(const char *text, struct guest_facts **ret, struct err *err)
{
    return guest_facts_parse(bytes_of_str(text), ret, err);
}

static void refused(const char *text)
{
    struct guest_facts *facts = NULL;
    struct err err = ERR_NONE;

    assert_int_equal(parse(text, &facts, &err), -EBADMSG);
    assert_null(facts);
    assert_non_null(strstr(err_text(&err), "makes no sense"));
}

static void what_was_recorded_is_read(void **state)
{
    SCOPED(guest_facts) struct guest_facts *facts = rig_facts("applied");

    (void)state;
    assert_string_equal(guest_arch(facts), "x86_64");
    assert_true(guest_is_booted(facts));
    assert_true(guest_flag(facts, "systemd"));
    assert_true(guest_flag(facts, "answers"));
    assert_string_equal(guest_value(facts, "lima-HOME"), "/home/u.guest");
    assert_string_equal(guest_value(facts, "unit containerd"), "active");
    assert_int_equal(guest_file(facts, GUEST_WANTED)->kind, GUEST_LINK);
    assert_true(guest_is_ours(facts, GUEST_CONTAINERD_PART));
    assert_false(guest_is_ours(facts, GUEST_CONTAINERD_CONFIG));
    assert_null(guest_package_unit(facts));
}

static void the_text_of_a_file_is_what_it_was_to_the_byte(void **state)
{
    SCOPED(guest_facts) struct guest_facts *facts = rig_facts("applied");

    (void)state;
    for (size_t i = 0; i < facts->file_count; i++) {
        const struct guest_file *file = &facts->files[i];
        struct digest digest;
        char hex[2 * DIGEST_BYTES + 1];

        if (file->kind != GUEST_FILE || !file->is_whole || file->content.len == 0)
            continue;
        assert_ok(digest_of(buf_bytes(&file->content), &digest));
        digest_hex(&digest, hex);
        assert_string_equal(hex, file->sha256);
    }
}

static void a_text_without_a_last_newline_has_none_here(void **state)
{
    SCOPED(guest_facts) struct guest_facts *facts = NULL;

    (void)state;
    assert_ok(parse("finch-soci-facts 1\n"
                    "file file 644 0 0 3 "
                    "0123456789012345678901234567890123456789012345678901234567890123 /etc/x\n"
                    "|a\n|b\n\nend \n",
                    &facts, NULL));
    assert_true(bytes_equal(guest_text(facts, "/etc/x"), bytes_of_str("a\nb")));
    assert_true(guest_file(facts, "/etc/x")->is_whole);
}

static void a_file_that_grew_meanwhile_is_not_whole(void **state)
{
    SCOPED(guest_facts) struct guest_facts *facts = NULL;

    (void)state;
    assert_ok(parse("finch-soci-facts 1\n"
                    "file file 644 0 0 1 "
                    "0123456789012345678901234567890123456789012345678901234567890123 /etc/x\n"
                    "|a\n|b\n\nend \n",
                    &facts, NULL));
    assert_false(guest_file(facts, "/etc/x")->is_whole);
}

static void a_machine_of_limas_is_booted_when_its_mark_is_there(void **state)
{
    SCOPED(guest_facts) struct guest_facts *before = NULL;
    SCOPED(guest_facts) struct guest_facts *after = NULL;

    (void)state;
    assert_ok(parse("finch-soci-facts 1\nlima yes\nend \n", &before, NULL));
    assert_ok(parse("finch-soci-facts 1\nlima yes\nboot-done iid-1 \nend \n", &after, NULL));
    assert_false(guest_is_booted(before));
    assert_true(guest_is_booted(after));
}

static void a_key_of_a_newer_script_is_passed_over(void **state)
{
    SCOPED(guest_facts) struct guest_facts *facts = NULL;

    (void)state;
    assert_ok(parse("finch-soci-facts 1\nweather fine\nend \n", &facts, NULL));
    assert_string_equal(guest_value(facts, "weather"), "");
}

static void what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    refused("");
    refused("bash: no such thing\n");
    refused("finch-soci-facts 1\n"); /* no end */
    refused("finch-soci-facts 1\nend \nmore 1\n");
    refused("finch-soci-facts 1\n|content of nothing\nend \n");
    refused("finch-soci-facts 1\nfile none 0 0 0 0 - relative\nend \n");
    refused("finch-soci-facts 1\nfile file 8 0 0 0 - /x\nend \n");
    refused("finch-soci-facts 1\nfile file 77777 0 0 0 - /x\nend \n");
    refused("finch-soci-facts 1\nfile file 644 0 0 1 nodigest /x\nend \n");
    refused("finch-soci-facts 1\nfile socket 644 0 0 1 - /x\nend \n");
    refused("finch-soci-facts 1\narch x86\x01\nend \n");
}

static void files_and_lists_without_an_end_are_refused(void **state)
{
    SCOPED(buf_value) struct buf files = BUF_EMPTY;
    SCOPED(buf_value) struct buf list = BUF_EMPTY;

    (void)state;
    assert_ok(buf_add_str(&files, "finch-soci-facts 1\n"));
    assert_ok(buf_add_str(&list, "finch-soci-facts 1\n"));
    for (unsigned i = 0; i < 1000; i++) {
        assert_ok(buf_addf(&files, "file none 0 0 0 0 - /%u\n", i));
        assert_ok(buf_addf(&list, "running ns/%u\n", i));
    }
    assert_ok(buf_add_str(&files, "end \n"));
    assert_ok(buf_add_str(&list, "end \n"));
    refused(buf_str(&files));
    refused(buf_str(&list));
}

static void more_content_than_was_asked_for_is_refused(void **state)
{
    SCOPED(buf_value) struct buf text = BUF_EMPTY;

    (void)state;
    assert_ok(buf_add_str(&text, "finch-soci-facts 1\neffective\n"));
    for (unsigned i = 0; i < 5000; i++)
        assert_ok(buf_addf(&text, "|%0100u\n", i));
    assert_ok(buf_add_str(&text, "end \n"));
    refused(buf_str(&text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_recorded_is_read),
        cmocka_unit_test(the_text_of_a_file_is_what_it_was_to_the_byte),
        cmocka_unit_test(a_text_without_a_last_newline_has_none_here),
        cmocka_unit_test(a_file_that_grew_meanwhile_is_not_whole),
        cmocka_unit_test(a_machine_of_limas_is_booted_when_its_mark_is_there),
        cmocka_unit_test(a_key_of_a_newer_script_is_passed_over),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(files_and_lists_without_an_end_are_refused),
        cmocka_unit_test(more_content_than_was_asked_for_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
