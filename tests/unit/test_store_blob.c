/* SPDX-License-Identifier: Apache-2.0 */
/* The root directory and the blobs in it. */
#include "test.h"

#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct fixture {
    char root[64];
    struct store *store;
    struct digest digest; /* of `content` */
};

static const char content[] = "a small blob";

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct err err = ERR_NONE;

    (void)strcpy(f->root, "/tmp/test-blob.XXXXXX");
    assert_non_null(mkdtemp(f->root));
    assert_ok(store_open(f->root, &f->store, &err));
    assert_ok(digest_of(bytes_of_str(content), &f->digest));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_NONE;

    store_close(f->store);
    assert_ok(dir_remove_all(f->root, &err));
    free(f);
    return 0;
}

static char *path_of(const struct fixture *f, const char *name)
{
    char hex[2 * DIGEST_BYTES + 1];
    SCOPED(mem) char *dir = path_join(f->root, "content/blobs/sha256");

    digest_hex(&f->digest, hex);
    return path_join(dir, name != NULL ? name : hex);
}

static void a_blob_is_read_as_it_was_put(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_NONE;
    SCOPED(buf_value) struct buf got = BUF_EMPTY;

    assert_ok(store_blob_put(f->store, &f->digest, bytes_of_str(content), &err));
    assert_ok(store_blob_put(f->store, &f->digest, bytes_of_str(content), &err));
    assert_ok(buf_add_str(&got, "before:"));
    assert_ok(store_blob_read(f->store, &f->digest, strlen(content), &got, &err));
    assert_string_equal(buf_str(&got), "before:a small blob");
}

static void a_mapped_blob_is_checked_too(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_NONE;
    SCOPED(mem) char *path = path_of(f, NULL);
    struct bytes got = {.data = NULL};

    assert_ok(store_blob_put(f->store, &f->digest, bytes_of_str(content), &err));
    assert_int_equal(store_blob_map(f->store, &f->digest, 3, &got, &err), -EFBIG);
    assert_ok(store_blob_map(f->store, &f->digest, 100, &got, &err));
    assert_true(bytes_equal(got, bytes_of_str(content)));
    store_blob_unmap(&got);
    store_blob_unmap(&got); /* nothing is left to unmap */
    assert_ok(file_replace(path, bytes_of_str("a small blot"), 0444, &err));
    assert_int_equal(store_blob_map(f->store, &f->digest, 100, &got, &err), -ENOENT);
    assert_null(got.data);
}

static void an_empty_blob_is_a_blob(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_NONE;
    SCOPED(buf_value) struct buf got = BUF_EMPTY;
    struct digest digest;

    assert_ok(digest_of(bytes_of(NULL, 0), &digest));
    assert_ok(store_blob_put(f->store, &digest, bytes_of(NULL, 0), &err));
    assert_ok(store_blob_read(f->store, &digest, 10, &got, &err));
    assert_int_equal(got.len, 0);
}

static void a_blob_that_is_not_there_is_enoent(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_NONE;
    SCOPED(buf_value) struct buf got = BUF_EMPTY;
    int fd = -1;

    assert_int_equal(store_blob_read(f->store, &f->digest, 100, &got, &err), -ENOENT);
    assert_int_equal(store_blob_open(f->store, &f->digest, &fd, &err), -ENOENT);
    assert_ok(store_blob_remove(f->store, &f->digest, &err));
}

static void a_blob_over_the_limit_is_refused_and_stays(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_NONE;
    SCOPED(buf_value) struct buf got = BUF_EMPTY;

    assert_ok(store_blob_put(f->store, &f->digest, bytes_of_str(content), &err));
    assert_int_equal(store_blob_read(f->store, &f->digest, strlen(content) - 1, &got, &err),
                     -EFBIG);
    assert_int_equal(got.len, 0);
    assert_ok(store_blob_read(f->store, &f->digest, 100, &got, &err));
}

