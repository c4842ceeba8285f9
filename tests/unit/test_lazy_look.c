/* SPDX-License-Identifier: Apache-2.0 */
/* test_lazy_look.c – a layer that uses directories without listing them is mounted only where they
 * look as they are made. */
#include "entries_as_ztoc.h"

#include "base/files.h"
#include "lazy/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

struct world {
    char root[64];
    struct text_list lowers;
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    (void)snprintf(w->root, sizeof(w->root), "/tmp/test-lazy-look.XXXXXX");
    assert_non_null(mkdtemp(w->root));
    assert_ok(text_list_add(&w->lowers, w->root));
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    struct err err = ERR_NONE;

    assert_ok(dir_remove_all(w->root, &err));
    text_list_fini(&w->lowers);
    free(w);
    return 0;
}

static void below(const struct world *w, const char *path, mode_t mode)
{
    SCOPED(mem) char *dir = path_join(w->root, path);
    struct err err = ERR_NONE;

    assert_ok(dir_make_all(dir, 0755, &err));
    assert_ok(chmod(dir, mode));
}

static int check(const struct entry *entries, size_t count, const struct text_list *lowers,
                 struct err *err)
{
    struct ztoc toc = {.entries = entries, .count = count};
    SCOPED(tree) struct tree *tree = NULL;

    assert_ok(tree_build(&toc, &tree, err));
    return lazy_check_look(tree, lowers, err);
}

static void a_directory_that_looks_otherwise_below_keeps_its_layer_from_being_mounted(void **state)
{
    static const struct entry entries[] = {{.name = "plain/new/file"}, {.name = "a/tmp/file"}};
    struct world *w = *state;
    struct err err = ERR_NONE;

    below(w, "plain", 0755);
    below(w, "a", 0755);
    below(w, "a/tmp", 01777);
    assert_int_equal(check(entries, 2, &w->lowers, &err), -EOPNOTSUPP);
    assert_string_equal(err_text(&err), "directory a/tmp looks otherwise in a layer below");
    assert_ok(check(entries, 1, &w->lowers, &err));
    assert_ok(check(entries, 2, NULL, &err)); /* nothing is below */
}

static void a_directory_that_the_layer_lists_looks_as_it_says(void **state)
{
    static const struct entry entries[] = {{.name = "tmp/", .type = ZTOC_DIR, .mode = 0700},
                                           {.name = "tmp/file"}};
    struct world *w = *state;
    struct err err = ERR_NONE;

    below(w, "tmp", 01777);
    assert_ok(check(entries, ARRAY_LEN(entries), &w->lowers, &err));
}

static void what_is_below_no_directory_is_not_looked_for(void **state)
{
    static const struct entry entries[] = {{.name = "gone/tmp/file"}};
    struct world *w = *state;
    SCOPED(mem) char *link = path_join(w->root, "gone");
    struct err err = ERR_NONE;

    below(w, "other/tmp", 01777);
    assert_ok(check(entries, 1, &w->lowers, &err));
    assert_ok(symlink("other", link)); /* as the way of an entry goes */
    assert_int_equal(check(entries, 1, &w->lowers, &err), -EOPNOTSUPP);
}

static void lowers_that_cannot_be_asked_are_an_error(void **state)
{
    static const struct entry entries[] = {{.name = "a/file"}};
    struct world *w = *state;
    struct err err = ERR_NONE;

    free(w->lowers.items[0]);
    w->lowers.items[0] = text_format("%s/nowhere", w->root);
    assert_int_equal(check(entries, 1, &w->lowers, &err), -ENOENT);
    assert_non_null(strstr(err_text(&err), "directory a: "));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_directory_that_looks_otherwise_below_keeps_its_layer_from_being_mounted),
        TEST(a_directory_that_the_layer_lists_looks_as_it_says),
        TEST(what_is_below_no_directory_is_not_looked_for),
        TEST(lowers_that_cannot_be_asked_are_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
