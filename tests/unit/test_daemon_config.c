/* SPDX-License-Identifier: Apache-2.0 */
/* test_daemon_config.c – config.toml: keys that count, keys that do not, and what is refused. */
#include "test.h"

#include "daemon/config.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static int parse(const char *text, struct config *config, struct err *err)
{
    return config_parse(bytes_of_str(text), config, err);
}

static void both_ways_to_find_an_index_are_on_by_default(void **state)
{
    SCOPED(config) struct config c = config_default();

    (void)state;
    assert_true(c.v1_enabled);
    assert_true(c.v2_enabled);
    assert_false(c.background.disable);
    assert_int_equal(c.mount_timeout_s, 30);
    assert_int_equal(c.http.max_retries, 8);
}

static void keys_of_every_table_are_read(void **state)
{
    SCOPED(config) struct config c = config_default();
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(parse("mount_timeout_sec = 7\n"
                    "[http]\nMaxRetries = 3\ndialtimeoutmsec = 1500\n"
                    "[background_fetch]\ndisable = true\n"
                    "[pull_modes.soci_v1]\nenable = false\n"
                    "[snapshotter]\nmin_layer_size = 1000\n",
                    &c, &err));
    assert_int_equal(c.mount_timeout_s, 7);
    assert_int_equal(c.http.max_retries, 3);
    assert_int_equal(c.http.dial_timeout_ms, 1500); /* in any case of letters */
    assert_true(c.background.disable);
    assert_false(c.v1_enabled);
    assert_true(c.v2_enabled);
    assert_int_equal(c.min_layer_bytes, 1000);
}

static void zero_means_the_default(void **state)
{
    SCOPED(config) struct config c = config_default();
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(parse("mount_timeout_sec = 0\n[http]\nMaxRetries = 0\n", &c, &err));
    assert_int_equal(c.mount_timeout_s, 30);
    assert_int_equal(c.http.max_retries, 8);
}

static void unknown_keys_are_passed_over_and_listed_with_their_lines(void **state)
{
    SCOPED(config) struct config c = config_default();
    SCOPED(buf_value) struct buf unknown = BUF_EMPTY;
    SCOPED(buf_value) struct buf unused = BUF_EMPTY;
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(parse("nonsense = 1.5\n[fuse]\n[[a.b]]\nc = [1, [2, {d = 3}]]\n[http]\nMaxRetry = 3\n"
                    "[pull_modes.soci_v3]\nenable = true\n",
                    &c, &err));
    assert_int_equal(c.mount_timeout_s, 30);
    assert_ok(config_list_unknown(&c, &unknown));
    assert_string_equal(
        buf_str(&unknown),
        "a (line 3), http.MaxRetry (line 6), nonsense (line 1), pull_modes.soci_v3 (line 7)");
    assert_ok(config_list_unused(&c, &unused));
    assert_int_equal(unused.len, 0);
}

static void a_quoted_name_with_a_dot_is_not_a_path(void **state)
{
    SCOPED(config) struct config c = config_default();
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(parse("\"http.MaxRetries\" = 3\n", &c, &err));
    assert_int_equal(c.http.max_retries, 8);
    assert_int_equal(c.unknown.count, 1);
}

static void the_list_of_unknown_keys_has_an_end(void **state)
{
    SCOPED(config) struct config c = config_default();
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    struct err err = ERR_NONE;

    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_ok(buf_addf(&text, "key%d = 1\n", i));
    assert_ok(config_parse(buf_bytes(&text), &c, &err));
    assert_int_equal(c.unknown.count, 21);
    assert_string_equal(c.unknown.items[20], "and more");
}

static void keys_without_meaning_are_listed_when_they_are_not_their_defaults(void **state)
{
    SCOPED(config) struct config c = config_default();
    SCOPED(buf_value) struct buf unused = BUF_EMPTY;
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(parse("namespace = \"finch\"\nresolve_result_entry = 50\nmetadata_store = \"db\"\n"
                    "[directory_cache]\nmax_cache_fds = 0\ndirect = false\n"
                    "[snapshotter]\nallow_invalid_mounts_on_restart = true\n",
                    &c, &err));
    assert_ok(config_list_unused(&c, &unused));
    assert_string_equal(buf_str(&unused),
                        "resolve_result_entry (line 2), directory_cache.direct (line 6)");
    assert_int_equal(c.unknown.count, 0);
}

