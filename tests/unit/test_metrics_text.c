/* SPDX-License-Identifier: Apache-2.0 */
/* test_metrics_text.c – what is counted, and that its text is what Prometheus reads. */
#include "test.h"

#include "base/clock.h"
#include "base/text.h"
#include "metrics/metrics.h"

#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define DIGEST_A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define DIGEST_B "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define COUNT_A(operation)                                                                         \
    "\nsoci_fs_operation_count{operation_type=\"" operation "\",layer=\"" DIGEST_A "\"} "
#define MS(suffix, operation, layer)                                                               \
    "\nsoci_fs_operation_duration_milliseconds" suffix "{operation_type=\"" operation              \
    "\",layer=\"" layer "\""

static struct metrics_layer *layer_of(struct metrics *metrics, const char *text)
{
    struct digest digest;

    assert_ok(digest_parse(text, &digest, NULL));
    return metrics_layer_ref(metrics, &digest);
}

static struct metrics *new_metrics(void)
{
    struct metrics *metrics = NULL;

    assert_ok(metrics_new(&metrics, NULL));
    return metrics;
}

static const char *text_of(struct metrics *metrics, struct buf *buf)
{
    buf->len = 0;
    assert_ok(metrics_write(metrics, buf));
    return buf_str(buf);
}

#define assert_has(text, part)                                                                     \
    do {                                                                                           \
        if (strstr((text), (part)) == NULL)                                                        \
            fail_msg("no %s in:\n%s", (part), (text));                                             \
    } while (0)
#define assert_has_not(text, part) assert_null(strstr((text), (part)))

/* ---- a checker of the format ----------------------------------------------------------------- */

/* The rules of the exposition format 0.0.4 as far as our text can break them: names, labels and
 * values are well formed; the samples of a metric follow its HELP and TYPE, together; no series is
 * there twice; buckets grow, the last one is +Inf and is the count. Says what is wrong; NULL:
 * nothing. */
struct checker {
    char name[128], type[16]; /* of the last TYPE */
    struct text_list names;   /* metrics that were there */
    struct text_list series;
    bool in_histogram;       /* buckets were read, their count was not */
    char bucket_labels[512]; /* of those, without le */
    double le, bucket;
    bool is_inf;
};

static size_t name_len(const char *s)
{
    size_t len = 0;

    if (isdigit((unsigned char)s[0]))
        return 0;
    while (isalnum((unsigned char)s[len]) || s[len] == '_' || s[len] == ':')
        len++;
    return len;
}

/* Past the label's value, which *ret_value gets as it is written; NULL: not well formed. */
static const char *read_label(const char *s, char name[64], char value[256])
{
    size_t len = name_len(s), used = 0;

    if (len == 0 || len >= 64 || s[len] != '=' || s[len + 1] != '"')
        return NULL;
    (void)snprintf(name, 64, "%.*s", (int)len, s);
    for (s += len + 2; *s != '"'; s++) {
        if (*s == '\0' || *s == '\n' || used >= 250)
            return NULL;
        value[used++] = *s;
        if (*s == '\\') {
            s++;
            if (*s != '\\' && *s != '"' && *s != 'n')
                return NULL;
            value[used++] = *s;
        }
    }
    value[used] = '\0';
    return s + 1;
}

/* Labels without le into `others`, le into `le`. Past them; NULL: not well formed. */
static const char *read_labels(const char *s, char others[512], char le[256])
{
    char name[64], value[256];
    size_t used = 0;

    others[0] = le[0] = '\0';
    if (*s != '{')
        return s;
    do {
        s = read_label(s + 1, name, value);
        if (s == NULL)
            return NULL;
        if (strcmp(name, "le") == 0)
            (void)snprintf(le, 256, "%s", value);
        else
            used += (size_t)snprintf(others + used, 512 - used, "%s=%s,", name, value);
    } while (*s == ',');
    return *s == '}' ? s + 1 : NULL;
}

static const char *check_bucket(struct checker *c, const char *others, const char *le, double value)
{
    double bound = strcmp(le, "+Inf") == 0 ? 1e300 : strtod(le, NULL);

    if (le[0] == '\0')
        return "a bucket without le";
    if (c->in_histogram && strcmp(c->bucket_labels, others) != 0)
        return "a histogram without its count";
    if (c->in_histogram && (bound <= c->le || value < c->bucket))
        return "buckets do not grow";
    c->in_histogram = true;
    (void)snprintf(c->bucket_labels, sizeof(c->bucket_labels), "%s", others);
    c->le = bound;
    c->bucket = value;
    c->is_inf = bound >= 1e300;
    return NULL;
}

