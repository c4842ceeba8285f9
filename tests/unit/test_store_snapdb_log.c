/* SPDX-License-Identifier: Apache-2.0 */
/* The log of the snapshot database: how large it gets, what is in it after a crash. */
#include "test.h"

#include "base/clock.h"
#include "base/text.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LOG_PAGE_BYTES = 4096 + 24 }; /* with the header that each page has in the log */
/* CHECKPOINT_LIMIT_PAGES and what transactions may add that were begun before. */
enum { LOG_MAX_PAGES = 16000 + 1000 };
enum { UPDATES = 20000 };

struct fixture {
    char root[64];
    struct store *store;
    struct snapdb *db;
};

static void open_db(struct fixture *f)
{
    struct err err = ERR_NONE;

    assert_ok(store_open(f->root, &f->store, &err));
    assert_ok(snapdb_open(f->store, &f->db, &err));
}

static void close_db(struct fixture *f)
{
    snapdb_close(f->db);
    store_close(f->store);
    f->db = NULL;
    f->store = NULL;
}

/* In memory: what is tested is not how long a sync takes. */
static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    (void)strcpy(f->root, "/dev/shm/test-snapdb-log.XXXXXX");
    assert_non_null(mkdtemp(f->root));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_NONE;

    close_db(f);
    assert_ok(dir_remove_all(f->root, &err));
    free(f);
    return 0;
}

/* 0: there is none. */
static uint64_t log_bytes(const struct fixture *f)
{
    SCOPED(mem) char *path = text_format("%s/snapshotter/metadata.sqlite-wal", f->root);
    struct stat st;

    if (stat(path, &st) == 0)
        return (uint64_t)st.st_size;
    assert_int_equal(errno, ENOENT);
    return 0;
}

static void insert(struct snapdb *db, uint64_t n)
{
    SCOPED(snapdb_row) struct snapdb_row row = {.kind = SNAPDB_COMMITTED};
    SCOPED(mem) char *value = text_format("%llu", (unsigned long long)n);
    struct err err = ERR_NONE;

    row.name = text_format("row-%llu", (unsigned long long)n);
    assert_ok(text_map_set(&row.labels, "number", value));
    assert_ok(snapdb_begin(db, &err));
    assert_ok(snapdb_insert(db, &row, &err));
    assert_ok(snapdb_commit(db, &err));
}

static void update(struct snapdb *db, uint64_t n, uint64_t value)
{
    SCOPED(snapdb_row) struct snapdb_row row = {.id = 0};
    SCOPED(mem) char *name = text_format("row-%llu", (unsigned long long)n);
    SCOPED(mem) char *text = text_format("%llu", (unsigned long long)value);
    struct err err = ERR_NONE;

    assert_ok(snapdb_begin(db, &err));
    assert_ok(snapdb_get(db, name, &row, &err));
    assert_ok(text_map_set(&row.labels, "number", text));
    assert_ok(snapdb_update(db, &row, &err));
    assert_ok(snapdb_commit(db, &err));
}

static uint64_t number_of(struct snapdb *db, uint64_t n)
{
    SCOPED(snapdb_row) struct snapdb_row row = {.id = 0};
    SCOPED(mem) char *name = text_format("row-%llu", (unsigned long long)n);
    struct err err = ERR_NONE;
    uint64_t value = 0;

    assert_ok(snapdb_get(db, name, &row, &err));
    assert_ok(text_parse_u64(text_map_get(&row.labels, "number"), &value));
    return value;
}

/* ---- its size -------------------------------------------------------------------------------- */

static void twenty_thousand_updates_without_a_pause_leave_the_log_bounded(void **state)
{
    struct fixture *f = *state;
    uint64_t largest = 0;

    open_db(f);
    for (uint64_t n = 0; n < 100; n++)
        insert(f->db, n);
    for (uint64_t i = 0; i < UPDATES; i++) {
        uint64_t bytes;

        update(f->db, i % 100, i);
        bytes = log_bytes(f);
        largest = bytes > largest ? bytes : largest;
    }
    assert_true(largest > 0);
    assert_true(largest <= (uint64_t)LOG_MAX_PAGES * LOG_PAGE_BYTES);
    for (uint64_t n = 0; n < 100; n++)
        assert_int_equal(number_of(f->db, n), UPDATES - 100 + n);
}

struct walker {
    struct snapdb *db;
    atomic_bool stop;
    atomic_size_t walks;
};

static int count_row(void *arg, const struct snapdb_row *row)
{
    (void)row;
    ++*(size_t *)arg;
    return 0;
}

