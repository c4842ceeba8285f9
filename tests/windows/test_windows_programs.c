/* SPDX-License-Identifier: Apache-2.0 */
/* test_windows_programs.c – programs that are run, and what the watcher of the hook waits for. This
 * program is its own helper: with arguments it does what they say. */
#include "place.h"

#include "base/clock.h"
#include "base/process.h"
#include "base/socket.h"
#include "platform/platform.h"

#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <pthread.h>

static char *self; /* our path */

/* Long enough for a machine that is busy; nothing here waits that long when all is well. */
enum { LONG_MS = 60000, SHORT_MS = 300, BIG_BYTES = 300 * 1024 };

/* ---- the helper ------------------------------------------------------------------------------ */

static int print_arguments(int argc, char **argv)
{
    for (int i = 2; i < argc; i++)
        (void)printf("<%s>\n", argv[i]);
    return 0;
}

static int print_input(void)
{
    char piece[4096];
    size_t n;

    while ((n = fread(piece, 1, sizeof(piece), stdin)) > 0)
        (void)fwrite(piece, 1, n, stdout);
    return 0;
}

/* Prints the number of one of its own kind, which sleeps. */
static int start_a_sleeper(void)
{
    SCOPED(mem) wchar_t *line = windows_command_line((const char *const[]){self, "sleep", NULL});
    STARTUPINFOW start = {.cb = sizeof(start)};
    PROCESS_INFORMATION made;

    if (!CreateProcessW(NULL, line, NULL, NULL, FALSE, 0, NULL, NULL, &start, &made))
        return 1;
    (void)printf("%lu\n", (unsigned long)made.dwProcessId);
    (void)fflush(stdout);
    Sleep(LONG_MS);
    return 0;
}

/* A waiter has one of its own kind say its number and sleep; ours comes before it. */
static int have_a_waiter_start_a_sleeper(void)
{
    const char *const argv[] = {self, "sleep-and-say", NULL};
    const struct platform_child child = {.argv = argv, .gives_output = true};
    struct platform_waiter *waiter = NULL;
    struct platform_event event;
    int number;

    (void)printf("%lu\n", (unsigned long)GetCurrentProcessId());
    if (platform_waiter_open(&waiter, NULL) < 0 ||
        platform_waiter_start(waiter, &child, &number, NULL) < 0)
        return 1;
    while (platform_waiter_wait(waiter, LONG_MS, &event, NULL) == 0 &&
           event.kind == PLATFORM_OUTPUT) {
        (void)fwrite(event.output.data, 1, event.output.len, stdout);
        (void)fflush(stdout);
    }
    return 0;
}

static int sleep_and_say(void)
{
    (void)printf("%lu\n", (unsigned long)GetCurrentProcessId());
    (void)fflush(stdout);
    Sleep(LONG_MS);
    return 0;
}

static int help(int argc, char **argv)
{
    const char *what = argv[1];

    (void)_setmode(_fileno(stdin), _O_BINARY);
    (void)_setmode(_fileno(stdout), _O_BINARY);
    if (strcmp(what, "arguments") == 0)
        return print_arguments(argc, argv);
    if (strcmp(what, "input") == 0)
        return print_input();
    if (strcmp(what, "variable") == 0)
        return printf("%s", getenv(argv[2]) == NULL ? "(none)" : getenv(argv[2])) < 0;
    if (strcmp(what, "status") == 0)
        return atoi(argv[2]);
    if (strcmp(what, "error") == 0)
        return fprintf(stderr, "no\n") < 0;
    if (strcmp(what, "sleeper") == 0)
        return start_a_sleeper();
    if (strcmp(what, "waiter") == 0)
        return have_a_waiter_start_a_sleeper();
    if (strcmp(what, "sleep-and-say") == 0)
        return sleep_and_say();
    Sleep(LONG_MS);
    return 0;
}

/* ---- to its end ------------------------------------------------------------------------------ */