static void programs_that_unpack_layers_are_read_and_printed(void **state)
{
    SCOPED(config) struct config c = config_default();
    SCOPED(config) struct config again = config_default();
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    const struct config_stream *gzip = &again.parallel.streams[CONFIG_STREAM_GZIP];
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(parse("[pull_modes.parallel_pull_unpack.decompress_streams.\"gzip\"]\n"
                    "path = \"/usr/bin/unpigz\"\nargs = [\"-d\", \"-c\"]\n"
                    "[pull_modes.parallel_pull_unpack.decompress_streams.bzip2]\n"
                    "path = \"bunzip2\"\n",
                    &c, &err));
    assert_ok(config_print(&c, &text));
    assert_ok(config_parse(buf_bytes(&text), &again, &err));
    assert_string_equal(gzip->path, "/usr/bin/unpigz");
    assert_int_equal(gzip->args.count, 2);
    assert_string_equal(gzip->args.items[0], "-d");
    assert_string_equal(gzip->args.items[1], "-c");
    assert_null(again.parallel.streams[CONFIG_STREAM_ZSTD].path);
    assert_true(c.unknown.count > 0); /* no layer is packed so */
}

static void an_insecure_mirror_names_a_plain_http_registry_once(void **state)
{
    SCOPED(config) struct config c = config_default();
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(parse(
        "[[resolver.host.\"reg.example:5000\".mirrors]]\nhost = \"http://a\"\ninsecure = true\n"
        "[[resolver.host.\"reg.example:5000\".mirrors]]\ninsecure = true\n"
        "[[resolver.host.\"safe.example\".mirrors]]\ninsecure = false\n",
        &c, &err));
    assert_int_equal(c.plain_http_hosts.count, 1);
    assert_string_equal(c.plain_http_hosts.items[0], "reg.example:5000");
}

static void an_insecure_mirror_elsewhere_says_nothing_of_the_registry(void **state)
{
    SCOPED(config) struct config c = config_default();
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(parse(
        "[[resolver.host.\"a.example\".mirrors]]\nhost = \"http://m\"\ninsecure = true\n"
        "[[resolver.host.\"b.example\".mirrors]]\nInsecure = true\nhost = \"https://m/b.example\"\n"
        "[[resolver.host.\"c.example\".mirrors]]\nhost = \"https://C.example/v2\"\n"
        "insecure = true\n"
        "[[resolver.host.\"d.example:5000\".mirrors]]\nhost = \"https://d.example\"\n"
        "insecure = true\n",
        &c, &err));
    assert_int_equal(c.plain_http_hosts.count, 1);
    assert_string_equal(c.plain_http_hosts.items[0], "c.example");
    for (size_t i = 0; i < c.mirror_count; i++)
        assert_true(c.mirrors[i].insecure);
}

static void mirrors_are_kept_in_their_order(void **state)
{
    SCOPED(config) struct config c = config_default();
    struct err err = ERR_NONE;
    (void)state;

    assert_ok(parse("[[resolver.host.\"reg.example\".mirrors]]\nhost = \"http://a:1\"\n"
                    "request_timeout_sec = -7\n"
                    "[[resolver.host.\"reg.example\".mirrors]]\nhost = \"https://b/v2/x\"\n"
                    "insecure = true\nrequest_timeout_sec = 5\n"
                    "[[resolver.host.\"other.example\".mirrors]]\nhost = \"https://c\"\n",
                    &c, &err));
    assert_int_equal(c.mirror_count, 3);
    for (size_t i = 0; i < c.mirror_count; i++) {
        const struct config_mirror *m = &c.mirrors[i];

        if (strcmp(m->of, "other.example") == 0) {
            assert_string_equal(m->url, "https://c");
            assert_int_equal(m->request_timeout_s, 0);
        } else if (strcmp(m->number, "0") == 0) {
            assert_string_equal(m->url, "http://a:1");
            assert_false(m->insecure);
            assert_int_equal(m->request_timeout_s, -1);
        } else {
            assert_string_equal(m->url, "https://b/v2/x");
            assert_true(m->insecure);
            assert_int_equal(m->request_timeout_s, 5);
            assert_string_equal(c.mirrors[i - 1].url, "http://a:1");
        }
    }
}

