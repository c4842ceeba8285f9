/* SPDX-License-Identifier: Apache-2.0 */
/* test_doctor_scrub.c – what leaves this computer holds no secret, wherever one was. */
#include "test.h"

#include "doctor/doctor.h"

#include <errno.h>
#include <zlib.h>

static void scrubs_to(const char *text, const char *wanted)
{
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    SCOPED(mem) char *line = text_format("%s\n", wanted);

    assert_ok(doctor_scrub(bytes_of_str(text), &out));
    assert_string_equal(buf_str(&out), line);
}

static void an_address_keeps_its_host_and_path_alone(void **state)
{
    (void)state;
    scrubs_to("GET https://ann:hunter2@r.example/v2/app?X-Amz-Signature=abc&b=c: 403",
              "GET https://***@r.example/v2/app?*** 403");
    scrubs_to("proxy http://ann@proxy:3128", "proxy http://***@proxy:3128");
    scrubs_to("url=\"https://r.example/a?sig=abc\" next", "url=\"https://r.example/a?***\" next");
    scrubs_to("GET /v2/a?token=abc&x=y HTTP/1.1", "GET /v2/a?*** HTTP/1.1");
    scrubs_to("see https://r.example/v2/ and why?", "see https://r.example/v2/ and why?");
    scrubs_to("https://a@b@r.example/", "https://***@r.example/");
}

static void headers_lose_what_they_carry(void **state)
{
    (void)state;
    scrubs_to("Authorization: Bearer abc.def", "Authorization: ***");
    scrubs_to("> authorization:Basic YW5uOmE=", "> authorization:***");
    scrubs_to("\"Authorization\":\"Basic YW5u\",\"a\":1", "\"Authorization\":\"***\",\"a\":1");
    scrubs_to("got bearer abcdef, then", "got bearer ***, then");
    scrubs_to("Set-Cookie: a=b; c=d", "Set-Cookie: ***");
    scrubs_to("X-Amz-Security-Token: abc", "X-Amz-Security-Token: ***");
}

static void values_of_secret_names_go_however_they_are_written(void **state)
{
    (void)state;
    scrubs_to("password = \"a b c\" # x", "password = \"***\" # x");
    scrubs_to("registry_token: abc", "registry_token: ***");
    scrubs_to("{\\\"identitytoken\\\":\\\"abc\\\"}", "{\\\"identitytoken\\\":\\\"***");
    scrubs_to("AWS_SECRET_ACCESS_KEY=abc/def+g next", "AWS_SECRET_ACCESS_KEY=*** next");
    scrubs_to("\"COSIGN_PASSWORD=a b\" c", "\"COSIGN_PASSWORD=***\" c");
    scrubs_to("\"auths\": {\"r\": {\"auth\": \"YW5u\"}}", "\"auths\": ***");
    scrubs_to("  \"auth\": \"YW5uOnNlY3JldA==\",", "  \"auth\": \"***\",");
    scrubs_to("secret='it''s'", "secret='***''s'");
}