static void run(const struct process_run *how, struct process_end *end)
{
    struct err err = ERR_NONE;
    int rc = process_run(how, end, &err);

    assert_string_equal(rc == 0 ? "" : err_text(&err), "");
}

static void arguments_arrive_as_they_were_given(void **state)
{
    static const char *const argv_rest[] = {"two words",     "quo\"te",     "",
                                            "back\\slash\\", "b\\\\\"\\\\", "Jürgen 日本",
                                            "a*?",           "C:\\x y\\",   NULL};
    const char *argv[12] = {self, "arguments"};
    SCOPED(process_end) struct process_end end = PROCESS_END_NONE;
    SCOPED(buf_value) struct buf wanted = BUF_EMPTY;

    (void)state;
    for (size_t i = 0; argv_rest[i] != NULL; i++) {
        argv[2 + i] = argv_rest[i];
        assert_ok(buf_addf(&wanted, "<%s>\n", argv_rest[i]));
    }
    run(&(const struct process_run){.argv = argv}, &end);
    assert_string_equal(buf_str(&end.out), buf_str(&wanted));
}

static void input_and_output_may_be_more_than_pipes_hold(void **state)
{
    const char *const argv[] = {self, "input", NULL};
    SCOPED(mem) uint8_t *big = malloc(BIG_BYTES);
    SCOPED(process_end) struct process_end end = PROCESS_END_NONE;

    (void)state;
    assert_non_null(big);
    for (size_t i = 0; i < BIG_BYTES; i++)
        big[i] = (uint8_t)(i * 7 + i / 251);
    run(&(const struct process_run){.argv = argv, .input = bytes_of(big, BIG_BYTES)}, &end);
    assert_true(bytes_equal(buf_bytes(&end.out), bytes_of(big, BIG_BYTES)));
}

static void settings_come_over_our_own_environment(void **state)
{
    const char *const argv[] = {self, "variable", "Finch_Probe", NULL};
    const char *const settings[] = {"FINCH_PROBE=Jürgens Wert", NULL};
    SCOPED(process_end) struct process_end end = PROCESS_END_NONE;

    (void)state;
    assert_int_equal(_putenv("finch_probe=another"), 0);
    run(&(const struct process_run){.argv = argv, .settings = settings}, &end);
    assert_string_equal(buf_str(&end.out), "Jürgens Wert");
}

static void exit_status_and_errors_are_told(void **state)
{
    const char *const argv[] = {self, "status", "42", NULL};
    const char *const errors[] = {self, "error", NULL};
    SCOPED(process_end) struct process_end end = PROCESS_END_NONE;
    SCOPED(process_end) struct process_end other = PROCESS_END_NONE;

    (void)state;
    run(&(const struct process_run){.argv = argv}, &end);
    assert_int_equal(end.exit_status, 42);
    run(&(const struct process_run){.argv = errors}, &other);
    assert_memory_equal(other.err.data, "no", 2);
    assert_int_equal(other.out.len, 0);
}

static void more_output_than_wanted_is_refused(void **state)
{
    const char *const argv[] = {self, "arguments", "a text of some length", NULL};
    const struct process_run how = {.argv = argv, .max_output_bytes = 10};
    SCOPED(process_end) struct process_end end = PROCESS_END_NONE;

    (void)state;
    assert_int_equal(process_run(&how, &end, NULL), -EFBIG);
}

static void a_program_that_is_not_there_is_told(void **state)
{
    const char *const argv[] = {"C:\\nirgends\\nichts.exe", NULL};
    const char *const name[] = {"finch-soci-no-such-program", NULL};
    SCOPED(process_end) struct process_end end = PROCESS_END_NONE;

    (void)state;
    assert_int_equal(process_run(&(const struct process_run){.argv = argv}, &end, NULL), -ENOENT);
    assert_int_equal(process_run(&(const struct process_run){.argv = name}, &end, NULL), -ENOENT);
}

