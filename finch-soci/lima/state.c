/* SPDX-License-Identifier: Apache-2.0 */
/* state.c – the state of an instance: limactl's word, else WSL's, else what its files say. */
#include "lima/lima.h"

#include "base/files.h"
#include "base/text.h"
#include "base/process.h"
#include "platform/platform.h"

#include <errno.h>

enum { LIMA_FILE_MAX_BYTES = 64 * 1024 };

/* ---- by its files ---------------------------------------------------------------------------- */

/* Of a pid file: 1 its process lives, 0 there is none, -ESRCH the file is left over. */
static int pid_state(const char *dir, const char *name)
{
    SCOPED(mem) char *path = path_join(dir, name);
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    uint64_t pid = 0;
    char *digits;

    if (path == NULL || file_read(path, LIMA_FILE_MAX_BYTES, &text, NULL) < 0)
        return 0;
    digits = buf_str(&text);
    if (digits == NULL)
        return 0;
    digits[strspn(digits, "0123456789")] = '\0';
    return text_parse_u64(digits, &pid) == 0 && pid <= INT64_MAX && process_is_alive((int64_t)pid)
               ? 1
               : -ESRCH;
}

/* As limactl does it: host agent and driver both live, or neither has a file. WSL has no driver. */
static enum lima_state state_by_pids(const char *dir, bool is_wsl)
{
    int agent = pid_state(dir, "ha.pid");
    int driver = pid_state(dir, "vz.pid");

    if (driver == 0)
        driver = pid_state(dir, "qemu.pid");
    if (driver == 0 && is_wsl)
        driver = agent;
    if (agent == 1 && driver == 1)
        return LIMA_RUNNING;
    return agent == 0 && driver == 0 ? LIMA_STOPPED : LIMA_BROKEN;
}

static void look_at_files(const struct lima_places *places, struct lima_machine *ret)
{
    *ret = (struct lima_machine){.state = state_by_pids(places->instance_dir, places->wsl != NULL)};
}

/* ---- by WSL ---------------------------------------------------------------------------------- */

/* 1: it answered. */
static int ask_wsl(const struct lima_places *places, int64_t timeout_ms, struct lima_machine *ret,
                   struct err *err)
{
    const char *const argv[] = {places->wsl, "--list", "--verbose", NULL};
    const struct process_run run = {.argv = argv, .timeout_ms = timeout_ms};
    SCOPED(process_end) struct process_end said = PROCESS_END_NONE;
    SCOPED(mem) char *distribution = text_format("lima-%s", places->instance);
    bool found = false;
    int rc = distribution == NULL ? err_set(err, -ENOMEM, "out of memory")
                                  : process_run(&run, &said, NULL);

    if (rc == -ENOMEM)
        return rc;
    if (rc < 0 || said.exit_status != 0) /* so too when there is no distribution at all */
        return 0;
    rc = lima_parse_wsl_list(buf_bytes(&said.out), distribution, ret, &found, err);
    if (rc == 0 && !found)
        *ret = (struct lima_machine){.state = LIMA_NONE};
    return rc == -EBADMSG ? 0 : rc < 0 ? rc : 1;
}

/* An instance has a configuration, whatever else there is. -EACCES: nobody here can tell. */
static int has_config(const struct lima_places *places, bool *ret, struct err *err)
{
    SCOPED(mem) char *config = path_join(places->instance_dir, "lima.yaml");
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    int rc = config == NULL ? err_set(err, -ENOMEM, "out of memory")
                            : file_read_regular(config, LIMA_FILE_MAX_BYTES, &text, err);

    *ret = rc != -ENOENT && rc != -ENOTDIR;
    return rc == -ENOMEM || rc == -EACCES ? rc : 0;
}

static int look_without_limactl(const struct lima_places *places, int64_t timeout_ms,
                                struct lima_machine *ret, struct err *err)
{
    bool there = false;
    int rc = has_config(places, &there, err);

    *ret = (struct lima_machine){.state = LIMA_NONE};
    if (rc < 0 || !there)
        return rc;
    if (places->wsl != NULL)
        rc = ask_wsl(places, timeout_ms, ret, err);
    if (rc == 0)
        look_at_files(places, ret);
    return rc < 0 ? rc : 0;
}

/* ---- by limactl ------------------------------------------------------------------------------ */

/* The last line of what it says, which is what went wrong. */
static const char *last_line(struct buf *text)
{
    char *line = buf_str(text);
    size_t len = line == NULL ? 0 : strlen(line);
    char *at;

    if (len == 0)
        return "nothing said";
    while (len > 0 && line[len - 1] == '\n')
        line[--len] = '\0';
    at = strrchr(line, '\n');
    return at == NULL ? line : at + 1;
}

static int ask_limactl(const struct lima_places *places, int64_t timeout_ms,
                       struct process_end *ret, struct err *err)
{
    const char *const argv[] = {places->limactl, "ls", "--json", NULL};
    SCOPED(mem) char *home = text_format("LIMA_HOME=%s", places->lima_home);
    const char *settings[] = {home, NULL};
    const struct process_run run = {.argv = argv, .settings = settings, .timeout_ms = timeout_ms};

    return home == NULL ? err_set(err, -ENOMEM, "out of memory") : process_run(&run, ret, err);
}

int lima_look(const struct lima_places *places, int64_t timeout_ms, struct lima_machine *ret,
              struct err *err)
{
    SCOPED(process_end) struct process_end result = PROCESS_END_NONE;
    struct err why = ERR_NONE;
    bool found = false;
    int rc = places->limactl == NULL ? -ENOENT : ask_limactl(places, timeout_ms, &result, &why);

    if (rc == -ENOMEM)
        return err_set(err, rc, "out of memory");
    if (rc == 0 && result.exit_status == 0) {
        rc = lima_parse_list(buf_bytes(&result.out), places->instance, ret, &found, err);
        if (rc < 0 || found)
            return rc;
        (void)err_set(&why, -ENOENT, "%s does not name it", places->limactl);
    } else if (rc == 0)
        (void)err_set(&why, -EIO, "%s: exit status %d: %s", places->limactl, result.exit_status,
                      last_line(&result.err));
    rc = look_without_limactl(places, timeout_ms, ret, err);
    if (rc == 0 && ret->problem == NULL && ret->state != LIMA_NONE && places->limactl != NULL)
        ret->problem = text_copy(err_text(&why));
    return rc;
}

/* Its paths are for the ssh that Lima runs. */
static int make_native(struct lima_ssh *ssh, struct err *err)
{
    char **const paths[] = {&ssh->identity, &ssh->known_hosts};

    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        char *path = *paths[i] == NULL ? NULL : platform_path_of_ssh(*paths[i]);

        if (path == NULL && *paths[i] != NULL)
            return err_set(err, -ENOMEM, "out of memory");
        free(*paths[i]);
        *paths[i] = path;
    }
    return 0;
}

int lima_read_ssh(const struct lima_places *places, struct lima_ssh *ret, struct err *err)
{
    SCOPED(mem) char *path = path_join(places->instance_dir, "ssh.config");
    SCOPED(mem) char *host = text_format("lima-%s", places->instance);
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    int rc = path == NULL || host == NULL
                 ? err_set(err, -ENOMEM, "out of memory")
                 : platform_file_read(path, LIMA_FILE_MAX_BYTES, &text, err);

    if (rc < 0)
        return rc;
    rc = lima_parse_ssh_config(buf_bytes(&text), host, ret, err);
    return rc < 0 ? err_prefix(err, rc, "%s", path) : make_native(ret, err);
}
