/* SPDX-License-Identifier: Apache-2.0 */
/* vm_run.c – `finch-soci vm run COMMAND`: a command in the machine, as root. What mends something
 * in there is said with it: Finch's limactl is in nobody's PATH, and wants to know where Lima's
 * machines are. */
#include "cmd/internal.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

struct options {
    const struct text_list *words;
};

/* One word for sh, whatever is in it. */
static int add_quoted(const char *word, struct buf *ret)
{
    int rc = buf_add_str(ret, " '");

    for (; *word != '\0' && rc == 0; word++)
        rc = *word == '\'' ? buf_add_str(ret, "'\\''") : buf_add_byte(ret, (uint8_t)*word);
    return rc < 0 ? rc : buf_add_str(ret, "'");
}

static int make_script(const struct text_list *words, struct buf *ret)
{
    int rc = buf_add_str(ret, "PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/sbin:$PATH\nexec");

    for (size_t i = 0; i < words->count && rc == 0; i++)
        rc = add_quoted(words->items[i], ret);
    return rc < 0 ? rc : buf_add_str(ret, "\n");
}

/* Its exit status. */
static int run_there(struct machine *machine, const char *script, struct err *err)
{
    SCOPED(machine_result) struct machine_result result = MACHINE_RESULT_NONE;
    int rc = output_run(machine, script, 0, &result, err);

    if (rc < 0)
        return rc;
    if (result.err.len > 0) /* of nothing there is not even an address */
        (void)fwrite(result.err.data, 1, result.err.len, stderr);
    return result.exit_status;
}

static int run(const struct cmd_globals *globals, const void *self, struct err *err)
{
    SCOPED(session) struct session session = {.config = NULL};
    SCOPED(link) struct link link = {.machine = NULL};
    SCOPED(buf_value) struct buf script = BUF_EMPTY;
    const struct options *options = self;
    int rc;

    if (options->words->count == 0)
        return say_refused("which command? `finch-soci vm run -- COMMAND`");
    rc = make_script(options->words, &script);
    if (rc < 0 || buf_str(&script) == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    rc = session_open(globals, &session, err);
    if (rc == 0 && session.is_local)
        return err_set(err, -EOPNOTSUPP,
                       "Finch on Linux has no machine; --lima-home says where one of Lima's is");
    if (rc == 0)
        rc = session_reach(&session, &link, err);
    return rc < 0 ? rc : run_there(link.machine, buf_str(&script), err);
}

const struct cmd_verb cmd_verb_vm_run = {
    .name = "run",
    .args = "[global flags] [--] COMMAND [ARG…]",
    .summary = "run a command in the machine, as root",
    .details =
        "   Without a terminal and without input; what it writes to stderr comes at its end. The\n"
        "   exit status is the command's. Flags behind -- are the command's.\n",
    .examples = "   finch-soci vm run -- journalctl --vacuum-size=64M\n",
    .options_bytes = sizeof(struct options),
    .words_max = 1000,
    .words_offset = offsetof(struct options, words),
    .run = run,
};
