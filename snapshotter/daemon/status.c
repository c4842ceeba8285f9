/* SPDX-License-Identifier: Apache-2.0 */
/* status.c – `status`: the question, and the answer on the screen. */
#include "daemon/status.h"

#include "base/clock.h"
#include "base/text.h"
#include "daemon/address.h"
#include "daemon/options.h"
#include "grpc/grpc.h"
#include "rpc/rpc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { CONNECT_MS = 2000, ANSWER_MS = 30000 };
enum { WIDTH_MIN = 40 }; /* a terminal that says less says nothing useful */
#define PROGRAM "soci-snapshotter-grpc"

/* ---- asking ---------------------------------------------------------------------------------- */

static int on_message(void *arg, struct bytes message, struct err *err)
{
    return status_report_add(arg, message, err);
}

/* What a person can do about it. */
static int no_answer(const char *path, int rc, struct err *err)
{
    if (access(path, F_OK) < 0 && errno == ENOENT)
        return err_set(err, rc,
                       "no daemon is running: there is no socket %s (start it, or name its socket "
                       "with --address)",
                       path);
    if (access(path, R_OK | W_OK) < 0)
        return err_set(err, -EACCES, "%s: permission denied (run this as root)", path);
    if (rc == -EOPNOTSUPP)
        return err_set(err, rc,
                       "the daemon at %s cannot tell its status: it is older, or another program",
                       path);
    return err_prefix(err, rc, "no answer from a daemon at %s (is it running?)", path);
}

static int ask(const char *address, struct status_report *report, struct err *err)
{
    SCOPED(grpc_channel) struct grpc_channel *channel = NULL;
    const char *path = NULL;
    const struct grpc_request request = {
        .path = RPC_STATUS_GET,
        .deadline_ms = clock_mono_ms() + ANSWER_MS,
    };
    struct grpc_channel_options options = {.connect_timeout_ms = CONNECT_MS};
    int rc = address_parse(address, &path, err);

    if (rc < 0)
        return rc;
    if (path == NULL) /* fd://: only the service manager knows, or it is the default */
        path = OPTIONS_DEFAULT_ADDRESS;
    if (access(path, R_OK | W_OK) < 0)
        return no_answer(path, -EAGAIN, err);
    options.address = path;
    rc = grpc_channel_open(&options, &channel, err);
    if (rc == 0)
        rc = grpc_server_stream(channel, &request, on_message, report, NULL, err);
    if (rc < 0)
        return no_answer(path, rc, err);
    return status_report_complete(report) < 0 ? err_set(err, -ENOMEM, "out of memory") : 0;
}

/* ---- telling --------------------------------------------------------------------------------- */

static size_t terminal_width(void)
{
    struct winsize size;
    const char *columns = getenv("COLUMNS");
    uint64_t width = 0;

    if (columns != NULL && text_parse_u64(columns, &width) == 0 && width < 10000)
        return width < WIDTH_MIN ? WIDTH_MIN : (size_t)width;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
        return 0;
    return size.ws_col < WIDTH_MIN ? WIDTH_MIN : size.ws_col;
}

static int tell(const struct status_report *report, const struct status_options *options)
{
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    bool is_terminal = isatty(STDOUT_FILENO) == 1;
    const struct status_style style = {
        .width = is_terminal ? terminal_width() : 0,
        .colour = is_terminal && getenv("NO_COLOR") == NULL,
        .layers = options->image != NULL,
        .now_ms = clock_wall_ms(),
    };
    int rc = options->json ? status_print_json(report, &text)
                           : status_print_table(report, &style, &text);

    if (rc < 0) {
        (void)fprintf(stderr, PROGRAM ": status: out of memory\n");
        return 1;
    }
    return fwrite(text.data, 1, text.len, stdout) == text.len ? 0 : 1; /* main() says so */
}

int status_main(const struct status_options *options)
{
    SCOPED(status_report) struct status_report report = {.messages = NULL};
    struct err err = ERR_NONE;

    if (ask(options->address, &report, &err) < 0) {
        (void)fprintf(stderr, PROGRAM ": %s\n", err_text(&err));
        return 1;
    }
    if (options->image != NULL && !status_report_keep(&report, options->image)) {
        (void)fprintf(stderr,
                      PROGRAM ": no image %s is known to the daemon (`status` alone lists them)\n",
                      options->image);
        return 1;
    }
    return tell(&report, options);
}
