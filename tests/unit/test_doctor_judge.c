/* SPDX-License-Identifier: Apache-2.0 */
/* test_doctor_judge.c – from facts to findings: what is wrong is told with its command, and what is
 * well, or nonsense, is not. */
#include "test.h"

#include "doctor/doctor.h"

#include <errno.h>

/* As users of this system have it: PowerShell 5 has no &&. */
#ifdef _WIN32
#define THEN "; "
#else
#define THEN " && "
#endif

static const struct doctor_context vm_context = {
    .vm = "finch",
    .before_s = 1000,
    .after_s = 1002,
    .is_told = true,
    .containerd = "containerd github.com/containerd/containerd/v2 v2.2.1",
    .unit = "soci-snapshotter.service",
};

static struct doctor doctor;

static void judge(const char *lines, const struct doctor_context *context)
{
    SCOPED(mem) char *text = text_format("finch-soci-doctor 1\n%send\n", lines);
    SCOPED(doctor_facts) struct doctor_facts facts = {.count = 0};
    struct err err = ERR_NONE;

    memset(&doctor, 0, sizeof(doctor)); /* too large for a literal on the stack */
    assert_ok(doctor_facts_parse(bytes_of_str(text), &facts, &err));
    doctor_judge(&doctor, &facts, context);
}

static const struct doctor_finding *only(void)
{
    assert_int_equal(doctor.count, 1);
    return &doctor.findings[0];
}

#define WELL                                                                                       \
    "clock 1001\nfuse-device yes\nbinary /usr/local/bin/soci-snapshotter-grpc\n"                   \
    "unit soci-snapshotter.service active success enabled "                                        \
    "/usr/local/lib/systemd/system/x.service\n"                                                    \
    "proxy soci /etc/containerd/config.toml 7\ndisk boot 100000000000 90000000000 1000 900 /\n"    \
    "socket listens 5 /usr/local/bin/soci-snapshotter-grpc\nnerdctl nerdctl version 2.2.2\n"       \
    "selinux 1\n"

static void a_machine_that_is_well_has_no_findings(void **state)
{
    (void)state;
    judge(WELL, &vm_context);
    assert_int_equal(doctor.count, 0);
    assert_true(doctor_is_well(&doctor));
}

static void a_kernel_without_fuse_is_wrong_and_one_without_erofs_is_a_note(void **state)
{
    (void)state;
    judge(WELL
          "probe {\"fuse\":{\"works\":false,\"text\":\"no such type\"},\"erofsFile\":{\"works\":"
          "true},\"resend\":{\"works\":false}}\n",
          &vm_context);
    assert_string_equal(only()->mend, "finch-soci vm run -- modprobe fuse");
    assert_non_null(strstr(only()->text, "no such type"));
    judge(WELL
          "probe {\"fuse\":{\"works\":true},\"erofsFile\":{\"works\":false,\"text\":\"old\"}}\n",
          &vm_context);
    assert_true(only()->is_note);
    assert_true(doctor_is_well(&doctor));
    judge(WELL "probe {{{{\n", &vm_context);
    assert_int_equal(doctor.count, 0);
}

static void a_clock_is_compared_with_ours_before_and_after(void **state)
{
    (void)state;
    judge("fuse-device yes\nclock 971\n", &vm_context);
    assert_int_equal(doctor.count, 0);
    judge("fuse-device yes\nclock 970\n", &vm_context);
    assert_non_null(strstr(only()->text, "30 s behind"));
    assert_string_equal(only()->mend, "finch-soci doctor --fix");
    assert_int_equal(only()->fix, DOCTOR_FIX_SET_CLOCK);
    judge("fuse-device yes\nclock 5000\n", &vm_context);
    assert_non_null(strstr(only()->text, "ahead of"));
    judge("fuse-device yes\nclock then\n", &vm_context);
    assert_int_equal(doctor.count, 0);
}

static const char *fine_text(const char *area)
{
    for (size_t i = 0; i < doctor.fine_count; i++) {
        if (strcmp(doctor.fine[i].area, area) == 0)
            return doctor.fine[i].text;
    }
    fail_msg("%s is not told to be fine", area);
    return "";
}

