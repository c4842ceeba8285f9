/* SPDX-License-Identifier: Apache-2.0 */
/* windows_waiter.c – changes in directories, ends of processes and output of programs, waited for
 * by one call. */
#include "platform/platform.h"

#include "base/clock.h"
#include "base/text.h"
#include "base/windows.h"

#include <string.h>

enum { PIECE_BYTES = 4096, CHANGE_BYTES = 4096 };
/* Of a program that has ended while what it started still prints. */
enum { LAST_PIECES = 64 };
enum { KILLED_MS = 5000 };

/* A directory of which changes are asked for; the system writes into it while that is under way. */
struct watched {
    char *path; /* NULL: free */
    HANDLE dir;
    OVERLAPPED overlapped;
    bool under_way;
    DWORD changes[CHANGE_BYTES / sizeof(DWORD)]; /* only that there are some is of interest */
};

struct running {
    struct windows_program program; /* process NULL: free */
    struct windows_pipe out;        /* ours NULL: none, or it is closed */
    unsigned last_pieces;           /* after its end */
    uint8_t piece[PIECE_BYTES];
};

/* All of the one thread that uses it, but for `wake`, which is fixed. */
struct platform_waiter {
    HANDLE wake;
    HANDLE process; /* somebody else's; NULL: none */
    struct watched watched[PLATFORM_WAITER_DIRS_MAX];
    struct running running[PLATFORM_CHILDREN_MAX];
};

static void close_handle(HANDLE *handle)
{
    scoped_handle(handle);
    *handle = NULL;
}

/* ---- directories ----------------------------------------------------------------------------- */

static void forget(struct watched *watched)
{
    DWORD n;

    if (watched->under_way) {
        (void)CancelIoEx(watched->dir, &watched->overlapped);
        (void)GetOverlappedResult(watched->dir, &watched->overlapped, &n, TRUE);
    }
    watched->under_way = false;
    close_handle(&watched->dir);
    close_handle(&watched->overlapped.hEvent);
    free(TAKE(watched->path));
}

/* False: the directory is gone, or its file system tells nothing. */
static bool ask(struct watched *watched)
{
    watched->under_way =
        ReadDirectoryChangesW(watched->dir, watched->changes, sizeof(watched->changes), FALSE,
                              FILE_NOTIFY_CHANGE_FILE_NAME | FILE_NOTIFY_CHANGE_DIR_NAME, NULL,
                              &watched->overlapped, NULL) != 0;
    return watched->under_way;
}

/* One that is not there is left out: `ret` stays free. */
static int watch(const char *path, struct watched *ret, struct err *err)
{
    SCOPED(mem) wchar_t *wide = windows_path(path);

    ret->path = text_copy(path);
    if (wide == NULL || ret->path == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    ret->dir = CreateFileW(wide, FILE_LIST_DIRECTORY,
                           FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL,
                           OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OVERLAPPED, NULL);
    ret->overlapped.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL);
    if (ret->dir == INVALID_HANDLE_VALUE || ret->overlapped.hEvent == NULL || !ask(ret))
        forget(ret);
    return 0;
}

static bool is_among(const char *path, const char *const *dirs)
{
    for (size_t i = 0; dirs[i] != NULL; i++) {
        if (strcmp(path, dirs[i]) == 0)
            return true;
    }
    return false;
}

static struct watched *find(struct platform_waiter *waiter, const char *path)
{
    for (size_t i = 0; i < PLATFORM_WAITER_DIRS_MAX; i++) {
        struct watched *watched = &waiter->watched[i];

        if (path == NULL ? watched->path == NULL
                         : watched->path != NULL && strcmp(watched->path, path) == 0)
            return watched;
    }
    return NULL;
}

int platform_waiter_set_dirs(struct platform_waiter *waiter, const char *const *dirs,
                             struct err *err)
{
    int rc = 0;

    for (size_t i = 0; i < PLATFORM_WAITER_DIRS_MAX; i++) {
        if (waiter->watched[i].path != NULL && !is_among(waiter->watched[i].path, dirs))
            forget(&waiter->watched[i]);
    }
    for (size_t i = 0; dirs[i] != NULL && rc == 0; i++) {
        struct watched *free_one = find(waiter, NULL);

        if (find(waiter, dirs[i]) == NULL && free_one != NULL)
            rc = watch(dirs[i], free_one, err);
    }
    return rc;
}

