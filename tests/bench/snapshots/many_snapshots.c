/* SPDX-License-Identifier: Apache-2.0 */
/* many_snapshots.c – what the calls of containerd cost when there are many snapshots: images of
 * twenty layers with the labels that containerd gives them, in a root of its own below the
 * directory named on the command line. Prints one line per call: median, 99th percentile and worst,
 * in microseconds. */
#include "base/clock.h"
#include "base/files.h"
#include "snapshot/snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { LAYERS_PER_IMAGE = 20 };
enum { PROBES = 500 }; /* calls of each kind that are measured at full size */

struct samples {
    const char *name;
    int64_t us[PROBES];
    size_t count;
};

static int64_t now_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

static void show(struct samples *samples)
{
    qsort(samples->us, samples->count, sizeof(*samples->us), compare);
    printf("%-24s %8lld %8lld %8lld\n", samples->name, (long long)samples->us[samples->count / 2],
           (long long)samples->us[samples->count * 99 / 100],
           (long long)samples->us[samples->count - 1]);
}

static void check(int rc, const struct err *err)
{
    if (rc >= 0)
        return;
    fprintf(stderr, "%s\n", err_text(err));
    exit(1);
}

/* As containerd's unpacker labels a layer. Only one that has layers below has their chain ID. */
static void fill_labels(struct text_map *labels, const char *target, bool is_base)
{
    static const char digest[] =
        "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    static const char *const keys[] = {
        "containerd.io/snapshot/cri.image-ref",    "containerd.io/snapshot/cri.manifest-digest",
        "containerd.io/snapshot/cri.layer-digest", "containerd.io/snapshot/cri.image-layers",
        "containerd.io/snapshot/diff-id",          "containerd.io/snapshot/remote/soci.size",
        "containerd.io/snapshot/parent-chain-id",
    };
    size_t i;

    for (i = 0; i < ARRAY_LEN(keys) - (is_base ? 1 : 0); i++) {
        if (text_map_set(labels, keys[i], digest) < 0)
            exit(1);
    }
    if (text_map_set(labels, SNAPSHOT_LABEL_TARGET, target) < 0)
        exit(1);
}

struct timed {
    struct snapshotter *s;
    struct samples prepare, commit;
};

static void add_sample(struct samples *samples, int64_t started_us)
{
    samples->us[samples->count % PROBES] = now_us() - started_us; /* the last ones count */
    samples->count++;
}

static void add_layer(struct timed *timed, size_t n)
{
    SCOPED(text_map) struct text_map labels = TEXT_MAP_EMPTY;
    SCOPED(snapshot_mounts) struct snapshot_mounts mounts = {.items = NULL, .count = 0};
    bool is_base = n % LAYERS_PER_IMAGE == 0;
    SCOPED(mem) char *key = text_format("default/%zu/extract-%zu", n, n);
    SCOPED(mem) char *name = text_format("default/%zu/layer", n);
    SCOPED(mem) char *parent = is_base ? text_copy("") : text_format("default/%zu/layer", n - 1);
    SCOPED(mem) char *target = text_format("sha256:target-%zu", n);
    struct snapshot_prepare_request request = {
        .key = key, .parent = parent, .namespace_ = "default", .labels = &labels};
    struct err err = ERR_NONE;
    int64_t started_us = now_us();

    fill_labels(&labels, target, is_base);
    check(snapshot_prepare(timed->s, &request, &mounts, &err), &err);
    add_sample(&timed->prepare, started_us);
    started_us = now_us();
    check(snapshot_commit(timed->s, name, key, "", &labels, &err), &err);
    add_sample(&timed->commit, started_us);
}

static int count_row(void *arg, const struct snapdb_row *row)
{
    (void)row;
    ++*(size_t *)arg;
    return 0;
}

