/* SPDX-License-Identifier: Apache-2.0 */
/* Where the certificate authorities of a system are found: in each kind of place, under a root of
 * its own. */
#include "registry/internal.h"
#include "test.h"

#include "base/files.h"

#include <errno.h>
#include <openssl/x509_vfy.h>
#include <string.h>
#include <sys/stat.h>

static const char one[] = "-----BEGIN CERTIFICATE-----\n"
                          "MIIBgjCCASegAwIBAgIUQsH9Olbe1cSBPiROvAbZfMF3LdAwCgYIKoZIzj0EAwIw\n"
                          "FTETMBEGA1UEAwwKYXV0aG9yaXR5MTAgFw0yNjExMjExMjM5NTRaGA8yMTI2MTAy\n"
                          "ODEyMzk1NFowFTETMBEGA1UEAwwKYXV0aG9yaXR5MTBZMBMGByqGSM49AgEGCCqG\n"
                          "SM49AwEHA0IABLeiWM7eqs/bBIS3xsG8UODbgng7jSQbvabofzm2XyUOmZprlsv0\n"
                          "P2XAxfwRDzH7sxwpe7YRuNCCa+Inq9G4WwGjUzBRMB0GA1UdDgQWBBTjFpvmMTKl\n"
                          "CXdqp2HkVr7K8HJh/TAfBgNVHSMEGDAWgBTjFpvmMTKlCXdqp2HkVr7K8HJh/TAP\n"
                          "BgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0kAMEYCIQCT2xKr1s8pe7fkQwhI\n"
                          "VlafhHtgEDsuVgX77IAUS2tdbgIhALQa8HdwhYV91R00XhtVkSbbXKJnnCqtC9dN\n"
                          "06YDEJ0H\n"
                          "-----END CERTIFICATE-----\n";
static const char other[] = "-----BEGIN CERTIFICATE-----\n"
                            "MIIBgTCCASegAwIBAgIUDE3MHRbp9fJsoyXjfS8n8ny4g0kwCgYIKoZIzj0EAwIw\n"
                            "FTETMBEGA1UEAwwKYXV0aG9yaXR5MjAgFw0yNjExMjExMjM5NTRaGA8yMTI2MTAy\n"
                            "ODEyMzk1NFowFTETMBEGA1UEAwwKYXV0aG9yaXR5MjBZMBMGByqGSM49AgEGCCqG\n"
                            "SM49AwEHA0IABJarcq4DdRdLRAngg/HBL1s2rePlPzqQuHc3c3w6fx1TmNuwhpEk\n"
                            "ZS63kVBU0u+X9chfmKeEqY7NI44OXbpQbd2jUzBRMB0GA1UdDgQWBBSblJshUOlY\n"
                            "9gt8IkM9QwDjN78vEjAfBgNVHSMEGDAWgBSblJshUOlY9gt8IkM9QwDjN78vEjAP\n"
                            "BgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIQCrrLvF80qGUkzax09s\n"
                            "HERB7Fl2dYvkoFnv/Jbx3XyqjwIgQknjHRLE9r/Wih36LcRJrlzwh6e1p7Udt6KJ\n"
                            "fSP8WL0=\n"
                            "-----END CERTIFICATE-----\n";

/* A root directory, empty. */
struct root {
    char path[64];
    struct roots roots;
};

static void root_open(struct root *r)
{
    memset(r, 0, sizeof(*r));
    (void)snprintf(r->path, sizeof(r->path), "/tmp/roots.XXXXXX");
    assert_non_null(mkdtemp(r->path));
}

static void root_close(struct root *r)
{
    roots_fini(&r->roots);
    assert_ok(dir_remove_all(r->path, NULL));
}
DEFINE_SCOPED_VALUE(root, struct root, root_close)

