/* SPDX-License-Identifier: Apache-2.0 */
/* digest.c – sha256 through libcrypto, which uses the CPU's instructions for it. */
#include "digest/digest.h"

#include "base/text.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char prefix[] = "sha256:";

int digest_parse(const char *text, struct digest *ret, struct err *err)
{
    size_t prefix_len = sizeof(prefix) - 1;

    if (strnlen(text, DIGEST_TEXT_BYTES) != DIGEST_TEXT_BYTES - 1 ||
        !text_has_prefix(text, prefix) ||
        text_unhex(text + prefix_len, ret->sha256, DIGEST_BYTES) < 0)
        return err_set(err, -EINVAL,
                       "\"%.80s\" is no digest (sha256: and 64 lower-case hex digits)", text);
    return 0;
}

void digest_hex(const struct digest *digest, char out[2 * DIGEST_BYTES + 1])
{
    text_hex(bytes_of(digest->sha256, DIGEST_BYTES), out);
}

void digest_format(const struct digest *digest, char out[DIGEST_TEXT_BYTES])
{
    memcpy(out, prefix, sizeof(prefix));
    digest_hex(digest, out + sizeof(prefix) - 1);
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
    return memcmp(a->sha256, b->sha256, DIGEST_BYTES) == 0;
}

int digest_of(struct bytes bytes, struct digest *ret)
{
    return EVP_Digest(bytes.data, bytes.len, ret->sha256, NULL, EVP_sha256(), NULL) == 1 ? 0
                                                                                         : -ENOMEM;
}

int digest_chain(const struct digest *below, const struct digest *diff_id, struct digest *ret)
{
    char text[2 * DIGEST_TEXT_BYTES], a[DIGEST_TEXT_BYTES], b[DIGEST_TEXT_BYTES];

    digest_format(below, a);
    digest_format(diff_id, b);
    (void)snprintf(text, sizeof(text), "%s %s", a, b);
    return digest_of(bytes_of_str(text), ret);
}

struct hasher {
    EVP_MD_CTX *ctx;
};

struct hasher *hasher_new(void)
{
    struct hasher *hasher = calloc(1, sizeof(*hasher));

    if (hasher == NULL)
        return NULL;
    hasher->ctx = EVP_MD_CTX_new();
    if (hasher->ctx == NULL || EVP_DigestInit_ex(hasher->ctx, EVP_sha256(), NULL) != 1) {
        hasher_free(hasher);
        return NULL;
    }
    return hasher;
}

int hasher_update(struct hasher *hasher, struct bytes bytes)
{
    return EVP_DigestUpdate(hasher->ctx, bytes.data, bytes.len) == 1 ? 0 : -ENOMEM;
}

int hasher_final(struct hasher *hasher, struct digest *ret)
{
    if (EVP_DigestFinal_ex(hasher->ctx, ret->sha256, NULL) != 1 ||
        EVP_DigestInit_ex(hasher->ctx, EVP_sha256(), NULL) != 1)
        return -ENOMEM;
    return 0;
}

struct hasher *hasher_copy(const struct hasher *hasher)
{
    struct hasher *copy = hasher_new();

    if (copy != NULL && EVP_MD_CTX_copy_ex(copy->ctx, hasher->ctx) != 1) {
        hasher_free(copy);
        return NULL;
    }
    return copy;
}

void hasher_free(struct hasher *hasher)
{
    if (hasher == NULL)
        return;
    EVP_MD_CTX_free(hasher->ctx);
    free(hasher);
}