static void time_lists(struct snapshotter *s, const char *name, const char *filter_format,
                       size_t count, size_t expected)
{
    struct samples samples = {.name = name};
    size_t i;

    for (i = 0; i < PROBES; i += (expected > 1 ? PROBES / 10 : 1)) {
        SCOPED(text_list) struct text_list filters = TEXT_LIST_EMPTY;
        SCOPED(mem) char *number = text_format("%zu", i * 7919 % count);
        SCOPED(mem) char *filter = text_format("%s%s", filter_format, number);
        struct err err = ERR_NONE;
        int64_t started_us = now_us();
        size_t found = 0;

        if (expected == 1 && text_list_add(&filters, filter) < 0)
            exit(1);
        check(snapshot_list(s, &filters, count_row, &found, &err), &err);
        add_sample(&samples, started_us);
        if (found != expected)
            exit(1);
    }
    show(&samples);
}

static void time_rows(struct snapshotter *s, size_t count)
{
    struct samples stat = {.name = "Stat"}, update = {.name = "Update"}, del = {.name = "Remove"};
    size_t i;

    for (i = 0; i < PROBES; i++) {
        SCOPED(mem) char *name = text_format("default/%zu/layer", i * 7919 % count);
        SCOPED(snapdb_row) struct snapdb_row row = {.id = 0}, updated = {.id = 0};
        SCOPED(text_map) struct text_map labels = TEXT_MAP_EMPTY;
        SCOPED(text_list) struct text_list all = TEXT_LIST_EMPTY;
        struct err err = ERR_NONE;
        int64_t started_us = now_us();

        check(snapshot_stat(s, name, &row, &err), &err);
        add_sample(&stat, started_us);
        fill_labels(&labels, "sha256:other", i * 7919 % count % LAYERS_PER_IMAGE == 0);
        started_us = now_us();
        check(snapshot_update(s, name, &labels, &all, &updated, &err), &err);
        add_sample(&update, started_us);
    }
    for (i = 0; i < PROBES && i < count / LAYERS_PER_IMAGE; i++) {
        SCOPED(mem) char *name = text_format("default/%zu/layer", (i + 1) * LAYERS_PER_IMAGE - 1);
        struct err err = ERR_NONE;
        int64_t started_us = now_us();

        check(snapshot_remove(s, name, &err), &err);
        add_sample(&del, started_us);
    }
    show(&stat);
    show(&update);
    show(&del);
}

static void show_last(struct samples *samples)
{
    if (samples->count > PROBES)
        samples->count = PROBES;
    show(samples);
}

int main(int argc, char **argv)
{
    SCOPED(mem) char *root = text_format("%s/many-snapshots.XXXXXX", argc > 1 ? argv[1] : "/tmp");
    SCOPED(store) struct store *store = NULL;
    struct timed timed = {.prepare = {.name = "Prepare"}, .commit = {.name = "Commit"}};
    struct snapshotter_options options = {.store = NULL};
    uint64_t count = 10000;
    struct err err = ERR_NONE;
    int64_t started_us;
    size_t i;

    if (argc > 2 && (text_parse_u64(argv[2], &count) < 0 || count == 0))
        return 2;
    if (root == NULL || mkdtemp(root) == NULL)
        return 2;
    check(store_open(root, &store, &err), &err);
    options.store = store;
    check(snapshotter_new(&options, &timed.s, &err), &err);
    for (i = 0; i < count; i++)
        add_layer(&timed, i);
    printf("%llu snapshots: microseconds  median      p99    worst\n", (unsigned long long)count);
    show_last(&timed.prepare);
    show_last(&timed.commit);
    time_lists(timed.s, "List of a target", "labels.\"" SNAPSHOT_LABEL_TARGET "\"==sha256:target-",
               count, 1);
    time_lists(timed.s, "List of all", "", count, count);
    time_rows(timed.s, count);
    started_us = now_us();
    check(snapshot_cleanup(timed.s, &err), &err);
    printf("%-24s %8lld\n", "Cleanup", (long long)(now_us() - started_us));
    snapshotter_free(timed.s);
    started_us = now_us();
    check(snapshotter_new(&options, &timed.s, &err), &err);
    printf("%-24s %8lld\n", "Start", (long long)(now_us() - started_us));
    snapshotter_free(timed.s);
    check(dir_remove_all(root, &err), &err);
    return 0;
}