static void *walk_again_and_again(void *arg)
{
    struct walker *reader = arg;
    struct err err = ERR_NONE;

    while (!atomic_load(&reader->stop)) {
        size_t count = 0;

        assert_ok(snapdb_walk(reader->db, count_row, &count, &err));
        assert_int_equal(count, 100);
        atomic_fetch_add(&reader->walks, 1);
    }
    return NULL;
}

static void readers_beside_it_see_every_row(void **state)
{
    struct fixture *f = *state;
    struct walker reader = {.walks = 0};
    pthread_t thread;

    open_db(f);
    for (uint64_t n = 0; n < 100; n++)
        insert(f->db, n);
    reader.db = f->db;
    assert_int_equal(pthread_create(&thread, NULL, walk_again_and_again, &reader), 0);
    for (uint64_t i = 0; i < UPDATES / 4 || atomic_load(&reader.walks) == 0; i++)
        update(f->db, i % 100, i);
    atomic_store(&reader.stop, true);
    (void)pthread_join(thread, NULL);
    assert_true(atomic_load(&reader.walks) > 0);
}

/* A transaction inside a walk: the walk still reads the old pages, so the log cannot begin anew. */
static int update_many(void *arg, const struct snapdb_row *row)
{
    (void)row;
    for (uint64_t i = 0; i < UPDATES / 4; i++)
        update(arg, 0, i);
    return -ECANCELED;
}

static void a_reader_that_stays_holds_up_no_writer(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_NONE;

    open_db(f);
    insert(f->db, 0);
    assert_int_equal(snapdb_walk(f->db, update_many, f->db, &err), -ECANCELED);
    assert_int_equal(number_of(f->db, 0), UPDATES / 4 - 1);
}

static void after_a_close_there_is_no_log(void **state)
{
    struct fixture *f = *state;

    open_db(f);
    for (uint64_t n = 0; n < 1000; n++)
        insert(f->db, n);
    assert_true(log_bytes(f) > 0);
    close_db(f);
    assert_int_equal(log_bytes(f), 0);
    open_db(f);
    assert_int_equal(number_of(f->db, 999), 999);
}

/* ---- a crash --------------------------------------------------------------------------------- */

/* A process of its own, until it is killed: rows, and after each commit how many it was told of. */
static void write_until_killed(struct fixture *f, atomic_uint_fast64_t *answered)
{
    open_db(f);
    for (uint64_t n = atomic_load(answered);; n++) {
        insert(f->db, n);
        update(f->db, n, n + 1);
        atomic_store(answered, n + 1);
    }
}

static void crash_after(struct fixture *f, atomic_uint_fast64_t *answered, uint64_t more)
{
    uint64_t enough = atomic_load(answered) + more;
    pid_t pid = fork();
    int status;

    assert_true(pid >= 0);
    if (pid == 0) {
        write_until_killed(f, answered);
        _exit(1);
    }
    while (atomic_load(answered) < enough) {
        assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
        clock_sleep_ms(1);
    }
    assert_ok(kill(pid, SIGKILL));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
}

/* The one that was not answered may be there or not; then the writer goes on behind it. */
static uint64_t check_answered(struct fixture *f, uint64_t answered)
{
    SCOPED(mem) uint64_t *ids = NULL;
    struct err err = ERR_NONE;
    size_t count = 0;

    open_db(f);
    for (uint64_t n = 0; n < answered; n++)
        assert_int_equal(number_of(f->db, n), n + 1);
    assert_ok(snapdb_ids(f->db, &ids, &count, &err));
    assert_in_range(count, answered, answered + 1);
    if (count > answered)
        update(f->db, answered, answered + 1);
    close_db(f);
    return count;
}

static void a_process_that_is_killed_has_lost_nothing_that_it_answered(void **state)
{
    /* Before, during and after the first times that the log is moved and cut. */
    static const uint64_t rows[] = {1, 60, 90, 300, 500, 700};
    struct fixture *f = *state;
    atomic_uint_fast64_t *answered =
        mmap(NULL, sizeof(*answered), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_true(answered != MAP_FAILED);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        crash_after(f, answered, rows[i]);
        assert_true(log_bytes(f) > 0);
        atomic_store(answered, check_answered(f, atomic_load(answered)));
    }
    assert_ok(munmap(answered, sizeof(*answered)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(twenty_thousand_updates_without_a_pause_leave_the_log_bounded),
        T(readers_beside_it_see_every_row),
        T(a_reader_that_stays_holds_up_no_writer),
        T(after_a_close_there_is_no_log),
        T(a_process_that_is_killed_has_lost_nothing_that_it_answered),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
