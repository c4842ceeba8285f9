/* SPDX-License-Identifier: Apache-2.0 */
/* windows_process.c – a program is run to its end, its three pipes waited for beside it. */
#include "base/process.h"

#include "base/clock.h"
#include "base/files.h"
#include "base/socket.h"
#include "base/system.h"
#include "base/text.h"
#include "base/windows.h"

#include <limits.h>

enum { RUN_TIMEOUT_MS = 60000, RUN_OUTPUT_MAX_BYTES = 1024 * 1024 };
enum { RUN_PIECE_BYTES = 16 * 1024, RUN_LAST_PIECES = 64 };
/* A socket that cancels cannot be waited for together with the rest: how often it is looked at. */
enum { RUN_LOOK_MS = 50 };

void process_end_fini(struct process_end *end)
{
    if (end->is_secret) {
        system_wipe(end->out.data, end->out.cap);
        system_wipe(end->err.data, end->err.cap);
    }
    buf_fini(&end->out);
    buf_fini(&end->err);
}

/* ---- what comes ------------------------------------------------------------------------------ */

struct stream {
    struct windows_pipe pipe; /* ours NULL: closed */
    uint8_t piece[RUN_PIECE_BYTES];
    struct buf *to;
    size_t max_bytes;
    const struct process_run *run; /* NULL: into `to`, whatever the caller wants */
    bool may_drop;                 /* what is more */
};

static int take(struct stream *stream, struct bytes piece, struct err *err)
{
    size_t room = stream->max_bytes - stream->to->len;

    if (stream->run != NULL && stream->run->output != NULL)
        return stream->run->output(stream->run->self, piece) == 0
                   ? 0
                   : err_set(err, -ECANCELED, "nobody wants more of its output");
    if (stream->may_drop && piece.len > room)
        piece.len = room;
    if (piece.len > room)
        return err_set(err, -EFBIG, "more output than %zu bytes", stream->max_bytes);
    return buf_add(stream->to, piece.data, piece.len) < 0 ? err_set(err, -ENOMEM, "out of memory")
                                                          : 0;
}

/* All that is there now; a read is under way then, or it is closed. */
static int drain(struct stream *stream, struct err *err)
{
    int rc = 0;

    for (int i = 0; i < RUN_LAST_PIECES && stream->pipe.ours != NULL && rc == 0; i++) {
        int n = windows_pipe_read(&stream->pipe, stream->piece, sizeof(stream->piece));

        if (n == 0)
            return 0;
        if (n < 0)
            windows_pipe_close(&stream->pipe);
        else
            rc = take(stream, bytes_of(stream->piece, (size_t)n), err);
    }
    return rc;
}

/* ---- a run ----------------------------------------------------------------------------------- */

struct talk {
    const struct process_run *run;
    struct windows_program program;
    struct windows_pipe in;
    struct bytes input;
    struct stream out, err;
};

static void talk_fini(struct talk *talk)
{
    windows_pipe_close(&talk->in);
    windows_pipe_close(&talk->out.pipe);
    windows_pipe_close(&talk->err.pipe);
    windows_program_close(&talk->program);
    system_wipe(talk->out.piece, sizeof(talk->out.piece));
    system_wipe(talk->err.piece, sizeof(talk->err.piece));
}

static void talk_free(struct talk *talk)
{
    talk_fini(talk);
    free(talk);
}
DEFINE_SCOPED_PTR(talk, struct talk, talk_free)

static void close_theirs(struct windows_pipe *pipe)
{
    (void)CloseHandle(pipe->theirs);
    pipe->theirs = NULL;
}

/* argv[0] as a path. */
static int find_argv0(const char *name, char **ret, struct err *err)
{
    if (path_name(name) == name)
        return process_find_program(name, ret, err);
    *ret = text_copy(name);
    return *ret == NULL ? err_set(err, -ENOMEM, "out of memory") : 0;
}