/* In hosts.toml, finch.yaml, config.json, units, logs of all kinds, and what people type. */
static void nothing_secret_gets_through(void **state)
{
    static const char *const lines[] = {
        "https_proxy=http://bob:SECRET@proxy.corp:3128",
        "HTTPS_PROXY: http://bob:SECRET@proxy:3128/",
        "proxy = \"bob:SECRET@proxy.corp:3128\"",
        "Environment=\"HTTPS_PROXY=http://bob:SECRET@proxy\" NO_PROXY=x",
        "Environment=REGISTRY_AUTH='{\"auths\":{\"x\":{\"auth\":\"SECRET\"}}}'",
        "  header = { Authorization = [\"Bearer SECRET\"] }",
        "  x-api-token = \"SECRET\"",
        "  Authorization = [\"Basic SECRET\"]",
        "X-Amz-Security-Token: SECRET",
        "GET /v2/app/blobs/sha256:abc?X-Amz-Signature=SECRET&X-Amz-Date=1 HTTP/1.1",
        "url=https://bucket.s3.amazonaws.com/x%3FX-Amz-Signature%3DSECRET",
        "redirect to \"https://cdn.example/x?sig=SECRET&se=2\"",
        "Get \"https://r.example/token?account=u&password=SECRET\": dial tcp",
        "--password SECRET",
        "nerdctl login -u bob -p SECRET r.example",
        "--token SECRET --x",
        "password SECRET",
        "PASSWORD: \"a \\\"SECRET\\\" b\"",
        "aws_secret_access_key = SECRET",
        "AWS_SESSION_TOKEN SECRET",
        "{\"auth\":\"SECRET\",\"identitytoken\":\"SECRET\",\"registrytoken\":\"SECRET\"}",
        "{\\\"auth\\\":\\\"SECRET\\\"}",
        "curl -H \"Authorization: Bearer SECRET\" https://x",
        "curl -u bob:SECRET https://x",
        "curl --user bob:SECRET https://x",
        "Cookie: a=SECRET; b=SECRET",
        "Proxy-Authorization: Basic SECRET",
        "authorization=Bearer%20SECRET",
        "\"password\" : \"SECRET\"",
        "'password':'SECRET'",
        "password=SECRET,SECRET",
        "pass: SECRET",
        "PGPASS=SECRET",
        "DB_PASS=SECRET",
        "MY_KEY=SECRET",
        "client-key: SECRET",
        "Bearer\tSECRET",
        "basic_auth = \"bob:SECRET\"",
        "//registry/:_authToken=SECRET",
        "machine r.example login bob password SECRET",
        "realm=\"https://auth/token\",service=\"x\" token SECRET1",
        "level=info msg=\"login\" username=bob password=SECRET host=x",
        "eyJhbGciOiJIUzI1NiJ9.eyJSECRET.SECRETsig",
        "x=eyJhbGciSECRET",
        "glpat-SECRET12345",
        "AKIASECRETABCDEF",
        "password=\"SECRET with space\"",
        "password='SECRET with' ",
        "Password=SECRET",
        "https://bob:SECRET@host:80/path",
        "bob:SECRET@registry.example/v2",
        "ftp://x?y=SECRET",
        "https://host/path;token=SECRET",
        "https://host/path#access_token=SECRET",
        "sha256~SECRET",
        "https://user%40x:SECRET@h/",
        "http_proxy=bob:SECRET@proxy:3128",
        "ExecStart=/bin/x --password=SECRET",
        "ExecStart=/bin/x --docker-password SECRET",
        "SetCredential=foo:SECRET",
        "Nov 21 lima x[1]: password: SECRET",
        "passwd:SECRET",
        "secret SECRET1",
        "GET https://r/v2/x?Signature=SECRET&Key-Pair-Id=SECRET",
        "{\"url\":\"https:\\/\\/bob:SECRET@r.example\\/x?y=SECRET\"}",
        "{\"header\":{\"X-Auth-Token\":[\"SECRET\"]}}",
        "{\"Env\":[\"FOO=SECRET\",\"DB_PASSWORD=SECRET\"]}",
        "-e API_KEY=SECRET -e OTHER=x"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        SCOPED(buf_value) struct buf out = BUF_EMPTY;

        assert_ok(doctor_scrub(bytes_of_str(lines[i]), &out));
        if (strstr(buf_str(&out), "SECRET") != NULL)
            fail_msg("%s came out as %s", lines[i], buf_str(&out));
    }
}

static void scrubs_all_to(const char *text, const char *wanted)
{
    SCOPED(buf_value) struct buf out = BUF_EMPTY;

    assert_ok(doctor_scrub(bytes_of_str(text), &out));
    assert_string_equal(buf_str(&out), wanted);
}

static void a_block_hides_its_lines_and_ends(void **state)
{
    (void)state;
    scrubs_all_to("[host.\"https://r\".header]\n  x-a = [\"a\",\n  \"b\"]\n# x\n\n[next]\na = 1\n",
                  "[host.\"https://r\".header]\n  x-a = ***\n***\n# x\n\n[next]\na = 1\n");
    scrubs_all_to("env:\n  PATH: /bin\n  FOO: a\n  L:\n  - b\nimages:\n- c\n",
                  "env:\n  PATH: /bin\n  FOO: ***\n  L: ***\n***\nimages:\n- c\n");
    scrubs_all_to("Environment=A=1 \\\n  B=2 \\\n  \"C=3 4\"\nExecStart=/x\n",
                  "Environment=A=*** \\\n  B=*** \\\n  C=***\nExecStart=/x\n");
}

static void what_is_no_secret_stays(void **state)
{
    static const char *const plain[] = {
        "ok  finch.yaml  soci is listed: /home/u/.finch/finch.yaml",
        "{\"credsStore\":\"finchhost\"}",
        "level=info msg=\"layer mounted\" layer=sha256:0123 took_ms=4",
        "DOCKER_CONFIG=/home/lima.guest/.finch-vm-config",
        "[proxy_plugins.soci]",
        "pulled r.example/app:1@sha256:0123, user@host 12:00:01 a@b",
        "the token is of no use; a password",
        "systemctl --user show -p MainPID",
        "Environment=DOCKER_CONFIG=/home/u SUDO_UID=501",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(plain); i++)
        scrubs_to(plain[i], plain[i]);
}

static void variables_of_units_lose_what_is_not_known_to_be_harmless(void **state)
{
    (void)state;
    scrubs_to("Environment=PATH=/bin \"MY_THING=a b\" OTHER=c",
              "Environment=PATH=/bin MY_THING=*** OTHER=***");
    scrubs_to("Environment=", "Environment=");
}

