/* SPDX-License-Identifier: Apache-2.0 */
/* windows_program.c – a program is started: its command line, its environment, pipes that are
 * waited for, and a job that holds all that it starts. */
#include "base/windows.h"

#include "base/text.h"

#include <string.h>

/* ---- command line ---------------------------------------------------------------------------- */

/* Quotes, and backslashes that stand before one, are what the runtime takes apart
 * (CommandLineToArgvW() documents it). */
static int add_word(struct buf *line, const char *word)
{
    size_t slashes = 0;
    int rc = buf_add_byte(line, '"');

    for (; *word != '\0' && rc == 0; word++) {
        if (*word == '\\') {
            slashes++;
        } else {
            for (size_t i = 0; *word == '"' && i < slashes + 1 && rc == 0; i++)
                rc = buf_add_byte(line, '\\');
            slashes = 0;
        }
        if (rc == 0)
            rc = buf_add_byte(line, (uint8_t)*word);
    }
    for (size_t i = 0; i < slashes && rc == 0; i++)
        rc = buf_add_byte(line, '\\');
    return rc < 0 ? rc : buf_add_byte(line, '"');
}

static bool is_plain(const char *word)
{
    return *word != '\0' && strpbrk(word, " \t\n\v\"") == NULL;
}

wchar_t *windows_command_line(const char *const *argv)
{
    SCOPED(buf_value) struct buf line = BUF_EMPTY;
    int rc = 0;

    for (size_t i = 0; argv[i] != NULL && rc == 0; i++) {
        if (i > 0)
            rc = buf_add_byte(&line, ' ');
        if (rc == 0)
            rc = is_plain(argv[i]) ? buf_add_str(&line, argv[i]) : add_word(&line, argv[i]);
    }
    return rc < 0 || buf_str(&line) == NULL ? NULL : windows_wide(buf_str(&line));
}

/* ---- environment ----------------------------------------------------------------------------- */

/* Variables are the same in any case. */
static bool is_setting_of(const char *setting, const char *variable)
{
    size_t len = strcspn(setting, "=");

    return _strnicmp(setting, variable, len) == 0 && variable[len] == '=';
}

static bool is_replaced(const char *variable, const char *const *settings)
{
    for (size_t i = 0; settings != NULL && settings[i] != NULL; i++) {
        if (is_setting_of(settings[i], variable))
            return true;
    }
    return false;
}

static int add_wide(struct buf *block, const wchar_t *wide)
{
    return wide == NULL ? -ENOMEM : buf_add(block, wide, (wcslen(wide) + 1) * sizeof(*wide));
}

static int add_utf8(struct buf *block, const char *variable)
{
    SCOPED(mem) wchar_t *wide = windows_wide(variable);

    return add_wide(block, wide);
}

/* Those of ours are `=C:=C:\…` too, which stay. */
static int add_own(struct buf *block, const char *const *settings)
{
    wchar_t *own = GetEnvironmentStringsW();
    int rc = own == NULL ? -ENOMEM : 0;

    for (const wchar_t *at = own; rc == 0 && *at != L'\0'; at += wcslen(at) + 1) {
        SCOPED(mem) char *variable = windows_utf8(at);

        if (variable == NULL)
            rc = -ENOMEM;
        else if (!is_replaced(variable, settings))
            rc = add_wide(block, at);
    }
    if (own != NULL)
        (void)FreeEnvironmentStringsW(own);
    return rc;
}

wchar_t *windows_environment(const char *const *environment, const char *const *settings)
{
    SCOPED(buf_value) struct buf block = BUF_EMPTY;
    int rc = environment == NULL ? add_own(&block, settings) : 0;

    for (size_t i = 0; environment != NULL && environment[i] != NULL && rc == 0; i++) {
        if (!is_replaced(environment[i], settings))
            rc = add_utf8(&block, environment[i]);
    }
    for (size_t i = 0; settings != NULL && settings[i] != NULL && rc == 0; i++)
        rc = add_utf8(&block, settings[i]);
    if (rc == 0)
        rc = buf_add_zeros(&block, 2 * sizeof(wchar_t));
    return rc < 0 ? NULL : (wchar_t *)(void *)TAKE(block.data);
}

