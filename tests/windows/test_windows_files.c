/* SPDX-License-Identifier: Apache-2.0 */
/* test_windows_files.c – finch.yaml on a disk of Windows: names, line ends, others who hold it. */
#include "place.h"

#include "config/config.h"
#include "platform/platform.h"

#include <errno.h>
#include <pthread.h>

static void edit(const char *path, bool on, enum finch_file_change wanted)
{
    SCOPED(finch_file_result) struct finch_file_result result = {.backup = NULL};
    struct err err = ERR_NONE;
    int rc = on ? finch_file_enable(path, false, &result, &err)
                : finch_file_disable(path, &result, &err);

    assert_string_equal(rc == 0 ? "" : err_text(&err), "");
    assert_int_equal(result.change, wanted);
}

static void a_file_with_crlf_is_edited_and_put_back_byte_for_byte(void **state)
{
    static const char before[] = "# meins\r\ncpus: 4\r\nsnapshotters:\r\n    - overlayfs\r\n";
    SCOPED(mem) char *path = place_path(*state, "finch.yaml");

    write_text(path, before);
    edit(path, true, FINCH_FILE_EDITED);
    assert_text(path, "# meins\r\ncpus: 4\r\nsnapshotters:\r\n    - overlayfs\r\n    - soci\r\n");
    edit(path, true, FINCH_FILE_SAME);
    edit(path, false, FINCH_FILE_RESTORED);
    assert_text(path, before);
}

static void a_file_that_was_not_there_is_gone_again(void **state)
{
    SCOPED(mem) char *path = place_path(*state, ".finch\\ein neuer\\finch.yaml");

    edit(path, true, FINCH_FILE_EDITED);
    assert_text(path, "snapshotters:\n- soci\n");
    edit(path, false, FINCH_FILE_RESTORED);
    assert_false(path_exists(path));
}

static void nothing_of_ours_stays_beside_it(void **state)
{
    const struct place *place = *state;
    SCOPED(mem) char *path = place_path(place, "finch.yaml");
    SCOPED(mem) char *pattern = place_path(place, "*");
    SCOPED(mem) wchar_t *wide = windows_path(pattern);
    WIN32_FIND_DATAW found;
    HANDLE search;
    int files = 0;

    write_text(path, "cpus: 4\n");
    edit(path, true, FINCH_FILE_EDITED);
    edit(path, false, FINCH_FILE_RESTORED);
    search = FindFirstFileW(wide, &found);
    assert_true(search != INVALID_HANDLE_VALUE);
    do
        files += (found.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) == 0;
    while (FindNextFileW(search, &found));
    (void)FindClose(search);
    assert_int_equal(files, 1);
}

static void paths_may_be_longer_than_260_characters(void **state)
{
    SCOPED(mem) char *path = text_copy(((const struct place *)*state)->dir);

    for (int i = 0; i < 12; i++) {
        char *longer = text_format("%s/ein Ordner mit einem langen Namen %d", path, i);

        free(path);
        path = longer;
    }
    {
        SCOPED(mem) char *file = path_join(path, "finch.yaml");

        assert_true(strlen(file) > 400);
        assert_ok(dir_make_all(path, 0700, NULL));
        write_text(file, "cpus: 4\r\n");
        edit(file, true, FINCH_FILE_EDITED);
        assert_text(file, "cpus: 4\r\nsnapshotters:\r\n- soci\r\n");
        edit(file, false, FINCH_FILE_RESTORED);
        assert_text(file, "cpus: 4\r\n");
    }
}

/* ---- others ---------------------------------------------------------------------------------- */

static void a_file_that_is_not_what_the_caller_believes_stays(void **state)
{
    SCOPED(mem) char *path = place_path(*state, "finch.yaml");
    const struct bytes was = bytes_of_str("cpus: 2\n");

    write_text(path, "cpus: 4\n");
    assert_int_equal(platform_file_replace(path, &was, bytes_of_str("cpus: 8\n"), NULL), -EAGAIN);
    assert_text(path, "cpus: 4\n");
    assert_int_equal(platform_file_replace(path, NULL, bytes_of_str("cpus: 8\n"), NULL), -EAGAIN);
    assert_text(path, "cpus: 4\n");
    assert_int_equal(platform_file_remove(path, was, NULL), -EAGAIN);
    assert_text(path, "cpus: 4\n");
}

static void a_file_that_is_gone_is_not_made_anew(void **state)
{
    SCOPED(mem) char *path = place_path(*state, "finch.yaml");
    const struct bytes was = bytes_of_str("cpus: 2\n");

    assert_int_equal(platform_file_replace(path, &was, bytes_of_str("cpus: 8\n"), NULL), -EAGAIN);
    assert_false(path_exists(path));
}

struct holder {
    const char *path;
    HANDLE file, holds;
};

/* A scanner: nobody else may open the file for a while. */
static void *hold(void *arg)
{
    struct holder *holder = arg;
    SCOPED(mem) wchar_t *wide = windows_path(holder->path);

    holder->file = CreateFileW(wide, GENERIC_READ, 0, NULL, OPEN_EXISTING, 0, NULL);
    (void)SetEvent(holder->holds);
    Sleep(300);
    if (holder->file != INVALID_HANDLE_VALUE)
        (void)CloseHandle(holder->file);
    return NULL;
}

