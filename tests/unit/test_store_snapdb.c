/* SPDX-License-Identifier: Apache-2.0 */
/* The snapshot database: what is kept, what is refused, what other threads see meanwhile. */
#include "test.h"

#include "base/text.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>

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

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    (void)strcpy(f->root, "/tmp/test-snapdb.XXXXXX");
    assert_non_null(mkdtemp(f->root));
    open_db(f);
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

static int insert(struct snapdb *db, const char *name, const char *parent, uint64_t *ret_id,
                  struct err *err)
{
    SCOPED(snapdb_row) struct snapdb_row row = {.kind = SNAPDB_COMMITTED, .created_ns = 5};
    int rc;

    row.name = text_copy(name);
    row.parent = text_copy(parent);
    assert_ok(text_map_set(&row.labels, "z", "last"));
    assert_ok(text_map_set(&row.labels, "name", name));
    rc = snapdb_insert(db, &row, err);
    if (ret_id != NULL)
        *ret_id = row.id;
    return rc;
}

static void insert_committed(struct snapdb *db, const char *name, const char *parent)
{
    struct err err = ERR_NONE;

    assert_ok(snapdb_begin(db, &err));
    assert_ok(insert(db, name, parent, NULL, &err));
    assert_ok(snapdb_commit(db, &err));
}

static bool has(struct snapdb *db, const char *name)
{
    SCOPED(snapdb_row) struct snapdb_row row = {.id = 0};
    struct err err = ERR_NONE;
    int rc = snapdb_get(db, name, &row, &err);

    assert_true(rc == 0 || rc == -ENOENT);
    return rc == 0;
}

static int stop_at_second(void *arg, const struct snapdb_row *row)
{
    size_t *count = arg;

    (void)row;
    return ++*count == 2 ? -ECANCELED : 0;
}

static void a_row_comes_back_as_it_went_in_also_after_reopening(void **state)
{
    struct fixture *f = *state;
    SCOPED(snapdb_row)
    struct snapdb_row row = {
        .kind = SNAPDB_ACTIVE,
        .created_ns = 1700000000123456789,
        .updated_ns = -1,
        .usage_bytes = 1ull << 40,
        .usage_inodes = 77,
    };
    SCOPED(snapdb_row) struct snapdb_row got = {.id = 0};
    struct err err = ERR_NONE;

    insert_committed(f->db, "base", "");
    row.name = text_copy("finch/48/extract-1 sha256:\xff\"'%");
    row.parent = text_copy("base");
    assert_ok(text_map_set(&row.labels, "b.c/d", "väl\n\"ue"));
    assert_ok(text_map_set(&row.labels, "a", "1"));
    assert_ok(snapdb_begin(f->db, &err));
    assert_ok(snapdb_insert(f->db, &row, &err));
    assert_ok(snapdb_commit(f->db, &err));
    close_db(f);
    open_db(f);

    assert_ok(snapdb_get(f->db, row.name, &got, &err));
    assert_int_equal(got.id, 2);
    assert_string_equal(got.name, row.name);
    assert_string_equal(got.parent, "base");
    assert_int_equal(got.kind, SNAPDB_ACTIVE);
    assert_int_equal(got.created_ns, 1700000000123456789);
    assert_int_equal(got.updated_ns, -1);
    assert_int_equal(got.usage_bytes, 1ull << 40);
    assert_int_equal(got.usage_inodes, 77);
    assert_int_equal(got.labels.count, 2);
    assert_string_equal(text_map_get(&got.labels, "b.c/d"), "väl\n\"ue");
    assert_string_equal(text_map_get(&got.labels, "a"), "1");
}

static void an_update_replaces_name_and_labels(void **state)
{
    struct fixture *f = *state;
    SCOPED(snapdb_row) struct snapdb_row row = {.id = 0}, got = {.id = 0};
    struct err err = ERR_NONE;

    insert_committed(f->db, "old", "");
    assert_ok(snapdb_begin(f->db, &err));
    assert_ok(snapdb_get(f->db, "old", &row, &err));
    free(row.name);
    row.name = text_copy("new");
    text_map_remove(&row.labels, "z");
    assert_ok(snapdb_update(f->db, &row, &err));
    assert_ok(snapdb_commit(f->db, &err));
    assert_false(has(f->db, "old"));
    assert_ok(snapdb_get_by_id(f->db, row.id, &got, &err));
    assert_string_equal(got.name, "new");
    assert_int_equal(got.labels.count, 1);
    assert_null(text_map_get(&got.labels, "z"));
}

