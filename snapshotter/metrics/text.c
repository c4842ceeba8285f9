/* SPDX-License-Identifier: Apache-2.0 */
/* text.c – Prometheus' exposition format, version 0.0.4: what was counted, one metric after the
 * other, the samples of each together. */
#include "metrics/internal.h"

#include "base/threads.h"

#include <inttypes.h>

static const struct metrics_unit milliseconds = {
    "soci_fs_operation_duration_milliseconds",
    "How long operations took, in milliseconds.",
    1000000,
    15,
};
static const struct metrics_unit microseconds = {
    "soci_fs_operation_duration_microseconds",
    "How long operations took, in microseconds.",
    1000,
    11,
};
_Static_assert(15 <= METRICS_BUCKETS_MAX, "milliseconds have the most");

static const char *const duration_names[METRICS_DURATIONS] = {
    [METRICS_MOUNT] = "mount",
    [METRICS_REMOTE_REGISTRY_GET] = "remote_registry_get",
    [METRICS_INIT_METADATA_STORE] = "init_metadata_store",
    [METRICS_FUSE_MOUNT] = "fuse_mount",
    [METRICS_SOCI_INDEX_FETCH] = "soci_index_fetch",
    [METRICS_ZTOC_FETCH] = "ztoc_fetch",
    [METRICS_NODE_READDIR] = "node_readdir",
    [METRICS_SYNCHRONOUS_READ] = "synchronous_read",
};

static const char *const counter_names[METRICS_COUNTERS] = {
    [METRICS_READS] = "synchronous_read_count",
    [METRICS_READ_FETCHES] = "synchronous_read_remote_registry_fetch_count",
    [METRICS_READ_FAILURES] = "fuse_file_read_failure_count",
    [METRICS_BACKGROUND_FETCHES] = "background_span_fetch_count",
    [METRICS_BACKGROUND_FAILURES] = "background_span_fetch_failure_count",
    [METRICS_FUSE_MOUNT_FAILURES] = "fuse_mount_failure_count",
    [METRICS_LOCAL_MOUNT_FAILURES] = "local_mount_failure_count",
    [METRICS_LAYERS_CHECKED] = "layer_checked_count",
    [METRICS_LAYERS_REFUSED] = "layer_refused_count",
    [METRICS_BYTES_SERVED] = "synchronous_bytes_served",
};

const struct metrics_unit *metrics_unit_of(enum metrics_duration what)
{
    return what < METRICS_NODE_READDIR ? &milliseconds : &microseconds;
}

/* ---- lines ----------------------------------------------------------------------------------- */

