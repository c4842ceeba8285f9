/* SPDX-License-Identifier: Apache-2.0 */
/* A layer's data file and its map: what the next process may believe, and what it must not. */
#include "test.h"

#include "store/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SPANS = 5, SPAN_BYTES = 1000, DATA_BYTES = SPANS * SPAN_BYTES };

struct fixture {
    char root[64];
    char dir[256]; /* of the layer */
    struct store *store;
    struct span_file_options options;
    struct span_file *file;
};

static void reopen(struct fixture *f)
{
    struct err err = ERR_NONE;

    span_file_close(f->file);
    f->file = NULL;
    if (span_file_open(f->store, &f->options, &f->file, &err) < 0)
        fail_msg("%s", err_text(&err));
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    char layer_hex[2 * DIGEST_BYTES + 1], ztoc_hex[2 * DIGEST_BYTES + 1];
    struct err err = ERR_NONE;

    (void)strcpy(f->root, "/tmp/test-spanfile.XXXXXX");
    assert_non_null(mkdtemp(f->root));
    assert_ok(store_open(f->root, &f->store, &err));
    memset(f->options.layer.sha256, 0x11, DIGEST_BYTES);
    memset(f->options.ztoc.sha256, 0x22, DIGEST_BYTES);
    f->options.span_count = SPANS;
    f->options.uncomp_bytes = DATA_BYTES;
    digest_hex(&f->options.layer, layer_hex);
    digest_hex(&f->options.ztoc, ztoc_hex);
    (void)snprintf(f->dir, sizeof(f->dir), "%s/layers/%s-%s", f->root, layer_hex, ztoc_hex);
    reopen(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_NONE;

    span_file_close(f->file);
    store_close(f->store);
    assert_ok(dir_remove_all(f->root, &err));
    free(f);
    return 0;
}

static uint32_t crc_for(size_t n)
{
    return 0x1000u + (uint32_t)n;
}

static void add(struct fixture *f, size_t n)
{
    struct err err = ERR_NONE;
    uint8_t bytes[SPAN_BYTES];

    memset(bytes, (int)n + 1, sizeof(bytes));
    assert_ok(span_file_write(f->file, bytes_of(bytes, sizeof(bytes)), n * SPAN_BYTES, &err));
    assert_ok(span_file_add(f->file, n, crc_for(n), &err));
}

static bool recorded(struct fixture *f, size_t n)
{
    uint32_t crc = 0;
    bool yes = span_file_recorded(f->file, n, &crc);

    if (yes)
        assert_int_equal(crc, crc_for(n));
    return yes;
}

static int open_map(const struct fixture *f, int flags)
{
    char path[300];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/map", f->dir);
    fd = open(path, flags | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static off_t map_bytes(const struct fixture *f)
{
    SCOPED(fd) int fd = open_map(f, O_RDONLY);
    struct stat st;

    assert_int_equal(fstat(fd, &st), 0);
    return st.st_size;
}

static void flip_map_byte(const struct fixture *f, off_t at)
{
    SCOPED(fd) int fd = open_map(f, O_RDWR);
    uint8_t byte;

    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 0x40;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
}

/* ---- what is kept ---------------------------------------------------------------------------- */

static void spans_are_recorded_for_the_next_process(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_NONE;
    uint8_t byte = 0;

    add(f, 3);
    add(f, 0);
    assert_ok(span_file_sync(f->file, &err));
    add(f, 4); /* closing syncs this one */
    reopen(f);
    assert_true(recorded(f, 0) && recorded(f, 3) && recorded(f, 4));
    assert_false(recorded(f, 1) || recorded(f, 2));
    assert_int_equal(pread(span_file_fd(f->file), &byte, 1, 3 * SPAN_BYTES), 1);
    assert_int_equal(byte, 4);
}

static void a_crash_loses_what_was_not_synced_and_nothing_else(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_NONE;
    int status = 0;
    pid_t child;

    span_file_close(f->file);
    f->file = NULL;
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (span_file_open(f->store, &f->options, &f->file, &err) < 0)
            _exit(1);
        add(f, 1);
        if (span_file_sync(f->file, &err) < 0)
            _exit(2);
        add(f, 2);
        (void)raise(SIGKILL);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    reopen(f);
    assert_true(recorded(f, 1));
    assert_false(recorded(f, 2));
}

static void a_forgotten_span_stays_forgotten_until_it_is_added_again(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_NONE;

    add(f, 1);
    add(f, 2);
    reopen(f);
    assert_ok(span_file_forget(f->file, 1, &err));
    assert_false(recorded(f, 1));
    reopen(f);
    assert_false(recorded(f, 1));
    assert_true(recorded(f, 2));
    add(f, 1);
    reopen(f);
    assert_true(recorded(f, 1));
}

static void the_data_file_is_sparse_and_as_long_as_the_tar(void **state)
{
    struct fixture *f = *state;
    struct stat st;

    f->options.uncomp_bytes = UINT64_C(1) << 38;
    reopen(f);
    assert_int_equal(fstat(span_file_fd(f->file), &st), 0);
    assert_int_equal(st.st_size, INT64_C(1) << 38);
    assert_true(st.st_blocks < 100);
}

static void a_log_that_grew_is_written_anew_without_losing_a_span(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_NONE;
    off_t grown;
    size_t i;

    add(f, 0);
    add(f, 3);
    for (i = 0; i < 60; i++) {
        assert_ok(span_file_forget(f->file, 2, &err));
        add(f, 2);
    }
    assert_ok(span_file_forget(f->file, 3, &err));
    assert_ok(span_file_sync(f->file, &err));
    grown = map_bytes(f);
    reopen(f);
    assert_true(map_bytes(f) < grown);
    assert_int_equal(map_bytes(f), SPAN_MAP_HEADER_BYTES + 2 * SPAN_MAP_RECORD_BYTES);
    add(f, 1);
    reopen(f);
    assert_true(recorded(f, 0) && recorded(f, 1) && recorded(f, 2));
    assert_false(recorded(f, 3) || recorded(f, 4));
}

/* ---- what is not believed -------------------------------------------------------------------- */

static void a_torn_record_ends_the_log_and_is_written_over(void **state)
{
    struct fixture *f = *state;
    SCOPED(fd) int fd = -1;

    add(f, 0);
    add(f, 1);
    span_file_close(f->file);
    f->file = NULL;
    fd = open_map(f, O_RDWR);
    assert_int_equal(ftruncate(fd, SPAN_MAP_HEADER_BYTES + 2 * SPAN_MAP_RECORD_BYTES - 3), 0);
    reopen(f);
    assert_true(recorded(f, 0));
    assert_false(recorded(f, 1));
    assert_int_equal(map_bytes(f), SPAN_MAP_HEADER_BYTES + SPAN_MAP_RECORD_BYTES);
    add(f, 4);
    reopen(f);
    assert_true(recorded(f, 0) && recorded(f, 4));
}

static void a_flipped_bit_in_any_place_never_makes_a_span_present(void **state)
{
    struct fixture *f = *state;
    off_t at;

    for (at = 0; at < SPAN_MAP_HEADER_BYTES + 2 * SPAN_MAP_RECORD_BYTES; at++) {
        reopen(f);
        add(f, 1);
        add(f, 2);
        span_file_close(f->file);
        f->file = NULL;
        flip_map_byte(f, at);
        reopen(f);
        if (at < SPAN_MAP_HEADER_BYTES + SPAN_MAP_RECORD_BYTES)
            assert_false(recorded(f, 1));
        assert_false(recorded(f, 2) || recorded(f, 0) || recorded(f, 3));
    }
}

static void records_of_another_map_do_not_fit(void **state)
{
    struct fixture *f = *state;
    uint8_t record[SPAN_MAP_RECORD_BYTES];
    struct err err = ERR_NONE;

    add(f, 1);
    assert_ok(span_file_sync(f->file, &err));
    {
        SCOPED(fd) int fd = open_map(f, O_RDONLY);
        assert_int_equal(pread(fd, record, sizeof(record), SPAN_MAP_HEADER_BYTES), sizeof(record));
    }
    span_file_close(f->file);
    f->file = NULL;
    assert_ok(span_file_remove(f->store, &f->options.layer, &f->options.ztoc, &err));
    reopen(f); /* the same layer, a new map */
    {
        SCOPED(fd) int fd = open_map(f, O_RDWR);
        assert_int_equal(pwrite(fd, record, sizeof(record), SPAN_MAP_HEADER_BYTES), sizeof(record));
    }
    reopen(f);
    assert_false(recorded(f, 1));
}

static void another_size_or_span_count_starts_anew(void **state)
{
    struct fixture *f = *state;
    uint8_t byte = 1;

    add(f, 1);
    f->options.span_count++;
    reopen(f);
    assert_false(recorded(f, 1));
    assert_int_equal(pread(span_file_fd(f->file), &byte, 1, SPAN_BYTES), 1);
    assert_int_equal(byte, 0);

    add(f, 1);
    f->options.uncomp_bytes++;
    reopen(f);
    assert_false(recorded(f, 1));
}

static void a_data_file_that_is_gone_or_was_cut_starts_anew(void **state)
{
    struct fixture *f = *state;
    char path[300];

    (void)snprintf(path, sizeof(path), "%s/data", f->dir);
    add(f, 1);
    span_file_close(f->file);
    f->file = NULL;
    assert_int_equal(truncate(path, DATA_BYTES - 1), 0);
    reopen(f);
    assert_false(recorded(f, 1));

    add(f, 1);
    span_file_close(f->file);
    f->file = NULL;
    assert_int_equal(unlink(path), 0);
    reopen(f);
    assert_false(recorded(f, 1));
}

/* Nobody renames these, but what is in a map counts. */
static void files_of_another_layer_start_anew(void **state)
{
    struct fixture *f = *state;
    SCOPED(mem) char *elsewhere = text_copy(f->dir);

    assert_non_null(elsewhere);
    elsewhere[strlen(f->root) + strlen("/layers/") + 1] = '0'; /* 1011…-2222… */
    f->options.layer.sha256[0] = 0x10;
    add(f, 1);
    span_file_close(f->file);
    f->file = NULL;
    assert_int_equal(rename(f->dir, elsewhere), 0);
    reopen(f);
    assert_false(recorded(f, 1));
}

static void two_layers_with_one_ztoc_have_files_of_their_own(void **state)
{
    struct fixture *f = *state;
    struct span_file_options options = f->options;
    struct span_file *second = NULL;
    struct err err = ERR_NONE;
    uint32_t crc;

    options.layer.sha256[5] ^= 1;
    add(f, 1);
    assert_ok(span_file_open(f->store, &options, &second, &err));
    assert_false(span_file_recorded(second, 1, &crc));
    span_file_close(second);
    assert_ok(span_file_remove(f->store, &options.layer, &options.ztoc, &err));
    reopen(f);
    assert_true(recorded(f, 1));
}

static int note_pair(void *arg, const struct digest *layer, const struct digest *ztoc)
{
    struct span_file_options *seen = arg;

    seen->layer = *layer;
    seen->ztoc = *ztoc;
    seen->span_count++;
    return 0;
}

static void a_walk_tells_layer_and_ztoc_and_passes_over_other_names(void **state)
{
    struct fixture *f = *state;
    struct span_file_options seen = {.span_count = 0};
    struct err err = ERR_NONE;
    char path[512];

    (void)snprintf(path, sizeof(path), "%s/layers/%064d", f->root, 0);
    assert_int_equal(mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof(path), "%s-", f->dir);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_ok(span_file_walk(f->store, note_pair, &seen, &err));
    assert_int_equal(seen.span_count, 1);
    assert_true(digest_equal(&seen.layer, &f->options.layer));
    assert_true(digest_equal(&seen.ztoc, &f->options.ztoc));
}

/* ---- what is refused ------------------------------------------------------------------------- */

static void a_layer_that_is_open_is_not_opened_or_removed(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_NONE;
    struct span_file *second = NULL;

    assert_int_equal(span_file_open(f->store, &f->options, &second, &err), -EBUSY);
    assert_null(second);
    assert_int_equal(span_file_remove(f->store, &f->options.layer, &f->options.ztoc, &err), -EBUSY);
    span_file_close(f->file);
    f->file = NULL;
    assert_ok(span_file_remove(f->store, &f->options.layer, &f->options.ztoc, &err));
    assert_false(path_exists(f->dir));
    assert_ok(span_file_remove(f->store, &f->options.layer, &f->options.ztoc, &err));
}

static void bytes_and_spans_past_the_end_are_refused(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_NONE;
    uint32_t crc;

    assert_int_equal(span_file_write(f->file, bytes_of_str("ab"), DATA_BYTES - 1, &err), -EINVAL);
    assert_int_equal(span_file_write(f->file, bytes_of_str("ab"), UINT64_MAX, &err), -EINVAL);
    assert_int_equal(span_file_add(f->file, SPANS, 0, &err), -EINVAL);
    assert_int_equal(span_file_forget(f->file, SPANS, &err), -EINVAL);
    assert_false(span_file_recorded(f->file, SPANS, &crc));
}

static void impossible_sizes_are_refused(void **state)
{
    struct fixture *f = *state;
    struct span_file_options options = f->options;
    struct err err = ERR_NONE;
    struct span_file *file = NULL;

    options.ztoc.sha256[0] ^= 1;
    options.span_count = 0;
    assert_int_equal(span_file_open(f->store, &options, &file, &err), -EFBIG);
    options.span_count = (size_t)UINT32_MAX + 1;
    assert_int_equal(span_file_open(f->store, &options, &file, &err), -EFBIG);
    options.span_count = 1;
    options.uncomp_bytes = UINT64_MAX;
    assert_int_equal(span_file_open(f->store, &options, &file, &err), -EFBIG);
}

/* In a child: the limit cannot be taken back. */
static void a_full_disk_is_an_error_and_the_span_is_not_recorded(void **state)
{
    struct fixture *f = *state;
    int status = 0;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit limit = {.rlim_cur = 2 * SPAN_BYTES, .rlim_max = 2 * SPAN_BYTES};
        uint8_t bytes[SPAN_BYTES] = {1};
        struct err err = ERR_NONE;

        (void)signal(SIGXFSZ, SIG_IGN);
        if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
            _exit(1);
        if (span_file_write(f->file, bytes_of(bytes, sizeof(bytes)), 0, &err) < 0)
            _exit(2);
        _exit(span_file_write(f->file, bytes_of(bytes, sizeof(bytes)), 3 * SPAN_BYTES, &err) ==
                      -EFBIG
                  ? 0
                  : 3);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    reopen(f);
    assert_false(recorded(f, 0) || recorded(f, 3));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* ---- the whole ------------------------------------------------------------------------------- */

static struct digest some_diff_id(void)
{
    struct digest digest;

    memset(digest.sha256, 0xd1, sizeof(digest.sha256));
    return digest;
}

static void set_checked(struct fixture *f)
{
    struct digest diff_id = some_diff_id();
    struct err err = ERR_NONE;

    for (size_t n = 0; n < SPANS; n++)
        add(f, n);
    assert_ok(span_file_set_checked(f->file, &diff_id, &err));
}

static bool is_checked(struct fixture *f)
{
    struct digest diff_id = some_diff_id(), seen;
    bool yes = span_file_is_checked(f->file, &seen);

    if (yes)
        assert_true(digest_equal(&seen, &diff_id));
    return yes;
}

/* In a process that is killed right after it. */
static void do_and_die(struct fixture *f, void (*what)(struct fixture *f))
{
    int status = 0;
    struct err err = ERR_NONE;
    pid_t child;

    span_file_close(f->file);
    f->file = NULL;
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (span_file_open(f->store, &f->options, &f->file, &err) < 0)
            _exit(1);
        what(f);
        (void)raise(SIGKILL);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    reopen(f);
}

static void that_the_whole_was_checked_is_known_to_the_next_process_with_its_spans(void **state)
{
    struct fixture *f = *state;

    assert_false(is_checked(f));
    do_and_die(f, set_checked);
    assert_true(is_checked(f));
    for (size_t n = 0; n < SPANS; n++)
        assert_true(recorded(f, n));
}

static void forget_one(struct fixture *f)
{
    struct err err = ERR_NONE;

    assert_ok(span_file_forget(f->file, 1, &err));
    assert_false(is_checked(f));
}

static void a_span_that_is_forgotten_ends_it_at_once(void **state)
{
    struct fixture *f = *state;

    set_checked(f);
    do_and_die(f, forget_one); /* before any sync */
    assert_false(is_checked(f));
}

static void data_that_is_started_anew_is_not_checked(void **state)
{
    struct fixture *f = *state;

    set_checked(f);
    flip_map_byte(f, 20); /* in its header */
    reopen(f);
    assert_false(is_checked(f));
}

static void a_check_that_is_damaged_or_of_another_layer_is_none(void **state)
{
    struct fixture *f = *state;
    char path[300];

    (void)snprintf(path, sizeof(path), "%s/checked", f->dir);
    for (off_t at = 0; at < 120; at += 7) {
        uint8_t byte;
        int fd;

        set_checked(f);
        fd = open(path, O_RDWR | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= 0x10;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        assert_int_equal(close(fd), 0);
        reopen(f);
        assert_false(is_checked(f));
    }
}

static void the_length_is_in_whole_blocks_also_of_files_that_end_with_the_tar(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_NONE;
    struct stat st;

    span_file_close(f->file);
    f->options.uncomp_bytes -= 100;
    assert_ok(span_file_open(f->store, &f->options, &f->file, &err));
    assert_int_equal(fstat(span_file_fd(f->file), &st), 0);
    assert_int_equal(st.st_size % SPAN_FILE_BLOCK_BYTES, 0);
    assert_true((uint64_t)st.st_size >= f->options.uncomp_bytes);
    add(f, 0);
    assert_int_equal(ftruncate(span_file_fd(f->file), (off_t)f->options.uncomp_bytes), 0);
    reopen(f);
    assert_true(recorded(f, 0));
    assert_int_equal(fstat(span_file_fd(f->file), &st), 0);
    assert_int_equal(st.st_size % SPAN_FILE_BLOCK_BYTES, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(spans_are_recorded_for_the_next_process),
        TEST(a_crash_loses_what_was_not_synced_and_nothing_else),
        TEST(a_forgotten_span_stays_forgotten_until_it_is_added_again),
        TEST(the_data_file_is_sparse_and_as_long_as_the_tar),
        TEST(a_log_that_grew_is_written_anew_without_losing_a_span),
        TEST(a_torn_record_ends_the_log_and_is_written_over),
        TEST(a_flipped_bit_in_any_place_never_makes_a_span_present),
        TEST(records_of_another_map_do_not_fit),
        TEST(another_size_or_span_count_starts_anew),
        TEST(files_of_another_layer_start_anew),
        TEST(two_layers_with_one_ztoc_have_files_of_their_own),
        TEST(a_walk_tells_layer_and_ztoc_and_passes_over_other_names),
        TEST(a_data_file_that_is_gone_or_was_cut_starts_anew),
        TEST(a_layer_that_is_open_is_not_opened_or_removed),
        TEST(bytes_and_spans_past_the_end_are_refused),
        TEST(impossible_sizes_are_refused),
        TEST(that_the_whole_was_checked_is_known_to_the_next_process_with_its_spans),
        TEST(a_span_that_is_forgotten_ends_it_at_once),
        TEST(data_that_is_started_anew_is_not_checked),
        TEST(a_check_that_is_damaged_or_of_another_layer_is_none),
        TEST(the_length_is_in_whole_blocks_also_of_files_that_end_with_the_tar),
        TEST(a_full_disk_is_an_error_and_the_span_is_not_recorded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