static void an_update_writes_labels_that_are_new_or_changed_and_drops_those_that_went(void **state)
{
    struct fixture *f = *state;
    SCOPED(snapdb_row) struct snapdb_row row = {.id = 0}, got = {.id = 0};
    struct err err = ERR_NONE;
    size_t count = 0;

    insert_committed(f->db, "a", "");
    assert_ok(snapdb_begin(f->db, &err));
    assert_ok(snapdb_get(f->db, "a", &row, &err));
    text_map_remove(&row.labels, "z");
    assert_ok(text_map_set(&row.labels, "name", "other"));
    assert_ok(text_map_set(&row.labels, "new", "1"));
    row.usage_bytes = 9;
    assert_ok(snapdb_update(f->db, &row, &err));
    assert_ok(snapdb_commit(f->db, &err));
    assert_ok(snapdb_get(f->db, "a", &got, &err));
    assert_int_equal(got.usage_bytes, 9);
    assert_int_equal(got.labels.count, 2);
    assert_string_equal(text_map_get(&got.labels, "name"), "other");
    assert_string_equal(text_map_get(&got.labels, "new"), "1");
    assert_ok(snapdb_walk_label(f->db, "name", "a", stop_at_second, &count, &err));
    assert_int_equal(count, 0); /* the index too knows the new value alone */
    assert_ok(snapdb_walk_label(f->db, "name", "other", stop_at_second, &count, &err));
    assert_int_equal(count, 1);
}

static void an_update_can_put_a_row_on_a_parent_and_on_none_that_is_missing(void **state)
{
    struct fixture *f = *state;
    SCOPED(snapdb_row) struct snapdb_row row = {.id = 0}, got = {.id = 0};
    struct err err = ERR_NONE;

    insert_committed(f->db, "base", "");
    insert_committed(f->db, "a", "");
    assert_ok(snapdb_begin(f->db, &err));
    assert_ok(snapdb_get(f->db, "a", &row, &err));
    free(row.parent);
    row.parent = text_copy("nobody");
    assert_int_equal(snapdb_update(f->db, &row, &err), -ENOENT);
    free(row.parent);
    row.parent = text_copy("base");
    assert_ok(snapdb_update(f->db, &row, &err));
    assert_ok(snapdb_commit(f->db, &err));
    assert_ok(snapdb_get(f->db, "a", &got, &err));
    assert_string_equal(got.parent, "base");
}

static void an_update_of_an_unknown_id_is_refused(void **state)
{
    struct fixture *f = *state;
    SCOPED(snapdb_row) struct snapdb_row row = {.id = 42, .kind = SNAPDB_VIEW};
    struct err err = ERR_NONE;

    row.name = text_copy("x");
    assert_ok(snapdb_begin(f->db, &err));
    assert_int_equal(snapdb_update(f->db, &row, &err), -ENOENT);
    snapdb_rollback(f->db);
}

static void a_taken_name_is_refused(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_NONE;

    insert_committed(f->db, "a", "");
    assert_ok(snapdb_begin(f->db, &err));
    assert_int_equal(insert(f->db, "a", "", NULL, &err), -EEXIST);
    snapdb_rollback(f->db);
}

static void a_parent_that_is_not_there_is_refused(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_NONE;

    assert_ok(snapdb_begin(f->db, &err));
    assert_int_equal(insert(f->db, "a", "nobody", NULL, &err), -ENOENT);
    snapdb_rollback(f->db);
    assert_false(has(f->db, "a"));
}

