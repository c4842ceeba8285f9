/* SPDX-License-Identifier: Apache-2.0 */
/* windows_hook_end.c – the watcher that no task holds: found by the command line that started it.
 */
#include "platform/windows_internal.h"

#include "base/windows.h"

#include <tlhelp32.h>
#include <winternl.h>

static bool copy_from(HANDLE process, const void *from, void *to, size_t len)
{
    SIZE_T n = 0;

    return ReadProcessMemory(process, from, to, len, &n) && n == len;
}

/* Its command line is in its own memory, where it may be anything by now: it is only compared. */
static bool has_line(HANDLE process, const wchar_t *line)
{
    size_t bytes = wcslen(line) * sizeof(*line);
    SCOPED(mem) wchar_t *found = malloc(bytes);
    PROCESS_BASIC_INFORMATION basic;
    RTL_USER_PROCESS_PARAMETERS parameters;
    PEB peb;
    ULONG len = 0;

    return found != NULL &&
           NtQueryInformationProcess(process, ProcessBasicInformation, &basic, sizeof(basic),
                                     &len) == 0 &&
           copy_from(process, basic.PebBaseAddress, &peb, sizeof(peb)) &&
           copy_from(process, peb.ProcessParameters, &parameters, sizeof(parameters)) &&
           parameters.CommandLine.Length == bytes &&
           copy_from(process, parameters.CommandLine.Buffer, found, bytes) &&
           memcmp(found, line, bytes) == 0;
}

static void end_one(DWORD pid, const wchar_t *line)
{
    enum { ENDED_MS = 5000 };
    SCOPED(handle)
    HANDLE process = OpenProcess(
        PROCESS_TERMINATE | PROCESS_QUERY_INFORMATION | PROCESS_VM_READ | SYNCHRONIZE, FALSE, pid);

    if (process != NULL && pid != GetCurrentProcessId() && has_line(process, line) &&
        TerminateProcess(process, 0))
        (void)WaitForSingleObject(process, ENDED_MS);
}

void windows_end_started_by(const wchar_t *line)
{
    SCOPED(handle) HANDLE all = CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0);
    PROCESSENTRY32W entry = {.dwSize = sizeof(entry)};

    if (all == INVALID_HANDLE_VALUE || !Process32FirstW(all, &entry))
        return;
    do
        end_one(entry.th32ProcessID, line);
    while (Process32NextW(all, &entry));
}
