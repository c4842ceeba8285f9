/* SPDX-License-Identifier: Apache-2.0 */
/* test_erofs_memory.c – every allocation of an image fails once: the answer is -ENOMEM, nothing
 * leaks (the asan preset looks) and nothing crashes. */
#include "entries_as_ztoc.h"
#include "failing_malloc.h"

#include "erofs/erofs.h"

#include <stdlib.h>

static int drop(void *self, struct bytes piece, struct err *err)
{
    (void)self;
    (void)piece;
    (void)err;
    return 0;
}

static void an_image_without_memory_is_refused(void **state)
{
    static const struct entry entries[] = {
        {.name = "capable",
         .xattr = "SCHILY.xattr.security.capability",
         .value =
             "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14"},
        {.name = "noted", .xattr = "SCHILY.xattr.user.x", .value = "v"},
        {.name = "var/.wh..wh..opq"},
    };
    struct ztoc toc = {.entries = entries, .count = ARRAY_LEN(entries)};
    const struct erofs_sink sink = {.write = drop};
    SCOPED(idmaps) struct idmaps ids = IDMAPS_EMPTY;
    SCOPED(tree) struct tree *tree = NULL;
    struct erofs_options options = {.tar_bytes = 512, .ids = &ids};
    struct err err = ERR_NONE;
    long failures = 0;
    int rc = -ENOMEM;

    (void)state;
    assert_ok(idmaps_parse("0:100000:65536", "0:100000:65536", &ids, &err));
    assert_ok(tree_build(&toc, &tree, &err));
    for (; rc == -ENOMEM; failures++) {
        fail_allocations(failures);
        rc = erofs_write(tree, &options, &sink, &err);
        (void)stop_failing();
    }
    assert_ok(rc);
    assert_in_range(failures, 6, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(an_image_without_memory_is_refused)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
