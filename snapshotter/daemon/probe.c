/* SPDX-License-Identifier: Apache-2.0 */
/* probe.c – `probe`: each ability tried in a child of its own, so that none of the mounts outlives
 * it, and told. */
#include "daemon/probe.h"

#include "base/bytes.h"
#include "base/files.h"
#include "base/text.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROGRAM "soci-snapshotter-grpc"
enum { EXIT_NO_FUSE = 3 };

struct ability {
    const char *name; /* in JSON */
    const char *title;
    int (*try)(const char *dir, struct err *err);
    int rc;
    struct err err;
};

/* ---- trying ---------------------------------------------------------------------------------- */

/* The mounts of `dir` are nobody else's from here on. */
static int enter_own_namespace(struct err *err)
{
    if (unshare(CLONE_NEWNS) < 0)
        return err_sys(err, -errno, "a mount namespace of our own");
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return err_sys(err, -errno, "a mount namespace of our own");
    return 0;
}

/* In the child: what it came to goes to the parent as it is. */
static void try_and_tell(const struct ability *ability, const char *dir, int to)
{
    struct ability result = {.rc = 0};

    result.rc = enter_own_namespace(&result.err);
    if (result.rc == 0)
        result.rc = ability->try(dir, &result.err);
    if (file_write_all(to, &result.rc, sizeof(result.rc), NULL) < 0 ||
        file_write_all(to, &result.err, sizeof(result.err), NULL) < 0)
        _exit(1);
    _exit(0);
}

static void take_result(struct ability *ability, int from)
{
    struct err none = ERR_NONE;

    if (read(from, &ability->rc, sizeof(ability->rc)) == (ssize_t)sizeof(ability->rc) &&
        read(from, &ability->err, sizeof(ability->err)) == (ssize_t)sizeof(ability->err))
        return;
    ability->err = none;
    ability->rc = err_set(&ability->err, -EIO, "the attempt ended before its time");
}

static void try_ability(struct ability *ability, const char *dir)
{
    int ends[2];
    pid_t child;

    if (pipe(ends) < 0) {
        ability->rc = err_sys(&ability->err, -errno, "pipe");
        return;
    }
    child = fork();
    if (child == 0)
        try_and_tell(ability, dir, ends[1]);
    (void)close(ends[1]);
    if (child < 0) {
        ability->rc = err_sys(&ability->err, -errno, "fork");
    } else {
        take_result(ability, ends[0]);
        (void)waitpid(child, NULL, 0);
    }
    (void)close(ends[0]);
}

/* ---- telling --------------------------------------------------------------------------------- */

static int add_json(struct buf *text, const struct ability *ability, bool first)
{
    int rc = buf_addf(text, "%s\"%s\":{\"works\":%s,\"text\":", first ? "{" : ",", ability->name,
                      ability->rc == 0 ? "true" : "false");

    if (rc == 0)
        rc = text_add_json(text, bytes_of_str(ability->rc == 0 ? "" : err_text(&ability->err)),
                           false);
    return rc == 0 ? buf_add_byte(text, '}') : rc;
}

static int add_line(struct buf *text, const struct ability *ability)
{
    return buf_addf(text, "%-28s %s%s%s\n", ability->title, ability->rc == 0 ? "yes" : "no",
                    ability->rc == 0 ? "" : ": ", ability->rc == 0 ? "" : err_text(&ability->err));
}

static int tell(const struct ability *abilities, size_t count, bool json)
{
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    int rc = 0;

    for (size_t i = 0; i < count && rc == 0; i++)
        rc = json ? add_json(&text, &abilities[i], i == 0) : add_line(&text, &abilities[i]);
    if (rc == 0 && json)
        rc = buf_add_str(&text, "}\n");
    if (rc < 0 || fwrite(text.data, 1, text.len, stdout) != text.len || fflush(stdout) != 0)
        return 1;
    return abilities[0].rc == 0 ? 0 : EXIT_NO_FUSE;
}

/* Where the daemon keeps its files, since an image has to lie on a disk; else anywhere. */
static char *make_dir(const char *root)
{
    SCOPED(mem) char *there = text_format("%s/probe.XXXXXX", root);
    SCOPED(mem) char *other = text_copy("/var/tmp/soci-probe.XXXXXX");

    if (there != NULL && mkdtemp(there) != NULL)
        return TAKE(there);
    return other != NULL && mkdtemp(other) != NULL ? TAKE(other) : NULL;
}

int probe_main(const char *root, bool json)
{
    struct ability abilities[] = {
        {.name = "fuse", .title = "FUSE", .try = probe_fuse},
        {.name = "erofsFile", .title = "EROFS from a plain file", .try = probe_erofs_file},
        {.name = "resend", .title = "FUSE requests sent again", .try = probe_resend},
    };
    SCOPED(mem) char *dir = make_dir(root);
    struct err err = ERR_NONE;

    if (dir == NULL) {
        (void)fprintf(stderr, PROGRAM ": probe: no directory to try it in: %s\n", strerror(errno));
        return 1;
    }
    for (size_t i = 0; i < ARRAY_LEN(abilities); i++) {
        SCOPED(mem) char *below = text_format("%s/%s", dir, abilities[i].name);

        abilities[i].rc = below == NULL ? err_set(&abilities[i].err, -ENOMEM, "out of memory")
                                        : dir_make_all(below, 0700, &abilities[i].err);
        if (abilities[i].rc == 0)
            try_ability(&abilities[i], below);
    }
    if (dir_remove_all(dir, &err) < 0)
        (void)fprintf(stderr, PROGRAM ": probe: %s stays: %s\n", dir, err_text(&err));
    return tell(abilities, ARRAY_LEN(abilities), json);
}
