/* SPDX-License-Identifier: Apache-2.0 */
/* test_hook_files.c – what the hook keeps, what it reads of Lima's, and what Lima tells it. */
#include "test.h"

#include "base/text.h"
#include "hook/hook.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct world {
    char dir[64];
    struct hook_files files;
};

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    SCOPED(mem) char *config = NULL;

    assert_non_null(world);
    strcpy(world->dir, "/tmp/test-hook-XXXXXX");
    assert_non_null(mkdtemp(world->dir));
    config = path_join(world->dir, "finch.yaml");
    assert_ok(hook_files_init(config, "finch", &world->files, NULL));
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;

    hook_files_fini(&world->files);
    assert_ok(dir_remove_all(world->dir, NULL));
    free(world);
    return 0;
}

static void put(struct world *world, const char *name, const char *text)
{
    SCOPED(mem) char *path = path_join(world->dir, name);

    assert_ok(file_replace(path, bytes_of_str(text), 0600, NULL));
}

static bool has(struct world *world, const char *name)
{
    SCOPED(mem) char *path = path_join(world->dir, name);

    return path_exists(path);
}

/* ---- records --------------------------------------------------------------------------------- */

static void a_record_is_read_as_it_was_written(void **state)
{
    struct world *world = *state;
    struct hook_record written, read;

    assert_ok(hook_files_make_dir(&world->files, NULL));
    hook_record_fill(&written, "failed", true, 12345, "no way to \"it\":\n\tport\001 61001 ü");
    assert_ok(hook_record_write(world->files.start, &written, NULL));
    hook_record_read(world->files.start, &read);
    assert_memory_equal(&written, &read, sizeof(read));
}

static void a_text_that_is_too_long_is_cut(void **state)
{
    char lots[2000];
    struct hook_record record;

    (void)state;
    memset(lots, 'x', sizeof(lots) - 1);
    lots[sizeof(lots) - 1] = '\0';
    hook_record_fill(&record, "failed", true, 0, lots);
    assert_int_equal(strlen(record.text), HOOK_TEXT_BYTES - 1);
}

static void what_is_no_record_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "null",
        "{\"time\":1,\"result\":\"x\"}",
        "{\"time\":\"yesterday\",\"result\":\"x\"}",
        "{\"time\":\"2026-01-02T03:04:05Z\"}",
        "{\"time\":\"2026-01-02T03:04:05Z\",\"result\":\"a result that is longer than any\"}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct hook_record record = {.took_ms = 7};

        assert_int_equal(hook_record_parse(bytes_of_str(bad[i]), &record, NULL), -EBADMSG);
        assert_int_equal(record.took_ms, 7);
    }
}

static void numbers_that_make_no_sense_are_left_out(void **state)
{
    struct hook_record record;

    (void)state;
    assert_ok(hook_record_parse(bytes_of_str("{\"time\":\"2026-01-02T03:04:05Z\",\"result\":\"x\","
                                             "\"tookMs\":1e300,\"failed\":3,\"text\":[]}"),
                                &record, NULL));
    assert_int_equal(record.took_ms, 0);
    assert_false(record.failed);
    assert_string_equal(record.text, "");
}

static void where_there_is_none_the_record_is_empty(void **state)
{
    struct world *world = *state;
    struct hook_record record = {.time = "x"};

    hook_record_read(world->files.start, &record);
    assert_string_equal(record.time, "");
}

/* ---- the log and the rest -------------------------------------------------------------------- */

static void a_line_of_the_log_is_one_line(void **state)
{
    struct world *world = *state;
    SCOPED(buf_value) struct buf text = BUF_EMPTY;

    assert_ok(hook_files_make_dir(&world->files, NULL));
    hook_log(&world->files, "%s", "a machine said \033[2J\nand more");
    assert_ok(file_read(world->files.log, 10000, &text, NULL));
    assert_non_null(strstr(buf_str(&text), "Z a machine said  [2J and more\n"));
}

static void the_log_is_rotated_when_it_is_large_and_one_old_one_stays(void **state)
{
    struct world *world = *state;
    SCOPED(mem) char *lots = calloc(1, HOOK_LOG_MAX_BYTES + 2);
    struct stat st;

    assert_ok(hook_files_make_dir(&world->files, NULL));
    assert_non_null(lots);
    memset(lots, '.', HOOK_LOG_MAX_BYTES + 1);
    hook_log(&world->files, "small");
    hook_log_rotate(&world->files);
    assert_false(path_exists(world->files.old_log));
    for (int i = 0; i < 2; i++) {
        assert_ok(file_replace(world->files.log, bytes_of_str(lots), 0600, NULL));
        hook_log_rotate(&world->files);
        assert_false(path_exists(world->files.log));
        assert_int_equal(stat(world->files.old_log, &st), 0);
        assert_int_equal(st.st_size, HOOK_LOG_MAX_BYTES + 1);
    }
}