static void what_was_looked_at_and_is_fine_is_told_too(void **state)
{
    (void)state;
    judge(WELL "probe {\"fuse\":{\"works\":true},\"erofsFile\":{\"works\":true},\"resend\":"
               "{\"works\":true}}\n",
          &vm_context);
    assert_string_equal(fine_text("kernel"), "FUSE works; so does EROFS from plain files; requests "
                                             "are sent again when the snapshotter ends");
    assert_string_equal(fine_text("disk"), "boot: 83.8 GiB of 93.1 GiB are free");
    assert_string_equal(fine_text("clock"), "as this computer's");
    assert_string_equal(fine_text("transfer"), "nerdctl 2.2, containerd 2.2: the transfer service "
                                               "is not used, and is told of soci");
    assert_string_equal(fine_text("selinux"), "enforcing, and has denied nothing");
    assert_string_equal(fine_text("others"), "no second snapshotter of SOCI is beside it");
}

static void what_is_wrong_is_not_told_to_be_fine(void **state)
{
    (void)state;
    judge("clock 5\nnerdctl none\nsocket stale\nselinux 1\ndenied avc: denied { read }\n"
          "disk data 50000000000 40000000 10 9 /a\n",
          &vm_context);
    assert_int_equal(doctor.fine_count, 0);
}

static void a_boot_disk_that_is_full_has_its_journal_made_smaller(void **state)
{
    (void)state;
    judge("fuse-device yes\ndisk boot 50000000000 40000000 10 9 /\n", &vm_context);
    assert_string_equal(only()->mend, "finch-soci vm run -- journalctl --vacuum-size=64M");
}

static void a_full_disk_is_told_once_however_many_directories_it_has(void **state)
{
    (void)state;
    judge("fuse-device yes\ndisk data 50000000000 40000000 10 9 /a\n"
          "disk images 50000000000 40000000 10 9 /b\n",
          &vm_context);
    assert_non_null(strstr(only()->text, "disk of data (/a) is full: 38.1 MiB left"));
    judge("fuse-device yes\ncache 2048\ndisk data 50000000000 40000000 10 9 /a\n", &vm_context);
    assert_non_null(strstr(only()->text, "38.1 MiB left, layers take 2.0 MiB"));
    judge("fuse-device yes\ndisk data 50000000000 40000000000 1000 1 /a\n", &vm_context);
    assert_non_null(strstr(only()->text, "no room for more files"));
    judge("fuse-device yes\ndisk data x y\ndisk\tdata 1\n", &vm_context);
    assert_int_equal(doctor.count, 0);
}

static void a_small_disk_with_room_is_not_full(void **state)
{
    (void)state;
    judge("fuse-device yes\ndisk data 300000000 200000000 10 9 /a\n", &vm_context);
    assert_int_equal(doctor.count, 0);
}

static void nerdctl_2_3_needs_the_transfer_settings_of_containerd_2(void **state)
{
    struct doctor_context context = vm_context;

    (void)state;
    context.is_told = false;
    judge("fuse-device yes\nnerdctl nerdctl version 2.2.9\n", &context);
    assert_int_equal(doctor.count, 0);
    judge("fuse-device yes\nnerdctl nerdctl version 2.3.0\n", &context);
    assert_string_equal(only()->mend, "finch-soci provision");
    assert_int_equal(only()->fix, DOCTOR_FIX_PROVISION);
    context.containerd = "containerd github.com/containerd/containerd v1.7.28 abc";
    judge("fuse-device yes\nnerdctl nerdctl version 2.3.0\n", &context);
    assert_int_equal(doctor.count, 0);
    judge("fuse-device yes\nnerdctl of no version\n", &context);
    assert_int_equal(doctor.count, 0);
}

