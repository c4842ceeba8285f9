/* SPDX-License-Identifier: Apache-2.0 */
/* test_guest_plan.c – from recorded facts to steps: what is planned, what is left alone, what is
 * refused. */
#include "guest_rig.h"

#include <errno.h>

static const struct guest_options no_options = {.now = false};

static struct guest_plan *plan_of(const struct guest_facts *facts,
                                  const struct guest_options *options)
{
    struct guest_plan *plan = NULL;
    struct err err = ERR_NONE;

    if (guest_plan_new(facts, options, rig_bundle(), &plan, &err) < 0)
        fail_msg("%s", err_text(&err));
    return plan;
}

static const struct guest_step *find_step(const struct guest_plan *plan, const char *path)
{
    for (size_t i = 0; i < plan->count; i++)
        if (plan->steps[i].path != NULL && strcmp(plan->steps[i].path, path) == 0)
            return &plan->steps[i];
    return NULL;
}

static size_t place_of(const struct guest_plan *plan, const char *path)
{
    const struct guest_step *step = find_step(plan, path);

    assert_non_null(step);
    return (size_t)(step - plan->steps);
}

static bool holds(const struct guest_step *step, const char *text)
{
    return memmem(step->content.data, step->content.len, text, strlen(text)) != NULL;
}

/* The recorded programs become those of the test's bundle. */
static struct guest_facts *facts_with_our_programs(const char *name)
{
    SCOPED(mem) char *vector = text_format("guest/%s.facts", name);
    struct buf *text = vector_load(vector);
    const char *const contents[] = {RIG_SOCI, RIG_DAEMON};
    const char *const lines[] = {" /usr/local/bin/soci\n",
                                 " /usr/local/bin/soci-snapshotter-grpc\n"};
    struct guest_facts *facts;

    for (size_t i = 0; i < 2; i++) {
        char *found = strstr(buf_str(text), lines[i]);
        char old[65] = "", hex[65];
        struct digest digest;

        assert_non_null(found);
        memcpy(old, found - 64, 64);
        assert_ok(digest_of(bytes_of_str(contents[i]), &digest));
        digest_hex(&digest, hex);
        rig_replace(text, old, hex);
    }
    facts = rig_parse(text);
    buf_free(text);
    return facts;
}

static void a_fresh_machine_gets_everything(void **state)
{
    static const char *const paths[] = {
        /* NOLINTNEXTLINE(bugprone-suspicious-missing-comma): some names are made of another */
        GUEST_PROGRAM,        GUEST_SOCI,   GUEST_UNIT,          GUEST_FINCH_CONF,
        GUEST_DROP_IN,        GUEST_WANTED, GUEST_DAEMON_CONFIG, GUEST_CONTAINERD_DROP_IN,
        GUEST_CONTAINERD_PART};
    SCOPED(guest_facts) struct guest_facts *facts = rig_facts("lima-containerd-2.4");
    SCOPED(guest_plan) struct guest_plan *plan = plan_of(facts, &no_options);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        assert_non_null(find_step(plan, paths[i]));
    assert_null(find_step(plan, GUEST_CONTAINERD_CONFIG));
    assert_true(holds(find_step(plan, GUEST_DROP_IN),
                      "Environment=\"DOCKER_CONFIG=/home/u.guest/.finch-vm-config\"\n"));
    assert_true(holds(find_step(plan, GUEST_DROP_IN), "SUDO_UID=501\n"));
    assert_true(holds(find_step(plan, GUEST_DROP_IN), "EnvironmentFile=-/etc/environment\n"));
}

static void soci_comes_after_all_that_finchs_script_would_install_with_it(void **state)
{
    SCOPED(guest_facts) struct guest_facts *facts = rig_facts("lima-containerd-2.4");
    SCOPED(guest_plan) struct guest_plan *plan = plan_of(facts, &no_options);
    size_t soci = place_of(plan, GUEST_SOCI);

    (void)state;
    assert_true(soci > place_of(plan, GUEST_PROGRAM));
    assert_true(soci > place_of(plan, GUEST_UNIT));
    assert_true(soci > place_of(plan, GUEST_FINCH_CONF));
    assert_true(soci > place_of(plan, GUEST_WANTED));
}

