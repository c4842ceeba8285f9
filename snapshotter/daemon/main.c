/* SPDX-License-Identifier: Apache-2.0 */
/* main.c – soci-snapshotter-grpc: command line, log, configuration, and a service that runs until a
 * signal. */
#include "base/log.h"
#include "base/system.h"
#include "daemon/check.h"
#include "daemon/config.h"
#include "daemon/footprint.h"
#include "daemon/notify.h"
#include "daemon/options.h"
#include "daemon/passed.h"
#include "daemon/probe.h"
#include "daemon/service.h"
#include "daemon/signals.h"
#include "daemon/status.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <version.h>

#define PROGRAM "soci-snapshotter-grpc"

static const char *from_env(const char *name)
{
    return getenv(name);
}

/* Every mounted layer and every connection is a descriptor. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* Buffers of spans and ztocs come and go in megabytes. By default glibc keeps a heap per thread,
 * and learns from the first big block that is freed to take the next ones from there too: half of
 * the process is holes then. */
static void keep_memory_small(void)
{
    (void)mallopt(M_ARENA_MAX, 2);
    (void)mallopt(M_MMAP_THRESHOLD, 64 * 1024);
    (void)mallopt(M_TRIM_THRESHOLD, 64 * 1024);
}

static int fatal(const char *what, const struct err *err)
{
    log_fatal(what, "err=%s", err_text(err));
    return 1;
}

static int print(const struct buf *text)
{
    return fwrite(text->data, 1, text->len, stdout) == text->len && fflush(stdout) == 0 ? 0 : 1;
}

static int print_help(FILE *to, int exit_code)
{
    SCOPED(buf_value) struct buf text = BUF_EMPTY;

    if (options_help(&text) < 0 || fwrite(text.data, 1, text.len, to) != text.len)
        return 1;
    return exit_code;
}

static int print_config(const struct options *options, bool from_file)
{
    SCOPED(config) struct config config = config_default();
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    struct err err = ERR_NONE;

    if (from_file && config_load(options->config, options->config_is_default, &config, &err) < 0) {
        log_setup(LOG_LEVEL_INFO, LOG_STYLE_TEXT);
        log_fatal(err_text(&err), NULL);
        return 1;
    }
    return config_print(&config, &text) < 0 ? 1 : print(&text);
}

/* ---- the daemon ------------------------------------------------------------------------------ */

static const char *signal_name(int number)
{
    return number == SIGINT ? "interrupt" : "terminated";
}

static void on_signal(void *service, int number)
{
    char message[32];

    (void)snprintf(message, sizeof(message), "Got %s", signal_name(number));
    log_info(message, NULL);
    service_stop(service);
}

static int serve(struct service *service, const struct options *options, bool *ret_unmount)
{
    SCOPED(signals) struct signals *signals = NULL;
    struct err err = ERR_NONE;
    int rc = signals_start(on_signal, service, &signals, &err);

    if (rc < 0)
        return fatal("failed to serve snapshotter", &err);
    log_info(PROGRAM " successfully started", "address=%s", options->address);
    notify_send("READY=1");
    rc = service_run(service, &err);
    notify_send("STOPPING=1");
    *ret_unmount = signals_received(signals) == SIGINT;
    return rc < 0 ? fatal("failed to serve snapshotter", &err) : 0;
}

static int run(const struct options *options)
{
    SCOPED(config) struct config config = config_default();
    SCOPED(passed) struct passed passed = PASSED_NONE;
    struct service *service = NULL;
    struct err err = ERR_NONE;
    bool unmount = false;
    int exit_code;

    log_info("starting " PROGRAM, "version=%s revision=%s", SOCI_VERSION, SOCI_REVISION);
    if (config_load(options->config, options->config_is_default, &config, &err) < 0)
        return fatal("failed to load configuration", &err);
    config_warn(&config);
    if (passed_take(&passed, &err) < 0 ||
        service_start(options, &config, &passed, &service, &err) < 0)
        return fatal("failed to start", &err);
    footprint_trim();
    exit_code = serve(service, options, &unmount);
    service_free(service, unmount);
    log_info("Exiting", NULL);
    return exit_code;
}

static int start(const struct options *options)
{
    enum log_level level = LOG_LEVEL_INFO;

    if (log_level_parse(options->log_level, &level) < 0) {
        (void)fprintf(stderr, PROGRAM ": failed to prepare logger: not a valid log level: \"%s\"\n",
                      options->log_level);
        return 1;
    }
    log_setup(level, isatty(STDERR_FILENO) ? LOG_STYLE_TEXT : LOG_STYLE_JSON);
    (void)umask(022); /* containers' users must be able to list what we make for them */
    raise_descriptor_limit();
    keep_memory_small();
    signals_hold();
    return run(options);
}

/* What is asked for on the command line; the daemon itself when nothing is. */
static int act(const struct options *options)
{
    switch (options->action) {
    case OPTIONS_HELP:
        return print_help(stdout, 0);
    case OPTIONS_VERSION:
        return printf(PROGRAM " version %s %s\n", SOCI_VERSION, SOCI_REVISION) < 0 ? 1 : 0;
    case OPTIONS_CONFIG_DEFAULT:
        return print_config(options, false);
    case OPTIONS_CONFIG_DUMP:
        return print_config(options, true);
    case OPTIONS_STATUS:
        return status_main(&(struct status_options){
            .address = options->address, .image = options->image, .json = options->json});
    case OPTIONS_CHECK:
        return check_main(options);
    case OPTIONS_PROBE:
        return probe_main(options->root, options->json);
    case OPTIONS_RUN:
        break;
    }
    return start(options);
}

/* A result that nobody can have got is no success. */
static int check_output(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    (void)fprintf(stderr, PROGRAM ": standard output: not all of it could be written\n");
    return 1;
}

int main(int argc, char **argv)
{
    struct options options;
    struct err err = ERR_NONE;

    if (system_hold_standard_files() < 0)
        return 1;
    if (options_parse(argc, argv, from_env, &options, &err) < 0) {
        (void)fprintf(stderr, "Incorrect Usage: %s\n\n", err_text(&err));
        (void)print_help(stdout, 0);
        (void)fprintf(stderr, PROGRAM ": %s\n", err_text(&err));
        return 1;
    }
    return check_output(act(&options));
}