static void a_parent_with_a_child_cannot_be_deleted(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_NONE;
    bool children = false;

    insert_committed(f->db, "a", "");
    insert_committed(f->db, "b", "a");
    assert_ok(snapdb_has_children(f->db, "a", &children, &err));
    assert_true(children);
    assert_ok(snapdb_has_children(f->db, "b", &children, &err));
    assert_false(children);
    assert_ok(snapdb_begin(f->db, &err));
    assert_int_equal(snapdb_delete(f->db, "a", &err), -EBUSY);
    assert_ok(snapdb_delete(f->db, "b", &err));
    assert_ok(snapdb_delete(f->db, "a", &err));
    assert_int_equal(snapdb_delete(f->db, "a", &err), -ENOENT);
    assert_ok(snapdb_commit(f->db, &err));
    assert_false(has(f->db, "a"));
}

static void a_write_outside_a_transaction_is_refused(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_NONE;

    assert_int_equal(insert(f->db, "a", "", NULL, &err), -EINVAL);
    assert_int_equal(snapdb_delete(f->db, "a", &err), -EINVAL);
}

static void a_rollback_forgets_the_row_and_spends_the_id(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_NONE;
    uint64_t first = 0, second = 0;

    assert_ok(snapdb_begin(f->db, &err));
    assert_ok(insert(f->db, "a", "", &first, &err));
    assert_true(has(f->db, "a"));
    snapdb_rollback(f->db);
    assert_false(has(f->db, "a"));
    assert_ok(snapdb_begin(f->db, &err));
    assert_ok(insert(f->db, "a", "", &second, &err));
    assert_ok(snapdb_commit(f->db, &err));
    assert_int_equal(second, first + 1);
}

static void an_id_is_not_given_again_after_deletion_and_reopening(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_NONE;
    uint64_t first = 0, second = 0;

    assert_ok(snapdb_begin(f->db, &err));
    assert_ok(insert(f->db, "a", "", &first, &err));
    assert_ok(snapdb_delete(f->db, "a", &err));
    assert_ok(snapdb_commit(f->db, &err));
    close_db(f);
    open_db(f);
    assert_ok(snapdb_begin(f->db, &err));
    assert_ok(insert(f->db, "b", "", &second, &err));
    assert_ok(snapdb_commit(f->db, &err));
    assert_true(second > first);
}

static int count_row(void *arg, const struct snapdb_row *row)
{
    size_t *count = arg;

    assert_int_equal(row->labels.count, 2);
    assert_string_equal(text_map_get(&row->labels, "name"), row->name);
    ++*count;
    return 0;
}

static void a_walk_visits_every_row_with_its_own_labels_or_ends_when_told(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_NONE;
    size_t count = 0;

    assert_ok(snapdb_walk(f->db, count_row, &count, &err));
    assert_int_equal(count, 0);
    insert_committed(f->db, "a", "");
    insert_committed(f->db, "b", "a");
    insert_committed(f->db, "c", "b");
    assert_ok(snapdb_walk(f->db, count_row, &count, &err));
    assert_int_equal(count, 3);
    count = 0;
    assert_int_equal(snapdb_walk(f->db, stop_at_second, &count, &err), -ECANCELED);
    assert_int_equal(count, 2);
    count = 0;
    assert_ok(snapdb_walk_label(f->db, "name", "b", count_row, &count, &err));
    assert_int_equal(count, 1);
    assert_ok(snapdb_walk_label(f->db, "name", "nobody", count_row, &count, &err));
    assert_int_equal(count, 1);
}

static void ids_come_ascending(void **state)
{
    struct fixture *f = *state;
    SCOPED(mem) uint64_t *ids = NULL;
    struct err err = ERR_NONE;
    size_t count = 9;

    assert_ok(snapdb_ids(f->db, &ids, &count, &err));
    assert_int_equal(count, 0);
    assert_null(ids);
    insert_committed(f->db, "b", "");
    insert_committed(f->db, "a", "");
    assert_ok(snapdb_ids(f->db, &ids, &count, &err));
    assert_int_equal(count, 2);
    assert_int_equal(ids[0], 1);
    assert_int_equal(ids[1], 2);
}

static int write_during_walk(void *arg, const struct snapdb_row *row)
{
    struct snapdb *db = arg;
    SCOPED(mem) char *name = text_format("%s+", row->name);

    insert_committed(db, name, "");
    return 0;
}

