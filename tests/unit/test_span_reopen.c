/* SPDX-License-Identifier: Apache-2.0 */
/* What the next process finds: spans on disk are used without the network, and never used when they
 * are wrong. */
#include "span_rig.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct rig_options options = {.kind = RIG_GZIP, .count = 6, .span_bytes = 100000};

static void a_layer_that_was_read_needs_no_network_after_a_restart(void **state)
{
    struct err err = ERR_NONE;
    uint64_t bytes;
    struct rig rig;

    (void)state;
    rig_start(&rig, &options);
    assert_ok(rig_read(&rig, 0, rig.layer.tar.len, &err));
    bytes = span_set_present_bytes(rig.set);
    rig_close_set(&rig);
    rig_open_set(&rig, NULL, NULL);
    assert_true(span_set_is_complete(rig.set));
    assert_int_equal(span_set_present_bytes(rig.set), bytes);
    assert_ok(rig_read(&rig, 0, rig.layer.tar.len, &err));
    assert_int_equal(rig_calls(&rig.source), 0);
    rig_stop(&rig);
}

static void the_background_fetches_only_what_is_missing_after_a_restart(void **state)
{
    struct err err = ERR_NONE;
    struct rig rig;

    (void)state;
    rig_start(&rig, &options);
    assert_ok(rig_read_span(&rig, 2, &err));
    rig_close_set(&rig);
    rig_open_set(&rig, NULL, NULL);
    span_set_start_background(rig.set);
    rig_wait_complete(&rig);
    assert_int_equal(rig_calls_over(&rig.source, rig.layer.spans[2].comp_off + 1), 0);
    assert_ok(rig_read(&rig, 0, rig.layer.tar.len, &err));
    rig_stop(&rig);
}

static void damage(const struct rig *rig, size_t n)
{
    char path[256];
    SCOPED(fd) int fd = -1;

    (void)snprintf(path, sizeof(path), "%s/layers/%064d-%064d/data", rig->root, 0, 0);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "\xff", 1, (off_t)rig->layer.spans[n].uncomp_end - 1), 1);
}

static void a_damaged_data_file_is_noticed_and_healed(void **state)
{
    struct err err = ERR_NONE;
    struct rig rig;

    (void)state;
    rig_start(&rig, &options);
    assert_ok(rig_read(&rig, 0, rig.layer.tar.len, &err));
    rig_close_set(&rig);
    damage(&rig, 3);
    rig_open_set(&rig, NULL, NULL);
    assert_ok(rig_read(&rig, 0, rig.layer.tar.len, &err));
    assert_int_equal(rig_calls(&rig.source), 1);
    assert_int_equal(rig.source.log[0].comp_off, rig.layer.spans[3].comp_off);
    rig_close_set(&rig);
    rig_open_set(&rig, NULL, NULL); /* and it stays healed */
    assert_ok(rig_read(&rig, 0, rig.layer.tar.len, &err));
    assert_int_equal(rig_calls(&rig.source), 0);
    rig_stop(&rig);
}

static void damaged_bytes_are_not_served_without_a_network_either(void **state)
{
    struct err err = ERR_NONE;
    struct rig rig;

    (void)state;
    rig_start(&rig, &options);
    assert_ok(rig_read(&rig, 0, rig.layer.tar.len, &err));
    rig_close_set(&rig);
    damage(&rig, 3);
    rig_open_set(&rig, rig_fail_all, NULL);
    assert_ok(rig_read_span(&rig, 2, &err));
    assert_int_equal(rig_read_span(&rig, 3, &err), -ETIMEDOUT);
    assert_int_equal(rig_read_span(&rig, 3, &err), -ETIMEDOUT);
    rig_stop(&rig);
}

/* ---- a process that dies --------------------------------------------------------------------- */

/* As a new process would. */
static void again(struct rig *rig)
{
    const struct span_engine_options engine_options = {.inflate_threads = 1};
    struct err err = ERR_NONE;

    assert_ok(store_open(rig->root, &rig->store, &err));
    assert_ok(span_engine_new(&engine_options, &rig->engine, &err));
    rig_open_set(rig, NULL, NULL);
}

