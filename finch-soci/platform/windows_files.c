/* SPDX-License-Identifier: Apache-2.0 */
/* windows_files.c – replacing a file that others may write at the same moment. */
#include "platform/platform.h"
#include "platform/settled.h"

#include "base/files.h"
#include "base/text.h"
#include "base/windows.h"

enum { FILE_MAX_BYTES = 16 * 1024 * 1024 };

/* ---- looking --------------------------------------------------------------------------------- */

static int64_t number_of(FILETIME time)
{
    return (int64_t)((uint64_t)time.dwHighDateTime << 32 | time.dwLowDateTime);
}

int file_look_at(const char *path, struct file_look *ret)
{
    SCOPED(mem) wchar_t *wide = windows_path(path);
    WIN32_FILE_ATTRIBUTE_DATA data;
    FILETIME now;

    if (wide == NULL)
        return -EINVAL;
    if (!GetFileAttributesExW(wide, GetFileExInfoStandard, &data))
        return windows_last();
    GetSystemTimeAsFileTime(&now);
    *ret = (struct file_look){
        .size = (uint64_t)data.nFileSizeHigh << 32 | data.nFileSizeLow,
        .written = number_of(data.ftLastWriteTime),
        .age_ms = (number_of(now) - number_of(data.ftLastWriteTime)) / 10000,
    };
    return 0;
}

/* ---- replacing ------------------------------------------------------------------------------- */

static bool holds(const char *path, struct bytes was)
{
    SCOPED(buf_value) struct buf now = BUF_EMPTY;

    return file_read(path, FILE_MAX_BYTES, &now, NULL) == 0 && bytes_equal(buf_bytes(&now), was);
}

static int changed(const char *path, struct err *err)
{
    return err_set(err, -EAGAIN, "%s was changed by another program at the same moment", path);
}

/* Where links lead: what is replaced is the file, not the link. A new string; NULL: it is not
 * there, or out of memory. */
static char *resolve(const char *path)
{
    SCOPED(mem) wchar_t *wide = windows_path(path);
    SCOPED(handle)
    HANDLE file = wide == NULL
                      ? NULL
                      : windows_open(wide, FILE_READ_ATTRIBUTES,
                                     FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                                     OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS);
    SCOPED(mem) wchar_t *whole = NULL;
    DWORD units;

    if (file == NULL || file == INVALID_HANDLE_VALUE)
        return NULL;
    units = GetFinalPathNameByHandleW(file, NULL, 0, FILE_NAME_NORMALIZED);
    whole = units == 0 ? NULL : calloc(units + 1, sizeof(*whole));
    if (whole == NULL ||
        GetFinalPathNameByHandleW(file, whole, units + 1, FILE_NAME_NORMALIZED) == 0)
        return text_copy(path); /* a file system that does not tell has no links */
    return windows_utf8(whole);
}

static int write_beside(const wchar_t *path, struct bytes content, struct err *err)
{
    SCOPED(handle)
    HANDLE file = windows_open(path, GENERIC_WRITE, 0, CREATE_ALWAYS, FILE_ATTRIBUTE_NORMAL);
    DWORD n = 0;

    if (file == INVALID_HANDLE_VALUE)
        return err_sys(err, windows_last(), "the new file");
    if (content.len > FILE_MAX_BYTES)
        return err_set(err, -EFBIG, "larger than %d bytes", (int)FILE_MAX_BYTES);
    if ((content.len > 0 && !WriteFile(file, content.data, (DWORD)content.len, &n, NULL)) ||
        n != content.len || !FlushFileBuffers(file))
        return err_sys(err, windows_last(), "the new file");
    return 0;
}

/* Who may read it, its owner's attributes and its time of making go over to the new one. What was
 * there comes out under the third name. */
