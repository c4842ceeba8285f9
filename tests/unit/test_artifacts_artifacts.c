/* SPDX-License-Identifier: Apache-2.0 */
/* test_artifacts_artifacts.c – the list of ztocs and indexes outlives its process and refuses what
 * is not its own. */
#include "test.h"

#include "artifacts/artifacts.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

static int make_root(void **state)
{
    char *dir = strdup("/tmp/artifacts.XXXXXX");

    if (dir == NULL || mkdtemp(dir) == NULL)
        return -1;
    *state = dir;
    return 0;
}

static int remove_root(void **state)
{
    int rc = dir_remove_all(*state, NULL);

    free(*state);
    return rc;
}

static struct digest digest_no(uint8_t n)
{
    struct digest digest;

    memset(digest.sha256, n, sizeof(digest.sha256));
    return digest;
}

static void put(struct artifacts *artifacts, enum artifact_kind kind, uint8_t digest,
                uint8_t subject, uint64_t span_size, int64_t created_ns)
{
    struct artifact artifact = {
        .kind = kind,
        .digest = digest_no(digest),
        .size_bytes = 1000u + digest,
        .subject = digest_no(subject),
        .span_size = span_size,
        .platform = "linux/amd64",
        .created_ns = created_ns,
    };
    assert_ok(artifacts_put(artifacts, &artifact, NULL));
}

static void entries_are_there_after_reopening(void **state)
{
    struct digest subject = digest_no(9), other = digest_no(8);
    struct artifacts *artifacts = NULL;
    struct artifact found;
    struct err err = ERR_NONE;

    assert_ok(artifacts_open(*state, &artifacts, &err));
    put(artifacts, ARTIFACT_ZTOC, 1, 9, 4096, 5);
    artifacts_close(artifacts);
    assert_ok(artifacts_open(*state, &artifacts, &err));
    assert_ok(artifacts_find_ztoc(artifacts, &subject, 4096, &found, &err));
    assert_int_equal(found.digest.sha256[0], 1);
    assert_int_equal(found.size_bytes, 1001);
    assert_string_equal(found.platform, "linux/amd64");
    assert_int_equal(artifacts_find_ztoc(artifacts, &subject, 8192, &found, &err), -ENOENT);
    assert_int_equal(artifacts_find_ztoc(artifacts, &other, 4096, &found, &err), -ENOENT);
    assert_int_equal(artifacts_find_index(artifacts, &subject, ARTIFACT_INDEX_V1, &found, &err),
                     -ENOENT);
    artifacts_close(artifacts);
}

static int note(void *arg, const struct artifact *artifact, struct err *err)
{
    char *seen = arg;

    (void)err;
    (void)sprintf(seen + strlen(seen), "%u/%u ", artifact->digest.sha256[0],
                  artifact->subject.sha256[0]);
    return artifact->digest.sha256[0] == 7 ? -ECANCELED : 0;
}

static void all_of_a_kind_are_listed_by_digest_until_somebody_has_enough(void **state)
{
    struct artifacts *artifacts = NULL;
    struct err err = ERR_NONE;
    char seen[100] = "";

    assert_ok(artifacts_open(*state, &artifacts, &err));
    assert_ok(artifacts_list(artifacts, ARTIFACT_PREFETCH, note, seen, &err));
    assert_string_equal(seen, "");
    put(artifacts, ARTIFACT_PREFETCH, 3, 9, 0, 7);
    put(artifacts, ARTIFACT_PREFETCH, 3, 8, 0, 9);
    put(artifacts, ARTIFACT_PREFETCH, 2, 9, 0, 8);
    put(artifacts, ARTIFACT_ZTOC, 1, 9, 4096, 5);
    put(artifacts, ARTIFACT_PREFETCH, 2, 9, 0, 10); /* the same once more */
    assert_ok(artifacts_list(artifacts, ARTIFACT_PREFETCH, note, seen, &err));
    assert_string_equal(seen, "2/9 3/8 3/9 ");
    put(artifacts, ARTIFACT_PREFETCH, 7, 9, 0, 7);
    put(artifacts, ARTIFACT_PREFETCH, 8, 9, 0, 7);
    seen[0] = '\0';
    assert_int_equal(artifacts_list(artifacts, ARTIFACT_PREFETCH, note, seen, &err), -ECANCELED);
    assert_string_equal(seen, "2/9 3/8 3/9 7/9 ");
    artifacts_close(artifacts);
}

static void the_newest_index_of_a_manifest_is_found(void **state)
{
    struct digest subject = digest_no(9);
    struct artifacts *artifacts = NULL;
    struct artifact found;

    assert_ok(artifacts_open(*state, &artifacts, NULL));
    put(artifacts, ARTIFACT_INDEX_V1, 2, 9, 0, 30);
    put(artifacts, ARTIFACT_INDEX_V1, 3, 9, 0, 10);
    put(artifacts, ARTIFACT_INDEX_V2, 4, 9, 0, 99);
    assert_ok(artifacts_find_index(artifacts, &subject, ARTIFACT_INDEX_V1, &found, NULL));
    assert_int_equal(found.digest.sha256[0], 2);
    put(artifacts, ARTIFACT_INDEX_V1, 3, 9, 0, 40); /* made again: replaced, and newest now */
    assert_ok(artifacts_find_index(artifacts, &subject, ARTIFACT_INDEX_V1, &found, NULL));
    assert_int_equal(found.digest.sha256[0], 3);
    artifacts_close(artifacts);
}

static void a_file_of_somebody_else_is_refused(void **state)
{
    struct artifacts *artifacts = NULL;
    struct err err = ERR_NONE;
    char *path = path_join(*state, "artifacts.sqlite");

    assert_non_null(path);
    assert_ok(file_replace(
        path, bytes_of_str("this is a text, and not a short one, so that it has a page"), 0600,
        NULL));
    assert_int_equal(artifacts_open(*state, &artifacts, &err), -EBADMSG);
    assert_non_null(strstr(err_text(&err), path));
    assert_non_null(strstr(err_text(&err), "move it away"));
    assert_non_null(strstr(err.text, "artifacts.sqlite"));
    assert_null(artifacts);
    free(path);
}

static void the_file_is_for_its_owner_alone(void **state)
{
    struct artifacts *artifacts = NULL;
    char *path = path_join(*state, "artifacts.sqlite");
    struct stat st;

    assert_ok(artifacts_open(*state, &artifacts, NULL));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    artifacts_close(artifacts);
    free(path);
}

static void a_missing_root_is_one_clear_error(void **state)
{
    struct artifacts *artifacts = NULL;
    struct err err = ERR_NONE;

    (void)state;
    assert_true(artifacts_open("/nonexistent/dir", &artifacts, &err) < 0);
    assert_non_null(strstr(err.text, "/nonexistent/dir/artifacts.sqlite"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(entries_are_there_after_reopening, make_root, remove_root),
        cmocka_unit_test_setup_teardown(
            all_of_a_kind_are_listed_by_digest_until_somebody_has_enough, make_root, remove_root),
        cmocka_unit_test_setup_teardown(the_newest_index_of_a_manifest_is_found, make_root,
                                        remove_root),
        cmocka_unit_test_setup_teardown(a_file_of_somebody_else_is_refused, make_root, remove_root),
        cmocka_unit_test_setup_teardown(the_file_is_for_its_owner_alone, make_root, remove_root),
        cmocka_unit_test(a_missing_root_is_one_clear_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