static void who_holds_the_file_for_a_moment_is_waited_for(void **state)
{
    SCOPED(mem) char *path = place_path(*state, "finch.yaml");
    struct holder holder = {.path = path, .holds = CreateEventW(NULL, TRUE, FALSE, NULL)};
    pthread_t thread;

    write_text(path, "cpus: 4\n");
    assert_int_equal(pthread_create(&thread, NULL, hold, &holder), 0);
    assert_int_equal(WaitForSingleObject(holder.holds, 10000), WAIT_OBJECT_0);
    edit(path, true, FINCH_FILE_EDITED);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(holder.file != INVALID_HANDLE_VALUE);
    assert_text(path, "cpus: 4\nsnapshotters:\n- soci\n");
    (void)CloseHandle(holder.holds);
}

static void a_file_that_may_only_be_read_says_so(void **state)
{
    SCOPED(mem) char *path = place_path(*state, "finch.yaml");
    SCOPED(mem) wchar_t *wide = windows_path(path);
    const struct bytes was = bytes_of_str("cpus: 4\n");
    struct err err = ERR_NONE;
    int rc;

    write_text(path, "cpus: 4\n");
    assert_true(SetFileAttributesW(wide, FILE_ATTRIBUTE_READONLY));
    rc = platform_file_replace(path, &was, bytes_of_str("cpus: 8\n"), &err);
    (void)SetFileAttributesW(wide, FILE_ATTRIBUTE_NORMAL);
    if (rc < 0)
        assert_int_equal(rc, -EACCES); /* Windows refuses, wine does not */
    assert_text(path, rc < 0 ? "cpus: 4\n" : "cpus: 8\n");
}

/* ---- one at a time --------------------------------------------------------------------------- */

static void a_directory_is_locked_once_by_whatever_name(void **state)
{
    const struct place *place = *state;
    SCOPED(mem) char *other = text_format("%s\\..\\%s\\", place->dir, path_name(place->dir));
    struct platform_lock *first = NULL, *second = NULL;

    assert_ok(platform_lock_take(place->dir, &first, NULL));
    assert_int_equal(platform_lock_take(place->dir, &second, NULL), -EBUSY);
    assert_int_equal(platform_lock_take(other, &second, NULL), -EBUSY);
    platform_lock_free(first);
    assert_ok(platform_lock_take(other, &second, NULL));
    platform_lock_free(second);
}

static void what_has_no_directory_is_not_locked(void **state)
{
    SCOPED(mem) char *path = place_path(*state, "nirgends\\hier");
    struct platform_lock *lock = NULL;

    assert_int_equal(platform_lock_take(path, &lock, NULL), -ENOENT);
}

/* ---- names ----------------------------------------------------------------------------------- */

static void both_separators_divide_names(void **state)
{
    SCOPED(mem) char *above = path_parent("C:\\Program Files/Finch\\bin");
    SCOPED(mem) char *drive = path_parent("C:\\Finch");

    (void)state;
    assert_string_equal(above, "C:\\Program Files/Finch");
    assert_string_equal(drive, "C:\\");
    assert_string_equal(path_name("C:\\Program Files/Finch\\finch.exe"), "finch.exe");
}

static void finch_yaml_is_where_the_user_has_his_data(void **state)
{
    SCOPED(mem) char *path = NULL;

    (void)state;
    assert_int_equal(_putenv("LOCALAPPDATA=C:\\Users\\Jürgen Ä\\AppData\\Local"), 0);
    path = platform_finch_config(true);
    assert_string_equal(path, "C:\\Users\\Jürgen Ä\\AppData\\Local\\.finch\\finch.yaml");
}

static void paths_of_the_ssh_beside_lima_are_understood(void **state)
{
    static const char *const paths[][2] = {
        {"/c/Program Files/Finch/lima/data/_config/user",
         "c:/Program Files/Finch/lima/data/_config/user"},
        {"/cygdrive/d/x", "d:/x"},
        {"/c", "c:/"},
        {"C:\\x\\y", "C:\\x\\y"},
        {"/tmp/x", "/tmp/x"},
        {"", ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        SCOPED(mem) char *path = platform_path_of_ssh(paths[i][0]);

        assert_string_equal(path, paths[i][1]);
    }
}

static void what_is_no_regular_file_is_not_read(void **state)
{
    const struct place *place = *state;
    SCOPED(buf_value) struct buf text = BUF_EMPTY;

    assert_int_equal(file_read_regular(place->dir, 100, &text, NULL), -EINVAL);
    assert_int_equal(file_read_regular("NUL", 100, &text, NULL), -EINVAL);
    assert_int_equal(file_read_regular("\xff\xfe", 100, &text, NULL), -EINVAL);
}

#define PLACED(test) cmocka_unit_test_setup_teardown(test, place_set_up, place_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLACED(a_file_with_crlf_is_edited_and_put_back_byte_for_byte),
        PLACED(a_file_that_was_not_there_is_gone_again),
        PLACED(nothing_of_ours_stays_beside_it),
        PLACED(paths_may_be_longer_than_260_characters),
        PLACED(a_file_that_is_not_what_the_caller_believes_stays),
        PLACED(a_file_that_is_gone_is_not_made_anew),
        PLACED(who_holds_the_file_for_a_moment_is_waited_for),
        PLACED(a_file_that_may_only_be_read_says_so),
        PLACED(a_directory_is_locked_once_by_whatever_name),
        PLACED(what_has_no_directory_is_not_locked),
        cmocka_unit_test(both_separators_divide_names),
        cmocka_unit_test(finch_yaml_is_where_the_user_has_his_data),
        cmocka_unit_test(paths_of_the_ssh_beside_lima_are_understood),
        PLACED(what_is_no_regular_file_is_not_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
