/* SPDX-License-Identifier: Apache-2.0 */
/* digest.h – sha256 digests as values, their text form `sha256:<64 hex>`, and hashing in pieces. */
#ifndef DIGEST_DIGEST_H
#define DIGEST_DIGEST_H

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum { DIGEST_BYTES = 32 };
enum { DIGEST_TEXT_BYTES = 7 + 2 * DIGEST_BYTES + 1 }; /* "sha256:", hex, NUL */

struct digest {
    uint8_t sha256[DIGEST_BYTES];
};

/* Only `sha256:` and exactly 64 lower-case hex digits: 0, else -EINVAL and err names the text. */
MUST_CHECK int digest_parse(const char *text, struct digest *ret, struct err *err);
void digest_format(const struct digest *digest, char out[DIGEST_TEXT_BYTES]);
bool digest_equal(const struct digest *a, const struct digest *b);
/* The hex digits alone, as in file names; 64 characters and a NUL. */
void digest_hex(const struct digest *digest, char out[2 * DIGEST_BYTES + 1]);

/* The digest of bytes in memory: 0 or -ENOMEM. */
MUST_CHECK int digest_of(struct bytes bytes, struct digest *ret);
/* The chain ID of a layer with this diff ID on those with the chain ID `below`, as the OCI image
 * specification has it; of the lowest layer it is the diff ID itself. 0 or -ENOMEM. */
MUST_CHECK int digest_chain(const struct digest *below, const struct digest *diff_id,
                            struct digest *ret);

/* Hashing in pieces. A hasher is used by one thread at a time. */
struct hasher;
struct hasher *hasher_new(void);                                         /* NULL: out of memory */
MUST_CHECK int hasher_update(struct hasher *hasher, struct bytes bytes); /* 0 or -ENOMEM */
MUST_CHECK int hasher_final(struct hasher *hasher, struct digest *ret);  /* and starts anew */
/* A hasher in the same state: for the digest of a prefix while hashing goes on. NULL: out of
 * memory. */
struct hasher *hasher_copy(const struct hasher *hasher);
void hasher_free(struct hasher *hasher);
DEFINE_SCOPED_PTR(hasher, struct hasher, hasher_free)

#endif