static const char *check_histogram(struct checker *c, const char *suffix, const char *others,
                                   const char *le, double value)
{
    if (strcmp(suffix, "_bucket") == 0)
        return check_bucket(c, others, le, value);
    if (!c->in_histogram || strcmp(c->bucket_labels, others) != 0 || !c->is_inf)
        return "no bucket of +Inf before";
    if (strcmp(suffix, "_sum") == 0)
        return NULL;
    if (strcmp(suffix, "_count") != 0)
        return "no suffix of a histogram";
    c->in_histogram = false;
    return value == c->bucket ? NULL : "the count is not the last bucket";
}

static const char *check_sample(struct checker *c, const char *line)
{
    char series[640], others[512], le[256], *end;
    size_t len = name_len(line), base = strlen(c->name);
    bool is_histogram = strcmp(c->type, "histogram") == 0;
    const char *s = line + len;
    double value;

    if (len == 0 || base == 0 || strncmp(line, c->name, base) != 0 ||
        (!is_histogram && len != base))
        return "a sample of another metric";
    s = read_labels(s, others, le);
    if (s == NULL || *s != ' ')
        return "labels";
    (void)snprintf(series, sizeof(series), "%.*s", (int)(s - line), line);
    if (text_list_has(&c->series, series))
        return "twice";
    assert_ok(text_list_add(&c->series, series));
    value = strtod(s + 1, &end);
    if (end == s + 1 || *end != '\0')
        return "no number";
    (void)snprintf(series, sizeof(series), "%.*s", (int)(len - base), line + base);
    return is_histogram ? check_histogram(c, series, others, le, value) : NULL;
}

static const char *check_comment(struct checker *c, const char *line)
{
    char name[128], type[16];

    if (sscanf(line, "# HELP %127s", name) == 1) {
        if (text_list_has(&c->names, name))
            return "a metric in two places";
        assert_ok(text_list_add(&c->names, name));
        (void)snprintf(c->name, sizeof(c->name), "%s", name);
        c->type[0] = '\0';
        return NULL;
    }
    if (sscanf(line, "# TYPE %127s %15s", name, type) != 2 || strcmp(name, c->name) != 0)
        return "no TYPE behind its HELP";
    (void)snprintf(c->type, sizeof(c->type), "%s", type);
    return strcmp(type, "counter") == 0 || strcmp(type, "gauge") == 0 ||
                   strcmp(type, "histogram") == 0
               ? NULL
               : "no such type";
}

static const char *check(const char *text)
{
    struct checker c = {.name = "", .names = TEXT_LIST_EMPTY, .series = TEXT_LIST_EMPTY};
    const char *wrong = NULL;

    while (*text != '\0' && wrong == NULL) {
        size_t len = strcspn(text, "\n");
        SCOPED(mem) char *line = strndup(text, len);

        assert_non_null(line);
        if (text[len] != '\n')
            wrong = "no end of the last line";
        else
            wrong = line[0] == '#' ? check_comment(&c, line) : check_sample(&c, line);
        text += len + (text[len] == '\n');
    }
    if (wrong == NULL && c.in_histogram)
        wrong = "a histogram without its count";
    text_list_fini(&c.names);
    text_list_fini(&c.series);
    return wrong;
}