static void the_second_plan_is_empty(void **state)
{
    SCOPED(guest_facts) struct guest_facts *facts = facts_with_our_programs("applied");
    SCOPED(guest_plan) struct guest_plan *plan = plan_of(facts, &no_options);

    (void)state;
    assert_true(guest_plan_is_empty(plan));
}

static void another_version_of_ours_is_replaced_and_nothing_else(void **state)
{
    SCOPED(guest_facts) struct guest_facts *facts = rig_facts("applied");
    SCOPED(guest_plan) struct guest_plan *plan = plan_of(facts, &no_options);

    (void)state;
    assert_int_equal(plan->count, 2);
    assert_string_equal(find_step(plan, GUEST_PROGRAM)->effects, "daemon");
    assert_string_equal(find_step(plan, GUEST_SOCI)->effects, "none");
}

static void what_somebody_removed_comes_back_alone(void **state)
{
    SCOPED(guest_facts) struct guest_facts *facts = facts_with_our_programs("reset");
    SCOPED(guest_plan) struct guest_plan *plan = plan_of(facts, &no_options);

    (void)state;
    assert_int_equal(plan->count, 1);
    assert_string_equal(plan->steps[0].path, GUEST_CONTAINERD_PART);
    assert_string_equal(plan->steps[0].effects, "containerd");
}

static void a_users_config_is_kept_and_merged_with_force_alone(void **state)
{
    const struct guest_options force = {.force = true};
    SCOPED(guest_facts) struct guest_facts *facts = facts_with_our_programs("own-config");
    SCOPED(guest_plan) struct guest_plan *kept = plan_of(facts, &no_options);
    SCOPED(guest_plan) struct guest_plan *merged = plan_of(facts, &force);

    (void)state;
    assert_null(find_step(kept, GUEST_DAEMON_CONFIG));
    assert_true(holds(find_step(merged, GUEST_DAEMON_CONFIG), "# mine\n"));
    assert_true(
        holds(find_step(merged, GUEST_DAEMON_CONFIG), "[pull_modes.soci_v2]\nenable = true"));
}

static void a_run_that_was_killed_is_brought_to_its_end(void **state)
{
    struct buf *text = vector_load("guest/applied.facts");
    SCOPED(guest_facts) struct guest_facts *facts = NULL;
    SCOPED(guest_plan) struct guest_plan *plan = NULL;

    (void)state;
    rig_replace(text, "\nanswers yes\n", "\npending reload daemon \n");
    facts = rig_parse(text);
    buf_free(text);
    plan = plan_of(facts, &no_options);
    assert_false(guest_plan_is_empty(plan));
}

static void another_snapshotter_is_taken_over_first(void **state)
{
    SCOPED(guest_facts) struct guest_facts *facts = rig_facts("other-snapshotter");
    SCOPED(guest_plan) struct guest_plan *plan = plan_of(facts, &no_options);

    (void)state;
    assert_int_equal(plan->steps[0].verb, GUEST_SWAP);
}

static void running_containers_are_named_and_not_disturbed(void **state)
{
    const struct guest_options now = {.now = true};
    struct buf *text = vector_load("guest/other-snapshotter.facts");
    SCOPED(guest_facts) struct guest_facts *facts = NULL;
    struct guest_plan *refused = NULL;
    struct err err = ERR_NONE;

    (void)state;
    rig_replace(text, "\nend ", "\nrunning finch/0123456789abcdef\nend ");
    facts = rig_parse(text);
    buf_free(text);
    assert_int_equal(guest_plan_new(facts, &no_options, rig_bundle(), &refused, &err), -EBUSY);
    assert_null(refused);
    assert_non_null(strstr(err_text(&err), "0123456789ab"));
    guest_plan_free(plan_of(facts, &now));
}