static void a_mirror_that_is_no_address_is_refused_with_its_line(void **state)
{
    static const char *const bad[] = {"127.0.0.1:5000", "mirror",     "ftp://m", "http://",
                                      "https:///x",     "http://a b", ""};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        SCOPED(config) struct config c = config_default();
        SCOPED(mem)
        char *text =
            text_format("[[resolver.host.\"reg.example\".mirrors]]\nhost = \"%s\"\n", bad[i]);
        struct err err = ERR_NONE;

        if (parse(text, &c, &err) != -ERANGE)
            fail_msg("%s", bad[i]);
        assert_non_null(
            strstr(err_text(&err), "line 2: resolver.host.\"reg.example\".mirrors: host"));
    }
}

static void a_mirror_of_what_is_no_host_name_is_refused(void **state)
{
    SCOPED(config) struct config c = config_default();
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(parse("[[resolver.host.\"\".mirrors]]\ninsecure = true\n", &c, &err), -EINVAL);
    assert_int_equal(parse("[[resolver.host.\"a b\".mirrors]]\ninsecure = true\n", &c, &err),
                     -EINVAL);
    assert_int_equal(parse("[[resolver.host.\"\\u0902\".mirrors]]\ninsecure = true\n", &c, &err),
                     -EINVAL);
    assert_int_equal(c.plain_http_hosts.count, 0);
}

static void a_value_of_the_wrong_type_is_refused_with_key_and_line(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"\n[background_fetch]\ndisable = 1\n",
         "toml: line 3: background_fetch.disable must be true or false"},
        {"mount_timeout_sec = \"30\"\n", "toml: line 1: mount_timeout_sec must be a whole number"},
        {"[http]\nMaxRetries = 1.5\n", "toml: line 2: http.MaxRetries must be a whole number"},
        {"[mount_timeout_sec]\n", "toml: line 1: mount_timeout_sec must be a whole number"},
        {"[mount_timeout_sec]\na = 1\n", "toml: line 1: mount_timeout_sec must be a whole number"},
        {"metrics_address = [\"a\"]\n", "toml: line 1: metrics_address must be a string"},
        {"metrics_address = 9100\n", "toml: line 1: metrics_address must be a string"},
        {"metadata_store = \"\\n\"\n", "toml: line 1: metadata_store must be printable ASCII"},
        {"\nfuse = 1.5\n", "toml: line 2: fuse must be a table"},
        {"[[http]]\nMaxRetries = 1\n", "toml: line 1: http must be a table"},
        {"pull_modes.soci_v1 = true\n", "toml: line 1: pull_modes.soci_v1 must be a table"},
        {"[resolver]\nhost = 3\n", "toml: line 2: host must be a table"},
        {"[resolver.host.\"a\"]\nmirrors = true\n",
         "toml: line 2: mirrors must be an array of tables"},
        {"[resolver.host.\"a\"]\nmirrors = [1]\n", "toml: line 2: a mirror must be a table"},
        {"[[resolver.host.\"a\".mirrors]]\nhost = 1\n", "toml: line 2: host must be a string"},
        {"[pull_modes.parallel_pull_unpack.decompress_streams.gzip]\nargs = [1]\n",
         "toml: line 2: args must be a list of strings"},
        {"[pull_modes.parallel_pull_unpack.decompress_streams.gzip]\npath = [\"a\"]\n",
         "toml: line 2: path must be a string"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        SCOPED(config) struct config c = config_default();
        struct err err = ERR_NONE;

        assert_int_equal(parse(cases[i].text, &c, &err), -EINVAL);
        assert_string_equal(err.text, cases[i].says);
    }
}

