/* SPDX-License-Identifier: Apache-2.0 */
/* platform.c – os/arch/variant: written, compared, and this machine's own.
 *
 * Names come in several spellings (x86_64, aarch64, armhf …). They are normalised when parsed and
 * again when compared, with containerd's tables: arm without a variant is v7, arm64 v8 and amd64 v1
 * are the plain ones. */
#include "oci/internal.h"

#include <errno.h>
#include <sys/utsname.h>

struct arch_name {
    const char *spelling;
    const char *arch;
    const char *variant; /* "": keep what was given */
};

static const struct arch_name arch_names[] = {
    {"i386", "386", ""},     {"i686", "386", ""},          {"x86_64", "amd64", ""},
    {"x86-64", "amd64", ""}, {"aarch64", "arm64", ""},     {"armhf", "arm", "v7"},
    {"armv7l", "arm", "v7"}, {"armv8l", "arm", "v8"},      {"armv6l", "arm", "v6"},
    {"armel", "arm", "v6"},  {"mips64el", "mips64le", ""}, {"loongarch64", "loong64", ""},
};

static const char *const known_archs[] = {"386",    "amd64",    "arm",     "arm64",   "loong64",
                                          "mips64", "mips64le", "ppc64le", "riscv64", "s390x"};
static const char *const known_oses[] = {"linux", "windows", "darwin", "freebsd"};

struct normal {
    const char *arch;
    const char *variant;
};

static const char *or_empty(const char *s)
{
    return s == NULL ? "" : s;
}

static bool is_one_of(const char *s, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (text_equal_nocase(s, names[i]))
            return true;
    }
    return false;
}

static const char *normal_variant(const char *arch, const char *variant)
{
    if (strcmp(arch, "amd64") == 0)
        return strcmp(variant, "v1") == 0 ? "" : variant;
    if (strcmp(arch, "arm64") == 0)
        return strcmp(variant, "v8") == 0 || strcmp(variant, "8") == 0 ? "" : variant;
    if (strcmp(arch, "arm") != 0)
        return variant;
    if (*variant == '\0' || strcmp(variant, "7") == 0)
        return "v7";
    if (strcmp(variant, "5") == 0)
        return "v5";
    if (strcmp(variant, "6") == 0)
        return "v6";
    return strcmp(variant, "8") == 0 ? "v8" : variant;
}

/* What is returned is borrowed from the arguments or static. */
static struct normal normalise(const char *arch, const char *variant)
{
    const char *plain = arch;

    for (size_t i = 0; i < ARRAY_LEN(arch_names); i++) {
        if (!text_equal_nocase(arch, arch_names[i].spelling))
            continue;
        plain = arch_names[i].arch;
        if (*arch_names[i].variant != '\0')
            variant = arch_names[i].variant;
        break;
    }
    for (size_t i = 0; i < ARRAY_LEN(known_archs); i++) {
        if (text_equal_nocase(plain, known_archs[i]))
            plain = known_archs[i];
    }
    return (struct normal){.arch = plain, .variant = normal_variant(plain, variant)};
}

/* The machine as uname(2) calls it. */
static struct normal host_arch(const struct utsname *uts)
{
    return normalise(uts->machine, "");
}

static int host_uname(struct utsname *ret)
{
    return uname(ret) < 0 ? -errno : 0;
}

static const char *normal_os(const char *os)
{
    return text_equal_nocase(os, "macos") ? "darwin" : os;
}

static int set_platform(struct oci_platform *ret, const char *os, const char *arch,
                        const char *variant)
{
    SCOPED(oci_platform) struct oci_platform made = {.os = strdup(os)};

    made.architecture = strdup(arch);
    made.variant = *variant == '\0' ? NULL : strdup(variant);
    if (made.os == NULL || made.architecture == NULL || (*variant != '\0' && made.variant == NULL))
        return -ENOMEM;
    *ret = made;
    memset(&made, 0, sizeof(made));
    return 0;
}