/* ---- pipes ----------------------------------------------------------------------------------- */

enum { PIPE_BYTES = 64 * 1024 };

/* Pipes without a name cannot be waited for. */
static wchar_t *new_pipe_name(void)
{
    static volatile LONG count;
    SCOPED(mem)
    char *name =
        text_format("\\\\.\\pipe\\finch-soci-%lu-%ld", (unsigned long)GetCurrentProcessId(),
                    (long)InterlockedIncrement(&count));

    return name == NULL ? NULL : windows_wide(name);
}

int windows_pipe_open(struct windows_pipe *ret, bool we_read, struct err *err)
{
    SECURITY_ATTRIBUTES inherited = {.nLength = sizeof(inherited), .bInheritHandle = TRUE};
    SCOPED(mem) wchar_t *name = new_pipe_name();
    struct windows_pipe pipe = {.ours = NULL};
    int rc = 0;

    if (name == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    pipe.overlapped.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL);
    pipe.ours = CreateNamedPipeW(name,
                                 (we_read ? PIPE_ACCESS_INBOUND : PIPE_ACCESS_OUTBOUND) |
                                     FILE_FLAG_OVERLAPPED | FILE_FLAG_FIRST_PIPE_INSTANCE,
                                 PIPE_TYPE_BYTE | PIPE_REJECT_REMOTE_CLIENTS, 1, PIPE_BYTES,
                                 PIPE_BYTES, 0, NULL);
    if (pipe.ours != INVALID_HANDLE_VALUE)
        pipe.theirs = CreateFileW(name, we_read ? GENERIC_WRITE : GENERIC_READ, 0, &inherited,
                                  OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, NULL);
    if (pipe.overlapped.hEvent == NULL || pipe.ours == INVALID_HANDLE_VALUE ||
        pipe.theirs == INVALID_HANDLE_VALUE) {
        rc = err_sys(err, windows_last(), "pipe");
        windows_pipe_close(&pipe);
        return rc;
    }
    *ret = pipe;
    return 0;
}

static void close_handle(HANDLE *handle)
{
    scoped_handle(handle);
    *handle = NULL;
}

/* What is under way writes into our memory: it is ended, and its end waited for. */
void windows_pipe_close(struct windows_pipe *pipe)
{
    DWORD n;

    if (pipe->under_way) {
        (void)CancelIoEx(pipe->ours, &pipe->overlapped);
        (void)GetOverlappedResult(pipe->ours, &pipe->overlapped, &n, TRUE);
    }
    pipe->under_way = false;
    close_handle(&pipe->ours);
    close_handle(&pipe->theirs);
    close_handle(&pipe->overlapped.hEvent);
}

/* What the call that was made says, or the one that is under way. */
static int come_to(struct windows_pipe *pipe, bool done)
{
    DWORD n = 0;

    if (!done && GetLastError() != ERROR_IO_PENDING)
        return -EPIPE;
    pipe->under_way = true;
    if (!GetOverlappedResult(pipe->ours, &pipe->overlapped, &n, FALSE)) {
        if (GetLastError() == ERROR_IO_INCOMPLETE)
            return 0;
        pipe->under_way = false;
        return -EPIPE;
    }
    pipe->under_way = false;
    return n == 0 ? -EPIPE : (int)n;
}

int windows_pipe_read(struct windows_pipe *pipe, void *piece, DWORD size)
{
    if (pipe->under_way)
        return come_to(pipe, true);
    return come_to(pipe, ReadFile(pipe->ours, piece, size, NULL, &pipe->overlapped) != 0);
}

int windows_pipe_write(struct windows_pipe *pipe, const void *data, DWORD len)
{
    if (pipe->under_way)
        return come_to(pipe, true);
    return come_to(pipe, WriteFile(pipe->ours, data, len, NULL, &pipe->overlapped) != 0);
}

/* ---- starting -------------------------------------------------------------------------------- */