static int start(struct talk *talk, struct err *err)
{
    const struct process_run *run = talk->run;
    SCOPED(mem) wchar_t *environment = windows_environment(run->environment, run->settings);
    SCOPED(mem) char *program = NULL;
    SCOPED(mem) const char **argv = NULL;
    size_t count = 0;
    int rc = find_argv0(run->argv[0], &program, err);

    while (run->argv[count] != NULL)
        count++;
    argv = calloc(count + 1, sizeof(*argv));
    if (rc == 0 && (environment == NULL || argv == NULL))
        rc = err_set(err, -ENOMEM, "out of memory");
    if (rc < 0)
        return rc;
    memcpy(argv, run->argv, count * sizeof(*argv));
    argv[0] = program;
    rc = windows_pipe_open(&talk->in, false, err);
    if (rc == 0)
        rc = windows_pipe_open(&talk->out.pipe, true, err);
    if (rc == 0)
        rc = windows_pipe_open(&talk->err.pipe, true, err);
    if (rc == 0)
        rc = windows_program_start(
            argv, environment,
            (const HANDLE[3]){talk->in.theirs, talk->out.pipe.theirs, talk->err.pipe.theirs},
            &talk->program, err);
    if (rc < 0)
        return rc;
    close_theirs(&talk->in);
    close_theirs(&talk->out.pipe);
    close_theirs(&talk->err.pipe);
    return 0;
}

/* As much of the input as it takes now; a program that does not want it has every right to. */
static void feed(struct talk *talk)
{
    while (talk->in.ours != NULL) {
        DWORD len = talk->input.len > RUN_PIECE_BYTES ? RUN_PIECE_BYTES : (DWORD)talk->input.len;
        int n = len == 0 ? -EPIPE : windows_pipe_write(&talk->in, talk->input.data, len);

        if (n == 0)
            return;
        if (n < 0)
            windows_pipe_close(&talk->in);
        else
            talk->input = bytes_of(talk->input.data + n, talk->input.len - (size_t)n);
    }
}

static bool is_canceled(const struct process_run *run)
{
    struct pollfd fd = {.events = POLLIN};

    if (run->cancel_fd == NULL)
        return false;
    fd.fd = (SOCKET)(unsigned)*run->cancel_fd;
    return socket_poll(&fd, 1, 0) > 0;
}

/* 1: it has ended. */
static int wait_for(struct talk *talk, int64_t deadline_ms, struct err *err)
{
    int64_t left_ms = deadline_ms - clock_mono_ms();
    HANDLE handles[4] = {talk->program.process};
    DWORD count = 1, timeout = INFINITE, what;

    if (talk->in.under_way)
        handles[count++] = talk->in.overlapped.hEvent;
    if (talk->out.pipe.under_way)
        handles[count++] = talk->out.pipe.overlapped.hEvent;
    if (talk->err.pipe.under_way)
        handles[count++] = talk->err.pipe.overlapped.hEvent;
    if (left_ms <= 0)
        return err_set(err, -ETIMEDOUT, "no end within its time");
    timeout = left_ms > INT_MAX ? INT_MAX : (DWORD)left_ms;
    if (talk->run->cancel_fd != NULL && timeout > RUN_LOOK_MS)
        timeout = RUN_LOOK_MS;
    what = WaitForMultipleObjects(count, handles, FALSE, timeout);
    if (what == WAIT_FAILED)
        return err_sys(err, windows_last(), "wait");
    if (is_canceled(talk->run))
        return err_set(err, -ECANCELED, "ended on request");
    return WaitForSingleObject(talk->program.process, 0) == WAIT_OBJECT_0 ? 1 : 0;
}

/* Until it has ended and what it said is here. */
static int follow(struct talk *talk, int64_t deadline_ms, struct process_end *ret, struct err *err)
{
    DWORD code = 0;
    int rc = 0, ended = 0;

    while (rc == 0 && ended == 0) {
        feed(talk);
        rc = drain(&talk->out, err);
        if (rc == 0)
            rc = drain(&talk->err, err);
        if (rc == 0)
            ended = wait_for(talk, deadline_ms, err);
        rc = ended < 0 ? ended : rc;
    }
    if (rc == 0)
        rc = drain(&talk->out, err);
    if (rc == 0)
        rc = drain(&talk->err, err);
    if (rc == 0 && !GetExitCodeProcess(talk->program.process, &code))
        rc = err_sys(err, windows_last(), "exit status");
    ret->exit_status = windows_exit_status(code, &ret->signal);
    return rc;
}