/* Threads do not survive fork(): the child has an engine of its own, and the parent none meanwhile.
 */
static int run_child(struct rig *rig, void (*body)(struct rig *rig))
{
    int status = 0;
    pid_t child;

    rig_close_set(rig);
    store_close(rig->store);
    rig->store = NULL;
    span_engine_free(rig->engine);
    rig->engine = NULL;
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        again(rig);
        body(rig);
        _exit(2);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void read_and_die(struct rig *rig)
{
    struct err err = ERR_NONE;

    if (rig_read_span(rig, 1, &err) == 0)
        (void)raise(SIGKILL);
}

static void a_crash_right_after_a_read_leaves_nothing_wrong(void **state)
{
    struct err err = ERR_NONE;
    struct rig rig;
    int status;

    (void)state;
    rig_start(&rig, &options);
    status = run_child(&rig, read_and_die);
    assert_true(WIFSIGNALED(status));
    again(&rig);
    assert_ok(rig_read(&rig, 0, rig.layer.tar.len, &err));
    rig_stop(&rig);
}

/* Longer than a span waits for the sync in the background. */
static void read_wait_and_die(struct rig *rig)
{
    int64_t deadline_ms = clock_mono_ms() + RIG_DEADLINE_MS;
    char path[256];
    struct err err = ERR_NONE;

    if (rig_read_span(rig, 1, &err) < 0)
        _exit(3);
    (void)snprintf(path, sizeof(path), "%s/layers/%064d-%064d/map", rig->root, 0, 0);
    while (clock_mono_ms() < deadline_ms) {
        SCOPED(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);

        if (lseek(fd, 0, SEEK_END) > 112) /* there is a record behind the header */
            (void)raise(SIGKILL);
        clock_sleep_ms(10);
    }
}

static void spans_are_recorded_in_the_background_before_the_end(void **state)
{
    struct err err = ERR_NONE;
    struct rig rig;
    int status;

    (void)state;
    rig_start(&rig, &options);
    status = run_child(&rig, read_wait_and_die);
    assert_true(WIFSIGNALED(status));
    again(&rig);
    assert_ok(rig_read_span(&rig, 1, &err));
    assert_int_equal(rig_calls(&rig.source), 0);
    rig_stop(&rig);
}

/* A file size limit fails writes as a full disk does, and needs no mount. */
static void read_with_a_limit(struct rig *rig)
{
    const struct rlimit limit = {.rlim_cur = 250000, .rlim_max = 250000};
    struct err err = ERR_NONE;

    (void)signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
        _exit(3);
    if (rig_read_span(rig, 0, &err) < 0)
        _exit(4);
    if (rig_read_span(rig, 4, &err) != -EFBIG || span_set_is_complete(rig->set))
        _exit(5);
    _exit(rig_read_span(rig, 1, &err) == 0 ? 0 : 6);
}

static void a_failed_write_leaves_the_span_missing_and_the_others_fine(void **state)
{
    struct err err = ERR_NONE;
    struct rig rig;
    int status;

    (void)state;
    rig_start(&rig, &options);
    status = run_child(&rig, read_with_a_limit);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    again(&rig);
    assert_ok(rig_read(&rig, 0, rig.layer.tar.len, &err));
    rig_stop(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_layer_that_was_read_needs_no_network_after_a_restart),
        cmocka_unit_test(the_background_fetches_only_what_is_missing_after_a_restart),
        cmocka_unit_test(a_damaged_data_file_is_noticed_and_healed),
        cmocka_unit_test(damaged_bytes_are_not_served_without_a_network_either),
        cmocka_unit_test(a_crash_right_after_a_read_leaves_nothing_wrong),
        cmocka_unit_test(spans_are_recorded_in_the_background_before_the_end),
        cmocka_unit_test(a_failed_write_leaves_the_span_missing_and_the_others_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
