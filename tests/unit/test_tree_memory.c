/* SPDX-License-Identifier: Apache-2.0 */
/* test_tree_memory.c – every allocation of a build fails once: the answer is -ENOMEM, nothing leaks
 * (the asan preset looks) and nothing crashes. */
#include "entries_as_ztoc.h"
#include "failing_malloc.h"

#include "tree/tree.h"

#include <stdlib.h>

enum { ENTRIES = 700 }; /* enough for tables to grow */

/* Every kind of thing that allocates: made-up parents, symlinks on the way, attributes, whiteouts.
 */
static void fill(struct entry *entries, char (*names)[32])
{
    static const struct entry first[] = {
        {.name = "usr/lib/", .type = ZTOC_DIR},
        {.name = "lib", .type = ZTOC_SYMLINK, .link = "usr/lib"},
        {.name = "gone/.wh.x"},
        {.name = "opaque/.wh..wh..opq"},
    };

    for (size_t i = 0; i < ENTRIES; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "lib/d%zu/f%zu", i % 90, i);
        entries[i] = (struct entry){.name = names[i], .xattr = "SCHILY.xattr.user.a", .value = "v"};
    }
    memcpy(entries, first, sizeof(first));
}

static void any_allocation_that_fails_is_an_answer_like_any_other(void **state)
{
    SCOPED(mem) struct entry *entries = calloc(ENTRIES, sizeof(*entries));
    SCOPED(mem) char(*names)[32] = calloc(ENTRIES, sizeof(*names));
    struct ztoc toc = {.entries = entries, .count = ENTRIES};
    long failed = 0;
    bool is_over;

    (void)state;
    assert_true(entries != NULL && names != NULL);
    fill(entries, names);
    for (long n = 0;; n++) {
        struct tree *tree = NULL;
        struct err err = ERR_NONE;
        int rc;

        fail_allocations(n);
        rc = tree_build(&toc, &tree, &err);
        is_over = !stop_failing();
        if (rc < 0) {
            assert_int_equal(rc, -ENOMEM);
            assert_null(tree);
            failed++;
        } else {
            assert_true(tree_count(tree) > ENTRIES);
        }
        tree_free(tree);
        if (is_over)
            break;
    }
    assert_true(failed > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_allocation_that_fails_is_an_answer_like_any_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
