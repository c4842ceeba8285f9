/* SPDX-License-Identifier: Apache-2.0 */
/* windows_terminal.c – the console that we run on: UTF-8 and colours, its width, its interrupts,
 * and programs that get it from us for a while. */
#include "platform/platform.h"

#include "base/files.h"
#include "base/process.h"
#include "base/socket.h"
#include "base/text.h"
#include "base/windows.h"

#include <fcntl.h>
#include <io.h>

#ifndef ENABLE_VIRTUAL_TERMINAL_PROCESSING
#define ENABLE_VIRTUAL_TERMINAL_PROCESSING 0x0004
#endif

/* Of the process, as the console is: what it was before us. */
static struct {
    UINT code_page; /* 0: nothing was changed */
    DWORD modes[2]; /* of standard output and error */
    bool has_modes[2];
} console;

static HANDLE standard(size_t which)
{
    return GetStdHandle(which == 0 ? STD_OUTPUT_HANDLE : STD_ERROR_HANDLE);
}

/* The console is the shell's again when we are gone. */
static void put_back(void)
{
    (void)fflush(stdout);
    for (size_t i = 0; i < 2; i++) {
        if (console.has_modes[i])
            (void)SetConsoleMode(standard(i), console.modes[i]);
    }
    if (console.code_page != 0)
        (void)SetConsoleOutputCP(console.code_page);
}

void platform_start(void)
{
    (void)_setmode(_fileno(stdout), _O_BINARY); /* the same bytes as everywhere */
    (void)_setmode(_fileno(stderr), _O_BINARY);
    for (size_t i = 0; i < 2; i++) {
        console.has_modes[i] = GetConsoleMode(standard(i), &console.modes[i]) != 0;
        if (console.has_modes[i])
            (void)SetConsoleMode(standard(i), console.modes[i] | ENABLE_PROCESSED_OUTPUT |
                                                  ENABLE_VIRTUAL_TERMINAL_PROCESSING);
    }
    if (console.has_modes[0] || console.has_modes[1]) {
        console.code_page = GetConsoleOutputCP();
        (void)SetConsoleOutputCP(CP_UTF8);
    }
    (void)atexit(put_back);
}

bool platform_is_terminal(FILE *stream)
{
    return _isatty(_fileno(stream)) != 0;
}

unsigned platform_terminal_width(FILE *stream)
{
    CONSOLE_SCREEN_BUFFER_INFO info;

    if (!GetConsoleScreenBufferInfo((HANDLE)_get_osfhandle(_fileno(stream)), &info) ||
        info.srWindow.Right < info.srWindow.Left)
        return 0;
    return (unsigned)(info.srWindow.Right - info.srWindow.Left + 1);
}

/* ---- interrupts ------------------------------------------------------------------------------ */

/* Of the process, as the handler is: written before it is registered. */
static void (*on_interrupt)(int number);
static volatile LONG is_another_s; /* a program of ours has the console, and answers */

/* In a thread of the system's. What closes the console or ends the session leaves us few seconds.
 */
static BOOL WINAPI handle_control(DWORD what)
{
    if (is_another_s != 0 && (what == CTRL_C_EVENT || what == CTRL_BREAK_EVENT))
        return TRUE;
    on_interrupt(what == CTRL_C_EVENT || what == CTRL_BREAK_EVENT ? 2 : 15);
    return TRUE;
}

void platform_on_interrupt(void (*call)(int number))
{
    on_interrupt = call;
    (void)SetConsoleCtrlHandler(NULL, FALSE); /* whoever started us may have it ignored */
    (void)SetConsoleCtrlHandler(handle_control, TRUE);
}

/* ---- programs -------------------------------------------------------------------------------- */

static int start(const char *const *argv, HANDLE *ret, struct err *err)
{
    STARTUPINFOW start = {.cb = sizeof(start)};
    PROCESS_INFORMATION made = {.hProcess = NULL};
    SCOPED(mem) char *found = NULL;
    SCOPED(mem) wchar_t *line = windows_command_line(argv);
    SCOPED(mem) wchar_t *program = NULL;
    int rc = path_name(argv[0]) == argv[0] ? process_find_program(argv[0], &found, err) : 0;

    if (rc < 0)
        return rc;
    program = windows_path(found == NULL ? argv[0] : found);
    if (line == NULL || program == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    if (!CreateProcessW(program, line, NULL, NULL, TRUE, 0, NULL, NULL, &start, &made))
        return err_sys(err, windows_last(), "%s", argv[0]);
    (void)CloseHandle(made.hThread);
    *ret = made.hProcess;
    return 0;
}

int platform_run_attached(const char *const *argv, int *ret_status, struct err *err)
{
    SCOPED(handle) HANDLE process = NULL;
    DWORD code = 0;
    int signal, rc;

    (void)fflush(stdout);
    (void)InterlockedExchange(&is_another_s, 1);
    rc = start(argv, &process, err);
    if (rc == 0 && (WaitForSingleObject(process, INFINITE) != WAIT_OBJECT_0 ||
                    !GetExitCodeProcess(process, &code)))
        rc = err_sys(err, windows_last(), "%s", argv[0]);
    (void)InterlockedExchange(&is_another_s, 0);
    if (rc == 0)
        *ret_status = windows_exit_status(code, &signal);
    return rc;
}