static void the_checker_sees_what_is_wrong(void **state)
{
    static const char *const wrong[] = {
        "a 1\n",
        "# HELP a b\n# TYPE a counter\na 1",
        "# HELP a b\n# TYPE a counter\na 1\na 2\n",
        "# HELP a b\n# TYPE a counter\na{b=\"c} 1\n",
        "# HELP a b\n# TYPE a counter\na{b=\"\\c\"} 1\n",
        "# HELP a b\n# TYPE a counter\na x\n",
        "# HELP a b\n# TYPE b counter\n",
        "# HELP a b\n# TYPE a counter\nb 1\n",
        "# HELP a b\n# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 1\n",
        "# HELP a b\n# TYPE a histogram\na_bucket{x=\"\",le=\"1\"} 1\na_sum{x=\"\"} 1\n",
        ("# HELP a b\n# TYPE a histogram\na_bucket{x=\"\",le=\"+Inf\"} 1\n"
         "a_sum{x=\"\"} 1\na_count{x=\"\"} 2\n"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        if (check(wrong[i]) == NULL)
            fail_msg("not seen: %s", wrong[i]);
    }
}

#define assert_well_formed(text)                                                                   \
    do {                                                                                           \
        const char *wrong_ = check(text);                                                          \
        if (wrong_ != NULL)                                                                        \
            fail_msg("%s in:\n%s", wrong_, (text));                                                \
    } while (0)

/* ---- what is counted ------------------------------------------------------------------------- */

static void each_operation_has_its_name_metric_and_layer(void **state)
{
    SCOPED(metrics) struct metrics *metrics = new_metrics();
    SCOPED(metrics_layer) struct metrics_layer *a = layer_of(metrics, DIGEST_A);
    SCOPED(metrics_layer) struct metrics_layer *b = layer_of(metrics, DIGEST_B);
    SCOPED(buf_value) struct buf buf = BUF_EMPTY;
    const char *text;

    (void)state;
    metrics_count(a, METRICS_READS, 3);
    metrics_count(a, METRICS_READ_FETCHES, 2);
    metrics_count(a, METRICS_READ_FAILURES, 1);
    metrics_count(a, METRICS_BACKGROUND_FETCHES, 40);
    metrics_count(a, METRICS_BACKGROUND_FAILURES, 5);
    metrics_count(b, METRICS_BYTES_SERVED, UINT64_C(1) << 40);
    metrics_count(metrics_no_layer(metrics), METRICS_FUSE_MOUNT_FAILURES, 6);
    metrics_count(metrics_no_layer(metrics), METRICS_LOCAL_MOUNT_FAILURES, 7);
    text = text_of(metrics, &buf);
    assert_well_formed(text);
    assert_has(text, COUNT_A("synchronous_read_count") "3\n");
    assert_has(text, COUNT_A("synchronous_read_remote_registry_fetch_count") "2\n");
    assert_has(text, COUNT_A("fuse_file_read_failure_count") "1\n");
    assert_has(text, COUNT_A("background_span_fetch_count") "40\n");
    assert_has(text, COUNT_A("background_span_fetch_failure_count") "5\n");
    assert_has(text, "\nsoci_fs_bytes_served{operation_type=\"synchronous_bytes_served\","
                     "layer=\"" DIGEST_B "\"} 1099511627776\n");
    assert_has(text, "{operation_type=\"fuse_mount_failure_count\",layer=\"\"} 6\n");
    assert_has(text, "{operation_type=\"local_mount_failure_count\",layer=\"\"} 7\n");
    assert_has(text, "\n# TYPE soci_fs_operation_count counter\n");
    assert_has(text, "\n# TYPE soci_fs_bytes_served gauge\n");
}

static void every_duration_is_a_histogram_in_its_unit(void **state)
{
    static const char *const names[METRICS_DURATIONS] = {
        "milliseconds mount",
        "milliseconds remote_registry_get",
        "milliseconds init_metadata_store",
        "milliseconds fuse_mount",
        "milliseconds soci_index_fetch",
        "milliseconds ztoc_fetch",
        "microseconds node_readdir",
        "microseconds synchronous_read",
    };
    SCOPED(metrics) struct metrics *metrics = new_metrics();
    SCOPED(metrics_layer) struct metrics_layer *a = layer_of(metrics, DIGEST_A);
    SCOPED(buf_value) struct buf buf = BUF_EMPTY;
    const char *text;

    (void)state;
    for (size_t i = 0; i < METRICS_DURATIONS; i++)
        metrics_took_ns(a, (enum metrics_duration)i, 3000000);
    text = text_of(metrics, &buf);
    assert_well_formed(text);
    for (size_t i = 0; i < METRICS_DURATIONS; i++) {
        char unit[32], name[32], line[256];

        assert_int_equal(sscanf(names[i], "%31s %31s", unit, name), 2);
        (void)snprintf(
            line, sizeof(line),
            "\nsoci_fs_operation_duration_%s_sum{operation_type=\"%s\",layer=\"%s\"} %s\n", unit,
            name, DIGEST_A, unit[2] == 'l' ? "3.000" : "3000.000");
        assert_has(text, line);
    }
}

static void a_duration_at_a_bound_is_in_its_bucket(void **state)
{
    SCOPED(metrics) struct metrics *metrics = new_metrics();
    struct metrics_layer *none = metrics_no_layer(metrics);
    SCOPED(buf_value) struct buf buf = BUF_EMPTY;
    const char *text;

    (void)state;
    metrics_took_ns(none, METRICS_MOUNT, -5); /* a clock that is off */
    metrics_took_ns(none, METRICS_MOUNT, 1000000);
    metrics_took_ns(none, METRICS_MOUNT, 1000001);
    metrics_took_ns(none, METRICS_MOUNT, INT64_C(16384) * 1000000);
    metrics_took_ns(none, METRICS_MOUNT, INT64_C(16384) * 1000000 + 1);
    text = text_of(metrics, &buf);
    assert_well_formed(text);
    assert_has(text, MS("_bucket", "mount", "") ",le=\"1\"} 2\n");
    assert_has(text, MS("_bucket", "mount", "") ",le=\"2\"} 3\n");
    assert_has(text, MS("_bucket", "mount", "") ",le=\"8192\"} 3\n");
    assert_has(text, MS("_bucket", "mount", "") ",le=\"16384\"} 4\n");
    assert_has(text, MS("_bucket", "mount", "") ",le=\"+Inf\"} 5\n");
    assert_has(text, MS("_count", "mount", "") "} 5\n");
    assert_has(text, MS("_sum", "mount", "") "} 32770.000\n");
    assert_has_not(text, "le=\"32768\"");
}

static void microseconds_end_at_1024(void **state)
{
    SCOPED(metrics) struct metrics *metrics = new_metrics();
    SCOPED(buf_value) struct buf buf = BUF_EMPTY;
    const char *text;

    (void)state;
    metrics_since(metrics_no_layer(metrics), METRICS_SYNCHRONOUS_READ,
                  clock_mono_ns() - 5000000000);
    text = text_of(metrics, &buf);
    assert_well_formed(text);
    assert_has(text, "\",layer=\"\",le=\"1024\"} 0\n");
    assert_has(text, "\",layer=\"\",le=\"+Inf\"} 1\n");
    assert_has_not(text, "le=\"2048\"");
}

static void a_layer_is_forgotten_with_its_last_reference(void **state)
{
    SCOPED(metrics) struct metrics *metrics = new_metrics();
    struct metrics_layer *first = layer_of(metrics, DIGEST_A),
                         *second = layer_of(metrics, DIGEST_A);
    SCOPED(buf_value) struct buf buf = BUF_EMPTY;

    (void)state;
    assert_ptr_equal(first, second);
    metrics_count(first, METRICS_READS, 1);
    metrics_layer_unref(first);
    assert_has(text_of(metrics, &buf), DIGEST_A);
    metrics_layer_unref(second);
    assert_has_not(text_of(metrics, &buf), DIGEST_A);
    first = layer_of(metrics, DIGEST_A);
    assert_has_not(text_of(metrics, &buf), DIGEST_A); /* and starts from 0 */
    metrics_layer_unref(first);
}

static void more_layers_than_there_may_be_are_counted_together(void **state)
{
    SCOPED(metrics) struct metrics *metrics = new_metrics();
    static struct metrics_layer *layers[METRICS_LAYERS_MAX + 1];
    SCOPED(buf_value) struct buf buf = BUF_EMPTY;
    struct digest digest = {.sha256 = {0}};

    (void)state;
    for (size_t i = 0; i <= METRICS_LAYERS_MAX; i++) {
        digest.sha256[0] = (uint8_t)(i >> 8);
        digest.sha256[1] = (uint8_t)i;
        layers[i] = metrics_layer_ref(metrics, &digest);
    }
    assert_ptr_equal(layers[METRICS_LAYERS_MAX], metrics_no_layer(metrics));
    metrics_count(layers[METRICS_LAYERS_MAX], METRICS_READS, 1);
    assert_has(text_of(metrics, &buf), "layer=\"\"} 1\n");
    for (size_t i = 0; i <= METRICS_LAYERS_MAX; i++)
        metrics_layer_unref(layers[i]);
}

static void without_metrics_nothing_is_counted(void **state)
{
    struct digest digest = {.sha256 = {0}};
    struct metrics_layer *layer = metrics_layer_ref(NULL, &digest);

    (void)state;
    assert_null(layer);
    assert_null(metrics_no_layer(NULL));
    metrics_count(layer, METRICS_READS, 1);
    metrics_since(layer, METRICS_MOUNT, 0);
    metrics_layer_unref(layer);
}

/* ---- several threads ------------------------------------------------------------------------- */

enum { THREADS = 4, ROUNDS = 2000 };

static void *count_often(void *metrics)
{
    for (int i = 0; i < ROUNDS; i++) {
        struct metrics_layer *layer = layer_of(metrics, DIGEST_A);

        metrics_count(layer, METRICS_READS, 1);
        metrics_took_ns(layer, METRICS_SYNCHRONOUS_READ, i * 1000);
        metrics_layer_unref(layer);
    }
    return NULL;
}

static void nothing_is_lost_when_several_count_while_it_is_read(void **state)
{
    SCOPED(metrics) struct metrics *metrics = new_metrics();
    SCOPED(metrics_layer) struct metrics_layer *layer = layer_of(metrics, DIGEST_A);
    SCOPED(buf_value) struct buf buf = BUF_EMPTY;
    pthread_t threads[THREADS];

    (void)state;
    (void)layer; /* kept for what the threads count */
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_often, metrics), 0);
    for (size_t i = 0; i < 20; i++)
        assert_well_formed(text_of(metrics, &buf));
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_has(text_of(metrics, &buf), COUNT_A("synchronous_read_count") "8000\n");
    assert_has(text_of(metrics, &buf), "le=\"+Inf\"} 8000\n");
}

