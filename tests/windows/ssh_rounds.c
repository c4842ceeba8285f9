/* SPDX-License-Identifier: Apache-2.0 */
/* ssh_rounds.c – PORT KEY ROUNDS: logs in on 127.0.0.1 so many times, each time with commands,
 * input and output that is more than sockets hold, and an upload; fails at the first that fails,
 * and tells how long the slowest of each took. For a machine that is busy with other things. */
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "digest/digest.h"
#include "vm-provision/machine.h"

#include <inttypes.h>
#include <stdio.h>

enum { COMMANDS = 5, BIG_BYTES = 600 * 1024 };

enum what { CONNECT, COMMAND, ECHO, UPLOAD, WHATS };
static const char *const names[WHATS] = {"connect", "command", "echo", "upload"};

struct rounds {
    struct machine_ssh ssh;
    struct bytes big;
    int64_t slowest_ms[WHATS];
};

static void took(struct rounds *rounds, enum what what, int64_t from_ms)
{
    int64_t ms = clock_mono_ms() - from_ms;

    if (ms > rounds->slowest_ms[what])
        rounds->slowest_ms[what] = ms;
}

/* A short answer on both outputs: what is easily missed. */
static int command(struct rounds *rounds, struct machine *machine, struct err *err)
{
    SCOPED(machine_result) struct machine_result result = MACHINE_RESULT_NONE;
    const struct machine_run run = {.script = "echo out; echo aside >&2; exit 3"};
    int64_t from_ms = clock_mono_ms();
    int rc = machine_run(machine, &run, &result, err);

    took(rounds, COMMAND, from_ms);
    if (rc < 0)
        return rc;
    return result.exit_status == 3 && bytes_equal(buf_bytes(&result.out), bytes_of_str("out\n")) &&
                   bytes_equal(buf_bytes(&result.err), bytes_of_str("aside\n"))
               ? 0
               : err_set(err, -EPROTO, "a command's answer is another");
}

static int echo(struct rounds *rounds, struct machine *machine, struct err *err)
{
    SCOPED(machine_result) struct machine_result result = MACHINE_RESULT_NONE;
    const struct machine_run run = {.script = "tee /dev/stderr", .input = rounds->big};
    int64_t from_ms = clock_mono_ms();
    int rc = machine_run(machine, &run, &result, err);

    took(rounds, ECHO, from_ms);
    if (rc < 0)
        return rc;
    return bytes_equal(buf_bytes(&result.out), rounds->big) &&
                   bytes_equal(buf_bytes(&result.err), rounds->big)
               ? 0
               : err_set(err, -EPROTO, "what comes back is another");
}

static int64_t read_left(void *self, void *to, size_t len, struct err *err)
{
    struct bytes *left = self;
    size_t n = left->len < len ? left->len : len;

    (void)err;
    if (n > 0)
        memcpy(to, left->data, n);
    *left = bytes_of(left->data + n, left->len - n);
    return (int64_t)n;
}

static int upload(struct rounds *rounds, struct machine *machine, struct err *err)
{
    struct bytes left = rounds->big;
    struct machine_put what = {.path = "/tmp/ssh-rounds",
                               .mode = 0600,
                               .read = read_left,
                               .self = &left,
                               .size = rounds->big.len};
    int64_t from_ms = clock_mono_ms();
    struct digest digest;
    int rc;

    if (digest_of(rounds->big, &digest) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    memcpy(what.sha256, digest.sha256, sizeof(what.sha256));
    rc = machine_put_file(machine, &what, err);
    took(rounds, UPLOAD, from_ms);
    return rc;
}

static int one_round(struct rounds *rounds, struct err *err)
{
    SCOPED(machine) struct machine *machine = NULL;
    int64_t from_ms = clock_mono_ms();
    int rc = machine_open_ssh(&rounds->ssh, &machine, err);

    took(rounds, CONNECT, from_ms);
    for (int i = 0; rc == 0 && i < COMMANDS; i++)
        rc = command(rounds, machine, err);
    if (rc == 0)
        rc = echo(rounds, machine, err);
    return rc < 0 ? rc : upload(rounds, machine, err);
}

int main(int argc, char **argv)
{
    SCOPED(buf_value) struct buf big = BUF_EMPTY;
    struct rounds rounds = {.ssh = {.host = "127.0.0.1", .user = "root"}};
    struct err err = ERR_NONE;
    uint64_t port, count;
    int rc = 0;

    if (argc != 4 || text_parse_u64(argv[1], &port) < 0 || text_parse_u64(argv[3], &count) < 0)
        return 2;
    rounds.ssh.port = (unsigned)port;
    rounds.ssh.identity = argv[2];
    for (size_t i = 0; rc == 0 && i < BIG_BYTES; i++)
        rc = buf_add_byte(&big, (uint8_t)(i * 7 + i / 251));
    rounds.big = buf_bytes(&big);
    for (uint64_t i = 0; rc == 0 && i < count; i++) {
        rc = one_round(&rounds, &err);
        if (rc < 0)
            (void)fprintf(stderr, "round %" PRIu64 ": %s\n", i, err_text(&err));
    }
    for (int i = 0; i < WHATS; i++)
        (void)printf("slowest %s %" PRId64 " ms\n", names[i], rounds.slowest_ms[i]);
    return rc < 0;
}