static void an_older_one_of_ours_that_serves_running_containers_is_left(void **state)
{
    const struct guest_options now = {.now = true};
    struct buf *text = vector_load("guest/applied.facts");
    SCOPED(guest_facts) struct guest_facts *facts = NULL;
    struct guest_plan *refused = NULL;
    struct err err = ERR_NONE;

    (void)state;
    rig_replace(text, "\nend ", "\nrunning finch/0123456789abcdef\nend ");
    facts = rig_parse(text);
    assert_int_equal(guest_plan_new(facts, &no_options, rig_bundle(), &refused, &err), -EBUSY);
    assert_non_null(strstr(err_text(&err), "restarted"));
    assert_non_null(strstr(err_text(&err), "0123456789ab"));
    guest_plan_free(plan_of(facts, &now));
    guest_facts_free(facts);
    rig_replace(text, "\nanswers yes", "\nanswers no");
    facts = rig_parse(text);
    buf_free(text);
    guest_plan_free(plan_of(facts, &no_options)); /* it does not serve: there is nothing to lose */
}

static void of_many_containers_ten_are_named_and_the_rest_counted(void **state)
{
    struct buf *text = vector_load("guest/other-snapshotter.facts");
    SCOPED(buf_value) struct buf lines = BUF_EMPTY;
    SCOPED(guest_facts) struct guest_facts *facts = NULL;
    struct guest_plan *refused = NULL;
    struct err err = ERR_NONE;

    (void)state;
    for (unsigned i = 10; i < 22; i++)
        assert_ok(buf_addf(&lines, "\nrunning finch/container-%u", i));
    assert_ok(buf_add_str(&lines, "\nend "));
    rig_replace(text, "\nend ", buf_str(&lines));
    facts = rig_parse(text);
    buf_free(text);
    assert_int_equal(guest_plan_new(facts, &no_options, rig_bundle(), &refused, &err), -EBUSY);
    assert_non_null(strstr(err_text(&err), ": container-10, container-11, "));
    assert_string_equal(strstr(err_text(&err), ", container-19"), ", container-19 and 2 more");
}

static void finchs_package_keeps_its_unit_and_its_arguments(void **state)
{
    const struct guest_options by_default = {.is_default = true};
    SCOPED(guest_facts) struct guest_facts *facts = rig_facts("package");
    SCOPED(guest_plan) struct guest_plan *plan = plan_of(facts, &no_options);
    SCOPED(guest_plan) struct guest_plan *with = plan_of(facts, &by_default);

    (void)state;
    assert_null(find_step(plan, GUEST_UNIT));
    assert_null(find_step(plan, GUEST_WANTED));
    assert_true(holds(find_step(plan, GUEST_PACKAGE_DROP_IN),
                      "ExecStart=\nExecStart=/usr/local/bin/soci-snapshotter-grpc --config "
                      "/etc/finch/soci/soci-snapshotter-grpc.toml --root /var/lib/finch/soci\n"));
    assert_null(find_step(plan, GUEST_NERDCTL_CONFIG));
    assert_true(holds(find_step(with, GUEST_NERDCTL_CONFIG), "snapshotter = \"soci\"\n"));
    assert_true(holds(find_step(with, GUEST_NERDCTL_CONFIG), "namespace = \"finch\"\n"));
}

static void refused(const char *vector, const char *line, int rc, const char *why)
{
    SCOPED(mem) char *path = text_format("guest/%s.facts", vector);
    SCOPED(mem) char *end = text_format("\n%s\nend ", line);
    SCOPED(guest_facts) struct guest_facts *facts = NULL;
    SCOPED(buf) struct buf *text = vector_load(path);
    struct guest_plan *plan = NULL;
    struct err err = ERR_NONE;

    rig_replace(text, "\nend ", end);
    facts = rig_parse(text);
    assert_int_equal(guest_plan_new(facts, &no_options, rig_bundle(), &plan, &err), rc);
    assert_null(plan);
    if (strstr(err_text(&err), why) == NULL)
        fail_msg("no \"%s\" in: %s", why, err_text(&err));
}

