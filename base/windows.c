/* SPDX-License-Identifier: Apache-2.0 */
/* windows.c – UTF-8 and UTF-16, paths, errors, random numbers, as Windows has them. */
#include "base/windows.h"

#include "base/system.h"

#include <ntsecapi.h>

#include <string.h>

const char system_then[] = "; ";

/* ---- texts ----------------------------------------------------------------------------------- */

wchar_t *windows_wide(const char *utf8)
{
    int units = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, utf8, -1, NULL, 0);
    wchar_t *wide = units <= 0 ? NULL : calloc((size_t)units, sizeof(*wide));

    if (wide != NULL)
        (void)MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, utf8, -1, wide, units);
    return wide;
}

char *windows_utf8(const wchar_t *wide)
{
    int bytes = WideCharToMultiByte(CP_UTF8, 0, wide, -1, NULL, 0, NULL, NULL);
    char *utf8 = bytes <= 0 ? NULL : calloc((size_t)bytes, 1);

    if (utf8 != NULL)
        (void)WideCharToMultiByte(CP_UTF8, 0, wide, -1, utf8, bytes, NULL, NULL);
    return utf8;
}

/* ---- paths ----------------------------------------------------------------------------------- */

/* From this length on the system wants the long form; directories stop earlier than files. */
enum { LONG_PATH_UNITS = 240 };

static wchar_t *whole_path(const wchar_t *path)
{
    DWORD units = GetFullPathNameW(path, 0, NULL, NULL);
    wchar_t *whole = units == 0 ? NULL : calloc(units, sizeof(*whole));

    if (whole != NULL && GetFullPathNameW(path, units, whole, NULL) >= units) {
        free(whole);
        return NULL;
    }
    return whole;
}

static wchar_t *put_before(const wchar_t *prefix, const wchar_t *path)
{
    size_t units = wcslen(prefix) + wcslen(path) + 1;
    wchar_t *longer = calloc(units, sizeof(*longer));

    if (longer != NULL) {
        (void)wcscpy(longer, prefix);
        (void)wcscat(longer, path);
    }
    return longer;
}

wchar_t *windows_path(const char *path)
{
    SCOPED(mem) wchar_t *wide = windows_wide(path);
    SCOPED(mem) wchar_t *whole = wide == NULL ? NULL : whole_path(wide);

    if (whole == NULL || wcslen(whole) < LONG_PATH_UNITS || wcsncmp(whole, L"\\\\?\\", 4) == 0 ||
        wcsncmp(whole, L"\\\\.\\", 4) == 0)
        return TAKE(whole);
    return wcsncmp(whole, L"\\\\", 2) == 0 ? put_before(L"\\\\?\\UNC\\", whole + 2)
                                           : put_before(L"\\\\?\\", whole);
}

/* ---- errors ---------------------------------------------------------------------------------- */

int windows_errno(DWORD error)
{
    static const struct {
        DWORD error;
        int number;
    } numbers[] = {
        {ERROR_FILE_NOT_FOUND, ENOENT},
        {ERROR_PATH_NOT_FOUND, ENOENT},
        {ERROR_INVALID_NAME, ENOENT},
        {ERROR_BAD_NETPATH, ENOENT},
        {ERROR_BAD_NET_NAME, ENOENT},
        {ERROR_INVALID_DRIVE, ENOENT},
        {ERROR_BAD_EXE_FORMAT, ENOEXEC},
        {ERROR_DIRECTORY, ENOTDIR},
        {ERROR_DIR_NOT_EMPTY, ENOTEMPTY},
        {ERROR_ACCESS_DENIED, EACCES},
        {740 /* ERROR_ELEVATION_REQUIRED */, EACCES},
        {ERROR_PRIVILEGE_NOT_HELD, EPERM},
        {ERROR_SHARING_VIOLATION, EBUSY},
        {ERROR_LOCK_VIOLATION, EBUSY},
        {ERROR_FILE_EXISTS, EEXIST},
        {ERROR_ALREADY_EXISTS, EEXIST},
        {ERROR_DISK_FULL, ENOSPC},
        {ERROR_HANDLE_DISK_FULL, ENOSPC},
        {ERROR_WRITE_PROTECT, EROFS},
        {ERROR_FILENAME_EXCED_RANGE, ENAMETOOLONG},
        {ERROR_NOT_ENOUGH_MEMORY, ENOMEM},
        {ERROR_OUTOFMEMORY, ENOMEM},
        {ERROR_BROKEN_PIPE, EPIPE},
        {ERROR_NO_DATA, EPIPE},
        {ERROR_INVALID_PARAMETER, EINVAL},
        {ERROR_NOT_SUPPORTED, EOPNOTSUPP},
        {WSAEWOULDBLOCK, EAGAIN},
        {WSAEINPROGRESS, EINPROGRESS},
        {WSAEINTR, EINTR},
        {WSAECONNREFUSED, ECONNREFUSED},
        {WSAECONNRESET, ECONNRESET},
        {WSAECONNABORTED, ECONNABORTED},
        {WSAENETUNREACH, ENETUNREACH},
        {WSAEHOSTUNREACH, EHOSTUNREACH},
        {WSAETIMEDOUT, ETIMEDOUT},
        {WSAEADDRNOTAVAIL, EADDRNOTAVAIL},
        {WSAENOTSOCK, ENOTSOCK},
        {WSAEMFILE, EMFILE},
        {WSAEACCES, EACCES},
    };

    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        if (numbers[i].error == error)
            return numbers[i].number;
    }
    return EIO;
}

int windows_last(void)
{
    return -windows_errno(GetLastError());
}

/* The runtime's strerror() knows the old ones alone. */
const char *system_error_text(int number)
{
    static const struct {
        int number;
        const char *text;
    } texts[] = {
        {ECONNREFUSED, "connection refused"},
        {ECONNRESET, "connection reset"},
        {ECONNABORTED, "connection aborted"},
        {ENETUNREACH, "network unreachable"},
        {EHOSTUNREACH, "host unreachable"},
        {ETIMEDOUT, "timed out"},
        {EADDRNOTAVAIL, "address not available"},
        {EINPROGRESS, "in progress"},
        {ENOTSOCK, "not a socket"},
        {ECANCELED, "canceled"},
        {EOPNOTSUPP, "not supported"},
        {EPROTO, "protocol error"},
        {EBADMSG, "bad message"},
        {ENODATA, "no data"},
        {EBUSY, "in use by another program"},
    };

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (texts[i].number == number)
            return texts[i].text;
    }
    return strerror(number);
}

/* ---- the rest -------------------------------------------------------------------------------- */

int system_random(void *ret, size_t len)
{
    return len <= UINT32_MAX && RtlGenRandom(ret, (ULONG)len) ? 0 : -EIO;
}

/* The runtime gives no file the number of a standard one. */
int system_hold_standard_files(void)
{
    return 0;
}

void system_wipe(void *data, size_t len)
{
    if (len > 0)
        SecureZeroMemory(data, len);
}
