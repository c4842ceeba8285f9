/* SPDX-License-Identifier: Apache-2.0 */
/* test_platform_darwin_hook.c – an agent of launchd is installed, found and removed. launchctl is a
 * script that remembers what it was told in the directory $LAUNCHD:
 *   session    there is a graphical session      agents/NAME  NAME is known to launchd
 *   slow       so often a booted-out agent is still known        refuse  it takes no agent
 *   running    what it says of an agent's state */
#include "test.h"

#include "base/text.h"
#include "platform/platform.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char launchctl[] =
    "#!/bin/sh\n"
    "cd \"$LAUNCHD\" || exit 99\n"
    "echo \"$*\" >>said\n"
    "name=${2##*/}\n"
    "case $1 in\n"
    "print)\n"
    "    case $2 in gui/*/*) ;; *) [ -e session ] || exit 125; exit 0 ;; esac\n"
    "    if [ -e agents/$name ]; then\n"
    "        if [ -s leaving ]; then\n"
    "            sed -i 1d leaving\n"
    "            [ -s leaving ] || rm agents/$name\n"
    "        fi\n"
    "        printf '%s = {\\n\\tstate = %s\\n}\\n' \"$2\" \"$(cat running)\"\n"
    "        exit 0\n"
    "    fi\n"
    "    echo 'Could not find service' >&2; exit 113 ;;\n"
    "enable) exit 0 ;;\n"
    "bootstrap)\n"
    "    [ -e session ] || exit 125\n"
    "    if [ -e refuse ]; then echo 'Bootstrap failed: 5: Input/output error' >&2; exit 5; fi\n"
    "    name=$(basename \"$3\" .plist)\n"
    "    if [ -e \"agents/$name\" ]; then echo 'Bootstrap failed: 37' >&2; exit 37; fi\n"
    "    cp \"$3\" agents/$name ;;\n"
    "bootout)\n"
    "    [ -e agents/$name ] || exit 3\n"
    "    if [ -e slow ]; then cp slow leaving; exit 36; fi\n"
    "    rm agents/$name ;;\n"
    "*) exit 64 ;;\n"
    "esac\n";

struct world {
    char dir[64];
    char *agent; /* the file */
};

static void put(struct world *world, const char *name, const char *text, mode_t mode)
{
    SCOPED(mem) char *path = path_join(world->dir, name);

    assert_ok(file_replace(path, bytes_of_str(text), mode, NULL));
}

static bool has(struct world *world, const char *name)
{
    SCOPED(mem) char *path = path_join(world->dir, name);

    return path_exists(path);
}

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    SCOPED(mem) char *agents = NULL, *path = NULL;

    assert_non_null(world);
    strcpy(world->dir, "/tmp/test-launchd-XXXXXX");
    assert_non_null(mkdtemp(world->dir));
    agents = path_join(world->dir, "agents");
    path = text_format("%s:/usr/bin:/bin", world->dir);
    world->agent = path_join(world->dir, "Library/LaunchAgents/finch-soci.plist");
    assert_ok(dir_make_all(agents, 0700, NULL));
    put(world, "launchctl", launchctl, 0700);
    put(world, "session", "", 0600);
    put(world, "running", "running", 0600);
    assert_int_equal(setenv("HOME", world->dir, 1), 0);
    assert_int_equal(setenv("LAUNCHD", world->dir, 1), 0);
    assert_int_equal(setenv("PATH", path, 1), 0);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;

    assert_ok(dir_remove_all(world->dir, NULL));
    free(world->agent);
    free(world);
    return 0;
}

static int install(const char *text, char **note, struct err *err)
{
    static const char *const argv[] = {"/bin/finch-soci", "hook", "watch", NULL};
    const struct platform_hook hook = {
        .name = "finch-soci", .text = bytes_of_str(text), .argv = argv};

    return platform_hook_install(&hook, note, err);
}

static void assert_state(enum platform_hook_state wanted, const char *where)
{
    enum platform_hook_state found;
    SCOPED(mem) char *path = NULL;

    assert_ok(platform_hook_find("finch-soci", &found, &path, NULL));
    assert_int_equal(found, wanted);
    if (where == NULL)
        assert_null(path);
    else
        assert_string_equal(path, where);
}

