/* SPDX-License-Identifier: Apache-2.0 */
/* test_platform_hook_file.c – the file of the hook comes with its directories, and goes with them.
 */
#include "test.h"

#include "base/text.h"
#include "platform/internal.h"

#include <stdlib.h>
#include <sys/stat.h>

struct world {
    char dir[64];
    char *path; /* four directories below it */
};

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof(*world));

    assert_non_null(world);
    strcpy(world->dir, "/tmp/test-hook-XXXXXX");
    assert_non_null(mkdtemp(world->dir));
    world->path = text_format("%s/a home/.config/systemd/user/x.service", world->dir);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;

    assert_ok(dir_remove_all(world->dir, NULL));
    free(world->path);
    free(world);
    return 0;
}

static char *below(struct world *world, const char *name)
{
    char *path = path_join(world->dir, name);

    assert_non_null(path);
    return path;
}

static void write_text(struct world *world, const char *text)
{
    assert_ok(posix_hook_write(world->path, bytes_of_str(text), "# ", NULL));
}

static void assert_holds(struct world *world, const char *text)
{
    SCOPED(buf_value) struct buf content = BUF_EMPTY;

    assert_ok(file_read(world->path, 10000, &content, NULL));
    assert_true(text_has_prefix(buf_str(&content), text));
}

static void directories_that_were_made_go_with_it(void **state)
{
    struct world *world = *state;
    SCOPED(mem) char *home = below(world, "a home"), *config = below(world, "a home/.config");

    assert_int_equal(mkdir(home, 0700), 0);
    write_text(world, "[Unit]\n");
    assert_holds(world, "[Unit]\n");
    assert_int_equal(posix_hook_unlink(world->path, "# ", NULL), 1);
    assert_false(path_exists(config));
    assert_true(path_exists(home));
}

static void directories_that_were_there_stay(void **state)
{
    struct world *world = *state;
    SCOPED(mem) char *config = below(world, "a home/.config");
    SCOPED(mem) char *systemd = below(world, "a home/.config/systemd");

    assert_ok(dir_make_all(config, 0700, NULL));
    write_text(world, "[Unit]\n");
    assert_int_equal(posix_hook_unlink(world->path, "# ", NULL), 1);
    assert_true(path_exists(config));
    assert_false(path_exists(systemd));
}

static void a_directory_that_others_use_by_now_stays(void **state)
{
    struct world *world = *state;
    SCOPED(mem) char *other = below(world, "a home/.config/systemd/other");
    SCOPED(mem) char *user = below(world, "a home/.config/systemd/user");

    write_text(world, "[Unit]\n");
    assert_int_equal(mkdir(other, 0700), 0);
    assert_int_equal(posix_hook_unlink(world->path, "# ", NULL), 1);
    assert_true(path_exists(other));
    assert_false(path_exists(user));
}

static void what_was_made_is_known_after_a_second_time(void **state)
{
    struct world *world = *state;
    SCOPED(mem) char *home = below(world, "a home");

    write_text(world, "[Unit]\n");
    write_text(world, "[Other]\n");
    assert_holds(world, "[Other]\n");
    assert_int_equal(posix_hook_unlink(world->path, "# ", NULL), 1);
    assert_false(path_exists(home));
}

static void one_that_is_not_there_is_not_removed(void **state)
{
    struct world *world = *state;

    assert_int_equal(posix_hook_unlink(world->path, "# ", NULL), 0);
}

static void a_file_that_names_a_directory_elsewhere_removes_none(void **state)
{
    struct world *world = *state;
    SCOPED(mem)
    char *empty = below(world, "empty"), *user = below(world, "a home/.config/systemd/user");
    SCOPED(mem) char *text = text_format("[Unit]\n# made for this: %s\n", empty);

    assert_int_equal(mkdir(empty, 0700), 0);
    assert_ok(dir_make_all(user, 0700, NULL));
    assert_ok(file_replace(world->path, bytes_of_str(text), 0600, NULL));
    assert_int_equal(posix_hook_unlink(world->path, "# ", NULL), 1);
    assert_true(path_exists(empty));
    assert_true(path_exists(user));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(directories_that_were_made_go_with_it),
        TEST(directories_that_were_there_stay),
        TEST(a_directory_that_others_use_by_now_stays),
        TEST(what_was_made_is_known_after_a_second_time),
        TEST(one_that_is_not_there_is_not_removed),
        TEST(a_file_that_names_a_directory_elsewhere_removes_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
