/* SPDX-License-Identifier: Apache-2.0 */
/* local.c – this machine, spoken to as if it were another. */
#include "internal.h"

#include "base/files.h"
#include "base/process.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { PIECE_BYTES = 64 * 1024 };

static int run(struct machine *machine, const struct machine_command *command,
               struct machine_result *ret, struct err *err)
{
    const char *const argv[] = {"/bin/sh", "-c", command->line, NULL};
    SCOPED(process_end) struct process_end end = PROCESS_END_NONE;
    const struct process_run how = {
        .argv = argv,
        .input = command->input,
        .max_output_bytes = MACHINE_OUTPUT_MAX_BYTES,
        .timeout_ms = command->timeout_ms,
        .output = command->output,
        .self = command->self,
        .cancel_fd = &machine->cancel_read,
    };
    int rc = process_run(&how, &end, err);

    if (rc < 0)
        return rc;
    ret->out = end.out;
    ret->err = end.err;
    ret->exit_status = end.exit_status;
    end = (struct process_end)PROCESS_END_NONE;
    return 0;
}

static int copy(const struct machine_put *put, int fd, struct err *err)
{
    SCOPED(mem) uint8_t *piece = malloc(PIECE_BYTES);
    int64_t got = 1;
    int rc = 0;

    if (piece == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    while (got > 0 && rc == 0) {
        got = put->read(put->self, piece, PIECE_BYTES, err);
        if (got > 0)
            rc = file_write_all(fd, piece, (size_t)got, err);
    }
    return got < 0 ? (int)got : rc;
}

static int upload(struct machine *machine, const struct machine_put *put, char **ret,
                  struct err *err)
{
    SCOPED(mem) char *path = text_copy("/tmp/finch-soci-upload.XXXXXX");
    SCOPED(fd) int fd = -1;
    int rc;

    (void)machine;
    if (path == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return err_sys(err, -errno, "%s", path);
    rc = copy(put, fd, err);
    if (rc < 0) {
        (void)unlink(path);
        return rc;
    }
    *ret = TAKE(path);
    return 0;
}

static void close_local(struct machine *machine)
{
    (void)machine;
}

static const struct machine_way way = {.run = run, .upload = upload, .close = close_local};

int machine_open_local(struct machine **ret, struct err *err)
{
    int rc = machine_new(&way, ret, err);

    if (rc == 0)
        (*ret)->is_root = geteuid() == 0;
    return rc;
}
