/* SPDX-License-Identifier: Apache-2.0 */
/* windows.h – what the files for Windows share: texts, paths, errors, and programs with pipes.
 *
 * Texts are UTF-8 everywhere but in calls of the system. Our manifest makes UTF-8 the code page of
 * the process too, so argv, the environment and the C library speak it. */
#ifndef BASE_WINDOWS_H
#define BASE_WINDOWS_H

#include "base/attr.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"

#include <winsock2.h> /* before windows.h */
#include <windows.h>

#include <stdint.h>

/* ---- texts and errors ------------------------------------------------------------------------ */

wchar_t *windows_wide(const char *utf8); /* a new string; NULL: out of memory, or no UTF-8 */
char *windows_utf8(const wchar_t *wide); /* the same; what is no UTF-16 becomes U+FFFD */
/* For calls that take a path: whole, with backslashes, and in the form that may be longer than 260
 * characters where it is. NULL as above. */
wchar_t *windows_path(const char *path);

int windows_errno(DWORD error); /* of GetLastError() or WSAGetLastError(); positive, never 0 */
int windows_last(void);         /* of GetLastError(), negative: for err_sys() */

static inline void scoped_handle(const HANDLE *handle)
{
    if (*handle != NULL && *handle != INVALID_HANDLE_VALUE)
        (void)CloseHandle(*handle);
}

/* ---- files ----------------------------------------------------------------------------------- */

/* As CreateFileW(), which it calls until nobody holds the file against us: scanners and Finch
 * itself do for moments. INVALID_HANDLE_VALUE: GetLastError() says why. */
HANDLE windows_open(const wchar_t *path, DWORD access, DWORD share, DWORD how, DWORD flags);
/* Whether it may be different in a moment: somebody holds the file. */
bool windows_is_held(DWORD error);
enum { WINDOWS_HELD_TRIES = 40, WINDOWS_HELD_MS = 25 };

/* ---- programs -------------------------------------------------------------------------------- */

/* As the runtime of C takes it apart again. NULL: out of memory. */
wchar_t *windows_command_line(const char *const *argv);
/* NAME=value over `environment` (NULL: our own), for CreateProcessW(). NULL: out of memory. */
wchar_t *windows_environment(const char *const *environment, const char *const *settings);

/* A pipe of which our end is waited for and the other is inherited. */
struct windows_pipe {
    HANDLE ours, theirs;   /* NULL: none, or closed */
    OVERLAPPED overlapped; /* hEvent: set when what is under way is done */
    bool under_way;
};
MUST_CHECK int windows_pipe_open(struct windows_pipe *ret, bool we_read, struct err *err);
void windows_pipe_close(struct windows_pipe *pipe);
/* Begins, or goes on with, a read into `piece`, which stays until it is done. >0 so many bytes
 * came, 0 not yet: its event is set then, -EPIPE: the other end is closed. */
int windows_pipe_read(struct windows_pipe *pipe, void *piece, DWORD size);
/* The same for writing. */
int windows_pipe_write(struct windows_pipe *pipe, const void *data, DWORD len);

/* Without a window, in a job of its own. Standard handles may be NULL: then NUL. */
struct windows_program {
    HANDLE process, job;
};
MUST_CHECK int windows_program_start(const char *const *argv, const wchar_t *environment,
                                     const HANDLE standard[3], struct windows_program *ret,
                                     struct err *err);
/* With all that it started. */
void windows_program_kill(struct windows_program *program);
void windows_program_close(struct windows_program *program);
/* As a shell counts: 128 + signal where the system ended it. */
int windows_exit_status(DWORD code, int *ret_signal);

#endif