static void keys_and_tokens_are_known_by_their_looks(void **state)
{
    SCOPED(buf_value) struct buf out = BUF_EMPTY;

    (void)state;
    scrubs_to("id AKIAIOSFODNN7EXAMPLE x", "id *** x");
    scrubs_to("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc", "jwt ***");
    scrubs_to("ghp_0123456789abcdef.", "***");
    assert_ok(doctor_scrub(bytes_of_str("a\n-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNz\n"
                                        "-----END OPENSSH PRIVATE KEY-----\nc\n"),
                           &out));
    assert_string_equal(buf_str(&out), "a\n(a private key) ***\nc\n");
}

static void a_key_without_an_end_takes_all_that_follows(void **state)
{
    SCOPED(buf_value) struct buf out = BUF_EMPTY;

    (void)state;
    assert_ok(doctor_scrub(bytes_of_str("-----BEGIN PRIVATE KEY-----\nabc\ndef"), &out));
    assert_null(out.data == NULL ? NULL : strstr(buf_str(&out), "abc"));
}

static void bytes_of_any_kind_are_taken(void **state)
{
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    static const char hostile[] = "a\0password=b\xff\xfe?=://@://\n://";

    (void)state;
    assert_ok(doctor_scrub(bytes_of(hostile, sizeof(hostile)), &out));
    assert_null(memmem(out.data, out.len, "=b", 2));
}

static void dockers_config_shows_helpers_and_registries(void **state)
{
    SCOPED(buf_value) struct buf out = BUF_EMPTY, broken = BUF_EMPTY;

    (void)state;
    assert_ok(doctor_docker_config(
        bytes_of_str("{\"auths\":{\"r.example\":{\"auth\":\"YW5u\",\"other\":\"abc\"}},"
                     "\"credsStore\":\"osxkeychain\",\"HttpHeaders\":{\"X\":\"abc\"}}"),
        &out));
    assert_non_null(strstr(buf_str(&out), "r.example"));
    assert_non_null(strstr(buf_str(&out), "osxkeychain"));
    assert_null(strstr(buf_str(&out), "YW5u"));
    assert_null(strstr(buf_str(&out), "abc"));
    assert_ok(doctor_docker_config(bytes_of_str("{\"auths\": YW5u"), &broken));
    assert_null(strstr(buf_str(&broken), "YW5u"));
}

static void sections_that_make_no_sense_are_refused(void **state)
{
    static const char *const texts[] = {"section ../x 1\na", "section a.txt 5\nab",
                                        "section a.txt\n", "other a 1\n", "section a.txt 1\na"};
    SCOPED(mem) struct doctor_archive *archive = calloc(1, sizeof(*archive));
    struct err err = ERR_NONE;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        assert_int_equal(doctor_parse_sections(bytes_of_str(texts[i]), archive, &err), -EBADMSG);
    doctor_archive_fini(archive);
}

static void an_archive_is_a_tar_in_gzip(void **state)
{
    SCOPED(mem) struct doctor_archive *archive = calloc(1, sizeof(*archive));
    SCOPED(buf_value) struct buf bytes = BUF_EMPTY;
    struct err err = ERR_NONE;
    char tar[8192];
    z_stream z = {.zalloc = NULL};

    (void)state;
    assert_ok(doctor_parse_sections(
        bytes_of_str("section a.txt 12\npassword=ab\nsection b.log 3\nxyzend\n"), archive, &err));
    assert_int_equal(archive->count, 2);
    assert_ok(doctor_archive_encode(archive, 1700000000, &bytes));
    doctor_archive_fini(archive);
    assert_int_equal(inflateInit2(&z, 31), Z_OK);
    z.next_in = bytes.data;
    z.avail_in = (uInt)bytes.len;
    z.next_out = (Bytef *)tar;
    z.avail_out = sizeof(tar);
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    assert_int_equal(z.total_out, 6 * 512);
    assert_int_equal(inflateEnd(&z), Z_OK);
    assert_string_equal(tar, "finch-soci-doctor/guest/a.txt");
    assert_memory_equal(tar + 257, "ustar\00000", 8);
    assert_memory_equal(tar + 512, "password=***\n", 13);
    assert_string_equal(tar + 1024, "finch-soci-doctor/guest/b.log");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_keeps_its_host_and_path_alone),
        cmocka_unit_test(headers_lose_what_they_carry),
        cmocka_unit_test(values_of_secret_names_go_however_they_are_written),
        cmocka_unit_test(nothing_secret_gets_through),
        cmocka_unit_test(a_block_hides_its_lines_and_ends),
        cmocka_unit_test(what_is_no_secret_stays),
        cmocka_unit_test(variables_of_units_lose_what_is_not_known_to_be_harmless),
        cmocka_unit_test(keys_and_tokens_are_known_by_their_looks),
        cmocka_unit_test(a_key_without_an_end_takes_all_that_follows),
        cmocka_unit_test(bytes_of_any_kind_are_taken),
        cmocka_unit_test(dockers_config_shows_helpers_and_registries),
        cmocka_unit_test(sections_that_make_no_sense_are_refused),
        cmocka_unit_test(an_archive_is_a_tar_in_gzip),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