static void a_walk_sees_one_moment_while_others_write(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_NONE;
    size_t count = 0;

    insert_committed(f->db, "a", "");
    insert_committed(f->db, "b", "");
    assert_ok(snapdb_walk(f->db, write_during_walk, f->db, &err)); /* would never end otherwise */
    assert_ok(snapdb_walk(f->db, count_row, &count, &err));
    assert_int_equal(count, 4);
}

struct visitor {
    struct snapdb *db;
    bool saw;
};

static void *look_for_a(void *arg)
{
    struct visitor *visitor = arg;

    visitor->saw = has(visitor->db, "a");
    return NULL;
}

static bool seen_by_another_thread(struct snapdb *db)
{
    struct visitor visitor = {.db = db};
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, look_for_a, &visitor), 0);
    (void)pthread_join(thread, NULL);
    return visitor.saw;
}

static void another_thread_sees_a_row_only_after_commit_and_does_not_wait(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_NONE;

    assert_ok(snapdb_begin(f->db, &err));
    assert_ok(insert(f->db, "a", "", NULL, &err));
    assert_true(has(f->db, "a"));
    assert_false(seen_by_another_thread(f->db));
    assert_ok(snapdb_commit(f->db, &err));
    assert_true(seen_by_another_thread(f->db));
}

enum { WRITERS = 4, WRITES = 25 };

struct writer {
    struct snapdb *db;
    int number;
};

static void *write_rows(void *arg)
{
    const struct writer *writer = arg;
    int i;

    for (i = 0; i < WRITES; i++) {
        SCOPED(mem) char *name = text_format("w%d/%d", writer->number, i);
        insert_committed(writer->db, name, "");
        (void)has(writer->db, name);
    }
    return NULL;
}

static void writers_queue(void **state)
{
    struct fixture *f = *state;
    struct writer writers[WRITERS];
    pthread_t threads[WRITERS];
    struct err err = ERR_NONE;
    size_t count = 0;
    int i;

    for (i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.db = f->db, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, write_rows, &writers[i]), 0);
    }
    for (i = 0; i < WRITERS; i++)
        (void)pthread_join(threads[i], NULL);
    assert_ok(snapdb_walk(f->db, count_row, &count, &err));
    assert_int_equal(count, WRITERS * WRITES);
}

static void a_second_process_on_the_same_root_is_refused(void **state)
{
    struct fixture *f = *state;
    SCOPED(store) struct store *second = NULL;
    struct err err = ERR_NONE;

    assert_int_equal(store_open(f->root, &second, &err), -EBUSY);
    assert_null(second);
}

