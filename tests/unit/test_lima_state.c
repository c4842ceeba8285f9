/* SPDX-License-Identifier: Apache-2.0 */
/* test_lima_state.c – where Finch and its machine are found, and the machine's state, with a
 * limactl that prints what a file says. */
#include "test.h"

#include "base/files.h"
#include "base/text.h"
#include "lima/lima.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

/* DIR/Finch/bin/finch, DIR/Finch/lima/bin/limactl, DIR/data/finch */
struct world {
    char dir[64];
    struct lima_places places;
    bool has_wsl;
};

static char *in(const struct world *world, const char *path)
{
    char *joined = path_join(world->dir, path);

    assert_non_null(joined);
    return joined;
}

static void write_file(const struct world *world, const char *path, const char *text, mode_t mode)
{
    SCOPED(mem) char *whole = in(world, path);
    SCOPED(mem) char *dir = text_copy(whole);

    *strrchr(dir, '/') = '\0';
    assert_ok(dir_make_all(dir, 0755, NULL));
    assert_ok(file_replace(whole, bytes_of_str(text), mode, NULL));
}

static void find(struct world *world)
{
    SCOPED(mem) char *root = in(world, "Finch");
    SCOPED(mem) char *home = in(world, "data");
    const struct lima_options options = {.finch_root = root, .lima_home = home};
    struct err err = ERR_NONE;

    lima_places_fini(&world->places);
    assert_ok(lima_find(&options, &world->places, &err));
    if (world->has_wsl) {
        free(world->places.wsl);
        world->places.wsl = in(world, "system/wsl");
    }
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof(*world));

    assert_non_null(world);
    (void)snprintf(world->dir, sizeof(world->dir), "/tmp/lima-test-XXXXXX");
    assert_non_null(mkdtemp(world->dir));
    write_file(world, "Finch/bin/finch", "#!/bin/sh\n", 0755);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    lima_places_fini(&world->places);
    assert_ok(dir_remove_all(world->dir, NULL));
    free(world);
    return 0;
}

/* As on Windows: a program that prints these lines. */
static void wsl_prints(struct world *world, const char *commands)
{
    SCOPED(mem) char *script = text_format("#!/bin/sh\n%s\n", commands);

    write_file(world, "system/wsl", script, 0755);
    world->has_wsl = true;
}

static void assert_state(struct world *world, enum lima_state wanted, const char *problem)
{
    SCOPED(lima_machine) struct lima_machine machine = {.state = LIMA_NONE};
    struct err err = ERR_NONE;

    find(world);
    assert_ok(lima_look(&world->places, 20000, &machine, &err));
    assert_int_equal(machine.state, wanted);
    if (problem == NULL)
        assert_null(machine.problem);
    else
        assert_non_null(strstr(machine.problem, problem));
}

static void limactl_prints(struct world *world, const char *commands)
{
    SCOPED(mem) char *script = text_format("#!/bin/sh\n%s\n", commands);

    write_file(world, "Finch/lima/bin/limactl", script, 0755);
}

/* ---- places ---------------------------------------------------------------------------------- */

static void the_places_follow_from_the_root(void **state)
{
    struct world *world = *state;
    SCOPED(mem) char *limactl = in(world, "Finch/lima/bin/limactl");
    SCOPED(mem) char *finch = in(world, "Finch/bin/finch");
    SCOPED(mem) char *dir = in(world, "data/finch");

    limactl_prints(world, "exit 0");
    find(world);
    assert_string_equal(world->places.finch, finch);
    assert_string_equal(world->places.limactl, limactl);
    assert_string_equal(world->places.instance, "finch");
    assert_string_equal(world->places.instance_dir, dir);
}

static void the_program_that_a_link_in_path_leads_to_tells_the_root(void **state)
{
    struct world *world = *state;
    SCOPED(mem) char *link = in(world, "path/finch");
    SCOPED(mem) char *path = in(world, "path");
    SCOPED(mem) char *root = in(world, "Finch");
    SCOPED(mem) char *before = text_copy(getenv("PATH"));
    SCOPED(lima_places) struct lima_places places = {.finch = NULL};
    const struct lima_options options = {.lima_home = "/nowhere"};

    assert_ok(dir_make_all(path, 0755, NULL));
    assert_int_equal(symlink("../Finch/bin/finch", link), 0);
    assert_int_equal(setenv("PATH", path, 1), 0);
    assert_ok(lima_find(&options, &places, NULL));
    assert_int_equal(setenv("PATH", before, 1), 0);
    assert_string_equal(places.finch_root, root);
}

static void an_instance_is_a_name_and_no_path(void **state)
{
    static const char *const names[] = {"../x", "a/b", ".", ".hidden"};
    struct world *world = *state;

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        SCOPED(lima_places) struct lima_places places = {.finch = NULL};
        const struct lima_options options = {
            .finch_root = world->dir, .lima_home = "/x", .instance = names[i]};

        assert_int_equal(lima_find(&options, &places, NULL), -EINVAL);
    }
}

/* ---- state ----------------------------------------------------------------------------------- */

static void limactl_is_asked_with_the_home_that_was_found(void **state)
{
    struct world *world = *state;

    limactl_prints(world,
                   "[ \"$1 $2\" = 'ls --json' ] && [ \"${LIMA_HOME##*/}\" = data ] || exit 9\n"
                   "echo '{\"name\":\"finch\",\"status\":\"Running\",\"sshLocalPort\":60022}'");
    assert_state(world, LIMA_RUNNING, NULL);
}

static void no_line_is_no_machine(void **state)
{
    struct world *world = *state;

    limactl_prints(world, "echo 'level=warning msg=\"No instance found\"' >&2");
    assert_state(world, LIMA_NONE, NULL);
}