static int exchange(const wchar_t *path, const wchar_t *beside, const wchar_t *out)
{
    for (int tries = 1;; tries++) {
        DWORD error;

        if (ReplaceFileW(path, beside, out, REPLACEFILE_IGNORE_MERGE_ERRORS, NULL, NULL))
            return 0;
        error = GetLastError();
        if (error == ERROR_FILE_NOT_FOUND)
            return -EAGAIN;
        /* Somebody holds the file; 1175 is what ReplaceFileW() says of it. */
        if ((!windows_is_held(error) && error != ERROR_UNABLE_TO_REMOVE_REPLACED &&
             error != ERROR_ACCESS_DENIED) ||
            tries == WINDOWS_HELD_TRIES)
            return -windows_errno(error);
        Sleep(WINDOWS_HELD_MS);
    }
}

/* The names that are in use meanwhile, for calls of the system. */
struct names {
    wchar_t *target, *beside, *out;
    char *out_utf8;
};

static void names_fini(struct names *names)
{
    free(names->target);
    free(names->beside);
    free(names->out);
    free(names->out_utf8);
}
DEFINE_SCOPED_VALUE(names, struct names, names_fini)

static int make_names(const char *target, struct names *ret, struct err *err)
{
    SCOPED(mem) char *beside = text_format("%s.finch-soci-new", target);

    ret->out_utf8 = text_format("%s.finch-soci-old", target);
    ret->target = windows_path(target);
    ret->beside = beside == NULL ? NULL : windows_path(beside);
    ret->out = ret->out_utf8 == NULL ? NULL : windows_path(ret->out_utf8);
    return ret->target == NULL || ret->beside == NULL || ret->out == NULL
               ? err_set(err, -EINVAL, "%s: no name of a file", target)
               : 0;
}

/* The old file can be looked at after the fact: there is no moment between looking and replacing.
 */
static int replace_old(const char *path, const struct names *names, struct bytes was,
                       struct err *err)
{
    int rc;

    (void)DeleteFileW(names->out); /* of one who was killed here */
    rc = exchange(names->target, names->beside, names->out);
    if (rc == -EAGAIN)
        return changed(path, err);
    if (rc < 0)
        return err_sys(err, rc, "replace %s", path);
    if (holds(names->out_utf8, was)) {
        (void)DeleteFileW(names->out);
        return 0;
    }
    if (exchange(names->target, names->out, names->beside) < 0)
        return err_set(err, -EIO, "%s: what another program wrote meanwhile is in %s", path,
                       names->out_utf8);
    return changed(path, err);
}

static int put_new(const char *path, const struct names *names, struct err *err)
{
    if (MoveFileExW(names->beside, names->target, MOVEFILE_WRITE_THROUGH))
        return 0;
    return GetLastError() == ERROR_ALREADY_EXISTS || GetLastError() == ERROR_FILE_EXISTS
               ? changed(path, err)
               : err_sys(err, windows_last(), "make %s", path);
}

static int make_dir_of(const char *path, struct err *err)
{
    SCOPED(mem) char *dir = path_parent(path);

    return dir == NULL ? err_set(err, -ENOMEM, "out of memory") : dir_make_all(dir, 0700, err);
}

int platform_file_replace(const char *path, const struct bytes *was, struct bytes content,
                          struct err *err)
{
    SCOPED(names) struct names names = {.target = NULL};
    SCOPED(mem) char *target = resolve(path);
    int rc = 0;

    if ((target != NULL) != (was != NULL))
        return changed(path, err);
    if (target == NULL)
        rc = make_dir_of(path, err);
    if (rc == 0)
        rc = make_names(target == NULL ? path : target, &names, err);
    if (rc < 0)
        return rc;
    rc = write_beside(names.beside, content, err);
    if (rc == 0)
        rc = was == NULL ? put_new(path, &names, err) : replace_old(path, &names, *was, err);
    if (rc < 0)
        (void)DeleteFileW(names.beside);
    return rc < 0 ? err_prefix(err, rc, "%s", path) : 0;
}

int platform_file_remove(const char *path, struct bytes was, struct err *err)
{
    return holds(path, was) ? file_unlink(path, err) : changed(path, err);
}
