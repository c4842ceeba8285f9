/* SPDX-License-Identifier: Apache-2.0 */
/* machine.c – commands and files, whatever the way to the machine is. */
#include "internal.h"

#include "base/socket.h"
#include "base/text.h"

#include <errno.h>
#include <stdlib.h>

enum { RUN_TIMEOUT_MS = 60000, PUT_TIMEOUT_MS = 120000 };

void machine_result_fini(struct machine_result *result)
{
    buf_fini(&result->out);
    buf_fini(&result->err);
}

int machine_new(const struct machine_way *way, struct machine **ret, struct err *err)
{
    struct machine *machine = calloc(1, sizeof(*machine));
    int ends[2], rc;

    if (machine == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    rc = wake_open(ends, err);
    if (rc < 0) {
        free(machine);
        return rc;
    }
    machine->way = way;
    machine->cancel_read = ends[0];
    machine->cancel_write = ends[1];
    *ret = machine;
    return 0;
}

void machine_close(struct machine *machine)
{
    if (machine == NULL)
        return;
    machine->way->close(machine);
    wake_close((const int[2]){machine->cancel_read, machine->cancel_write});
    free(machine);
}

void machine_cancel(struct machine *machine)
{
    wake_up(machine->cancel_write);
}

/* ---- commands -------------------------------------------------------------------------------- */

/* The script travels in front of its input: command lines are short, and seen by everybody. head
 * takes exactly its bytes from a pipe. */
static char *command_line(const struct machine *machine, size_t script_bytes)
{
    return text_format("exec %ssh -c 'eval \"$(head -c %zu)\"'", machine->is_root ? "" : "sudo -n ",
                       script_bytes);
}

static int join_input(const struct machine_run *run, struct buf *ret, struct err *err)
{
    int rc = buf_add_str(ret, run->script);

    if (rc == 0)
        rc = buf_add(ret, run->input.data, run->input.len);
    return rc < 0 ? err_set(err, rc, "out of memory") : 0;
}

int machine_run(struct machine *machine, const struct machine_run *run, struct machine_result *ret,
                struct err *err)
{
    SCOPED(machine_result) struct machine_result result = MACHINE_RESULT_NONE;
    SCOPED(buf_value) struct buf input = BUF_EMPTY;
    SCOPED(mem) char *line = command_line(machine, strlen(run->script));
    struct machine_command command = {
        .line = line,
        .timeout_ms = run->timeout_ms == 0 ? RUN_TIMEOUT_MS : run->timeout_ms,
        .output = run->output,
        .self = run->self,
    };
    int rc = line == NULL ? err_set(err, -ENOMEM, "out of memory") : join_input(run, &input, err);

    if (rc < 0)
        return rc;
    command.input = buf_bytes(&input);
    rc = machine->way->run(machine, &command, &result, err);
    if (rc < 0)
        return rc;
    *ret = result;
    result = (struct machine_result)MACHINE_RESULT_NONE;
    return 0;
}

/* What a script of ours said in its last line on standard error. */
static const char *last_words(struct machine_result *result)
{
    char *text = buf_str(&result->err), *line;
    size_t len = text == NULL ? 0 : strlen(text);

    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
        text[--len] = '\0';
    if (len == 0)
        return "it does not say why";
    line = strrchr(text, '\n');
    return line == NULL ? text : line + 1;
}

/* ---- files ----------------------------------------------------------------------------------- */

/* Exit statuses of the scripts below. */
enum {
    EXIT_WRONG_BYTES = 40,
    EXIT_NO_ROOM = 41,
    EXIT_READ_ONLY = 42,
    EXIT_NONE = 43,
    EXIT_LARGE = 44
};

/* Paths and numbers come as lines of input: nothing is quoted, nothing is evaluated. */
static const char put_script[] =
    "IFS= read -r from; IFS= read -r to; IFS= read -r mode; IFS= read -r sum\n"
    "trap 'rm -f \"$from\" \"$to.finch-soci-new\"' EXIT\n"
    "[ \"$(sha256sum <\"$from\" | cut -c1-64)\" = \"$sum\" ] || exit 40\n"
    "dir=${to%/*}\n"
    "cp \"$from\" \"$to.finch-soci-new\" || {\n"
    "    [ \"$(df -Pk \"$dir\" | awk 'END { print ($4 < 16384) }')\" = 1 ] && exit 41\n"
    "    [ -w \"$dir\" ] && touch \"$dir/.finch-soci-try\" && rm \"$dir/.finch-soci-try\" || exit "
    "42\n"
    "    exit 1\n"
    "}\n"
    "chown 0:0 \"$to.finch-soci-new\" && chmod \"$mode\" \"$to.finch-soci-new\" || exit 1\n"
    "sync \"$to.finch-soci-new\" 2>/dev/null || sync\n"
    "mv -f \"$to.finch-soci-new\" \"$to\" && { sync \"$dir\" 2>/dev/null || sync; }\n"
    "command -v restorecon >/dev/null && restorecon \"$to\" 2>/dev/null\n"
    "exit 0\n";

static int put_error(const char *path, struct machine_result *result, struct err *err)
{
    switch (result->exit_status) {
    case EXIT_WRONG_BYTES:
        return err_set(err, -EBADMSG, "%s: what arrived is not what was sent", path);
    case EXIT_NO_ROOM:
        return err_set(err, -ENOSPC, "%s: no space left over there", path);
    case EXIT_READ_ONLY:
        return err_set(err, -EROFS, "%s: cannot be written over there: %s", path,
                       last_words(result));
    default:
        return err_set(err, -EIO, "%s: %s", path, last_words(result));
    }
}

static bool is_one_line(const char *path)
{
    return path[0] == '/' && strpbrk(path, "\r\n") == NULL;
}

static int put_in_place(struct machine *machine, const struct machine_put *put, const char *from,
                        struct err *err)
{
    SCOPED(machine_result) struct machine_result result = MACHINE_RESULT_NONE;
    char sum[65];
    SCOPED(mem) char *lines = NULL;
    struct machine_run run = {.script = put_script, .timeout_ms = PUT_TIMEOUT_MS};
    int rc;

    text_hex(bytes_of(put->sha256, sizeof(put->sha256)), sum);
    lines = text_format("%s\n%s\n%04o\n%s\n", from, put->path, put->mode, sum);
    if (lines == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    run.input = bytes_of_str(lines);
    rc = machine_run(machine, &run, &result, err);
    if (rc < 0)
        return err_prefix(err, rc, "%s", put->path);
    return result.exit_status == 0 ? 0 : put_error(put->path, &result, err);
}

int machine_put_file(struct machine *machine, const struct machine_put *put, struct err *err)
{
    SCOPED(mem) char *from = NULL;
    int rc;

    if (!is_one_line(put->path) || put->mode > 07777)
        return err_set(err, -EINVAL, "no path for a file: %s", put->path);
    rc = machine->way->upload(machine, put, &from, err);
    if (rc < 0)
        return err_prefix(err, rc, "%s", put->path);
    if (!is_one_line(from))
        return err_set(err, -EPROTO, "%s: the upload went to no path", put->path);
    return put_in_place(machine, put, from, err);
}

static const char get_script[] = "IFS= read -r path; IFS= read -r most\n"
                                 "[ -e \"$path\" ] || exit 43\n"
                                 "[ \"$(stat -Lc %s \"$path\")\" -le \"$most\" ] || exit 44\n"
                                 "exec cat \"$path\"\n";

int machine_get_file(struct machine *machine, const char *path, size_t max_bytes, struct buf *ret,
                     struct err *err)
{
    SCOPED(machine_result) struct machine_result result = MACHINE_RESULT_NONE;
    SCOPED(mem) char *lines = text_format("%s\n%zu\n", path, max_bytes);
    struct machine_run run = {.script = get_script};
    int rc;

    if (!is_one_line(path))
        return err_set(err, -EINVAL, "no path of a file: %s", path);
    if (lines == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    run.input = bytes_of_str(lines);
    rc = machine_run(machine, &run, &result, err);
    if (rc < 0)
        return err_prefix(err, rc, "%s", path);
    if (result.exit_status == EXIT_NONE)
        return err_set(err, -ENOENT, "%s is not there", path);
    if (result.exit_status == EXIT_LARGE || result.out.len > max_bytes)
        return err_set(err, -EFBIG, "%s is larger than %zu bytes", path, max_bytes);
    if (result.exit_status != 0)
        return err_set(err, -EIO, "%s: %s", path, last_words(&result));
    return buf_add(ret, result.out.data, result.out.len) < 0
               ? err_set(err, -ENOMEM, "out of memory")
               : 0;
}