static void layers_are_kept_by_a_mode_that_is_on_in_a_store_that_can(void **state)
{
    static const struct {
        const char *text;
        bool keeps;
    } cases[] = {
        {"", false},
        {"[content_store]\ntype = \"containerd\"\n", false},
        {"[pull_modes.parallel_pull_unpack]\nenable = true\n", false},
        {"[content_store]\ntype = \"soci\"\n[pull_modes.parallel_pull_unpack]\nenable = true\n"
         "discard_unpacked_layers = false\n",
         false},
        {"[content_store]\ntype = \"containerd\"\n[pull_modes.parallel_pull_unpack]\nenable = "
         "true\n",
         true},
        {"[content_store]\ntype = \"containerd\"\n[pull_modes.parallel_pull_unpack]\n"
         "experimental_parallel_pull_as_fallback = true\n",
         true},
        {"[content_store]\ntype = \"containerd\"\n[pull_modes.parallel_pull_unpack]\nenable = "
         "true\ndiscard_unpacked_layers = true\n",
         false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        SCOPED(config) struct config c = config_default();
        struct err err = ERR_NONE;

        assert_ok(parse(cases[i].text, &c, &err));
        assert_int_equal(config_keeps_layers(&c), cases[i].keeps);
    }
}

static void a_value_that_makes_no_sense_is_refused_with_key_and_line(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"mount_timeout_sec = -1\n", "line 1: mount_timeout_sec must be between 0 and 86400"},
        {"[http]\nMinWaitMsec = 9223372036854775807\n",
         "line 2: http.MinWaitMsec must be between 0 and 86400000"},
        {"[blob]\nmax_span_verification_retries = 101\n",
         "line 2: blob.max_span_verification_retries must be at most 100"},
        {"metadata_store = \"bolt\"\n", "line 1: metadata_store: unknown metadata store type: "
                                        "bolt; must be db or db-multi"},
        {"[content_store]\ntype = \"oci\"\n",
         "line 2: content_store.type: unknown content store type: oci; must be one of [soci "
         "containerd]"},
        {"[background_fetch]\ndrop_policy = \"new\"\n",
         "line 2: background_fetch.drop_policy must be \"oldest\" or \"newest\", got \"new\""},
        {"metrics_address = \"9100\"\n",
         "line 1: metrics_address: \"9100\" has no port at its end, as in 127.0.0.1:9100"},
        {"metrics_network = \"unix\"\nmetrics_address = \":9100\"\n",
         "line 2: metrics_address: \":9100\" is no absolute path of at most 107 bytes"},
        {"backend = \"loop\"\n",
         "line 1: backend must be \"auto\", \"erofs\" or \"fuse\", got \"loop\""},
        {"metrics_network = \"udp\"\n",
         "line 1: metrics_network must be \"tcp\" or \"unix\", got \"udp\""},
        {"[pull_modes.parallel_pull_unpack]\nmax_concurrent_downloads = "
         "2\nmax_concurrent_downloads_per_image = 3\n",
         "line 2: pull_modes.parallel_pull_unpack.max_concurrent_downloads: global download limit "
         "less than per-image download limit"},
        {"[pull_modes.parallel_pull_unpack]\nmax_concurrent_unpacks_per_image = "
         "3\nmax_concurrent_unpacks = 2\n",
         "line 3: pull_modes.parallel_pull_unpack.max_concurrent_unpacks: global unpack limit less "
         "than per-image unpack limit"},
        {"[pull_modes.parallel_pull_unpack.decompress_streams.zstd]\nargs = [\"-d\"]\n",
         "line 1: pull_modes.parallel_pull_unpack.decompress_streams.zstd: path is missing"},
        {"[pull_modes.parallel_pull_unpack]\nconcurrent_download_chunk_size = \"8 mib\"\n",
         "line 2: pull_modes.parallel_pull_unpack.concurrent_download_chunk_size: invalid size "
         "format: 8 mib"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        SCOPED(config) struct config c = config_default();
        struct err err = ERR_NONE;

        assert_int_equal(parse(cases[i].text, &c, &err), -ERANGE);
        assert_string_equal(err.text, cases[i].says);
    }
}

