/* SPDX-License-Identifier: Apache-2.0 */
/* claim.c – what an image says that a layer's tar hashes to. */
#include "layer/internal.h"

#include <errno.h>
#include <stdio.h>

int claim_fits(const struct layer_claim *claim, const struct digest *diff_id)
{
    struct digest chain;

    if (claim->kind == LAYER_CLAIM_NONE)
        return 0;
    if (claim->kind == LAYER_CLAIM_DIFF_ID)
        return digest_equal(&claim->digest, diff_id);
    if (digest_chain(&claim->below, diff_id, &chain) < 0)
        return -ENOMEM;
    return digest_equal(&claim->digest, &chain);
}

int claim_contradicts(const struct layer_claim *a, const struct layer_claim *b)
{
    int rc;

    if (a->kind == LAYER_CLAIM_NONE || b->kind == LAYER_CLAIM_NONE)
        return 0;
    if (a->kind == LAYER_CLAIM_CHAIN_ID && b->kind == LAYER_CLAIM_CHAIN_ID)
        return digest_equal(&a->below, &b->below) && !digest_equal(&a->digest, &b->digest);
    rc = a->kind == LAYER_CLAIM_DIFF_ID ? claim_fits(b, &a->digest) : claim_fits(a, &b->digest);
    return rc < 0 ? rc : rc == 0;
}

int claim_identity(const struct layer_claim *claim, struct digest *ret)
{
    char text[16 + 2 * DIGEST_TEXT_BYTES], a[DIGEST_TEXT_BYTES], b[DIGEST_TEXT_BYTES];

    digest_format(&claim->digest, a);
    digest_format(&claim->below, b);
    if (claim->kind == LAYER_CLAIM_DIFF_ID)
        (void)snprintf(text, sizeof(text), "diff %s", a);
    else
        (void)snprintf(text, sizeof(text), "chain %s %s", b, a);
    return digest_of(bytes_of_str(text), ret);
}

int claim_refuse(const struct layer_claim *claim, const struct digest *diff_id, struct err *err)
{
    char seen[DIGEST_TEXT_BYTES], said[DIGEST_TEXT_BYTES];

    digest_format(diff_id, seen);
    digest_format(&claim->digest, said);
    return claim->kind == LAYER_CLAIM_DIFF_ID
               ? err_set(err, -EBADMSG, "the layer unpacks to %s, the image says %s", seen, said)
               : err_set(err, -EBADMSG, "the layer unpacks to %s, which does not give chain ID %s",
                         seen, said);
}
