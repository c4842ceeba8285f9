/* SPDX-License-Identifier: Apache-2.0 */
/* test_span_memory.c – every allocation of opening, reading and opening again fails once, on
 * whichever thread it falls: each time the reader is told -ENOMEM or served, nothing hangs or
 * leaks, and the next read is served. */
#include "failing_malloc.h"
#include "span_rig.h"

#include <errno.h>

/* As two processes would, one after the other. */
static int use(struct rig *rig)
{
    struct err err = ERR_NONE;
    int i, rc = 0;

    for (i = 0; i < 2 && rc == 0; i++) {
        rc = rig_try_open_set(rig, &err);
        if (rc < 0)
            break;
        rc = rig_read_span(rig, 1, &err);
        if (rc == 0)
            rc = rig_read(rig, 0, rig->layer.tar.len, &err);
        rig_close_set(rig);
    }
    return rc;
}

static void read_all_without_failures(struct rig *rig)
{
    struct err err = ERR_NONE;

    rig_open_set(rig, NULL, NULL);
    assert_ok(rig_read(rig, 0, rig->layer.tar.len, &err));
    rig_close_set(rig);
}

static void any_allocation_that_fails_is_an_answer_like_any_other(void **state)
{
    const struct rig_options options = {
        .kind = RIG_GZIP, .count = 3, .span_bytes = 50000, .engine = {.inflate_threads = 2}};
    long n, refused = 0;
    bool fired = true;
    struct rig rig;

    (void)state;
    rig_start(&rig, &options);
    rig_close_set(&rig);
    for (n = 0; fired; n++) {
        struct err err = ERR_NONE;
        struct digest none = {{0}};
        int rc;

        assert_ok(span_file_remove(rig.store, &none, &none, &err));
        fail_one_allocation(n);
        rc = use(&rig);
        fired = stop_failing();
        assert_true(rc == 0 || rc == -ENOMEM);
        refused += rc == -ENOMEM;
        read_all_without_failures(&rig);
    }
    assert_in_range(refused, 20, 2000); /* fewer: the wrapping does not work */
    rig_stop(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_allocation_that_fails_is_an_answer_like_any_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
