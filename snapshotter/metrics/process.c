/* SPDX-License-Identifier: Apache-2.0 */
/* process.c – this process, from /proc (proc(5)), under the names that all of Prometheus' libraries
 * give it. */
#include "metrics/metrics.h"

#include "base/files.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

struct usage {
    unsigned long long user_ticks, system_ticks, start_ticks, virtual_bytes, resident_pages;
};

/* Fields are counted from the state, behind the name: that may hold anything, also parentheses. */
static int read_usage(struct usage *ret)
{
    enum { STAT_MAX_BYTES = 4096 };
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    const char *stat, *fields;

    if (file_read("/proc/self/stat", STAT_MAX_BYTES, &text, NULL) < 0 ||
        (stat = buf_str(&text)) == NULL || (fields = strrchr(stat, ')')) == NULL)
        return -1;
    return sscanf(fields + 1, /* NOLINT(cert-err34-c): the kernel's numbers fit */
                  " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %*d %*d"
                  " %llu %llu %llu",
                  &ret->user_ticks, &ret->system_ticks, &ret->start_ticks, &ret->virtual_bytes,
                  &ret->resident_pages) == 5
               ? 0
               : -1;
}

/* When the machine started, in seconds since 1970; 0: not known. */
static unsigned long long boot_s(void)
{
    SCOPED(file) FILE *file = fopen("/proc/stat", "re");
    unsigned long long seconds = 0;
    char line[256];

    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (sscanf(line, "btime %llu", &seconds) == 1) /* NOLINT(cert-err34-c): likewise */
            break;
    }
    return seconds;
}

/* -1: not known. The descriptor of the directory itself is not counted. */
static int64_t open_descriptors(void)
{
    SCOPED(dir) DIR *dir = opendir("/proc/self/fd");
    const struct dirent *entry;
    int64_t count = -1;

    while (dir != NULL && (entry = readdir(dir)) != NULL)
        count += entry->d_name[0] != '.';
    return count;
}

static int add(struct buf *ret, const char *name, const char *type, const char *help,
               uint64_t value)
{
    int rc = metrics_write_head(ret, name, type, help);

    return rc < 0 ? rc : metrics_write_sample(ret, name, NULL, value);
}

/* With hundredths. */
static int add_seconds(struct buf *ret, const char *name, const char *type, const char *help,
                       double seconds)
{
    int rc = metrics_write_head(ret, name, type, help);

    return rc < 0 ? rc : buf_addf(ret, "%s %.2f\n", name, seconds);
}

static int add_usage(struct buf *ret, const struct usage *usage)
{
    double tick = 1.0 / (double)sysconf(_SC_CLK_TCK);
    unsigned long long boot = boot_s();
    int rc = add_seconds(ret, "process_cpu_seconds_total", "counter", "CPU time of this process.",
                         (double)(usage->user_ticks + usage->system_ticks) * tick);

    if (rc == 0)
        rc = add(ret, "process_resident_memory_bytes", "gauge", "Memory that is resident.",
                 usage->resident_pages * (uint64_t)sysconf(_SC_PAGESIZE));
    if (rc == 0)
        rc = add(ret, "process_virtual_memory_bytes", "gauge", "Address space that is in use.",
                 usage->virtual_bytes);
    if (rc == 0 && boot > 0)
        rc = add_seconds(ret, "process_start_time_seconds", "gauge",
                         "Start of this process, in seconds since 1970.",
                         (double)boot + (double)usage->start_ticks * tick);
    return rc;
}

static int add_descriptors(struct buf *ret)
{
    int64_t open = open_descriptors();
    struct rlimit limit;
    int rc = 0;

    if (open >= 0)
        rc = add(ret, "process_open_fds", "gauge", "Descriptors that are open.", (uint64_t)open);
    if (rc == 0 && getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        rc = add(ret, "process_max_fds", "gauge", "Descriptors that may be open.", limit.rlim_cur);
    return rc;
}

int metrics_write_process(struct buf *ret)
{
    struct usage usage;
    int rc = read_usage(&usage) < 0 ? 0 : add_usage(ret, &usage);

    return rc < 0 ? rc : add_descriptors(ret);
}
