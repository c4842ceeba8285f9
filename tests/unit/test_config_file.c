/* SPDX-License-Identifier: Apache-2.0 */
/* test_config_file.c – finch.yaml on disk: backups, the way back, links, modes, and others who
 * write. */
#include "test.h"

#include "base/clock.h"
#include "base/files.h"
#include "config/config.h"
#include "platform/platform.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

struct place {
    char dir[64];
    char path[96];
};

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof(*place));

    assert_non_null(place);
    (void)snprintf(place->dir, sizeof(place->dir), "/tmp/finch-yaml-XXXXXX");
    assert_non_null(mkdtemp(place->dir));
    (void)snprintf(place->path, sizeof(place->path), "%s/finch.yaml", place->dir);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;

    assert_ok(dir_remove_all(place->dir, NULL));
    free(place);
    return 0;
}

static void write_text(const char *path, const char *text)
{
    assert_ok(file_replace(path, bytes_of_str(text), 0600, NULL));
}

static void assert_text(const char *path, const char *wanted)
{
    SCOPED(buf_value) struct buf text = BUF_EMPTY;

    assert_ok(file_read(path, FINCH_CONFIG_MAX_BYTES, &text, NULL));
    assert_string_equal(buf_str(&text), wanted);
}

static void assert_enable(const struct place *place, enum finch_file_change wanted)
{
    SCOPED(finch_file_result) struct finch_file_result result = {.backup = NULL};
    struct err err = ERR_NONE;
    int rc = finch_file_enable(place->path, false, &result, &err);

    assert_string_equal(rc == 0 ? "" : err_text(&err), "");
    assert_int_equal(result.change, wanted);
}

static void assert_disable(const struct place *place, enum finch_file_change wanted,
                           bool has_backup)
{
    SCOPED(finch_file_result) struct finch_file_result result = {.backup = NULL};
    struct err err = ERR_NONE;
    int rc = finch_file_disable(place->path, &result, &err);

    assert_string_equal(rc == 0 ? "" : err_text(&err), "");
    assert_int_equal(result.change, wanted);
    assert_int_equal(result.backup != NULL, has_backup);
}

static size_t count_files(const char *dir)
{
    SCOPED(dir) DIR *d = opendir(dir);
    const struct dirent *entry;
    size_t count = 0;

    assert_non_null(d);
    while ((entry = readdir(d)) != NULL)
        count += entry->d_name[0] != '.';
    return count;
}

/* ---- there and back -------------------------------------------------------------------------- */

static void a_file_that_was_not_there_is_made_and_goes_again(void **state)
{
    const struct place *place = *state;

    assert_enable(place, FINCH_FILE_EDITED);
    assert_text(place->path, "snapshotters:\n- soci\n");
    assert_disable(place, FINCH_FILE_RESTORED, false);
    assert_int_equal(count_files(place->dir), 0);
}

static void nobody_wrote_meanwhile_so_the_old_bytes_are_back(void **state)
{
    const struct place *place = *state;
    const char *before = "# mine\nsnapshotters: [ overlayfs ]   # odd\r\n";

    write_text(place->path, before);
    assert_enable(place, FINCH_FILE_EDITED);
    assert_enable(place, FINCH_FILE_SAME);
    assert_disable(place, FINCH_FILE_RESTORED, false);
    assert_text(place->path, before);
    assert_int_equal(count_files(place->dir), 1);
}

static void finch_rewrote_it_so_only_the_entry_goes(void **state)
{
    const struct place *place = *state;
    SCOPED(mem) char *backup = text_format("%s.before-finch-soci", place->path);

    write_text(place->path, "# mine\ncpus: 4\n");
    assert_enable(place, FINCH_FILE_EDITED);
    write_text(place->path, "cpus: 4\nmemory: 8GiB\nsnapshotters:\n    - soci\n");
    assert_disable(place, FINCH_FILE_EDITED, true);
    assert_text(place->path, "cpus: 4\nmemory: 8GiB\nsnapshotters: []\n");
    assert_text(backup, "# mine\ncpus: 4\n");
    assert_ok(finch_file_forget(place->path, NULL));
    assert_int_equal(count_files(place->dir), 1);
}