static void nothing_is_left_when_all_is_removed_but_what_is_not_ours(void **state)
{
    struct world *world = *state;
    struct hook_record record;

    assert_ok(hook_files_make_dir(&world->files, NULL));
    hook_record_fill(&record, "unchanged", false, 1, "");
    assert_ok(hook_record_write(world->files.start, &record, NULL));
    hook_log(&world->files, "x");
    hook_files_remove(&world->files);
    assert_false(has(world, "finch-soci"));
    assert_ok(hook_files_make_dir(&world->files, NULL));
    put(world, "finch-soci/finch/not-ours", "x");
    hook_files_remove(&world->files);
    assert_true(has(world, "finch-soci/finch/not-ours"));
}

/* ---- Lima's files ---------------------------------------------------------------------------- */

static enum hook_sight_kind kind(struct world *world)
{
    return hook_look(world->dir).kind;
}

static void an_instance_is_told_by_its_files(void **state)
{
    struct world *world = *state;
    SCOPED(mem) char *me = text_format("%d\n", (int)getpid());
    struct hook_sight sight;

    assert_int_equal(kind(world), HOOK_ABSENT);
    put(world, "lima.yaml", "vmType: vz\n");
    assert_int_equal(kind(world), HOOK_STOPPED);
    put(world, "ha.pid", me);
    sight = hook_look(world->dir);
    assert_int_equal(sight.kind, HOOK_RUNS);
    assert_int_equal(sight.run.pid, getpid());
    assert_true(hook_run_is_same(&sight.run, &sight.run));
}

static void a_pid_file_whose_process_is_gone_is_a_crash(void **state)
{
    struct world *world = *state;
    SCOPED(mem) char *text = NULL;
    pid_t pid = fork();

    if (pid == 0)
        _exit(0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    text = text_format("%d", (int)pid);
    put(world, "ha.pid", text);
    assert_int_equal(kind(world), HOOK_CRASHED);
}

static void a_pid_file_that_says_nothing_yet_is_unclear(void **state)
{
    static const char *const texts[] = {"", "\n", "x", "-1", "99999999999999999999999", "0"};
    struct world *world = *state;

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        put(world, "ha.pid", texts[i]);
        assert_int_equal(kind(world), HOOK_UNCLEAR);
    }
}

static void a_directory_in_the_place_of_the_pid_file_is_unclear(void **state)
{
    struct world *world = *state;
    SCOPED(mem) char *path = path_join(world->dir, "ha.pid");

    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(kind(world), HOOK_UNCLEAR);
}

/* ---- what Lima tells ------------------------------------------------------------------------- */

#define EVENT(status) "{\"instance\":\"finch\",\"event\":{\"time\":\"…\",\"status\":" status "}}"

static void an_event_of_the_machine_is_understood(void **state)
{
    struct hook_event event;

    (void)state;
    assert_ok(hook_event_parse(bytes_of_str(EVENT("{\"running\":true,\"sshLocalPort\":61001}")),
                               "finch", &event, NULL));
    assert_true(event.booted && !event.degraded && !event.exiting);
    assert_ok(hook_event_parse(bytes_of_str(EVENT("{\"running\":true,\"degraded\":true}")), "finch",
                               &event, NULL));
    assert_true(event.booted && event.degraded);
    assert_ok(hook_event_parse(bytes_of_str(EVENT("{\"exiting\":true,\"running\":\"yes\"}")),
                               "finch", &event, NULL));
    assert_true(event.exiting && !event.booted);
}

static void what_is_no_event_or_of_another_instance_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "{}",
        "level=warning msg=…",
        "{\"instance\":\"finch\"}",
        "{\"instance\":\"finch\",\"event\":[]}",
        "{\"instance\":\"finch\",\"event\":{\"status\":7}}",
        "{\"instance\":\"other\",\"event\":{\"status\":{\"running\":true}}}",
        "{\"event\":{\"status\":{\"running\":true}}}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct hook_event event;

        assert_int_equal(hook_event_parse(bytes_of_str(bad[i]), "finch", &event, NULL), -EBADMSG);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_record_is_read_as_it_was_written),
        TEST(a_text_that_is_too_long_is_cut),
        TEST(what_is_no_record_is_refused),
        TEST(numbers_that_make_no_sense_are_left_out),
        TEST(where_there_is_none_the_record_is_empty),
        TEST(a_line_of_the_log_is_one_line),
        TEST(the_log_is_rotated_when_it_is_large_and_one_old_one_stays),
        TEST(nothing_is_left_when_all_is_removed_but_what_is_not_ours),
        TEST(an_instance_is_told_by_its_files),
        TEST(a_pid_file_whose_process_is_gone_is_a_crash),
        TEST(a_pid_file_that_says_nothing_yet_is_unclear),
        TEST(a_directory_in_the_place_of_the_pid_file_is_unclear),
        TEST(an_event_of_the_machine_is_understood),
        TEST(what_is_no_event_or_of_another_instance_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
