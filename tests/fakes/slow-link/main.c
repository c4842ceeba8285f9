/* SPDX-License-Identifier: Apache-2.0 */
/* main.c – slow-link: a TCP proxy on loopback that is as far away and as slow as one asks.
 *
 *   slow-link --to 127.0.0.1:5000 [--listen 127.0.0.1:0] [--rtt-ms 40] [--mbit 100] [--stats FILE]
 *             [--log FILE]
 *
 * Prints the address it listens on, one line, then serves until SIGTERM or SIGINT. FILE holds one
 * JSON object with what was counted; it is written on SIGUSR1 and at the end. The log has a line
 * "FROM TO" for each stretch of time in which the way down was busy, nanoseconds of
 * CLOCK_MONOTONIC; it is complete when the stats are written. */
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/files.h"
#include "base/text.h"
#include "relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct options {
    struct relay_options relay;
    const char *stats_path; /* NULL: not wanted */
    const char *log_path;   /* NULL: not wanted */
};

static void scoped_relay_close(struct relay *relay)
{
    relay_close(relay);
}
DEFINE_SCOPED_PTR(relay, struct relay, scoped_relay_close)

/* "127.0.0.1:5000" */
static int parse_address(const char *text, struct sockaddr_in *ret, struct err *err)
{
    char host[INET_ADDRSTRLEN] = "";
    const char *colon = strrchr(text, ':');
    uint64_t port = 0;

    if (colon == NULL || (size_t)(colon - text) >= sizeof(host))
        return err_set(err, -EINVAL, "%s: not an address like 127.0.0.1:5000", text);
    memcpy(host, text, (size_t)(colon - text));
    *ret = (struct sockaddr_in){.sin_family = AF_INET};
    if (inet_pton(AF_INET, host, &ret->sin_addr) != 1 || text_parse_u64(colon + 1, &port) < 0 ||
        port > UINT16_MAX)
        return err_set(err, -EINVAL, "%s: not an address like 127.0.0.1:5000", text);
    ret->sin_port = htons((uint16_t)port);
    return 0;
}

static int parse_number(const char *text, uint64_t max, uint64_t *ret, struct err *err)
{
    if (text_parse_u64(text, ret) < 0 || *ret > max)
        return err_set(err, -EINVAL, "%s: not a number from 0 to %llu", text,
                       (unsigned long long)max);
    return 0;
}

static int parse_options(int argc, char **argv, struct options *ret, struct err *err)
{
    static const struct option known[] = {
        {"listen", required_argument, NULL, 'l'},
        {"to", required_argument, NULL, 't'},
        {"rtt-ms", required_argument, NULL, 'r'},
        {"mbit", required_argument, NULL, 'm'},
        {"stats", required_argument, NULL, 's'},
        {"log", required_argument, NULL, 'g'},
        {0},
    };
    uint64_t rtt_ms = 40;
    uint64_t mbit = 100;
    int rc = parse_address("127.0.0.1:0", &ret->relay.listen, err);
    int opt;

    while (rc == 0 && (opt = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (opt == 'l')
            rc = parse_address(optarg, &ret->relay.listen, err);
        else if (opt == 't')
            rc = parse_address(optarg, &ret->relay.target, err);
        else if (opt == 'r')
            rc = parse_number(optarg, 60000, &rtt_ms, err);
        else if (opt == 'm')
            rc = parse_number(optarg, 100000, &mbit, err);
        else if (opt == 's')
            ret->stats_path = optarg;
        else if (opt == 'g')
            ret->log_path = optarg;
        else
            rc = err_set(err, -EINVAL, "see the options at the top of main.c");
    }
    if (rc == 0 && ret->relay.target.sin_port == 0)
        rc = err_set(err, -EINVAL, "--to ADDRESS:PORT is missing");
    ret->relay.rtt_ns = (int64_t)rtt_ms * 1000000;
    ret->relay.bits_per_second = mbit * 1000000;
    return rc;
}

static int write_stats(const struct options *options, const struct relay *relay, struct err *err)
{
    struct relay_stats stats = relay_stats(relay);
    SCOPED(mem) char *json = NULL;

    relay_log(relay);
    if (options->relay.down_log != NULL && fflush(options->relay.down_log) != 0)
        return err_set(err, -errno, "%s", options->log_path);
    if (options->stats_path == NULL)
        return 0;
    json = text_format("{\"connections\":%llu,\"up_bytes\":%llu,\"down_bytes\":%llu}\n",
                       (unsigned long long)stats.connections, (unsigned long long)stats.up_bytes,
                       (unsigned long long)stats.down_bytes);
    if (json == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    return file_replace(options->stats_path, bytes_of(json, strlen(json)), 0644, err);
}

/* Signals come as bytes from a descriptor, so that they wake the loop and interrupt nothing. */
static int open_signals(struct err *err)
{
    sigset_t set;
    int fd;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGUSR1);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    fd = signalfd(-1, &set, SFD_CLOEXEC);
    return fd < 0 ? err_sys(err, -errno, "signalfd") : fd;
}

static int serve(const struct options *options, struct err *err)
{
    SCOPED(relay) struct relay *relay = NULL;
    SCOPED(fd) int signals = open_signals(err);
    struct signalfd_siginfo got = {0};
    int rc = signals < 0 ? signals : relay_open(&options->relay, &relay, err);

    if (rc < 0)
        return rc;
    (void)printf("127.0.0.1:%u\n", relay_port(relay));
    (void)fflush(stdout);
    do {
        rc = relay_run(relay, signals, err);
        if (rc == 0 && read(signals, &got, sizeof(got)) != sizeof(got))
            rc = err_set(err, -EIO, "signalfd ended");
        if (rc == 0)
            rc = write_stats(options, relay, err);
    } while (rc == 0 && got.ssi_signo == SIGUSR1);
    return rc;
}

int main(int argc, char **argv)
{
    struct options options = {0};
    struct err err = ERR_NONE;
    int rc = parse_options(argc, argv, &options, &err);

    if (rc == 0 && options.log_path != NULL) {
        options.relay.down_log = fopen(options.log_path, "we");
        rc = options.relay.down_log == NULL ? err_sys(&err, -errno, "%s", options.log_path) : 0;
    }
    if (rc == 0)
        rc = serve(&options, &err);
    if (options.relay.down_log != NULL)
        (void)fclose(options.relay.down_log);
    if (rc < 0)
        (void)fprintf(stderr, "slow-link: %s\n", err_text(&err));
    return rc < 0 ? 1 : 0;
}