static void what_lists_soci_is_not_put_back(void **state)
{
    const struct place *place = *state;
    SCOPED(finch_file_result) struct finch_file_result result = {.backup = NULL};

    write_text(place->path, "# mine\nsnapshotters: [overlayfs]\n");
    assert_enable(place, FINCH_FILE_EDITED);
    write_text(place->path, "cpus: 4\nsnapshotters: [overlayfs, soci]\n"); /* Finch, meanwhile */
    assert_ok(finch_file_enable(place->path, true, &result, NULL));
    assert_text(place->path, "cpus: 4\nsnapshotters: [soci, overlayfs]\n");
    assert_disable(place, FINCH_FILE_EDITED, true);
    assert_text(place->path, "cpus: 4\nsnapshotters: [overlayfs]\n");
}

/* The note is written before the file is, and names the text before as well. */
static void killed_before_a_second_edit_it_still_knows_its_first(void **state)
{
    const struct place *place = *state;
    const char *before = "snapshotters: [overlayfs]\n";
    SCOPED(finch_file_result) struct finch_file_result result = {.backup = NULL};
    SCOPED(buf_value) struct buf first = BUF_EMPTY;

    write_text(place->path, before);
    assert_enable(place, FINCH_FILE_EDITED);
    assert_ok(file_read(place->path, FINCH_CONFIG_MAX_BYTES, &first, NULL));
    assert_ok(finch_file_enable(place->path, true, &result, NULL));
    write_text(place->path, buf_str(&first));
    assert_disable(place, FINCH_FILE_RESTORED, false);
    assert_text(place->path, before);
    assert_int_equal(count_files(place->dir), 1);
}

static void an_edit_that_fails_leaves_nothing(void **state)
{
    const struct place *place = *state;
    SCOPED(mem) char *in_the_way = text_format("%s.finch-soci-new", place->path);
    SCOPED(finch_file_result) struct finch_file_result result = {.backup = NULL};
    struct err err = ERR_NONE;

    write_text(place->path, "cpus: 4\n");
    assert_ok(dir_make_all(in_the_way, 0700, NULL));
    assert_int_equal(finch_file_enable(place->path, false, &result, &err), -EEXIST);
    assert_text(place->path, "cpus: 4\n");
    assert_int_equal(count_files(place->dir), 2);
}

static void what_is_no_file_is_refused_at_once(void **state)
{
    const struct place *place = *state;
    SCOPED(finch_file_result) struct finch_file_result result = {.backup = NULL};
    struct err err = ERR_NONE;

    assert_int_equal(mkfifo(place->path, 0600), 0); /* nobody will ever write to it */
    assert_int_equal(finch_file_enable(place->path, false, &result, &err), -EINVAL);
    assert_non_null(strstr(err_text(&err), "no regular file"));
    assert_int_equal(finch_file_disable(place->path, &result, &err), -EINVAL);
    assert_int_equal(count_files(place->dir), 1);
}

static void two_edits_of_ours_go_back_to_before_the_first(void **state)
{
    const struct place *place = *state;
    SCOPED(finch_file_result) struct finch_file_result result = {.backup = NULL};

    write_text(place->path, "snapshotters: [overlayfs]\n");
    assert_enable(place, FINCH_FILE_EDITED);
    assert_ok(finch_file_enable(place->path, true, &result, NULL));
    assert_int_equal(result.change, FINCH_FILE_EDITED);
    assert_text(place->path, "snapshotters: [soci, overlayfs]\n");
    assert_disable(place, FINCH_FILE_RESTORED, false);
    assert_text(place->path, "snapshotters: [overlayfs]\n");
}

static void a_backup_that_was_taken_away_leaves_the_entry_to_go(void **state)
{
    const struct place *place = *state;
    SCOPED(mem) char *backup = text_format("%s.before-finch-soci", place->path);

    write_text(place->path, "cpus: 4\n");
    assert_enable(place, FINCH_FILE_EDITED);
    assert_int_equal(unlink(backup), 0);
    assert_disable(place, FINCH_FILE_EDITED, false);
    assert_text(place->path, "cpus: 4\nsnapshotters: []\n");
}

static void a_note_of_garbage_is_no_note(void **state)
{
    const struct place *place = *state;
    SCOPED(mem) char *note = text_format("%s.finch-soci", place->path);

    write_text(place->path, "snapshotters: [overlayfs, soci]\n");
    write_text(note, "sha256:12 perhaps");
    assert_disable(place, FINCH_FILE_EDITED, false);
    assert_text(place->path, "snapshotters: [overlayfs]\n");
}

