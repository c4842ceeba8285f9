/* SPDX-License-Identifier: Apache-2.0 */
/* windows_files.c – reading, making and removing files, as the host program needs it. */
#include "base/files.h"

#include "base/text.h"
#include "base/windows.h"

#include <string.h>

bool windows_is_held(DWORD error)
{
    return error == ERROR_SHARING_VIOLATION || error == ERROR_LOCK_VIOLATION;
}

HANDLE windows_open(const wchar_t *path, DWORD access, DWORD share, DWORD how, DWORD flags)
{
    for (int tries = 1;; tries++) {
        HANDLE file = CreateFileW(path, access, share, NULL, how, flags, NULL);

        if (file != INVALID_HANDLE_VALUE || !windows_is_held(GetLastError()) ||
            tries == WINDOWS_HELD_TRIES)
            return file;
        Sleep(WINDOWS_HELD_MS);
    }
}

/* ---- reading --------------------------------------------------------------------------------- */

static int read_to_end(HANDLE file, const char *path, size_t max_bytes, struct buf *ret,
                       struct err *err)
{
    size_t start = ret->len;

    for (;;) {
        DWORD n = 0;

        if (buf_reserve(ret, 64 * 1024) < 0)
            return err_set(err, -ENOMEM, "%s: out of memory", path);
        if (!ReadFile(file, ret->data + ret->len, 64 * 1024, &n, NULL))
            return err_sys(err, windows_last(), "%s", path);
        if (n == 0)
            return 0;
        ret->len += n;
        if (ret->len - start > max_bytes)
            return err_set(err, -EFBIG, "%s: larger than %zu bytes", path, max_bytes);
    }
}

int file_read(const char *path, size_t max_bytes, struct buf *ret, struct err *err)
{
    SCOPED(mem) wchar_t *wide = windows_path(path);
    SCOPED(handle) HANDLE file = NULL;

    if (wide == NULL)
        return err_set(err, -EINVAL, "%s: no name of a file", path);
    if (path_is_dir(path))
        return err_set(err, -EISDIR, "%s: is a directory", path);
    file = windows_open(wide, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                        OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL);
    if (file == INVALID_HANDLE_VALUE)
        return err_sys(err, windows_last(), "%s", path);
    return read_to_end(file, path, max_bytes, ret, err);
}

int file_read_regular(const char *path, size_t max_bytes, struct buf *ret, struct err *err)
{
    SCOPED(mem) wchar_t *wide = windows_path(path);

    if (wide != NULL && wcsncmp(wide, L"\\\\.\\", 4) == 0) /* NUL, CON, a pipe */
        return err_set(err, -EINVAL, "%s: no regular file", path);
    return path_is_dir(path) ? err_set(err, -EINVAL, "%s: no regular file", path)
                             : file_read(path, max_bytes, ret, err);
}

/* ---- writing --------------------------------------------------------------------------------- */

static int write_new(const wchar_t *path, struct bytes content)
{
    SCOPED(handle)
    HANDLE file = windows_open(path, GENERIC_WRITE, 0, CREATE_ALWAYS, FILE_ATTRIBUTE_NORMAL);

    if (file == INVALID_HANDLE_VALUE)
        return windows_last();
    while (content.len > 0) {
        DWORD piece = content.len > 1 << 20 ? 1 << 20 : (DWORD)content.len, n = 0;

        if (!WriteFile(file, content.data, piece, &n, NULL))
            return windows_last();
        content = bytes_of(content.data + n, content.len - n);
    }
    return FlushFileBuffers(file) ? 0 : windows_last();
}

static int take_place(const wchar_t *from, const wchar_t *to)
{
    for (int tries = 1;; tries++) {
        DWORD error;

        if (MoveFileExW(from, to, MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH))
            return 0;
        error = GetLastError(); /* a file that is open against us is "denied" here */
        if ((!windows_is_held(error) && error != ERROR_ACCESS_DENIED) ||
            tries == WINDOWS_HELD_TRIES)
            return -windows_errno(error);
        Sleep(WINDOWS_HELD_MS);
    }
}

/* Who may read it follows from its directory; `mode` has no meaning here. */
int file_replace(const char *path, struct bytes content, mode_t mode, struct err *err)
{
    SCOPED(mem)
    char *beside = text_format("%s.%lu.new", path, (unsigned long)GetCurrentProcessId());
    SCOPED(mem) wchar_t *from = beside == NULL ? NULL : windows_path(beside);
    SCOPED(mem) wchar_t *to = windows_path(path);
    int rc;

    (void)mode;
    if (from == NULL || to == NULL)
        return err_set(err, -EINVAL, "%s: no name of a file", path);
    rc = write_new(from, content);
    if (rc == 0)
        rc = take_place(from, to);
    if (rc == 0)
        return 0;
    (void)DeleteFileW(from);
    return err_sys(err, rc, "%s", path);
}

int file_unlink(const char *path, struct err *err)
{
    SCOPED(mem) wchar_t *wide = windows_path(path);

    for (int tries = 1; wide != NULL; tries++) {
        if (DeleteFileW(wide))
            return 0;
        if (!windows_is_held(GetLastError()) || tries == WINDOWS_HELD_TRIES)
            return err_sys(err, windows_last(), "remove %s", path);
        Sleep(WINDOWS_HELD_MS);
    }
    return err_set(err, -EINVAL, "%s: no name of a file", path);
}

/* ---- directories ----------------------------------------------------------------------------- */

static DWORD attributes_of(const char *path)
{
    SCOPED(mem) wchar_t *wide = windows_path(path);

    return wide == NULL ? INVALID_FILE_ATTRIBUTES : GetFileAttributesW(wide);
}

static int make_dir(const char *path, struct err *err)
{
    SCOPED(mem) wchar_t *wide = windows_path(path);

    if (wide == NULL)
        return err_set(err, -EINVAL, "%s: no name of a file", path);
    return CreateDirectoryW(wide, NULL) || GetLastError() == ERROR_ALREADY_EXISTS
               ? 0
               : err_sys(err, windows_last(), "%s", path);
}

int dir_make_all(const char *path, mode_t mode, struct err *err)
{
    SCOPED(mem) char *parent = path_parent(path);
    int rc = 0;

    if (parent == NULL)
        return err_set(err, -ENOMEM, "%s: out of memory", path);
    if (path_is_dir(path))
        return 0;
    if (path_exists(path))
        return err_set(err, -ENOTDIR, "%s: not a directory", path);
    if (strlen(parent) < strlen(path) && !path_is_dir(parent))
        rc = dir_make_all(parent, mode, err);
    return rc < 0 ? rc : make_dir(path, err);
}

/* The file system has its journal; nobody may sync a directory. */
int dir_sync(const char *path, struct err *err)
{
    (void)path;
    (void)err;
    return 0;
}

bool path_exists(const char *path)
{
    return attributes_of(path) != INVALID_FILE_ATTRIBUTES;
}

bool path_is_dir(const char *path)
{
    DWORD attributes = attributes_of(path);

    return attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY) != 0;
}

bool path_is_separator(char c)
{
    return c == '/' || c == '\\';
}
