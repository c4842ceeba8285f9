/* SPDX-License-Identifier: Apache-2.0 */
/* ssh.c – commands and uploads over a session. */
#include "internal.h"

#include "base/clock.h"
#include "base/socket.h"
#include "base/system.h"
#include "base/text.h"

#include <errno.h>
#include <libssh2_sftp.h>
#include <pthread.h>
#include <stdlib.h>

enum { PIECE_BYTES = 32 * 1024 };
enum { RETRY_MS = 1000 };
enum { GOODBYE_MS = 2000 }; /* for the answer to what is closed */

static struct ssh *ssh_of(struct machine *machine)
{
    return machine->own;
}

static int check_alive(const struct ssh *ssh, struct err *err)
{
    return ssh->is_lost ? err_set(err, -EAGAIN, "the connection was given up") : 0;
}

/* ---- a channel ------------------------------------------------------------------------------- */

struct channel {
    struct ssh *ssh;
    LIBSSH2_CHANNEL *handle; /* NULL: none */
};

/* Freed without waiting for long; what is left of it goes with the session. */
static void channel_fini(struct channel *channel)
{
    int64_t deadline_ms = clock_mono_ms() + GOODBYE_MS;
    struct err ignored = ERR_NONE;
    int rc = 0;

    if (channel->handle == NULL || channel->ssh->is_lost)
        return;
    SSH_CALL(channel->ssh, deadline_ms, rc, libssh2_channel_free(channel->handle), &ignored);
    channel->handle = NULL;
}
DEFINE_SCOPED_VALUE(channel, struct channel, channel_fini)