static void a_file_without_soci_is_left_alone(void **state)
{
    const struct place *place = *state;

    assert_disable(place, FINCH_FILE_SAME, false);
    write_text(place->path, "cpus: 4\n");
    assert_disable(place, FINCH_FILE_SAME, false);
    assert_int_equal(count_files(place->dir), 1);
}

/* ---- what stays as it was -------------------------------------------------------------------- */

static void a_refused_text_is_not_touched(void **state)
{
    const struct place *place = *state;
    SCOPED(finch_file_result) struct finch_file_result result = {.backup = NULL};
    struct err err = ERR_NONE;

    write_text(place->path, "cpus: [4\n");
    assert_int_equal(finch_file_enable(place->path, false, &result, &err), -EINVAL);
    assert_non_null(strstr(err_text(&err), "line 2, column 1"));
    assert_non_null(strstr(err_text(&err), place->path));
    assert_text(place->path, "cpus: [4\n");
    assert_int_equal(count_files(place->dir), 1);
}

static void mode_and_owner_stay(void **state)
{
    const struct place *place = *state;
    struct stat st;

    write_text(place->path, "cpus: 4\n");
    assert_int_equal(chmod(place->path, 0640), 0);
    if (geteuid() == 0)
        assert_int_equal(chown(place->path, 1234, 4321), 0);
    assert_enable(place, FINCH_FILE_EDITED);
    assert_int_equal(stat(place->path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    if (geteuid() == 0) {
        assert_int_equal(st.st_uid, 1234);
        assert_int_equal(st.st_gid, 4321);
    }
}

static void a_link_stays_a_link(void **state)
{
    const struct place *place = *state;
    SCOPED(mem) char *target = text_format("%s/dotfiles", place->dir);
    struct stat st;

    write_text(target, "cpus: 4\n");
    assert_int_equal(symlink("dotfiles", place->path), 0);
    assert_enable(place, FINCH_FILE_EDITED);
    assert_int_equal(lstat(place->path, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_text(target, "cpus: 4\nsnapshotters:\n- soci\n");
}

static void a_link_to_nothing_is_said_so(void **state)
{
    const struct place *place = *state;
    SCOPED(finch_file_result) struct finch_file_result result = {.backup = NULL};
    struct err err = ERR_NONE;

    assert_int_equal(symlink("nowhere", place->path), 0);
    assert_int_equal(finch_file_enable(place->path, false, &result, &err), -ENOENT);
    assert_non_null(strstr(err_text(&err), "a link to a file that is not there"));
}

static void a_directory_is_refused(void **state)
{
    const struct place *place = *state;
    SCOPED(finch_file_result) struct finch_file_result result = {.backup = NULL};

    assert_int_equal(mkdir(place->path, 0700), 0);
    assert_true(finch_file_enable(place->path, false, &result, NULL) < 0);
}

/* ---- others who write ------------------------------------------------------------------------ */

static void a_file_that_is_not_what_was_read_stays(void **state)
{
    const struct place *place = *state;
    struct bytes was = bytes_of_str("old\n");

    write_text(place->path, "newer\n");
    assert_int_equal(platform_file_replace(place->path, &was, bytes_of_str("ours\n"), NULL),
                     -EAGAIN);
    assert_int_equal(platform_file_replace(place->path, NULL, bytes_of_str("ours\n"), NULL),
                     -EAGAIN);
    assert_int_equal(platform_file_remove(place->path, was, NULL), -EAGAIN);
    assert_text(place->path, "newer\n");
    assert_int_equal(count_files(place->dir), 1);
}

struct writer {
    const char *path;
    atomic_bool stop;
    atomic_uint rounds;
    pthread_mutex_t lock; /* held while the file is empty, against those who look at it, not us */
};

/* As Finch does: truncate, write, over and over, each time with another number of CPUs. */
static void *write_like_finch(void *arg)
{
    struct writer *writer = arg;

    while (!atomic_load(&writer->stop)) {
        FILE *file;

        (void)pthread_mutex_lock(&writer->lock);
        file = fopen(writer->path, "w");
        assert_non_null(file);
        (void)fprintf(file, "cpus: %u\n", atomic_fetch_add(&writer->rounds, 1) % 7 + 1);
        (void)fprintf(file, "memory: 8GiB\n");
        (void)fclose(file);
        (void)pthread_mutex_unlock(&writer->lock);
        clock_sleep_ms(300);
    }
    return NULL;
}

static void a_finch_that_writes_too_never_leaves_a_torn_file(void **state)
{
    const struct place *place = *state;
    struct writer writer = {.path = place->path, .lock = PTHREAD_MUTEX_INITIALIZER};
    pthread_t thread;

    write_text(place->path, "cpus: 4\nmemory: 8GiB\n");
    assert_int_equal(pthread_create(&thread, NULL, write_like_finch, &writer), 0);
    for (int i = 0; i < 8; i++) {
        SCOPED(finch_file_result) struct finch_file_result result = {.backup = NULL};
        SCOPED(finch_config) struct finch_config config = {.vm_type = NULL};
        SCOPED(buf_value) struct buf text = BUF_EMPTY;
        int rc = finch_file_enable(place->path, false, &result, NULL);

        assert_true(rc == 0 || rc == -EAGAIN);
        (void)pthread_mutex_lock(&writer.lock);
        assert_ok(platform_file_read(place->path, FINCH_CONFIG_MAX_BYTES, &text, NULL));
        (void)pthread_mutex_unlock(&writer.lock);
        assert_ok(finch_config_parse(buf_bytes(&text), &config, NULL));
        assert_non_null(strstr(buf_str(&text), "cpus: "));
        assert_non_null(strstr(buf_str(&text), "memory: 8GiB"));
    }
    atomic_store(&writer.stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* A file that is never older than a few milliseconds. */
struct replacer {
    const char *path;
    atomic_bool stop;
};

static void *replace_all_the_time(void *arg)
{
    struct replacer *replacer = arg;
    char beside[PATH_MAX];

    (void)snprintf(beside, sizeof(beside), "%s.new", replacer->path);
    while (!atomic_load(&replacer->stop)) {
        FILE *file = fopen(beside, "w");

        assert_non_null(file);
        (void)fprintf(file, "cpus: 1\n");
        (void)fclose(file);
        assert_int_equal(rename(beside, replacer->path), 0);
        clock_sleep_ms(7);
    }
    return NULL;
}

static int read_beside(struct replacer *replacer, struct buf *ret)
{
    pthread_t thread;
    int rc;

    write_text(replacer->path, "cpus: 1\n");
    assert_int_equal(pthread_create(&thread, NULL, replace_all_the_time, replacer), 0);
    rc = platform_file_read(replacer->path, FINCH_CONFIG_MAX_BYTES, ret, NULL);
    atomic_store(&replacer->stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    return rc;
}

static void a_file_that_is_always_written_with_the_same_bytes_is_read(void **state)
{
    const struct place *place = *state;
    struct replacer replacer = {.path = place->path};
    SCOPED(buf_value) struct buf text = BUF_EMPTY;

    assert_ok(read_beside(&replacer, &text));
    assert_string_equal(buf_str(&text), "cpus: 1\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_file_that_was_not_there_is_made_and_goes_again),
        TEST(nobody_wrote_meanwhile_so_the_old_bytes_are_back),
        TEST(finch_rewrote_it_so_only_the_entry_goes),
        TEST(what_lists_soci_is_not_put_back),
        TEST(killed_before_a_second_edit_it_still_knows_its_first),
        TEST(an_edit_that_fails_leaves_nothing),
        TEST(what_is_no_file_is_refused_at_once),
        TEST(two_edits_of_ours_go_back_to_before_the_first),
        TEST(a_backup_that_was_taken_away_leaves_the_entry_to_go),
        TEST(a_note_of_garbage_is_no_note),
        TEST(a_file_without_soci_is_left_alone),
        TEST(a_refused_text_is_not_touched),
        TEST(mode_and_owner_stay),
        TEST(a_link_stays_a_link),
        TEST(a_link_to_nothing_is_said_so),
        TEST(a_directory_is_refused),
        TEST(a_file_that_is_not_what_was_read_stays),
        TEST(a_finch_that_writes_too_never_leaves_a_torn_file),
        TEST(a_file_that_is_always_written_with_the_same_bytes_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