/* Its number, as its parent printed it. */
static int64_t take_number(void *buf)
{
    uint64_t number = 0;
    char *text = buf_str(buf);

    assert_non_null(text);
    text[strspn(text, "0123456789")] = '\0';
    assert_ok(text_parse_u64(text, &number));
    return (int64_t)number;
}

static int collect(void *self_, struct bytes piece)
{
    return buf_add(self_, piece.data, piece.len);
}

static void what_takes_too_long_is_ended_with_all_that_it_started(void **state)
{
    const char *const argv[] = {self, "sleeper", NULL};
    SCOPED(buf_value) struct buf said = BUF_EMPTY;
    SCOPED(process_end) struct process_end end = PROCESS_END_NONE;
    const struct process_run how = {
        .argv = argv, .timeout_ms = 4000, .output = collect, .self = &said};
    int64_t pid, deadline_ms;

    (void)state;
    assert_int_equal(process_run(&how, &end, NULL), -ETIMEDOUT);
    pid = take_number(&said);
    deadline_ms = clock_mono_ms() + LONG_MS / 2;
    while (process_is_alive(pid) && clock_mono_ms() < deadline_ms)
        clock_sleep_ms(20);
    assert_false(process_is_alive(pid));
}

static void *wake_soon(void *arg)
{
    Sleep(SHORT_MS);
    wake_up(*(const int *)arg);
    return NULL;
}

static void a_run_ends_on_request(void **state)
{
    const char *const argv[] = {self, "sleep", NULL};
    SCOPED(process_end) struct process_end end = PROCESS_END_NONE;
    struct process_run how = {.argv = argv, .timeout_ms = LONG_MS};
    pthread_t thread;
    int ends[2];

    (void)state;
    assert_ok(wake_open(ends, NULL));
    how.cancel_fd = &ends[0];
    assert_int_equal(pthread_create(&thread, NULL, wake_soon, &ends[1]), 0);
    assert_int_equal(process_run(&how, &end, NULL), -ECANCELED);
    assert_int_equal(pthread_join(thread, NULL), 0);
    wake_close(ends);
}

static void programs_are_found_by_their_names_without_the_ending(void **state)
{
    SCOPED(mem) char *found = NULL;

    (void)state;
    assert_ok(process_find_program("cmd", &found, NULL));
    assert_true(text_has_suffix(found, "cmd.exe"));
    assert_int_equal(process_find_program("finch-soci-no-such-program", &found, NULL), -ENOENT);
}

static void a_program_gets_our_outputs_and_answers_for_itself(void **state)
{
    const char *const argv[] = {self, "status", "7", NULL};
    int status = -1;

    (void)state;
    assert_ok(platform_run_attached(argv, &status, NULL));
    assert_int_equal(status, 7);
}

/* ---- waiting for several --------------------------------------------------------------------- */

static struct platform_event wait_ms(struct platform_waiter *waiter, int64_t timeout_ms)
{
    struct platform_event event;

    assert_ok(platform_waiter_wait(waiter, timeout_ms, &event, NULL));
    return event;
}

static void what_happens_in_a_directory_is_told(void **state)
{
    const struct place *place = *state;
    SCOPED(platform_waiter) struct platform_waiter *waiter = NULL;
    SCOPED(mem) char *below = place_path(place, "unten"), *file = NULL;
    const char *const dirs[] = {place->dir, below, NULL};

    file = place_path(place, "unten/ha.pid");
    assert_ok(platform_waiter_open(&waiter, NULL));
    assert_ok(platform_waiter_set_dirs(waiter, dirs, NULL)); /* one of them is not there yet */
    assert_int_equal(wait_ms(waiter, SHORT_MS).kind, PLATFORM_TIMEOUT);
    assert_ok(dir_make_all(below, 0700, NULL));
    assert_int_equal(wait_ms(waiter, LONG_MS).kind, PLATFORM_CHANGED);
    assert_ok(platform_waiter_set_dirs(waiter, dirs, NULL));
    while (wait_ms(waiter, SHORT_MS).kind == PLATFORM_CHANGED)
        ;
    write_text(file, "1\n");
    assert_int_equal(wait_ms(waiter, LONG_MS).kind, PLATFORM_CHANGED);
    while (wait_ms(waiter, SHORT_MS).kind == PLATFORM_CHANGED)
        ;
    assert_ok(file_unlink(file, NULL));
    assert_int_equal(wait_ms(waiter, LONG_MS).kind, PLATFORM_CHANGED);
}