static void sizes_are_numbers_with_a_unit_of_1024(void **state)
{
    static const char *const bad[] = {"b",   "8 mib", "-1",           "1..5", "0x10",
                                      "1e3", "mb 8",  "9999999999gb", "inf",  " 1"};
    uint64_t bytes = 0;

    (void)state;
    assert_ok(config_size("8mb", &bytes));
    assert_int_equal(bytes, 8 << 20);
    assert_ok(config_size("1.5 GB", &bytes));
    assert_int_equal(bytes, 3u << 29);
    assert_ok(config_size("512", &bytes));
    assert_int_equal(bytes, 512);
    assert_ok(config_size("2Kb", &bytes));
    assert_int_equal(bytes, 2048);
    assert_ok(config_size("", &bytes));
    assert_int_equal(bytes, 0);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(config_size(bad[i], &bytes), -EINVAL);
}

static void what_is_no_toml_is_refused_with_its_place(void **state)
{
    SCOPED(config) struct config c = config_default();
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(parse("a = 1\na = 2\n", &c, &err), -EINVAL);
    assert_non_null(strstr(err.text, "toml: line 2"));
    assert_int_equal(parse("a = \n", &c, &err), -EINVAL);
    assert_int_equal(parse("a = \"\xff\"\n", &c, &err), -EINVAL);
}

static void a_string_with_a_nul_inside_is_refused(void **state)
{
    SCOPED(config) struct config c = config_default();
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(parse("a = \"x\\u0000y\"\n", &c, &err), -EINVAL);
    assert_int_equal(
        parse("[resolver.host.\"a\\u0000b\"]\nmirrors = [{insecure = true}]\n", &c, &err), -EINVAL);
    assert_int_equal(c.plain_http_hosts.count, 0);
}

static void characters_beyond_ascii_are_for_strings_and_comments(void **state)
{
    SCOPED(config) struct config c = config_default();
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(
        parse("\xEF\xBB\xBF# \u041f\u3000\na = \"\u00e9 \u041f\"\nmount_timeout_sec = 5 # \u00e9\n",
              &c, &err));
    assert_int_equal(c.mount_timeout_s, 5);
    assert_int_equal(parse("\u041f = 1\n", &c, &err), -EINVAL);
    assert_int_equal(parse("a\u00a1= 1\n", &c, &err), -EINVAL);
    assert_int_equal(parse("a = 1 \u3001\n", &c, &err), -EINVAL);
}

static void a_text_of_ours_with_characters_beyond_ascii_is_refused_and_not_changed(void **state)
{
    SCOPED(config) struct config c = config_default();
    SCOPED(config) struct config other = config_default();
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(parse("metrics_address = \"/run/\u00e9\"\n", &c, &err), -EINVAL);
    assert_string_equal(err.text, "toml: line 1: metrics_address must be printable ASCII");
    assert_int_equal(parse("metrics_address = \"/run/\\u00e9\"\n", &c, &err), -EINVAL);
    assert_ok(parse("# \u00e9\nmetrics_network = \"unix\"\nmetrics_address = \"/run/e\"\n", &other,
                    &err));
    assert_string_equal(other.metrics_address, "/run/e");
}

static void a_file_that_is_refused_is_named_with_what_it_was_refused_for(void **state)
{
    SCOPED(config) struct config c = config_default();
    char path[] = "/tmp/config-XXXXXX", expected[256];
    struct err err = ERR_NONE;
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    assert_ok(file_replace(path, bytes_of_str("debug = 1\n"), 0600, &err));
    assert_int_equal(config_load(path, true, &c, &err), -EINVAL);
    (void)snprintf(expected, sizeof(expected),
                   "failed to load config file \"%s\": toml: line 1: debug must be true or false",
                   path);
    assert_string_equal(err.text, expected);
    assert_ok(file_replace(path, bytes_of_str("mount_timeout_sec = -5\n"), 0600, &err));
    assert_int_equal(config_load(path, true, &c, &err), -ERANGE);
    (void)snprintf(expected, sizeof(expected),
                   "config file at \"%s\": failed to parse config: line 1: mount_timeout_sec must "
                   "be between 0 and 86400",
                   path);
    assert_string_equal(err.text, expected);
    assert_int_equal(unlink(path), 0);
}

