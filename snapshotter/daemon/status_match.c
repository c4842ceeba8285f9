/* SPDX-License-Identifier: Apache-2.0 */
/* status_match.c – the image that a person means. */
#include "base/text.h"
#include "daemon/status.h"
#include "oci/oci.h"

#include <stdlib.h>
#include <string.h>

enum { SHORT_DIGEST_MIN = 12 }; /* digits, as tools print them; fewer may be a name */
enum { DIGEST_DIGITS = 64 };

/* The digits of "sha256:…", or of digits alone; NULL: no digest. */
static const char *digits_of(const char *text)
{
    bool is_named = text_has_prefix(text, "sha256:");
    const char *digits = is_named ? text + strlen("sha256:") : text;
    size_t len = strspn(digits, "0123456789abcdef");

    if (digits[len] != '\0' || len > DIGEST_DIGITS || len < (is_named ? 1 : SHORT_DIGEST_MIN))
        return NULL;
    return digits;
}

static bool is_digest(const char *text, const char *manifest)
{
    const char *digits = digits_of(text);

    return digits != NULL && text_has_prefix(manifest, "sha256:") &&
           text_has_prefix(manifest + strlen("sha256:"), digits);
}

static bool is_equal(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcmp(a, b) == 0;
}

static const char *tag_of(const struct oci_reference *reference)
{
    if (reference->tag != NULL)
        return reference->tag;
    return reference->digest == NULL ? "latest" : NULL;
}

bool status_is_image(const char *text, const char *name, const char *manifest)
{
    SCOPED(oci_reference) struct oci_reference wanted = {.host = NULL}, found = {.host = NULL};
    struct err ignored = ERR_NONE;

    if (strcmp(text, name) == 0 || is_digest(text, manifest))
        return name[0] != '\0' || manifest[0] != '\0';
    if (oci_reference_parse(text, &wanted, &ignored) < 0 ||
        oci_reference_parse(name, &found, &ignored) < 0)
        return false;
    if (!is_equal(wanted.host, found.host) || !is_equal(wanted.repository, found.repository))
        return false;
    if (wanted.digest != NULL)
        return is_equal(wanted.digest, found.digest) || is_equal(wanted.digest, manifest);
    return is_equal(tag_of(&wanted), tag_of(&found));
}