static void what_competes_is_told_with_its_name(void **state)
{
    (void)state;
    judge("fuse-device yes\nbinary /usr/bin/soci-snapshotter-grpc\n", &vm_context);
    assert_non_null(strstr(only()->text, "/usr/bin/soci-snapshotter-grpc"));
    judge("fuse-device yes\nunit other.service active success disabled "
          "/etc/systemd/system/other.service\n",
          &vm_context);
    assert_string_equal(only()->mend, "finch-soci vm run -- systemctl disable --now other.service");
    judge("fuse-device yes\nunit other.service inactive success enabled /etc/other.service\n",
          &vm_context);
    assert_non_null(strstr(only()->text, "inactive, enabled"));
    judge("fuse-device yes\nunit other.service inactive success disabled /etc/other.service\n",
          &vm_context);
    assert_int_equal(doctor.count, 0);
    judge("fuse-device yes\nproxy other /etc/containerd/config.toml 12 15\n", &vm_context);
    assert_string_equal(only()->mend,
                        "finch-soci vm run -- sed -i.before 12,15d /etc/containerd/config.toml");
    judge("fuse-device yes\nsocket listens 77 /usr/bin/python3\n", &vm_context);
    assert_string_equal(only()->mend, "finch-soci vm run -- kill 77");
}

static void a_daemon_of_systemds_or_one_that_was_replaced_is_no_other(void **state)
{
    (void)state;
    judge("fuse-device yes\nsocket listens 1 /usr/lib/systemd/systemd\n", &vm_context);
    assert_int_equal(doctor.count, 0);
    judge("fuse-device yes\nsocket listens 9 /usr/local/bin/soci-snapshotter-grpc (deleted)\n",
          &vm_context);
    assert_int_equal(doctor.count, 0);
    judge("fuse-device yes\nsocket none\n", &vm_context);
    assert_int_equal(doctor.count, 0);
}

static void a_unit_that_cannot_start_is_told_with_the_reason(void **state)
{
    struct doctor_context context = vm_context;

    (void)state;
    context.unit_says = "failed to load config file \"/etc/soci-snapshotter-grpc/config.toml\": x";
    judge("fuse-device yes\nunit soci-snapshotter.service activating exit-code enabled /x\n",
          &context);
    assert_non_null(strstr(only()->text, "soci-snapshotter.service is activating: failed to load"));
    assert_string_equal(
        only()->mend, "finch-soci vm run -- mv /etc/soci-snapshotter-grpc/config.toml "
                      "/etc/soci-snapshotter-grpc/config.toml.broken" THEN "finch-soci provision");
    assert_int_equal(only()->fix, DOCTOR_FIX_NONE);
    context.unit_says = "no room";
    judge("fuse-device yes\nunit soci-snapshotter.service failed exit-code enabled /x\n", &context);
    assert_non_null(strstr(only()->text, "failed: no room"));
    assert_int_equal(only()->fix, DOCTOR_FIX_START);
    judge("fuse-device yes\nunit soci-snapshotter.service inactive success masked /x\n",
          &vm_context);
    assert_non_null(strstr(only()->text, "is masked"));
    assert_string_equal(only()->mend, "finch-soci vm run -- systemctl unmask "
                                      "soci-snapshotter.service" THEN "finch-soci doctor --fix");
}

static void a_denial_of_selinux_is_told(void **state)
{
    (void)state;
    judge("fuse-device yes\nselinux 0\ndenied avc: denied { read } comm=\"soci-snapshott\"\n",
          &vm_context);
    assert_non_null(strstr(only()->text, "(permissive) denies"));
    assert_non_null(strstr(only()->mend, "vm run -- restorecon -Rv "));
}

static void a_command_holds_no_words_of_an_enemys(void **state)
{
    (void)state;
    judge("fuse-device yes\nunit $(reboot).service active success enabled /x\n"
          "binary /usr/bin/a;reboot\nproxy a /etc/x`reboot` 1 2\nsocket listens $(reboot) /bin/x\n",
          &vm_context);
    assert_int_equal(doctor.count, 4);
    for (size_t i = 0; i < doctor.count; i++)
        assert_null(strstr(doctor.findings[i].mend, "reboot"));
}

static void on_this_system_commands_need_no_way(void **state)
{
    struct doctor_context context = vm_context;

    (void)state;
    context.vm = NULL;
    context.after_s = 0;
    judge("clock 5\n", &context);
    assert_string_equal(only()->mend, "sudo modprobe fuse");
}

