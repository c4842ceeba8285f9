/* SPDX-License-Identifier: Apache-2.0 */
/* content.c – containerd's content store as the table of functions that index/ asks for, and lines
 * on stdout. */
#include "cli/cli.h"

#include "base/clock.h"
#include "containerd/containerd.h"

#include <errno.h>
#include <stdio.h>

int cli_connect(const struct cli_globals *globals, struct containerd **ret, struct err *err)
{
    const struct containerd_options options = {
        .address = globals->address,
        .namespace_ = globals->namespace_,
        .deadline_ms = globals->deadline_ms,
    };

    return containerd_open(&options, ret, err);
}

/* A connection serves one thread at a time, so each call has its own: a socket and one round trip.
 */
static int connect_leased(const struct cli_content *content, struct containerd **ret,
                          struct err *err)
{
    SCOPED(containerd) struct containerd *containerd = NULL;
    int rc = cli_connect(content->globals, &containerd, err);

    if (rc == 0 && content->lease != NULL)
        rc = containerd_use_lease(containerd, content->lease, err);
    if (rc == 0)
        *ret = TAKE(containerd);
    return rc;
}

struct read_arg {
    int (*sink)(void *arg, struct bytes part, struct err *err);
    void *arg;
};

static int pass_on(void *self, struct bytes piece, struct err *err)
{
    struct read_arg *read = self;

    return read->sink(read->arg, piece, err);
}

static int content_read(void *self, const struct digest *digest,
                        int (*sink)(void *arg, struct bytes part, struct err *err), void *arg,
                        struct err *err)
{
    SCOPED(containerd) struct containerd *containerd = NULL;
    struct read_arg read = {.sink = sink, .arg = arg};
    const struct containerd_sink containerd_sink = {.write = pass_on, .self = &read};
    char text[DIGEST_TEXT_BYTES];
    int rc = connect_leased(self, &containerd, err);

    digest_format(digest, text);
    return rc < 0 ? rc : containerd_content_read(containerd, text, 0, 0, &containerd_sink, err);
}

/* Containerd lets one writer at a time make a blob. Another `soci`, or another layer with the same
 * ztoc, may be that writer: it is done in a moment, and then the blob is there. */
enum { BUSY_TRIES = 50, BUSY_WAIT_MS = 100 };

static int content_write(void *self, const struct digest *digest, struct bytes bytes,
                         const struct text_map *labels, struct err *err)
{
    SCOPED(containerd) struct containerd *containerd = NULL;
    char text[DIGEST_TEXT_BYTES];
    const struct containerd_write_request request = {
        .digest = text, .size_bytes = bytes.len, .labels = labels};
    int rc = connect_leased(self, &containerd, err), tries;

    if (rc < 0)
        return rc;
    digest_format(digest, text);
    rc = containerd_content_write(containerd, &request, bytes, err);
    for (tries = 1; rc == -EAGAIN && tries < BUSY_TRIES; tries++) {
        clock_sleep_ms(BUSY_WAIT_MS);
        rc = containerd_content_write(containerd, &request, bytes, err);
    }
    return rc;
}

struct index_content cli_content_table(struct cli_content *content)
{
    return (struct index_content){.read = content_read, .write = content_write, .self = content};
}

static void print_line(void *self, const char *line)
{
    (void)self;
    (void)printf("%s\n", line);
    (void)fflush(stdout);
}

struct index_output cli_stdout(void)
{
    return (struct index_output){.line = print_line, .self = NULL};
}