static void a_damaged_blob_is_removed_and_can_be_put_again(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_NONE;
    SCOPED(mem) char *path = path_of(f, NULL);
    SCOPED(buf_value) struct buf got = BUF_EMPTY;

    assert_ok(store_blob_put(f->store, &f->digest, bytes_of_str(content), &err));
    assert_ok(file_replace(path, bytes_of_str("a small blot"), 0444, &err));
    assert_int_equal(store_blob_read(f->store, &f->digest, 100, &got, &err), -ENOENT);
    assert_int_equal(got.len, 0);
    assert_false(path_exists(path));
    assert_ok(store_blob_put(f->store, &f->digest, bytes_of_str(content), &err));
    assert_ok(store_blob_read(f->store, &f->digest, 100, &got, &err));
    assert_string_equal(buf_str(&got), content);
}

static void a_second_holder_of_the_root_is_refused(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_NONE;
    struct store *second = NULL;

    assert_int_equal(store_open(f->root, &second, &err), -EBUSY);
    assert_null(second);
    store_close(f->store);
    assert_ok(store_open(f->root, &f->store, &err));
}

static void opening_sweeps_half_written_blobs_and_nothing_else(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_NONE;
    SCOPED(mem) char *blob = path_of(f, NULL);
    SCOPED(mem) char *half = path_of(f, "0123abcd.Xy12Zz");

    assert_ok(store_blob_put(f->store, &f->digest, bytes_of_str(content), &err));
    assert_ok(file_replace(half, bytes_of_str("a sma"), 0600, &err));
    store_close(f->store);
    assert_ok(store_open(f->root, &f->store, &err));
    assert_false(path_exists(half));
    assert_true(path_exists(blob));
}

static int count_blob(void *arg, const struct digest *digest)
{
    (void)digest;
    ++*(int *)arg;
    return 0;
}

static void a_walk_can_leave_out_young_blobs(void **state)
{
    struct fixture *f = *state;
    SCOPED(mem) char *path = path_of(f, NULL);
    const struct timespec hour_ago = {.tv_sec = time(NULL) - 3600};
    const struct timespec times[2] = {hour_ago, hour_ago};
    struct err err = ERR_NONE;
    int young = 0, all = 0, old = 0;

    assert_ok(store_blob_put(f->store, &f->digest, bytes_of_str(content), &err));
    assert_ok(store_blob_walk(f->store, 60000, count_blob, &young, &err));
    assert_ok(store_blob_walk(f->store, 0, count_blob, &all, &err));
    assert_ok(utimensat(AT_FDCWD, path, times, 0));
    assert_ok(store_blob_walk(f->store, 60000, count_blob, &old, &err));
    assert_int_equal(young, 0);
    assert_int_equal(all, 1);
    assert_int_equal(old, 1);
}

static void a_relative_root_is_absolute_from_then_on(void **state)
{
    struct fixture *f = *state;
    SCOPED(mem) char *want = text_format("%s/re la", f->root);
    SCOPED(mem) char *before = getcwd(NULL, 0);
    SCOPED(store) struct store *store = NULL;
    SCOPED(buf_value) struct buf read = BUF_EMPTY;
    struct err err = ERR_NONE;

    assert_non_null(before);
    assert_ok(chdir(f->root));
    assert_ok(store_open("re la", &store, &err));
    assert_ok(chdir(before));
    assert_string_equal(store_root(store), want);
    assert_ok(store_blob_put(store, &f->digest, bytes_of_str(content), &err));
    assert_ok(store_blob_read(store, &f->digest, 100, &read, &err));
}

static void no_root_is_refused(void **state)
{
    SCOPED(store) struct store *store = NULL;
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(store_open("", &store, &err), -EINVAL);
    assert_null(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_blob_is_read_as_it_was_put, setup, teardown),
        cmocka_unit_test_setup_teardown(a_mapped_blob_is_checked_too, setup, teardown),
        cmocka_unit_test_setup_teardown(an_empty_blob_is_a_blob, setup, teardown),
        cmocka_unit_test_setup_teardown(a_blob_that_is_not_there_is_enoent, setup, teardown),
        cmocka_unit_test_setup_teardown(a_blob_over_the_limit_is_refused_and_stays, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_damaged_blob_is_removed_and_can_be_put_again, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_second_holder_of_the_root_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_relative_root_is_absolute_from_then_on, setup, teardown),
        cmocka_unit_test(no_root_is_refused),
        cmocka_unit_test_setup_teardown(a_walk_can_leave_out_young_blobs, setup, teardown),
        cmocka_unit_test_setup_teardown(opening_sweeps_half_written_blobs_and_nothing_else, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