int oci_platform_host(struct oci_platform *ret)
{
    struct utsname uts;
    struct normal host;

    if (host_uname(&uts) < 0)
        return -ENOMEM;
    host = host_arch(&uts);
    return set_platform(ret, "linux", host.arch, host.variant);
}

/* Without a variant of its own, arm stays plain arm, and a named v8 of arm64 is kept: both are what
 * people expect to read back. */
static int set_arch(struct oci_platform *ret, const char *os, const char *arch, const char *variant)
{
    struct normal n = normalise(arch, variant);

    if (*variant == '\0' && strcmp(n.arch, "arm") == 0 && strcmp(n.variant, "v7") == 0)
        n.variant = "";
    if (*variant != '\0' && strcmp(n.arch, "arm64") == 0 && *n.variant == '\0')
        n.variant = "v8";
    return set_platform(ret, os, n.arch, n.variant);
}

/* One word is an architecture or an operating system; the rest is the machine's. */
static int parse_word(const char *word, struct oci_platform *ret, struct err *err)
{
    int rc;

    if (is_one_of(normal_os(word), known_oses, ARRAY_LEN(known_oses))) {
        struct utsname uts;
        rc = host_uname(&uts);
        return rc < 0 ? rc : set_arch(ret, normal_os(word), uts.machine, "");
    }
    if (!is_one_of(normalise(word, "").arch, known_archs, ARRAY_LEN(known_archs)))
        return err_set(err, -EINVAL,
                       "could not parse platform %.80s: unknown operating system or architecture",
                       word);
    return set_arch(ret, "linux", word, "");
}

static bool is_word(const char *s)
{
    size_t len = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.");

    return len > 0 && s[len] == '\0';
}

int oci_platform_parse(const char *text, struct oci_platform *ret, struct err *err)
{
    SCOPED(text_list) struct text_list parts = TEXT_LIST_EMPTY;
    int rc;

    if (text_list_split(&parts, text, '/') < 0)
        return err_set(err, -ENOMEM, "platform: out of memory");
    for (size_t i = 0; i < parts.count; i++) {
        if (parts.count > 3 || !is_word(parts.items[i]))
            return err_set(err, -EINVAL,
                           "could not parse platform %.80s: os[/arch[/variant]] is expected", text);
    }
    if (parts.count == 1)
        rc = parse_word(parts.items[0], ret, err);
    else
        rc = set_arch(ret, normal_os(parts.items[0]), parts.items[1],
                      parts.count == 3 ? parts.items[2] : "");
    return rc == -ENOMEM ? err_set(err, rc, "platform: out of memory") : rc;
}

bool oci_platform_matches(const struct oci_platform *have, const struct oci_platform *want)
{
    struct utsname uts;
    const char *os = or_empty(want->os), *arch = or_empty(want->architecture);
    struct normal had = normalise(or_empty(have->architecture), or_empty(have->variant));
    struct normal wanted;

    if (*arch == '\0' && host_uname(&uts) < 0)
        return false;
    wanted = *arch == '\0' ? host_arch(&uts) : normalise(arch, or_empty(want->variant));
    return text_equal_nocase(normal_os(or_empty(have->os)),
                             *os == '\0' ? "linux" : normal_os(os)) &&
           strcmp(had.arch, wanted.arch) == 0 && strcmp(had.variant, wanted.variant) == 0;
}

bool oci_platform_equal(const struct oci_platform *a, const struct oci_platform *b)
{
    return oci_platform_matches(a, b) && oci_platform_matches(b, a) &&
           strcmp(or_empty(a->os_version), or_empty(b->os_version)) == 0;
}

char *oci_platform_text(const struct oci_platform *platform)
{
    const char *variant = or_empty(platform->variant);

    return text_format("%s/%s%s%s", or_empty(platform->os), or_empty(platform->architecture),
                       *variant == '\0' ? "" : "/", variant);
}

void oci_platform_fini(struct oci_platform *platform)
{
    free(platform->os);
    free(platform->architecture);
    free(platform->variant);
    free(platform->os_version);
    text_list_fini(&platform->os_features);
    memset(platform, 0, sizeof(*platform));
}