static void an_agent_is_what_macos_calls_it(void **state)
{
    (void)state;
    assert_int_equal(platform_hook_form, PLATFORM_HOOK_AGENT);
}

static void an_agent_is_written_and_handed_to_launchd(void **state)
{
    struct world *world = *state;
    SCOPED(buf_value) struct buf said = BUF_EMPTY;
    SCOPED(mem) char *note = NULL, *log = path_join(world->dir, "said"), *line = NULL;

    assert_state(PLATFORM_HOOK_NONE, NULL);
    assert_ok(install("<plist/>\n", &note, NULL));
    assert_null(note);
    assert_true(has(world, "agents/finch-soci"));
    assert_state(PLATFORM_HOOK_RUNS, world->agent);
    assert_ok(file_read(log, 10000, &said, NULL));
    line = text_format("bootstrap gui/%u %s\n", (unsigned)getuid(), world->agent);
    assert_non_null(strstr(buf_str(&said), line));
    put(world, "running", "spawn scheduled", 0600);
    assert_state(PLATFORM_HOOK_IDLE, world->agent);
}

static void the_one_before_is_waited_for_and_replaced(void **state)
{
    struct world *world = *state;
    SCOPED(buf_value) struct buf known = BUF_EMPTY;
    SCOPED(mem) char *note = NULL, *agent = path_join(world->dir, "agents/finch-soci");

    assert_ok(install("<old/>\n", &note, NULL));
    put(world, "slow", "1\n2\n3\n", 0600);
    assert_ok(install("<new/>\n", &note, NULL));
    assert_ok(file_read(agent, 1000, &known, NULL));
    assert_string_equal(buf_str(&known), "<new/>\n");
}

static void without_a_session_it_waits_for_the_next_one(void **state)
{
    struct world *world = *state;
    SCOPED(mem) char *note = NULL, *session = path_join(world->dir, "session");

    assert_int_equal(unlink(session), 0);
    assert_ok(install("<plist/>\n", &note, NULL));
    assert_non_null(note);
    assert_false(has(world, "agents/finch-soci"));
    assert_state(PLATFORM_HOOK_IDLE, world->agent);
    assert_int_equal(platform_hook_remove("finch-soci", NULL), 1);
    assert_state(PLATFORM_HOOK_NONE, NULL);
}

static void one_that_launchd_refuses_leaves_nothing(void **state)
{
    struct world *world = *state;
    SCOPED(mem) char *note = NULL;
    struct err err = ERR_NONE;

    put(world, "refuse", "", 0600);
    assert_int_equal(install("<plist/>\n", &note, &err), -EIO);
    assert_non_null(strstr(err.text, "Input/output error"));
    assert_state(PLATFORM_HOOK_NONE, NULL);
}

static void removing_ends_it_and_a_second_time_there_is_none(void **state)
{
    struct world *world = *state;
    SCOPED(mem) char *note = NULL;

    assert_ok(install("<plist/>\n", &note, NULL));
    assert_int_equal(platform_hook_remove("finch-soci", NULL), 1);
    assert_false(has(world, "agents/finch-soci"));
    assert_false(path_exists(world->agent));
    assert_int_equal(platform_hook_remove("finch-soci", NULL), 0);
}

static void an_agent_whose_file_is_gone_is_ended_all_the_same(void **state)
{
    struct world *world = *state;
    SCOPED(mem) char *note = NULL;

    assert_ok(install("<plist/>\n", &note, NULL));
    assert_int_equal(unlink(world->agent), 0);
    assert_ok(platform_hook_remove("finch-soci", NULL));
    assert_false(has(world, "agents/finch-soci"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_agent_is_what_macos_calls_it),
        TEST(an_agent_is_written_and_handed_to_launchd),
        TEST(the_one_before_is_waited_for_and_replaced),
        TEST(without_a_session_it_waits_for_the_next_one),
        TEST(one_that_launchd_refuses_leaves_nothing),
        TEST(removing_ends_it_and_a_second_time_there_is_none),
        TEST(an_agent_whose_file_is_gone_is_ended_all_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