/* Of the handles that may be inherited just these are. */
static int allow(LPPROC_THREAD_ATTRIBUTE_LIST *ret, HANDLE *handles, size_t count)
{
    SIZE_T size = 0;
    LPPROC_THREAD_ATTRIBUTE_LIST list;

    (void)InitializeProcThreadAttributeList(NULL, 1, 0, &size);
    list = calloc(1, size);
    if (list == NULL)
        return -ENOMEM;
    if (!InitializeProcThreadAttributeList(list, 1, 0, &size)) {
        free(list);
        return -ENOMEM;
    }
    *ret = list;
    return UpdateProcThreadAttribute(list, 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, handles,
                                     count * sizeof(*handles), NULL, NULL)
               ? 0
               : windows_last();
}

static HANDLE open_nul(void)
{
    SECURITY_ATTRIBUTES inherited = {.nLength = sizeof(inherited), .bInheritHandle = TRUE};

    return CreateFileW(L"NUL", GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE,
                       &inherited, OPEN_EXISTING, 0, NULL);
}

static int create(const char *const *argv, const wchar_t *environment, HANDLE standard[3],
                  PROCESS_INFORMATION *ret)
{
    STARTUPINFOEXW start = {.StartupInfo = {.cb = sizeof(start), .dwFlags = STARTF_USESTDHANDLES}};
    SCOPED(mem) wchar_t *program = windows_path(argv[0]);
    SCOPED(mem) wchar_t *line = windows_command_line(argv);
    SCOPED(mem) LPPROC_THREAD_ATTRIBUTE_LIST list = NULL;
    int rc = program == NULL || line == NULL ? -ENOMEM : allow(&list, standard, 3);

    start.StartupInfo.hStdInput = standard[0];
    start.StartupInfo.hStdOutput = standard[1];
    start.StartupInfo.hStdError = standard[2];
    start.lpAttributeList = list;
    if (rc == 0 && !CreateProcessW(program, line, NULL, NULL, TRUE,
                                   CREATE_SUSPENDED | CREATE_NO_WINDOW |
                                       CREATE_UNICODE_ENVIRONMENT | EXTENDED_STARTUPINFO_PRESENT,
                                   (void *)(uintptr_t)environment, NULL, &start.StartupInfo, ret))
        rc = windows_last();
    if (list != NULL)
        DeleteProcThreadAttributeList(list);
    return rc;
}

int windows_program_start(const char *const *argv, const wchar_t *environment,
                          const HANDLE standard[3], struct windows_program *ret, struct err *err)
{
    SCOPED(handle) HANDLE in = open_nul();
    SCOPED(handle) HANDLE out = open_nul();
    SCOPED(handle) HANDLE error = open_nul();
    HANDLE all[3] = {standard[0] == NULL ? in : standard[0],
                     standard[1] == NULL ? out : standard[1],
                     standard[2] == NULL ? error : standard[2]};
    PROCESS_INFORMATION made = {.hProcess = NULL};
    int rc = create(argv, environment, all, &made);

    if (rc < 0)
        return err_sys(err, rc, "%s", argv[0]);
    ret->process = made.hProcess;
    ret->job = CreateJobObjectW(NULL, NULL);
    if (ret->job != NULL) /* where we may not, the program alone is ended in the end */
        (void)AssignProcessToJobObject(ret->job, made.hProcess);
    (void)ResumeThread(made.hThread);
    (void)CloseHandle(made.hThread);
    return 0;
}

void windows_program_kill(struct windows_program *program)
{
    if (program->job != NULL)
        (void)TerminateJobObject(program->job, 128 + 9);
    if (program->process != NULL)
        (void)TerminateProcess(program->process, 128 + 9);
}

void windows_program_close(struct windows_program *program)
{
    close_handle(&program->process);
    close_handle(&program->job);
}

int windows_exit_status(DWORD code, int *ret_signal)
{
    *ret_signal = code == 0xC000013A /* STATUS_CONTROL_C_EXIT */ ? 2 : code >= 0xC0000000 ? 11 : 0;
    return *ret_signal != 0 ? 128 + *ret_signal : (int)(code & 0x7fffffff);
}