int metrics_write_head(struct buf *ret, const char *name, const char *type, const char *help)
{
    return buf_addf(ret, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* Backslash, quote and the end of a line are escaped. */
static int add_label(struct buf *ret, const char *label, const char *value)
{
    int rc = buf_addf(ret, "%s=\"", label);

    for (const char *c = value; *c != '\0' && rc == 0; c++) {
        if (*c == '\n')
            rc = buf_add_str(ret, "\\n");
        else if (*c == '\\' || *c == '"')
            rc = buf_addf(ret, "\\%c", *c);
        else
            rc = buf_add_byte(ret, (uint8_t)*c);
    }
    return rc < 0 ? rc : buf_add_byte(ret, '"');
}

static int add_labels(struct buf *ret, const struct metrics_labels *labels)
{
    int rc;

    if (labels == NULL || labels->label_a == NULL)
        return 0;
    rc = buf_add_byte(ret, '{');
    if (rc == 0)
        rc = add_label(ret, labels->label_a, labels->value_a);
    if (rc == 0 && labels->label_b != NULL)
        rc = buf_add_byte(ret, ',');
    if (rc == 0 && labels->label_b != NULL)
        rc = add_label(ret, labels->label_b, labels->value_b);
    return rc < 0 ? rc : buf_add_byte(ret, '}');
}

int metrics_write_sample(struct buf *ret, const char *name, const struct metrics_labels *labels,
                         uint64_t value)
{
    int rc = buf_add_str(ret, name);

    if (rc == 0)
        rc = add_labels(ret, labels);
    return rc < 0 ? rc : buf_addf(ret, " %" PRIu64 "\n", value);
}

/* ---- what was counted ------------------------------------------------------------------------ */

static uint64_t load(const uint64_t *from)
{
    return __atomic_load_n(from, __ATOMIC_RELAXED);
}

/* Names and digests: nothing in them has to be escaped. */
static int add_bucket(struct buf *ret, const struct metrics_unit *unit, const char *name,
                      const char *layer, size_t i, uint64_t up_to_here)
{
    char bound[16] = "+Inf";

    if (i < unit->bucket_count)
        (void)snprintf(bound, sizeof(bound), "%u", 1u << i);
    return buf_addf(ret, "%s_bucket{operation_type=\"%s\",layer=\"%s\",le=\"%s\"} %" PRIu64 "\n",
                    unit->metric, name, layer, bound, up_to_here);
}

static int add_histogram(struct buf *ret, const struct metrics_unit *unit, const char *name,
                         const char *layer, const struct metrics_histogram *h)
{
    uint64_t sum_ns = load(&h->sum_ns), buckets[METRICS_BUCKETS_MAX + 1], count = 0;
    int rc = 0;

    for (size_t i = 0; i <= unit->bucket_count; i++)
        buckets[i] = count += load(&h->buckets[i]);
    if (count == 0)
        return 0;
    for (size_t i = 0; i <= unit->bucket_count && rc == 0; i++)
        rc = add_bucket(ret, unit, name, layer, i, buckets[i]);
    if (rc == 0)
        rc = buf_addf(ret, "%s_sum{operation_type=\"%s\",layer=\"%s\"} %.3f\n", unit->metric, name,
                      layer, (double)sum_ns / (double)unit->ns);
    return rc < 0 ? rc
                  : buf_addf(ret, "%s_count{operation_type=\"%s\",layer=\"%s\"} %" PRIu64 "\n",
                             unit->metric, name, layer, count);
}

static int write_durations_locked(const struct metrics *metrics, const struct metrics_unit *unit,
                                  struct buf *ret)
{
    int rc = metrics_write_head(ret, unit->metric, "histogram", unit->help);

    for (const struct metrics_layer *l = metrics->layers; l != NULL; l = l->next) {
        for (size_t i = 0; i < METRICS_DURATIONS && rc == 0; i++) {
            if (metrics_unit_of((enum metrics_duration)i) == unit)
                rc = add_histogram(ret, unit, duration_names[i], l->name, &l->durations[i]);
        }
    }
    return rc;
}

/* Those from `first` to before `end`. */
static int write_counters_locked(const struct metrics *metrics, const char *metric, size_t first,
                                 size_t end, struct buf *ret)
{
    int rc = 0;

    for (const struct metrics_layer *l = metrics->layers; l != NULL; l = l->next) {
        for (size_t i = first; i < end && rc == 0; i++) {
            const struct metrics_labels labels = {"operation_type", counter_names[i], "layer",
                                                  l->name};
            uint64_t value = load(&l->counters[i]);

            if (value > 0)
                rc = metrics_write_sample(ret, metric, &labels, value);
        }
    }
    return rc;
}

int metrics_write(struct metrics *metrics, struct buf *ret)
{
    static const char count[] = "soci_fs_operation_count", served[] = "soci_fs_bytes_served";
    int rc;
    LOCKED(&metrics->lock);

    rc = write_durations_locked(metrics, &milliseconds, ret);
    if (rc == 0)
        rc = write_durations_locked(metrics, &microseconds, ret);
    if (rc == 0)
        rc = metrics_write_head(ret, count, "counter", "How often something was done.");
    if (rc == 0)
        rc = write_counters_locked(metrics, count, 0, METRICS_BYTES_SERVED, ret);
    if (rc == 0)
        rc = metrics_write_head(ret, served, "gauge", "Bytes that were given to readers.");
    return rc < 0 ? rc
                  : write_counters_locked(metrics, served, METRICS_BYTES_SERVED, METRICS_COUNTERS,
                                          ret);
}