static void *wake_waiter(void *arg)
{
    Sleep(SHORT_MS);
    platform_waiter_wake(arg);
    return NULL;
}

static void a_wait_is_ended_from_another_thread(void **state)
{
    SCOPED(platform_waiter) struct platform_waiter *waiter = NULL;
    pthread_t thread;

    (void)state;
    assert_ok(platform_waiter_open(&waiter, NULL));
    assert_int_equal(pthread_create(&thread, NULL, wake_waiter, waiter), 0);
    assert_int_equal(wait_ms(waiter, LONG_MS).kind, PLATFORM_WOKEN);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(wait_ms(waiter, 0).kind, PLATFORM_TIMEOUT);
}

static void the_output_of_a_program_comes_before_its_end(void **state)
{
    const char *const argv[] = {self, "variable", "FINCH_TOLD", NULL};
    const char *const settings[] = {"FINCH_TOLD=so", NULL};
    const struct platform_child child = {.argv = argv, .settings = settings, .gives_output = true};
    SCOPED(platform_waiter) struct platform_waiter *waiter = NULL;
    SCOPED(buf_value) struct buf said = BUF_EMPTY;
    struct platform_event event;
    int number = -1;

    (void)state;
    assert_ok(platform_waiter_open(&waiter, NULL));
    assert_ok(platform_waiter_start(waiter, &child, &number, NULL));
    while ((event = wait_ms(waiter, LONG_MS)).kind == PLATFORM_OUTPUT)
        assert_ok(buf_add(&said, event.output.data, event.output.len));
    assert_int_equal(event.kind, PLATFORM_ENDED);
    assert_int_equal(event.child, number);
    assert_int_equal(event.exit_status, 0);
    assert_string_equal(buf_str(&said), "so");
}

static void a_program_is_ended_and_its_end_is_told(void **state)
{
    const char *const argv[] = {self, "sleep", NULL};
    const struct platform_child child = {.argv = argv};
    SCOPED(platform_waiter) struct platform_waiter *waiter = NULL;
    struct platform_event event;
    int numbers[PLATFORM_CHILDREN_MAX + 1];

    (void)state;
    assert_ok(platform_waiter_open(&waiter, NULL));
    for (int i = 0; i < PLATFORM_CHILDREN_MAX; i++)
        assert_ok(platform_waiter_start(waiter, &child, &numbers[i], NULL));
    assert_int_equal(platform_waiter_start(waiter, &child, &numbers[PLATFORM_CHILDREN_MAX], NULL),
                     -EBUSY);
    platform_waiter_end(waiter, numbers[2]);
    event = wait_ms(waiter, LONG_MS);
    assert_int_equal(event.kind, PLATFORM_ENDED);
    assert_int_equal(event.child, numbers[2]);
    assert_int_not_equal(event.exit_status, 0);
}