static int prepare(struct talk *talk, struct process_end *end)
{
    const struct process_run *run = talk->run;
    size_t max_bytes = run->max_output_bytes == 0 ? RUN_OUTPUT_MAX_BYTES : run->max_output_bytes;
    size_t err_bytes = run->kept_error_bytes == 0 ? max_bytes : run->kept_error_bytes;

    talk->out.to = &end->out;
    talk->out.max_bytes = max_bytes;
    talk->out.run = run;
    talk->err.to = &end->err;
    talk->err.max_bytes = err_bytes;
    talk->err.may_drop = run->kept_error_bytes != 0;
    talk->input = run->input;
    end->is_secret = run->is_secret;
    if (run->is_secret &&
        (buf_reserve(&end->out, max_bytes) < 0 || buf_reserve(&end->err, err_bytes) < 0))
        return -ENOMEM;
    return 0;
}

int process_run(const struct process_run *run, struct process_end *ret, struct err *err)
{
    SCOPED(talk) struct talk *talk = calloc(1, sizeof(*talk));
    SCOPED(process_end) struct process_end result = PROCESS_END_NONE;
    int64_t deadline_ms =
        clock_mono_ms() + (run->timeout_ms == 0 ? RUN_TIMEOUT_MS : run->timeout_ms);
    int rc;

    if (talk == NULL)
        return err_set(err, -ENOMEM, "%s: out of memory", run->argv[0]);
    talk->run = run;
    if (prepare(talk, &result) < 0)
        return err_set(err, -ENOMEM, "%s: out of memory", run->argv[0]);
    rc = start(talk, err);
    if (rc < 0)
        return rc;
    rc = follow(talk, deadline_ms, &result, err);
    if (rc < 0) {
        windows_program_kill(&talk->program);
        return err_prefix(err, rc, "%s", run->argv[0]);
    }
    *ret = result;
    result = (struct process_end)PROCESS_END_NONE;
    return 0;
}

/* ---- programs that are there ----------------------------------------------------------------- */

int process_program_in(const char *dir, const char *name, char **ret, struct err *err)
{
    SCOPED(mem)
    char *path = text_format("%s\\%s%s", dir, name, text_has_suffix(name, ".exe") ? "" : ".exe");

    if (path == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    if (!path_exists(path) || path_is_dir(path))
        return err_set(err, -ENOENT, "there is no program %s", path);
    *ret = TAKE(path);
    return 0;
}

/* Links are not followed: programs are hardly ever links here, and whoever makes one means it. */
int process_find_program(const char *name, char **ret, struct err *err)
{
    const char *path = getenv("PATH");
    const char *at = path == NULL ? "" : path;

    while (*at != '\0') {
        size_t len = strcspn(at, ";");
        SCOPED(mem) char *dir = text_format("%.*s", (int)len, at);

        if (dir == NULL)
            return err_set(err, -ENOMEM, "out of memory");
        if (len > 0 && process_program_in(dir, name, ret, NULL) == 0)
            return 0;
        at += len + (at[len] == ';');
    }
    return err_set(err, -ENOENT, "%s is not in PATH", name);
}

bool process_is_alive(int64_t pid)
{
    SCOPED(handle) HANDLE process = NULL;

    if (pid <= 0 || pid > UINT32_MAX)
        return false;
    process = OpenProcess(SYNCHRONIZE, FALSE, (DWORD)pid);
    if (process == NULL)
        return GetLastError() == ERROR_ACCESS_DENIED;
    return WaitForSingleObject(process, 0) == WAIT_TIMEOUT;
}
