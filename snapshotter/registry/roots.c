/* SPDX-License-Identifier: Apache-2.0 */
/* roots.c – the certificate authorities of the system, for TLS.
 *
 * Where they are differs between distributions, and they may come later than we do, so they are
 * looked for when the first https address is asked and as long as there are none, and again when
 * they have changed and somebody's certificate is not good. As in Go, SSL_CERT_FILE and
 * SSL_CERT_DIR (several, with colons between) take the place of the system's. All connections share
 * what was loaded: it takes milliseconds. */
#include "registry/internal.h"

#include "base/files.h"
#include "base/log.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <sys/stat.h>

enum { ROOTS_FILE_MAX_BYTES = 16 * 1024 * 1024 };
enum { ROOTS_DIR_FILES_MAX = 1024 };

static const char *const system_files[] = {
    "/etc/ssl/certs/ca-certificates.crt",                /* Debian, Alpine, Arch */
    "/etc/pki/tls/certs/ca-bundle.crt",                  /* Fedora, Amazon Linux */
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", /* the same, later */
    "/etc/ssl/ca-bundle.pem",                            /* SUSE */
    "/var/lib/ca-certificates/ca-bundle.pem",            /* the same, later */
    "/etc/ssl/cert.pem",                                 /* Alpine */
};
static const char *const system_dirs[] = {"/etc/ssl/certs", "/etc/pki/tls/certs"};

DEFINE_SCOPED_PTR(x509_store, X509_STORE, X509_STORE_free)

/* ---- a file, a directory --------------------------------------------------------------------- */

/* Whatever changes when a file is replaced or written to. */
static void stamp_file(uint64_t *stamp, const char *path)
{
    struct stat st;
    uint64_t parts[5] = {0};

    if (stat(path, &st) == 0) {
        parts[0] = (uint64_t)st.st_ino;
        parts[1] = (uint64_t)st.st_size;
        parts[2] = (uint64_t)st.st_mtim.tv_sec;
        parts[3] = (uint64_t)st.st_mtim.tv_nsec;
        parts[4] = (uint64_t)st.st_dev;
    }
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        *stamp = (*stamp ^ parts[i]) * UINT64_C(1099511628211);
}

/* Without a certificate in it a file is as good as none. */
static bool load_file(X509_STORE *store, const char *path)
{
    struct stat st;
    bool ok = stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= ROOTS_FILE_MAX_BYTES &&
              X509_STORE_load_file(store, path) == 1;

    ERR_clear_error();
    return ok;
}

/* 12345678.0: what OpenSSL looks for by itself. */
static bool is_hashed_name(const char *name)
{
    return strspn(name, "0123456789abcdef") == 8 && name[8] == '.' && name[9] >= '0' &&
           name[9] <= '9';
}

static bool is_certificate_name(const char *name)
{
    return text_has_suffix(name, ".pem") || text_has_suffix(name, ".crt");
}

/* What is in a directory: is it hashed, and if not, which files to load. */
static bool scan_dir(const char *path, uint64_t *stamp, struct text_list *ret_files)
{
    SCOPED(dir) DIR *dir = opendir(path);
    const struct dirent *entry;
    bool is_hashed = false;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        SCOPED(mem) char *file = NULL;

        is_hashed |= is_hashed_name(entry->d_name);
        if (!is_certificate_name(entry->d_name) || ret_files->count >= ROOTS_DIR_FILES_MAX)
            continue;
        file = path_join(path, entry->d_name);
        if (file == NULL || text_list_add(ret_files, file) < 0)
            break;
        stamp_file(stamp, file);
    }
    return is_hashed;
}

static bool load_dir(X509_STORE *store, const char *path, uint64_t *stamp)
{
    SCOPED(text_list) struct text_list files = TEXT_LIST_EMPTY;
    bool is_hashed, any = false;

    stamp_file(stamp, path);
    is_hashed = scan_dir(path, stamp, &files);
    if (store == NULL)
        return false;
    if (is_hashed)
        any = X509_STORE_load_path(store, path) == 1;
    for (size_t i = 0; i < files.count && !is_hashed; i++)
        any |= load_file(store, files.items[i]);
    ERR_clear_error();
    return any;
}

/* ---- where to look --------------------------------------------------------------------------- */

static bool is_set(const char *value)
{
    return value != NULL && *value != '\0';
}

