/* SPDX-License-Identifier: Apache-2.0 */
/* windows.c – what is where on Windows, and who we are. */
#include "platform/platform.h"

#include "base/files.h"
#include "base/text.h"
#include "base/windows.h"
#include "platform/windows_internal.h"

#define SECURITY_WIN32
#include <fcntl.h>
#include <io.h>
#include <security.h>
#include <shlobj.h>
#include <string.h>
#include <sys/stat.h>

const char *const platform_finch_root = "C:\\Program Files\\Finch";
const bool platform_has_vm = true;

/* The runtime of mingw-w64 would take * and ? in our arguments for files. */
int _CRT_glob = 0;

/* ---- places ---------------------------------------------------------------------------------- */

/* What the variable says, else the system's own answer. */
static char *known_folder(const char *variable, int folder)
{
    const char *said = getenv(variable);
    wchar_t path[MAX_PATH];

    if (said != NULL && *said != '\0')
        return text_copy(said);
    return SHGetFolderPathW(NULL, folder, NULL, SHGFP_TYPE_CURRENT, path) == S_OK
               ? windows_utf8(path)
               : NULL;
}

char *platform_home(void)
{
    return known_folder("USERPROFILE", CSIDL_PROFILE);
}

char *platform_finch_config(bool with_vm)
{
    SCOPED(mem) char *local = known_folder("LOCALAPPDATA", CSIDL_LOCAL_APPDATA);

    (void)with_vm;
    return local == NULL ? NULL : text_format("%s\\.finch\\finch.yaml", local);
}

char *windows_system_program(const char *name)
{
    wchar_t dir[MAX_PATH];
    UINT units = GetSystemDirectoryW(dir, ARRAY_LEN(dir));
    SCOPED(mem) char *utf8 = units == 0 || units >= ARRAY_LEN(dir) ? NULL : windows_utf8(dir);

    return utf8 == NULL ? NULL : text_format("%s\\%s", utf8, name);
}

char *platform_wsl(void)
{
    SCOPED(mem) char *wsl = windows_system_program("wsl.exe");

    return wsl != NULL && path_exists(wsl) ? TAKE(wsl) : NULL;
}

/* ---- our program ----------------------------------------------------------------------------- */

char *platform_program(void)
{
    enum { PATH_UNITS = 32768 }; /* no path is longer */
    SCOPED(mem) wchar_t *path = calloc(PATH_UNITS, sizeof(*path));

    if (path == NULL || GetModuleFileNameW(NULL, path, PATH_UNITS) == 0)
        return NULL;
    return windows_utf8(path);
}

char *platform_program_dir(void)
{
    SCOPED(mem) char *program = platform_program();

    return program == NULL ? NULL : path_parent(program);
}

/* ---- our user -------------------------------------------------------------------------------- */

char *platform_user(void)
{
    wchar_t name[512];
    ULONG units = ARRAY_LEN(name);

    return GetUserNameExW(NameSamCompatible, name, &units) ? windows_utf8(name) : NULL;
}

bool platform_is_admin(void)
{
    SCOPED(handle) HANDLE token = NULL;
    TOKEN_ELEVATION elevation = {.TokenIsElevated = 0};
    DWORD len = 0;

    return OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token) &&
           GetTokenInformation(token, TokenElevation, &elevation, sizeof(elevation), &len) &&
           elevation.TokenIsElevated != 0;
}

/* ---- paths ----------------------------------------------------------------------------------- */

char *platform_absolute(const char *path)
{
    SCOPED(mem) wchar_t *wide = windows_path(path);
    SCOPED(mem) char *whole = wide == NULL ? NULL : windows_utf8(wide);

    if (whole != NULL && text_has_prefix(whole, "\\\\?\\"))
        return text_copy(whole + 4);
    return TAKE(whole);
}

/* MSYS and Cygwin have drives as directories. */
char *platform_path_of_ssh(const char *path)
{
    const char *at = text_has_prefix(path, "/cygdrive/") ? path + strlen("/cygdrive") : path;
    bool is_drive = at[0] == '/' &&
                    ((at[1] >= 'a' && at[1] <= 'z') || (at[1] >= 'A' && at[1] <= 'Z')) &&
                    (at[2] == '/' || at[2] == '\0');

    return is_drive ? text_format("%c:%s", at[1], at[2] == '\0' ? "/" : at + 2) : text_copy(path);
}

int platform_print_to(const char *path, struct err *err)
{
    SCOPED(mem) wchar_t *wide = windows_path(path);
    int fd = wide == NULL
                 ? -1
                 : _wopen(wide, _O_WRONLY | _O_APPEND | _O_CREAT | _O_BINARY | _O_NOINHERIT,
                          _S_IREAD | _S_IWRITE);
    int rc = 0;

    if (fd < 0)
        return err_sys(err, -errno, "%s", path);
    (void)fflush(stdout);
    /* A program without a console has neither of the two open. */
    if ((_fileno(stdout) < 0 && freopen("NUL", "ab", stdout) == NULL) ||
        (_fileno(stderr) < 0 && freopen("NUL", "ab", stderr) == NULL) ||
        _dup2(fd, _fileno(stdout)) < 0 || _dup2(fd, _fileno(stderr)) < 0)
        rc = err_sys(err, -errno, "%s", path);
    (void)_close(fd);
    return rc;
}