static void facts_that_make_no_sense_are_refused(void **state)
{
    static const char *const texts[] = {"", "finch-soci-doctor 2\nend\n",
                                        "finch-soci-doctor 1\nclock 1\n",
                                        "finch-soci-doctor 1\nclock\nend\n"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct doctor_facts facts = {.count = 0};
        struct err err = ERR_NONE;

        assert_int_equal(doctor_facts_parse(bytes_of_str(texts[i]), &facts, &err), -EBADMSG);
    }
}

static void facts_without_an_end_are_refused(void **state)
{
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    struct doctor_facts facts = {.count = 0};
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(buf_add_str(&text, "finch-soci-doctor 1\n"));
    for (int i = 0; i < DOCTOR_FACTS_MAX + 1; i++)
        assert_ok(buf_add_str(&text, "disk a\n"));
    assert_ok(buf_add_str(&text, "end\n"));
    assert_int_equal(doctor_facts_parse(buf_bytes(&text), &facts, &err), -EBADMSG);
}

static void more_findings_than_fit_are_dropped(void **state)
{
    struct doctor_finding finding = {.area = "x"};

    (void)state;
    memset(&doctor, 0, sizeof(doctor)); /* too large for a literal on the stack */
    for (int i = 0; i < 3 * DOCTOR_FINDINGS_MAX; i++) {
        (void)snprintf(finding.text, sizeof(finding.text), "%d\033[2J", i);
        doctor_add(&doctor, &finding);
        doctor_add_done(&doctor, finding.text);
    }
    assert_int_equal(doctor.count, DOCTOR_FINDINGS_MAX);
    assert_int_equal(doctor.done_count, DOCTOR_DONE_MAX);
    assert_null(strchr(doctor.findings[0].text, '\033'));
}

static void what_was_found_is_shown_and_encoded(void **state)
{
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    SCOPED(buf_value) struct buf json = BUF_EMPTY;
    const struct report_style style = {.width = 0};

    (void)state;
    judge("fuse-device yes\nsocket stale\n", &vm_context);
    doctor_add_done(&doctor, "started \"it\"");
    assert_ok(doctor_print(&doctor, &style, &text));
    assert_string_equal(
        buf_str(&text),
        "fixed: started \"it\"\n"
        "!!  socket  nobody listens on the snapshotter's socket, and it is still there\n"
        "            mend: finch-soci doctor --fix\n");
    assert_ok(doctor_encode(&doctor, &json));
    assert_string_equal(
        buf_str(&json),
        "{\"well\":false,\"findings\":[{\"area\":\"socket\",\"wrong\":true,\"text\":\"nobody "
        "listens on the snapshotter's socket, and it is still there\",\"mend\":\"finch-soci doctor "
        "--fix\",\"fixable\":true}],\"fine\":[],\"fixed\":[\"started \\\"it\\\"\"]}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_machine_that_is_well_has_no_findings),
        cmocka_unit_test(a_kernel_without_fuse_is_wrong_and_one_without_erofs_is_a_note),
        cmocka_unit_test(a_clock_is_compared_with_ours_before_and_after),
        cmocka_unit_test(what_was_looked_at_and_is_fine_is_told_too),
        cmocka_unit_test(what_is_wrong_is_not_told_to_be_fine),
        cmocka_unit_test(a_boot_disk_that_is_full_has_its_journal_made_smaller),
        cmocka_unit_test(a_full_disk_is_told_once_however_many_directories_it_has),
        cmocka_unit_test(a_small_disk_with_room_is_not_full),
        cmocka_unit_test(nerdctl_2_3_needs_the_transfer_settings_of_containerd_2),
        cmocka_unit_test(what_competes_is_told_with_its_name),
        cmocka_unit_test(a_daemon_of_systemds_or_one_that_was_replaced_is_no_other),
        cmocka_unit_test(a_unit_that_cannot_start_is_told_with_the_reason),
        cmocka_unit_test(a_denial_of_selinux_is_told),
        cmocka_unit_test(a_command_holds_no_words_of_an_enemys),
        cmocka_unit_test(on_this_system_commands_need_no_way),
        cmocka_unit_test(facts_that_make_no_sense_are_refused),
        cmocka_unit_test(facts_without_an_end_are_refused),
        cmocka_unit_test(more_findings_than_fit_are_dropped),
        cmocka_unit_test(what_was_found_is_shown_and_encoded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