static int channel_open(struct ssh *ssh, struct channel *ret, struct err *err)
{
    int64_t deadline_ms = clock_mono_ms() + ssh->timeout_ms;
    int rc = 0;

    ret->ssh = ssh;
    while ((ret->handle = libssh2_channel_open_session(ssh->session)) == NULL) {
        if (libssh2_session_last_errno(ssh->session) != LIBSSH2_ERROR_EAGAIN)
            return ssh_error(ssh, err, "channel");
        rc = ssh_wait(ssh, deadline_ms, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int channel_exec(struct channel *channel, const char *line, struct err *err)
{
    int64_t deadline_ms = clock_mono_ms() + channel->ssh->timeout_ms;
    int rc;

    SSH_CALL(channel->ssh, deadline_ms, rc, libssh2_channel_exec(channel->handle, line), err);
    if (rc == SSH_WAIT_FAILED)
        return err->code;
    return rc == 0 ? 0 : ssh_error(channel->ssh, err, "command");
}

/* ---- a command ------------------------------------------------------------------------------- */

/* Everything about one that runs. */
struct talk {
    struct channel *channel;
    const struct machine_command *command;
    struct machine_result *result;
    struct bytes input; /* what is left of it */
    bool eof_sent;
    unsigned long unread; /* bytes that libssh2 held after the last round, had that nothing to do */
    uint8_t piece[PIECE_BYTES];
};

static int collect(struct buf *to, struct bytes piece, struct err *err)
{
    if (piece.len > MACHINE_OUTPUT_MAX_BYTES - to->len)
        return err_set(err, -EFBIG, "more output than %d bytes", MACHINE_OUTPUT_MAX_BYTES);
    return buf_add(to, piece.data, piece.len) < 0 ? err_set(err, -ENOMEM, "out of memory") : 0;
}

static int take(struct talk *talk, bool is_err, struct bytes piece, struct err *err)
{
    const struct machine_command *command = talk->command;

    if (is_err)
        return collect(&talk->result->err, piece, err);
    if (command->output == NULL)
        return collect(&talk->result->out, piece, err);
    return command->output(command->self, piece) == 0
               ? 0
               : err_set(err, -ECANCELED, "nobody wants more of its output");
}

/* 1: something came, 0: nothing now. */
static int receive(struct talk *talk, bool is_err, struct err *err)
{
    ssize_t n =
        libssh2_channel_read_ex(talk->channel->handle, is_err ? SSH_EXTENDED_DATA_STDERR : 0,
                                (char *)talk->piece, sizeof(talk->piece));
    int rc;

    if (n == LIBSSH2_ERROR_EAGAIN || n == 0)
        return 0;
    if (n < 0)
        return ssh_error(talk->channel->ssh, err, "output");
    rc = take(talk, is_err, bytes_of(talk->piece, (size_t)n), err);
    return rc < 0 ? rc : 1;
}

/* 1: something went, 0: not now, or all is there. A command that has ended takes no more: no error.
 */
static int send_input(struct talk *talk, struct err *err)
{
    ssize_t n;

    (void)err;
    if (talk->eof_sent)
        return 0;
    if (talk->input.len == 0) {
        talk->eof_sent = libssh2_channel_send_eof(talk->channel->handle) != LIBSSH2_ERROR_EAGAIN;
        return talk->eof_sent;
    }
    n = libssh2_channel_write(talk->channel->handle, (const char *)talk->input.data,
                              talk->input.len < PIECE_BYTES ? talk->input.len : PIECE_BYTES);
    if (n == LIBSSH2_ERROR_EAGAIN)
        return 0;
    if (n < 0) {
        talk->eof_sent = true;
        return 1;
    }
    talk->input = bytes_of(talk->input.data + n, talk->input.len - (size_t)n);
    return n > 0;
}

/* Some of each; 1: there was something to do. */
static int step(struct talk *talk, struct err *err)
{
    int sent = send_input(talk, err);
    int out = sent < 0 ? sent : receive(talk, false, err);
    int errors = out < 0 ? out : receive(talk, true, err);

    if (errors < 0)
        return errors;
    return sent > 0 || out > 0 || errors > 0;
}

/* Asking for one output takes from the socket what came for both, so the last round may have left
 * something of the one that it asked for first: the socket will not tell of it again. What stays
 * there is of an output that we do not know. */
static bool has_unread(struct talk *talk)
{
    unsigned long before = talk->unread;

    (void)libssh2_channel_window_read_ex(talk->channel->handle, &talk->unread, NULL);
    return talk->unread > 0 && talk->unread != before;
}

static int follow(struct talk *talk, int64_t deadline_ms, struct err *err)
{
    for (;;) {
        int rc = step(talk, err);

        if (rc < 0)
            return rc;
        if (rc == 0 && libssh2_channel_eof(talk->channel->handle) == 1)
            return 0;
        if (rc > 0)
            talk->unread = 0;
        else if (!has_unread(talk))
            rc = ssh_wait(talk->channel->ssh, deadline_ms, err);
        if (rc < 0)
            return rc;
    }
}

static int signal_number(const char *name)
{
    static const struct {
        const char *name;
        int number;
    } signals[] = {{"HUP", 1},  {"INT", 2},   {"QUIT", 3},  {"ILL", 4},   {"ABRT", 6}, {"FPE", 8},
                   {"KILL", 9}, {"SEGV", 11}, {"PIPE", 13}, {"ALRM", 14}, {"TERM", 15}};

    for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
        if (strcmp(name, signals[i].name) == 0)
            return signals[i].number;
    }
    return 127;
}

static int get_exit(struct channel *channel, int64_t deadline_ms, int *ret, struct err *err)
{
    char *signal = NULL;
    int rc;

    SSH_CALL(channel->ssh, deadline_ms, rc, libssh2_channel_close(channel->handle), err);
    if (rc == SSH_WAIT_FAILED)
        return err->code;
    if (rc < 0)
        return ssh_error(channel->ssh, err, "end of the command");
    (void)libssh2_channel_get_exit_signal(channel->handle, &signal, NULL, NULL, NULL, NULL, NULL);
    *ret = signal == NULL ? libssh2_channel_get_exit_status(channel->handle)
                          : 128 + signal_number(signal);
    if (signal != NULL)
        libssh2_free(channel->ssh->session, signal);
    return 0;
}

static int run(struct machine *machine, const struct machine_command *command,
               struct machine_result *ret, struct err *err)
{
    struct ssh *ssh = ssh_of(machine);
    SCOPED(channel) struct channel channel = {.handle = NULL};
    SCOPED(mem) struct talk *talk = malloc(sizeof(*talk));
    int64_t deadline_ms = clock_mono_ms() + command->timeout_ms;
    struct err own = ERR_NONE;
    int rc = check_alive(ssh, &own);

    if (rc == 0 && talk == NULL)
        rc = err_set(&own, -ENOMEM, "out of memory");
    if (rc == 0)
        rc = channel_open(ssh, &channel, &own);
    if (rc == 0)
        rc = channel_exec(&channel, command->line, &own);
    if (rc == 0) {
        talk->channel = &channel;
        talk->command = command;
        talk->result = ret;
        talk->input = command->input;
        talk->eof_sent = false;
        talk->unread = 0;
        rc = follow(talk, deadline_ms, &own);
    }
    if (rc == 0)
        rc = get_exit(&channel, deadline_ms, &ret->exit_status, &own);
    return rc < 0 ? err_set(err, rc, "%s", err_text(&own)) : 0;
}

/* ---- an upload ------------------------------------------------------------------------------- */

struct sftp {
    struct ssh *ssh;
    LIBSSH2_SFTP *session;
    LIBSSH2_SFTP_HANDLE *file;
};

static void sftp_fini(struct sftp *sftp)
{
    int64_t deadline_ms = clock_mono_ms() + GOODBYE_MS;
    struct err ignored = ERR_NONE;
    int rc = 0;

    if (sftp->file != NULL && !sftp->ssh->is_lost)
        SSH_CALL(sftp->ssh, deadline_ms, rc, libssh2_sftp_close(sftp->file), &ignored);
    if (sftp->session != NULL && !sftp->ssh->is_lost)
        SSH_CALL(sftp->ssh, deadline_ms, rc, libssh2_sftp_shutdown(sftp->session), &ignored);
    sftp->file = NULL;
    sftp->session = NULL;
}
DEFINE_SCOPED_VALUE(sftp, struct sftp, sftp_fini)

static int sftp_error(struct sftp *sftp, struct err *err, const char *what)
{
    if (libssh2_session_last_errno(sftp->ssh->session) != LIBSSH2_ERROR_SFTP_PROTOCOL)
        return ssh_error(sftp->ssh, err, what);
    switch (libssh2_sftp_last_error(sftp->session)) {
    case LIBSSH2_FX_NO_SPACE_ON_FILESYSTEM:
    case LIBSSH2_FX_QUOTA_EXCEEDED:
        return err_set(err, -ENOSPC, "%s: no space left over there", what);
    case LIBSSH2_FX_FAILURE: /* what OpenSSH says of most, a full disk among them */
        return err_set(err, -EIO, "%s failed over there", what);
    case LIBSSH2_FX_PERMISSION_DENIED:
    case LIBSSH2_FX_WRITE_PROTECT:
        return err_set(err, -EROFS, "%s: not permitted over there", what);
    default:
        return err_set(err, -EIO, "%s: refused over there (%lu)", what,
                       libssh2_sftp_last_error(sftp->session));
    }
}

static int sftp_start(struct ssh *ssh, struct sftp *ret, struct err *err)
{
    int64_t deadline_ms = clock_mono_ms() + ssh->timeout_ms;

    ret->ssh = ssh;
    while ((ret->session = libssh2_sftp_init(ssh->session)) == NULL) {
        int rc;

        if (libssh2_session_last_errno(ssh->session) != LIBSSH2_ERROR_EAGAIN)
            return ssh_error(ssh, err, "sftp");
        rc = ssh_wait(ssh, deadline_ms, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int sftp_create(struct sftp *sftp, const char *path, struct err *err)
{
    int64_t deadline_ms = clock_mono_ms() + sftp->ssh->timeout_ms;

    while ((sftp->file = libssh2_sftp_open_ex(
                sftp->session, path, (unsigned)strlen(path),
                LIBSSH2_FXF_WRITE | LIBSSH2_FXF_CREAT | LIBSSH2_FXF_EXCL,
                LIBSSH2_SFTP_S_IRUSR | LIBSSH2_SFTP_S_IWUSR, LIBSSH2_SFTP_OPENFILE)) == NULL) {
        int rc;

        if (libssh2_session_last_errno(sftp->ssh->session) != LIBSSH2_ERROR_EAGAIN)
            return sftp_error(sftp, err, "upload");
        rc = ssh_wait(sftp->ssh, deadline_ms, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Each piece has its own deadline: a slow link is no dead one. */
static int sftp_send(struct sftp *sftp, struct bytes piece, struct err *err)
{
    while (piece.len > 0) {
        int64_t deadline_ms = clock_mono_ms() + sftp->ssh->timeout_ms;
        int n;

        SSH_CALL(sftp->ssh, deadline_ms, n,
                 libssh2_sftp_write(sftp->file, (const char *)piece.data, piece.len), err);
        if (n == SSH_WAIT_FAILED)
            return err->code;
        if (n < 0)
            return sftp_error(sftp, err, "upload");
        piece = bytes_of(piece.data + n, piece.len - (size_t)n);
    }
    return 0;
}

static int sftp_copy(struct sftp *sftp, const struct machine_put *put, struct err *err)
{
    SCOPED(mem) uint8_t *piece = malloc(PIECE_BYTES * 8);
    int64_t got = 1;
    int rc = 0;

    if (piece == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    while (got > 0 && rc == 0) {
        got = put->read(put->self, piece, PIECE_BYTES * 8, err);
        if (got > 0)
            rc = sftp_send(sftp, bytes_of(piece, (size_t)got), err);
    }
    return got < 0 ? (int)got : rc;
}

/* Closing tells of errors that writing did not. */
static int sftp_finish(struct sftp *sftp, struct err *err)
{
    int64_t deadline_ms = clock_mono_ms() + sftp->ssh->timeout_ms;
    int rc;

    SSH_CALL(sftp->ssh, deadline_ms, rc, libssh2_sftp_close(sftp->file), err);
    if (rc == SSH_WAIT_FAILED)
        return err->code;
    sftp->file = NULL;
    return rc == 0 ? 0 : sftp_error(sftp, err, "upload");
}

/* A name in /tmp that nobody can have guessed, of a file that is made anew. */
static char *upload_name(struct err *err)
{
    uint8_t random[16];
    char hex[33];
    char *name;

    if (system_random(random, sizeof(random)) < 0) {
        (void)err_set(err, -EIO, "no random numbers");
        return NULL;
    }
    text_hex(bytes_of(random, sizeof(random)), hex);
    name = text_format("/tmp/finch-soci-upload.%s", hex);
    if (name == NULL)
        (void)err_set(err, -ENOMEM, "out of memory");
    return name;
}

static void remove_upload(struct machine *machine, const char *path)
{
    SCOPED(machine_result) struct machine_result result = MACHINE_RESULT_NONE;
    SCOPED(mem) char *line = text_format("rm -f %s", path);
    struct err ignored = ERR_NONE;
    const struct machine_command command = {.line = line, .timeout_ms = GOODBYE_MS};

    if (line != NULL && run(machine, &command, &result, &ignored) < 0)
        return; /* it is in /tmp */
}

static int upload(struct machine *machine, const struct machine_put *put, char **ret,
                  struct err *err)
{
    struct ssh *ssh = ssh_of(machine);
    SCOPED(sftp) struct sftp sftp = {.ssh = ssh};
    struct err own = ERR_NONE;
    SCOPED(mem) char *path = upload_name(&own);
    bool made = false;
    int rc = path == NULL ? own.code : check_alive(ssh, &own);

    if (rc == 0)
        rc = sftp_start(ssh, &sftp, &own);
    if (rc == 0) {
        rc = sftp_create(&sftp, path, &own);
        made = rc == 0;
    }
    if (rc == 0)
        rc = sftp_copy(&sftp, put, &own);
    if (rc == 0)
        rc = sftp_finish(&sftp, &own);
    if (rc < 0) {
        sftp_fini(&sftp);
        if (made)
            remove_upload(machine, path);
        return err_set(err, rc, "%s", err_text(&own));
    }
    *ret = TAKE(path);
    return 0;
}

/* ---- opening and closing --------------------------------------------------------------------- */

static void close_ssh(struct machine *machine)
{
    struct ssh *ssh = ssh_of(machine);

    if (ssh != NULL)
        ssh_disconnect(ssh);
    free(ssh);
    machine->own = NULL;
}

static const struct machine_way way = {.run = run, .upload = upload, .close = close_ssh};

/* Not before RETRY_MS have passed, unless cancelled. */
static void pause_a_while(const struct machine *machine, int64_t deadline_ms)
{
    struct pollfd fd = {.fd = machine->cancel_read, .events = POLLIN};
    int64_t left_ms = deadline_ms - clock_mono_ms();

    (void)!socket_poll(&fd, 1, (int)(left_ms < RETRY_MS ? (left_ms < 0 ? 0 : left_ms) : RETRY_MS));
}

/* Somebody else may answer at the first address: a server of the same port, which does not know us.
 * What the second says decides whether waiting helps. */
static int connect_somewhere(struct machine *machine, const struct machine_ssh *options,
                             struct err *err)
{
    struct machine_ssh other = *options;
    struct err first = ERR_NONE, second = ERR_NONE;
    int rc = ssh_connect(options, &machine->cancel_read, ssh_of(machine), &first);

    if (options->other_host == NULL || (rc != -EAGAIN && rc != -EACCES))
        return rc < 0 ? err_set(err, rc, "%s", err_text(&first)) : 0;
    other.host = options->other_host;
    rc = ssh_connect(&other, &machine->cancel_read, ssh_of(machine), &second);
    return rc < 0 ? err_set(err, rc, "%s; %s", err_text(&first), err_text(&second)) : 0;
}

static int connect_patiently(struct machine *machine, const struct machine_ssh *options,
                             struct err *err)
{
    int64_t deadline_ms = clock_mono_ms() + options->wait_ms;

    for (;;) {
        struct err why = ERR_NONE;
        int rc = connect_somewhere(machine, options, &why);

        if (rc != -EAGAIN || clock_mono_ms() >= deadline_ms)
            return rc < 0 ? err_set(err, rc, "%s", err_text(&why)) : 0;
        if (options->waiting != NULL)
            options->waiting(options->self, &why);
        pause_a_while(machine, deadline_ms);
    }
}

static int ask_who_we_are(struct machine *machine, struct err *err)
{
    SCOPED(machine_result) struct machine_result result = MACHINE_RESULT_NONE;
    const struct machine_command command = {.line = "id -u",
                                            .timeout_ms = ssh_of(machine)->timeout_ms};
    int rc = run(machine, &command, &result, err);
    const char *out;

    if (rc < 0)
        return rc;
    out = buf_str(&result.out);
    if (result.exit_status != 0 || out == NULL)
        return err_set(err, -EPROTO, "no shell over there that runs commands");
    machine->is_root = strcmp(out, "0\n") == 0;
    return 0;
}

static int library_rc = -1;

static void start_library(void)
{
    library_rc = libssh2_init(0);
}

int machine_open_ssh(const struct machine_ssh *options, struct machine **ret, struct err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    SCOPED(machine) struct machine *machine = NULL;
    struct ssh *ssh;
    int rc;

    if (pthread_once(&once, start_library) != 0 || library_rc != 0)
        return err_set(err, -ENOMEM, "libssh2 does not start");
    rc = machine_new(&way, &machine, err);
    if (rc < 0)
        return rc;
    ssh = calloc(1, sizeof(*ssh));
    machine->own = ssh;
    if (ssh == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    ssh->fd = -1;
    rc = connect_patiently(machine, options, err);
    if (rc == 0)
        rc = ask_who_we_are(machine, err);
    if (rc < 0)
        return rc;
    *ret = TAKE(machine);
    return 0;
}