static void a_second_daemon_beside_finchs_package_is_refused(void **state)
{
    (void)state;
    refused("package", "second-daemon soci-snapshotter.socket", -EEXIST,
            "`systemctl disable --now soci-snapshotter.socket`");
}

static void a_unit_that_would_run_in_place_of_ours_is_refused(void **state)
{
    (void)state;
    refused("lima-containerd-2.4",
            "other-unit /etc/systemd/system/soci-snapshotter.service /usr/bin/x", -EEXIST,
            "/etc/systemd/system/soci-snapshotter.service is another snapshotter's unit");
    refused("lima-containerd-2.4", "other-unit /run/systemd/transient/x", -EEXIST, "disable --now");
}

static void a_unit_that_runs_what_we_install_is_fine(void **state)
{
    static const char *const lines[] = {
        "\nother-unit /etc/systemd/system/soci-snapshotter.service " GUEST_PROGRAM "\nend ",
        "\nother-unit /usr/lib/systemd/system/soci-snapshotter.service /usr/bin/x\nend ",
        "\nsecond-daemon soci-snapshotter.service\nend ", /* no package: it is the only one */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        SCOPED(buf) struct buf *text = vector_load("guest/lima-containerd-2.4.facts");
        SCOPED(guest_facts) struct guest_facts *facts = NULL;

        rig_replace(text, "\nend ", lines[i]);
        facts = rig_parse(text);
        guest_plan_free(plan_of(facts, &no_options));
    }
}

static void the_file_that_containerd_reads_is_the_one_that_is_changed(void **state)
{
    SCOPED(buf) struct buf *text = vector_load("guest/containerd-1.6.facts");
    SCOPED(guest_facts) struct guest_facts *facts = NULL;
    SCOPED(guest_plan) struct guest_plan *plan = NULL;

    (void)state;
    rig_replace(text, " /etc/containerd/config.toml\n", " /srv/containerd/own.toml\n");
    rig_replace(text, "\nend ", "\ncontainerd-config /srv/containerd/own.toml\nend ");
    facts = rig_parse(text);
    plan = plan_of(facts, &no_options);
    assert_null(find_step(plan, GUEST_CONTAINERD_CONFIG));
    assert_int_equal(find_step(plan, "/srv/containerd/own.toml")->verb, GUEST_PUT_BLOCK);
    assert_string_equal(plan->containerd_config, "/srv/containerd/own.toml");
}

static void a_file_that_containerd_reads_and_we_cannot_is_refused(void **state)
{
    (void)state;
    refused("lima-containerd-2.4", "containerd-config /srv/not-there.toml", -ENOENT,
            "/srv/not-there.toml, which is no file");
    refused("lima-containerd-2.4", "containerd-config /srv/with space", -EINVAL, "rename it");
    refused("lima-containerd-2.4", "containerd-config /srv/*", -EINVAL, "rename it");
    refused("lima-containerd-2.4", "containerd-config relative", -EINVAL, "rename it");
}

static void a_machine_without_systemd_is_refused(void **state)
{
    SCOPED(guest_facts) struct guest_facts *facts = rig_facts("no-systemd");
    struct guest_plan *plan = NULL;
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(guest_plan_new(facts, &no_options, rig_bundle(), &plan, &err), -EOPNOTSUPP);
    assert_non_null(strstr(err_text(&err), "systemd"));
}