/* What was under way is done: asked again, or the directory itself is gone. */
static void take_changes(struct watched *watched)
{
    DWORD n = 0;
    bool fine = GetOverlappedResult(watched->dir, &watched->overlapped, &n, FALSE) != 0;

    watched->under_way = false;
    if (!fine || !ask(watched))
        forget(watched);
}

/* ---- processes ------------------------------------------------------------------------------- */

int platform_waiter_set_process(struct platform_waiter *waiter, int64_t pid, struct err *err)
{
    close_handle(&waiter->process);
    if (pid == 0)
        return 0;
    if (pid > 0 && pid <= UINT32_MAX)
        waiter->process = OpenProcess(SYNCHRONIZE, FALSE, (DWORD)pid);
    if (waiter->process != NULL)
        return 0;
    return err_set(err, pid > 0 && GetLastError() == ERROR_ACCESS_DENIED ? -EACCES : -ESRCH,
                   "process %lld cannot be waited for", (long long)pid);
}

/* However we end, what we started ends: the last handle of its job goes with us. */
static void end_with_us(const struct windows_program *program)
{
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits = {
        .BasicLimitInformation = {.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE}};

    if (program->job != NULL)
        (void)SetInformationJobObject(program->job, JobObjectExtendedLimitInformation, &limits,
                                      sizeof(limits));
}

static int start(const struct platform_child *child, struct running *running, struct err *err)
{
    SCOPED(mem) wchar_t *environment = windows_environment(NULL, child->settings);
    HANDLE standard[3] = {NULL, NULL, NULL};
    int rc = environment == NULL ? err_set(err, -ENOMEM, "out of memory") : 0;

    if (rc == 0 && child->gives_output)
        rc = windows_pipe_open(&running->out, true, err);
    standard[1] = running->out.theirs;
    if (rc == 0)
        rc = windows_program_start(child->argv, environment, standard, &running->program, err);
    if (rc == 0)
        end_with_us(&running->program);
    if (running->out.ours != NULL)
        close_handle(&running->out.theirs);
    if (rc < 0)
        windows_pipe_close(&running->out);
    return rc;
}

int platform_waiter_start(struct platform_waiter *waiter, const struct platform_child *child,
                          int *ret, struct err *err)
{
    for (int i = 0; i < PLATFORM_CHILDREN_MAX; i++) {
        if (waiter->running[i].program.process != NULL)
            continue;
        *ret = i;
        waiter->running[i].last_pieces = 0;
        return start(child, &waiter->running[i], err);
    }
    return err_set(err, -EBUSY, "%d programs run already", PLATFORM_CHILDREN_MAX);
}

/* A program without a console cannot be asked. */
void platform_waiter_end(struct platform_waiter *waiter, int child)
{
    windows_program_kill(&waiter->running[child].program);
}

/* ---- made and gone --------------------------------------------------------------------------- */