static void programs_of_a_waiter_end_with_its_process_however_that_ends(void **state)
{
    const char *const argv[] = {self, "waiter", NULL};
    const struct platform_child child = {.argv = argv, .gives_output = true};
    SCOPED(platform_waiter) struct platform_waiter *waiter = NULL;
    SCOPED(platform_waiter) struct platform_waiter *other = NULL;
    SCOPED(handle) HANDLE parent = NULL;
    SCOPED(buf_value) struct buf said = BUF_EMPTY;
    unsigned long parent_pid = 0, pid = 0;
    int number;

    (void)state;
    assert_ok(platform_waiter_open(&waiter, NULL));
    assert_ok(platform_waiter_open(&other, NULL));
    assert_ok(platform_waiter_start(waiter, &child, &number, NULL));
    while (said.len == 0 || said.data[said.len - 1] != '\n' ||
           sscanf(buf_str(&said), "%lu%*[\r\n]%lu", &parent_pid, &pid) < 2) {
        struct platform_event event = wait_ms(waiter, LONG_MS);

        assert_int_equal(event.kind, PLATFORM_OUTPUT);
        assert_ok(buf_add(&said, event.output.data, event.output.len));
    }
    assert_ok(platform_waiter_set_process(other, (int64_t)pid, NULL));
    assert_int_equal(wait_ms(other, SHORT_MS).kind, PLATFORM_TIMEOUT);
    parent = OpenProcess(PROCESS_TERMINATE, FALSE, parent_pid);
    assert_true(TerminateProcess(parent, 1));
    assert_int_equal(wait_ms(other, LONG_MS / 2).kind, PLATFORM_GONE);
}

static void the_end_of_anybodys_process_is_told_once(void **state)
{
    SCOPED(mem) wchar_t *line = windows_command_line((const char *const[]){self, "sleep", NULL});
    STARTUPINFOW start = {.cb = sizeof(start)};
    PROCESS_INFORMATION made;
    SCOPED(platform_waiter) struct platform_waiter *waiter = NULL;

    (void)state;
    assert_true(CreateProcessW(NULL, line, NULL, NULL, FALSE, 0, NULL, NULL, &start, &made));
    assert_ok(platform_waiter_open(&waiter, NULL));
    assert_ok(platform_waiter_set_process(waiter, made.dwProcessId, NULL));
    assert_int_equal(wait_ms(waiter, SHORT_MS).kind, PLATFORM_TIMEOUT);
    assert_true(TerminateProcess(made.hProcess, 1));
    assert_int_equal(wait_ms(waiter, LONG_MS).kind, PLATFORM_GONE);
    assert_int_equal(wait_ms(waiter, SHORT_MS).kind, PLATFORM_TIMEOUT);
    (void)CloseHandle(made.hThread);
    (void)CloseHandle(made.hProcess);
    assert_int_equal(platform_waiter_set_process(waiter, 0x7ffffff0, NULL), -ESRCH);
}

#define PLACED(test) cmocka_unit_test_setup_teardown(test, place_set_up, place_tear_down)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arguments_arrive_as_they_were_given),
        cmocka_unit_test(input_and_output_may_be_more_than_pipes_hold),
        cmocka_unit_test(settings_come_over_our_own_environment),
        cmocka_unit_test(exit_status_and_errors_are_told),
        cmocka_unit_test(more_output_than_wanted_is_refused),
        cmocka_unit_test(a_program_that_is_not_there_is_told),
        cmocka_unit_test(what_takes_too_long_is_ended_with_all_that_it_started),
        cmocka_unit_test(a_run_ends_on_request),
        cmocka_unit_test(programs_are_found_by_their_names_without_the_ending),
        cmocka_unit_test(a_program_gets_our_outputs_and_answers_for_itself),
        PLACED(what_happens_in_a_directory_is_told),
        cmocka_unit_test(a_wait_is_ended_from_another_thread),
        cmocka_unit_test(the_output_of_a_program_comes_before_its_end),
        cmocka_unit_test(a_program_is_ended_and_its_end_is_told),
        cmocka_unit_test(programs_of_a_waiter_end_with_its_process_however_that_ends),
        cmocka_unit_test(the_end_of_anybodys_process_is_told_once),
    };

    self = platform_program();
    if (argc > 1)
        return help(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
