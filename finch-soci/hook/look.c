/* SPDX-License-Identifier: Apache-2.0 */
/* look.c – which run of the machine there is, by the files that Lima keeps of it. */
#include "hook/hook.h"

#include "base/files.h"
#include "base/process.h"
#include "base/text.h"

#include <sys/stat.h>

enum { PID_FILE_MAX_BYTES = 4096 };

bool hook_run_is_same(const struct hook_run *a, const struct hook_run *b)
{
    return a->pid == b->pid && a->since_s == b->since_s;
}

const char *hook_sight_name(enum hook_sight_kind kind)
{
    static const char *const names[] = {
        [HOOK_ABSENT] = "absent",   [HOOK_STOPPED] = "stopped", [HOOK_CRASHED] = "crashed",
        [HOOK_UNCLEAR] = "unclear", [HOOK_RUNS] = "runs",
    };

    return names[kind];
}

/* The number in it; 0: there is none, yet. */
static int64_t read_pid(const char *path)
{
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    uint64_t pid = 0;
    char *digits;

    if (file_read_regular(path, PID_FILE_MAX_BYTES, &text, NULL) < 0)
        return 0;
    digits = buf_str(&text);
    if (digits == NULL)
        return 0;
    digits[strspn(digits, "0123456789")] = '\0';
    return text_parse_u64(digits, &pid) == 0 && pid <= INT64_MAX ? (int64_t)pid : 0;
}

struct hook_sight hook_look(const char *instance_dir)
{
    SCOPED(mem) char *config = path_join(instance_dir, "lima.yaml");
    SCOPED(mem) char *agent = path_join(instance_dir, "ha.pid");
    struct hook_sight sight = {.kind = HOOK_UNCLEAR};
    struct stat st;

    if (config == NULL || agent == NULL)
        return sight;
    if (stat(agent, &st) < 0) {
        sight.kind = path_exists(config) ? HOOK_STOPPED : HOOK_ABSENT;
        return sight;
    }
    sight.run = (struct hook_run){.pid = read_pid(agent), .since_s = st.st_mtime};
    if (sight.run.pid > 0)
        sight.kind = process_is_alive(sight.run.pid) ? HOOK_RUNS : HOOK_CRASHED;
    return sight;
}