/* ---- the rest of the text -------------------------------------------------------------------- */

static void labels_are_escaped(void **state)
{
    const struct metrics_labels labels = {"digest", "a", "mountpoint", "/x \"y\"\\z\n{}"};
    SCOPED(buf_value) struct buf buf = BUF_EMPTY;

    (void)state;
    assert_ok(metrics_write_head(&buf, "n", "counter", "h"));
    assert_ok(metrics_write_sample(&buf, "n", &labels, 12));
    assert_string_equal(buf_str(&buf),
                        "# HELP n h\n# TYPE n counter\n"
                        "n{digest=\"a\",mountpoint=\"/x \\\"y\\\"\\\\z\\n{}\"} 12\n");
    assert_well_formed(buf_str(&buf));
}

static double value_of(const char *text, const char *name)
{
    SCOPED(mem) char *line = text_format("\n%s ", name);
    const char *at;

    assert_non_null(line);
    at = strstr(text, line);
    if (at == NULL)
        fail_msg("no %s", name);
    return at == NULL ? 0 : strtod(at + strlen(line), NULL);
}

static void the_process_tells_of_itself(void **state)
{
    SCOPED(buf_value) struct buf buf = BUF_EMPTY;
    double now_s = (double)clock_wall_ms() / 1000;
    const char *text;

    (void)state;
    assert_ok(metrics_write_process(&buf));
    text = buf_str(&buf);
    assert_well_formed(text);
    assert_true(value_of(text, "process_resident_memory_bytes") > 100e3);
    assert_true(value_of(text, "process_virtual_memory_bytes") >=
                value_of(text, "process_resident_memory_bytes"));
    assert_true(value_of(text, "process_open_fds") >= 3);
    assert_true(value_of(text, "process_max_fds") >= value_of(text, "process_open_fds"));
    assert_true(value_of(text, "process_cpu_seconds_total") >= 0);
    assert_true(value_of(text, "process_start_time_seconds") > now_s - 3600);
    assert_true(value_of(text, "process_start_time_seconds") < now_s + 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_checker_sees_what_is_wrong),
        cmocka_unit_test(each_operation_has_its_name_metric_and_layer),
        cmocka_unit_test(every_duration_is_a_histogram_in_its_unit),
        cmocka_unit_test(a_duration_at_a_bound_is_in_its_bucket),
        cmocka_unit_test(microseconds_end_at_1024),
        cmocka_unit_test(a_layer_is_forgotten_with_its_last_reference),
        cmocka_unit_test(more_layers_than_there_may_be_are_counted_together),
        cmocka_unit_test(without_metrics_nothing_is_counted),
        cmocka_unit_test(nothing_is_lost_when_several_count_while_it_is_read),
        cmocka_unit_test(labels_are_escaped),
        cmocka_unit_test(the_process_tells_of_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
