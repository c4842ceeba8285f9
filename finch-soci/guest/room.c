/* SPDX-License-Identifier: Apache-2.0 */
/* room.c – which file system over there is full, when something failed: an upload, or a program of
 * somebody else's, cannot say it. */
#include "internal.h"

#include <errno.h>

enum { ROOM_TIMEOUT_MS = 10000, KIB = 1024, MOUNT_MAX_BYTES = 200 };

/* Input: how many KiB the largest files need. Of the file systems that are written to, the first
 * one that has not got that: "FREE_KIB ALL_KIB NEEDED_KIB MOUNT"; one without inodes has 0 of 0. */
static const char room_script[] =
    "IFS= read -r needed\n"
    "for path in /tmp /var/lib /usr/local /etc /run /var/lib/soci-snapshotter-grpc "
    "/var/lib/finch/soci; do\n"
    "    least=$needed\n"
    "    case $path in /tmp | /var/lib | /usr/local) ;; *) least=64 ;; esac\n"
    "    df -Pk \"$path\" 2>/dev/null |\n"
    "        awk -v least=\"$least\" 'NR > 1 && $4 + 0 < least + 0 { print $4, $2, least, $6 }'\n"
    "    df -Pi \"$path\" 2>/dev/null |\n"
    "        awk 'NR > 1 && $2 + 0 > 0 && $4 + 0 == 0 { print 0, 0, 0, $6 }'\n"
    "done | head -n 1\n";

struct room {
    uint64_t free_kib, all_kib, needed_kib;
    const char *mount; /* of the text that was parsed */
};

/* False: that is no such line. */
static bool parse_room(char *line, struct room *ret)
{
    uint64_t *const numbers[] = {&ret->free_kib, &ret->all_kib, &ret->needed_kib};

    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        char *space = line == NULL ? NULL : strchr(line, ' ');

        if (space == NULL)
            return false;
        *space = '\0';
        if (text_parse_u64(line, numbers[i]) < 0)
            return false;
        line = space + 1;
    }
    line[strcspn(line, "\n")] = '\0';
    ret->mount = line;
    return line[0] == '/' && strlen(line) <= MOUNT_MAX_BYTES;
}

static int no_room(const struct room *room, struct err *err)
{
    const char *mend = strcmp(room->mount, "/") == 0 ? "remove something there"
                                                     : "`finch system prune` makes room";

    if (room->all_kib == 0)
        return err_set(err, -ENOSPC, "no space left on %s in the machine: it has no inode left; %s",
                       room->mount, mend);
    return err_set(err, -ENOSPC,
                   "no space left on %s in the machine: %llu of its %llu MiB are free, %llu KiB "
                   "are needed; %s",
                   room->mount, (unsigned long long)room->free_kib / KIB,
                   (unsigned long long)room->all_kib / KIB, (unsigned long long)room->needed_kib,
                   mend);
}

int guest_explain_room(struct machine *machine, uint64_t bytes, int rc, struct err *err)
{
    SCOPED(machine_result) struct machine_result result = MACHINE_RESULT_NONE;
    struct machine_run run = {.script = room_script, .timeout_ms = ROOM_TIMEOUT_MS};
    struct room room;
    char input[32];

    if (rc != -EIO && rc != -ENOSPC)
        return rc;
    (void)snprintf(input, sizeof(input), "%llu\n", (unsigned long long)bytes / KIB + 1);
    run.input = bytes_of_str(input);
    if (machine_run(machine, &run, &result, NULL) < 0 || result.out.len == 0 ||
        !parse_room(buf_str(&result.out), &room))
        return rc;
    return no_room(&room, err);
}