static void a_schema_from_the_future_is_refused_and_left_alone(void **state)
{
    struct fixture *f = *state;
    SCOPED(mem) char *path = text_format("%s/snapshotter/metadata.sqlite", f->root);
    struct err err = ERR_NONE;
    sqlite3 *raw = NULL;

    insert_committed(f->db, "a", "");
    snapdb_close(f->db);
    f->db = NULL;
    assert_int_equal(sqlite3_open(path, &raw), SQLITE_OK);
    assert_int_equal(sqlite3_exec(raw, "PRAGMA user_version = 99", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(snapdb_open(f->store, &f->db, &err), -EOPNOTSUPP);
    assert_null(f->db);
    assert_int_equal(sqlite3_exec(raw, "PRAGMA user_version = 1", NULL, NULL, NULL), SQLITE_OK);
    (void)sqlite3_close(raw);
    assert_ok(snapdb_open(f->store, &f->db, &err));
    assert_true(has(f->db, "a"));
}

/* How often there is something of that name in a directory that was set aside. */
static size_t set_aside(const struct fixture *f, const char *name)
{
    SCOPED(mem) char *pattern = text_format("%s/snapshotter/set-aside-*/%s", f->root, name);
    glob_t found;
    size_t count = glob(pattern, 0, NULL, &found) == 0 ? found.gl_pathc : 0;

    globfree(&found);
    return count;
}

static void add_directory(const struct fixture *f, const char *id)
{
    SCOPED(mem) char *path = text_format("%s/snapshotter/snapshots/%s/fs", f->root, id);
    struct err err = ERR_NONE;

    assert_ok(dir_make_all(path, 0755, &err));
}

static void overwrite(struct fixture *f, uint64_t off, size_t len)
{
    SCOPED(mem) char *path = text_format("%s/snapshotter/metadata.sqlite", f->root);
    SCOPED(fd) int fd = -1;
    SCOPED(mem) char *junk = calloc(1, len);
    struct err err = ERR_NONE;

    snapdb_close(f->db);
    f->db = NULL;
    fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    memset(junk, 'x', len);
    assert_ok(file_pwrite_all(fd, junk, len, off, &err));
}

static void a_file_that_is_no_database_is_set_aside_with_the_snapshots(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_NONE;

    insert_committed(f->db, "a", "");
    add_directory(f, "1");
    overwrite(f, 0, 8192);
    assert_ok(snapdb_open(f->store, &f->db, &err));
    assert_false(has(f->db, "a"));
    assert_int_equal(set_aside(f, "metadata.sqlite"), 1);
    assert_int_equal(set_aside(f, "snapshots/1/fs"), 1);
}

/* It opens and its schema can be read, so nobody would notice before a row is asked for. */
static void a_database_with_a_damaged_page_is_set_aside(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_NONE;

    for (int i = 0; i < 200; i++) {
        SCOPED(mem) char *name = text_format("%d", i);
        insert_committed(f->db, name, "");
    }
    overwrite(f, (uint64_t)4096 * 6, 4096);
    assert_ok(snapdb_open(f->store, &f->db, &err));
    assert_false(has(f->db, "1"));
    assert_int_equal(set_aside(f, "metadata.sqlite"), 1);
}

static void snapshots_without_their_database_are_set_aside(void **state)
{
    struct fixture *f = *state;
    SCOPED(mem) char *path = text_format("%s/snapshotter/metadata.sqlite", f->root);
    struct err err = ERR_NONE;

    add_directory(f, "17");
    snapdb_close(f->db);
    f->db = NULL;
    assert_ok(unlink(path));
    assert_ok(snapdb_open(f->store, &f->db, &err));
    assert_int_equal(set_aside(f, "snapshots/17/fs"), 1);
}

static void an_empty_directory_of_snapshots_is_left_where_it_is(void **state)
{
    struct fixture *f = *state;
    SCOPED(mem) char *path = text_format("%s/snapshotter/metadata.sqlite", f->root);
    struct err err = ERR_NONE;

    add_directory(f, "new-1");
    snapdb_close(f->db);
    f->db = NULL;
    assert_ok(unlink(path));
    assert_ok(snapdb_open(f->store, &f->db, &err));
    assert_int_equal(set_aside(f, "snapshots"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(a_row_comes_back_as_it_went_in_also_after_reopening),
        T(an_update_replaces_name_and_labels),
        T(an_update_writes_labels_that_are_new_or_changed_and_drops_those_that_went),
        T(an_update_can_put_a_row_on_a_parent_and_on_none_that_is_missing),
        T(an_update_of_an_unknown_id_is_refused),
        T(a_taken_name_is_refused),
        T(a_parent_that_is_not_there_is_refused),
        T(a_parent_with_a_child_cannot_be_deleted),
        T(a_write_outside_a_transaction_is_refused),
        T(a_rollback_forgets_the_row_and_spends_the_id),
        T(an_id_is_not_given_again_after_deletion_and_reopening),
        T(a_walk_visits_every_row_with_its_own_labels_or_ends_when_told),
        T(ids_come_ascending),
        T(a_walk_sees_one_moment_while_others_write),
        T(another_thread_sees_a_row_only_after_commit_and_does_not_wait),
        T(writers_queue),
        T(a_second_process_on_the_same_root_is_refused),
        T(a_schema_from_the_future_is_refused_and_left_alone),
        T(a_file_that_is_no_database_is_set_aside_with_the_snapshots),
        T(a_database_with_a_damaged_page_is_set_aside),
        T(snapshots_without_their_database_are_set_aside),
        T(an_empty_directory_of_snapshots_is_left_where_it_is),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