/* Makes the directories on the way. */
static void put(const struct root *r, const char *path, const char *text)
{
    SCOPED(mem) char *whole = text_format("%s%s", r->path, path);
    FILE *f;

    for (char *at = strchr(whole + strlen(r->path) + 1, '/'); at != NULL;
         at = strchr(at + 1, '/')) {
        *at = '\0';
        (void)mkdir(whole, 0755);
        *at = '/';
    }
    f = fopen(whole, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static int load_as(struct root *r, const char *cert_file, const char *cert_dir, struct err *err)
{
    const struct roots_places places = {
        .prefix = r->path, .cert_file = cert_file, .cert_dir = cert_dir};

    return roots_load(&places, &r->roots, err);
}

static int count(const struct root *r)
{
    return sk_X509_OBJECT_num(X509_STORE_get0_objects(r->roots.store));
}

static void each_distributions_place_is_known(void **state)
{
    static const char *const files[] = {
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
        "/etc/ssl/ca-bundle.pem",
        "/var/lib/ca-certificates/ca-bundle.pem",
        "/etc/ssl/cert.pem",
        "/etc/ssl/certs/authority.pem",
        "/etc/pki/tls/certs/authority.crt",
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        SCOPED(root) struct root r;

        root_open(&r);
        put(&r, files[i], one);
        if (load_as(&r, NULL, NULL, NULL) < 0)
            fail_msg("%s", files[i]);
        assert_int_equal(count(&r), 1);
    }
}

static void one_file_of_the_system_is_enough(void **state)
{
    SCOPED(root) struct root r;
    (void)state;

    root_open(&r);
    put(&r, "/etc/ssl/certs/ca-certificates.crt", one);
    put(&r, "/etc/pki/tls/certs/ca-bundle.crt", other);
    assert_ok(load_as(&r, NULL, NULL, NULL));
    assert_int_equal(count(&r), 1);
}

static void none_is_an_error_that_says_what_to_do(void **state)
{
    SCOPED(root) struct root r;
    struct err err = ERR_NONE;
    (void)state;

    root_open(&r);
    assert_int_equal(load_as(&r, NULL, NULL, &err), -ENODATA);
    assert_non_null(strstr(err_text(&err), "set SSL_CERT_FILE"));
    assert_null(strchr(err_text(&err), '\n'));
    assert_null(r.roots.store);
    assert_int_equal(load_as(&r, "/my/ca.pem", NULL, &err), -ENODATA);
    assert_non_null(strstr(err_text(&err), "/my/ca.pem"));
}

static void what_holds_no_certificate_does_not_count(void **state)
{
    SCOPED(root) struct root r;
    (void)state;

    root_open(&r);
    put(&r, "/etc/ssl/certs/ca-certificates.crt", "");
    put(&r, "/etc/ssl/certs/broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n");
    put(&r, "/etc/ssl/certs/note.txt", one);
    assert_int_equal(load_as(&r, NULL, NULL, NULL), -ENODATA);
    put(&r, "/etc/pki/tls/certs/ca-bundle.crt", one);
    assert_ok(load_as(&r, NULL, NULL, NULL));
}

static void a_named_file_takes_the_place_of_the_systems(void **state)
{
    SCOPED(root) struct root r;
    (void)state;

    root_open(&r);
    put(&r, "/etc/ssl/cert.pem", other);
    put(&r, "/my/ca.pem", one);
    assert_ok(load_as(&r, "/my/ca.pem", "", NULL));
    assert_int_equal(count(&r), 1);
}

static void several_directories_may_be_named(void **state)
{
    SCOPED(root) struct root r;
    (void)state;

    root_open(&r);
    put(&r, "/a/one.pem", one);
    put(&r, "/b/other.crt", other);
    assert_ok(load_as(&r, NULL, "/a:/none::/b", NULL));
    assert_int_equal(count(&r), 2);
    put(&r, "/my/ca.pem", one);
    assert_ok(load_as(&r, "/my/ca.pem", "/b", NULL));
    assert_int_equal(count(&r), 2);
}

/* Such a directory is looked into when there is something to compare, so nothing is loaded yet. */
static void a_hashed_directory_is_left_to_openssl(void **state)
{
    SCOPED(root) struct root r;
    (void)state;

    root_open(&r);
    put(&r, "/a/e64b23e7.0", one);
    put(&r, "/a/other.pem", other);
    assert_ok(load_as(&r, NULL, "/a", NULL));
    assert_int_equal(count(&r), 0);
}

static uint64_t stamp_of(const struct root *r)
{
    const struct roots_places places = {.prefix = r->path};

    return roots_stamp(&places);
}

static void what_changes_is_noticed(void **state)
{
    SCOPED(root) struct root r;
    uint64_t none, file, more, two;
    (void)state;

    root_open(&r);
    none = stamp_of(&r);
    assert_true(none == stamp_of(&r));
    put(&r, "/etc/ssl/certs/ca-certificates.crt", one);
    file = stamp_of(&r);
    assert_true(file != none);
    put(&r, "/etc/ssl/certs/ca-certificates.crt", "longer\n");
    more = stamp_of(&r);
    assert_true(more != file);
    put(&r, "/etc/pki/tls/certs/own.pem", other);
    two = stamp_of(&r);
    assert_true(two != more);
    assert_true(two == stamp_of(&r));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_distributions_place_is_known),
        cmocka_unit_test(one_file_of_the_system_is_enough),
        cmocka_unit_test(none_is_an_error_that_says_what_to_do),
        cmocka_unit_test(what_holds_no_certificate_does_not_count),
        cmocka_unit_test(a_named_file_takes_the_place_of_the_systems),
        cmocka_unit_test(several_directories_may_be_named),
        cmocka_unit_test(a_hashed_directory_is_left_to_openssl),
        cmocka_unit_test(what_changes_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