/* NULL `store`: only the stamp. The first file that has some counts. */
static bool try_files(const struct roots_places *places, X509_STORE *store, uint64_t *stamp)
{
    size_t count = is_set(places->cert_file) ? 1 : ARRAY_LEN(system_files);
    bool any = false;

    for (size_t i = 0; i < count; i++) {
        SCOPED(mem)
        char *path = text_format("%s%s", places->prefix,
                                 is_set(places->cert_file) ? places->cert_file : system_files[i]);

        if (path == NULL)
            continue;
        stamp_file(stamp, path);
        any = any || (store != NULL && load_file(store, path));
    }
    return any;
}

static bool try_dirs(const struct roots_places *places, X509_STORE *store, uint64_t *stamp)
{
    SCOPED(text_list) struct text_list dirs = TEXT_LIST_EMPTY;
    bool any = false;
    int rc = 0;

    if (is_set(places->cert_dir))
        rc = text_list_split(&dirs, places->cert_dir, ':');
    for (size_t i = 0; i < ARRAY_LEN(system_dirs) && !is_set(places->cert_dir) && rc == 0; i++)
        rc = text_list_add(&dirs, system_dirs[i]);
    for (size_t i = 0; i < dirs.count; i++) {
        SCOPED(mem) char *path = text_format("%s%s", places->prefix, dirs.items[i]);

        if (path != NULL && dirs.items[i][0] != '\0')
            any |= load_dir(store, path, stamp);
    }
    return any;
}

uint64_t roots_stamp(const struct roots_places *places)
{
    uint64_t stamp = UINT64_C(14695981039346656037);

    (void)try_files(places, NULL, &stamp);
    (void)try_dirs(places, NULL, &stamp);
    return stamp;
}

/* The system's directories hold the same as its file; those that were named are wanted too. */
int roots_load(const struct roots_places *places, struct roots *ret, struct err *err)
{
    SCOPED(x509_store) X509_STORE *store = X509_STORE_new();
    uint64_t stamp = roots_stamp(places), ignored = 0;
    bool any;

    if (store == NULL)
        return err_set(err, -ENOMEM, "certificates: out of memory");
    any = try_files(places, store, &ignored);
    if (!any || is_set(places->cert_dir))
        any |= try_dirs(places, store, &ignored);
    if (!any)
        return err_set(err, -ENODATA,
                       "no certificate authorities were found%s%s: install ca-certificates, or set "
                       "SSL_CERT_FILE or SSL_CERT_DIR",
                       is_set(places->cert_file) ? " in " : "",
                       is_set(places->cert_file) ? places->cert_file : "");
    /* As in Go, whatever is in there is trusted, be it at the end of a chain or in its middle. */
    (void)X509_STORE_set_flags(store, X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
    roots_fini(ret);
    ret->store = TAKE(store);
    ret->stamp = stamp;
    return 0;
}

void roots_fini(struct roots *roots)
{
    X509_STORE_free(TAKE(roots->store));
}

/* ---- for a transfer -------------------------------------------------------------------------- */

static struct roots_places places_now(void)
{
    return (struct roots_places){
        .prefix = "", .cert_file = getenv("SSL_CERT_FILE"), .cert_dir = getenv("SSL_CERT_DIR")};
}

static CURLcode give_roots(CURL *easy, void *ssl_ctx, void *arg)
{
    struct registry *registry = arg;

    (void)easy;
    SSL_CTX_set1_cert_store(ssl_ctx, registry->roots.store);
    return CURLE_OK;
}

int roots_use(struct registry *registry, CURL *easy, struct err *err)
{
    const struct roots_places places = places_now();
    int rc = registry->roots.store != NULL ? 0 : roots_load(&places, &registry->roots, err);
    bool ok = true;

    if (rc < 0)
        return rc;
    ok &= curl_easy_setopt(easy, CURLOPT_CAINFO, NULL) == CURLE_OK;
    ok &= curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) == CURLE_OK;
    /* Some versions of curl keep what they find in a new context, and put it in the next ones. */
    ok &= curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L) == CURLE_OK;
    ok &= curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, give_roots) == CURLE_OK;
    ok &= curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, registry) == CURLE_OK;
    return ok ? 0 : err_set(err, -EOPNOTSUPP, "libcurl is not one that uses OpenSSL");
}

bool roots_renew(struct registry *registry)
{
    const struct roots_places places = places_now();

    if (registry->roots.store == NULL || roots_stamp(&places) == registry->roots.stamp)
        return false;
    log_info("the certificate authorities have changed, they are loaded anew", NULL);
    return roots_load(&places, &registry->roots, NULL) == 0;
}