static void without_limactl_the_files_speak(void **state)
{
    struct world *world = *state;
    SCOPED(mem) char *mine = text_format("%d\n", (int)getpid());

    limactl_prints(world, "echo 'level=fatal msg=\"must not run as root\"' >&2; exit 1");
    assert_state(world, LIMA_NONE, NULL);
    write_file(world, "data/finch/lima.yaml", "vmType: vz\n", 0644);
    assert_state(world, LIMA_STOPPED, "must not run as root");
    write_file(world, "data/finch/ha.pid", mine, 0644);
    assert_state(world, LIMA_BROKEN, "must not run as root");
    write_file(world, "data/finch/vz.pid", mine, 0644);
    assert_state(world, LIMA_RUNNING, "must not run as root");
}

static void pid_files_of_the_dead_are_a_broken_machine(void **state)
{
    static const char *const pids[] = {"", "garbage", "99999999999999999999", "0", "-1"};
    struct world *world = *state;

    limactl_prints(world, "exit 3");
    write_file(world, "data/finch/lima.yaml", "vmType: vz\n", 0644);
    for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
        write_file(world, "data/finch/ha.pid", pids[i], 0644);
        write_file(world, "data/finch/vz.pid", pids[i], 0644);
        assert_state(world, LIMA_BROKEN, "exit status 3");
    }
}

static void a_limactl_that_hangs_is_ended(void **state)
{
    struct world *world = *state;
    SCOPED(lima_machine) struct lima_machine machine = {.state = LIMA_NONE};

    limactl_prints(world, "sleep 1000 & wait");
    write_file(world, "data/finch/lima.yaml", "vmType: vz\n", 0644);
    find(world);
    assert_ok(lima_look(&world->places, 300, &machine, NULL));
    assert_int_equal(machine.state, LIMA_STOPPED);
    assert_non_null(strstr(machine.problem, "no end within its time"));
}

#define WSL_LINE(state) "echo '* lima-finch  " state "  2'"

static void without_limactl_wsl_speaks(void **state)
{
    struct world *world = *state;

    wsl_prints(world, "[ \"$*\" = '--list --verbose' ] || exit 9\n" WSL_LINE("Running"));
    assert_state(world, LIMA_NONE, NULL); /* a distribution that is no instance */
    write_file(world, "data/finch/lima.yaml", "vmType: wsl2\n", 0644);
    assert_state(world, LIMA_RUNNING, NULL);
    wsl_prints(world, WSL_LINE("Stopped"));
    assert_state(world, LIMA_STOPPED, NULL);
    wsl_prints(world, WSL_LINE("Exporting"));
    assert_state(world, LIMA_BROKEN, "Exporting");
    wsl_prints(world, "echo '  other  Running  2'");
    assert_state(world, LIMA_NONE, NULL);
    limactl_prints(world, "exit 3");
    wsl_prints(world, WSL_LINE("Running"));
    assert_state(world, LIMA_RUNNING, "exit status 3");
}

static void what_limactl_says_is_not_asked_of_wsl(void **state)
{
    struct world *world = *state;

    wsl_prints(world, WSL_LINE("Running"));
    write_file(world, "data/finch/lima.yaml", "vmType: wsl2\n", 0644);
    limactl_prints(world, "echo '{\"name\":\"finch\",\"status\":\"Stopped\"}'");
    assert_state(world, LIMA_STOPPED, NULL);
}

/* A distribution of WSL has no driver's file. */
static void where_wsl_says_nothing_the_host_agent_speaks(void **state)
{
    struct world *world = *state;
    SCOPED(mem) char *mine = text_format("%d\n", (int)getpid());
    static const char *const silent[] = {"exit 1", "echo 'no distributions'", "printf ''"};

    write_file(world, "data/finch/lima.yaml", "vmType: wsl2\n", 0644);
    for (size_t i = 0; i < ARRAY_LEN(silent); i++) {
        SCOPED(mem) char *agent = in(world, "data/finch/ha.pid");

        wsl_prints(world, silent[i]);
        assert_state(world, LIMA_STOPPED, NULL);
        write_file(world, "data/finch/ha.pid", mine, 0644);
        assert_state(world, LIMA_RUNNING, NULL);
        assert_ok(file_unlink(agent, NULL));
    }
}

static void ssh_config_is_found_in_the_instance(void **state)
{
    struct world *world = *state;
    SCOPED(lima_ssh) struct lima_ssh ssh = {.port = 0};
    struct err err = ERR_NONE;

    find(world);
    assert_int_equal(lima_read_ssh(&world->places, &ssh, &err), -ENOENT);
    write_file(world, "data/finch/ssh.config",
               "Host lima-finch\n Hostname 127.0.0.1\n Port 4\n User u\n IdentityFile k\n"
               " StrictHostKeyChecking no\n",
               0600);
    assert_ok(lima_read_ssh(&world->places, &ssh, &err));
    assert_int_equal(ssh.port, 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_places_follow_from_the_root),
        TEST(the_program_that_a_link_in_path_leads_to_tells_the_root),
        TEST(an_instance_is_a_name_and_no_path),
        TEST(limactl_is_asked_with_the_home_that_was_found),
        TEST(no_line_is_no_machine),
        TEST(without_limactl_the_files_speak),
        TEST(pid_files_of_the_dead_are_a_broken_machine),
        TEST(a_limactl_that_hangs_is_ended),
        TEST(without_limactl_wsl_speaks),
        TEST(what_limactl_says_is_not_asked_of_wsl),
        TEST(where_wsl_says_nothing_the_host_agent_speaks),
        TEST(ssh_config_is_found_in_the_instance),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