int platform_waiter_open(struct platform_waiter **ret, struct err *err)
{
    SCOPED(platform_waiter) struct platform_waiter *waiter = calloc(1, sizeof(*waiter));

    if (waiter == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    waiter->wake = CreateEventW(NULL, TRUE, FALSE, NULL); /* a wait does not unset it */
    if (waiter->wake == NULL)
        return err_sys(err, windows_last(), "event");
    *ret = TAKE(waiter);
    return 0;
}

void platform_waiter_close(struct platform_waiter *waiter)
{
    if (waiter == NULL)
        return;
    for (size_t i = 0; i < PLATFORM_CHILDREN_MAX; i++) {
        struct running *running = &waiter->running[i];

        if (running->program.process != NULL) {
            windows_program_kill(&running->program);
            (void)WaitForSingleObject(running->program.process, KILLED_MS);
        }
        windows_pipe_close(&running->out);
        windows_program_close(&running->program);
    }
    for (size_t i = 0; i < PLATFORM_WAITER_DIRS_MAX; i++)
        forget(&waiter->watched[i]);
    close_handle(&waiter->process);
    close_handle(&waiter->wake);
    free(waiter);
}

void platform_waiter_wake(struct platform_waiter *waiter)
{
    (void)SetEvent(waiter->wake);
}

/* ---- waiting --------------------------------------------------------------------------------- */

static bool is_set(HANDLE handle)
{
    return handle != NULL && WaitForSingleObject(handle, 0) == WAIT_OBJECT_0;
}

/* Its output before its end. */
static bool child_event(struct running *running, int number, struct platform_event *ret)
{
    bool has_ended = is_set(running->program.process);
    DWORD code = 0;
    int signal;

    if (running->program.process == NULL)
        return false;
    if (running->out.ours != NULL && running->last_pieces < LAST_PIECES) {
        int n = windows_pipe_read(&running->out, running->piece, sizeof(running->piece));

        running->last_pieces += has_ended;
        if (n < 0)
            windows_pipe_close(&running->out);
        if (n > 0) {
            *ret = (struct platform_event){.kind = PLATFORM_OUTPUT,
                                           .child = number,
                                           .output = bytes_of(running->piece, (size_t)n)};
            return true;
        }
    }
    if (!has_ended)
        return false;
    (void)GetExitCodeProcess(running->program.process, &code);
    *ret = (struct platform_event){
        .kind = PLATFORM_ENDED, .child = number, .exit_status = windows_exit_status(code, &signal)};
    windows_pipe_close(&running->out);
    windows_program_close(&running->program);
    return true;
}

static bool any_changes(struct platform_waiter *waiter)
{
    bool found = false;

    for (size_t i = 0; i < PLATFORM_WAITER_DIRS_MAX; i++) {
        struct watched *watched = &waiter->watched[i];

        if (watched->under_way && is_set(watched->overlapped.hEvent)) {
            take_changes(watched);
            found = true;
        }
    }
    return found;
}

static bool take_event(struct platform_waiter *waiter, struct platform_event *ret)
{
    if (is_set(waiter->wake)) {
        (void)ResetEvent(waiter->wake);
        ret->kind = PLATFORM_WOKEN;
        return true;
    }
    for (int i = 0; i < PLATFORM_CHILDREN_MAX; i++) {
        if (child_event(&waiter->running[i], i, ret))
            return true;
    }
    if (is_set(waiter->process)) {
        close_handle(&waiter->process);
        ret->kind = PLATFORM_GONE;
        return true;
    }
    if (any_changes(waiter)) {
        ret->kind = PLATFORM_CHANGED;
        return true;
    }
    return false;
}

enum { HANDLES_MAX = 2 + PLATFORM_WAITER_DIRS_MAX + 2 * PLATFORM_CHILDREN_MAX };

static DWORD collect(const struct platform_waiter *waiter, HANDLE handles[HANDLES_MAX])
{
    DWORD count = 0;

    handles[count++] = waiter->wake;
    if (waiter->process != NULL)
        handles[count++] = waiter->process;
    for (size_t i = 0; i < PLATFORM_WAITER_DIRS_MAX; i++) {
        if (waiter->watched[i].under_way)
            handles[count++] = waiter->watched[i].overlapped.hEvent;
    }
    for (size_t i = 0; i < PLATFORM_CHILDREN_MAX; i++) {
        if (waiter->running[i].program.process != NULL)
            handles[count++] = waiter->running[i].program.process;
        if (waiter->running[i].out.under_way)
            handles[count++] = waiter->running[i].out.overlapped.hEvent;
    }
    return count;
}

int platform_waiter_wait(struct platform_waiter *waiter, int64_t timeout_ms,
                         struct platform_event *ret, struct err *err)
{
    int64_t deadline_ms = timeout_ms < 0 ? INT64_MAX : clock_mono_ms() + timeout_ms;

    *ret = (struct platform_event){.kind = PLATFORM_TIMEOUT};
    for (;;) {
        HANDLE handles[HANDLES_MAX];
        int64_t left_ms;
        DWORD count;

        if (take_event(waiter, ret)) /* reads are under way then */
            return 0;
        left_ms = deadline_ms - clock_mono_ms();
        if (left_ms <= 0)
            return 0;
        count = collect(waiter, handles);
        if (WaitForMultipleObjects(count, handles, FALSE,
                                   timeout_ms < 0        ? INFINITE
                                   : left_ms > INT32_MAX ? (DWORD)INT32_MAX
                                                         : (DWORD)left_ms) == WAIT_FAILED)
            return err_sys(err, windows_last(), "wait");
    }
}
