/* SPDX-License-Identifier: Apache-2.0 */
/* keep.c – records in a directory: one file for each image, the oldest removed when there are too
 * many. */
#include "starts/starts.h"

#include "base/files.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define STARTS_DIR "starts"

static char *path_of(const char *root, const struct digest *manifest)
{
    char hex[2 * DIGEST_BYTES + 1];

    digest_hex(manifest, hex);
    return text_format("%s/" STARTS_DIR "/%s", root, hex);
}

int starts_load(const char *root, const struct digest *manifest, struct starts_record **ret,
                struct err *err)
{
    SCOPED(mem) char *path = path_of(root, manifest);
    SCOPED(buf_value) struct buf content = BUF_EMPTY;
    SCOPED(starts_record) struct starts_record *record = NULL;
    int rc;

    if (path == NULL)
        return err_set(err, -ENOMEM, "record of a start: out of memory");
    rc = file_read_regular(path, STARTS_FILE_MAX_BYTES, &content, err);
    if (rc == -EFBIG)
        return err_set(err, -EBADMSG, "%s: larger than any record of a start", path);
    if (rc == 0)
        rc = starts_parse(buf_bytes(&content), &record, err);
    if (rc == 0 && !digest_equal(&record->manifest, manifest))
        rc = err_set(err, -EBADMSG, "it is another image's");
    if (rc < 0)
        return err_prefix(err, rc, "%s", path);
    *ret = TAKE(record);
    return 0;
}

void starts_remove(const char *root, const struct digest *manifest)
{
    SCOPED(mem) char *path = path_of(root, manifest);

    if (path != NULL)
        (void)unlink(path);
}

/* ---- the oldest go --------------------------------------------------------------------------- */

struct kept {
    char name[2 * DIGEST_BYTES + 1];
    struct timespec written;
};

static int by_age(const void *a, const void *b)
{
    const struct kept *p = a, *q = b;

    if (p->written.tv_sec != q->written.tv_sec)
        return p->written.tv_sec < q->written.tv_sec ? -1 : 1;
    if (p->written.tv_nsec != q->written.tv_nsec)
        return p->written.tv_nsec < q->written.tv_nsec ? -1 : 1;
    return strcmp(p->name, q->name);
}

static bool is_record_name(const char *name)
{
    uint8_t raw[DIGEST_BYTES];

    return strlen(name) == 2 * sizeof(raw) && text_unhex(name, raw, sizeof(raw)) == 0;
}

/* What has another name was left half written by a crash, and goes too. */
static int list(DIR *dir, struct buf *ret)
{
    struct dirent *entry;

    while ((entry = readdir(dir)) != NULL) {
        struct kept kept;
        struct stat st;
        int rc;

        if (entry->d_name[0] == '.')
            continue;
        if (!is_record_name(entry->d_name)) {
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
            continue;
        }
        if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        memcpy(kept.name, entry->d_name, sizeof(kept.name));
        kept.written = st.st_mtim;
        rc = buf_add(ret, &kept, sizeof(kept));
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* That there are too many for a while is no failure. */
static void remove_oldest(const char *path)
{
    SCOPED(dir) DIR *dir = opendir(path);
    SCOPED(buf_value) struct buf all = BUF_EMPTY;
    struct kept *kept;
    size_t count;

    if (dir == NULL || list(dir, &all) < 0)
        return;
    kept = (struct kept *)(void *)all.data;
    count = all.len / sizeof(*kept);
    if (count <= STARTS_FILES_MAX)
        return;
    qsort(kept, count, sizeof(*kept), by_age);
    for (size_t i = 0; i < count - STARTS_FILES_MAX; i++)
        (void)unlinkat(dirfd(dir), kept[i].name, 0);
}

int starts_save(const char *root, const struct starts_record *record, struct err *err)
{
    SCOPED(mem) char *dir = path_join(root, STARTS_DIR);
    SCOPED(mem) char *path = path_of(root, &record->manifest);
    SCOPED(buf_value) struct buf content = BUF_EMPTY;
    int rc;

    if (dir == NULL || path == NULL)
        return err_set(err, -ENOMEM, "record of a start: out of memory");
    rc = starts_encode(record, &content, err);
    if (rc == 0)
        rc = dir_make_all(dir, 0700, err);
    if (rc == 0)
        rc = file_replace(path, buf_bytes(&content), 0600, err);
    if (rc < 0)
        return err_prefix(err, rc, "record of a start");
    remove_oldest(dir);
    return 0;
}