static void a_home_that_would_end_its_quotes_is_refused(void **state)
{
    struct buf *text = vector_load("guest/lima-containerd-2.4.facts");
    SCOPED(guest_facts) struct guest_facts *facts = NULL;
    struct guest_plan *plan = NULL;

    (void)state;
    rig_replace(text, "lima-HOME /home/u.guest", "lima-HOME /home/u\" \"LD_PRELOAD=/x");
    facts = rig_parse(text);
    buf_free(text);
    assert_int_equal(guest_plan_new(facts, &no_options, rig_bundle(), &plan, NULL), -EBADMSG);
    assert_null(plan);
}

static void the_daemon_waits_for_the_data_disk_where_there_is_one(void **state)
{
    struct buf *text = vector_load("guest/lima-containerd-2.4.facts");
    SCOPED(guest_facts) struct guest_facts *without = rig_parse(text);
    SCOPED(guest_facts) struct guest_facts *with = NULL;
    SCOPED(guest_plan) struct guest_plan *plan_without = plan_of(without, &no_options);
    SCOPED(guest_plan) struct guest_plan *plan_with = NULL;

    (void)state;
    rig_replace(text, "\nlima yes\n", "\nlima yes\ndata-disk yes\n");
    with = rig_parse(text);
    buf_free(text);
    plan_with = plan_of(with, &no_options);
    assert_false(holds(find_step(plan_without, GUEST_DROP_IN), "ConditionPathIsMountPoint"));
    assert_true(holds(find_step(plan_with, GUEST_DROP_IN),
                      "ConditionPathIsMountPoint=/var/lib/soci-snapshotter-grpc\n"));
}

static void a_plan_prints_as_a_diff(void **state)
{
    SCOPED(guest_facts) struct guest_facts *facts = rig_facts("containerd-1.6");
    SCOPED(guest_plan) struct guest_plan *plan = plan_of(facts, &no_options);
    SCOPED(buf_value) struct buf text = BUF_EMPTY;

    (void)state;
    assert_ok(guest_plan_print(plan, false, &text));
    assert_non_null(strstr(buf_str(&text), "--- /etc/containerd/config.toml\n"));
    assert_non_null(
        strstr(buf_str(&text), "\n # [proxy_plugins.soci] is not here\n+# finch-soci begin"));
    assert_non_null(strstr(buf_str(&text), "! restart containerd\n"));
    assert_null(strchr(buf_str(&text), '\033'));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fresh_machine_gets_everything),
        cmocka_unit_test(soci_comes_after_all_that_finchs_script_would_install_with_it),
        cmocka_unit_test(the_second_plan_is_empty),
        cmocka_unit_test(another_version_of_ours_is_replaced_and_nothing_else),
        cmocka_unit_test(what_somebody_removed_comes_back_alone),
        cmocka_unit_test(a_users_config_is_kept_and_merged_with_force_alone),
        cmocka_unit_test(a_run_that_was_killed_is_brought_to_its_end),
        cmocka_unit_test(another_snapshotter_is_taken_over_first),
        cmocka_unit_test(running_containers_are_named_and_not_disturbed),
        cmocka_unit_test(an_older_one_of_ours_that_serves_running_containers_is_left),
        cmocka_unit_test(of_many_containers_ten_are_named_and_the_rest_counted),
        cmocka_unit_test(finchs_package_keeps_its_unit_and_its_arguments),
        cmocka_unit_test(a_second_daemon_beside_finchs_package_is_refused),
        cmocka_unit_test(a_unit_that_would_run_in_place_of_ours_is_refused),
        cmocka_unit_test(a_unit_that_runs_what_we_install_is_fine),
        cmocka_unit_test(the_file_that_containerd_reads_is_the_one_that_is_changed),
        cmocka_unit_test(a_file_that_containerd_reads_and_we_cannot_is_refused),
        cmocka_unit_test(a_machine_without_systemd_is_refused),
        cmocka_unit_test(a_home_that_would_end_its_quotes_is_refused),
        cmocka_unit_test(the_daemon_waits_for_the_data_disk_where_there_is_one),
        cmocka_unit_test(a_plan_prints_as_a_diff),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