static void deep_nesting_ends_in_an_error_and_not_on_the_stack(void **state)
{
    SCOPED(config) struct config c = config_default();
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(buf_add_str(&text, "a = "));
    for (int i = 0; i < 100000; i++)
        assert_ok(buf_add_byte(&text, '['));
    assert_int_equal(config_parse(buf_bytes(&text), &c, &err), -EINVAL);
}

static void a_missing_file_is_an_error_only_when_it_was_named(void **state)
{
    SCOPED(config) struct config c = config_default();
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(config_load("/nonexistent/config.toml", true, &c, &err));
    assert_int_equal(config_load("/nonexistent/config.toml", false, &c, &err), -ENOENT);
    assert_non_null(strstr(err.text, "failed to open config file \"/nonexistent/config.toml\""));
}

static void what_is_printed_reads_back_as_it_was(void **state)
{
    SCOPED(config) struct config c = config_default();
    SCOPED(config) struct config again = config_default();
    SCOPED(buf_value) struct buf first = BUF_EMPTY;
    SCOPED(buf_value) struct buf second = BUF_EMPTY;
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(parse(
        "mount_timeout_sec = 9\n[http]\nMaxRetries = -1\n[pull_modes.soci_v2]\nenable = false\n"
        "[[resolver.host.\"a\\\"b\".mirrors]]\ninsecure = true\n",
        &c, &err));
    assert_ok(config_print(&c, &first));
    assert_ok(config_parse(buf_bytes(&first), &again, &err));
    assert_ok(config_print(&again, &second));
    assert_string_equal(buf_str(&first), buf_str(&second));
    assert_int_equal(again.mount_timeout_s, 9);
    assert_int_equal(again.http.max_retries, -1);
    assert_false(again.v2_enabled);
    assert_string_equal(again.plain_http_hosts.items[0], "a\"b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways_to_find_an_index_are_on_by_default),
        cmocka_unit_test(keys_of_every_table_are_read),
        cmocka_unit_test(zero_means_the_default),
        cmocka_unit_test(unknown_keys_are_passed_over_and_listed_with_their_lines),
        cmocka_unit_test(a_quoted_name_with_a_dot_is_not_a_path),
        cmocka_unit_test(the_list_of_unknown_keys_has_an_end),
        cmocka_unit_test(keys_without_meaning_are_listed_when_they_are_not_their_defaults),
        cmocka_unit_test(sizes_are_numbers_with_a_unit_of_1024),
        cmocka_unit_test(programs_that_unpack_layers_are_read_and_printed),
        cmocka_unit_test(an_insecure_mirror_names_a_plain_http_registry_once),
        cmocka_unit_test(an_insecure_mirror_elsewhere_says_nothing_of_the_registry),
        cmocka_unit_test(mirrors_are_kept_in_their_order),
        cmocka_unit_test(a_mirror_that_is_no_address_is_refused_with_its_line),
        cmocka_unit_test(a_mirror_of_what_is_no_host_name_is_refused),
        cmocka_unit_test(a_value_of_the_wrong_type_is_refused_with_key_and_line),
        cmocka_unit_test(layers_are_kept_by_a_mode_that_is_on_in_a_store_that_can),
        cmocka_unit_test(a_value_that_makes_no_sense_is_refused_with_key_and_line),
        cmocka_unit_test(what_is_no_toml_is_refused_with_its_place),
        cmocka_unit_test(a_string_with_a_nul_inside_is_refused),
        cmocka_unit_test(characters_beyond_ascii_are_for_strings_and_comments),
        cmocka_unit_test(a_text_of_ours_with_characters_beyond_ascii_is_refused_and_not_changed),
        cmocka_unit_test(a_file_that_is_refused_is_named_with_what_it_was_refused_for),
        cmocka_unit_test(deep_nesting_ends_in_an_error_and_not_on_the_stack),
        cmocka_unit_test(a_missing_file_is_an_error_only_when_it_was_named),
        cmocka_unit_test(what_is_printed_reads_back_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
