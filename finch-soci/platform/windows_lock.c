/* SPDX-License-Identifier: Apache-2.0 */
/* windows_lock.c – one process at a time: whoever makes an object of a name that follows from the
 * path has it, until its handle is closed or the process is gone. Directories cannot be locked
 * here, and a file in one would be seen by those who watch it. */
#include "platform/platform.h"

#include "base/files.h"
#include "base/text.h"
#include "base/windows.h"

struct platform_lock {
    HANDLE object;
};

/* The same for all ways to write a path: whole, and in lower case as the system compares. */
static wchar_t *name_of(const char *path)
{
    SCOPED(mem) wchar_t *whole = windows_path(path);
    SCOPED(mem) char *name = NULL;
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    size_t units = whole == NULL ? 0 : wcslen(whole);

    if (whole == NULL)
        return NULL;
    while (units > 1 && whole[units - 1] == L'\\')
        whole[--units] = L'\0';
    (void)CharLowerBuffW(whole, (DWORD)units);
    for (size_t i = 0; i < units; i++)
        hash = (hash ^ whole[i]) * UINT64_C(0x100000001b3);
    name = text_format("Global\\finch-soci-%08lx%08lx", (unsigned long)(hash >> 32),
                       (unsigned long)(hash & 0xffffffff));
    return name == NULL ? NULL : windows_wide(name);
}

/* That a lock is used here is seen by its file, as elsewhere. */
static int make_file(const char *path, struct err *err)
{
    SCOPED(mem) wchar_t *wide = windows_path(path);
    SCOPED(handle) HANDLE file = NULL;

    if (path_exists(path))
        return 0;
    if (wide == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    file = windows_open(wide, GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                        OPEN_ALWAYS, FILE_ATTRIBUTE_NORMAL);
    return file == INVALID_HANDLE_VALUE ? err_sys(err, windows_last(), "%s", path) : 0;
}

int platform_lock_take(const char *path, struct platform_lock **ret, struct err *err)
{
    SCOPED(mem) struct platform_lock *lock = calloc(1, sizeof(*lock));
    SCOPED(mem) wchar_t *name = name_of(path);
    DWORD error;
    int rc = make_file(path, err);

    if (rc < 0)
        return rc;
    if (lock == NULL || name == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    lock->object = CreateMutexW(NULL, FALSE, name);
    error = GetLastError();
    if (lock->object == NULL)
        return error == ERROR_ACCESS_DENIED /* another user's */
                   ? err_set(err, -EBUSY, "%s is held by another process", path)
                   : err_sys(err, -windows_errno(error), "lock %s", path);
    if (error == ERROR_ALREADY_EXISTS) {
        (void)CloseHandle(lock->object);
        return err_set(err, -EBUSY, "%s is held by another process", path);
    }
    *ret = TAKE(lock);
    return 0;
}

void platform_lock_free(struct platform_lock *lock)
{
    if (lock == NULL)
        return;
    (void)CloseHandle(lock->object);
    free(lock);
}
